//! Learning rules.

mod bptt;
mod penalty;

pub use bptt::{Bptt, Clip, NoClip};
pub use penalty::{ActivityPenalty, SquareForm, WeightPenalty};
