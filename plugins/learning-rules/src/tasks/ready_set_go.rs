//! Measure an interval and reproduce it.

use super::trial::{Sheet, no_levels, require_positive, require_size, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Objective, Period, Target};
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Respond as long after a second pulse as the second came after a first.
///
/// A trial begins with half of a pause of `pause_ms` plus an exponential time of mean `pause_mean_ms`. A pulse on the channel `ready`
/// follows, after an interval drawn from `shortest_ms` to `longest_ms` a pulse on the channel `set`, both `pulse_ms` long, then the same
/// interval, a response of `response_ms`, and the other half of the pause.
///
/// inputs  `[time, batch, 2]`  `ready` and `set`, 1 during their pulses
/// targets `[time, batch, 1]`  -0.5; during the response -0.5 + 1.5 64 s^3 (1 - s)^3 with s from 0 to 1, a bell of height 1.5
/// hints   `[time, batch, 1]`  for rules that use them: a line that rises from 0 at the end of `ready` to the interval in seconds at the
///                             middle of `set`, then falls to 0 at the start of the response
/// weight  `[time, batch]`     1 during the trial, 0 after its end: trials of a batch are as long as the longest
///
/// Conditions: `interval_ms`, `go_ms` (start of the response), `duration_ms` (length of the trial).
///
/// Source: DePasquale, Cueva, Rajan, Escola & Abbott 2018, "full-FORCE: A target-based method for training recurrent networks",
/// doi:10.1371/journal.pone.0191527, and its published demonstration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadySetGo {
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// Shortest interval.
    #[schemars(range(min = 0.0))]
    pub shortest_ms: f64,
    /// Longest interval.
    #[schemars(range(min = 0.0))]
    pub longest_ms: f64,
    /// How long a pulse lasts.
    #[schemars(range(min = 0.0))]
    pub pulse_ms: f64,
    /// How long the response lasts.
    #[schemars(range(min = 0.0))]
    pub response_ms: f64,
    /// Least pause, half of it before and half after the trial.
    #[schemars(range(min = 0.0))]
    pub pause_ms: f64,
    /// Mean of the exponential time that is added to the pause.
    #[schemars(range(min = 0.0))]
    pub pause_mean_ms: f64,
}

impl Default for ReadySetGo {
    fn default() -> Self {
        Self {
            dt_ms: 1.0,
            shortest_ms: 100.0,
            longest_ms: 2100.0,
            pulse_ms: 50.0,
            response_ms: 500.0,
            pause_ms: 400.0,
            pause_mean_ms: 2000.0,
        }
    }
}

/// The steps at which the parts of one trial begin.
struct Timeline {
    interval: f64,
    ready: usize,
    set: usize,
    go: usize,
    end: usize,
}

impl ReadySetGo {
    fn timeline(&self, dt: f64, stream: &mut Stream) -> Timeline {
        let interval = self.shortest_ms + (self.longest_ms - self.shortest_ms) * stream.uniform();
        let pause = self.pause_ms - self.pause_mean_ms * (1.0 - stream.uniform()).ln();
        let (half, pulse, between) = (steps(pause / 2.0, dt), steps(self.pulse_ms, dt), steps(interval, dt));
        let set = half + pulse + between;
        let go = set + pulse + between;
        Timeline { interval, ready: half, set, go, end: go + steps(self.response_ms, dt) + half }
    }
}

#[typetag::serde(name = "ready-set-go")]
impl Task for ReadySetGo {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        require_positive(problems, "dt_ms", self.dt_ms);
        require_positive(problems, "shortest_ms", self.shortest_ms);
        let ordered = self.longest_ms.is_finite() && self.longest_ms >= self.shortest_ms;
        problems.require(ordered, "longest_ms", self.longest_ms, "at least shortest_ms");
        for (field, value) in [("pulse_ms", self.pulse_ms), ("response_ms", self.response_ms)] {
            problems.require(value.is_finite() && value >= self.dt_ms, field, value, "at least dt_ms");
        }
        require_size(problems, "pause_ms", self.pause_ms);
        require_size(problems, "pause_mean_ms", self.pause_mean_ms);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["ready".into(), "set".into()],
            outputs: 1,
            objective: Objective::regress(None),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "ready-set-go")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let (pulse, response) = (steps(self.pulse_ms, dt), steps(self.response_ms, dt));
        if pulse == 0 || response == 0 {
            return Err(Error::config(
                "curriculum",
                format_args!("sets the time step to {dt} ms, longer than a pulse of {} ms", self.pulse_ms),
                "use a shorter step",
            ));
        }
        let lines: Vec<Timeline> = (0..batch).map(|row| self.timeline(dt, &mut stream.at(row as u64))).collect();
        let time = lines.iter().map(|line| line.end).max().unwrap_or(0);
        let mut inputs = Sheet::new(time, batch, 2);
        let (mut values, mut weight, mut hints) =
            (Sheet::new(time, batch, 1), Sheet::new(time, batch, 1), Sheet::new(time, batch, 1));
        for (row, line) in lines.iter().enumerate() {
            for step in 0..time {
                let s = (step as f64 - line.go as f64) / response as f64;
                let bell = if (0.0..1.0).contains(&s) { 64.0 * (s * (1.0 - s)).powi(3) } else { 0.0 };
                values.set(step, row, 0, -0.5 + 1.5 * bell);
                weight.set(step, row, 0, f64::from(u8::from(step < line.end)));
                let (begin, top) = ((line.ready + pulse) as f64, line.set as f64 + pulse as f64 / 2.0);
                let (rising, falling) =
                    ((step as f64 - begin) / (top - begin), (line.go as f64 - step as f64) / (line.go as f64 - top));
                hints.set(step, row, 0, line.interval / 1000.0 * rising.min(falling).max(0.0));
            }
            (line.ready..line.ready + pulse).for_each(|step| inputs.set(step, row, 0, 1.0));
            (line.set..line.set + pulse).for_each(|step| inputs.set(step, row, 1, 1.0));
        }
        let column = |of: &dyn Fn(&Timeline) -> f64| lines.iter().map(of).collect::<Vec<f64>>();
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![Target::new(0, None, Answer::EveryStep, values.tensor(), Some(weight.flat()))],
            answer: Answer::EveryStep,
            periods: vec![Period::new("trial", 0, time)],
            hints: Some(hints.tensor()),
            conditions: [
                ("interval_ms".to_string(), column(&|line| line.interval)),
                ("go_ms".to_string(), column(&|line| line.go as f64 * dt)),
                ("duration_ms".to_string(), column(&|line| line.end as f64 * dt)),
            ]
            .into(),
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<ReadySetGo>("ready-set-go") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn the_response_comes_as_late_as_the_pulses_are_apart() {
        let trials = ReadySetGo::default().trials(&Lesson::default(), 40, &mut Stream::new(1)).expect("in range");
        let (inputs, values) = (&values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        let hints = values_f64(trials.hints.as_ref().expect("it has one"));
        let weight = values_f64(trials.targets[0].weight.as_ref().expect("ragged"));
        let time = trials.time();
        for row in 0..40 {
            let on = |channel: usize| (0..time).filter(move |t| inputs[(t * 40 + row) * 2 + channel] == 1.0);
            let (ready, set) = (on(0).max().expect("a pulse"), on(1).min().expect("a pulse"));
            assert_eq!((on(0).count(), on(1).count()), (50, 50));
            let wave = |t: usize| values[t * 40 + row];
            let peak = (0..time).max_by(|a, b| wave(*a).total_cmp(&wave(*b))).expect("steps");
            let interval = set - ready - 1;
            assert_eq!(peak, on(1).max().expect("a pulse") + 1 + interval + 250);
            assert!((wave(peak) - 1.0).abs() < 1e-6 && wave(0) == -0.5);
            assert!((interval as f64 - trials.conditions["interval_ms"][row]).abs() <= 0.5);
            let hint = |t: usize| hints[t * 40 + row];
            let top = (0..time).max_by(|a, b| hint(*a).total_cmp(&hint(*b))).expect("steps");
            assert_eq!(top, set + 25);
            assert!((hint(top) - interval as f64 / 1000.0).abs() < 1e-3);
            assert_eq!((hint(ready), hint(peak - 250)), (0.0, 0.0));
            let length = (0..time).filter(|t| weight[t * 40 + row] == 1.0).count();
            assert_eq!(length as f64, trials.conditions["duration_ms"][row]);
        }
    }

    #[test]
    fn pauses_have_their_mean_and_a_trial_alone_is_not_padded() {
        let mut sum = 0.0;
        for seed in 0..400 {
            let trials = ReadySetGo { longest_ms: 100.0, ..ReadySetGo::default() }
                .trials(&Lesson { dt_ms: Some(10.0), ..Lesson::default() }, 1, &mut Stream::new(seed))
                .expect("in range");
            assert_eq!(trials.targets[0].total, trials.time() as f64);
            sum += trials.conditions["duration_ms"][0] - 800.0;
        }
        // an exponential of mean 2 s on top of 0.4 s; five standard errors are 500 ms
        assert!((sum / 400.0 - 2400.0).abs() < 500.0, "{}", sum / 400.0);
        let lesson = Lesson { dt_ms: Some(150.0), ..Lesson::default() };
        let error = ReadySetGo::default().trials(&lesson, 1, &mut Stream::new(1)).expect_err("too coarse");
        assert!(error.to_string().contains("longer than a pulse"), "{error}");
    }
}
