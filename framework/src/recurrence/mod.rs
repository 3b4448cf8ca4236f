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
//! The adjoint runs the same loop backward with one product per step; gradients of weights are one product over all steps after
//! the loop. On a CPU both loops are native kernels, elsewhere tensor operations. `Whole` is folded into `r' = f(r M + y)` with `M = alpha W^T + diag(1 - alpha)`, `y = alpha x`, and `Current` likewise;
//! the folding is undone by autograd, once an update for all blocks of rows together. Source: the structure (input projection hoisted, products after the loop)
//! follows Appleyard, Kocisky & Blunsom 2016, arXiv:1604.01946.

mod activation;
mod by_kernels;
mod by_tensors;
#[expect(unsafe_code, reason = "vector instructions, and the numbers of tensors")]
mod native;

pub use activation::Activation;

use crate::{Result, Tensors};
use by_kernels::Packed;
use native::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::{Device, Kind, Tensor, no_grad};

/// Name of the effective recurrent weights among the prepared tensors.
pub const RECURRENT: &str = "recurrent";
/// Name of the leaks `[unit]` or `[1]` among the prepared tensors.
pub const LEAK: &str = "leak";

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
}

/// The recurrent tensors of a network, folded for its placement; they carry autograd history when the prepared tensors do.
pub struct Folding {
    placement: Placement,
    activation: Activation,
    /// `[source, target]`: what the state (or rate) is multiplied with from the right.
    weight: Tensor,
    /// Leak and its complement, `[unit]` or `[1]`; used by `Drive` and `Current`.
    leak: Tensor,
    keep: Tensor,
    /// For the kernels, shared by all blocks of rows.
    packed: Option<Arc<Packed>>,
}

/// A folding and the input of one segment.
pub struct Folded {
    folding: Folding,
    /// `[time, batch, unit]`: what is added in each step.
    input: Tensor,
}

/// What a forward pass leaves for the backward pass.
pub struct Unrolled {
    /// States, `[time + 1, batch, unit]`, the initial one first.
    pub states: Tensor,
    /// `f(z)` of every step, `[time, batch, unit]`; for `Whole` this is a view of the states.
    activated: Tensor,
}

/// Gradient of the loss with respect to the states.
pub enum Upstream {
    /// With respect to the last state only, `[batch, unit]`.
    Final(Tensor),
    /// With respect to every state, `[time + 1, batch, unit]`.
    Every(Tensor),
}

/// Gradients with respect to the folded tensors.
pub struct Adjoint {
    /// By the names of [`Folding::tensors`].
    pub folded: Tensors,
    /// With respect to the input of [`Folded::input`], `[time, batch, unit]`.
    pub input: Tensor,
    /// With respect to the initial state, `[batch, unit]`.
    pub initial: Tensor,
}

/// What the loop backward leaves.
struct Swept {
    /// Gradient with respect to the added input, `[time, batch, unit]`.
    deltas: Tensor,
    /// With respect to the initial state, `[batch, unit]`.
    initial: Tensor,
    /// Sums over steps and rows of lambda times `f(z)`, and of lambda times the state, `[unit]`, where the leak is learned.
    leak: Option<(Tensor, Tensor)>,
}

/// Whether a leak is the constant 1, so that nothing is kept from the last state (Elman networks).
fn without_memory(leak: &Tensor) -> bool {
    leak.numel() == 1 && !leak.requires_grad() && leak.double_value(&[0]) == 1.0
}

impl Folding {
    /// Fold prepared tensors.
    ///
    /// # Errors
    /// When a prepared tensor is missing or shapes do not fit.
    pub fn new(form: &RateForm, prepared: &Tensors) -> Result<Self> {
        let weight = prepared.get(RECURRENT)?.f_transpose(0, 1)?;
        let leak = prepared.get(LEAK)?.shallow_clone();
        let keep = leak.neg() + 1.0;
        let mut placement = form.placement;
        if placement == Placement::Drive && without_memory(&leak) {
            // r' = f(W r + x) is the cheaper loop.
            placement = Placement::Whole;
        }
        let weight = match placement {
            Placement::Drive => weight,
            Placement::Whole if without_memory(&leak) => weight,
            Placement::Whole => {
                let units = weight.size()[0];
                weight.f_mul(&leak)?.f_add(&keep.f_expand([units], false)?.diag(0))?
            }
            Placement::Current => weight.f_mul(&leak)?,
        };
        Ok(Self { placement, activation: form.activation, weight, leak, keep, packed: None })
    }

    /// Lay the numbers out for the kernels, where there are any for them; for the way back, too, if it will be gone.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn pack(&mut self, backward: bool) -> Result<()> {
        self.packed = self.has_kernels().then(|| self.packed(Level::best(), backward)).transpose()?.map(Arc::new);
        Ok(())
    }

    /// Handles without history, of which those that had one are leaves of a graph to come.
    pub fn leaves(&self) -> Self {
        let leaf = |t: &Tensor| t.detach().set_requires_grad(t.requires_grad());
        Self {
            placement: self.placement,
            activation: self.activation,
            weight: leaf(&self.weight),
            leak: leaf(&self.leak),
            keep: leaf(&self.keep),
            packed: self.packed.clone(),
        }
    }

    /// Its tensors: `weight`, `leak`, `keep`.
    pub fn tensors(&self) -> Tensors {
        Tensors::from([
            ("weight", self.weight.shallow_clone()),
            ("leak", self.leak.shallow_clone()),
            ("keep", self.keep.shallow_clone()),
        ])
    }

    /// Whether the native kernels can do it: on a CPU, in a precision that they have.
    fn has_kernels(&self) -> bool {
        self.weight.device() == Device::Cpu && matches!(self.weight.kind(), Kind::Float | Kind::Double)
    }

    /// Whether the leak is learned and stands in the step itself.
    fn needs_leak(&self) -> bool {
        self.placement != Placement::Whole && self.leak.requires_grad()
    }
}

impl Folded {
    /// Fold the projected input of all steps.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn new(folding: &Folding, projected: &Tensor) -> Result<Self> {
        let input = match folding.placement {
            Placement::Drive => projected.shallow_clone(),
            Placement::Whole if without_memory(&folding.leak) => projected.shallow_clone(),
            Placement::Whole | Placement::Current => projected.f_mul(&folding.leak)?,
        };
        let folding = Folding {
            weight: folding.weight.shallow_clone(),
            leak: folding.leak.shallow_clone(),
            keep: folding.keep.shallow_clone(),
            packed: folding.packed.clone(),
            ..*folding
        };
        Ok(Self { folding, input })
    }

    /// What is added in each step, `[time, batch, unit]`, with its history.
    pub fn input(&self) -> &Tensor {
        &self.input
    }

    /// Run all steps from `initial` `[batch, unit]`, outside autograd.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, initial: &Tensor) -> Result<Unrolled> {
        no_grad(|| {
            if self.folding.has_kernels() { self.forward_by_kernels(initial) } else { self.forward_by_tensors(initial) }
        })
    }

    /// Run the adjoint of all steps. `window` cuts the chain: no gradient crosses a step whose number is a multiple of it.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn backward(&self, run: &Unrolled, upstream: &Upstream, window: Option<usize>) -> Result<Adjoint> {
        no_grad(|| {
            let swept = match self.folding.has_kernels() {
                true => self.backward_by_kernels(run, upstream, window)?,
                false => self.backward_by_tensors(run, upstream, window)?,
            };
            self.adjoint(run, swept)
        })
    }

    /// Gradients of the folded tensors, with those of the weights as one product over all steps.
    fn adjoint(&self, run: &Unrolled, swept: Swept) -> Result<Adjoint> {
        let folding = &self.folding;
        let units = folding.weight.size()[0];
        let time = self.input.size()[0];
        let flat = |t: &Tensor| t.reshape([-1, units]);
        let sources = match folding.placement {
            Placement::Current => run.activated.shallow_clone(),
            _ => run.states.narrow(0, 0, time),
        };
        let like = |sum: Tensor, like: &Tensor| match like.numel() {
            1 => sum.sum(None::<Kind>).reshape(like.size()),
            _ => sum,
        };
        let mut folded = Tensors::from([("weight", flat(&sources).f_transpose(0, 1)?.f_mm(&flat(&swept.deltas))?)]);
        if let Some((activated, state)) = swept.leak {
            if folding.placement == Placement::Drive {
                // r' = keep r + leak a, where a's own dependence on leak is none.
                folded.insert("leak", like(activated, &folding.leak));
            }
            folded.insert("keep", like(state, &folding.keep));
        }
        Ok(Adjoint { folded, input: swept.deltas, initial: swept.initial })
    }
}
