//! Components for synfire, loaded with `--plugin`.

pub mod analysis;
pub mod cell;
pub mod curriculum;
pub mod rule;
pub mod task;

synfire::export_plugin!();
