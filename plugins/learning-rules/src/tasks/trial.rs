//! What the tasks of this crate share: time in steps, tensors filled row by row, and refusals.

use synfire::cell::Mode;
use synfire::tch::Tensor;
use synfire::{Error, Lesson, Problems, Result};
pub(super) use synfire_essentials::tasks::asked::{no_levels, steps, time_step};

/// Refuse levels, and a time step on behalf of a task whose steps have no duration.
pub(super) fn in_steps(lesson: &Lesson, task: &str) -> Result<()> {
    no_levels(lesson, task)?;
    match lesson.dt_ms {
        None => Ok(()),
        Some(dt) => Err(Error::config(
            "curriculum",
            format_args!("sets the time step to {dt} ms; the steps of '{task}' have no duration"),
            "use a task with times in milliseconds",
        )),
    }
}

/// Number of equally spaced magnitudes for the trials of a lesson: in evaluations their own, where they have one.
pub(super) fn grid_of(lesson: &Lesson, grid: Option<usize>, in_evaluations: Option<usize>) -> Option<usize> {
    in_evaluations.filter(|_| lesson.mode == Mode::Evaluation).or(grid)
}

/// Report a number that is not finite or below 0.
pub(super) fn require_size(problems: &mut Problems, field: &str, value: f64) {
    problems.require(value.is_finite() && value >= 0.0, field, value, "0 or greater");
}

/// Report a number that is not finite or not above 0.
pub(super) fn require_positive(problems: &mut Problems, field: &str, value: f64) {
    problems.require(value.is_finite() && value > 0.0, field, value, "greater than 0");
}

/// Report an optional number that is not finite.
pub(super) fn require_finite(problems: &mut Problems, field: &str, value: Option<f64>) {
    if let Some(value) = value {
        problems.require(value.is_finite(), field, value, "a finite number");
    }
}

/// Numbers of all trials, `[time, batch, channel]`, 0 where nothing is set.
pub(super) struct Sheet {
    time: usize,
    batch: usize,
    channels: usize,
    numbers: Vec<f32>,
}

impl Sheet {
    /// All 0.
    pub fn new(time: usize, batch: usize, channels: usize) -> Self {
        Self { time, batch, channels, numbers: vec![0.0; time * batch * channels] }
    }

    /// Set one number.
    pub fn set(&mut self, step: usize, row: usize, channel: usize, value: f64) {
        self.numbers[(step * self.batch + row) * self.channels + channel] = value as f32;
    }

    /// The tensor `[time, batch, channel]`.
    pub fn tensor(&self) -> Tensor {
        Tensor::from_slice(&self.numbers).reshape([self.time as i64, self.batch as i64, self.channels as i64])
    }

    /// The tensor `[time, batch]` of a sheet with one channel.
    pub fn flat(&self) -> Tensor {
        Tensor::from_slice(&self.numbers).reshape([self.time as i64, self.batch as i64])
    }
}

/// `count` equally spaced numbers from `low` to `high`, number `index` of them.
pub(super) fn spaced(low: f64, high: f64, count: usize, index: usize) -> f64 {
    low + (high - low) * index as f64 / count.saturating_sub(1).max(1) as f64
}
