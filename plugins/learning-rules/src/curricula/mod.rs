//! Curricula.

mod accuracy_stages;

pub use accuracy_stages::AccuracyStages;
