//! Two noisy signals, of which a cue says which one counts, in milliseconds.

use super::decision::{Judged, Window};
use super::trial::{Sheet, no_levels, require_finite, require_positive, require_size, steps, time_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether the attended one of two noisy signals is biased upwards or downwards.
///
/// Both signals have a bias of ± `bias`; the sign of the attended one is the answer, that of the other is drawn. With standard normal
/// noise `xi`, drawn afresh at every step,
///
/// inputs  `[time, batch, 5]`   a channel that is always 0; the two signals, `gain (xi + bias)` during `stimulus_ms` (start and end, the
///                              first moment without it), low-pass filtered as `u <- u + (new - u) / filter_steps`; and the cues, 1 for
///                              the attended signal during the whole trial
/// targets `[time, batch, 1]`   the sign of the attended bias
/// weight  `[time, batch]`      1 during the last `answer_ms`, else 0
///
/// In a batch four kinds of trials come in turn, from a random one on: attend 1 upwards, attend 2 upwards, attend 1 downwards, attend 2
/// downwards. An answer is correct when it lies closer to its target than `judged.correct` on average over the judged steps; the scalar
/// error of a trial is its mean absolute distance. With `bias_1` and `bias_2` both biases are fixed and the two kinds of attention come in
/// turn (psychometric curves); the answer at a bias of exactly 0 is drawn.
///
/// Conditions: `context` (0 or 1, the attended signal), `bias_1`, `bias_2`, `choice` (the target), `trial_type` (2 context, plus 1 where
/// the target is 1).
///
/// Source: Miconi 2017, "Biologically plausible learning in recurrent neural networks reproduces neural dynamics observed during
/// cognitive tasks", doi:10.7554/eLife.20899, and its published programs; the task is that of Mante et al. 2013, doi:10.1038/nature12742.
/// Differs: with one trial a batch the kinds of trials come by chance, not in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SelectiveIntegration {
    /// Length of a trial.
    #[schemars(range(min = 0.0))]
    pub duration_ms: f64,
    /// Duration of a step.
    #[schemars(range(min = 0.0))]
    pub dt_ms: f64,
    /// Start and end of the signals.
    pub stimulus_ms: [f64; 2],
    /// Size of both biases.
    #[schemars(range(min = 0.0))]
    pub bias: f64,
    /// What signals and noise are multiplied with.
    #[schemars(range(min = 0.0))]
    pub gain: f64,
    /// Steps of the low-pass filter; 1 is none.
    #[schemars(range(min = 1.0))]
    pub filter_steps: f64,
    /// The bias of signal 1 in every trial; left out, it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias_1: Option<f64>,
    /// The bias of signal 2 in every trial; left out, it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias_2: Option<f64>,
    /// Time at the end that is judged.
    #[schemars(range(min = 0.0))]
    pub answer_ms: f64,
    /// How answers are judged.
    pub judged: Judged,
}

impl Default for SelectiveIntegration {
    fn default() -> Self {
        Self {
            duration_ms: 700.0,
            dt_ms: 1.0,
            stimulus_ms: [1.0, 501.0],
            bias: 0.5,
            gain: 0.5,
            filter_steps: 1.0,
            bias_1: None,
            bias_2: None,
            answer_ms: 200.0,
            judged: Judged::by_distance(1.0),
        }
    }
}

/// Channel of the first signal and of the first cue.
const SIGNALS: usize = 1;
const CUES: usize = 3;

#[typetag::serde(name = "selective-integration")]
impl Task for SelectiveIntegration {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        require_positive(problems, "duration_ms", self.duration_ms);
        require_positive(problems, "dt_ms", self.dt_ms);
        let [start, end] = self.stimulus_ms;
        let inside = start >= 0.0 && end > start && end <= self.duration_ms;
        let rule = "a start and a later end within duration_ms";
        problems.require(inside, "stimulus_ms", format_args!("[{start}, {end}]"), rule);
        require_size(problems, "bias", self.bias);
        require_size(problems, "gain", self.gain);
        let filter = self.filter_steps;
        problems.require(filter.is_finite() && filter >= 1.0, "filter_steps", filter, "at least 1");
        require_finite(problems, "bias_1", self.bias_1);
        require_finite(problems, "bias_2", self.bias_2);
        let judged = self.answer_ms >= self.dt_ms && self.answer_ms <= self.duration_ms;
        problems.require(judged, "answer_ms", self.answer_ms, "between dt_ms and duration_ms");
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: ["go", "signal_1", "signal_2", "attend_1", "attend_2"].map(String::from).into(),
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: Some(self.dt_ms),
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_levels(lesson, "selective-integration")?;
        let dt = time_step(lesson, self.dt_ms)?;
        let (time, answer) = (steps(self.duration_ms, dt), steps(self.answer_ms, dt).max(1));
        let [start, end] = self.stimulus_ms.map(|t| steps(t, dt));
        if time < answer || start == end {
            return Err(Error::config(
                "curriculum",
                format_args!("sets the time step to {dt} ms, too coarse for the signals"),
                "use a shorter step",
            ));
        }
        let mut inputs = Sheet::new(time, batch, CUES + 2);
        let begin = stream.child("order").below(4) as usize;
        let names = ["context", "bias_1", "bias_2", "choice", "trial_type"];
        let mut columns = names.map(|_| Vec::with_capacity(batch));
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let (context, upwards) = ((begin + row) % 2, (begin + row) % 4 < 2);
            let (attended, other) = (upwards, stream.bernoulli(0.5));
            let signed = |up: bool| if up { self.bias } else { -self.bias };
            let mut biases = [signed(other); 2];
            biases[context] = signed(attended);
            for (bias, fixed) in biases.iter_mut().zip([self.bias_1, self.bias_2]) {
                *bias = fixed.unwrap_or(*bias);
            }
            let choice = if biases[context] == 0.0 { if other { 1.0 } else { -1.0 } } else { biases[context].signum() };
            let mut filtered = [0.0; 2];
            for step in 0..time {
                for (signal, bias) in biases.iter().enumerate() {
                    let shown = (start..end).contains(&step);
                    let new = if shown { self.gain * (stream.normal() + bias) } else { 0.0 };
                    filtered[signal] += (new - filtered[signal]) / self.filter_steps;
                    inputs.set(step, row, SIGNALS + signal, filtered[signal]);
                }
                inputs.set(step, row, CUES + context, 1.0);
            }
            let kind = (2 * context) as f64 + f64::from(u8::from(choice > 0.0));
            for (column, value) in columns.iter_mut().zip([context as f64, biases[0], biases[1], choice, kind]) {
                column.push(value);
            }
        }
        let target = Window { time, answer, silent: 0 }.target(&columns[3]);
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("stimulus", start, end.min(time)), Period::new("response", time - answer, time)],
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

synfire::inventory::submit! { Component::task::<SelectiveIntegration>("selective-integration") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn the_attended_bias_decides_and_the_signals_carry_it() {
        let trials =
            SelectiveIntegration::default().trials(&Lesson::default(), 400, &mut Stream::new(1)).expect("in range");
        let inputs = values_f64(&trials.inputs);
        let mut kinds = [0; 4];
        let mut sums = [0.0; 2];
        for row in 0..400 {
            let context = trials.conditions["context"][row] as usize;
            let biases = [trials.conditions["bias_1"][row], trials.conditions["bias_2"][row]];
            let at = |t: usize, channel: usize| inputs[(t * 400 + row) * 5 + channel];
            assert_eq!((at(0, 0), at(350, 3 + context), at(350, 4 - context)), (0.0, 1.0, 0.0));
            assert_eq!((at(0, 1), at(501, 1)), (0.0, 0.0));
            assert_eq!(trials.conditions["choice"][row], biases[context].signum());
            kinds[trials.conditions["trial_type"][row] as usize] += 1;
            for signal in 0..2 {
                sums[signal] += biases[signal].signum() * (1..501).map(|t| at(t, 1 + signal)).sum::<f64>();
            }
        }
        assert_eq!(kinds, [100; 4]);
        for sum in sums {
            // 0.5 (0.5 + xi) over 200,000 steps; five standard errors are 0.0056
            assert!((sum / 200_000.0 - 0.25).abs() < 0.0056, "{}", sum / 200_000.0);
        }
    }

    #[test]
    fn biases_can_be_fixed_and_the_filter_is_a_running_mean() {
        let fixed = SelectiveIntegration {
            bias_1: Some(-0.1),
            bias_2: Some(0.4),
            filter_steps: 5.0,
            ..SelectiveIntegration::default()
        };
        let trials = fixed.trials(&Lesson::default(), 4, &mut Stream::new(2)).expect("in range");
        for row in 0..4 {
            let expected = if trials.conditions["context"][row] == 0.0 { -1.0 } else { 1.0 };
            assert_eq!(trials.conditions["choice"][row], expected);
        }
        let sharp = SelectiveIntegration { filter_steps: 1.0, ..fixed };
        let raw = values_f64(&sharp.trials(&Lesson::default(), 4, &mut Stream::new(2)).expect("in range").inputs);
        let smooth = values_f64(&trials.inputs);
        let mut by_hand = 0.0;
        for t in 0..700 {
            by_hand += (raw[t * 20 + 1] - by_hand) / 5.0;
            assert!((smooth[t * 20 + 1] - by_hand).abs() < 1e-6);
        }
        let mut problems = Problems::under("task");
        SelectiveIntegration { filter_steps: 0.5, stimulus_ms: [1.0, 800.0], ..SelectiveIntegration::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("two").to_string();
        assert!(message.contains("task.filter_steps is 0.5") && message.contains("task.stimulus_ms is"), "{message}");
    }
}
