//! The parity of the last `N` pulses.

use super::bit_stream::{BitStream, Rate, Symbols};
use super::question::Question;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::Answer;
use synfire::tch::Tensor;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether the number of positive pulses among the last `N` of a sparse signal is odd.
///
/// Step 0 is silent; at every later multiple of `pulse_time` below the length `M` of the trial there is a pulse, of height 1 or -1.
/// With `N` the hardest active level, `M` is uniform in `pulse_time (N + 1) ..= pulse_time (4 N + 1) - 1` and the same in all trials
/// of a batch, which makes from `N` to `4 N` pulses; the first of them are distractors. Each active level `N` has a target for its own
/// head:
///
/// inputs  `[M, batch, 1]`  the smoothed pulses
/// classes `[batch]`        number of positive pulses among the last `N`, modulo 2, asked for at the last step
///
/// Smoothing adds `s exp(-d^2 / (2 sigma^2))` to the steps at distances `d` up to `reach` from a pulse `s`: a convolution with a
/// Gaussian of `2 reach + 1` weights, centred, beyond both ends of the trial zeros, scaled so that a pulse on its own keeps its
/// height. Normalised weights that add up to 1, divided by the greatest of them, are the same. Where pulses are closer than
/// `reach` they overlap and add. With `sigma = 0` a pulse lasts one step.
///
/// Conditions: `rate` (probability of a positive pulse), `N` (hardest level).
///
/// Source: code published with Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long
/// timescales depend on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927, where it is an
/// experiment beside the paper.
/// Differs: there the seven weights meet a padding of 1, so that trials are four steps shorter than `M`, pulses come two steps early
/// and one in the last steps is cut off though it counts; and each signal is divided by its own greatest height, which is the same
/// here unless pulses overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PulsedParity {
    /// Steps from one pulse to the next.
    #[schemars(range(min = 1, max = 65536))]
    pub pulse_time: usize,
    /// Standard deviation of the Gaussian, in steps; 0 for no smoothing.
    #[schemars(range(min = 0.0))]
    pub sigma: f64,
    /// Steps to each side of a pulse that the Gaussian reaches.
    #[schemars(range(max = 65536))]
    pub reach: usize,
    /// Probability of a positive pulse: `uniform` draws one for each trial, a number fixes it.
    pub rate: Rate,
    /// Number of pulses of every trial, each followed by `pulse_time - 1` steps; left out, the length is drawn for each batch.
    #[schemars(range(min = 2, max = 16777216))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
}

impl Default for PulsedParity {
    fn default() -> Self {
        Self { pulse_time: 10, sigma: 1.0, reach: 3, rate: Rate::Fixed(0.5), length: None }
    }
}

impl PulsedParity {
    fn question(&self) -> Question {
        let (symbols, answer) = (Symbols::PlusMinus, Answer::FinalStep);
        Question { symbols, rate: self.rate, answer, length: self.length, warm_up: 0 }
    }

    /// The weights at distances from 0 to `reach`.
    fn weights(&self) -> Vec<f64> {
        let weight = |distance: usize| match self.sigma > 0.0 {
            true => (-0.5 * (distance as f64 / self.sigma).powi(2)).exp(),
            false => f64::from(u8::from(distance == 0)),
        };
        (0..=self.reach).map(weight).collect()
    }

    /// The smoothed pulses, `[steps, batch, 1]`.
    fn inputs(&self, pulses: &BitStream, steps: usize) -> Tensor {
        let (batch, weights) = (pulses.batch(), self.weights());
        let mut values = vec![0f64; steps * batch];
        for pulse in 0..pulses.length() {
            let place = (pulse + 1) * self.pulse_time;
            for step in place.saturating_sub(self.reach)..(place + self.reach + 1).min(steps) {
                let weight = weights[step.abs_diff(place)];
                for (value, bit) in values[step * batch..][..batch].iter_mut().zip(pulses.at(pulse)) {
                    *value += if *bit == 1 { weight } else { -weight };
                }
            }
        }
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        Tensor::from_slice(&values).reshape([steps as i64, batch as i64, 1])
    }
}

#[typetag::serde(name = "pulsed-parity")]
impl Task for PulsedParity {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.question().check(problems);
        problems.require((1..=1 << 16).contains(&self.pulse_time), "pulse_time", self.pulse_time, "from 1 to 65536");
        problems.require(self.sigma.is_finite() && self.sigma >= 0.0, "sigma", self.sigma, "at least 0");
        problems.require(self.reach <= 1 << 16, "reach", self.reach, "at most 65536");
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec { inputs: vec!["pulse".into()], ..self.question().spec() }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let (question, time) = (self.question(), self.pulse_time);
        let levels = question.levels(lesson)?;
        let hardest = levels.iter().map(|level| level.level).max().unwrap_or(0);
        let steps = match self.length {
            Some(pulses) => time * (pulses + 1),
            None => time * (hardest + 1) + stream.below((3 * hardest * time) as u64) as usize,
        };
        let pulses = BitStream::draw((steps - 1) / time, batch, self.rate, stream);
        let parity = pulses.running_parity();
        let odd =
            |n: usize, seen: usize, trial: usize| parity[seen * batch + trial] != parity[(seen - n) * batch + trial];
        let asked = question.trials(&pulses, 1, &levels, odd);
        Ok(Trials { inputs: self.inputs(&pulses, steps), substeps: Some(time), ..asked })
    }
}

synfire::inventory::submit! { Component::task::<PulsedParity>("pulsed-parity") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::{Device, Kind};
    use synfire::tensors::values_f64;

    /// Signs at multiples of the pulse time, read back from unsmoothed inputs, `[pulse][trial]`.
    fn signs(trials: &Trials, time: usize) -> Vec<Vec<f64>> {
        let rows: Vec<Vec<f64>> = values_f64(&trials.inputs).chunks(trials.batch()).map(<[f64]>::to_vec).collect();
        for (step, row) in rows.iter().enumerate() {
            let pulse = step > 0 && step % time == 0;
            assert!(row.iter().all(|value| value.abs() == f64::from(u8::from(pulse))), "step {step}: {row:?}");
        }
        rows.into_iter().step_by(time).skip(1).collect()
    }

    #[test]
    fn classes_are_those_counted_by_hand() {
        let task = PulsedParity { sigma: 0.0, pulse_time: 4, ..PulsedParity::default() };
        let lesson = Lesson::with_levels([(2, 0), (5, 3)]);
        let mut lengths = std::collections::BTreeSet::new();
        let mut stream = Stream::new(1);
        for _ in 0..2000 {
            let trials = task.trials(&lesson, 3, &mut stream).unwrap();
            lengths.insert(trials.time());
            let signs = signs(&trials, 4);
            assert!((5..=20).contains(&signs.len()));
            for (target, n) in trials.targets.iter().zip([2, 5]) {
                for b in 0..3 {
                    let positive = signs.iter().rev().take(n).filter(|pulse| pulse[b] > 0.0).count();
                    assert_eq!(target.values.int64_value(&[b as i64]), positive as i64 % 2);
                }
            }
        }
        // N = 5 and pulses every 4 steps: 24 ..= 83; each of the 60 lengths is missed in 2000 draws with probability 3e-15.
        assert_eq!(lengths, (24..84).collect());
        let fixed = PulsedParity { length: Some(7), sigma: 0.0, pulse_time: 4, ..PulsedParity::default() };
        let trials = fixed.trials(&lesson, 2, &mut stream).unwrap();
        assert_eq!((trials.time(), self::signs(&trials, 4).len(), trials.substeps), (32, 7, Some(4)));
    }

    #[test]
    fn smoothing_is_a_convolution_with_a_normalised_gaussian() {
        for (pulse_time, sigma, reach) in [(10, 1.0, 3), (10, 2.5, 9), (2, 1.0, 3)] {
            let draw = |sigma| {
                let task = PulsedParity { pulse_time, sigma, reach, ..PulsedParity::default() };
                task.trials(&Lesson::default(), 4, &mut Stream::new(8)).unwrap().inputs.to_kind(Kind::Double)
            };
            let (pulses, smooth) = (draw(0.0), draw(sigma));
            let distance = Tensor::arange(2 * reach as i64 + 1, (Kind::Double, Device::Cpu)) - reach as f64;
            let kernel = (distance.square() / (-2.0 * sigma * sigma)).exp();
            let normalised = &kernel / kernel.sum(Kind::Double);
            let signal = pulses.permute([1, 2, 0]);
            let weights = normalised.reshape([1, 1, -1]);
            let through = signal.conv1d::<Tensor>(&weights, None, 1, reach as i64, 1, 1) / normalised.max();
            let gap = (through.permute([2, 0, 1]) - &smooth).abs().max().double_value(&[]);
            // single precision of sums of up to four weights
            assert!(gap < 2e-7, "{gap:e}");
            if pulse_time > reach + 1 {
                let greatest = smooth.abs().amax([0i64], false);
                assert_eq!(values_f64(&greatest), [1.0; 4], "a pulse on its own keeps its height");
            }
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let registry = Registry::linked().unwrap();
        let options = serde_json::json!({ "pulse_time": 0, "sigma": -1.0, "reach": 70000, "rate": 2.0 });
        let message = registry.build(&synfire::Spec::<dyn Task>::with("pulsed-parity", &options), "task");
        let message = message.unwrap_err().to_string();
        for expected in ["task.pulse_time is 0", "task.sigma is -1", "task.reach is 70000", "task.rate is 2"] {
            assert!(message.contains(expected), "{message}");
        }
        let short = PulsedParity { length: Some(3), ..PulsedParity::default() };
        assert!(short.trials(&Lesson::with_levels([(4, 0)]), 1, &mut Stream::new(1)).is_err());
    }
}
