use super::sgd::with_decay;
use super::stepper::{Method, Settings, Shared};
use super::{Group, require_epsilon, require_fraction};
use crate::recurrence::{AdamNumbers, adam};
use crate::{Problems, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Which form of the second moment `epsilon` is added to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpsilonPlace {
    /// The bias-corrected root, `sqrt(v / (1 - beta2^t)) + epsilon`: PyTorch, and algorithm 1 of the paper.
    #[default]
    Corrected,
    /// The raw root, `sqrt(v) + epsilon`, with all bias correction in the step size: Keras and TensorFlow, and section 2 of the
    /// paper ("epsilon hat"). Keras' default epsilon is 1e-7.
    Raw,
}

/// Adam: steps of running means of the gradient, divided by the root of running means of its square.
///
/// With gradient `g` (weight decay added), step count `t` of the parameter, `m <- m + (1 - beta1) (g - m)`,
/// `v <- beta2 v + (1 - beta2) g^2` and learning rate `r`:
/// `p <- p - r / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)`; see [`EpsilonPlace`] for the other convention.
///
/// Source: Kingma & Ba 2015, arXiv:1412.6980; `amsgrad`: Reddi, Kale & Kumar 2018, arXiv:1904.09237. Defaults as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Weight of the past in the running mean of the gradient.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta1: f64,
    /// Weight of the past in the running mean of the squared gradient.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta2: f64,
    /// Added to the divisor, so that small gradients do not make large steps.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Whether epsilon is added after (`corrected`, PyTorch) or before (`raw`, Keras) the bias correction.
    pub epsilon_added_to: EpsilonPlace,
    /// Divide by the largest second moment so far, so that step sizes never grow again.
    pub amsgrad: bool,
    /// Multiple of the parameter added to its gradient.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Parameters with settings of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            epsilon_added_to: EpsilonPlace::Corrected,
            amsgrad: false,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

/// Adam with decoupled weight decay: the parameter shrinks by `1 - learning_rate * weight_decay` before each Adam step.
///
/// Source: Loshchilov & Hutter 2019, arXiv:1711.05101; the rest as [`Adam`]. Differs: the decay is scaled by the learning rate, as
/// in PyTorch, whose defaults these are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Weight of the past in the running mean of the gradient.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta1: f64,
    /// Weight of the past in the running mean of the squared gradient.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta2: f64,
    /// Added to the divisor, so that small gradients do not make large steps.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Whether epsilon is added after (`corrected`, PyTorch) or before (`raw`, Keras) the bias correction.
    pub epsilon_added_to: EpsilonPlace,
    /// Divide by the largest second moment so far, so that step sizes never grow again.
    pub amsgrad: bool,
    /// Share of the parameter, times the learning rate, that is lost at each step.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Parameters with settings of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam { learning_rate, beta1, beta2, epsilon, epsilon_added_to, amsgrad, groups, .. } = Adam::default();
        Self { learning_rate, beta1, beta2, epsilon, epsilon_added_to, amsgrad, weight_decay: 1e-2, groups }
    }
}

/// The options that both forms share.
struct Moments {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    place: EpsilonPlace,
    amsgrad: bool,
}

impl Moments {
    fn names(&self) -> Vec<&'static str> {
        if self.amsgrad { vec!["first", "second", "largest"] } else { vec!["first", "second"] }
    }

    fn check(&self, problems: &mut Problems) {
        require_fraction(problems, "beta1", self.beta1);
        require_fraction(problems, "beta2", self.beta2);
        require_epsilon(problems, self.epsilon);
    }

    fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        settings: &Settings,
    ) -> Result<()> {
        let steps = settings.count as f64;
        let root_correction = (1.0 - self.beta2.powf(steps)).sqrt();
        let mut rate = settings.learning_rate / (1.0 - self.beta1.powf(steps));
        let root_correction = match self.place {
            EpsilonPlace::Corrected => root_correction,
            EpsilonPlace::Raw => {
                rate *= root_correction;
                1.0
            }
        };
        let (beta1, beta2, epsilon) = (self.beta1, self.beta2, self.epsilon);
        let numbers = AdamNumbers { beta1, beta2, root_correction, epsilon, rate };
        if adam(parameter, gradient, moments, numbers)? {
            return Ok(());
        }
        let [first, second, largest @ ..] = moments else {
            unreachable!("Moments::names gives at least two names");
        };
        let _ = first.f_lerp_(gradient, 1.0 - beta1)?;
        let square = gradient.f_mul(gradient)?.f_mul_scalar_(1.0 - beta2)?;
        let _ = second.f_mul_scalar_(beta2)?.f_add_(&square)?;
        let second = match largest.first_mut() {
            Some(largest) => {
                *largest = largest.f_maximum(second)?;
                &*largest
            }
            None => &*second,
        };
        let divisor = second.f_sqrt()?.f_div_scalar_(root_correction)?.f_add_scalar_(epsilon)?;
        let _ = parameter.f_sub_(&first.f_div(&divisor)?.f_mul_scalar_(rate)?)?;
        Ok(())
    }
}

impl Adam {
    fn options(&self) -> Moments {
        Moments {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            place: self.epsilon_added_to,
            amsgrad: self.amsgrad,
        }
    }
}

impl AdamW {
    fn options(&self) -> Moments {
        Moments {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            place: self.epsilon_added_to,
            amsgrad: self.amsgrad,
        }
    }
}

impl Method for Adam {
    fn shared(&self) -> Shared<'_> {
        Shared { learning_rate: self.learning_rate, weight_decay: self.weight_decay, groups: &self.groups }
    }

    fn moments(&self) -> Vec<&'static str> {
        self.options().names()
    }

    fn check(&self, problems: &mut Problems) {
        self.options().check(problems);
    }

    fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        settings: &Settings,
    ) -> Result<()> {
        let gradient = with_decay(parameter, gradient, settings.weight_decay)?;
        self.options().update(parameter, &gradient, moments, settings)
    }
}

impl Method for AdamW {
    fn shared(&self) -> Shared<'_> {
        Shared { learning_rate: self.learning_rate, weight_decay: self.weight_decay, groups: &self.groups }
    }

    fn moments(&self) -> Vec<&'static str> {
        self.options().names()
    }

    fn check(&self, problems: &mut Problems) {
        self.options().check(problems);
    }

    fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        settings: &Settings,
    ) -> Result<()> {
        if settings.weight_decay != 0.0 {
            let _ = parameter.f_mul_scalar_(1.0 - settings.learning_rate * settings.weight_decay)?;
        }
        self.options().update(parameter, gradient, moments, settings)
    }
}
