//! Oscillation at a frequency given by a constant input.

use super::asked::{no_levels, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use synfire::task::{Answer, Objective, Period, Target};
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Turn a constant input into a sine wave of the frequency that the input stands for.
///
/// Of `frequencies` equally spaced from `lowest_hz` to `highest_hz`, number `j` (from 1) is cued by `j / frequencies + cue_offset`.
/// With `t` the time at the end of a step and `t_0 = free_ms`:
///
/// inputs  `[time, batch, 1]`  the cue, constant
/// targets `[time, batch, 1]`  `sin(2 pi f (t - t_0))`; 0 while `t <= t_0`
/// weight  `[time, batch]`     0 while `t <= t_0`, then 1
///
/// The first `free_ms` are free, so that the network can settle on the cue. A step is answered correctly when the output is within
/// `tolerance` of the target.
///
/// Conditions: `frequency_hz`.
///
/// Source: Sussillo & Barak 2013, "Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural networks",
/// doi:10.1162/NECO_a_00409, the sine wave generator: 51 frequencies from 0.1 to 0.6 radians per ms, cued by `j / 51 + 0.25`.
/// Differs: every trial starts from the cell's initial state, not from the wave before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SineWave {
    /// Number of different frequencies.
    #[schemars(range(min = 1))]
    pub frequencies: usize,
    /// The lowest frequency.
    #[schemars(range(min = 0.0))]
    pub lowest_hz: f64,
    /// The highest frequency.
    #[schemars(range(min = 0.0))]
    pub highest_hz: f64,
    /// What is added to every cue.
    pub cue_offset: f64,
    /// Length of a trial.
    #[schemars(range(min = 0.0))]
    pub duration_ms: f64,
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// Time at the start that is not judged; the wave begins after it.
    #[schemars(range(min = 0.0))]
    pub free_ms: f64,
    /// Largest distance of a correct output from its target.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

impl Default for SineWave {
    fn default() -> Self {
        Self {
            frequencies: 51,
            lowest_hz: 100.0 / TAU,
            highest_hz: 600.0 / TAU,
            cue_offset: 0.25,
            duration_ms: 200.0,
            dt_ms: 1.0,
            free_ms: 20.0,
            tolerance: 0.2,
        }
    }
}

impl SineWave {
    /// Frequency number `index`, from 0.
    fn frequency_hz(&self, index: usize) -> f64 {
        let steps = self.frequencies.saturating_sub(1).max(1) as f64;
        self.lowest_hz + (self.highest_hz - self.lowest_hz) * index as f64 / steps
    }
}

#[typetag::serde(name = "sine-wave")]
impl Task for SineWave {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.frequencies >= 1, "frequencies", self.frequencies, "at least 1");
        problems.require(self.dt_ms.is_finite() && self.dt_ms > 0.0, "dt_ms", self.dt_ms, "greater than 0");
        problems.require(self.lowest_hz > 0.0, "lowest_hz", self.lowest_hz, "greater than 0");
        problems.require(
            self.highest_hz >= self.lowest_hz && self.highest_hz * self.dt_ms < 500.0,
            "highest_hz",
            self.highest_hz,
            "at least lowest_hz and below half the rate of steps, 500 / dt_ms",
        );
        problems.require(self.cue_offset.is_finite(), "cue_offset", self.cue_offset, "a finite number");
        problems.require(self.free_ms >= 0.0, "free_ms", self.free_ms, "0 or greater");
        let long = self.duration_ms.is_finite() && self.duration_ms >= self.free_ms + self.dt_ms;
        problems.require(long, "duration_ms", self.duration_ms, "at least free_ms + dt_ms");
        problems.require(self.tolerance > 0.0, "tolerance", self.tolerance, "greater than 0");
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["frequency".into()],
            outputs: 1,
            objective: Objective::regress(Some(self.tolerance)),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "sine-wave")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let (time, free) = (steps(self.duration_ms, dt), steps(self.free_ms, dt));
        if time <= free || self.highest_hz * dt >= 500.0 {
            return Err(Error::config(
                "curriculum",
                format_args!("sets the time step to {dt} ms, too coarse for {} Hz", self.highest_hz),
                "use a shorter step, or lower task.highest_hz",
            ));
        }
        let drawn: Vec<usize> =
            (0..batch).map(|row| stream.at(row as u64).below(self.frequencies as u64) as usize).collect();
        let hertz: Vec<f64> = drawn.iter().map(|index| self.frequency_hz(*index)).collect();
        let cues: Vec<f64> =
            drawn.iter().map(|index| (index + 1) as f64 / self.frequencies as f64 + self.cue_offset).collect();
        let mut targets = vec![0f64; time * batch];
        let mut weight = vec![0f32; time * batch];
        for t in free..time {
            let seconds = (t + 1 - free) as f64 * dt / 1000.0;
            for (row, hertz) in hertz.iter().enumerate() {
                targets[t * batch + row] = (TAU * hertz * seconds).sin();
                weight[t * batch + row] = 1.0;
            }
        }
        let shape = [time as i64, batch as i64, 1];
        let float = |values: &[f64]| Tensor::from_slice(values).to_kind(synfire::tch::Kind::Float);
        let weight = Tensor::from_slice(&weight).reshape(&shape[..2]);
        let target = Target::new(0, None, Answer::EveryStep, float(&targets).reshape(shape), Some(weight));
        Ok(Trials {
            inputs: float(&cues).reshape([1, -1, 1]).expand(shape, false).contiguous(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("free", 0, free), Period::new("wave", free, time)],
            conditions: [("frequency_hz".to_string(), hertz)].into(),
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<SineWave>("sine-wave") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn the_wave_obeys_the_recurrence_of_a_sine_at_the_frequency_of_its_cue() {
        let task = SineWave::default();
        let trials = task.trials(&Lesson::default(), 40, &mut Stream::new(3)).expect("in range");
        assert_eq!(trials.inputs.size(), [200, 40, 1]);
        let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        for (row, hertz) in trials.conditions["frequency_hz"].iter().enumerate() {
            let number = ((inputs[row] - 0.25) * 51.0).round();
            // 0.1 to 0.6 radians per ms in 50 equal steps
            let by_hand = 0.1 + 0.5 * (number - 1.0) / 50.0;
            assert!((hertz * TAU / 1000.0 - by_hand).abs() < 1e-12, "{hertz}");
            let wave = |t: usize| targets[t * 40 + row];
            for t in 22..200 {
                // sin((n + 1) w) = 2 cos(w) sin(n w) - sin((n - 1) w), in single precision
                assert!((wave(t) - (2.0 * by_hand.cos() * wave(t - 1) - wave(t - 2))).abs() < 1e-6);
                assert_eq!(inputs[t * 40 + row], inputs[row]);
            }
            assert!((wave(20) - by_hand.sin()).abs() < 1e-6 && wave(19) == 0.0);
        }
        assert_eq!(trials.targets[0].total, 180.0 * 40.0);
    }

    #[test]
    fn a_coarser_step_samples_the_same_wave() {
        let task = SineWave { frequencies: 1, ..SineWave::default() };
        let fine = task.trials(&Lesson::default(), 1, &mut Stream::new(1)).expect("in range");
        let coarse = Lesson { dt_ms: Some(4.0), ..Lesson::default() };
        let coarse = task.trials(&coarse, 1, &mut Stream::new(1)).expect("in range");
        let (fine, coarse) = (values_f64(&fine.targets[0].values), values_f64(&coarse.targets[0].values));
        assert_eq!(coarse.len(), 50);
        for (t, value) in coarse.iter().enumerate() {
            assert!((value - fine[4 * t + 3]).abs() < 1e-6, "{t}");
        }
    }

    #[test]
    fn frequencies_that_steps_cannot_show_are_refused() {
        let mut problems = Problems::under("task");
        SineWave { highest_hz: 500.0, free_ms: 200.0, ..SineWave::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("two problems").to_string();
        assert!(message.contains("task.highest_hz is 500"), "{message}");
        assert!(message.contains("task.duration_ms is 200, must be at least free_ms + dt_ms"), "{message}");
        let coarse = Lesson { dt_ms: Some(10.0), ..Lesson::default() };
        let error = SineWave::default().trials(&coarse, 1, &mut Stream::new(1)).expect_err("95 Hz at 10 ms");
        assert!(error.to_string().contains("too coarse"), "{error}");
    }
}
