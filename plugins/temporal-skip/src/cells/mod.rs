//! Cells.

mod skip;

pub use skip::Skip;
