//! The fast path of rate networks: segments forward, and gradients by their explicit adjoint.

use super::gradient::{FOLDED, Gradient, Wanted, add, backward, finish, join, judge, through_inputs};
use super::segments::walk;
use super::{Block, Shared};
use crate::recurrence::{Folded, Folding, RateForm, Unrolled, Upstream};
use crate::task::{Answer, Trials};
use crate::{Result, Tensors};
use std::ops::Range;
use tch::Tensor;

/// Consecutive steps of a segment.
struct Stretch {
    folded: Folded,
    /// The state before, `[rows, unit]`, and what the forward pass left; computed anew on the way back where it is missing.
    start: Tensor,
    run: Option<Unrolled>,
    /// What all heads said after each step, `[time, rows, output]`, or after the last alone.
    said: Tensor,
    /// Whether gradients reach what was before.
    passes: bool,
}

/// Loss and gradients of a block of rows.
pub(super) fn gradient(
    shared: &Shared,
    mut block: Block,
    wanted: Wanted,
    form: &RateForm,
    folding: &Folding,
) -> Result<Gradient> {
    let Wanted { window, cost, .. } = wanted;
    let initial = shared.initial_state(&block)?.get(&form.state)?.shallow_clone();
    let (stretches, trials) = forward(shared, &mut block, wanted, folding, &initial, form)?;
    let (scores, mut leaves) = judge(shared, &block.ready, &trials, stretches.iter().map(|stretch| &stretch.said))?;
    // A cost of the rates starts from the states themselves.
    let answers = leaves.len();
    let rates = match cost {
        None => None,
        Some(_) => {
            let leaf = |run: &Unrolled| run.states.detach().set_requires_grad(true);
            leaves.extend(stretches.iter().filter_map(|stretch| stretch.run.as_ref()).map(leaf));
            let of_states = |states: &Tensor| {
                let steps = states.f_narrow(0, 1, states.size()[0] - 1)?;
                shared.dynamics.rates(&Tensors::from([(form.state.as_str(), steps)]))
            };
            Some(join(&leaves[answers..].iter().map(of_states).collect::<Result<Vec<_>>>()?)?)
        }
    };
    let mut found = backward(&wanted.total(shared, &scores, &trials, rates.as_ref())?, &leaves)?;
    let mut every = found.split_off(answers);
    let mut said = found;

    // What the adjoint says of inputs and initial state goes through projection and input folding by autograd.
    let mut gradients = Tensors::new();
    let mut pairs = Vec::new();
    let mut carried: Option<Tensor> = None;
    for Stretch { folded, start, run, passes, .. } in stretches.into_iter().rev() {
        let run = run.map_or_else(|| folded.forward(&start), Ok)?;
        let upstream = Upstream { last: carried.take(), every: every.pop().flatten(), said: said.pop().flatten() };
        let adjoint = folded.backward(&run, &upstream, window)?;
        pairs.extend(folded.added().map(Tensor::shallow_clone).zip(adjoint.added));
        for (name, gradient) in adjoint.folded.iter() {
            add(&mut gradients, &format!("{FOLDED}{name}"), gradient.shallow_clone())?;
        }
        carried = passes.then_some(adjoint.initial);
        run.recycle();
    }
    pairs.extend(carried.filter(|_| initial.requires_grad()).map(|gradient| (initial, gradient)));
    through_inputs(&block.ready, folding, &pairs, &mut gradients)?;
    Ok(finish(&scores, gradients))
}

/// All segments forward, outside autograd but for what is added to the input.
fn forward(
    shared: &Shared,
    block: &mut Block,
    wanted: Wanted,
    folding: &Folding,
    initial: &Tensor,
    form: &RateForm,
) -> Result<(Vec<Stretch>, Trials)> {
    let trials = std::mem::take(&mut block.trials);
    let mut state = initial.detach();
    let mut stretches = Vec::new();
    let ready = &block.ready;
    let last_only = trials.answer == Answer::FinalStep && trials.rest.is_none();
    let trials = walk(shared, trials, |next| {
        let folded = shared.fold(form, folding, block, next.inputs, next.index)?;
        let pieces = pieces(shared, &folded, wanted);
        let again = pieces.len() > 1;
        let mut answers = Vec::new();
        for (index, steps) in pieces.iter().enumerate() {
            let folded = if again { folded.part(steps)? } else { folded.shallow_clone() };
            let run = folded.forward(&state)?;
            let time = steps.len() as i64;
            let first = match (last_only, index + 1 == pieces.len()) {
                (false, _) => 0,
                (true, true) => time - 1,
                (true, false) => time,
            };
            let said = folded.read(&run, first)?;
            let last = run.states.select(0, time);
            // A run that is gone after this takes its memory with it.
            let start = std::mem::replace(&mut state, if again { last.copy() } else { last });
            answers.push(said.shallow_clone());
            let run = if again {
                run.recycle();
                None
            } else {
                Some(run)
            };
            let passes = wanted.window.is_none() || index == 0;
            stretches.push(Stretch { folded, start, run, said, passes });
        }
        ready.split(&join(&answers)?, next.heads)
    })?;
    Ok((stretches, trials))
}

/// One piece, or where the states of the whole batch would take too much memory as many steps each as there are pieces, so that the
/// least is kept. Pieces begin where a window does.
fn pieces(shared: &Shared, folded: &Folded, wanted: Wanted) -> Vec<Range<usize>> {
    let time = folded.time();
    // A cost looks at all states, and noise whose size is learned is differentiated as a whole: both keep them anyway.
    let whole = wanted.cost.is_some() || folded.added().is_some_and(Tensor::requires_grad);
    let fits = folded.bytes_of_row() * shared.batch as u64 <= shared.workers.state_memory();
    let window = wanted.window.unwrap_or(1).max(1);
    let length = if whole || fits { time } else { time.isqrt().next_multiple_of(window) };
    super::ranges(time, length.max(1)).collect()
}
