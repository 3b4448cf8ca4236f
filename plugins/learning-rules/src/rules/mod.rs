//! Learning rules.

#[cfg(test)]
mod bench;
mod e_prop;
mod eligibility;
mod force;
mod full_force;
mod genetic;
mod least_squares;
mod local_gradient;
mod rate_network;
mod reward_hebbian;
mod rflo;

pub use e_prop::EProp;
pub use eligibility::Broadcast;
pub use force::{Feedback, Force};
pub use full_force::{FullForce, Hint, InputWeights};
pub use genetic::{FirstGeneration, Genetic};
pub use least_squares::RecursiveLeastSquares;
pub use reward_hebbian::{Distribution, Eligibility, Perturbation, Reward, RewardHebbian};
pub use rflo::Rflo;
