//! Choices between two arms whose worth reverses.

use super::asked::{no_levels, no_time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use synfire::task::{Answer, ClosedLoop, Objective, Period, Segment, Target};
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Choose again and again between two arms, one of which pays more often, and notice when they change roles.
///
/// A trial is a sequence of `decisions`. The better arm pays with probability `better_reward`, the other with `worse_reward`; after
/// each decision they change roles with probability `reversal_hazard`. The choice is the larger of the two outputs in the last step
/// of a decision. What came of it is shown in the first `outcome_steps` of the next decision, whose last step is marked by a cue:
///
/// inputs  `[steps, batch, 4]`  reward (1 or 0), choice of the left arm, choice of the right arm, cue to choose
/// classes `[steps, batch]`     the better arm, 0 left or 1 right
/// weight  `[steps, batch]`     1 in the last step of each decision, else 0
///
/// where `steps` is `steps_per_decision`, and nothing is shown before the first decision. The accuracy is the fraction of decisions for
/// the better arm. Chance gives 1/2; staying with an arm that paid and leaving one that did not gives `B / (1 - A + B)` after many
/// decisions, where, with hazard `h` and rewards `b` and `w`, `A = b (1 - h) + (1 - b) h` and `B = w h + (1 - w) (1 - h)`: 0.77 with
/// the defaults.
///
/// Conditions: `first_better_arm`, `reversals` (number of them in the trial).
///
/// Where the better arm is and which pulls would pay is drawn for each trial beforehand, whatever the network chooses: the same
/// trials can be played again, by other networks, in blocks of rows.
///
/// Source: probabilistic reversal learning as in Wang et al. 2018, "Prefrontal cortex as a meta-reinforcement learning system",
/// doi:10.1038/s41593-018-0147-8. Differs: the objective names the better arm; the network need not learn from reward alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TwoArmedBandit {
    /// Number of choices in a trial.
    #[schemars(range(min = 1))]
    pub decisions: usize,
    /// Steps of one decision; the choice is made in the last.
    #[schemars(range(min = 1))]
    pub steps_per_decision: usize,
    /// Steps for which the outcome of the last choice is shown.
    #[schemars(range(min = 1))]
    pub outcome_steps: usize,
    /// Probability that the better arm pays.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub better_reward: f64,
    /// Probability that the other arm pays.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub worse_reward: f64,
    /// Probability that the arms change roles after a decision.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub reversal_hazard: f64,
}

impl Default for TwoArmedBandit {
    fn default() -> Self {
        Self {
            decisions: 50,
            steps_per_decision: 3,
            outcome_steps: 1,
            better_reward: 0.8,
            worse_reward: 0.2,
            reversal_hazard: 0.05,
        }
    }
}

const CHANNELS: usize = 4;

/// Everything that chance decides in one trial.
#[derive(Debug)]
struct Fate {
    /// The better arm at each decision.
    better: Vec<usize>,
    /// Whether the better and the worse arm would pay at each decision.
    pays: Vec<[bool; 2]>,
}

impl Fate {
    fn draw(task: &TwoArmedBandit, mut stream: Stream) -> Self {
        let mut arm = stream.below(2) as usize;
        let (mut better, mut pays) = (Vec::new(), Vec::new());
        for decision in 0..task.decisions {
            if decision > 0 && stream.bernoulli(task.reversal_hazard) {
                arm = 1 - arm;
            }
            better.push(arm);
            pays.push([stream.bernoulli(task.better_reward), stream.bernoulli(task.worse_reward)]);
        }
        Self { better, pays }
    }

    fn pays(&self, decision: usize, arm: usize) -> bool {
        self.pays[decision][usize::from(arm != self.better[decision])]
    }
}

/// What the last choice was and whether it paid.
#[derive(Clone, Copy)]
struct Outcome {
    arm: usize,
    paid: bool,
}

impl TwoArmedBandit {
    /// One decision of all rows, after the outcomes of the last if there was one.
    fn segment(&self, rows: &[Arc<Fate>], decision: usize, outcomes: Option<&[Outcome]>) -> Segment {
        let (time, batch) = (self.steps_per_decision, rows.len());
        let mut inputs = vec![0f32; time * batch * CHANNELS];
        for t in 0..time {
            for row in 0..batch {
                let channels = &mut inputs[(t * batch + row) * CHANNELS..][..CHANNELS];
                if let Some(Outcome { arm, paid }) = outcomes.map(|o| o[row]).filter(|_| t < self.outcome_steps) {
                    channels[0] = f32::from(u8::from(paid));
                    channels[1 + arm] = 1.0;
                }
                channels[3] = f32::from(u8::from(t + 1 == time));
            }
        }
        let better: Vec<i64> = rows.iter().map(|fate| fate.better[decision] as i64).collect();
        let classes = Tensor::from_slice(&better).unsqueeze(0).repeat([time as i64, 1]);
        let weight = Tensor::zeros([time as i64, batch as i64], (Kind::Float, Device::Cpu));
        drop(weight.select(0, time as i64 - 1).fill_(1.0));
        let outcome = self.outcome_steps.min(time - 1);
        let mut periods = vec![Period::new("choice", time - 1, time)];
        if outcome > 0 {
            periods.insert(0, Period::new("outcome", 0, outcome));
        }
        if outcome < time - 1 {
            periods.insert(periods.len() - 1, Period::new("wait", outcome, time - 1));
        }
        Segment {
            inputs: Tensor::from_slice(&inputs).reshape([time as i64, batch as i64, CHANNELS as i64]),
            targets: vec![Target::new(0, None, Answer::EveryStep, classes, Some(weight))],
            periods,
        }
    }
}

/// The rows of a batch on their way through their decisions.
#[derive(Debug)]
struct Pulls {
    task: TwoArmedBandit,
    rows: Vec<Arc<Fate>>,
    /// The decision whose outputs come next.
    decision: usize,
}

impl ClosedLoop for Pulls {
    fn begin(&self, rows: Range<usize>) -> Box<dyn ClosedLoop> {
        Box::new(Self { task: self.task.clone(), rows: self.rows[rows].to_vec(), decision: 0 })
    }

    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>> {
        let expected = [self.task.steps_per_decision as i64, self.rows.len() as i64, 2];
        let output = outputs.first().filter(|output| output.dim() == 3 && output.size()[1..] == expected[1..]);
        let output = output.ok_or_else(|| Error::Shape {
            what: "the outputs of a decision".into(),
            expected: format!("{expected:?}"),
            found: format!("{:?}", outputs.iter().map(Tensor::size).collect::<Vec<_>>()),
        })?;
        if self.decision + 1 >= self.task.decisions {
            return Ok(None);
        }
        let last = output.f_select(0, output.size()[0] - 1)?;
        let arms = Vec::<i64>::try_from(last.f_argmax(-1, false)?.to_device(Device::Cpu))?;
        let outcome = |(fate, arm): (&Arc<Fate>, &i64)| {
            let arm = usize::from(*arm == 1);
            Outcome { arm, paid: fate.pays(self.decision, arm) }
        };
        let outcomes: Vec<Outcome> = self.rows.iter().zip(&arms).map(outcome).collect();
        self.decision += 1;
        let mut segment = self.task.segment(&self.rows, self.decision, Some(&outcomes));
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

#[typetag::serde(name = "two-armed-bandit")]
impl Task for TwoArmedBandit {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.decisions >= 1, "decisions", self.decisions, "at least 1");
        let steps = self.steps_per_decision;
        problems.require(steps >= 1, "steps_per_decision", steps, "at least 1");
        problems.require(
            (1..=steps.max(1)).contains(&self.outcome_steps),
            "outcome_steps",
            self.outcome_steps,
            "at least 1 and at most steps_per_decision",
        );
        for (field, value) in [
            ("better_reward", self.better_reward),
            ("worse_reward", self.worse_reward),
            ("reversal_hazard", self.reversal_hazard),
        ] {
            problems.require((0.0..=1.0).contains(&value), field, value, "a probability, 0 to 1");
        }
        if self.worse_reward > self.better_reward {
            problems.add(
                "worse_reward",
                format_args!("is {}, more than better_reward", self.worse_reward),
                "swap them",
            );
        }
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: ["reward", "chose_left", "chose_right", "cue"].map(String::from).to_vec(),
            outputs: 2,
            objective: Objective::classify(Answer::EveryStep),
            dt_ms: None,
            difficulty: None,
            closed_loop: true,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "two-armed-bandit")?;
        no_time_step(lesson, "two-armed-bandit")?;
        let rows: Vec<Arc<Fate>> = (0..batch).map(|row| Arc::new(Fate::draw(self, stream.at(row as u64)))).collect();
        let Segment { inputs, targets, periods } = self.segment(&rows, 0, None);
        let reversals = |fate: &Arc<Fate>| fate.better.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
        let conditions = [
            ("first_better_arm".to_string(), rows.iter().map(|fate| fate.better[0] as f64).collect()),
            ("reversals".to_string(), rows.iter().map(reversals).collect()),
        ];
        let rest: Box<dyn ClosedLoop> = Box::new(Pulls { task: self.clone(), rows, decision: 0 });
        Ok(Trials {
            inputs,
            targets,
            answer: Answer::EveryStep,
            periods,
            conditions: conditions.into(),
            rest: Some(rest),
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<TwoArmedBandit>("two-armed-bandit") }

#[cfg(test)]
mod tests;
