//! First-order optimisers whose whole state can be saved, with learning rates by group of parameters.
//!
//! An [`Optimizer`] is options: plain data that a TOML file spells as
//! `optimizer = { type = "sgd", learning_rate = 0.05, momentum = 0.1, nesterov = true }`. [`Optimizer::start`] makes the running
//! [`Stepper`], which holds the moments and updates parameters in place.
//!
//! ```
//! use synfire::optimizer::Optimizer;
//! use synfire::{Tensors, tch::Tensor};
//!
//! let optimizer: Optimizer = toml::from_str(r#"type = "sgd"
//! learning_rate = 0.5"#).expect("valid options");
//! let mut stepper = optimizer.start();
//! let mut parameters = Tensors::from([("weight", Tensor::from_slice(&[1f64, 2.0]))]);
//! let gradients = Tensors::from([("weight", Tensor::from_slice(&[2f64, 0.0]))]);
//! stepper.step(&mut parameters, &gradients, 1.0)?;
//! assert_eq!(synfire::tensors::values_f64(parameters.get("weight")?), [0.0, 2.0]);
//! # Ok::<(), synfire::Error>(())
//! ```

mod adam;
pub mod clip;
mod group;
pub mod pattern;
mod rmsprop;
mod sgd;
mod stepper;

pub use adam::{Adam, AdamW, EpsilonPlace};
pub use group::Group;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use stepper::Stepper;

use crate::Problems;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An update rule for parameters from their gradients, chosen by `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent, with or without momentum.
    Sgd(Sgd),
    /// Adam; weight decay, if any, is added to the gradient.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Gradients divided by a running root mean square.
    RmsProp(RmsProp),
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::Adam(Adam::default())
    }
}

impl Optimizer {
    fn method(&self) -> &dyn stepper::Method {
        match self {
            Self::Sgd(options) => options,
            Self::Adam(options) => options,
            Self::AdamW(options) => options,
            Self::RmsProp(options) => options,
        }
    }

    /// The value of `type` in a configuration, for example `adam`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adamw",
            Self::RmsProp(_) => "rmsprop",
        }
    }

    /// The learning rate of parameters that no group gives another.
    pub fn learning_rate(&self) -> f64 {
        self.method().shared().learning_rate
    }

    /// The groups with settings of their own.
    pub fn groups(&self) -> &[Group] {
        self.method().shared().groups
    }

    /// Report every option that is out of range.
    pub fn check(&self, problems: &mut Problems) {
        let shared = self.method().shared();
        problems.require(
            shared.learning_rate.is_finite() && shared.learning_rate > 0.0,
            "learning_rate",
            shared.learning_rate,
            "greater than 0",
        );
        require_decay(problems, shared.weight_decay);
        for (i, group) in shared.groups.iter().enumerate() {
            problems.inside(&format!("groups[{i}]"), |problems| group.check(problems));
        }
        self.method().check(problems);
    }

    /// A running optimiser with no history yet.
    pub fn start(&self) -> Stepper {
        Stepper::new(self.clone())
    }
}

fn require_decay(problems: &mut Problems, weight_decay: f64) {
    problems.require(weight_decay.is_finite() && weight_decay >= 0.0, "weight_decay", weight_decay, "0 or greater");
}

/// Require a weight of a running average or a momentum to lie in `[0, 1)`.
fn require_fraction(problems: &mut Problems, field: &str, value: f64) {
    problems.require((0.0..1.0).contains(&value), field, value, "at least 0 and less than 1");
}

fn require_epsilon(problems: &mut Problems, epsilon: f64) {
    problems.require(epsilon.is_finite() && epsilon > 0.0, "epsilon", epsilon, "greater than 0");
}

#[cfg(test)]
mod tests;
