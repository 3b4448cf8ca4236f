//! Which way do the dots move?

use super::decision::{Judged, Window};
use super::trial::{Sheet, grid_of, in_steps, require_finite, require_size, spaced};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether a noisy signal is positive or negative on average.
///
/// In each trial a sign `s` of ±1 and a magnitude `m` uniform from 0 to `largest_mean` are drawn. With standard normal noise `xi`,
/// drawn afresh at every step,
///
/// inputs  `[steps, batch, 1]`  `s m + noise_std xi` in the first `stimulus_steps` steps, 0 afterwards
/// targets `[steps, batch, 1]`  0 at the first step if it is judged, then `s`
/// weight  `[steps, batch]`     1 at the last `answer_steps` steps, and at the first with `start_at_zero`; else 0
///
/// With one answer step the loss is the mean of the squares of the first output and of the last minus `s`. An answer is correct when
/// the last output has the sign `s`, unless `judged` says otherwise. For rules that follow a target over time let more steps be judged.
///
/// With `coherence` every trial has that mean (psychometric curves), `s` is its sign, and at 0 it is drawn. With `grid = n` the
/// magnitudes are n equally spaced numbers from 0 to `largest_mean`, trial after trial. The published validation is `evaluation_grid = 20`
/// with `training.same_evaluation_trials = true`.
///
/// An ideal observer is right in a fraction `Phi(m sqrt(steps) / noise_std)` of the trials: on average 0.992, 0.961 and 0.922 at a
/// noise of 0.1, 0.5 and 1.
///
/// Conditions: `coherence` (s m), `choice` (s), `trial_type` (0 where s is -1, 1 where it is 1).
///
/// Source: McMahan, Kleinman & Kao 2021, "Learning rule influences recurrent network representations but not attractor structure in
/// decision-making tasks", NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>; the loss follows Mante et al. 2013,
/// doi:10.1038/nature12742.
/// Differs: what published options call variance is the standard deviation `noise_std`; losses are means, not sums, over trials
/// and judged steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomDots {
    /// Steps of a trial.
    #[schemars(range(min = 2))]
    pub steps: usize,
    /// Largest mean of the signal.
    #[schemars(range(min = 0.0))]
    pub largest_mean: f64,
    /// Standard deviation of the noise of each step; 0.1, 0.5 and 1.0 are published.
    #[schemars(range(min = 0.0))]
    pub noise_std: f64,
    /// Steps for which signal and noise are shown; left out, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stimulus_steps: Option<usize>,
    /// Steps at the end that are judged.
    #[schemars(range(min = 1))]
    pub answer_steps: usize,
    /// Whether the output should be 0 at the first step.
    pub start_at_zero: bool,
    /// The mean of every trial; left out, it is drawn.
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

impl Default for RandomDots {
    fn default() -> Self {
        Self {
            steps: 750,
            largest_mean: 0.1857,
            noise_std: 0.5,
            stimulus_steps: None,
            answer_steps: 1,
            start_at_zero: true,
            coherence: None,
            grid: None,
            evaluation_grid: None,
            judged: Judged::default(),
        }
    }
}

#[typetag::serde(name = "random-dots")]
impl Task for RandomDots {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps >= 2, "steps", self.steps, "at least 2");
        require_size(problems, "largest_mean", self.largest_mean);
        require_size(problems, "noise_std", self.noise_std);
        let inside = (1..=self.steps).contains(&self.answer_steps);
        problems.require(inside, "answer_steps", self.answer_steps, "between 1 and steps");
        require_finite(problems, "coherence", self.coherence);
        for (field, grid) in [("grid", self.grid), ("evaluation_grid", self.evaluation_grid)] {
            problems.require(grid != Some(0), field, 0, "at least 1");
        }
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["motion".into()],
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "random-dots")?;
        let grid = grid_of(lesson, self.grid, self.evaluation_grid);
        let shown = self.stimulus_steps.unwrap_or(self.steps).min(self.steps);
        let mut inputs = Sheet::new(self.steps, batch, 1);
        let (mut coherence, mut choice) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let sign = if stream.bernoulli(0.5) { 1.0 } else { -1.0 };
            let uniform = stream.uniform();
            let magnitude = match grid {
                Some(count) => spaced(0.0, self.largest_mean, count, row % count.max(1)),
                None => self.largest_mean * uniform,
            };
            let mean = self.coherence.unwrap_or(sign * magnitude);
            for step in 0..shown {
                inputs.set(step, row, 0, mean + self.noise_std * stream.normal());
            }
            coherence.push(mean);
            choice.push(if mean == 0.0 { sign } else { mean.signum() });
        }
        let window = Window { time: self.steps, answer: self.answer_steps, silent: usize::from(self.start_at_zero) };
        let trial_type = choice.iter().map(|s| f64::from(u8::from(*s > 0.0))).collect();
        let target = window.target(&choice);
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("stimulus", 0, shown), Period::new("delay", shown, self.steps)],
            conditions: [("coherence".into(), coherence), ("choice".into(), choice), ("trial_type".into(), trial_type)]
                .into(),
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

synfire::inventory::submit! { Component::task::<RandomDots>("random-dots") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::cell::Mode;
    use synfire::tensors::values_f64;

    #[test]
    fn inputs_have_the_mean_and_noise_that_conditions_state() {
        let task = RandomDots { steps: 4000, noise_std: 0.3, ..RandomDots::default() };
        let trials = task.trials(&Lesson::default(), 40, &mut Stream::new(1)).expect("in range");
        let inputs = values_f64(&trials.inputs);
        for row in 0..40 {
            let column: Vec<f64> = (0..4000).map(|t| inputs[t * 40 + row]).collect();
            let mean = column.iter().sum::<f64>() / 4000.0;
            let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0;
            let expected = trials.conditions["coherence"][row];
            // five standard errors of a mean over 4000 steps, and of a standard deviation
            assert!((mean - expected).abs() < 5.0 * 0.3 / 4000f64.sqrt(), "{mean} {expected}");
            assert!((variance.sqrt() - 0.3).abs() < 5.0 * 0.3 / 8000f64.sqrt(), "{}", variance.sqrt());
            assert!(expected.abs() <= 0.1857 && expected.signum() == trials.conditions["choice"][row]);
        }
    }

    #[test]
    fn an_ideal_observer_scores_what_the_manual_says() {
        // Integrate: the sign of the sum of all inputs is the best answer there is.
        for (noise_std, expected) in [(0.1, 0.992), (0.5, 0.961), (1.0, 0.922)] {
            let task = RandomDots { noise_std, ..RandomDots::default() };
            let trials = task.trials(&Lesson::default(), 4000, &mut Stream::new(2)).expect("in range");
            let output = trials.inputs.cumsum(0, synfire::tch::Kind::Float);
            let scores = task.score(&trials, &[output]).expect("fits");
            let found = scores.heads[0].accuracy.as_ref().expect("a decision").double_value(&[]);
            // three standard errors of a fraction over 4000 trials are 0.013 at most
            assert!((found - expected).abs() < 0.013, "{noise_std}: {found}");
        }
    }

    #[test]
    fn fixed_coherence_grid_and_pulse_are_as_asked() {
        let draw = |task: &RandomDots| task.trials(&Lesson::default(), 20, &mut Stream::new(3)).expect("in range");
        let trials = draw(&RandomDots {
            coherence: Some(-0.2),
            noise_std: 0.0,
            stimulus_steps: Some(50),
            ..RandomDots::default()
        });
        let inputs = values_f64(&trials.inputs.select(1, 7).squeeze());
        assert!(inputs[..50].iter().all(|u| (u + 0.2).abs() < 1e-7) && inputs[50..].iter().all(|u| *u == 0.0));
        assert!(trials.conditions["choice"].iter().all(|s| *s == -1.0));
        let undecided = draw(&RandomDots { coherence: Some(0.0), ..RandomDots::default() });
        assert!(undecided.conditions["choice"].contains(&1.0) && undecided.conditions["choice"].contains(&-1.0));
        let grid = draw(&RandomDots { grid: Some(20), ..RandomDots::default() });
        for (row, coherence) in grid.conditions["coherence"].iter().enumerate() {
            assert!((coherence.abs() - 0.1857 * row as f64 / 19.0).abs() < 1e-12);
        }
        let weight = values_f64(grid.targets[0].weight.as_ref().expect("masked"));
        let judged: Vec<usize> = (0..750).filter(|t| weight[t * 20] == 1.0).collect();
        assert_eq!(judged, [0, 749]);
        let target = values_f64(&grid.targets[0].values);
        assert_eq!((target[0], target[20]), (0.0, grid.conditions["choice"][0]));
    }

    #[test]
    fn evaluations_may_have_a_grid_of_their_own() {
        let task = RandomDots { evaluation_grid: Some(3), ..RandomDots::default() };
        let coherence = |mode: Mode| {
            let lesson = Lesson { mode, ..Lesson::default() };
            task.trials(&lesson, 6, &mut Stream::new(3)).expect("in range").conditions["coherence"].clone()
        };
        let judged: Vec<f64> = coherence(Mode::Evaluation).iter().map(|m| m.abs()).collect();
        let half = 0.5 * 0.1857;
        judged.iter().zip([0.0, half, 0.1857].iter().cycle()).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
        assert!(coherence(Mode::Training).iter().all(|m| m.abs() > 0.0 && (m.abs() - half).abs() > 1e-9));
    }

    #[test]
    fn impossible_options_are_refused() {
        let mut problems = Problems::under("task");
        let task = RandomDots { answer_steps: 751, noise_std: -1.0, grid: Some(0), ..RandomDots::default() };
        task.check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("three problems").to_string();
        for part in ["task.answer_steps is 751", "task.noise_std is -1", "task.grid is 0"] {
            assert!(message.contains(part), "{message}");
        }
        let lesson = Lesson { dt_ms: Some(2.0), ..Lesson::default() };
        let error = RandomDots::default().trials(&lesson, 1, &mut Stream::new(1)).expect_err("no duration");
        assert!(error.to_string().contains("'random-dots' have no duration"), "{error}");
    }
}
