//! Trials played with all their states kept, and many networks on the same trials.

use super::play::{Steps, answers, clock, feedback, play};
use super::{Block, Played, Ready, Record, Rollout, Shared};
use crate::network::Network;
use crate::recurrence::{Folded, Folding, RateForm};
use crate::task::Trials;
use crate::{Error, Result, Tensors};
use tch::{Tensor, no_grad};

/// Trials and the states that a network went through in them.
#[derive(Debug)]
pub struct Traced {
    /// The trials.
    pub trials: Trials,
    /// One tensor per target: `[batch, output]` for answers at the final step, else `[time, batch, output]`.
    pub outputs: Vec<Tensor>,
    /// The state before the first step and after each, `[time + 1, batch, ..]`.
    pub states: Tensors,
    /// Projected input, noise and drive of every step, `[time, batch, projected]`.
    pub input: Tensor,
}

impl Rollout<'_> {
    /// Play open-loop trials without gradients and keep every state; a drive `[time, batch, unit]` is added to the input of the units,
    /// whose cell must then provide [`crate::Property::AdditiveDrive`].
    ///
    /// # Errors
    /// [`Error::Incompatible`] for closed-loop trials; when shapes do not fit.
    pub fn trace(&self, network: &Network, trials: &Trials, drive: Option<&Tensor>) -> Result<Traced> {
        if trials.rest.is_some() {
            return Err(Error::Incompatible {
                needs: "the states of whole trials".into(),
                because: "the task's inputs depend on the answers; use an open-loop task".into(),
            });
        }
        let setting = self.setting_of(trials);
        let shared = self.shared(network, trials, &setting);
        let ready = no_grad(|| Ready::new(&shared, &network.parameters, trials, false))?;
        let blocks = self.blocks(network, &ready, trials, None);
        let driven = blocks.into_iter().map(|block| {
            let rows = block.trials.batch() as i64;
            let drive = drive.map(|d| d.f_narrow(1, block.first as i64, rows)).transpose()?;
            Ok((block, drive))
        });
        let blocks = driven.collect::<Result<Vec<_>>>()?;
        let traced = self.workers.map(blocks, |(block, drive)| no_grad(|| trace(&shared, block, drive.as_ref())));
        join(traced.into_iter().collect::<Result<Vec<_>>>()?)
    }

    /// Loss and mean accuracy ([`crate::Scores::summary`]) of several networks that differ in their parameters alone, on the same
    /// trials and with the same random numbers, side by side and without gradients.
    ///
    /// # Errors
    /// As [`Rollout::play`].
    pub fn judge_each(
        &self,
        network: &Network,
        members: &[Tensors],
        trials: &Trials,
    ) -> Result<Vec<(f64, Option<f64>)>> {
        let setting = self.setting_of(trials);
        let shared = self.shared(network, trials, &setting);
        let mut blocks = Vec::new();
        for parameters in members {
            let ready = no_grad(|| Ready::new(&shared, parameters, trials, false))?;
            let mut own = self.blocks(network, &ready, trials, None);
            own.iter_mut().for_each(|block| block.parameters = parameters.shallow_clone());
            blocks.append(&mut own);
        }
        let each = blocks.len() / members.len().max(1);
        let judge = |block| {
            let played = play(&shared, block, Record::Outputs)?;
            Ok(shared.task.score(&played.trials, &played.outputs)?.summary())
        };
        let judged = self.workers.map(blocks, |block| no_grad(|| judge(block)));
        let judged = judged.into_iter().collect::<Result<Vec<_>>>()?;
        // Scores of rows add up to those of the batch.
        let sum = |blocks: &[(f64, Option<f64>)]| {
            (blocks.iter().map(|(loss, _)| loss).sum(), blocks.iter().map(|(_, accuracy)| *accuracy).sum())
        };
        Ok(judged.chunks(each.max(1)).map(sum).collect())
    }
}

fn trace(shared: &Shared, block: Block, drive: Option<&Tensor>) -> Result<Traced> {
    let prepared = &block.ready.prepared;
    let initial = shared.initial_state(&block)?;
    let input = shared.drive(&block, &block.trials.inputs, 0)?;
    let driven = drive.map_or(Ok(input.shallow_clone()), |drive| input.f_add(drive))?;
    let states = match shared.rate_form().filter(|form| form.mixing.is_none()) {
        Some(form) => {
            // For a rate network a drive is one more input, so the whole input comes ready.
            let mut folding = Folding::new(&RateForm { linear_input: false, ..form.clone() }, prepared, None)?;
            folding.pack(false, shared.workers)?;
            let run = Folded::new(&folding, None, Some(&driven))?.forward(initial.get(&form.state)?)?;
            Tensors::from([(form.state.as_str(), run.states)])
        }
        None => {
            let steps = Steps { shared, prepared, periods: &block.trials.periods, first_step: 0 };
            walk(&steps, &block, initial, &input, drive)?
        }
    };
    let time = block.trials.time() as i64;
    let rates = shared.dynamics.rates(&states.map(|state| state.narrow(0, 1, time)))?;
    let outputs = answers(shared, &block.parameters, &block.trials, &rates)?;
    Ok(Traced { trials: block.trials, outputs, states, input: driven })
}

/// Step by step, with feedback where the network has it.
fn walk(steps: &Steps, block: &Block, initial: Tensors, input: &Tensor, drive: Option<&Tensor>) -> Result<Tensors> {
    let shared = steps.shared;
    let mut all = vec![initial];
    for t in 0..input.size()[0] {
        let Some(state) = all.last() else { break };
        let clock = clock(t as usize, (&block.trials.periods, t as usize), shared.setting);
        let own = drive.map(|drive| drive.f_get(t)).transpose()?;
        let fed = shared.readout.feedback.map(|head| feedback(shared, head, &block.parameters, state)).transpose()?;
        let drive = match (own, fed) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        let next = shared.dynamics.step(&clock, steps.prepared, state, &input.f_get(t)?, drive.as_ref())?;
        all.push(next);
    }
    let names: Vec<String> = all.first().map(|s| s.names().map(String::from).collect()).unwrap_or_default();
    let mut states = Tensors::new();
    for name in names {
        let steps = all.iter().map(|state| state.get(&name)).collect::<Result<Vec<_>>>()?;
        states.insert(&*name, Tensor::f_stack(&steps, 0)?);
    }
    Ok(states)
}

/// Blocks of rows in their order as one batch.
fn join(mut parts: Vec<Traced>) -> Result<Traced> {
    if parts.len() == 1 {
        return parts.pop().ok_or_else(|| Error::Failed("no rows".into()));
    }
    let mut states = Tensors::new();
    let first = parts.first().ok_or_else(|| Error::Failed("a batch without trials".into()))?;
    for name in first.states.names() {
        let all = parts.iter().map(|part| part.states.get(name)).collect::<Result<Vec<_>>>()?;
        states.insert(name, Tensor::f_cat(&all, 1)?);
    }
    let input = Tensor::f_cat(&parts.iter().map(|part| &part.input).collect::<Vec<_>>(), 1)?;
    // Outputs and trials are joined as those of any rollout.
    let played = parts.into_iter().map(|part| Played {
        trials: part.trials,
        outputs: part.outputs,
        rates: None,
        last: Tensors::new(),
    });
    let Played { trials, outputs, .. } = Played::join(played.collect())?;
    Ok(Traced { trials, outputs, states, input })
}
