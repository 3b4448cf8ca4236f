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
mod tests;
