//! Two stimuli with a delay between them: are they the same?

use super::decision::{Judged, Window};
use super::trial::{Sheet, no_levels, require_positive, require_size, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether two stimuli, A or B, with a delay between them differ.
///
/// The first stimulus is on during `sample_ms`, the second during `test_ms`, each given by its start and its end, which is the first
/// moment without it; with `test_jitter_ms` the second comes later by a time uniform from 0 to that, rounded down to whole steps.
/// With standard normal noise `xi`, drawn afresh at every step,
///
/// inputs  `[time, batch, 2 or 3]`  with `go_channel` first a channel that is always 0; then A and B: `amplitude` while it is on, else
///                                  `baseline`, plus `noise_std xi`
/// targets `[time, batch, 1]`       `nonmatch_target` where the stimuli differ, else `match_target`
/// weight  `[time, batch]`          1 during the last `answer_ms`, else 0
///
/// In a batch the four pairs come in turn, AA, AB, BA, BB, from a random one on. An answer is correct when it lies closer to its target
/// than `judged.correct` on average over the judged steps; the scalar error of a trial is its mean absolute distance.
///
/// Published variants: a delay of 1 s with `duration_ms = 2000`, `sample_ms = [1, 401]`, `test_ms = [1400, 1800]`; a variable delay with
/// `duration_ms = 1600`, `sample_ms = [1, 301]`, `test_ms = [601, 901]`, `test_jitter_ms = 499`; for rates from 0 to 20 targets of 0.02 and
/// 5.98 with `judged.correct = 2.5`. In steps instead of ms, for cells whose time constants count steps: `duration_ms = 750`, `sample_ms =
/// [0, 300]`, `test_ms = [400, 700]`, `baseline = 0.2`, `noise_std = 0.05`, `go_channel = false`, targets of 1 for a match and -1 for none;
/// or the same with `sample_ms = [0, 200]`, `test_ms = [400, 600]`, `baseline = 0` and `noise_std = 0.1`.
///
/// Conditions: `sample` and `test` (0 for A, 1 for B), `nonmatch` (0 or 1), `delay_ms`, `trial_type` (2 sample + test).
///
/// Source: Miconi 2017, "Biologically plausible learning in recurrent neural networks reproduces neural dynamics observed during
/// cognitive tasks", doi:10.7554/eLife.20899, and its published programs.
/// Differs: pairs come in turn within a batch, from a random one on; with one trial a batch they come by chance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelayedNonmatch {
    /// Length of a trial.
    #[schemars(range(min = 0.0))]
    pub duration_ms: f64,
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// Start and end of the first stimulus.
    pub sample_ms: [f64; 2],
    /// Start and end of the second stimulus.
    pub test_ms: [f64; 2],
    /// Longest time by which the second stimulus comes later.
    #[schemars(range(min = 0.0))]
    pub test_jitter_ms: f64,
    /// Input of a stimulus that is on.
    pub amplitude: f64,
    /// Input of a stimulus that is off.
    pub baseline: f64,
    /// Standard deviation of the noise of each stimulus in each step.
    #[schemars(range(min = 0.0))]
    pub noise_std: f64,
    /// What to say of two stimuli that are the same.
    pub match_target: f64,
    /// What to say of two stimuli that differ.
    pub nonmatch_target: f64,
    /// Time at the end that is judged.
    #[schemars(range(min = 0.0))]
    pub answer_ms: f64,
    /// Whether there is a first channel that stays 0.
    pub go_channel: bool,
    /// How answers are judged.
    pub judged: Judged,
}

impl Default for DelayedNonmatch {
    fn default() -> Self {
        Self {
            duration_ms: 1000.0,
            dt_ms: 1.0,
            sample_ms: [1.0, 201.0],
            test_ms: [400.0, 600.0],
            test_jitter_ms: 0.0,
            amplitude: 1.0,
            baseline: 0.0,
            noise_std: 0.0,
            match_target: -0.98,
            nonmatch_target: 0.98,
            answer_ms: 200.0,
            go_channel: true,
            judged: Judged::by_distance(1.0),
        }
    }
}

#[typetag::serde(name = "delayed-nonmatch")]
impl Task for DelayedNonmatch {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        require_positive(problems, "duration_ms", self.duration_ms);
        require_positive(problems, "dt_ms", self.dt_ms);
        let ordered = |[start, end]: [f64; 2]| start >= 0.0 && end > start;
        let [start, end] = self.sample_ms;
        problems.require(
            ordered(self.sample_ms),
            "sample_ms",
            format_args!("[{start}, {end}]"),
            "a start and a later end",
        );
        let [start, end] = self.test_ms;
        let inside = ordered(self.test_ms) && end + self.test_jitter_ms <= self.duration_ms;
        let rule = "a start and a later end, within duration_ms also when test_jitter_ms later";
        problems.require(inside, "test_ms", format_args!("[{start}, {end}]"), rule);
        require_size(problems, "test_jitter_ms", self.test_jitter_ms);
        require_size(problems, "noise_std", self.noise_std);
        let finite = self.amplitude.is_finite() && self.baseline.is_finite();
        problems.require(finite, "amplitude", self.amplitude, "finite, like baseline");
        let differ = (self.match_target - self.nonmatch_target).abs() > 0.0;
        problems.require(differ, "match_target", self.match_target, "another than nonmatch_target");
        let judged = self.answer_ms >= self.dt_ms && self.answer_ms <= self.duration_ms;
        problems.require(judged, "answer_ms", self.answer_ms, "between dt_ms and duration_ms");
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        let go = self.go_channel.then_some("go");
        TaskSpec {
            inputs: go.into_iter().chain(["A", "B"]).map(String::from).collect(),
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "delayed-nonmatch")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let (time, first) = (steps(self.duration_ms, dt), usize::from(self.go_channel));
        let answer = steps(self.answer_ms, dt).max(1);
        let sample = self.sample_ms.map(|t| steps(t, dt));
        let test = self.test_ms.map(|t| steps(t, dt));
        if time < answer || sample[0] == sample[1] || test[0] == test[1] {
            return Err(Error::config(
                "curriculum",
                format_args!("sets the time step to {dt} ms, too coarse for the stimuli"),
                "use a shorter step",
            ));
        }
        let mut inputs = Sheet::new(time, batch, first + 2);
        let begin = stream.child("order").below(4) as usize;
        let names = ["sample", "test", "nonmatch", "delay_ms", "trial_type"];
        let mut columns = names.map(|_| Vec::with_capacity(batch));
        let mut decisions = Vec::with_capacity(batch);
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let pair = (begin + row) % 4;
            let shown = [pair / 2, pair % 2];
            let later = (self.test_jitter_ms / dt * stream.uniform()).floor() as usize;
            let windows = [sample[0]..sample[1], test[0] + later..test[1] + later];
            for step in 0..time {
                for stimulus in 0..2 {
                    let on = (0..2).any(|i| shown[i] == stimulus && windows[i].contains(&step));
                    let level = if on { self.amplitude } else { self.baseline };
                    let noise = if self.noise_std > 0.0 { self.noise_std * stream.normal() } else { 0.0 };
                    inputs.set(step, row, first + stimulus, level + noise);
                }
            }
            let differ = shown[0] != shown[1];
            decisions.push(if differ { self.nonmatch_target } else { self.match_target });
            let delay = (windows[1].start as f64 - sample[1] as f64) * dt;
            let values = [shown[0] as f64, shown[1] as f64, f64::from(u8::from(differ)), delay, pair as f64];
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
        let target = Window { time, answer, silent: 0 }.target(&decisions);
        let mut periods = vec![
            Period::new("sample", sample[0], sample[1].min(time)),
            Period::new("delay", sample[1].min(time), test[0].max(sample[1]).min(time)),
        ];
        if self.test_jitter_ms == 0.0 {
            periods.push(Period::new("test", test[0].min(time), test[1].min(time)));
        }
        periods.push(Period::new("response", time - answer, time));
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods,
            conditions: names.map(String::from).into_iter().zip(columns).collect(),
            ..Trials::default()
        })
    }

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        self.judged.score(trials, outputs)
    }

    fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        self.judged.errors(trials, outputs)
    }
}

synfire::inventory::submit! { Component::task::<DelayedNonmatch>("delayed-nonmatch") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    fn draw(task: &DelayedNonmatch, batch: usize, lesson: &Lesson) -> Trials {
        task.trials(lesson, batch, &mut Stream::new(1)).expect("in range")
    }

    /// First step and number of steps in which a channel is 1.
    fn on(trials: &Trials, row: usize, channel: usize) -> Vec<usize> {
        let size = trials.inputs.size();
        let inputs = values_f64(&trials.inputs);
        let at = |t: usize| inputs[(t * size[1] as usize + row) * size[2] as usize + channel];
        (0..size[0] as usize).filter(|t| at(*t) == 1.0).collect()
    }

    #[test]
    fn stimuli_are_on_at_their_times_and_the_target_compares_them() {
        let trials = draw(&DelayedNonmatch::default(), 8, &Lesson::default());
        assert_eq!(trials.inputs.size(), [1000, 8, 3]);
        let targets = values_f64(&trials.targets[0].values);
        for row in 0..8 {
            let (a, b) = (on(&trials, row, 1), on(&trials, row, 2));
            let shown = |steps: &[usize], t: usize| steps.contains(&t);
            let (first, second) = (shown(&b, 100), shown(&b, 500));
            for t in 0..1000 {
                let any = shown(&a, t) || shown(&b, t);
                assert_eq!(any, (1..201).contains(&t) || (400..600).contains(&t), "{t}");
            }
            let expected = if first == second { -0.98f32 } else { 0.98 };
            assert_eq!(targets[900 * 8 + row], f64::from(expected));
            assert_eq!(trials.conditions["trial_type"][row], f64::from(u8::from(first) * 2 + u8::from(second)));
        }
        let mut types: Vec<f64> = trials.conditions["trial_type"][..4].to_vec();
        types.sort_by(f64::total_cmp);
        assert_eq!(types, [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(trials.targets[0].total, 8.0 * 200.0);
    }

    #[test]
    fn variable_delays_cover_their_range_and_a_coarse_step_keeps_times() {
        let variable = DelayedNonmatch {
            duration_ms: 1600.0,
            sample_ms: [1.0, 301.0],
            test_ms: [601.0, 901.0],
            test_jitter_ms: 499.0,
            ..DelayedNonmatch::default()
        };
        let trials = draw(&variable, 400, &Lesson::default());
        let delays = &trials.conditions["delay_ms"];
        assert!(delays.iter().all(|d| (300.0..=798.0).contains(d)));
        let mean = delays.iter().sum::<f64>() / 400.0;
        // uniform over 499 ms: standard deviation 144; five standard errors
        assert!((mean - 549.0).abs() < 36.0, "{mean}");
        let coarse = draw(&DelayedNonmatch::default(), 4, &Lesson { dt_ms: Some(10.0), ..Lesson::default() });
        assert_eq!(coarse.time(), 100);
        let both: usize = (1..3).map(|channel| on(&coarse, 0, channel).len()).sum();
        assert_eq!(both, 40);
    }

    #[test]
    fn impossible_times_are_refused() {
        let mut problems = Problems::under("task");
        DelayedNonmatch {
            test_ms: [900.0, 1100.0],
            sample_ms: [5.0, 5.0],
            answer_ms: 0.0,
            ..DelayedNonmatch::default()
        }
        .check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("three").to_string();
        for part in ["task.test_ms is [900, 1100]", "task.sample_ms is [5, 5]", "task.answer_ms is 0"] {
            assert!(message.contains(part), "{message}");
        }
        let lesson = Lesson { dt_ms: Some(900.0), ..Lesson::default() };
        let error = DelayedNonmatch::default().trials(&lesson, 1, &mut Stream::new(1)).expect_err("too coarse");
        assert!(error.to_string().contains("too coarse"), "{error}");
    }
}
