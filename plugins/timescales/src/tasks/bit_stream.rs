//! Streams of random bits, and trials that ask about their last `N` symbols.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::curriculum::Level;
use synfire::task::{Answer, Difficulty, Objective, Target};
use synfire::tch::Tensor;
use synfire::{Error, Lesson, Problems, Result, Stream, TaskSpec, Trials};

/// How bits are shown to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Symbols {
    /// 0 and 1.
    #[default]
    ZeroOne,
    /// -1 and +1.
    PlusMinus,
}

/// The probability of a 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"uniform\" or a number from 0 to 1")]
pub enum Rate {
    /// Drawn for each trial.
    Drawn(Drawn),
    /// The same in every trial.
    Fixed(f64),
}

/// The distribution that the rate of a trial is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drawn {
    /// Uniform in `[0, 1)`.
    Uniform,
}

impl Rate {
    /// A rate of its own for each trial, uniform in `[0, 1)`.
    pub const UNIFORM: Self = Self::Drawn(Drawn::Uniform);
}

/// Random bits, independent in each trial with the trial's own rate.
#[derive(Clone, Debug, PartialEq)]
pub struct BitStream {
    /// Time-major: bit `t` of trial `b` is at `t * batch + b`.
    bits: Vec<u8>,
    /// Number of bits of each trial.
    length: usize,
    /// Probability of a 1 in each trial.
    rates: Vec<f64>,
}

impl BitStream {
    /// Draw `length` bits for each of `batch` trials.
    pub fn draw(length: usize, batch: usize, rate: Rate, stream: &mut Stream) -> Self {
        let mut rates = Vec::with_capacity(batch);
        let mut bits = vec![0u8; length * batch];
        for trial in 0..batch {
            let rate = match rate {
                Rate::Drawn(Drawn::Uniform) => f64::from(stream.uniform_f32()),
                Rate::Fixed(rate) => rate,
            };
            for step in 0..length {
                bits[step * batch + trial] = u8::from(f64::from(stream.uniform_f32()) < rate);
            }
            rates.push(rate);
        }
        Self { bits, length, rates }
    }

    /// Number of trials.
    pub fn batch(&self) -> usize {
        self.rates.len()
    }

    /// Number of bits of each trial.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The bits at one step, one per trial.
    pub fn at(&self, step: usize) -> &[u8] {
        &self.bits[step * self.batch()..(step + 1) * self.batch()]
    }

    /// The parity of the first `t` bits of each trial for `t` from 0 to the length, time-major: `(length + 1) * batch` numbers.
    pub fn running_parity(&self) -> Vec<u8> {
        let batch = self.batch();
        let mut parity = vec![0u8; (self.length + 1) * batch];
        for (index, bit) in self.bits.iter().enumerate() {
            parity[index + batch] = parity[index] ^ bit;
        }
        parity
    }

    /// The bits as inputs `[length * repeat, batch, 1]`.
    fn inputs(&self, symbols: Symbols, repeat: usize) -> Tensor {
        let (low, high) = match symbols {
            Symbols::ZeroOne => (0f32, 1f32),
            Symbols::PlusMinus => (-1.0, 1.0),
        };
        let mut values = Vec::with_capacity(self.bits.len() * repeat);
        for step in 0..self.length {
            for _ in 0..repeat {
                values.extend(self.at(step).iter().map(|bit| if *bit == 1 { high } else { low }));
            }
        }
        Tensor::from_slice(&values).reshape([(self.length * repeat) as i64, self.batch() as i64, 1])
    }
}

/// Trials that show a bit stream and ask yes or no about the last `N` symbols.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// How bits are shown.
    pub symbols: Symbols,
    /// The probability of a 1.
    pub rate: Rate,
    /// Steps for which each symbol is shown.
    pub repeat: usize,
    /// When heads answer.
    pub answer: Answer,
    /// Number of symbols; `None` to draw it.
    pub length: Option<usize>,
}

/// The easiest `N`: with one symbol there is nothing to remember.
const LOWEST: usize = 2;

impl Question {
    /// Report every option that is out of range.
    pub fn check(&self, problems: &mut Problems) {
        if let Rate::Fixed(rate) = self.rate {
            problems.require((0.0..=1.0).contains(&rate), "rate", rate, "\"uniform\" or from 0 to 1");
        }
        problems.require(self.repeat >= 1, "repeat", self.repeat, "at least 1");
        problems.require(self.repeat <= 1 << 16, "repeat", self.repeat, "at most 65536");
        if let Some(length) = self.length {
            problems.require(length >= LOWEST, "length", length, "at least 2");
        }
    }

    /// What the trials look like.
    pub fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["symbol".into()],
            outputs: 2,
            objective: Objective::classify(self.answer),
            dt_ms: None,
            difficulty: Some(Difficulty {
                name: "N".into(),
                lowest: LOWEST,
                highest: self.length,
                default: LOWEST,
                several_at_once: true,
            }),
            closed_loop: false,
        }
    }

    /// Draw the bits of a batch: with `N` the hardest level, from `N + 2` to `4 N + 1` symbols, as many in all trials.
    pub fn draw(&self, levels: &[Level], batch: usize, stream: &mut Stream) -> BitStream {
        let hardest = levels.iter().map(|l| l.level).max().unwrap_or(LOWEST);
        let length = self.length.unwrap_or_else(|| hardest + 2 + stream.below(3 * hardest as u64) as usize);
        BitStream::draw(length, batch, self.rate, stream)
    }

    /// The levels of a lesson.
    ///
    /// # Errors
    /// [`Error::Config`] for a level out of range, or for a time step: symbols have no duration.
    pub fn levels(&self, lesson: &Lesson) -> Result<Vec<Level>> {
        if let Some(dt_ms) = lesson.dt_ms {
            let remedy = "use a task with times in ms";
            return Err(Error::config("curriculum", format_args!("asks for steps of {dt_ms} ms of symbols"), remedy));
        }
        let spec = self.spec();
        let levels = lesson.levels_of(&spec);
        if let Some(difficulty) = &spec.difficulty {
            levels.iter().try_for_each(|l| difficulty.require(l.level))?;
        }
        Ok(levels)
    }

    /// The trials of a bit stream. `class(N, t, b)` is the class of trial `b` after its first `t` symbols, `N <= t`.
    pub fn trials(&self, bits: &BitStream, levels: &[Level], class: impl Fn(usize, usize, usize) -> bool) -> Trials {
        let targets = levels.iter().map(|level| self.target(bits, *level, &class)).collect();
        let hardest = levels.iter().map(|l| l.level).max().unwrap_or(LOWEST);
        let conditions =
            BTreeMap::from([("rate".into(), bits.rates.clone()), ("N".into(), vec![hardest as f64; bits.batch()])]);
        let inputs = bits.inputs(self.symbols, self.repeat);
        Trials { inputs, targets, answer: self.answer, conditions, ..Trials::default() }
    }

    fn target(&self, bits: &BitStream, level: Level, class: &impl Fn(usize, usize, usize) -> bool) -> Target {
        let (length, batch) = (bits.length(), bits.batch());
        let at = |seen: usize, trial: usize| i64::from(class(level.level, seen, trial));
        if self.answer == Answer::FinalStep {
            let classes: Vec<i64> = (0..batch).map(|trial| at(length, trial)).collect();
            return Target::new(level.head, Some(level.level), self.answer, Tensor::from_slice(&classes), None);
        }
        // The answer is asked for at the last step of each symbol, once N symbols have been seen.
        let steps = length * self.repeat;
        let (mut classes, mut weight) = (vec![0i64; steps * batch], vec![0f32; steps * batch]);
        for seen in level.level..=length {
            let row = (seen * self.repeat - 1) * batch;
            for trial in 0..batch {
                classes[row + trial] = at(seen, trial);
                weight[row + trial] = 1.0;
            }
        }
        let shape = [steps as i64, batch as i64];
        let (classes, weight) = (Tensor::from_slice(&classes).reshape(shape), Tensor::from_slice(&weight));
        Target::new(level.head, Some(level.level), self.answer, classes, Some(weight.reshape(shape)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_follow_their_rates() {
        let mut stream = Stream::new(3);
        let drawn = BitStream::draw(4000, 20, Rate::UNIFORM, &mut stream);
        for (trial, rate) in drawn.rates.iter().enumerate() {
            let ones: u32 = (0..4000).map(|step| u32::from(drawn.at(step)[trial])).sum();
            // Five standard errors of a proportion of 4000: at most 0.04.
            assert!((f64::from(ones) / 4000.0 - rate).abs() < 0.04, "trial {trial}");
        }
        let (low, high) = drawn.rates.iter().fold((1f64, 0f64), |(l, h), r| (l.min(*r), h.max(*r)));
        assert!(low < 0.25 && high > 0.75, "{low} {high}");
        let all = BitStream::draw(10, 3, Rate::Fixed(1.0), &mut stream);
        assert!(all.bits.iter().all(|bit| *bit == 1));
        assert!(BitStream::draw(10, 3, Rate::Fixed(0.0), &mut stream).bits.iter().all(|bit| *bit == 0));
    }

    #[test]
    fn running_parity_counts_from_the_start() {
        let drawn = BitStream::draw(30, 4, Rate::Fixed(0.5), &mut Stream::new(5));
        let parity = drawn.running_parity();
        for trial in 0..4 {
            for seen in 0..=30 {
                let ones: u8 = (0..seen).map(|step| drawn.at(step)[trial]).sum();
                assert_eq!(parity[seen * 4 + trial], ones % 2);
            }
        }
    }
}
