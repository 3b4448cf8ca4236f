//! Analyses: how slow units are trained to be, and how slow the network makes them.

mod clock;
#[cfg(test)]
mod fixture;
mod stage;
mod summary;
pub mod time_constants;
pub mod timescales;
