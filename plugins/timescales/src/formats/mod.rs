//! File formats of published networks.

mod published_name;
mod timescales_checkpoint;

pub use timescales_checkpoint::{PublishedCell, TimescalesCheckpoint};
