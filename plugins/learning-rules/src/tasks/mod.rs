//! Tasks on which learning rules are compared: decisions, memories, and signals to generate.

mod constant_output;
mod context_integration;
mod decision;
mod delayed_detection;
mod delayed_nonmatch;
mod multisensory;
mod oscillation;
mod random_dots;
mod ready_set_go;
mod selective_integration;
mod sum_of_sines;
mod sum_sign;
mod trajectory;
mod trial;

pub use constant_output::ConstantOutput;
pub use context_integration::{ContextIntegration, Magnitudes};
pub use decision::{Correct, Judged, Output, Sign, TrialError};
pub use delayed_detection::DelayedDetection;
pub use delayed_nonmatch::DelayedNonmatch;
pub use multisensory::{Modality, Multisensory};
pub use oscillation::{Oscillation, Wave};
pub use random_dots::RandomDots;
pub use ready_set_go::ReadySetGo;
pub use selective_integration::SelectiveIntegration;
pub use sum_of_sines::SumOfSines;
pub use sum_sign::SumSign;
pub use trajectory::Trajectory;
