use super::sgd::with_decay;
use super::stepper::{Method, Settings, Shared};
use super::{Group, require_epsilon, require_fraction};
use crate::{Problems, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// RMSprop: gradients divided by the root of a running mean of their squares.
///
/// With gradient `g` (weight decay added), `s <- alpha s + (1 - alpha) g^2`, and learning rate `r`: `p <- p - r b` where
/// `b = g / (sqrt(s) + epsilon)`, or with momentum `b <- momentum b + g / (sqrt(s) + epsilon)`. With `centered`, `s` is replaced
/// by `s - a^2` where `a` is the running mean of `g` itself: the variance of the gradient in place of its second moment.
///
/// Source: Tieleman & Hinton 2012, lecture 6.5; `centered`: Graves 2013, arXiv:1308.0850. Defaults as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Weight of the past in the running means.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub alpha: f64,
    /// Added to the root, so that small gradients do not make large steps.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Share of the last step that is kept; 0 keeps no buffer.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub momentum: f64,
    /// Divide by the standard deviation of the gradient in place of its root mean square.
    pub centered: bool,
    /// Multiple of the parameter added to its gradient.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Parameters with settings of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            alpha: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
            centered: false,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

impl Method for RmsProp {
    fn shared(&self) -> Shared<'_> {
        Shared { learning_rate: self.learning_rate, weight_decay: self.weight_decay, groups: &self.groups }
    }

    fn moments(&self) -> Vec<&'static str> {
        let mut names = vec!["second"];
        if self.centered {
            names.push("first");
        }
        if self.momentum > 0.0 {
            names.push("momentum");
        }
        names
    }

    fn check(&self, problems: &mut Problems) {
        require_fraction(problems, "alpha", self.alpha);
        require_fraction(problems, "momentum", self.momentum);
        require_epsilon(problems, self.epsilon);
    }

    fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        settings: &Settings,
    ) -> Result<()> {
        let gradient = &with_decay(parameter, gradient, settings.weight_decay)?;
        let mut moments = moments.iter_mut();
        let mut next = || moments.next().expect("as many moments as RmsProp::moments names");
        let second = next();
        let square = gradient.f_mul(gradient)?.f_mul_scalar_(1.0 - self.alpha)?;
        let _ = second.f_mul_scalar_(self.alpha)?.f_add_(&square)?;
        let mut divisor = if self.centered {
            let first = next();
            let _ = first.f_lerp_(gradient, 1.0 - self.alpha)?;
            second.f_sub(&first.f_mul(first)?)?.f_sqrt_()?
        } else {
            second.f_sqrt()?
        };
        let scaled = gradient.f_div(&divisor.f_add_scalar_(self.epsilon)?)?;
        let direction = if self.momentum > 0.0 {
            let buffer = next();
            let _ = buffer.f_mul_scalar_(self.momentum)?.f_add_(&scaled)?;
            buffer.shallow_clone()
        } else {
            scaled
        };
        let _ = parameter.f_sub_(&direction.f_mul_scalar(settings.learning_rate)?)?;
        Ok(())
    }
}
