//! How well a decision on a noisy signal can be made at all.

use crate::tasks::{ContextIntegration, RandomDots};
use serde::de::DeserializeOwned;
use statrs::function::erf::erfc;
use synfire::{Spec, Task};

/// An ideal observer: it adds up every sample of the signal that counts and says the sign of the sum.
///
/// With `n` samples of mean `m` under independent normal noise of standard deviation `sigma` the sum is positive in a fraction
/// `Phi(m sqrt(n) / sigma)` of the trials.
///
/// Source: Green & Swets 1966, "Signal detection theory and psychophysics".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdealObserver {
    /// Samples of the signal in a trial.
    pub samples: usize,
    /// Standard deviation of the noise of a sample.
    pub noise_std: f64,
    /// The means of the task.
    pub means: Means,
}

/// How large the mean of a signal is in the trials of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Means {
    /// The same in all.
    Fixed(f64),
    /// Uniform from 0 to this.
    UpTo(f64),
    /// So many equally spaced values from 0 to this.
    Grid(usize, f64),
}

impl IdealObserver {
    /// That of the tasks `random-dots` and `context-integration`; `None` for other tasks.
    pub fn of(task: &Spec<dyn Task>) -> Option<Self> {
        match task.name.as_str() {
            "random-dots" => read(task).map(|task: RandomDots| {
                let means = Means::of(task.coherence, task.evaluation_grid.or(task.grid), task.largest_mean);
                Self { samples: task.stimulus_steps.unwrap_or(task.steps), noise_std: task.noise_std, means }
            }),
            "context-integration" => read(task).map(|task: ContextIntegration| {
                // A fixed coherence is that of the first signal; it is the cued one in its own context alone.
                let own = task.coherence.filter(|_| task.context == Some(0) || task.contexts == 1);
                let grid = task.evaluation_grid.or(task.grid).filter(|_| task.coherence.is_none());
                let means = Means::of(own, grid, task.largest_mean);
                Self { samples: task.stimulus_steps.unwrap_or(task.steps), noise_std: task.noise_std, means }
            }),
            _ => None,
        }
    }

    /// Fraction of positive answers to a signal of this mean; 1/2 at 0.
    pub fn positive(&self, mean: f64) -> f64 {
        match self.noise_std > 0.0 {
            true => cumulative(mean * self.steepness()),
            false if mean == 0.0 => 0.5,
            false => f64::from(u8::from(mean > 0.0)),
        }
    }

    /// Fraction of right answers over the trials of the task in evaluations, where answers to a mean of 0 are right half of the time.
    pub fn accuracy(&self) -> f64 {
        match self.means {
            Means::Fixed(mean) => self.positive(mean.abs()),
            Means::Grid(count, largest) => {
                let step = if count > 1 { largest / (count - 1) as f64 } else { 0.0 };
                (0..count).map(|index| self.positive(step * index as f64)).sum::<f64>() / count.max(1) as f64
            }
            // The integral of Phi is x Phi(x) + phi(x).
            Means::UpTo(largest) if self.noise_std > 0.0 && largest > 0.0 => {
                let top = largest * self.steepness();
                cumulative(top) + (density(top) - density(0.0)) / top
            }
            Means::UpTo(largest) => self.positive(largest),
        }
    }

    /// Standard deviations of the sum for a mean of 1.
    fn steepness(&self) -> f64 {
        (self.samples as f64).sqrt() / self.noise_std
    }
}

impl Means {
    fn of(fixed: Option<f64>, grid: Option<usize>, largest: f64) -> Self {
        match (fixed, grid) {
            (Some(mean), _) => Self::Fixed(mean),
            (None, Some(count)) => Self::Grid(count, largest),
            (None, None) => Self::UpTo(largest),
        }
    }
}

/// The options of a task, as the task.
fn read<T: DeserializeOwned>(task: &Spec<dyn Task>) -> Option<T> {
    serde_json::from_value(task.options()).ok()
}

/// The normal distribution's cumulative function.
fn cumulative(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The normal distribution's density.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use synfire::tensors::values_f64;
    use synfire::{Lesson, Stream};

    fn of(task: &str, options: &serde_json::Value) -> IdealObserver {
        IdealObserver::of(&Spec::with(task, options)).expect("a task with an observer")
    }

    #[test]
    fn ceilings_are_those_of_the_published_validation() {
        for (noise, grid, drawn) in [(0.1, 0.975, 0.992), (0.5, 0.950, 0.961), (1.0, 0.913, 0.922)] {
            // Twenty means from 0 to 0.1875, and means drawn up to 0.1857; three digits were published.
            let fixed = json!({ "noise_std": noise, "grid": 20, "largest_mean": 0.1875 });
            for task in ["random-dots", "context-integration"] {
                assert!((of(task, &fixed).accuracy() - grid).abs() < 5.1e-4, "{task} {noise}");
                let found = of(task, &json!({ "noise_std": noise })).accuracy();
                assert!((found - drawn).abs() < 5.1e-4, "{task} {noise}: {found}");
            }
        }
        let at = of("random-dots", &json!({ "noise_std": 0.5 })).positive(0.018);
        assert!((at - 0.838).abs() < 5e-4, "{at}");
    }

    #[test]
    fn the_mean_over_uniform_means_is_the_integral() {
        let observer = of("random-dots", &json!({ "steps": 40, "noise_std": 0.8, "largest_mean": 0.3 }));
        // The midpoint rule of 10000 intervals is good to 1e-9 here.
        let sum: f64 = (0..10_000).map(|i| observer.positive(0.3 * (f64::from(i) + 0.5) / 10_000.0)).sum();
        assert!((observer.accuracy() - sum / 10_000.0).abs() < 1e-9);
    }

    #[test]
    fn it_is_what_adding_up_the_inputs_gets() {
        let task = RandomDots { steps: 30, stimulus_steps: Some(20), noise_std: 1.0, ..RandomDots::default() };
        let trials = task.trials(&Lesson::default(), 4000, &mut Stream::new(3)).expect("draws");
        let (inputs, choice) = (values_f64(&trials.inputs), &trials.conditions["choice"]);
        let sum = |row: usize| (0..30).map(|t| inputs[t * 4000 + row]).sum::<f64>();
        let right = (0..4000).filter(|row| sum(*row) * choice[*row] > 0.0).count() as f64 / 4000.0;
        let options = json!({ "steps": 30, "stimulus_steps": 20, "noise_std": 1.0 });
        // four standard errors of 4000 trials
        assert!((of("random-dots", &options).accuracy() - right).abs() < 4.0 * 0.0075, "{right}");
    }

    #[test]
    fn without_noise_only_a_mean_of_zero_is_open_and_other_tasks_have_none() {
        let silent = of("random-dots", &json!({ "noise_std": 0.0 }));
        assert_eq!((silent.positive(-0.1), silent.positive(0.0), silent.accuracy()), (0.0, 0.5, 1.0));
        assert_eq!(of("random-dots", &json!({ "coherence": -0.018 })).means, Means::Fixed(-0.018));
        let ignored = json!({ "coherence": 0.1, "context": 1 });
        assert_eq!(of("context-integration", &ignored).means, Means::UpTo(0.1857));
        assert!(IdealObserver::of(&Spec::new("delayed-nonmatch")).is_none());
    }
}
