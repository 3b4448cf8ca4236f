//! Tasks whose difficulty is the number of steps to remember.

pub mod bit_stream;
mod delayed_match;
mod n_parity;
mod pulsed_parity;
pub mod question;

pub use delayed_match::DelayedMatch;
pub use n_parity::NParity;
pub use pulsed_parity::PulsedParity;
