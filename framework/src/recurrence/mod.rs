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
//! the loop. `Whole` is folded into `r' = f(r M + y)` with `M = alpha W^T + diag(1 - alpha)`, `y = alpha x`, and `Current` likewise;
//! the folding is undone by autograd, once an update. Source: the structure (input projection hoisted, products after the loop)
//! follows Appleyard, Kocisky & Blunsom 2016, arXiv:1604.01946.

mod activation;

pub use activation::Activation;

use crate::{Result, Tensors};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

/// Steps of the adjoint between two looks for numbers that have vanished. They are set to zero before they become subnormal,
/// which processors handle tens of times slower: a gradient that fades over 200 steps would make the whole pass slow.
const FLUSH_EVERY: usize = 4;

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

/// The tensors of one unrolling, folded for its placement; they carry autograd history when the prepared tensors do.
pub struct Folded {
    placement: Placement,
    activation: Activation,
    /// `[source, target]`: what the state (or rate) is multiplied with from the right.
    weight: Tensor,
    /// `[time, batch, unit]`: what is added in each step.
    input: Tensor,
    /// Leak and its complement, `[unit]` or `[1]`; used by `Drive` and `Current`.
    leak: Tensor,
    keep: Tensor,
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
    weight: Tensor,
    input: Tensor,
    leak: Option<Tensor>,
    keep: Option<Tensor>,
    /// With respect to the initial state, `[batch, unit]`.
    pub initial: Tensor,
}

/// Whether a leak is the constant 1, so that nothing is kept from the last state (Elman networks).
fn without_memory(leak: &Tensor) -> bool {
    leak.numel() == 1 && !leak.requires_grad() && leak.double_value(&[0]) == 1.0
}

impl Folded {
    /// Fold prepared tensors and the projected input of all steps.
    ///
    /// # Errors
    /// When a prepared tensor is missing or shapes do not fit.
    pub fn new(form: &RateForm, prepared: &Tensors, input: &Tensor) -> Result<Self> {
        let weight = prepared.get(RECURRENT)?.f_transpose(0, 1)?;
        let leak = prepared.get(LEAK)?.shallow_clone();
        let keep = leak.neg() + 1.0;
        let mut placement = form.placement;
        if placement == Placement::Drive && without_memory(&leak) {
            // r' = f(W r + x) is the cheaper loop.
            placement = Placement::Whole;
        }
        let (weight, input) = match placement {
            Placement::Drive => (weight, input.shallow_clone()),
            Placement::Whole if without_memory(&leak) => (weight, input.shallow_clone()),
            Placement::Whole => {
                let units = weight.size()[0];
                let keep_all = keep.f_expand([units], false)?;
                (weight.f_mul(&leak)?.f_add(&keep_all.diag(0))?, input.f_mul(&leak)?)
            }
            Placement::Current => (weight.f_mul(&leak)?, input.f_mul(&leak)?),
        };
        Ok(Self { placement, activation: form.activation, weight, input, leak, keep })
    }

    /// Run all steps from `initial` `[batch, unit]`, outside autograd.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, initial: &Tensor) -> Result<Unrolled> {
        no_grad(|| {
            let (time, batch, units) = self.input.size3()?;
            let options = (self.input.kind(), self.input.device());
            let input = self.input.detach();
            let weight = self.weight.detach();
            let states = Tensor::f_empty([time + 1, batch, units], options)?;
            states.select(0, 0).f_copy_(&initial.detach())?;
            let mut rows = states.unbind(0);
            let inputs = input.unbind(0);
            let activated = match self.placement {
                Placement::Whole => states.narrow(0, 1, time),
                _ => Tensor::f_empty([time, batch, units], options)?,
            };
            let mut activated_rows = activated.unbind(0);
            for t in 0..time as usize {
                let (before, after) = rows.split_at_mut(t + 1);
                let (state, next) = (&before[t], &mut after[0]);
                match self.placement {
                    Placement::Whole => {
                        let _ = inputs[t].f_addmm_out(next, state, &weight)?;
                        self.activation.apply_in_place(next);
                    }
                    Placement::Drive => {
                        let a = &mut activated_rows[t];
                        let _ = inputs[t].f_addmm_out(a, state, &weight)?;
                        self.activation.apply_in_place(a);
                        let _ = state.f_lerp_tensor_out(next, a, &self.leak.detach())?;
                    }
                    Placement::Current => {
                        let a = &mut activated_rows[t];
                        a.f_copy_(state)?;
                        self.activation.apply_in_place(a);
                        let _ = inputs[t].f_addmm_out(next, a, &weight)?;
                        let _ = next.f_addcmul_(state, &self.keep.detach())?;
                    }
                }
            }
            Ok(Unrolled { states, activated })
        })
    }

    /// Run the adjoint of all steps. `window` cuts the chain: no gradient crosses a step whose number is a multiple of it.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn backward(&self, run: &Unrolled, upstream: &Upstream, window: Option<usize>) -> Result<Adjoint> {
        no_grad(|| {
            let time = self.input.size()[0] as usize;
            let weight = self.weight.detach().f_transpose(0, 1)?.contiguous();
            let (leak, keep) = (self.leak.detach(), self.keep.detach());
            let needs_leak = self.placement != Placement::Whole && self.leak.requires_grad();
            let vanished = if self.weight.kind() == Kind::Double { 1e-280 } else { 1e-30 };
            let slope = self.activation.slope(&run.activated);
            // With `Drive`, delta = f' alpha lambda; the constant factors are taken together once.
            let slope = if self.placement == Placement::Drive { slope.f_mul(&leak)? } else { slope };
            let slopes = slope.unbind(0);
            let direct = match upstream {
                Upstream::Every(g) => Some(g.unbind(0)),
                Upstream::Final(_) => None,
            };
            let mut lambda = match (upstream, &direct) {
                (Upstream::Final(g), _) => g.copy(),
                (_, Some(direct)) => direct[time].copy(),
                _ => run.states.select(0, time as i64).zeros_like(),
            };
            let deltas = Tensor::f_empty_like(&run.activated)?;
            let mut delta_rows = deltas.unbind(0);
            let lambdas = if needs_leak { Some(Tensor::f_empty_like(&run.activated)?) } else { None };
            let mut lambda_rows = lambdas.as_ref().map(|l| l.unbind(0));
            for t in (0..time).rev() {
                if let Some(rows) = &mut lambda_rows {
                    rows[t].f_copy_(&lambda)?;
                }
                let delta = &mut delta_rows[t];
                let cut = window.is_some_and(|w| t % w == 0) && t > 0;
                let chained = match self.placement {
                    Placement::Whole => {
                        let _ = lambda.f_mul_out(delta, &slopes[t])?;
                        if cut { None } else { Some(delta.f_mm(&weight)?) }
                    }
                    Placement::Drive => {
                        let _ = lambda.f_mul_out(delta, &slopes[t])?;
                        if cut { None } else { Some(lambda.f_mul(&keep)?.f_addmm_(delta, &weight)?) }
                    }
                    Placement::Current => {
                        delta.f_copy_(&lambda)?;
                        if cut {
                            None
                        } else {
                            Some(delta.f_mm(&weight)?.f_mul_(&slopes[t])?.f_addcmul_(&lambda, &keep)?)
                        }
                    }
                };
                lambda = match (chained, &direct) {
                    (Some(mut chained), Some(direct)) => chained.f_add_(&direct[t])?,
                    (Some(chained), None) => chained,
                    (None, Some(direct)) => direct[t].copy(),
                    (None, None) => lambda.zeros_like(),
                };
                if t % FLUSH_EVERY == 0 {
                    // This is hardshrink, whose bound tch does not hand through: zero where |lambda| is within the bound.
                    lambda = lambda.f_hardshrink_backward(&lambda, vanished)?;
                }
            }
            let units = self.weight.size()[0];
            let flat = |t: &Tensor| t.reshape([-1, units]);
            let sources = match self.placement {
                Placement::Current => run.activated.shallow_clone(),
                _ => run.states.narrow(0, 0, time as i64),
            };
            let by_unit = |t: Tensor, like: &Tensor| {
                let sum = flat(&t).sum_dim_intlist(0i64, false, None::<Kind>);
                if like.numel() == 1 { sum.sum(None::<Kind>).reshape(like.size()) } else { sum }
            };
            let states = run.states.narrow(0, 0, time as i64);
            let (leak_gradient, keep_gradient) = match (&lambdas, self.placement) {
                // r' = keep r + leak a, where a's own dependence on leak is none.
                (Some(l), Placement::Drive) => {
                    (Some(by_unit(l * &run.activated, &self.leak)), Some(by_unit(l * &states, &self.keep)))
                }
                (Some(l), Placement::Current) => (None, Some(by_unit(l * &states, &self.keep))),
                _ => (None, None),
            };
            Ok(Adjoint {
                weight: flat(&sources).f_transpose(0, 1)?.f_mm(&flat(&deltas))?,
                input: deltas,
                leak: leak_gradient,
                keep: keep_gradient,
                initial: lambda,
            })
        })
    }

    /// A scalar whose gradient with respect to the prepared tensors and the projected input is the one in `adjoint`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn surrogate(&self, adjoint: &Adjoint) -> Result<Tensor> {
        let inner = |x: &Tensor, g: &Tensor| -> Result<Tensor> { Ok(x.f_reshape([-1])?.f_dot(&g.f_reshape([-1])?)?) };
        let mut sum = inner(&self.weight, &adjoint.weight)? + inner(&self.input, &adjoint.input)?;
        if let Some(g) = &adjoint.leak {
            sum += inner(&self.leak, g)?;
        }
        if let Some(g) = &adjoint.keep {
            sum += inner(&self.keep, g)?;
        }
        Ok(sum)
    }
}
