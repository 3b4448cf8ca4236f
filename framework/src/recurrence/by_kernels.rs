//! The loops over time by the native kernels, on tensors of a CPU.

use super::folded::{Swept, Weights};
use super::native::{
    Backward, Forward, Fresh, Gradients, Heads, Kernels, Level, Matrix, OfUnits, Reading, Step, keep, numbers,
};
use super::{Folded, Folding, Placement, Unrolled, Upstream};
use crate::Result;
use crate::workers::Workers;
use std::borrow::Cow;
use tch::{Kind, Tensor};

/// A step for both directions of time.
#[derive(Clone, Debug)]
pub(super) struct Steps<R> {
    forward: Step<R>,
    backward: Option<Step<R>>,
    heads: Option<Heads<R>>,
}

impl<R: Kernels> Steps<R> {
    /// Which instructions they were made for.
    pub fn level(&self) -> Level {
        self.forward.level()
    }
}

/// The numbers of a folding as the kernels want them.
#[derive(Clone, Debug)]
pub(super) enum Packed {
    /// In single precision.
    Single(Steps<f32>),
    /// In double precision.
    Double(Steps<f64>),
}

/// A kind of number that is packed.
pub(super) trait InPacked: Kernels + tch::kind::Element {
    /// The steps, if they are of this kind.
    fn of(packed: &Packed) -> Option<&Steps<Self>>;
}

impl InPacked for f32 {
    fn of(packed: &Packed) -> Option<&Steps<Self>> {
        if let Packed::Single(steps) = packed { Some(steps) } else { None }
    }
}

impl InPacked for f64 {
    fn of(packed: &Packed) -> Option<&Steps<Self>> {
        if let Packed::Double(steps) = packed { Some(steps) } else { None }
    }
}

/// A tensor whose entries follow each other row by row, or column by column, and whether it is the latter.
pub(super) fn without_gaps(tensor: &Tensor) -> Result<(Tensor, bool)> {
    let tensor = tensor.detach();
    let turned = tensor.stride().first() == Some(&1);
    Ok(((if turned { tensor.f_transpose(0, 1)? } else { tensor }).contiguous(), turned))
}

/// The entries of a matrix, or of its transpose, which is found without moving anything.
pub(super) fn matrix<R: Kernels + tch::kind::Element>(
    (storage, turned): &(Tensor, bool),
    transposed: bool,
) -> Result<Matrix<'_, R>> {
    let (rows, columns) = storage.size2()?;
    let (rows, columns) = (rows as usize, columns as usize);
    let values = numbers(storage)?;
    Ok(match *turned != transposed {
        true => Matrix { values, size: (columns, rows), strides: (1, columns) },
        false => Matrix { values, size: (rows, columns), strides: (columns, 1) },
    })
}

impl Folding {
    /// Lay the numbers out for a set of instructions.
    pub(super) fn packed(&self, level: Level, backward: bool, workers: &Workers) -> Result<Packed> {
        Ok(match self.weight.kind() {
            Kind::Double => Packed::Double(self.steps(level, backward, workers)?),
            _ => Packed::Single(self.steps(level, backward, workers)?),
        })
    }

    fn steps<R: InPacked>(&self, level: Level, backward: bool, workers: &Workers) -> Result<Steps<R>> {
        let backward = backward.then(|| self.step(level, true, Some(workers))).transpose()?;
        let heads = self.readout.as_ref().map(|weight| self.heads(weight, level)).transpose()?;
        Ok(Steps { forward: self.step(level, false, Some(workers))?, backward, heads })
    }

    /// The heads.
    fn heads<R: InPacked>(&self, weight: &Tensor, level: Level) -> Result<Heads<R>> {
        let weight = without_gaps(weight)?;
        let bias = self.readout_bias.as_ref().map(|bias| bias.detach().contiguous());
        let bias = bias.as_ref().map(numbers).transpose()?.unwrap_or(&[]);
        Ok(Heads::new(level, matrix(&weight, true)?, bias))
    }

    /// The step for one direction of time.
    fn step<R: InPacked>(&self, level: Level, backward: bool, workers: Option<&Workers>) -> Result<Step<R>> {
        let weight = without_gaps(&self.weight)?;
        let side = if backward { &self.readout } else { &self.input };
        let side = side.as_ref().map(without_gaps).transpose()?;
        let side = side.as_ref().map(|side| matrix(side, false)).transpose()?;
        let (leak, keep) = (self.leak.detach().contiguous(), self.keep.detach().contiguous());
        let bias = self.bias.as_ref().filter(|_| !backward).map(|bias| bias.detach().contiguous());
        let bias = bias.as_ref().map(numbers).transpose()?.unwrap_or(&[]);
        let of_units = OfUnits { leak: numbers(&leak)?, keep: numbers(&keep)?, bias };
        let form = (self.placement, self.activation);
        Ok(Step::new(level, form, matrix(&weight, backward)?, side, of_units, workers))
    }

    /// The step that was packed, or one that is packed now.
    fn ready<R: InPacked>(&self, backward: bool) -> Result<Cow<'_, Step<R>>> {
        let packed = self.packed.as_deref().and_then(R::of);
        let step = packed.and_then(|steps| if backward { steps.backward.as_ref() } else { Some(&steps.forward) });
        Ok(match step {
            Some(step) => Cow::Borrowed(step),
            None => Cow::Owned(self.step(Level::best(), backward, None)?),
        })
    }
}

impl Unrolled {
    /// Give its memory to the next forward pass on this thread. Nobody may hold on to states or rates of it.
    pub fn recycle(self) {
        keep(self.memory);
    }
}

impl Folded {
    /// All steps from `initial` `[batch, unit]`; without gradients.
    pub(super) fn forward_by_kernels(&self, initial: &Tensor) -> Result<Unrolled> {
        let (states, activated, memory) = match self.folding.weight.kind() {
            Kind::Double => self.forward_in::<f64>(initial, true)?,
            _ => self.forward_in::<f32>(initial, true)?,
        };
        let whole = self.folding.placement == Placement::Whole;
        let activated = if whole { states.narrow(0, 1, self.shape[0]) } else { activated };
        Ok(Unrolled { states, activated, memory })
    }

    /// The state after all steps from `initial` `[batch, unit]`; without gradients.
    pub(super) fn last_by_kernels(&self, initial: &Tensor) -> Result<Tensor> {
        let (states, ..) = match self.folding.weight.kind() {
            Kind::Double => self.forward_in::<f64>(initial, false)?,
            _ => self.forward_in::<f32>(initial, false)?,
        };
        Ok(states.select(0, self.shape[0] % 2))
    }

    /// What heads of weights `[output, unit]` say of rates `[step, batch, unit]`.
    pub(super) fn read_by_kernels(&self, weight: &Tensor, rates: &Tensor) -> Result<Tensor> {
        match self.folding.weight.kind() {
            Kind::Double => self.read_in::<f64>(weight, rates),
            _ => self.read_in::<f32>(weight, rates),
        }
    }

    fn read_in<R: InPacked>(&self, weight: &Tensor, rates: &Tensor) -> Result<Tensor> {
        let packed = self.folding.packed.as_deref().and_then(R::of).and_then(|steps| steps.heads.as_ref());
        let heads = match packed {
            Some(heads) => Cow::Borrowed(heads),
            None => Cow::Owned(self.folding.heads(weight, Level::best())?),
        };
        let outputs = weight.size()[0];
        let (steps, batch, _) = rates.size3()?;
        let (rates, mut said) = (rates.contiguous(), Fresh::empty::<R>(&[steps, batch, outputs])?);
        R::read(&heads, Reading { rates: numbers(&rates)?, said: said.numbers_mut()? });
        Ok(said.tensor())
    }

    /// The adjoint of all steps; without gradients.
    pub(super) fn backward_by_kernels(
        &self,
        run: &Unrolled,
        upstream: &Upstream,
        window: Option<usize>,
    ) -> Result<Swept> {
        match self.folding.weight.kind() {
            Kind::Double => self.backward_in::<f64>(run, upstream, window),
            _ => self.backward_in::<f32>(run, upstream, window),
        }
    }

    /// States, all or two in turn, what is kept beside them, and the memory of both.
    fn forward_in<R: InPacked>(&self, initial: &Tensor, all: bool) -> Result<(Tensor, Tensor, Vec<Tensor>)> {
        let [time, batch, units] = self.shape;
        let plain = |t: &Option<Tensor>| t.as_ref().map(|t| t.detach().contiguous());
        let (inputs, added, initial) = (plain(&self.inputs), plain(&self.added), initial.detach().contiguous());
        let (mut states, memory) = Fresh::reused::<R>(&[if all { time + 1 } else { 2 }, batch, units])?;
        let kept = match self.folding.placement {
            Placement::Whole => 0,
            Placement::Drive => i64::from(all) * time,
            Placement::Current => i64::from(all) * time + 1,
        };
        let (mut activated, beside) = Fresh::reused::<R>(&[kept, batch, units])?;
        let places = states.numbers_mut()?;
        let first = numbers(&initial)?;
        places[..first.len()].copy_from_slice(first);
        let job = Forward {
            rows: batch as usize,
            steps: time as usize,
            side: inputs.as_ref().map(numbers).transpose()?,
            input: added.as_ref().map(numbers).transpose()?,
            keeps: all,
            states: places,
            activated: activated.numbers_mut()?,
        };
        R::forward(&*self.folding.ready(false)?, job);
        Ok((states.tensor(), activated.tensor(), vec![memory, beside]))
    }

    fn backward_in<R: InPacked>(&self, run: &Unrolled, upstream: &Upstream, window: Option<usize>) -> Result<Swept> {
        let [time, batch, units] = self.shape;
        let mut lambda = Fresh::own(self.at_the_end(run, upstream, None)?);
        let direct = upstream.every.as_ref().map(Tensor::contiguous);
        let said = upstream.said.as_ref().map(Tensor::contiguous);
        let (states, activated) = (run.states.contiguous(), run.activated.contiguous());
        let inputs = self.inputs.as_ref().map(|inputs| inputs.detach().contiguous());
        let wanted = self.added.as_ref().is_some_and(Tensor::requires_grad);
        let mut deltas = wanted.then(|| Fresh::empty::<R>(&self.shape)).transpose()?;
        let step = self.folding.ready::<R>(true)?;
        let layouts = self.folding.layouts::<R>();
        let mut sums = if layouts.numbers() > 0 { Some(Fresh::sums::<R>(layouts.numbers())?) } else { None };
        let mut leak = self.folding.needs_leak().then(|| (step.sums(), step.sums()));
        let inputs = inputs.as_ref().map(numbers).transpose()?;
        let [weights, heads] = layouts.outer(sums.as_mut().map(Fresh::numbers_mut).transpose()?.unwrap_or(&mut []));
        let job = Backward {
            rows: batch as usize,
            steps: time as usize,
            states: numbers(&states)?,
            activated: numbers(&activated)?,
            direct: direct.as_ref().map(numbers).transpose()?,
            said: said.as_ref().map(numbers).transpose()?,
            heads,
            lambda: lambda.numbers_mut()?,
            deltas: deltas.as_mut().map(Fresh::numbers_mut).transpose()?,
            weights: weights.map(|sums| Gradients { inputs, sums }),
            leak: leak.as_mut().map(|(activated, state)| (&mut activated[..], &mut state[..])),
            window,
        };
        R::backward(&*step, job);
        let by_unit = |sum: Vec<R>| Tensor::from_slice(&sum).narrow(0, 0, units);
        Ok(Swept {
            deltas: deltas.map(Fresh::tensor),
            weights: sums.map(|sums| Weights::Summed(sums.tensor())),
            initial: lambda.tensor(),
            leak: leak.map(|(activated, state)| (by_unit(activated), by_unit(state))),
        })
    }
}
