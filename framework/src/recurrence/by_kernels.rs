//! The loops over time by the native kernels, on tensors of a CPU.

use super::native::{Backward, Forward, Fresh, Kernels, Level, Square, Step, numbers};
use super::{Folded, Folding, Placement, Swept, Unrolled, Upstream};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// A step for both directions of time.
#[derive(Clone, Debug)]
pub(super) struct Steps<R> {
    forward: Step<R>,
    backward: Option<Step<R>>,
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

impl Folding {
    /// Lay the numbers out for a set of instructions.
    pub(super) fn packed(&self, level: Level, backward: bool) -> Result<Packed> {
        Ok(match self.weight.kind() {
            Kind::Double => Packed::Double(self.steps(level, backward)?),
            _ => Packed::Single(self.steps(level, backward)?),
        })
    }

    fn steps<R: InPacked>(&self, level: Level, backward: bool) -> Result<Steps<R>> {
        let backward = backward.then(|| self.step(level, true)).transpose()?;
        Ok(Steps { forward: self.step(level, false)?, backward })
    }

    /// The step for one direction of time.
    fn step<R: InPacked>(&self, level: Level, backward: bool) -> Result<Step<R>> {
        let weight = self.weight.detach();
        // Entry (source, target) of the transpose of something without gaps is found without moving anything.
        let turned = weight.stride().first() == Some(&1);
        let storage = if turned { weight.f_transpose(0, 1)? } else { weight }.contiguous();
        let size = storage.size()[0] as usize;
        let strides = if turned == backward { (size, 1) } else { (1, size) };
        let (leak, keep) = (self.leak.detach().contiguous(), self.keep.detach().contiguous());
        let square = Square { values: numbers(&storage)?, size, strides };
        Ok(Step::new(level, (self.placement, self.activation), square, numbers(&leak)?, numbers(&keep)?))
    }
}

impl Folded {
    /// All steps from `initial` `[batch, unit]`; without gradients.
    pub(super) fn forward_by_kernels(&self, initial: &Tensor) -> Result<Unrolled> {
        match self.input.kind() {
            Kind::Double => self.forward_in::<f64>(initial),
            _ => self.forward_in::<f32>(initial),
        }
    }

    /// The adjoint of all steps; without gradients.
    pub(super) fn backward_by_kernels(
        &self,
        run: &Unrolled,
        upstream: &Upstream,
        window: Option<usize>,
    ) -> Result<Swept> {
        match self.input.kind() {
            Kind::Double => self.backward_in::<f64>(run, upstream, window),
            _ => self.backward_in::<f32>(run, upstream, window),
        }
    }

    fn forward_in<R: InPacked>(&self, initial: &Tensor) -> Result<Unrolled> {
        let (time, batch, units) = self.input.size3()?;
        if initial.size() != [batch, units] {
            return Err(Error::Shape {
                what: "the initial state".into(),
                expected: format!("{:?}", [batch, units]),
                found: format!("{:?}", initial.size()),
            });
        }
        let (input, initial) = (self.input.detach().contiguous(), initial.detach().contiguous());
        let mut states = Fresh::empty::<R>(&[time + 1, batch, units])?;
        let stored = if self.folding.placement == Placement::Whole { 0 } else { time };
        let mut activated = Fresh::empty::<R>(&[stored, batch, units])?;
        let all = states.numbers_mut()?;
        let first = numbers(&initial)?;
        all[..first.len()].copy_from_slice(first);
        let made;
        let step = match self.folding.packed.as_deref().and_then(R::of) {
            Some(steps) => &steps.forward,
            None => {
                made = self.folding.step(Level::best(), false)?;
                &made
            }
        };
        let job =
            Forward { rows: batch as usize, input: numbers(&input)?, states: all, activated: activated.numbers_mut()? };
        R::forward(step, job);
        let (states, activated) = (states.tensor(), activated.tensor());
        let activated = if self.folding.placement == Placement::Whole { states.narrow(0, 1, time) } else { activated };
        Ok(Unrolled { states, activated })
    }

    fn backward_in<R: InPacked>(&self, run: &Unrolled, upstream: &Upstream, window: Option<usize>) -> Result<Swept> {
        let (time, batch, _) = self.input.size3()?;
        let (direct, last) = match upstream {
            Upstream::Every(g) => (Some(g.contiguous()), g.select(0, time)),
            Upstream::Final(g) => (None, g.shallow_clone()),
        };
        let mut lambda = Fresh::copy(&last)?;
        let (states, activated) = (run.states.contiguous(), run.activated.contiguous());
        let mut deltas = Fresh::empty::<R>(&activated.size())?;
        let made;
        let step = match self.folding.packed.as_deref().and_then(R::of).and_then(|steps| steps.backward.as_ref()) {
            Some(step) => step,
            None => {
                made = self.folding.step(Level::best(), true)?;
                &made
            }
        };
        let mut sums = self.folding.needs_leak().then(|| (step.sums(), step.sums()));
        let job = Backward {
            rows: batch as usize,
            states: numbers(&states)?,
            activated: numbers(&activated)?,
            direct: direct.as_ref().map(numbers).transpose()?,
            lambda: lambda.numbers_mut()?,
            deltas: deltas.numbers_mut()?,
            leak: sums.as_mut().map(|(activated, state)| (&mut activated[..], &mut state[..])),
            window,
        };
        R::backward(step, job);
        let (lambda, deltas) = (lambda.tensor(), deltas.tensor());
        let units = self.folding.weight.size()[0];
        let by_unit = |sum: Vec<R>| Tensor::from_slice(&sum).narrow(0, 0, units);
        Ok(Swept { deltas, initial: lambda, leak: sums.map(|(a, s)| (by_unit(a), by_unit(s))) })
    }
}
