//! The sign of a sum that is shown early and asked for late.

use super::decision::{Judged, Window};
use super::trial::{Sheet, no_levels, require_positive, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say some time after a random pattern was shown whether its sum is positive.
///
/// inputs  `[time, batch, channels]`  a pattern, each channel uniform in ±1, during the first `stimulus_ms`; then 0
/// targets `[time, batch, 1]`         the sign of the pattern's sum
/// weight  `[time, batch]`            1 during the last `answer_ms`, else 0
///
/// An answer is correct when it lies closer to its target than `judged.correct` on average over the judged steps; the scalar error of a
/// trial is its mean absolute distance.
///
/// Conditions: `sum`, `choice` (the target), `trial_type` (0 where it is -1, 1 where it is 1).
///
/// Source: Miconi 2017, "Biologically plausible learning in recurrent neural networks reproduces neural dynamics observed during
/// cognitive tasks", doi:10.7554/eLife.20899, the task on which learning rules are compared with the gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SumSign {
    /// Number of channels.
    #[schemars(range(min = 1))]
    pub channels: usize,
    /// Length of a trial.
    #[schemars(range(min = 0.0))]
    pub duration_ms: f64,
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// How long the pattern is shown.
    #[schemars(range(min = 0.0))]
    pub stimulus_ms: f64,
    /// Time at the end that is judged.
    #[schemars(range(min = 0.0))]
    pub answer_ms: f64,
    /// How answers are judged.
    pub judged: Judged,
}

impl Default for SumSign {
    fn default() -> Self {
        Self {
            channels: 10,
            duration_ms: 300.0,
            dt_ms: 1.0,
            stimulus_ms: 100.0,
            answer_ms: 100.0,
            judged: Judged::by_distance(1.0),
        }
    }
}

#[typetag::serde(name = "sum-sign")]
impl Task for SumSign {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.channels >= 1, "channels", self.channels, "at least 1");
        require_positive(problems, "duration_ms", self.duration_ms);
        require_positive(problems, "dt_ms", self.dt_ms);
        for (field, value) in [("stimulus_ms", self.stimulus_ms), ("answer_ms", self.answer_ms)] {
            let inside = value >= self.dt_ms && value <= self.duration_ms;
            problems.require(inside, field, value, "between dt_ms and duration_ms");
        }
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: (0..self.channels).map(|i| format!("pattern_{i}")).collect(),
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "sum-sign")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let (time, shown) = (steps(self.duration_ms, dt), steps(self.stimulus_ms, dt));
        let answer = steps(self.answer_ms, dt).max(1);
        if shown == 0 || time < answer {
            return Err(Error::config(
                "curriculum",
                format_args!("sets the time step to {dt} ms, longer than the pattern is shown"),
                "use a shorter step",
            ));
        }
        let mut inputs = Sheet::new(time, batch, self.channels);
        let (mut sums, mut choice) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let pattern: Vec<f64> = (0..self.channels).map(|_| 2.0 * stream.uniform() - 1.0).collect();
            for step in 0..shown.min(time) {
                for (channel, value) in pattern.iter().enumerate() {
                    inputs.set(step, row, channel, *value);
                }
            }
            let sum: f64 = pattern.iter().sum();
            sums.push(sum);
            choice.push(if sum > 0.0 { 1.0 } else { -1.0 });
        }
        let target = Window { time, answer, silent: 0 }.target(&choice);
        let trial_type = choice.iter().map(|s| f64::from(u8::from(*s > 0.0))).collect();
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("stimulus", 0, shown.min(time)), Period::new("response", time - answer, time)],
            conditions: [("sum".into(), sums), ("choice".into(), choice), ("trial_type".into(), trial_type)].into(),
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

synfire::inventory::submit! { Component::task::<SumSign>("sum-sign") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn the_target_is_the_sign_of_what_was_shown() {
        let trials = SumSign::default().trials(&Lesson::default(), 30, &mut Stream::new(1)).expect("in range");
        assert_eq!(trials.inputs.size(), [300, 30, 10]);
        let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        for row in 0..30 {
            let sum = |t: usize| inputs[(t * 30 + row) * 10..][..10].iter().sum::<f64>();
            assert_eq!(targets[299 * 30 + row], sum(99).signum());
            assert_eq!((sum(0), sum(100)), (sum(99), 0.0));
        }
        assert_eq!(trials.targets[0].total, 3000.0);
        let error = SumSign::default()
            .trials(&Lesson { dt_ms: Some(250.0), ..Lesson::default() }, 1, &mut Stream::new(1))
            .expect_err("too coarse");
        assert!(error.to_string().contains("250 ms"), "{error}");
    }
}
