//! Trials step by step, with a rule that looks on and may change the network within the trial.

use super::play::{clock, say};
use super::played::Played;
use super::{Block, Shared};
use crate::cell::{Clock, Dynamics};
use crate::network;
use crate::task::Answer;
use crate::{Error, Result, Tensors};
use tch::Tensor;

/// Where in the trials a hook is called.
pub struct Moment<'a> {
    /// Step and conditions.
    pub clock: Clock<'a>,
    /// The trials' input at this step, `[batch, input]`.
    pub input: Tensor,
    /// The same as the step gets it: projected and with noise, `[batch, projected]`.
    pub projected: Tensor,
    /// The equations of the network, for rules that step another network beside it.
    pub dynamics: &'a dyn Dynamics,
}

/// What an online rule does within a trial.
pub trait StepHook {
    /// Called before each step; a drive `[batch, unit]` is added to the input of the units.
    ///
    /// # Errors
    /// What the rule reports.
    fn before(&mut self, moment: &Moment, parameters: &Tensors, state: &Tensors) -> Result<Option<Tensor>> {
        let _ = (moment, parameters, state);
        Ok(None)
    }

    /// Called after each step with the new state, the rates `[batch, unit]` and the outputs `[batch, output]` of the heads in use;
    /// may change parameters of heads, and others if [`StepHook::changes_dynamics`].
    ///
    /// # Errors
    /// What the rule reports.
    fn after(
        &mut self,
        moment: &Moment,
        parameters: &mut Tensors,
        state: &Tensors,
        rates: &Tensor,
        outputs: &[Tensor],
    ) -> Result<()>;

    /// Whether more than heads changes within a trial, so that weights are prepared anew at each step. Default: no.
    fn changes_dynamics(&self) -> bool {
        false
    }
}

/// Play all rows as one block with a hook at each step; gives the changed parameters back.
pub(super) fn play_online(shared: &Shared, block: Block, hook: &mut dyn StepHook) -> Result<(Played, Tensors)> {
    if block.trials.rest.is_some() {
        return Err(Error::Incompatible {
            needs: "a rule that learns within the trial".into(),
            because: "the task's inputs depend on the answers; use an open-loop task".into(),
        });
    }
    let mut state = shared.initial_state(&block)?;
    let driven = shared.drive(&block, &block.trials.inputs, 0)?;
    let mut prepared = block.ready.prepared;
    let heads = shared.heads(&block.trials);
    let inputs = block.trials.inputs.unbind(0);
    // Where input weights may change, the input is projected step by step, and the noise of the whole trial is kept apart.
    let noise = match hook.changes_dynamics() {
        true => Some((&driven - shared.dynamics.project(&prepared, &block.trials.inputs)?).unbind(0)),
        false => None,
    };
    let projected = driven.unbind(0);
    let mut parameters = block.parameters;
    let (mut rates_over_time, mut outputs_over_time) = (Vec::new(), Vec::new());
    let fed_back = shared.readout.feedback;
    // What was said is fed back, also where the hook has changed the head since.
    let mut said = fed_back.map(|head| say(shared, head, &parameters, &state)).transpose()?;
    for (t, input) in inputs.iter().enumerate() {
        let clock = clock(t, (&block.trials.periods, t), shared.setting);
        // Changed weights act from the next step on.
        let step_input = match &noise {
            Some(noise) => {
                prepared = shared.dynamics.prepare(&parameters, shared.setting)?;
                &noise[t] + shared.dynamics.project(&prepared, &input.unsqueeze(0))?.squeeze_dim(0)
            }
            None => projected[t].shallow_clone(),
        };
        let moment = Moment {
            clock,
            input: input.shallow_clone(),
            projected: step_input.shallow_clone(),
            dynamics: shared.dynamics,
        };
        let own = hook.before(&moment, &parameters, &state)?;
        let fed = said.as_ref().map(|output| network::feed_back(&parameters, output)).transpose()?;
        let drive = match (own, fed) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        state = shared.dynamics.step(&clock, &prepared, &state, &step_input, drive.as_ref())?;
        let rates = shared.dynamics.rates(&state)?;
        let outputs = network::read(&parameters, shared.readout, &heads, &rates)?;
        said = fed_back.map(|head| say(shared, head, &parameters, &state)).transpose()?;
        hook.after(&moment, &mut parameters, &state, &rates, &outputs)?;
        rates_over_time.push(rates);
        outputs_over_time.push(outputs);
    }
    let outputs = (0..heads.len())
        .map(|h| {
            let steps: Vec<&Tensor> = outputs_over_time.iter().map(|o| &o[h]).collect();
            match (block.trials.answer, steps.last()) {
                (Answer::FinalStep, Some(last)) => Ok(last.shallow_clone()),
                _ => Ok(Tensor::f_stack(&steps, 0)?),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let rates = Some(Tensor::f_stack(&rates_over_time, 0)?);
    Ok((Played { trials: block.trials, outputs, rates, last: state }, parameters))
}
