//! Trials segment by segment, and joined as they happened.

use super::Shared;
use crate::task::{Answer, Period, Segment, Target, Trials};
use crate::{Error, Result, Tensors};
use tch::Tensor;

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
