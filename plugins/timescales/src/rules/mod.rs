//! Learning rules.

mod published_draws;

pub use published_draws::PublishedDraws;
