//! Files of published programs.

mod hebbian_weights;
mod learning_rules_model;

pub use hebbian_weights::HebbianWeights;
pub use learning_rules_model::{LearningRulesModel, TrainedBy};
