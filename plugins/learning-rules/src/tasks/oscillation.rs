//! A wave that speeds up and slows down.

use super::trial::{Sheet, no_levels, require_positive, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use synfire::task::{Answer, Objective, Period, Target};
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// After a pulse, generate a wave whose frequency rises during the first half of the trial and falls during the second.
///
/// inputs  `[time, batch, 1]`  1 during the first `pulse_ms`, then 0
/// targets `[time, batch, 1]`  `sin(2 pi phi(s))` with s the time over the length of the trial:
///                             `wave = "mirrored"`: phi = s (6 s + 3) in the first half, then -3 + s (15 - 6 s);
///                             `wave = "inverted"`: phi = 2 s + 8 s^2 in the first half, then the negative of the first half, backwards
///
/// Source: DePasquale, Cueva, Rajan, Escola & Abbott 2018, "full-FORCE: A target-based method for training recurrent networks",
/// doi:10.1371/journal.pone.0191527: the oscillation of its two published demonstrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Oscillation {
    /// Length of a trial.
    #[schemars(range(min = 0.0))]
    pub duration_ms: f64,
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// How long the pulse lasts.
    #[schemars(range(min = 0.0))]
    pub pulse_ms: f64,
    /// Which of the two waves.
    pub wave: Wave,
}

/// How the second half of the wave follows from the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wave {
    /// The frequency falls as it rose.
    #[default]
    Mirrored,
    /// The wave runs backwards with the opposite sign.
    Inverted,
}

impl Wave {
    /// The wave at `s`, from 0 at the start of the trial to 1 at its end.
    fn at(self, s: f64) -> f64 {
        match self {
            Self::Mirrored if s < 0.5 => (TAU * s * (6.0 * s + 3.0)).sin(),
            Self::Mirrored => (TAU * (-3.0 + s * (15.0 - 6.0 * s))).sin(),
            Self::Inverted if s <= 0.5 => (TAU * (2.0 * s + 8.0 * s * s)).sin(),
            Self::Inverted => -self.at(1.0 - s),
        }
    }
}

impl Default for Oscillation {
    fn default() -> Self {
        Self { duration_ms: 2000.0, dt_ms: 1.0, pulse_ms: 50.0, wave: Wave::Mirrored }
    }
}

#[typetag::serde(name = "oscillation")]
impl Task for Oscillation {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        require_positive(problems, "dt_ms", self.dt_ms);
        let long = self.duration_ms.is_finite() && self.duration_ms >= 20.0 * self.dt_ms;
        problems.require(
            long,
            "duration_ms",
            self.duration_ms,
            "at least 20 dt_ms, to show the fastest part of the wave",
        );
        let inside = self.pulse_ms >= self.dt_ms && self.pulse_ms <= self.duration_ms;
        problems.require(inside, "pulse_ms", self.pulse_ms, "between dt_ms and duration_ms");
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["pulse".into()],
            outputs: 1,
            objective: Objective::regress(None),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, _: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "oscillation")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let (time, pulse) = (steps(self.duration_ms, dt), steps(self.pulse_ms, dt).max(1));
        if time < 20 {
            return Err(Error::config(
                "curriculum",
                format_args!("sets the time step to {dt} ms, too coarse for a wave of {} ms", self.duration_ms),
                "use a shorter step",
            ));
        }
        let (mut inputs, mut values) = (Sheet::new(time, batch, 1), Sheet::new(time, batch, 1));
        for step in 0..time {
            let value = self.wave.at(step as f64 / time as f64);
            for row in 0..batch {
                values.set(step, row, 0, value);
                inputs.set(step, row, 0, f64::from(u8::from(step < pulse)));
            }
        }
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![Target::new(0, None, Answer::EveryStep, values.tensor(), None)],
            answer: Answer::EveryStep,
            periods: vec![Period::new("pulse", 0, pulse), Period::new("wave", pulse, time)],
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<Oscillation>("oscillation") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn the_wave_is_smooth_and_symmetric_and_speeds_up() {
        for (wave, sign) in [(Wave::Mirrored, -1.0), (Wave::Inverted, -1.0)] {
            let task = Oscillation { wave, ..Oscillation::default() };
            let values = values_f64(
                &task.trials(&Lesson::default(), 1, &mut Stream::new(1)).expect("in range").targets[0].values,
            );
            assert_eq!(values.len(), 2000);
            // both are odd around the middle: phi(1 - s) = 6 - phi(s) for the first
            for t in 1..1000 {
                assert!((values[2000 - t] - sign * values[t]).abs() < 1e-5, "{wave:?} {t}");
            }
            let crossings: Vec<usize> = (1..1000).filter(|t| values[t - 1] * values[*t] < 0.0).collect();
            let gaps: Vec<usize> = crossings.windows(2).map(|pair| pair[1] - pair[0]).collect();
            // gaps in whole steps: neighbours of a slowly changing frequency differ by less than their rounding
            assert!(gaps.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{wave:?} {gaps:?}");
            assert!(gaps.last() < gaps.first(), "{wave:?} {gaps:?}");
            let largest_jump = values.windows(2).map(|p| (p[1] - p[0]).abs()).fold(0.0, f64::max);
            // the fastest part has a frequency of 9 or 10 cycles a trial
            assert!(largest_jump < TAU * 10.5 / 2000.0, "{wave:?} {largest_jump}");
        }
    }

    #[test]
    fn the_pulse_marks_the_start() {
        let trials = Oscillation::default().trials(&Lesson::default(), 2, &mut Stream::new(1)).expect("in range");
        let inputs = values_f64(&trials.inputs);
        assert_eq!((inputs[0], inputs[99], inputs[100], inputs[3999]), (1.0, 1.0, 0.0, 0.0));
        let lesson = Lesson { dt_ms: Some(200.0), ..Lesson::default() };
        let error = Oscillation::default().trials(&lesson, 1, &mut Stream::new(1)).expect_err("ten steps");
        assert!(error.to_string().contains("too coarse"), "{error}");
    }
}
