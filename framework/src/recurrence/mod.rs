//! The fast path for rate networks: all steps of a block of rows forward, and their explicit adjoint backward.
//!
//! With `W` the effective recurrent weights `[target, source]`, `x` the projected input plus noise, `alpha` the leak of each unit:
//!
//! | placement | step |
//! |---|---|
//! | `Drive`   | `r' = (1 - alpha) r + alpha f(W r + x)` |
//! | `Whole`   | `r' = f((1 - alpha) r + alpha (W r + x))` |
//! | `Current` | `v' = (1 - alpha) v + alpha (W f(v) + x)`, rates `f(v)` |
//!
//! The adjoint runs the same loop backward with one product per step; gradients of weights are products over many steps. On a CPU
//! both loops are native kernels, which take input weights, bias and readout with them, elsewhere tensor operations. `Whole` is folded
//! into `r' = f(r M + y)` with `M = alpha W^T + diag(1 - alpha)`, `y = alpha x`, and `Current` likewise; the folding is undone by
//! autograd, once an update for all blocks of rows together. Source: the structure (products over many steps outside the loop)
//! follows Appleyard, Kocisky & Blunsom 2016, arXiv:1604.01946.

mod activation;
mod by_kernels;
mod by_tensors;
mod folded;
mod folding;
mod gated;
mod mixed_steps;
pub(crate) mod mixing;
#[expect(unsafe_code, reason = "vector instructions, and the numbers of tensors")]
mod native;
mod sums;

pub use activation::Activation;
pub use folded::{Adjoint, Folded, Unrolled, Upstream};
pub use folding::Folding;
pub use gated::{CANDIDATE_BIAS, GATED_RECURRENT, GatedAdjoint, GatedFolding, GatedForm, GatedRun};
pub use mixed_steps::mix_steps;
pub use mixing::{Extrapolation, Mixing};
pub(crate) use native::{AdamNumbers, Compared, Comparison, adam, keep_sums, normals, sum_of_squares};
pub use native::{Gates, ResetGate};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Name of the effective recurrent weights among the prepared tensors.
pub const RECURRENT: &str = "recurrent";
/// Name of the leaks `[unit]` or `[1]` among the prepared tensors.
pub const LEAK: &str = "leak";
/// Name of the input weights `[unit, input]` among the prepared tensors, for cells with [`RateForm::linear_input`].
pub const INPUT: &str = "input.weight";
/// Name of the bias `[unit]` that goes with them, if there is one.
pub const BIAS: &str = "bias";

/// Name of the gradients of weights, input weights, bias and heads in the order in which the kernels sum them, `[number]`: laid out
/// once for all blocks of rows.
pub(crate) const SUMS: &str = "sums";

/// Where the non-linearity stands in the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// On the drive only: `r' = (1 - alpha) r + alpha f(W r + x)`. The state is a rate.
    #[default]
    Drive,
    /// Around everything, the leak included: `r' = f((1 - alpha) r + alpha (W r + x))`. The state is a rate.
    Whole,
    /// Between state and synapse: `v' = (1 - alpha) v + alpha (W f(v) + x)`. The state is a current, the rate is `f(v)`.
    Current,
}

/// The description by which a cell hands its loop over time to the fast path.
///
/// The prepared tensors must hold [`RECURRENT`] `[unit, unit]` and [`LEAK`] `[unit]` or `[1]`; projected input is `[time, batch, unit]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RateForm {
    /// Where the non-linearity stands.
    pub placement: Placement,
    /// The non-linearity.
    pub activation: Activation,
    /// Name of the state tensor.
    pub state: String,
    /// Whether [`crate::Dynamics::project`] is the product with [`INPUT`] plus [`BIAS`], so that the fast path can do it in passing.
    pub linear_input: bool,
    /// Shortcuts through time.
    pub mixing: Option<Mixing>,
    /// Whether heads read the states with `Current`, not their rates.
    pub reads_state: bool,
}

/// The heads of a network as one, `[output, unit]` and `[output]`.
#[derive(Debug)]
pub struct Read {
    /// Weights of all heads in use, one below the other.
    pub weight: Tensor,
    /// Their biases, if they have any.
    pub bias: Option<Tensor>,
}
