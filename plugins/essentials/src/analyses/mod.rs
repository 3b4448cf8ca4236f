//! Analyses of any trained network: how it learned, what its units do, and what happens when it is disturbed.

pub mod activity;
pub mod learning_curve;
pub mod pca;

mod choice;

pub use activity::Activity;
pub use learning_curve::LearningCurve;
pub use pca::Pca;
