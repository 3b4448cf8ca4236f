//! Streams of random bits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::Stream;
use synfire::tch::Tensor;

pub use synfire_essentials::drive::{Drawn, Rate};

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

    /// Trials of `length` bits each, with the rate that each was drawn with; what a trial lacks is 0.
    pub fn of(trials: &[(Vec<bool>, f64)], length: usize) -> Self {
        let batch = trials.len();
        let mut bits = vec![0u8; length * batch];
        for (trial, (own, _)) in trials.iter().enumerate() {
            own.iter().take(length).enumerate().for_each(|(step, bit)| bits[step * batch + trial] = u8::from(*bit));
        }
        Self { bits, length, rates: trials.iter().map(|(_, rate)| *rate).collect() }
    }

    /// Number of trials.
    pub fn batch(&self) -> usize {
        self.rates.len()
    }

    /// The probability of a 1 in each trial.
    pub fn rates(&self) -> &[f64] {
        &self.rates
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
    pub fn inputs(&self, symbols: Symbols, repeat: usize) -> Tensor {
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
