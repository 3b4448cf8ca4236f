//! Two rules that reverse, and feedback that tells which one holds.

use super::ring::steps;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use synfire::cell::Mode;
use synfire::task::{Answer, ClosedLoop, Objective, Period, Segment, Target};
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

const CHANNELS: usize = 4;

/// What chance decides about one episode.
#[derive(Debug)]
struct Fate {
    /// Rule of each trial, 0 or 1.
    rules: Vec<usize>,
    /// Stimulus of each trial, 0 or 1.
    stimuli: Vec<usize>,
}

impl Fate {
    /// The response that a rule asks for.
    fn asked(rule: usize, stimulus: usize) -> usize {
        if rule == 0 { 1 - stimulus } else { stimulus }
    }

    /// What is right by the rule that holds.
    fn target(&self, trial: usize) -> usize {
        Self::asked(self.rules[trial], self.stimuli[trial])
    }

    /// What an observer would say who knows the rule of the trial before.
    fn ideal(&self, trial: usize) -> usize {
        let known = trial.checked_sub(1).map_or(0, |before| self.rules[before]);
        Self::asked(known, self.stimuli[trial])
    }
}

/// Steps of the four epochs of each trial: stimulus, response, feedback, wait.
type Lengths = Vec<[usize; 4]>;

/// The episodes of a batch on their way through their trials.
#[derive(Debug)]
struct Episodes {
    lengths: Arc<Lengths>,
    free: usize,
    rows: Vec<Arc<Fate>>,
    /// The trial whose response comes next.
    trial: usize,
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

impl Episodes {
    /// One trial up to its response; with responses, the feedback and the wait of the trial before come first.
    fn segment(&self, responses: Option<&[i64]>) -> Segment {
        let batch = self.rows.len();
        let [stimulus, response, ..] = self.lengths[self.trial];
        let (feedback, wait) = match responses {
            Some(_) => (self.lengths[self.trial - 1][2], self.lengths[self.trial - 1][3]),
            None => (0, 0),
        };
        let borders = [0, feedback, feedback + wait, feedback + wait + stimulus, feedback + wait + stimulus + response];
        let time = borders[4];
        let mut inputs = vec![0f32; time * batch * CHANNELS];
        for (row, fate) in self.rows.iter().enumerate() {
            let mut show = |channel: usize, range: Range<usize>| {
                range.for_each(|t| inputs[(t * batch + row) * CHANNELS + channel] = 1.0);
            };
            if let Some(responses) = responses {
                let right = responses[row] == fate.target(self.trial - 1) as i64;
                show(if right { 2 } else { 3 }, 0..borders[1]);
            }
            show(fate.stimuli[self.trial], borders[2]..borders[3]);
        }
        let classes: Vec<i64> = self.rows.iter().map(|fate| fate.ideal(self.trial) as i64).collect();
        let classes = Tensor::from_slice(&classes).unsqueeze(0).repeat([time as i64, 1]);
        let counting = (response - self.free) as i64;
        let weight = Tensor::zeros([time as i64, batch as i64], (Kind::Float, Device::Cpu));
        drop(weight.narrow(0, time as i64 - counting, counting).fill_(1.0 / counting as f64));
        let mut target = Target::new(0, None, Answer::EveryStep, classes, Some(weight));
        // The steps of a trial add up to one, however many there are.
        target.total = batch as f64;
        let names = ["feedback", "wait", "stimulus", "response"];
        let periods = names.iter().zip(borders.windows(2)).filter(|(_, ends)| ends[1] > ends[0]);
        Segment {
            inputs: Tensor::from_slice(&inputs).reshape([time as i64, batch as i64, CHANNELS as i64]),
            targets: vec![target],
            periods: periods.map(|(name, ends)| Period::new(*name, ends[0], ends[1])).collect(),
        }
    }
}

impl ClosedLoop for Episodes {
    fn begin(&self, rows: Range<usize>) -> Box<dyn ClosedLoop> {
        let (lengths, rows) = (self.lengths.clone(), self.rows[rows].to_vec());
        Box::new(Self { lengths, free: self.free, rows, trial: 0 })
    }

    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>> {
        let output = outputs.first().filter(|output| {
            let size = output.size();
            size.len() == 3 && size[0] > 0 && size[1..] == [self.rows.len() as i64, 2]
        });
        let output = output.ok_or_else(|| Error::Shape {
            what: "the outputs of a trial".into(),
            expected: format!("[time, {}, 2]", self.rows.len()),
            found: format!("{:?}", outputs.iter().map(Tensor::size).collect::<Vec<_>>()),
        })?;
        if self.trial + 1 >= self.lengths.len() {
            return Ok(None);
        }
        let last = output.f_select(0, output.size()[0] - 1)?;
        let responses = Vec::<i64>::try_from(last.f_argmax(-1, false)?.to_device(Device::Cpu))?;
        self.trial += 1;
        let mut segment = self.segment(Some(&responses));
        let (kind, device) = (output.kind(), output.device());
        segment.inputs = segment.inputs.f_to_device(device)?.f_to_kind(kind)?;
        for target in &mut segment.targets {
            target.values = target.values.f_to_device(device)?;
            if let Some(weight) = &mut target.weight {
                *weight = weight.f_to_device(device)?.f_to_kind(kind)?;
            }
        }
        Ok(Some(segment))
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
