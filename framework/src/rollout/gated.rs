//! The fast path of gated cells: segments forward, and gradients by their explicit adjoint.

use super::gradient::{FOLDED, Gradient, Wanted, add, backward, finish, judge};
use super::segments::{Next, walk};
use super::{Block, Record, Shared};
use crate::recurrence::{GatedFolding, GatedForm, GatedRun, Upstream};
use crate::task::Answer;
use crate::{Result, Tensors};
use tch::Tensor;

/// One segment.
struct Stretch {
    inputs: Tensor,
    run: GatedRun,
    /// What all heads said after each step, `[time, rows, output]`, or after the last alone.
    said: Tensor,
}

/// The last `h` and `c` `[batch, unit]` by the names of the form.
pub(super) fn state_of(form: &GatedForm, run: &GatedRun) -> Tensors {
    let last = run.hidden.size()[0] - 1;
    let mut state = Tensors::from([(form.hidden.as_str(), run.hidden.select(0, last).copy())]);
    if let (Some(name), Some(cell)) = (&form.cell, &run.cell) {
        state.insert(name.as_str(), cell.select(0, last).copy());
    }
    state
}

/// The noise of the candidates of one segment, `[time, rows, unit]`, if there is any.
pub(super) fn noise(
    shared: &Shared,
    form: &GatedForm,
    block: &Block,
    next: &Next,
    state: &Tensors,
) -> Result<Option<Tensor>> {
    // The candidate's block stands last.
    let units = state.get(&form.hidden)?.size()[1];
    let noise = shared.noise(block, next.inputs, next.index)?;
    Ok(noise.map(|noise| noise.f_narrow(2, noise.size()[2] - units, units)).transpose()?)
}

/// Some steps on inputs, with noise of their candidates; with `keep` for the way back.
pub(super) fn run(
    (form, folding): (&GatedForm, &GatedFolding),
    inputs: (&Tensor, Option<&Tensor>),
    state: &Tensors,
    keep: bool,
) -> Result<GatedRun> {
    let cell = form.cell.as_ref().map(|name| state.get(name)).transpose()?;
    folding.forward(inputs, (state.get(&form.hidden)?, cell), keep)
}

/// Play one segment: the last state, and the rates `[time, batch, unit]` (of the last step alone if only that is needed).
pub(super) fn advance(
    shared: &Shared,
    form: (&GatedForm, &GatedFolding),
    block: &Block,
    state: &Tensors,
    next: &Next,
    record: Record,
) -> Result<(Tensors, Tensor)> {
    let noise = noise(shared, form.0, block, next, state)?;
    let run = run(form, (next.inputs, noise.as_ref()), state, false)?;
    let time = next.inputs.size()[0];
    let first = if record == Record::Rates { 1 } else { time };
    let rates = run.hidden.narrow(0, first, time + 1 - first).copy();
    let last = state_of(form.0, &run);
    run.recycle();
    Ok((last, rates))
}

/// Loss and gradients of a block of rows. There is no cost of the rates, and nothing before the first segment is learned.
pub(super) fn gradient(
    shared: &Shared,
    mut block: Block,
    wanted: Wanted,
    form: &GatedForm,
    folding: &GatedFolding,
) -> Result<Gradient> {
    let mut state = shared.initial_state(&block)?.map(Tensor::detach);
    let trials = std::mem::take(&mut block.trials);
    let ready = &block.ready;
    let last_only = trials.answer == Answer::FinalStep && trials.rest.is_none();
    let mut stretches = Vec::new();
    let trials = walk(shared, trials, |next| {
        let noise = noise(shared, form, &block, &next, &state)?;
        let run = run((form, folding), (next.inputs, noise.as_ref()), &state, true)?;
        state = state_of(form, &run);
        let said = folding.read(&run, if last_only { next.inputs.size()[0] - 1 } else { 0 })?;
        let answers = ready.split(&said, next.heads)?;
        stretches.push(Stretch { inputs: next.inputs.shallow_clone(), run, said });
        Ok(answers)
    })?;
    let (scores, leaves) = judge(shared, ready, &trials, stretches.iter().map(|stretch: &Stretch| &stretch.said))?;
    let mut said = backward(&wanted.total(shared, &scores, &trials, None)?, &leaves)?;

    let mut gradients = Tensors::new();
    let mut carried: (Option<Tensor>, Option<Tensor>) = (None, None);
    for Stretch { inputs, run, .. } in stretches.into_iter().rev() {
        let upstream = Upstream { last: carried.0.take(), every: None, said: said.pop().flatten() };
        let last_cell = carried.1.take();
        let adjoint = folding.backward(&run, &inputs, (&upstream, last_cell.as_ref()), wanted.window)?;
        for (name, gradient) in adjoint.folded.iter() {
            add(&mut gradients, &format!("{FOLDED}{name}"), gradient.shallow_clone())?;
        }
        carried = (Some(adjoint.hidden), adjoint.cell);
        run.recycle();
    }
    Ok(finish(&scores, gradients))
}
