//! Non-linearities of units, with slopes computed from the activated value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// A non-linearity `a = f(z)`. Every slope is a function of `a` alone, so the fast path stores one tensor per step, not two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Activation {
    /// `tanh z`
    #[default]
    Tanh,
    /// `max(z, 0)`
    Relu,
    /// `z` above 0, `0.01 z` below.
    LeakyRelu,
    /// `1 / (1 + exp(-z))`
    Sigmoid,
    /// `ln(1 + exp z)`
    Softplus,
    /// `max(tanh z, 0)`
    Retanh,
    /// `max(z, 0)^2`, the supralinear transfer function of cortical circuit models.
    PowerLaw,
    /// `min(max(z + 2, 0), 20)`, rectified below -2 and saturating at 20: rates of excitatory and inhibitory networks.
    /// Source: Mastrogiuseppe & Ostojic 2017, doi:10.1371/journal.pcbi.1005498; the numbers are Miconi's 2017, doi:10.7554/eLife.20899.
    Saturating,
    /// `z`
    Identity,
}

/// Below the negative of it, saturating units are silent.
pub(super) const THRESHOLD: f64 = 2.0;

/// Largest rate of saturating units.
pub(super) const CEILING: f64 = 20.0;

/// Slope of the leaky rectifier below zero.
pub(super) const LEAK: f64 = 0.01;

impl Activation {
    /// `f(z)`, differentiable by autograd.
    pub fn apply(self, z: &Tensor) -> Tensor {
        match self {
            Self::Tanh => z.tanh(),
            Self::Relu => z.relu(),
            // Equal to leaky_relu for slopes below one, and its slope at 0 agrees with `slope` below.
            Self::LeakyRelu => z.leaky_relu(),
            Self::Sigmoid => z.sigmoid(),
            Self::Softplus => z.softplus(),
            Self::Retanh => z.tanh().relu(),
            Self::PowerLaw => z.relu().square(),
            Self::Saturating => (z + THRESHOLD).clamp(0.0, CEILING),
            Self::Identity => z.shallow_clone(),
        }
    }

    /// Overwrite `z` with `f(z)`; no gradient.
    pub fn apply_in_place(self, z: &mut Tensor) {
        match self {
            Self::Tanh => drop(z.tanh_()),
            Self::Relu => drop(z.relu_()),
            Self::LeakyRelu => drop(z.leaky_relu_()),
            Self::Sigmoid => drop(z.sigmoid_()),
            Self::Softplus => {
                let a = z.softplus();
                z.copy_(&a);
            }
            Self::Retanh => drop(z.tanh_().relu_()),
            Self::PowerLaw => drop(z.relu_().square_()),
            Self::Saturating => drop(z.g_add_scalar_(THRESHOLD).clamp_(0.0, CEILING)),
            Self::Identity => {}
        }
    }

    /// `f'(z)` from `a = f(z)`.
    pub fn slope(self, a: &Tensor) -> Tensor {
        match self {
            Self::Tanh => a.square().neg() + 1.0,
            Self::Relu => a.gt(0.0).to_kind(a.kind()),
            Self::LeakyRelu => a.gt(0.0).to_kind(a.kind()) * (1.0 - LEAK) + LEAK,
            Self::Sigmoid => a * (a.neg() + 1.0),
            Self::Softplus => a.neg().exp().neg() + 1.0,
            Self::Retanh => a.gt(0.0).to_kind(a.kind()) * (a.square().neg() + 1.0),
            Self::PowerLaw => a.sqrt() * 2.0,
            Self::Saturating => a.gt(0.0).logical_and(&a.lt(CEILING)).to_kind(a.kind()),
            Self::Identity => a.ones_like(),
        }
    }

    /// `f(x)` of one number.
    pub fn scalar(self, x: f64) -> f64 {
        match self {
            Self::Tanh => x.tanh(),
            Self::Relu => x.max(0.0),
            Self::LeakyRelu => x.max(LEAK * x),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Retanh => x.tanh().max(0.0),
            Self::PowerLaw => x.max(0.0).powi(2),
            Self::Saturating => (x + THRESHOLD).clamp(0.0, CEILING),
            Self::Identity => x,
        }
    }
}

#[cfg(test)]
pub(crate) const ALL: [Activation; 9] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::Retanh,
    Activation::PowerLaw,
    Activation::Saturating,
    Activation::Identity,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_meet_central_differences() {
        let points = [-2.5, -0.7, -0.1, 0.2, 0.9, 3.0];
        for activation in ALL {
            let z = Tensor::from_slice(&points);
            let a = activation.apply(&z);
            let slope = activation.slope(&a);
            let mut overwritten = z.copy();
            activation.apply_in_place(&mut overwritten);
            for (i, x) in points.into_iter().enumerate() {
                let i = i as i64;
                let h = 1e-5;
                let expected = (activation.scalar(x + h) - activation.scalar(x - h)) / (2.0 * h);
                // central differences at h = 1e-5 are good to about 1e-9
                assert!((slope.double_value(&[i]) - expected).abs() < 1e-8, "{activation:?} at {x}");
                assert!((a.double_value(&[i]) - activation.scalar(x)).abs() < 1e-14, "{activation:?} at {x}");
                assert_eq!(a.double_value(&[i]), overwritten.double_value(&[i]), "{activation:?} at {x}");
            }
        }
    }

    #[test]
    fn saturating_units_are_flat_beyond_both_ends() {
        let z = Tensor::from_slice(&[-9.0, -2.5, 17.5, 18.5, 90.0]);
        let a = Activation::Saturating.apply(&z);
        assert_eq!(crate::tensors::values_f64(&a), [0.0, 0.0, 19.5, 20.0, 20.0]);
        assert_eq!(crate::tensors::values_f64(&Activation::Saturating.slope(&a)), [0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
