//! Forward: segments of trials through the network, on the fast path or step by step.

use super::answers::{hear, heard};
use super::course::Course;
use super::gradient::join;
use super::played::Played;
use super::segments::{Next, SETTLING, walk};
use super::{Block, Record, Shared, gated};
use crate::cell::{Clock, Setting};
use crate::network;
use crate::recurrence::mixing::{period_at, since_border};
use crate::task::{Answer, Period, Trials};
use crate::{Result, Tensors};
use tch::Tensor;

/// One segment, step by step.
pub(super) struct Steps<'a> {
    pub shared: &'a Shared<'a>,
    pub prepared: &'a Tensors,
    pub periods: &'a [Period],
    pub first_step: usize,
}

impl Steps<'_> {
    fn clock(&self, t: usize) -> Clock<'_> {
        clock(self.first_step + t, (self.periods, t), self.shared.setting)
    }

    /// The state, cut off from its past where a window of truncated backpropagation begins.
    fn cut(&self, t: usize, state: Tensors) -> Tensors {
        let border = self.shared.window.is_some_and(|window| t > 0 && t.is_multiple_of(window));
        if border { state.map(Tensor::detach) } else { state }
    }

    /// Run without readout: the last state, and the rates of every step if they are recorded.
    pub fn run(&self, mut state: Tensors, projected: &Tensor, record: Record) -> Result<(Tensors, Vec<Tensor>)> {
        let mut rates = Vec::new();
        for (t, input) in projected.unbind(0).iter().enumerate() {
            state = self.shared.dynamics.step(&self.clock(t), self.prepared, &self.cut(t, state), input, None)?;
            if record == Record::Rates {
                rates.push(self.shared.dynamics.rates(&state)?);
            }
        }
        Ok((state, rates))
    }

    /// Run with the feedback of a head.
    fn run_with_feedback(
        &self,
        head: usize,
        parameters: &Tensors,
        mut state: Tensors,
        projected: &Tensor,
    ) -> Result<(Tensors, Vec<Tensor>)> {
        let mut rates = Vec::new();
        for (t, input) in projected.unbind(0).iter().enumerate() {
            let drive = feedback(self.shared, head, parameters, &state)?;
            state =
                self.shared.dynamics.step(&self.clock(t), self.prepared, &self.cut(t, state), input, Some(&drive))?;
            rates.push(self.shared.dynamics.rates(&state)?);
        }
        Ok((state, rates))
    }
}

/// The clock at step `t` of a segment with these periods.
pub(super) fn clock<'a>(step: usize, (periods, t): (&'a [Period], usize), setting: &'a Setting) -> Clock<'a> {
    Clock { step, since_border: since_border(periods, t), period: period_at(periods, t), setting }
}

/// What the head says of the present state.
pub(super) fn say(shared: &Shared, head: usize, parameters: &Tensors, state: &Tensors) -> Result<Tensor> {
    let rates = shared.dynamics.rates(state)?;
    let mut output = network::read(parameters, shared.readout, &[head], &rates)?;
    Ok(output.remove(0))
}

/// What the head says of the present state, as a drive to the units.
pub(super) fn feedback(shared: &Shared, head: usize, parameters: &Tensors, state: &Tensors) -> Result<Tensor> {
    network::feed_back(parameters, &say(shared, head, parameters, state)?)
}

/// Play one segment: the last state, and the rates `[time, batch, unit]` (of the last step alone if only that is needed).
pub(super) fn advance(
    shared: &Shared,
    block: &Block,
    state: Tensors,
    next: &Next,
    record: Record,
) -> Result<(Tensors, Tensor)> {
    let form = shared.rate_form().filter(|_| !shared.graph);
    if let (Some(form), Some(folding)) = (form, &block.ready.folding) {
        let folded = shared.fold(&form, folding, block, next.inputs, next.index)?;
        let named = |state: Tensor| Tensors::from([(form.state.as_str(), state)]);
        let initial = state.get(&form.state)?;
        if form.mixing.is_some() {
            return Course::new(form.mixing.clone(), initial).advance(shared, &form, folded, next.periods, record);
        }
        if record == Record::Rates {
            let run = folded.forward(initial)?;
            let last = run.states.select(0, run.states.size()[0] - 1);
            return Ok((named(last), folded.rates(&run, 0)?));
        }
        let last = named(folded.last(initial)?);
        let rates = shared.dynamics.rates(&last)?.unsqueeze(0);
        return Ok((last, rates));
    }
    let form = shared.gated_form().filter(|_| !shared.graph);
    if let (Some(form), Some(folding)) = (form, &block.ready.gated) {
        return gated::advance(shared, (&form, folding), block, &state, next, record);
    }
    let projected = shared.drive(block, next.inputs, next.index)?;
    let steps = Steps { shared, prepared: &block.ready.prepared, periods: next.periods, first_step: next.first_step };
    let (state, rates) = match shared.readout.feedback.filter(|_| next.index != SETTLING) {
        Some(head) => steps.run_with_feedback(head, &block.parameters, state, &projected)?,
        None => steps.run(state, &projected, record)?,
    };
    let rates = match record {
        Record::Rates => Tensor::f_stack(&rates, 0)?,
        Record::Outputs => shared.dynamics.rates(&state)?.unsqueeze(0),
    };
    Ok((state, rates))
}

/// What heads say of `rates` `[time, batch, unit]`: at the last step or at every step.
pub(super) fn answers(shared: &Shared, parameters: &Tensors, trials: &Trials, rates: &Tensor) -> Result<Vec<Tensor>> {
    network::read(parameters, shared.readout, &shared.heads(trials), &of_answers(trials, rates))
}

/// The last step or all steps, as the trials ask for answers.
fn of_answers(trials: &Trials, steps: &Tensor) -> Tensor {
    match trials.answer {
        Answer::FinalStep => steps.select(0, steps.size()[0] - 1),
        Answer::EveryStep => steps.shallow_clone(),
    }
}

/// Play a block of rows; with autograd enabled, outputs carry the graph.
pub(super) fn play(shared: &Shared, mut block: Block, record: Record) -> Result<Played> {
    let mut state = shared.initial_state(&block)?;
    let trials = std::mem::take(&mut block.trials);
    let every = record == Record::Rates || trials.answer == Answer::EveryStep || trials.rest.is_some();
    let kept = if every { Record::Rates } else { Record::Outputs };
    // Shortcuts may go from one segment to another.
    let form = shared.rate_form().filter(|form| form.mixing.is_some() && !shared.graph);
    let mut course = match (&form, &block.ready.folding) {
        (Some(form), Some(_)) => Some(Course::new(form.mixing.clone(), state.get(&form.state)?)),
        _ => None,
    };
    let heard = every && record == Record::Outputs && heard(shared, &block);
    let mut all = Vec::new();
    let trials = walk(shared, trials, |next| {
        let before = std::mem::take(&mut state);
        if heard {
            let (after, said) = hear(shared, &block, before, &next)?;
            state = after;
            let answers = block.ready.split(&said, next.heads)?;
            all.push(said);
            return Ok(answers);
        }
        let (after, rates) = match (&mut course, &form, &block.ready.folding) {
            (Some(course), Some(form), Some(folding)) => {
                let folded = shared.fold(form, folding, &block, next.inputs, next.index)?;
                course.advance(shared, form, folded, next.periods, kept)?
            }
            _ => advance(shared, &block, before, &next, kept)?,
        };
        state = after;
        let said = network::read(&block.parameters, shared.readout, next.heads, &rates.detach())?;
        all.push(rates);
        Ok(said.iter().map(Tensor::detach).collect())
    })?;
    let all = join(&all)?;
    let (outputs, rates) = match heard {
        true => (block.ready.split(&of_answers(&trials, &all), &shared.heads(&trials))?, None),
        false => (answers(shared, &block.parameters, &trials, &all)?, (record == Record::Rates).then_some(all)),
    };
    Ok(Played { trials, outputs, rates, last: state })
}
