//! One number, whatever comes in.

use super::trial::{Sheet, in_steps, require_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Objective, Target};
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say the same number at every step, whatever comes in.
///
/// inputs  `[steps, batch, 1]`  normal with mean `input_mean` and standard deviation `noise_std`, drawn afresh at every step
/// targets `[steps, batch, 1]`  `value`
///
/// A step is answered correctly when the output is within `tolerance` of the value. The least that a rule must be able to learn.
///
/// Source: the published programs of McMahan, Kleinman & Kao 2021, NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConstantOutput {
    /// Steps of a trial.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Mean of the input.
    pub input_mean: f64,
    /// Standard deviation of the input of each step.
    #[schemars(range(min = 0.0))]
    pub noise_std: f64,
    /// The number to say.
    pub value: f64,
    /// Largest distance of a correct output from it.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

impl Default for ConstantOutput {
    fn default() -> Self {
        Self { steps: 40, input_mean: 1.0, noise_std: 1.0, value: 25.0, tolerance: 1.0 }
    }
}

#[typetag::serde(name = "constant-output")]
impl Task for ConstantOutput {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps >= 1, "steps", self.steps, "at least 1");
        problems.require(self.input_mean.is_finite(), "input_mean", self.input_mean, "a finite number");
        problems.require(self.value.is_finite(), "value", self.value, "a finite number");
        require_size(problems, "noise_std", self.noise_std);
        require_size(problems, "tolerance", self.tolerance);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["noise".into()],
            outputs: 1,
            objective: Objective::regress(Some(self.tolerance)),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "constant-output")?;
        let (mut inputs, mut values) = (Sheet::new(self.steps, batch, 1), Sheet::new(self.steps, batch, 1));
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            for step in 0..self.steps {
                inputs.set(step, row, 0, self.input_mean + self.noise_std * stream.normal());
                values.set(step, row, 0, self.value);
            }
        }
        let target = Target::new(0, None, Answer::EveryStep, values.tensor(), None);
        Ok(Trials { inputs: inputs.tensor(), targets: vec![target], answer: Answer::EveryStep, ..Trials::default() })
    }
}

synfire::inventory::submit! { Component::task::<ConstantOutput>("constant-output") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Kind;

    #[test]
    fn the_value_is_asked_at_every_step_of_noise() {
        let trials = ConstantOutput::default().trials(&Lesson::default(), 500, &mut Stream::new(1)).expect("in range");
        let (mean, std) = (trials.inputs.mean(Kind::Double), trials.inputs.to_kind(Kind::Double).std(true));
        // 20,000 standard normals around 1: five standard errors
        assert!((mean.double_value(&[]) - 1.0).abs() < 0.036 && (std.double_value(&[]) - 1.0).abs() < 0.025);
        assert_eq!(trials.targets[0].values.eq(25.0).all().int64_value(&[]), 1);
        assert_eq!(trials.targets[0].total, 20_000.0);
    }
}
