//! Tasks whose difficulty is the number of steps to remember.

pub mod bit_stream;
mod delayed_match;
mod n_parity;

pub use delayed_match::DelayedMatch;
pub use n_parity::NParity;
