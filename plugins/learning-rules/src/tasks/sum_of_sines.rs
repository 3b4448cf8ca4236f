//! A periodic signal without any input.

use super::trial::{Sheet, in_steps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use synfire::task::{Answer, Objective, Period, Target};
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Generate a sum of sine waves without input.
///
/// inputs  `[time, batch, 1]`  0
/// targets `[time, batch, 1]`  `amplitude / 1.5 sum_k components[k - 1] sin(2 pi k t / period_steps)`, with t the number of the step
///
/// A trial is `periods` whole periods, so that the signal goes on seamlessly where the next trial begins in the state in which the last
/// ended. The period of 1200 steps is that of the published signal at a step of a tenth of the units' time constant.
///
/// Source: Sussillo & Abbott 2009, "Generating coherent patterns of activity from chaotic neural networks",
/// doi:10.1016/j.neuron.2009.07.018: the sum of four sines of its published script, with amplitude 1.3 for networks with feedback of the
/// output and 0.7 without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SumOfSines {
    /// Steps of a period.
    #[schemars(range(min = 2))]
    pub period_steps: usize,
    /// Periods of a trial.
    #[schemars(range(min = 1))]
    pub periods: usize,
    /// Size of the whole.
    pub amplitude: f64,
    /// Size of the wave with one cycle a period, with two, and so on.
    pub components: Vec<f64>,
}

impl Default for SumOfSines {
    fn default() -> Self {
        let components = vec![1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 3.0];
        Self { period_steps: 1200, periods: 1, amplitude: 1.3, components }
    }
}

impl SumOfSines {
    fn at(&self, step: usize) -> f64 {
        let phase = TAU * (step % self.period_steps) as f64 / self.period_steps as f64;
        let waves = self.components.iter().enumerate().map(|(k, size)| size * ((k + 1) as f64 * phase).sin());
        self.amplitude / 1.5 * waves.sum::<f64>()
    }
}

#[typetag::serde(name = "sum-of-sines")]
impl Task for SumOfSines {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.period_steps >= 2, "period_steps", self.period_steps, "at least 2");
        problems.require(self.periods >= 1, "periods", self.periods, "at least 1");
        problems.require(self.amplitude.is_finite(), "amplitude", self.amplitude, "a finite number");
        let slow = 2 * self.components.len() <= self.period_steps;
        let number = self.components.len();
        problems.require(
            number >= 1 && slow,
            "components",
            format_args!("{number} numbers"),
            "1 to period_steps / 2 numbers",
        );
        let finite = self.components.iter().all(|c| c.is_finite());
        problems.require(finite, "components", format_args!("{:?}", self.components), "finite numbers");
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["silence".into()],
            outputs: 1,
            objective: Objective::regress(None),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, _: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "sum-of-sines")?;
        let time = self.period_steps * self.periods;
        let mut values = Sheet::new(time, batch, 1);
        for step in 0..time {
            let value = self.at(step);
            (0..batch).for_each(|row| values.set(step, row, 0, value));
        }
        Ok(Trials {
            inputs: Sheet::new(time, batch, 1).tensor(),
            targets: vec![Target::new(0, None, Answer::EveryStep, values.tensor(), None)],
            answer: Answer::EveryStep,
            periods: vec![Period::new("wave", 0, time)],
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<SumOfSines>("sum-of-sines") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn it_is_the_published_signal_and_goes_on_without_a_seam() {
        let task = SumOfSines { periods: 2, ..SumOfSines::default() };
        let trials = task.trials(&Lesson::default(), 2, &mut Stream::new(1)).expect("in range");
        let values = values_f64(&trials.targets[0].values);
        for step in 0..2400 {
            // the script's own words: nu = 1/60, a step of 0.1 time constants
            let t = step as f64 * 0.1;
            let wave = |k: f64| (k * std::f64::consts::PI / 60.0 * t).sin();
            let expected = 1.3 / 1.5 * (wave(1.0) + wave(2.0) / 2.0 + wave(3.0) / 6.0 + wave(4.0) / 3.0);
            assert!((values[2 * step] - expected).abs() < 1e-6, "{step}");
        }
        let magnitude = values.iter().map(|v| v.abs()).sum::<f64>() / values.len() as f64;
        // the mean of the target's magnitude known for the published signal
        assert!((magnitude - 0.617).abs() < 0.001, "{magnitude}");
        let mut problems = Problems::under("task");
        SumOfSines { components: Vec::new(), periods: 0, ..SumOfSines::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("two").to_string();
        assert!(message.contains("task.components is 0 numbers") && message.contains("task.periods is 0"), "{message}");
    }
}
