//! Curricula.

mod staged;

pub use staged::{Course, Staged};
