//! Analyses.

mod attenuation;
mod gradient_flow;
mod quartiles;
mod ring_performance;
mod unrolling_mismatch;
mod updates_to_criterion;

pub use attenuation::{Scheme, attenuation};
pub use gradient_flow::GradientFlow;
pub use ring_performance::RingPerformance;
pub use unrolling_mismatch::UnrollingMismatch;
pub use updates_to_criterion::UpdatesToCriterion;
