//! Two rules that reverse, and feedback that tells which one holds.

mod episodes;

use super::ring::steps;
use episodes::{CHANNELS, Episodes, Fate, Lengths};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synfire::cell::Mode;
use synfire::task::{Answer, Objective, Segment};
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Answer two stimuli by a rule that feedback alone tells, and that reverses.
///
/// An episode is a few trials in a row. In each a stimulus is shown, the network responds, hears whether that was right, and waits.
/// Under rule 0 stimulus 0 asks for response 1 and stimulus 1 for response 0, under rule 1 each for its own number. The rule is drawn
/// for the first trial, and may change after the first, the third, the fifth and so on: rows `0, 1, 2, ...` of a batch have all
/// sequences in turn. What counts as correct is what an observer knows: the rule of the trial before, and rule 0 in the first trial;
/// feedback tells whether the response, the larger output in the last step of its epoch, was right by the rule that holds.
///
/// inputs  `[time, batch, 4]`  two stimuli, right, wrong
/// classes `[time, batch]`     the response of that observer
/// weight  `[time, batch]`     the same in every step of a response after `free_ms`, 0 elsewhere; trials count alike
///
/// The accuracy is the share of correct responses. A network that stays with rule 0 has `(1 + (n - 1) / 2) / n` of `n` trials right:
/// 0.6 of five. Every episode is preceded by `settle_ms` of silence, outside the gradient, and ends with the last response. In
/// training each epoch is longer or shorter by up to `jitter_ms`, one draw for all episodes of a batch.
///
/// Conditions: `sequence` (number of the rule sequence), `first_rule`, `changes` (number of reversals).
///
/// Source: Soo, Goudar & Wang 2023, doi:10.1101/2023.10.10.561588. Differs: two outputs; the published network has two more, which
/// nothing reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleReversal {
    /// Duration of a step in ms, where the lesson sets none.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub dt_ms: f64,
    /// Trials of an episode.
    #[schemars(range(min = 2, max = 41))]
    pub trials: usize,
    /// Silence before an episode.
    #[schemars(range(min = 0.0))]
    pub settle_ms: f64,
    /// The stimulus.
    #[schemars(range(min = 0.0))]
    pub stimulus_ms: f64,
    /// The response.
    #[schemars(range(min = 0.0))]
    pub response_ms: f64,
    /// The feedback.
    #[schemars(range(min = 0.0))]
    pub feedback_ms: f64,
    /// Between the feedback and the next stimulus.
    #[schemars(range(min = 0.0))]
    pub wait_ms: f64,
    /// Largest change of an epoch in training.
    #[schemars(range(min = 0.0))]
    pub jitter_ms: f64,
    /// At the start of the response, where outputs do not count.
    #[schemars(range(min = 0.0))]
    pub free_ms: f64,
}

impl Default for RuleReversal {
    fn default() -> Self {
        Self {
            dt_ms: 5.0,
            trials: 5,
            settle_ms: 1000.0,
            stimulus_ms: 500.0,
            response_ms: 500.0,
            feedback_ms: 500.0,
            wait_ms: 500.0,
            jitter_ms: 100.0,
            free_ms: 100.0,
        }
    }
}

impl RuleReversal {
    /// Stretches of trials with one rule.
    fn blocks(&self) -> usize {
        self.trials / 2 + 1
    }

    /// The rule of each trial in a sequence: the bits of its number, the first block's being the highest.
    fn rules(&self, sequence: usize) -> Vec<usize> {
        let blocks = self.blocks();
        let bit = |block: usize| (sequence >> block.checked_sub(1).unwrap_or(blocks - 1)) & 1;
        (0..self.trials).map(|trial| bit(trial.div_ceil(2))).collect()
    }

    fn fate(&self, row: usize, stream: &Stream) -> Fate {
        let mut stream = stream.at(row as u64);
        let rules = self.rules(row % (1 << self.blocks()));
        Fate { rules, stimuli: (0..self.trials).map(|_| stream.below(2) as usize).collect() }
    }

    fn dt(&self, lesson: &Lesson) -> Result<f64> {
        if let Some(level) = lesson.levels.first() {
            let problem = format!("asks for level {}; the task 'rule-reversal' has no difficulty", level.level);
            return Err(Error::config("curriculum", problem, "leave out the curriculum's levels"));
        }
        let dt = lesson.dt_ms.unwrap_or(self.dt_ms);
        let jitter = steps(self.jitter_ms, dt);
        if dt.is_finite() && dt > 0.0 && steps(self.response_ms, dt) > steps(self.free_ms, dt) + jitter {
            return Ok(dt);
        }
        let problem = format!("sets the time step to {dt} ms, with which no step of the response may count");
        Err(Error::config("curriculum", problem, "use smaller steps"))
    }
}

#[typetag::serde(name = "rule-reversal")]
impl Task for RuleReversal {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        let dt = self.dt_ms;
        let positive = dt.is_finite() && dt > 0.0;
        problems.require(positive, "dt_ms", dt, "above 0");
        problems.require((2..=41).contains(&self.trials), "trials", self.trials, "between 2 and 41");
        let all = [
            ("settle_ms", self.settle_ms),
            ("stimulus_ms", self.stimulus_ms),
            ("response_ms", self.response_ms),
            ("feedback_ms", self.feedback_ms),
            ("wait_ms", self.wait_ms),
            ("jitter_ms", self.jitter_ms),
            ("free_ms", self.free_ms),
        ];
        for (field, value) in all {
            problems.require((0.0..1e9).contains(&value), field, value, "0 or more");
        }
        for (field, value, least) in [
            ("stimulus_ms", self.stimulus_ms, self.jitter_ms),
            ("feedback_ms", self.feedback_ms, self.jitter_ms),
            ("response_ms", self.response_ms, self.jitter_ms + self.free_ms),
        ] {
            let long = !positive || steps(value, dt) > steps(least, dt);
            problems.require(
                long,
                field,
                value,
                &format!("more than {least} ms by a step, for jitter and what is free"),
            );
        }
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: ["stimulus_0", "stimulus_1", "right", "wrong"].map(String::from).to_vec(),
            outputs: 2,
            objective: Objective::classify(Answer::EveryStep),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: true,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let dt = self.dt(lesson)?;
        let jitter = if lesson.mode == Mode::Training { steps(self.jitter_ms, dt) } else { 0 };
        let mut draw = stream.child("jitter");
        let mut length = |duration: f64| {
            let shift = if jitter > 0 { draw.below(2 * jitter as u64) as usize } else { 0 };
            (steps(duration, dt) + shift).saturating_sub(jitter)
        };
        let epochs = [self.stimulus_ms, self.response_ms, self.feedback_ms, self.wait_ms];
        let lengths: Lengths = (0..self.trials).map(|_| epochs.map(&mut length)).collect();
        let rows: Vec<Arc<Fate>> = (0..batch).map(|row| Arc::new(self.fate(row, stream))).collect();
        let sequences = 1 << self.blocks();
        let column = |value: &dyn Fn(&Fate) -> f64| rows.iter().map(|fate| value(fate)).collect::<Vec<f64>>();
        let changes = |fate: &Fate| fate.rules.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
        let conditions = [
            ("sequence".to_string(), (0..batch).map(|row| (row % sequences) as f64).collect()),
            ("first_rule".to_string(), column(&|fate| fate.rules[0] as f64)),
            ("changes".to_string(), column(&changes)),
        ];
        let settle = steps(self.settle_ms, dt) as i64;
        let silence = Tensor::zeros([settle, batch as i64, CHANNELS as i64], (Kind::Float, Device::Cpu));
        let episodes = Episodes { lengths: Arc::new(lengths), free: steps(self.free_ms, dt), rows, trial: 0 };
        let Segment { inputs, targets, periods } = episodes.segment(None);
        Ok(Trials {
            inputs,
            targets,
            answer: Answer::EveryStep,
            periods,
            settle: (settle > 0).then_some(silence),
            conditions: conditions.into(),
            rest: Some(Box::new(episodes)),
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<RuleReversal>("rule-reversal") }

#[cfg(test)]
mod tests;
