//! What the kernels of rate networks read and write.

use super::outer::Outer;
use super::{Kernels, Placement, Real, Step};

/// What a forward pass reads and writes; all `[step, row, number]` without gaps.
pub(in crate::recurrence) struct Forward<'a, R> {
    /// Rows.
    pub rows: usize,
    /// Steps.
    pub steps: usize,
    /// What the weights beside the recurrent ones are multiplied with, where the step has any.
    pub side: Option<&'a [R]>,
    /// What is added in each step beside that.
    pub input: Option<&'a [R]>,
    /// Whether every state is kept.
    pub keeps: bool,
    /// States, of which the first is given: one step more than there are, or two in turn, of which the last is at `steps % 2`.
    pub states: &'a mut [R],
    /// `f(z)` of each step with `Drive`, of each state with `Current`, where all states are kept; else with `Current` room for one.
    pub activated: &'a mut [R],
}

/// What a backward pass reads and writes; all `[step, row, number]` without gaps.
pub(in crate::recurrence) struct Backward<'a, R: Real> {
    /// Rows.
    pub rows: usize,
    /// Steps.
    pub steps: usize,
    /// States of the forward pass.
    pub states: &'a [R],
    /// `f(z)` of each step (of each state with `Current`); with `Whole` the states from the second on.
    pub activated: &'a [R],
    /// Gradient with respect to every state, one step more than there are; of the last is read nothing.
    pub direct: Option<&'a [R]>,
    /// Gradient with respect to what was read from each state but the first, or from the last alone, through the weights beside the
    /// recurrent ones.
    pub said: Option<&'a [R]>,
    /// Where gradients of these weights are summed, if they are wanted; units are the sources.
    pub heads: Option<Outer<'a, R>>,
    /// `[row, unit]`: gradient with respect to the last state, and afterwards the first.
    pub lambda: &'a mut [R],
    /// Where gradients with respect to the added input go, if they are wanted.
    pub deltas: Option<&'a mut [R]>,
    /// Gradients of the weights, if they are wanted.
    pub weights: Option<Gradients<'a, R>>,
    /// Gradients of leaks, where they are learned.
    pub leak: Option<LeakSums<'a, R>>,
    /// Steps whose number is a multiple of it pass nothing on.
    pub window: Option<usize>,
}

/// What gradients of the weights are summed in.
pub(in crate::recurrence) struct Gradients<'a, R: Real> {
    /// What the forward pass multiplied the weights beside the recurrent ones with.
    pub inputs: Option<&'a [R]>,
    /// The sums.
    pub sums: Outer<'a, R>,
}

/// Sums over steps and rows of `lambda f(z)`, and of `lambda` times the state, from [`Step::sums`].
pub(in crate::recurrence) type LeakSums<'a, R> = (&'a mut [R], &'a mut [R]);

/// The lengths are those that the kernels rely on.
macro_rules! require_lengths {
    ($($found:expr => $expected:expr),* $(,)?) => {
        $(assert_eq!($found, $expected, "a buffer of the recurrent kernels has a wrong length");)*
    };
}

impl<R: Kernels> Forward<'_, R> {
    pub(super) fn check(&self, step: &Step<R>) {
        let size = self.rows * step.units;
        let all = self.steps * size;
        let keeps = self.keeps;
        let activated = match step.placement {
            Placement::Whole => 0,
            Placement::Drive => usize::from(keeps) * all,
            Placement::Current => usize::from(keeps) * all + size,
        };
        require_lengths!(
            self.input.map_or(all, <[R]>::len) => all,
            self.side.map_or(0, <[R]>::len) => self.steps * self.rows * step.beside(),
            self.states.len() => if keeps { all + size } else { 2 * size },
            self.activated.len() => activated,
        );
    }
}

impl<R: Kernels> Backward<'_, R> {
    /// After how many steps something was read: after the last or all.
    pub(super) fn spoken(&self, step: &Step<R>) -> usize {
        match self.said.filter(|_| step.beside() > 0) {
            Some(said) if said.len() == self.rows * step.beside() => 1,
            Some(_) => self.steps,
            None => 0,
        }
    }

    pub(super) fn check(&self, step: &Step<R>) {
        let size = self.rows * step.units;
        let all = self.steps * size;
        let activated = if step.placement == Placement::Current { all + size } else { all };
        let sums = |(a, b): &LeakSums<R>| a.len().abs_diff(step.leak.len()) + b.len().abs_diff(step.leak.len());
        require_lengths!(
            self.states.len() => all + size,
            self.activated.len() => activated,
            self.direct.map_or(all + size, <[R]>::len) => all + size,
            self.said.map_or(0, <[R]>::len) => self.spoken(step) * self.rows * step.beside(),
            self.lambda.len() => size,
            self.deltas.as_ref().map_or(all, |deltas| deltas.len()) => all,
            self.leak.as_ref().map_or(0, sums) => 0,
        );
    }
}
