//! Analyses of what a network computes, and of many networks side by side.

pub mod attractor_topology;
pub mod changes_of_mind;
pub mod cross_temporal_decoding;
pub mod fixed_points;
pub mod gradient_alignment;
pub mod noise_robustness;
pub mod psychometric;
pub mod regression_subspace;
pub mod reproduction;
pub mod saddle_distance;
pub mod svcca;
pub mod tensor_components;

mod answers;
mod apart;
mod choice;
mod colouring;
#[cfg(test)]
mod fixture;
mod grouping;

pub use attractor_topology::AttractorTopology;
pub use changes_of_mind::ChangesOfMind;
pub use cross_temporal_decoding::CrossTemporalDecoding;
pub use fixed_points::FixedPoints;
pub use gradient_alignment::GradientAlignment;
pub use noise_robustness::NoiseRobustness;
pub use psychometric::Psychometric;
pub use regression_subspace::RegressionSubspace;
pub use reproduction::Reproduction;
pub use saddle_distance::SaddleDistance;
pub use svcca::Svcca;
pub use tensor_components::TensorComponents;
