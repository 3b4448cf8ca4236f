//! The loops over time in tensor operations, for any device and kind of number; the kernels are checked against them.

use super::folded::{Swept, Weights};
use super::{Folded, Placement, Unrolled, Upstream};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// Steps of the adjoint between two looks for numbers that have vanished. They are set to zero before they become subnormal,
/// which processors handle tens of times slower: a gradient that fades over 200 steps would make the whole pass slow.
const FLUSH_EVERY: usize = 4;

impl Folded {
    /// All steps from `initial` `[batch, unit]`; without gradients.
    pub(super) fn forward_by_tensors(&self, initial: &Tensor) -> Result<Unrolled> {
        let [time, batch, units] = self.shape;
        let input = self.driven()?;
        let options = (input.kind(), input.device());
        let weight = self.folding.weight.detach();
        let states = Tensor::f_empty([time + 1, batch, units], options)?;
        states.select(0, 0).f_copy_(&initial.detach())?;
        let mut rows = states.unbind(0);
        let inputs = input.unbind(0);
        let activated = match self.folding.placement {
            Placement::Whole => states.narrow(0, 1, time),
            Placement::Drive => Tensor::f_empty([time, batch, units], options)?,
            Placement::Current => Tensor::f_empty([time + 1, batch, units], options)?,
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
        if self.folding.placement == Placement::Current {
            let last = &mut activated_rows[time as usize];
            last.f_copy_(&rows[time as usize])?;
            self.folding.activation.apply_in_place(last);
        }
        Ok(Unrolled { states, activated, memory: Vec::new() })
    }

    /// What is added in each step, `[time, batch, unit]`; without gradients.
    fn driven(&self) -> Result<Tensor> {
        let detached = |t: &Option<Tensor>| t.as_ref().map(Tensor::detach);
        let added = detached(&self.added);
        let (Some(inputs), Some(weight)) = (&self.inputs, detached(&self.folding.input)) else {
            return added.ok_or_else(|| Error::Failed("a segment without input".into()));
        };
        let projected = inputs.f_matmul(&weight)?;
        [added, detached(&self.folding.bias)].iter().flatten().try_fold(projected, |sum, part| Ok(sum.f_add(part)?))
    }

    /// The adjoint of all steps; without gradients.
    pub(super) fn backward_by_tensors(
        &self,
        run: &Unrolled,
        upstream: &Upstream,
        window: Option<usize>,
    ) -> Result<Swept> {
        let [time, _, units] = self.shape;
        let weight = self.folding.weight.detach().f_transpose(0, 1)?.contiguous();
        let (leak, keep) = (self.folding.leak.detach(), self.folding.keep.detach());
        let vanished = if self.folding.weight.kind() == Kind::Double { 1e-280 } else { 1e-30 };
        let activated = run.activated.narrow(0, 0, time);
        let slope = self.folding.activation.slope(&activated);
        // With `Drive`, delta = f' alpha lambda; the constant factors are taken together once.
        let slope = if self.folding.placement == Placement::Drive { slope.f_mul(&leak)? } else { slope };
        let slopes = slope.unbind(0);
        let direct = self.direct(run, upstream)?.map(|direct| direct.unbind(0));
        let mut lambda = self.at_the_end(run, upstream, upstream.said.as_ref())?;
        let time = time as usize;
        let deltas = Tensor::f_empty_like(&activated)?;
        let mut delta_rows = deltas.unbind(0);
        let lambdas = if self.folding.needs_leak() { Some(Tensor::f_empty_like(&activated)?) } else { None };
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
        let flat = |t: &Tensor| t.reshape([-1, t.size()[2]]);
        let by_unit = |t: Tensor| flat(&t).sum_dim_intlist(0i64, false, None::<Kind>);
        let states = run.states.narrow(0, 0, time as i64);
        let leak = lambdas.map(|l| (by_unit(&l * &activated), by_unit(&l * &states)));
        let weights = match self.folding.needs_weights() {
            false => None,
            true => {
                let sources = if self.folding.placement == Placement::Current { &activated } else { &states };
                let product = |t: &Tensor| flat(t).f_transpose(0, 1)?.f_mm(&flat(&deltas));
                let input = match &self.inputs {
                    Some(inputs) => product(inputs)?,
                    None => deltas.f_new_empty([0, units], (deltas.kind(), deltas.device()))?,
                };
                Some(Weights::Apart(product(sources)?, input, by_unit(deltas.shallow_clone())))
            }
        };
        let deltas = self.added.as_ref().is_some_and(Tensor::requires_grad).then_some(deltas);
        Ok(Swept { deltas, weights, initial: lambda, leak })
    }

    /// Gradient with respect to every state but the last, `[time, batch, unit]`, from the states themselves and from what is said.
    fn direct(&self, run: &Unrolled, upstream: &Upstream) -> Result<Option<Tensor>> {
        let time = self.shape[0];
        let every = upstream.every.as_ref().map(|every| every.f_narrow(0, 0, time)).transpose()?;
        let said = upstream.said.as_ref().filter(|said| said.size()[0] == time);
        let (Some(said), Some(weight)) = (said, &self.folding.readout) else { return Ok(every) };
        // Nothing is said of the first state.
        let mut through = said.f_narrow(0, 0, time - 1)?.f_matmul(&weight.detach())?;
        if self.folding.placement == Placement::Current {
            through = through.f_mul(&self.folding.activation.slope(&run.activated.f_narrow(0, 1, time - 1)?))?;
        }
        let through = through.f_constant_pad_nd([0, 0, 0, 0, 1, 0])?;
        Ok(Some(match every {
            Some(every) => every.f_add(&through)?,
            None => through,
        }))
    }
}
