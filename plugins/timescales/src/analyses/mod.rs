//! Analyses: how slow units are trained to be, and how slow the network makes them.

mod clock;
mod drive;
#[cfg(test)]
mod fixture;
pub mod gate_timescales;
mod long_run;
mod stage;
mod summary;
pub mod time_constants;
pub mod timescales;
