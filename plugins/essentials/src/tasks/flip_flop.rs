//! Memory of the latest pulse on each channel.

use super::asked::{no_levels, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Objective, Period, Target};
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Hold the sign of the latest pulse on each of `bits` channels.
///
/// At every step a pulse begins on each channel with probability `pulse_rate_hz * dt_ms / 1000`, independently, positive or negative
/// with probability 1/2; it lasts `pulse_ms` (at least one step) or until the next one begins.
///
/// inputs  `[time, batch, bits]`  the sign of the pulse while it lasts, else 0
/// targets `[time, batch, bits]`  the sign of the latest pulse; 0 before the first on its channel
/// weight  `[time, batch]`        0 before the first pulse on any channel, then 1
///
/// A step is answered correctly when every output is within `tolerance` of its target. With `pulse_at_start` every channel has a
/// pulse in the first step, so that no target is 0.
///
/// Conditions: `pulses` (number of pulses of the trial, all channels together).
///
/// Source: Sussillo & Barak 2013, "Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural networks",
/// doi:10.1162/NECO_a_00409, the 3-bit flip-flop. Differs: rate, width and length of the trial are sane choices, not the published
/// ones; outputs are judged by their squared error under the gradient, not learned by FORCE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlipFlop {
    /// Number of independent channels.
    #[schemars(range(min = 1))]
    pub bits: usize,
    /// Length of a trial.
    #[schemars(range(min = 0.0))]
    pub duration_ms: f64,
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// Pulses per second on each channel.
    #[schemars(range(min = 0.0))]
    pub pulse_rate_hz: f64,
    /// How long a pulse lasts.
    #[schemars(range(min = 0.0))]
    pub pulse_ms: f64,
    /// Whether every channel has a pulse in the first step.
    pub pulse_at_start: bool,
    /// Largest distance of a correct output from its target.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

impl Default for FlipFlop {
    fn default() -> Self {
        Self {
            bits: 3,
            duration_ms: 1000.0,
            dt_ms: 10.0,
            pulse_rate_hz: 5.0,
            pulse_ms: 10.0,
            pulse_at_start: false,
            tolerance: 0.5,
        }
    }
}

#[typetag::serde(name = "flip-flop")]
impl Task for FlipFlop {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.bits >= 1, "bits", self.bits, "at least 1");
        problems.require(self.dt_ms.is_finite() && self.dt_ms > 0.0, "dt_ms", self.dt_ms, "greater than 0");
        let long = self.duration_ms.is_finite() && self.duration_ms >= self.dt_ms;
        problems.require(long, "duration_ms", self.duration_ms, "at least dt_ms");
        problems.require(
            self.pulse_rate_hz >= 0.0 && self.pulse_rate_hz * self.dt_ms <= 1000.0,
            "pulse_rate_hz",
            self.pulse_rate_hz,
            "at least 0 and at most one pulse a step, 1000 / dt_ms",
        );
        problems.require(self.pulse_ms.is_finite() && self.pulse_ms >= 0.0, "pulse_ms", self.pulse_ms, "0 or greater");
        problems.require(self.tolerance > 0.0, "tolerance", self.tolerance, "greater than 0");
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: (0..self.bits).map(|bit| format!("pulse_{bit}")).collect(),
            outputs: self.bits,
            objective: Objective::regress(Some(self.tolerance)),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "flip-flop")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let probability = self.pulse_rate_hz * dt / 1000.0;
        if probability > 1.0 {
            return Err(Error::config(
                "task.pulse_rate_hz",
                format_args!("is {}, more than one pulse in a step of {dt} ms", self.pulse_rate_hz),
                "lower it, or use a shorter step",
            ));
        }
        let (time, width, bits) = (steps(self.duration_ms, dt).max(1), steps(self.pulse_ms, dt).max(1), self.bits);
        let at = |t: usize, row: usize, bit: usize| (t * batch + row) * bits + bit;
        let mut inputs = vec![0f32; time * batch * bits];
        let mut targets = inputs.clone();
        let mut weight = vec![0f32; time * batch];
        let mut pulses = vec![0.0; batch];
        for row in 0..batch {
            // A stream per trial, so that the trial does not depend on the size of the batch.
            let mut stream = stream.at(row as u64);
            let mut sign = vec![0f32; bits];
            let mut ends = vec![0; bits];
            for t in 0..time {
                for bit in 0..bits {
                    if (self.pulse_at_start && t == 0) || stream.bernoulli(probability) {
                        sign[bit] = if stream.bernoulli(0.5) { 1.0 } else { -1.0 };
                        ends[bit] = t + width;
                        pulses[row] += 1.0;
                    }
                    if t < ends[bit] {
                        inputs[at(t, row, bit)] = sign[bit];
                    }
                    targets[at(t, row, bit)] = sign[bit];
                }
                weight[t * batch + row] = f32::from(u8::from(sign.iter().any(|s| *s != 0.0)));
            }
        }
        let shape = [time as i64, batch as i64, bits as i64];
        let weight = Tensor::from_slice(&weight).reshape(&shape[..2]);
        let target = Target::new(0, None, Answer::EveryStep, Tensor::from_slice(&targets).reshape(shape), Some(weight));
        Ok(Trials {
            inputs: Tensor::from_slice(&inputs).reshape(shape),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("memory", 0, time)],
            conditions: [("pulses".to_string(), pulses)].into(),
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<FlipFlop>("flip-flop") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    fn draw(task: &FlipFlop, lesson: &Lesson) -> Trials {
        task.trials(lesson, 50, &mut Stream::new(1)).expect("in range")
    }

    #[test]
    fn targets_follow_from_the_inputs_alone() {
        for pulse_ms in [10.0, 30.0] {
            let trials = draw(&FlipFlop { pulse_ms, ..FlipFlop::default() }, &Lesson::default());
            assert_eq!(trials.inputs.size(), [100, 50, 3]);
            let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
            let weight = values_f64(trials.targets[0].weight.as_ref().expect("masked"));
            for row in 0..50 {
                let mut held = [0.0; 3];
                for t in 0..100 {
                    for (bit, held) in held.iter_mut().enumerate() {
                        let i = (t * 50 + row) * 3 + bit;
                        if inputs[i] != 0.0 {
                            *held = inputs[i];
                        }
                        assert_eq!(targets[i], *held);
                    }
                    let begun = held.iter().any(|h| *h != 0.0);
                    assert_eq!(weight[t * 50 + row], f64::from(u8::from(begun)));
                }
            }
        }
    }

    #[test]
    fn pulses_come_at_their_rate_also_with_a_coarser_step() {
        for dt_ms in [None, Some(20.0)] {
            let trials = draw(&FlipFlop::default(), &Lesson { dt_ms, ..Lesson::default() });
            let mean = trials.conditions["pulses"].iter().sum::<f64>() / 50.0;
            // 3 channels, 5 Hz, 1 s: 15 pulses expected; four standard errors of a mean over 50 trials
            assert!((mean - 15.0).abs() < 4.0 * (15.0f64 / 50.0).sqrt(), "{mean}");
            assert_eq!(trials.time(), if dt_ms.is_some() { 50 } else { 100 });
        }
    }

    #[test]
    fn without_pulses_nothing_is_asked_and_with_one_at_the_start_everything() {
        let silent = draw(&FlipFlop { pulse_rate_hz: 0.0, ..FlipFlop::default() }, &Lesson::default());
        assert_eq!(silent.targets[0].total, 0.0);
        let outputs = silent.targets[0].values.ones_like();
        let loss = FlipFlop::default().score(&silent, &[outputs]).expect("fits").loss.double_value(&[]);
        assert_eq!(loss, 0.0);
        let started = FlipFlop { pulse_at_start: true, ..FlipFlop::default() };
        assert_eq!(draw(&started, &Lesson::default()).targets[0].total, 5000.0);
    }

    #[test]
    fn a_trial_does_not_depend_on_the_size_of_the_batch() {
        let task = FlipFlop::default();
        let few = task.trials(&Lesson::default(), 3, &mut Stream::new(1)).expect("in range");
        let many = draw(&task, &Lesson::default());
        assert_eq!(values_f64(&few.inputs), values_f64(&many.inputs.narrow(1, 0, 3)));
    }

    #[test]
    fn impossible_options_are_refused() {
        let mut problems = Problems::under("task");
        let task = FlipFlop { bits: 0, pulse_rate_hz: 101.0, ..FlipFlop::default() };
        task.check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("two problems").to_string();
        assert!(message.contains("task.bits is 0") && message.contains("task.pulse_rate_hz is 101"), "{message}");
        let coarse = Lesson { dt_ms: Some(500.0), ..Lesson::default() };
        let error = FlipFlop::default().trials(&coarse, 1, &mut Stream::new(1)).expect_err("too coarse");
        assert!(error.to_string().contains("more than one pulse"), "{error}");
        let levels = Lesson::with_levels([(2, 0)]);
        let error = FlipFlop::default().trials(&levels, 1, &mut Stream::new(1)).expect_err("no difficulty");
        assert!(error.to_string().contains("'flip-flop' has no difficulty"), "{error}");
    }
}
