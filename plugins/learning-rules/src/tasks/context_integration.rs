//! Which of several noisy signals counts is said by a cue.

use super::decision::{Judged, Window};
use super::trial::{Sheet, grid_of, in_steps, require_finite, require_size, spaced};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether the cued one of `contexts` noisy signals is positive or negative on average.
///
/// In each trial a context is drawn, a sign of ±1 for each signal, and a magnitude uniform from 0 to `largest_mean`: one for all
/// signals, or one each with `magnitudes = "independent"`. With standard normal noise `xi`, drawn afresh at every step,
///
/// inputs  `[steps, batch, 2 contexts]`  the signals, `sign magnitude + noise_std xi` in the first `stimulus_steps` steps and 0
///                                       afterwards; then the cues, 1 for the context and 0 for the others, during the whole trial
/// targets `[steps, batch, 1]`           0 at the first step if it is judged, then the sign of the cued signal
/// weight  `[steps, batch]`              1 at the last `answer_steps` steps, and at the first with `start_at_zero`; else 0
///
/// Loss, correctness and the rest are those of `random-dots`. One context gives a signal and a constant cue. With more than six,
/// published training did not always succeed.
///
/// For psychometric curves `context` fixes the cue and `coherence` the mean of signal 0, while the means of the other signals are
/// independent and uniform in ± `largest_mean`: in context 0 the curve of the cued signal is measured, in another that of an ignored one.
/// With `grid = n` the magnitudes are n equally spaced numbers from 0 to `largest_mean`, trial after trial; with `evaluation_grid` those of
/// evaluations. Where the cued mean is
/// exactly 0 the target is a sign drawn by chance.
///
/// Conditions: `context`, `coherence` (mean of the cued signal), `evidence_0` ... (mean of each), `choice` (the target),
/// `trial_type` (2 context, plus 1 where the target is 1).
///
/// Source: McMahan, Kleinman & Kao 2021, "Learning rule influences recurrent network representations but not attractor structure in
/// decision-making tasks", NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>; two contexts after Mante et al. 2013,
/// doi:10.1038/nature12742.
/// Differs: losses are means over trials and judged steps; a mean of 0 has a target by chance, not 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextIntegration {
    /// Number of contexts, and of signals.
    #[schemars(range(min = 1))]
    pub contexts: usize,
    /// Steps of a trial.
    #[schemars(range(min = 2))]
    pub steps: usize,
    /// Largest mean of a signal.
    #[schemars(range(min = 0.0))]
    pub largest_mean: f64,
    /// Whether all signals of a trial have the same magnitude.
    pub magnitudes: Magnitudes,
    /// Standard deviation of the noise of each signal in each step; 0.1, 0.5 and 1.0 are published.
    #[schemars(range(min = 0.0))]
    pub noise_std: f64,
    /// Steps for which the signals are shown; left out, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stimulus_steps: Option<usize>,
    /// Steps at the end that are judged.
    #[schemars(range(min = 1))]
    pub answer_steps: usize,
    /// Whether the output should be 0 at the first step.
    pub start_at_zero: bool,
    /// The context of every trial, from 0; left out, it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// The mean of signal 0 in every trial; left out, it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coherence: Option<f64>,
    /// Number of equally spaced magnitudes to take in turn; left out, they are drawn.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<usize>,
    /// The same for the trials of evaluations alone.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_grid: Option<usize>,
    /// How answers are judged.
    pub judged: Judged,
}

/// Whether the signals of a trial are equally strong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Magnitudes {
    /// They are; only their signs differ.
    #[default]
    Shared,
    /// Each has a magnitude of its own.
    Independent,
}

impl Default for ContextIntegration {
    fn default() -> Self {
        Self {
            contexts: 2,
            steps: 750,
            largest_mean: 0.1857,
            magnitudes: Magnitudes::Shared,
            noise_std: 0.5,
            stimulus_steps: None,
            answer_steps: 1,
            start_at_zero: true,
            context: None,
            coherence: None,
            grid: None,
            evaluation_grid: None,
            judged: Judged::default(),
        }
    }
}

impl ContextIntegration {
    /// The mean of each signal in one trial, and a sign for the case that the cued one is 0.
    fn means(&self, grid: Option<usize>, row: usize, stream: &mut Stream) -> (Vec<f64>, f64) {
        let chance = if stream.bernoulli(0.5) { 1.0 } else { -1.0 };
        let shared = stream.uniform();
        let magnitude = |uniform: f64| match grid {
            Some(count) => spaced(0.0, self.largest_mean, count, row % count.max(1)),
            None => self.largest_mean * uniform,
        };
        let mut means: Vec<f64> = (0..self.contexts)
            .map(|_| {
                let sign = if stream.bernoulli(0.5) { 1.0 } else { -1.0 };
                let own = stream.uniform();
                match (self.coherence, self.magnitudes) {
                    (Some(_), _) => sign * self.largest_mean * own,
                    (None, Magnitudes::Shared) => sign * magnitude(shared),
                    (None, Magnitudes::Independent) => sign * magnitude(own),
                }
            })
            .collect();
        if let (Some(coherence), Some(first)) = (self.coherence, means.first_mut()) {
            *first = coherence;
        }
        (means, chance)
    }
}

#[typetag::serde(name = "context-integration")]
impl Task for ContextIntegration {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.contexts >= 1, "contexts", self.contexts, "at least 1");
        problems.require(self.steps >= 2, "steps", self.steps, "at least 2");
        require_size(problems, "largest_mean", self.largest_mean);
        require_size(problems, "noise_std", self.noise_std);
        let inside = (1..=self.steps).contains(&self.answer_steps);
        problems.require(inside, "answer_steps", self.answer_steps, "between 1 and steps");
        if let Some(context) = self.context {
            problems.require(context < self.contexts, "context", context, "below contexts");
        }
        require_finite(problems, "coherence", self.coherence);
        for (field, grid) in [("grid", self.grid), ("evaluation_grid", self.evaluation_grid)] {
            problems.require(grid != Some(0), field, 0, "at least 1");
        }
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        let evidence = (0..self.contexts).map(|i| format!("evidence_{i}"));
        let cues = (0..self.contexts).map(|i| format!("context_{i}"));
        TaskSpec {
            inputs: evidence.chain(cues).collect(),
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "context-integration")?;
        let grid = grid_of(lesson, self.grid, self.evaluation_grid);
        let (count, shown) = (self.contexts, self.stimulus_steps.unwrap_or(self.steps).min(self.steps));
        let mut inputs = Sheet::new(self.steps, batch, 2 * count);
        let mut evidence = vec![Vec::with_capacity(batch); count];
        let (mut contexts, mut coherence, mut choice) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let drawn = stream.below(count as u64) as usize;
            let context = self.context.unwrap_or(drawn);
            let (means, chance) = self.means(grid, row, &mut stream);
            for step in 0..self.steps {
                if step < shown {
                    for (channel, mean) in means.iter().enumerate() {
                        inputs.set(step, row, channel, mean + self.noise_std * stream.normal());
                    }
                }
                inputs.set(step, row, count + context, 1.0);
            }
            contexts.push(context as f64);
            coherence.push(means[context]);
            choice.push(if means[context] == 0.0 { chance } else { means[context].signum() });
            for (column, mean) in evidence.iter_mut().zip(means) {
                column.push(mean);
            }
        }
        let window = Window { time: self.steps, answer: self.answer_steps, silent: usize::from(self.start_at_zero) };
        let target = window.target(&choice);
        let trial_type = contexts.iter().zip(&choice).map(|(c, s)| 2.0 * c + f64::from(u8::from(*s > 0.0))).collect();
        let mut conditions: std::collections::BTreeMap<String, Vec<f64>> =
            evidence.into_iter().enumerate().map(|(i, column)| (format!("evidence_{i}"), column)).collect();
        conditions.extend([
            ("context".to_string(), contexts),
            ("coherence".to_string(), coherence),
            ("choice".to_string(), choice),
            ("trial_type".to_string(), trial_type),
        ]);
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("stimulus", 0, shown), Period::new("delay", shown, self.steps)],
            conditions,
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

synfire::inventory::submit! { Component::task::<ContextIntegration>("context-integration") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    fn draw(task: &ContextIntegration, batch: usize) -> Trials {
        task.trials(&Lesson::default(), batch, &mut Stream::new(1)).expect("in range")
    }

    #[test]
    fn the_cue_says_which_signal_the_target_is_the_sign_of() {
        for contexts in [1, 2, 5] {
            let task = ContextIntegration { contexts, noise_std: 0.0, ..ContextIntegration::default() };
            let trials = draw(&task, 200);
            assert_eq!(trials.inputs.size(), [750, 200, 2 * contexts as i64]);
            let width = 2 * contexts;
            let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
            let mut seen = vec![0; contexts];
            for row in 0..200 {
                for step in [0, 1, 749] {
                    let now = &inputs[(step * 200 + row) * width..][..width];
                    let cued: Vec<usize> = (0..contexts).filter(|c| now[contexts + c] == 1.0).collect();
                    assert_eq!(cued.len(), 1);
                    let sign = now[cued[0]].signum();
                    assert_eq!(targets[step * 200 + row], if step == 0 { 0.0 } else { sign });
                    // one magnitude for all
                    assert!(now[..contexts].iter().all(|u| u.abs() == now[0].abs()));
                    seen[cued[0]] += 1;
                }
            }
            // 600 / contexts expected; each is far from 0
            assert!(seen.iter().all(|n| *n > 60), "{seen:?}");
        }
    }

    #[test]
    fn independent_magnitudes_are_independent() {
        let task = ContextIntegration { magnitudes: Magnitudes::Independent, ..ContextIntegration::default() };
        let trials = draw(&task, 4000);
        let absolute = |name: &str| trials.conditions[name].iter().map(|x| x.abs() / 0.1857).collect::<Vec<_>>();
        let (a, b) = (absolute("evidence_0"), absolute("evidence_1"));
        let covariance = a.iter().zip(&b).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum::<f64>() / 4000.0;
        // two uniform numbers: standard deviation 1/12 of the product; five standard errors
        assert!(covariance.abs() < 5.0 / 12.0 / 4000f64.sqrt(), "{covariance}");
    }

    #[test]
    fn the_psychometric_mode_fixes_context_and_first_signal() {
        let task = ContextIntegration {
            contexts: 3,
            context: Some(1),
            coherence: Some(-0.3),
            ..ContextIntegration::default()
        };
        let trials = draw(&task, 300);
        assert!(trials.conditions["evidence_0"].iter().all(|m| *m == -0.3));
        assert!(trials.conditions["context"].iter().all(|c| *c == 1.0));
        for (i, choice) in trials.conditions["choice"].iter().enumerate() {
            assert_eq!(*choice, trials.conditions["evidence_1"][i].signum());
            assert!(trials.conditions["evidence_2"][i].abs() <= 0.1857);
            assert_eq!(trials.conditions["trial_type"][i], if *choice > 0.0 { 3.0 } else { 2.0 });
        }
        let mut problems = Problems::under("task");
        ContextIntegration { context: Some(2), ..ContextIntegration::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        assert!(problems.into_result().expect_err("two contexts").to_string().contains("task.context is 2"));
    }
}
