//! Cells that more than one paper uses.

pub mod elman;
pub mod gru;
pub mod leaky_gru;
pub mod leaky_rnn;
pub mod lstm;
mod projection;
pub mod stacked;
mod start;
#[cfg(test)]
mod testing;

pub use elman::Elman;
pub use gru::Gru;
pub use leaky_gru::LeakyGru;
pub use leaky_rnn::LeakyRnn;
pub use lstm::{ForgetGate, Lstm};
pub use stacked::Stacked;
