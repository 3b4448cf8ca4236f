//! Analyses of any trained network: how it learned, what its units do, and what happens when it is disturbed.

pub mod ablation;
pub mod activity;
pub mod connectivity;
pub mod dimensionality;
pub mod learning_curve;
pub mod level_accuracy;
pub mod pca;
pub mod perturbation;
pub mod power_spectrum;
pub mod retraining;
pub mod spectrum;

mod choice;
#[cfg(test)]
mod trained;

pub use ablation::Ablation;
pub use activity::Activity;
pub use connectivity::Connectivity;
pub use dimensionality::Dimensionality;
pub use learning_curve::LearningCurve;
pub use level_accuracy::LevelAccuracy;
pub use pca::Pca;
pub use perturbation::Perturbation;
pub use power_spectrum::PowerSpectrum;
pub use retraining::Retraining;
pub use spectrum::Spectrum;
