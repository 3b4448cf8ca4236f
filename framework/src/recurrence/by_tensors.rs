//! The loops over time in tensor operations, for any device and kind of number; the kernels are checked against them.

use super::{Folded, Placement, Swept, Unrolled, Upstream};
use crate::Result;
use tch::{Kind, Tensor};

/// Steps of the adjoint between two looks for numbers that have vanished. They are set to zero before they become subnormal,
/// which processors handle tens of times slower: a gradient that fades over 200 steps would make the whole pass slow.
const FLUSH_EVERY: usize = 4;

impl Folded {
    /// All steps from `initial` `[batch, unit]`; without gradients.
    pub(super) fn forward_by_tensors(&self, initial: &Tensor) -> Result<Unrolled> {
        let (time, batch, units) = self.input.size3()?;
        let options = (self.input.kind(), self.input.device());
        let input = self.input.detach();
        let weight = self.folding.weight.detach();
        let states = Tensor::f_empty([time + 1, batch, units], options)?;
        states.select(0, 0).f_copy_(&initial.detach())?;
        let mut rows = states.unbind(0);
        let inputs = input.unbind(0);
        let activated = match self.folding.placement {
            Placement::Whole => states.narrow(0, 1, time),
            _ => Tensor::f_empty([time, batch, units], options)?,
        };
        let mut activated_rows = activated.unbind(0);
        for t in 0..time as usize {
            let (before, after) = rows.split_at_mut(t + 1);
            let (state, next) = (&before[t], &mut after[0]);
            match self.folding.placement {
                Placement::Whole => {
                    let _ = inputs[t].f_addmm_out(next, state, &weight)?;
                    self.folding.activation.apply_in_place(next);
                }
                Placement::Drive => {
                    let a = &mut activated_rows[t];
                    let _ = inputs[t].f_addmm_out(a, state, &weight)?;
                    self.folding.activation.apply_in_place(a);
                    let _ = state.f_lerp_tensor_out(next, a, &self.folding.leak.detach())?;
                }
                Placement::Current => {
                    let a = &mut activated_rows[t];
                    a.f_copy_(state)?;
                    self.folding.activation.apply_in_place(a);
                    let _ = inputs[t].f_addmm_out(next, a, &weight)?;
                    let _ = next.f_addcmul_(state, &self.folding.keep.detach())?;
                }
            }
        }
        Ok(Unrolled { states, activated })
    }

    /// The adjoint of all steps; without gradients.
    pub(super) fn backward_by_tensors(
        &self,
        run: &Unrolled,
        upstream: &Upstream,
        window: Option<usize>,
    ) -> Result<Swept> {
        let time = self.input.size()[0] as usize;
        let weight = self.folding.weight.detach().f_transpose(0, 1)?.contiguous();
        let (leak, keep) = (self.folding.leak.detach(), self.folding.keep.detach());
        let vanished = if self.folding.weight.kind() == Kind::Double { 1e-280 } else { 1e-30 };
        let slope = self.folding.activation.slope(&run.activated);
        // With `Drive`, delta = f' alpha lambda; the constant factors are taken together once.
        let slope = if self.folding.placement == Placement::Drive { slope.f_mul(&leak)? } else { slope };
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
        let lambdas = if self.folding.needs_leak() { Some(Tensor::f_empty_like(&run.activated)?) } else { None };
        let mut lambda_rows = lambdas.as_ref().map(|l| l.unbind(0));
        for t in (0..time).rev() {
            if let Some(rows) = &mut lambda_rows {
                rows[t].f_copy_(&lambda)?;
            }
            let delta = &mut delta_rows[t];
            let cut = window.is_some_and(|w| t % w == 0) && t > 0;
            let chained = match self.folding.placement {
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
                    if cut { None } else { Some(delta.f_mm(&weight)?.f_mul_(&slopes[t])?.f_addcmul_(&lambda, &keep)?) }
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
        let units = self.folding.weight.size()[0];
        let by_unit = |t: Tensor| t.reshape([-1, units]).sum_dim_intlist(0i64, false, None::<Kind>);
        let states = run.states.narrow(0, 0, time as i64);
        let leak = lambdas.map(|l| (by_unit(&l * &run.activated), by_unit(&l * &states)));
        Ok(Swept { deltas, initial: lambda, leak })
    }
}
