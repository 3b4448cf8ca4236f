//! Analyses: how slow units are trained to be, and how slow the network makes them.

mod clock;
pub mod curriculum_comparison;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gate_timescales;
pub mod step_size;
mod summary;
pub mod time_constants;
pub mod timescales;
