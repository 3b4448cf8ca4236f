//! Cells around cells.

mod dynamics_aligned;
mod shortcut;
mod skip;

pub use dynamics_aligned::{DynamicsAligned, Increment};
pub use skip::Skip;
