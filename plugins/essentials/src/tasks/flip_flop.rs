//! Memory of the latest pulse on each channel.

use super::asked::{no_levels, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Objective, Period, Scores, Target};
use synfire::tch::{Kind, Tensor};
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Hold the sign of the latest pulse on each of `bits` channels.
///
/// At every step a pulse begins on each channel with probability `pulse_rate_hz * dt_ms / 1000`, independently, positive or negative
/// with probability 1/2; it lasts `pulse_ms` (at least one step) or until the next one begins, beyond which it adds to it with
/// `overlap = "add"`. With `pulses = k` each channel has k of them instead, which begin at steps drawn uniformly from those from which a
/// pulse ends within the trial. With standard normal noise `xi`, drawn afresh at every step,
///
/// inputs  `[time, batch, bits]`  the sign of the pulse while it lasts, else 0; plus `noise_std xi`
/// targets `[time, batch, bits]`  the sign of the latest pulse; 0 before the first on its channel
/// weight  `[time, batch]`        0 before the first pulse on any channel, then 1; 1 at all steps with `judge_silence`
///
/// A step is answered correctly when every output is within `tolerance` of its target. With `pulse_at_start` every channel has a
/// pulse in the first step, so that no target is 0. The loss is the mean square of output minus target, or with `loss = "logistic"` the
/// mean of `ln(1 + exp(-output target))`.
///
/// The variant with noise of McMahan, Kleinman & Kao 2021 (NeurIPS), for cells whose time constants count steps: `dt_ms = 1`, `pulses = 3`,
/// `pulse_ms = 25`, `overlap = "add"`, `noise_std = 0.1`, `judge_silence = true`; published code has the length of the trial, but no loss
/// (in an older copy the logistic one).
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
    /// Number of pulses on each channel; left out, they come at `pulse_rate_hz`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulses: Option<usize>,
    /// What becomes of a pulse that lasts when the next one begins.
    #[serde(skip_serializing_if = "is_default")]
    pub overlap: Overlap,
    /// Standard deviation of the noise of each channel in each step.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "is_default")]
    pub noise_std: f64,
    /// Whether steps before the first pulse are judged; their target is 0.
    #[serde(skip_serializing_if = "is_default")]
    pub judge_silence: bool,
    /// What is minimised.
    #[serde(skip_serializing_if = "is_default")]
    pub loss: FlipFlopLoss,
    /// Largest distance of a correct output from its target.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What becomes of a pulse that lasts when the next one begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// It ends.
    #[default]
    Replace,
    /// The two add up.
    Add,
}

/// How outputs are compared with the signs to be held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlipFlopLoss {
    /// The mean square of output minus target.
    #[default]
    Squared,
    /// The mean of `ln(1 + exp(-output target))`; it grows ever smaller with the output. The scalar error of a trial follows it.
    Logistic,
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
            pulses: None,
            overlap: Overlap::default(),
            noise_std: 0.0,
            judge_silence: false,
            loss: FlipFlopLoss::default(),
            tolerance: 0.5,
        }
    }
}

impl FlipFlop {
    /// Steps at which pulses begin on one channel, ascending, where their number is given.
    fn onsets(&self, time: usize, width: usize, stream: &mut Stream) -> Option<Vec<usize>> {
        let count = self.pulses?;
        let last = time.saturating_sub(width).max(1) as u64;
        let mut onsets: Vec<usize> = (0..count).map(|_| stream.below(last) as usize).collect();
        onsets.sort_unstable();
        Some(onsets)
    }

    /// Mean of `ln(1 + exp(-output target))` over the outputs, `[time, batch]`.
    fn logistic(target: &Target, output: &Tensor) -> Result<Tensor> {
        let product = output.f_mul(&target.values)?;
        Ok(product.f_neg()?.f_softplus()?.f_mean_dim(-1i64, false, None::<Kind>)?)
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
        let noise = self.noise_std.is_finite() && self.noise_std >= 0.0;
        problems.require(noise, "noise_std", self.noise_std, "0 or greater");
        if let Some(pulses) = self.pulses {
            problems.require(pulses >= 1, "pulses", pulses, "at least 1");
            problems.require(self.pulse_ms < self.duration_ms, "pulse_ms", self.pulse_ms, "shorter than duration_ms");
            if self.pulse_at_start {
                problems.add("pulse_at_start", "cannot be combined with pulses", "leave one of them out");
            }
        }
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
        if probability > 1.0 && self.pulses.is_none() {
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
            // Of each channel the last step, and the sign, of what began and has not ended.
            let mut lasting: Vec<Vec<(usize, f32)>> = vec![Vec::new(); bits];
            let onsets: Vec<_> = (0..bits).map(|_| self.onsets(time, width, &mut stream)).collect();
            let mut noise = stream.child("noise");
            for t in 0..time {
                for bit in 0..bits {
                    let begin = match &onsets[bit] {
                        Some(onsets) => onsets.iter().filter(|onset| **onset == t).count(),
                        None => usize::from((self.pulse_at_start && t == 0) || stream.bernoulli(probability)),
                    };
                    for _ in 0..begin {
                        sign[bit] = if stream.bernoulli(0.5) { 1.0 } else { -1.0 };
                        pulses[row] += 1.0;
                        if self.overlap == Overlap::Replace {
                            lasting[bit].clear();
                        }
                        lasting[bit].push((t + width, sign[bit]));
                    }
                    lasting[bit].retain(|(end, _)| t < *end);
                    let shown: f32 = lasting[bit].iter().map(|(_, sign)| sign).sum();
                    let disturbed = if self.noise_std > 0.0 { (self.noise_std * noise.normal()) as f32 } else { 0.0 };
                    inputs[at(t, row, bit)] = shown + disturbed;
                    targets[at(t, row, bit)] = sign[bit];
                }
                let begun = self.judge_silence || sign.iter().any(|s| *s != 0.0);
                weight[t * batch + row] = f32::from(u8::from(begun));
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

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        let mut scores = self.spec().objective.score(trials, outputs)?;
        if self.loss == FlipFlopLoss::Logistic {
            let mut sum = scores.loss.f_zeros_like()?;
            for ((head, target), output) in scores.heads.iter_mut().zip(&trials.targets).zip(outputs) {
                let mut entries = Self::logistic(target, output)?;
                if let Some(weight) = &target.weight {
                    entries = entries.f_mul(weight)?;
                }
                head.loss = entries.f_sum(None::<Kind>)?.f_div_scalar(target.total.max(1e-12))?;
                sum = sum.f_add(&head.loss)?;
            }
            scores.loss = sum;
        }
        Ok(scores)
    }

    fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        // It also refuses outputs that do not fit.
        let squared = self.spec().objective.errors(trials, outputs)?;
        if self.loss == FlipFlopLoss::Squared {
            return Ok(squared);
        }
        let mut sum = squared.f_zeros_like()?;
        for (target, output) in trials.targets.iter().zip(outputs) {
            let entries = Self::logistic(target, output)?;
            let weight = target.weight.as_ref().map_or_else(|| entries.ones_like(), Tensor::shallow_clone);
            let over_time = |t: Tensor| t.f_sum_dim_intlist(0i64, false, None::<Kind>);
            let total = over_time(weight.shallow_clone())?.f_clamp_min(1e-12)?;
            sum = sum.f_add(&over_time(entries.f_mul(&weight)?)?.f_div(&total)?)?;
        }
        Ok(sum)
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

    /// The variant of McMahan, Kleinman & Kao.
    fn noisy() -> FlipFlop {
        FlipFlop {
            dt_ms: 1.0,
            duration_ms: 200.0,
            pulses: Some(3),
            pulse_ms: 25.0,
            overlap: Overlap::Add,
            noise_std: 0.1,
            judge_silence: true,
            ..FlipFlop::default()
        }
    }

    #[test]
    fn a_given_number_of_pulses_adds_up_under_noise() {
        let silent = draw(&FlipFlop { noise_std: 0.0, ..noisy() }, &Lesson::default());
        let loud = draw(&noisy(), &Lesson::default());
        assert!(silent.conditions["pulses"].iter().all(|count| *count == 9.0));
        assert_eq!(
            values_f64(&silent.targets[0].values),
            values_f64(&loud.targets[0].values),
            "noise changes no pulse"
        );
        let noise = (&loud.inputs - &silent.inputs).to_kind(Kind::Double);
        // 30000 numbers: the standard deviation is good to 0.4 %, four of them
        let spread = noise.std(false).double_value(&[]);
        assert!((spread / 0.1 - 1.0).abs() < 0.017, "{spread}");
        let (inputs, targets) = (values_f64(&silent.inputs), values_f64(&silent.targets[0].values));
        let mut overlapping = 0;
        for channel in 0..150 {
            let at = |values: &[f64], t: usize| values[t * 150 + channel];
            // Every pulse is whole: the sum over time is 25 times the sum of three signs.
            let sum: f64 = (0..200).map(|t| at(&inputs, t)).sum();
            assert!([-75.0, -25.0, 25.0, 75.0].contains(&sum), "{sum}");
            overlapping += usize::from((0..200).any(|t| at(&inputs, t).abs() > 1.0));
            let first = (0..200).find(|t| at(&targets, *t) != 0.0).expect("a pulse");
            assert!((0..first).all(|t| at(&inputs, t) == 0.0));
        }
        assert!(overlapping > 0);
        assert_eq!(silent.targets[0].total, 10_000.0, "also silence is judged");
    }

    #[test]
    fn the_logistic_loss_is_that_of_hand() {
        let task = FlipFlop { loss: FlipFlopLoss::Logistic, bits: 1, pulse_at_start: true, ..FlipFlop::default() };
        let trials = task.trials(&Lesson::default(), 2, &mut Stream::new(3)).expect("in range");
        let outputs = [&trials.targets[0].values * 2.0];
        let expected = (-2.0f64).exp().ln_1p();
        let loss = task.score(&trials, &outputs).expect("fits").loss.double_value(&[]);
        assert!((loss - expected).abs() < 1e-6, "{loss}");
        for error in values_f64(&task.errors(&trials, &outputs).expect("fits")) {
            assert!((error - expected).abs() < 1e-6, "{error}");
        }
        let squared = FlipFlop { loss: FlipFlopLoss::Squared, ..task };
        assert_eq!(squared.score(&trials, &outputs).expect("fits").loss.double_value(&[]), 1.0);
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
        let mut problems = Problems::under("task");
        let task = FlipFlop {
            pulses: Some(2),
            pulse_at_start: true,
            pulse_ms: 2000.0,
            noise_std: -1.0,
            ..FlipFlop::default()
        };
        task.check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("three problems").to_string();
        for part in ["task.pulse_ms is 2000", "task.pulse_at_start cannot be combined", "task.noise_std is -1"] {
            assert!(message.contains(part), "{message}");
        }
        let coarse = Lesson { dt_ms: Some(500.0), ..Lesson::default() };
        let error = FlipFlop::default().trials(&coarse, 1, &mut Stream::new(1)).expect_err("too coarse");
        assert!(error.to_string().contains("more than one pulse"), "{error}");
        let levels = Lesson::with_levels([(2, 0)]);
        let error = FlipFlop::default().trials(&levels, 1, &mut Stream::new(1)).expect_err("no difficulty");
        assert!(error.to_string().contains("'flip-flop' has no difficulty"), "{error}");
    }
}
