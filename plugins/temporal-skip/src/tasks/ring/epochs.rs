//! How long the epochs of trials last.

use super::Timing;
use super::rule::Structure;
use super::trials::Ring;
use synfire::cell::Mode;
use synfire::task::Period;
use synfire::{Problems, Stream};

/// The epochs of trials that are drawn together, in steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Epochs {
    /// Names and lengths; the last is the response.
    pub epochs: Vec<(&'static str, usize)>,
    pub settle: usize,
    pub free: usize,
}

impl Epochs {
    /// First step of the response.
    pub fn response_start(&self) -> usize {
        self.epochs.iter().rev().skip(1).map(|(_, steps)| steps).sum()
    }

    pub fn total(&self) -> usize {
        self.epochs.iter().map(|(_, steps)| steps).sum()
    }

    /// Number of steps that count before the response, and in it.
    pub fn windows(&self) -> (usize, usize) {
        let start = self.response_start();
        (start.saturating_sub(self.free), (self.total() - start).saturating_sub(self.free))
    }

    pub fn periods(&self) -> Vec<Period> {
        let mut from = 0;
        let period = |(name, steps): &(&str, usize)| {
            from += steps;
            Period::new(*name, from - steps, from)
        };
        self.epochs.iter().map(period).collect()
    }
}

/// A duration in whole steps, rounded down; the addition makes up for quotients like 0.3 / 0.1.
pub fn steps(duration_ms: f64, dt_ms: f64) -> usize {
    (duration_ms / dt_ms + 1e-6).floor().max(0.0) as usize
}

impl Timing {
    /// Report what is out of range.
    pub fn check(&self, dt_ms: f64, problems: &mut Problems) {
        let all = [
            ("settle_ms", self.settle_ms),
            ("fixation_ms", self.fixation_ms),
            ("stimulus_ms", self.stimulus_ms),
            ("delay_ms", self.delay_ms),
            ("response_ms", self.response_ms),
            ("jitter_ms", self.jitter_ms),
            ("free_ms", self.free_ms),
        ];
        for (field, value) in all {
            let fits = (0.0..1e9).contains(&value) && value / dt_ms < 1e7;
            problems.require(fits, field, value, "0 or more, and below 10 million steps");
        }
        for (field, value) in [("fixation_ms", self.fixation_ms), ("stimulus_ms", self.stimulus_ms)] {
            let fits = steps(value, dt_ms) > steps(self.jitter_ms, dt_ms);
            problems.require(fits, field, value, &format!("more than jitter_ms = {} by a step", self.jitter_ms));
        }
        let fits = steps(self.response_ms, dt_ms) > steps(self.free_ms, dt_ms);
        problems.require(
            fits,
            "response_ms",
            self.response_ms,
            &format!("more than free_ms = {} by a step", self.free_ms),
        );
    }
}

impl Ring {
    /// The epochs of one batch.
    pub fn epochs(&self, dt_ms: f64, mode: Mode, stream: &Stream) -> Epochs {
        let timing = &self.timing;
        let named: &[(&'static str, f64)] = match self.rule.structure {
            Structure::Immediate => &[("fixation", timing.fixation_ms), ("stimulus", timing.stimulus_ms)],
            Structure::Delayed => {
                &[("fixation", timing.fixation_ms), ("stimulus", timing.stimulus_ms), ("delay", timing.delay_ms)]
            }
            Structure::TwoStimuli => &[
                ("fixation", timing.fixation_ms),
                ("first-stimulus", timing.stimulus_ms),
                ("delay", timing.delay_ms),
                ("second-stimulus", timing.stimulus_ms),
            ],
        };
        let jitter = if mode == Mode::Training { steps(timing.jitter_ms, dt_ms) } else { 0 };
        let mut stream = stream.child("jitter");
        let mut epochs: Vec<(&'static str, usize)> = Vec::new();
        for (name, duration) in named {
            let length = steps(*duration, dt_ms);
            let shift = if jitter > 0 { stream.below(2 * jitter as u64) as usize } else { jitter };
            let least = usize::from(*duration > 0.0);
            epochs.push((name, (length + shift).saturating_sub(jitter).max(least)));
        }
        epochs.push(("response", steps(timing.response_ms, dt_ms)));
        Epochs { epochs, settle: steps(timing.settle_ms, dt_ms), free: steps(timing.free_ms, dt_ms) }
    }
}
