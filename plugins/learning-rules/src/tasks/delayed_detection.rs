//! Was the signal there?

use super::decision::{Judged, Window};
use super::trial::in_steps;
use super::trial::{Sheet, require_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say after a delay whether a signal was shown, whatever a second channel says.
///
/// inputs  `[steps, batch, 2]`  the signal, 1 in the first `stimulus_steps` steps with probability 1/2, else 0; and a distractor of ±1
///                              during the whole trial
/// targets `[steps, batch, 1]`  0 at the first step if it is judged, then 1 where the signal was shown and -1 where it was not
/// weight  `[steps, batch]`     1 at the last `answer_steps` steps, and at the first with `start_at_zero`; else 0
///
/// A first stage on the way to `delayed-nonmatch`: to keep one bit for `steps - stimulus_steps` steps.
///
/// Conditions: `shown` (0 or 1), `distractor`, `trial_type` (as `shown`).
///
/// Source: the published programs of McMahan, Kleinman & Kao 2021, NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>, which call
/// it an incremental non-match task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelayedDetection {
    /// Steps of a trial.
    #[schemars(range(min = 2))]
    pub steps: usize,
    /// Steps for which the signal is shown.
    #[schemars(range(min = 1))]
    pub stimulus_steps: usize,
    /// Size of the distractor.
    #[schemars(range(min = 0.0))]
    pub distractor: f64,
    /// Steps at the end that are judged.
    #[schemars(range(min = 1))]
    pub answer_steps: usize,
    /// Whether the output should be 0 at the first step.
    pub start_at_zero: bool,
    /// How answers are judged.
    pub judged: Judged,
}

impl Default for DelayedDetection {
    fn default() -> Self {
        Self {
            steps: 750,
            stimulus_steps: 600,
            distractor: 1.0,
            answer_steps: 1,
            start_at_zero: true,
            judged: Judged::default(),
        }
    }
}

#[typetag::serde(name = "delayed-detection")]
impl Task for DelayedDetection {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps >= 2, "steps", self.steps, "at least 2");
        let shown = (1..=self.steps).contains(&self.stimulus_steps);
        problems.require(shown, "stimulus_steps", self.stimulus_steps, "between 1 and steps");
        require_size(problems, "distractor", self.distractor);
        let inside = (1..=self.steps).contains(&self.answer_steps);
        problems.require(inside, "answer_steps", self.answer_steps, "between 1 and steps");
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["signal".into(), "distractor".into()],
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "delayed-detection")?;
        let mut inputs = Sheet::new(self.steps, batch, 2);
        let (mut shown, mut distractors, mut decisions) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let on = stream.bernoulli(0.5);
            let distractor = if stream.bernoulli(0.5) { self.distractor } else { -self.distractor };
            for step in 0..self.steps {
                if on && step < self.stimulus_steps {
                    inputs.set(step, row, 0, 1.0);
                }
                inputs.set(step, row, 1, distractor);
            }
            shown.push(f64::from(u8::from(on)));
            distractors.push(distractor);
            decisions.push(if on { 1.0 } else { -1.0 });
        }
        let window = Window { time: self.steps, answer: self.answer_steps, silent: usize::from(self.start_at_zero) };
        let target = window.target(&decisions);
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![
                Period::new("stimulus", 0, self.stimulus_steps.min(self.steps)),
                Period::new("delay", self.stimulus_steps.min(self.steps), self.steps),
            ],
            conditions: [
                ("trial_type".into(), shown.clone()),
                ("shown".into(), shown),
                ("distractor".into(), distractors),
            ]
            .into(),
            ..Trials::default()
        })
    }

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        self.judged.score(trials, outputs)
    }

    fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        self.judged.errors(trials, outputs)
    }
}

synfire::inventory::submit! { Component::task::<DelayedDetection>("delayed-detection") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn the_target_follows_from_the_signal_alone() {
        let trials = DelayedDetection::default().trials(&Lesson::default(), 60, &mut Stream::new(1)).expect("in range");
        let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        let mut pairs = std::collections::BTreeSet::new();
        for row in 0..60 {
            let at = |t: usize| (inputs[(t * 60 + row) * 2], inputs[(t * 60 + row) * 2 + 1]);
            let (signal, distractor) = at(0);
            assert_eq!((at(599), at(600)), ((signal, distractor), (0.0, distractor)));
            assert_eq!(targets[749 * 60 + row], 2.0 * signal - 1.0);
            pairs.insert((signal as i64, distractor as i64));
        }
        assert_eq!(pairs.len(), 4, "the distractor says nothing about the signal");
        let mut problems = Problems::under("task");
        DelayedDetection { stimulus_steps: 751, ..DelayedDetection::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        assert!(problems.into_result().expect_err("longer").to_string().contains("task.stimulus_steps is 751"));
    }
}
