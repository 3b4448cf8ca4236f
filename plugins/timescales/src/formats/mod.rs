//! File formats of published networks.

mod published_name;
mod timescales_checkpoint;
mod timescales_folder;
mod timescales_results;

pub use timescales_checkpoint::{PublishedCell, TimescalesCheckpoint};
pub use timescales_folder::TimescalesFolder;
pub use timescales_results::TimescalesResults;
