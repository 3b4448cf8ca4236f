//! Tasks of general interest.

mod asked;
mod delayed_copy;
mod flip_flop;
mod sine_wave;
mod two_armed_bandit;

pub use delayed_copy::{DelayedCopy, Items};
pub use flip_flop::FlipFlop;
pub use sine_wave::SineWave;
pub use two_armed_bandit::TwoArmedBandit;
