//! Curricula.

mod criterion;
mod direct;
mod fixed_budget;
mod threshold;

pub use criterion::{Criterion, Metric};
pub use direct::Direct;
pub use fixed_budget::FixedBudget;
pub use threshold::Threshold;
