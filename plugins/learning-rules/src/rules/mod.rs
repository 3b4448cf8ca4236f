//! Learning rules.

mod force;
mod least_squares;

pub use force::{Feedback, Force};
pub use least_squares::RecursiveLeastSquares;
