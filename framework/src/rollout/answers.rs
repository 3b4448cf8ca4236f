//! What heads say of every step, where nobody asks for the states: stretches whose states stay in the cache until they are read and
//! whose memory the next stretch uses again.

use super::gradient::join;
use super::segments::Next;
use super::{Block, Shared, gated, ranges};
use crate::{Result, Tensors};
use tch::Tensor;

/// Numbers of states in a stretch: with what is kept beside them they fit into the cache of a core.
const IN_CACHE: usize = 1 << 15;

/// Fewest steps of a stretch, so that beginning one costs nothing beside it.
const STEPS: usize = 16;

/// Whether a block can be heard: it takes a fast path without shortcuts, which look back at states.
pub(super) fn heard(shared: &Shared, block: &Block) -> bool {
    let rate = || shared.rate_form().is_some_and(|form| form.mixing.is_none()) && block.ready.folding.is_some();
    !shared.graph && (rate() || (shared.gated_form().is_some() && block.ready.gated.is_some()))
}

/// Play one segment of a block that is [`heard`]: the last state, and what all heads say of each step, `[time, rows, output]`.
pub(super) fn hear(shared: &Shared, block: &Block, mut state: Tensors, next: &Next) -> Result<(Tensors, Tensor)> {
    let (time, rows, _) = next.inputs.size3()?;
    let stretches = |units: i64| ranges(time as usize, (IN_CACHE / (rows * units).max(1) as usize).max(STEPS));
    let mut said = Vec::new();
    if let (Some(form), Some(folding)) = (shared.rate_form(), &block.ready.folding) {
        let folded = shared.fold(&form, folding, block, next.inputs, next.index)?;
        let mut last = state.get(&form.state)?.shallow_clone();
        for steps in stretches(last.size()[1]) {
            let folded = folded.part(&steps)?;
            let run = folded.forward(&last)?;
            said.push(folded.read(&run, 0)?);
            last = run.states.select(0, steps.len() as i64).copy();
            run.recycle();
        }
        state.insert(form.state, last);
    } else if let (Some(form), Some(folding)) = (shared.gated_form(), &block.ready.gated) {
        let noise = gated::noise(shared, &form, block, next, &state)?;
        for steps in stretches(state.get(&form.hidden)?.size()[1]) {
            let part = |t: &Tensor| t.f_narrow(0, steps.start as i64, steps.len() as i64);
            let noise = noise.as_ref().map(part).transpose()?;
            let run = gated::run((&form, folding), (&part(next.inputs)?, noise.as_ref()), &state, false)?;
            said.push(folding.read(&run, 0)?);
            state = gated::state_of(&form, &run);
            run.recycle();
        }
    }
    Ok((state, join(&said)?))
}
