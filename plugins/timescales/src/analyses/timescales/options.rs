//! Choices of the analysis that are a name or a number.

pub use synfire_essentials::checkpoints::{Checkpoints, NamedCheckpoints};
pub use synfire_essentials::drive::Input;
