//! All steps of a segment forward, and their adjoint.

use super::folding::without_memory;
use super::{Folding, Placement, SUMS};
use crate::{Error, Result, Tensors};
use std::ops::Range;
use tch::{Kind, Tensor, no_grad};

/// A folding and the input of one segment.
pub struct Folded {
    pub(super) folding: Folding,
    /// `[time, batch, input]`, where the input is linear.
    pub(super) inputs: Option<Tensor>,
    /// `[time, batch, unit]`: what is added in each step beside that, with its history.
    pub(super) added: Option<Tensor>,
    /// `[time, batch, unit]`
    pub(super) shape: [i64; 3],
}

/// What a forward pass leaves for the backward pass.
pub struct Unrolled {
    /// States, `[time + 1, batch, unit]`, the initial one first.
    pub states: Tensor,
    /// `f(z)` of every step with `Drive`, `[time, batch, unit]`; of every state with `Current`; a view of the states with `Whole`.
    pub(super) activated: Tensor,
    /// What both lie in, where that can be used again.
    pub(super) memory: Vec<Tensor>,
}

/// Gradient of the loss with respect to what a segment leaves; what is missing is zero.
#[derive(Default)]
pub struct Upstream {
    /// With respect to the last state, from what follows, `[batch, unit]`.
    pub last: Option<Tensor>,
    /// With respect to every state, `[time + 1, batch, unit]`.
    pub every: Option<Tensor>,
    /// With respect to what heads say of the states after each step, `[time, batch, output]`, or `[1, batch, output]` of the last.
    pub said: Option<Tensor>,
}

/// Gradients with respect to the folded tensors.
pub struct Adjoint {
    /// By the names of [`Folding::tensors`]; those of weights and heads together as [`SUMS`] where kernels
    /// summed them.
    pub folded: Tensors,
    /// With respect to what is added in each step, `[time, batch, unit]`, where that has a history.
    pub added: Option<Tensor>,
    /// With respect to the initial state, `[batch, unit]`.
    pub initial: Tensor,
}

/// What the loop backward leaves.
pub(super) struct Swept {
    /// Gradient with respect to the added input, `[time, batch, unit]`, where it is wanted.
    pub(super) deltas: Option<Tensor>,
    /// With respect to the weights, where any is learned.
    pub(super) weights: Option<Weights>,
    /// With respect to the initial state, `[batch, unit]`.
    pub(super) initial: Tensor,
    /// Sums over steps and rows of lambda times `f(z)`, and of lambda times the state, `[unit]`, where the leak is learned.
    pub(super) leak: Option<(Tensor, Tensor)>,
}

/// Gradients with respect to weights, input weights (no rows without them) and bias as they are folded.
pub(super) enum Weights {
    /// One by one.
    Apart(Tensor, Tensor, Tensor),
    /// As the kernels sum them: [`SUMS`].
    Summed(Tensor),
}

impl Folded {
    /// Fold the input of all steps: the trials' own `[time, batch, input]` where the cell's input is linear, and what is added to it
    /// `[time, batch, unit]`: noise, or everything where it is not.
    ///
    /// # Errors
    /// When both are missing or shapes do not fit.
    pub fn new(folding: &Folding, inputs: Option<&Tensor>, added: Option<&Tensor>) -> Result<Self> {
        let units = folding.weight.size()[0];
        let like = inputs.or(added).ok_or_else(|| Error::Failed("a segment without input".into()))?;
        let (time, batch, _) = like.size3()?;
        let fits = |t: Option<&Tensor>, width: i64| t.is_none_or(|t| t.size() == [time, batch, width]);
        let channels = folding.input.as_ref().map_or(0, |input| input.size()[0]);
        if folding.input.is_some() != inputs.is_some() || !fits(inputs, channels) || !fits(added, units) {
            return Err(Error::Shape {
                what: "input of the network".into(),
                expected: format!("{:?}", [time, batch, if inputs.is_some() { channels } else { units }]),
                found: format!("{:?}", like.size()),
            });
        }
        let scaled = folding.placement != Placement::Drive && !without_memory(&folding.leak);
        let added = match added {
            Some(added) if scaled => Some(added.f_mul(&folding.leak)?),
            added => added.map(Tensor::shallow_clone),
        };
        let inputs = inputs.map(Tensor::shallow_clone);
        Ok(Self { folding: folding.handles(), inputs, added, shape: [time, batch, units] })
    }

    /// Number of steps.
    pub(crate) fn time(&self) -> usize {
        self.shape[0] as usize
    }

    /// Some of the steps; what is added to them has no history, but is differentiated where it had one.
    pub(crate) fn part(&self, steps: &Range<usize>) -> Result<Self> {
        let narrow = |t: &Tensor| t.f_narrow(0, steps.start as i64, steps.len() as i64);
        let leaf = |t: &Tensor| Ok::<_, Error>(narrow(&t.detach())?.set_requires_grad(t.requires_grad()));
        let [_, batch, units] = self.shape;
        Ok(Self {
            folding: self.folding.handles(),
            inputs: self.inputs.as_ref().map(narrow).transpose()?,
            added: self.added.as_ref().map(leaf).transpose()?,
            shape: [steps.len() as i64, batch, units],
        })
    }

    /// New handles to the same tensors.
    pub(crate) fn shallow_clone(&self) -> Self {
        let clone = |t: &Option<Tensor>| t.as_ref().map(Tensor::shallow_clone);
        Self {
            folding: self.folding.handles(),
            inputs: clone(&self.inputs),
            added: clone(&self.added),
            shape: self.shape,
        }
    }

    /// Bytes that the states of all steps take, and what is kept beside them, of one row.
    pub(crate) fn bytes_of_row(&self) -> u64 {
        let [time, _, units] = self.shape;
        let (copies, size) = (
            if self.folding.placement == Placement::Whole { 1 } else { 2 },
            if self.folding.weight.kind() == Kind::Double { 8 } else { 4 },
        );
        (time * units * copies * size) as u64
    }

    /// What is added in each step beside linear input, `[time, batch, unit]`, with its history.
    pub fn added(&self) -> Option<&Tensor> {
        self.added.as_ref()
    }

    /// Run all steps from `initial` `[batch, unit]`, outside autograd.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, initial: &Tensor) -> Result<Unrolled> {
        self.fits(initial)?;
        no_grad(|| {
            if self.folding.has_kernels() { self.forward_by_kernels(initial) } else { self.forward_by_tensors(initial) }
        })
    }

    /// Run all steps from `initial` `[batch, unit]`, outside autograd, and keep the last state alone, `[batch, unit]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn last(&self, initial: &Tensor) -> Result<Tensor> {
        self.fits(initial)?;
        no_grad(|| {
            if self.folding.has_kernels() {
                return self.last_by_kernels(initial);
            }
            Ok(self.forward_by_tensors(initial)?.states.select(0, self.shape[0]).copy())
        })
    }

    fn fits(&self, initial: &Tensor) -> Result<()> {
        let expected = [self.shape[1], self.shape[2]];
        if initial.size() == expected {
            return Ok(());
        }
        Err(Error::Shape {
            what: "the initial state".into(),
            expected: format!("{expected:?}"),
            found: format!("{:?}", initial.size()),
        })
    }

    /// The rates after some steps, from `first` on, `[step, batch, unit]`; outside autograd.
    ///
    /// # Errors
    /// When the run is of another segment.
    pub fn rates(&self, run: &Unrolled, first: i64) -> Result<Tensor> {
        let activated = self.folding.placement == Placement::Current && !self.folding.reads_state;
        let all = if activated { &run.activated } else { &run.states };
        Ok(all.f_narrow(0, first + 1, self.shape[0] - first)?)
    }

    /// What heads say after some steps, from `first` on, `[step, batch, output]`; outside autograd.
    ///
    /// # Errors
    /// When there is no readout.
    pub fn read(&self, run: &Unrolled, first: i64) -> Result<Tensor> {
        let weight = self.folding.readout.as_ref().ok_or_else(|| Error::Failed("a network without heads".into()))?;
        no_grad(|| {
            let rates = self.rates(run, first)?;
            match self.folding.has_kernels() {
                true => self.read_by_kernels(weight, &rates),
                false => Ok(rates.f_linear(weight, self.folding.readout_bias.as_ref())?),
            }
        })
    }

    /// Run the adjoint of all steps. `window` cuts the chain: no gradient crosses a step whose number is a multiple of it.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn backward(&self, run: &Unrolled, upstream: &Upstream, window: Option<usize>) -> Result<Adjoint> {
        no_grad(|| {
            let through = self.folding.reads_state.then(|| self.through_states(run, upstream)).transpose()?;
            let inner = through.as_ref().unwrap_or(upstream);
            let swept = match self.folding.has_kernels() {
                true => self.backward_by_kernels(run, inner, window)?,
                false => self.backward_by_tensors(run, inner, window)?,
            };
            self.adjoint(run, upstream, swept)
        })
    }

    /// What heads say of the states, carried to the states: the loops know heads of rates alone.
    fn through_states(&self, run: &Unrolled, upstream: &Upstream) -> Result<Upstream> {
        let last = upstream.last.as_ref().map(Tensor::shallow_clone);
        let every = match &upstream.every {
            Some(every) => every.copy(),
            None => run.states.f_zeros_like()?,
        };
        if let (Some(said), Some(weight)) = (&upstream.said, &self.folding.readout) {
            let steps = said.size()[0];
            drop(every.f_narrow(0, self.shape[0] + 1 - steps, steps)?.f_add_(&said.f_matmul(weight)?)?);
        }
        Ok(Upstream { last, every: Some(every), said: None })
    }

    /// Gradient with respect to the last state, in memory of its own: from what follows, from the state itself, and from what was `said`.
    pub(super) fn at_the_end(&self, run: &Unrolled, upstream: &Upstream, said: Option<&Tensor>) -> Result<Tensor> {
        let [time, batch, units] = self.shape;
        let mut sum = upstream.last.as_ref().map(Tensor::copy);
        let mut add = |part: Tensor| -> Result<()> {
            match &mut sum {
                Some(sum) => drop(sum.f_add_(&part)?),
                None => sum = Some(part),
            }
            Ok(())
        };
        if let (Some(said), Some(weight)) = (said, &self.folding.readout) {
            let mut through = said.select(0, said.size()[0] - 1).f_mm(weight)?;
            if self.folding.placement == Placement::Current {
                drop(through.f_mul_(&self.folding.activation.slope(&run.activated.select(0, time)))?);
            }
            add(through)?;
        }
        if let Some(every) = &upstream.every {
            add(every.select(0, time).copy())?;
        }
        match sum {
            Some(sum) => Ok(sum),
            None => Ok(Tensor::f_zeros([batch, units], (run.states.kind(), run.states.device()))?),
        }
    }

    /// Gradients of the folded tensors.
    fn adjoint(&self, run: &Unrolled, upstream: &Upstream, swept: Swept) -> Result<Adjoint> {
        let folding = &self.folding;
        let like = |sum: Tensor, like: &Tensor| match like.numel() {
            1 => sum.sum(None::<Kind>).reshape(like.size()),
            _ => sum,
        };
        let mut folded = Tensors::new();
        match swept.weights {
            Some(Weights::Summed(sums)) => folded.insert(SUMS, sums),
            Some(Weights::Apart(weight, input, bias)) => {
                folded.insert("weight", weight);
                if folding.input.is_some() {
                    folded.insert("input", input);
                }
                if folding.bias.is_some() {
                    folded.insert("bias", bias);
                }
            }
            None => {}
        }
        if let Some((activated, state)) = swept.leak {
            if folding.placement == Placement::Drive {
                // r' = keep r + leak a, where a's own dependence on leak is none.
                folded.insert("leak", like(activated, &folding.leak));
            }
            folded.insert("keep", like(state, &folding.keep));
        }
        if let (Some(said), Some(weight)) = (&upstream.said, &folding.readout)
            && weight.requires_grad()
            && !folding.sums_heads()
        {
            let (outputs, units) = (weight.size()[0], weight.size()[1]);
            let rates = self.rates(run, self.shape[0] - said.size()[0])?;
            let said = said.f_reshape([-1, outputs])?;
            folded.insert("readout", said.f_transpose(0, 1)?.f_mm(&rates.f_reshape([-1, units])?)?);
            folded.insert("readout_bias", said.f_sum_dim_intlist(0i64, false, None::<Kind>)?);
        }
        Ok(Adjoint { folded, added: swept.deltas, initial: swept.initial })
    }
}
