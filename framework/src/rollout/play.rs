//! Forward: segments of trials through the network, on the fast path or step by step.

use super::answers::{hear, heard};
use super::course::Course;
use super::gradient::join;
use super::{Block, Record, Shared, gated};
use crate::cell::{Clock, Dynamics, Setting};
use crate::network;
use crate::recurrence::mixing::{period_at, since_border};
use crate::task::{Answer, Period, Segment, Target, Trials};
use crate::{Error, Result, Tensors};
use tch::Tensor;

/// What a rollout gives.
#[derive(Debug)]
pub struct Played {
    /// The trials as they happened: for closed loops all segments joined.
    pub trials: Trials,
    /// One tensor per target: `[batch, output]` for answers at the final step, else `[time, batch, output]`.
    pub outputs: Vec<Tensor>,
    /// Rates after every step, `[time, batch, unit]`, if they were recorded.
    pub rates: Option<Tensor>,
    /// The state after the last step.
    pub last: Tensors,
}

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
fn say(shared: &Shared, head: usize, parameters: &Tensors, state: &Tensors) -> Result<Tensor> {
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

/// Join the segments of closed-loop trials.
#[derive(Default)]
struct Joined {
    inputs: Vec<Tensor>,
    targets: Vec<Vec<Target>>,
    periods: Vec<Period>,
    steps: usize,
}

impl Joined {
    pub fn push(&mut self, segment: Segment) {
        let time = segment.inputs.size()[0] as usize;
        let shift = self.steps;
        let shifted = |p: Period| Period::new(p.name, p.steps.start + shift, p.steps.end + shift);
        self.periods.extend(segment.periods.into_iter().map(shifted));
        self.inputs.push(segment.inputs);
        self.targets.push(segment.targets);
        self.steps += time;
    }

    /// The trials as they happened. `share` is batch over rows: totals of later segments are those of the rows, and stand for the
    /// whole batch in proportion.
    pub fn finish(mut self, trials: &Trials, share: f64) -> Result<Trials> {
        let answer = trials.answer;
        let mut last = self.targets.pop().unwrap_or_default();
        let targets = match answer {
            Answer::FinalStep => {
                if !self.targets.is_empty() {
                    last.iter_mut().for_each(|target| target.total *= share);
                }
                last
            }
            Answer::EveryStep => {
                self.targets.push(last);
                let heads = self.targets[0].len();
                (0..heads).map(|h| join_targets(&self.targets, h, share)).collect::<Result<_>>()?
            }
        };
        Ok(Trials {
            inputs: Tensor::f_cat(&self.inputs, 0)?,
            targets,
            answer,
            periods: self.periods,
            substeps: trials.substeps,
            settle: trials.settle.as_ref().map(Tensor::shallow_clone),
            hints: None,
            conditions: trials.conditions.clone(),
            initial: trials.initial.as_ref().map(Tensors::shallow_clone),
            rest: None,
        })
    }
}

fn join_targets(segments: &[Vec<Target>], head: usize, share: f64) -> Result<Target> {
    let parts = segments
        .iter()
        .map(|s| s.get(head))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::Failed("a closed-loop segment has fewer targets than the first".into()))?;
    let values = Tensor::f_cat(&parts.iter().map(|t| &t.values).collect::<Vec<_>>(), 0)?;
    let weights: Vec<Tensor> = parts
        .iter()
        .map(|t| match &t.weight {
            Some(weight) => weight.shallow_clone(),
            None => Tensor::ones(&t.values.size()[..2], (tch::Kind::Float, t.values.device())),
        })
        .collect();
    let later: f64 = parts[1..].iter().map(|t| t.total * share).sum();
    Ok(Target {
        head: parts[0].head,
        level: parts[0].level,
        values,
        weight: Some(Tensor::f_cat(&weights, 0)?),
        total: parts[0].total + later,
    })
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

/// The number of the segment in which a network settles before a trial: its noise is told apart from those of the trial.
pub(super) const SETTLING: usize = usize::MAX;

/// A segment that is about to be played.
pub(super) struct Next<'a> {
    /// `[time, batch, input]`
    pub inputs: &'a Tensor,
    /// Its periods, counted from its first step.
    pub periods: &'a [Period],
    /// Its number.
    pub index: usize,
    /// Steps before it.
    pub first_step: usize,
    /// Heads whose answers the environment waits for.
    pub heads: &'a [usize],
}

/// Walk through trials segment by segment: `play` plays one and says what its heads answered. Gives the trials as they happened.
pub(super) fn walk(
    shared: &Shared,
    mut trials: Trials,
    mut play: impl FnMut(Next) -> Result<Vec<Tensor>>,
) -> Result<Trials> {
    let Some(mut rest) = trials.rest.take() else {
        play(Next { inputs: &trials.inputs, periods: &trials.periods, index: 0, first_step: 0, heads: &[] })?;
        return Ok(trials);
    };
    let share = shared.batch as f64 / trials.batch().max(1) as f64;
    let mut joined = Joined::default();
    let mut next = Some(Segment {
        inputs: trials.inputs.shallow_clone(),
        targets: std::mem::take(&mut trials.targets),
        periods: trials.periods.clone(),
    });
    let mut index = 0;
    while let Some(segment) = next.take() {
        let heads: Vec<usize> = segment.targets.iter().map(|target| target.head).collect();
        let (inputs, periods) = (&segment.inputs, &segment.periods[..]);
        let said = play(Next { inputs, periods, index, first_step: joined.steps, heads: &heads })?;
        joined.push(segment);
        next = rest.next(&said)?;
        index += 1;
    }
    joined.finish(&trials, share)
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

impl Played {
    /// Join blocks of rows in order.
    pub(super) fn join(mut parts: Vec<Self>) -> Result<Self> {
        if parts.len() == 1 {
            return parts.pop().ok_or_else(|| Error::Failed("no rows".into()));
        }
        let first = parts.first().ok_or_else(|| Error::Failed("a batch without trials".into()))?;
        let answer = first.trials.answer;
        let axis = i64::from(answer == Answer::EveryStep);
        let cat = |pick: &dyn Fn(&Self) -> Tensor, axis: i64| -> Result<Tensor> {
            Ok(Tensor::f_cat(&parts.iter().map(pick).collect::<Vec<_>>(), axis)?)
        };
        let mut targets = Vec::new();
        let mut outputs = Vec::new();
        for (h, target) in first.trials.targets.iter().enumerate() {
            let weight = match &target.weight {
                Some(_) => {
                    let part =
                        |p: &Self| p.trials.targets[h].weight.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone);
                    Some(cat(&part, axis)?)
                }
                None => None,
            };
            let values = cat(&|p: &Self| p.trials.targets[h].values.shallow_clone(), axis)?;
            targets.push(Target { head: target.head, level: target.level, values, weight, total: target.total });
            outputs.push(cat(&|p: &Self| p.outputs[h].shallow_clone(), axis)?);
        }
        let mut conditions = first.trials.conditions.clone();
        for part in &parts[1..] {
            for (name, column) in &mut conditions {
                column.extend(part.trials.conditions.get(name).into_iter().flatten());
            }
        }
        let rates = match &first.rates {
            Some(_) => Some(cat(&|p: &Self| p.rates.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone), 1)?),
            None => None,
        };
        let last = join_states(&first.last, parts.iter().map(|p| Some(&p.last)))?;
        let initial = match &first.trials.initial {
            Some(states) => Some(join_states(states, parts.iter().map(|p| p.trials.initial.as_ref()))?),
            None => None,
        };
        let trials = Trials {
            inputs: cat(&|p: &Self| p.trials.inputs.shallow_clone(), 1)?,
            targets,
            answer,
            periods: first.trials.periods.clone(),
            substeps: first.trials.substeps,
            settle: match &first.trials.settle {
                Some(_) => {
                    let part = |p: &Self| p.trials.settle.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone);
                    Some(cat(&part, 1)?)
                }
                None => None,
            },
            hints: match &first.trials.hints {
                Some(_) => {
                    let part = |p: &Self| p.trials.hints.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone);
                    Some(cat(&part, 1)?)
                }
                None => None,
            },
            conditions,
            initial,
            rest: None,
        };
        Ok(Self { trials, outputs, rates, last })
    }
}

/// The states of all blocks of rows, by the names of the first.
fn join_states<'a>(first: &Tensors, parts: impl Iterator<Item = Option<&'a Tensors>> + Clone) -> Result<Tensors> {
    let mut joined = Tensors::new();
    for name in first.names() {
        let states = parts.clone().flatten().map(|states| states.get(name)).collect::<Result<Vec<_>>>()?;
        joined.insert(name, Tensor::f_cat(&states, 0)?);
    }
    Ok(joined)
}
