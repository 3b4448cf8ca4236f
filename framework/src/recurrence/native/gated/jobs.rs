//! What the kernels of gated units read and write.

use super::super::outer::Outer;
use super::super::packed::Packed;
use super::super::{Gradients, Kernels, Real};
use super::GatedStep;

/// What a forward pass reads and writes; `[step, row, number]` without gaps.
pub(in crate::recurrence) struct GatedForward<'a, R> {
    pub rows: usize,
    pub steps: usize,
    pub inputs: &'a [R],
    /// What is added to the input of each candidate `[step, row, unit]`, beside that.
    pub added: Option<&'a [R]>,
    /// What is read, `h`; one step more than there are, the first is given.
    pub hidden: &'a mut [R],
    /// With memories `c`, likewise.
    pub cell: &'a mut [R],
    /// The blocks of each step after their non-linearities, `[step, group of units, row, gate, lane]`, if they are kept.
    pub gates: Option<&'a mut [R]>,
}

/// What a backward pass reads and writes; `[step, row, number]` without gaps.
pub(in crate::recurrence) struct GatedBackward<'a, R: Real> {
    pub rows: usize,
    pub steps: usize,
    pub hidden: &'a [R],
    pub cell: &'a [R],
    pub gates: &'a [R],
    /// Gradient with respect to what was read from each state but the first; of the last is read nothing.
    pub said: Option<&'a [R]>,
    /// `[row, unit]`: gradients with respect to the last `h` and `c`, and afterwards the first.
    pub lambda: &'a mut [R],
    pub lambda_cell: &'a mut [R],
    pub weights: Gradients<'a, R>,
    /// Where those of a candidate that comes later, or is set apart, are summed.
    pub later: Option<Outer<'a, R>>,
    /// Gradient of the leaks, from [`GatedStep::sums`], where they are learned.
    pub leak: Option<&'a mut [R]>,
    pub window: Option<usize>,
}

macro_rules! require_lengths {
    ($($found:expr => $expected:expr),* $(,)?) => {
        $(assert_eq!($found, $expected, "a buffer of the gated kernels has a wrong length");)*
    };
}

impl<R: Kernels> GatedForward<'_, R> {
    pub(in crate::recurrence::native) fn check(&self, step: &GatedStep<R>) {
        let size = self.rows * step.units;
        require_lengths!(
            self.inputs.len() => self.steps * self.rows * step.inputs.sources(),
            self.hidden.len() => (self.steps + 1) * size,
            self.cell.len() => if step.form.is_memory() { (self.steps + 1) * size } else { 0 },
            self.added.map_or(0, <[R]>::len) => self.added.map_or(0, |_| self.steps * size),
            self.gates.as_ref().map_or(0, |g| g.len()) =>
                self.gates.as_ref().map_or(0, |_| self.steps * self.rows * step.blocks()),
        );
    }
}

impl<R: Kernels> GatedBackward<'_, R> {
    pub(in crate::recurrence::native) fn check(&self, step: &GatedStep<R>) {
        let size = self.rows * step.units;
        let memory = usize::from(step.form.is_memory());
        require_lengths!(
            self.hidden.len() => (self.steps + 1) * size,
            self.cell.len() => memory * (self.steps + 1) * size,
            self.gates.len() => self.steps * self.rows * step.blocks(),
            self.said.map_or(0, <[R]>::len) =>
                self.said.map_or(0, |_| self.steps * self.rows * step.readout.as_ref().map_or(0, Packed::sources)),
            self.lambda.len() => size,
            self.lambda_cell.len() => memory * size,
            self.weights.inputs.map_or(0, <[R]>::len) => self.steps * self.rows * step.inputs.sources(),
            self.leak.as_ref().map_or(0, |sums| sums.len()) => self.leak.as_ref().map_or(0, |_| step.leak.len()),
        );
        assert!(step.backward.is_some(), "a gated step was packed for one direction");
    }
}
