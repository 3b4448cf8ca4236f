use super::stepper::{Method, Settings, Shared};
use super::{Group, require_fraction};
use crate::{Problems, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Stochastic gradient descent with momentum, dampening, Nesterov's correction and weight decay.
///
/// With gradient `g` (weight decay added), momentum `mu`, buffer `b` and learning rate `r`:
/// `b <- mu b + (1 - dampening) g`, at the first step `b <- g`; then `p <- p - r b`, or with `nesterov` `p <- p - r (g + mu b)`.
///
/// Source: Sutskever, Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum in deep learning".
/// Differs: the learning rate multiplies the buffer and not the gradient, as in PyTorch's `SGD`, whose defaults these are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Share of the buffer that is kept from step to step; 0 keeps no buffer.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub momentum: f64,
    /// Share by which the gradient is reduced when it enters the buffer, but for the first step.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dampening: f64,
    /// Look ahead by one momentum step; needs momentum above 0 and dampening 0.
    pub nesterov: bool,
    /// Multiple of the parameter added to its gradient.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Parameters with settings of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

impl Method for Sgd {
    fn shared(&self) -> Shared<'_> {
        Shared { learning_rate: self.learning_rate, weight_decay: self.weight_decay, groups: &self.groups }
    }

    fn moments(&self) -> Vec<&'static str> {
        if self.momentum > 0.0 { vec!["momentum"] } else { vec![] }
    }

    fn check(&self, problems: &mut Problems) {
        require_fraction(problems, "momentum", self.momentum);
        problems.require((0.0..=1.0).contains(&self.dampening), "dampening", self.dampening, "from 0 to 1");
        if self.nesterov {
            if self.momentum == 0.0 {
                problems.add("nesterov", "is true, but momentum is 0", "set momentum, for example to 0.9");
            }
            if self.dampening != 0.0 {
                let problem = format_args!("is {}, must be 0 when nesterov is true", self.dampening).to_string();
                problems.add("dampening", problem, "");
            }
        }
    }

    fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        settings: &Settings,
    ) -> Result<()> {
        let gradient = &with_decay(parameter, gradient, settings.weight_decay)?;
        let direction = match moments.first_mut() {
            None => gradient.shallow_clone(),
            Some(buffer) => {
                if settings.count == 1 {
                    buffer.f_copy_(gradient)?;
                } else {
                    let _ = buffer.f_mul_scalar_(self.momentum)?;
                    if self.dampening == 0.0 {
                        let _ = buffer.f_add_(gradient)?;
                    } else {
                        let _ = buffer.f_add_(&gradient.f_mul_scalar(1.0 - self.dampening)?)?;
                    }
                }
                if self.nesterov {
                    buffer.f_mul_scalar(self.momentum)?.f_add_(gradient)?
                } else {
                    buffer.shallow_clone()
                }
            }
        };
        let _ = parameter.f_sub_(&direction.f_mul_scalar(settings.learning_rate)?)?;
        Ok(())
    }
}

/// The gradient plus `weight_decay` times the parameter.
pub(super) fn with_decay(parameter: &Tensor, gradient: &Tensor, weight_decay: f64) -> Result<Tensor> {
    if weight_decay == 0.0 {
        return Ok(gradient.shallow_clone());
    }
    Ok(parameter.f_mul_scalar(weight_decay)?.f_add_(gradient)?)
}
