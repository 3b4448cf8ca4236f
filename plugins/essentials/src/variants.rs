//! Variants of a trained network (ablated, perturbed) judged side by side on the same trials.

use synfire::cell::{BuildContext, Mode, Setting};
use synfire::evaluate::{Evaluator, Results};
use synfire::experiment::{Parts, Training};
use synfire::network::Readout;
use synfire::subject::RunView;
use synfire::task::Loss;
use synfire::tch::{Tensor, no_grad};
use synfire::workers::Workers;
use synfire::{Error, Lesson, Network, Result, Stream, TaskSpec, Tensors};

/// Judges variants of a network, each on the same fresh trials with the same initial states and noise, so that a difference
/// between two of them is due to the variation alone.
pub struct Variants<'a> {
    parts: &'a Parts,
    training: &'a Training,
    workers: &'a Workers,
    context: BuildContext<'a>,
    readout: Readout,
    lesson: Lesson,
    trials: usize,
    stream: Stream,
}

/// A variant on its way to a thread: handles of its own to the network's tensors, since a tensor may not be shared.
struct Item<T> {
    base: Tensors,
    what: T,
}

impl<'a> Variants<'a> {
    /// Judge variants of `network` on `trials` trials of a lesson, drawn from `stream`.
    ///
    /// # Errors
    /// When the device is not there any more.
    pub fn new(view: &'a RunView, network: &Network, lesson: Lesson, trials: usize, stream: &Stream) -> Result<Self> {
        Ok(Self {
            parts: &view.parts,
            training: &view.experiment.training,
            workers: view.workers,
            context: view.context()?,
            readout: network.readout.clone(),
            lesson,
            trials,
            stream: stream.child("judged"),
        })
    }

    /// The conditions under which variants run, but for the steps of a symbol, which each batch has of its own.
    pub fn setting(&self) -> Setting {
        self.parts.setting(&self.lesson, Mode::Evaluation)
    }

    /// Judge the network as it is.
    ///
    /// # Errors
    /// When task or cell fail.
    pub fn base(&self, network: &Network) -> Result<Results> {
        self.one(network.parameters.shallow_clone())
    }

    /// Judge one variant per item, in the order of the items. `vary` makes its parameters from those of the network, which it must
    /// leave as they are; it runs on many threads.
    ///
    /// # Errors
    /// The first error of `vary`, task or cell.
    pub fn judge<T: Send>(
        &self,
        network: &Network,
        items: Vec<T>,
        vary: impl Fn(&Tensors, &T) -> Result<Tensors> + Sync + Send,
    ) -> Result<Vec<Results>> {
        let items = items.into_iter().map(|what| Item { base: network.parameters.shallow_clone(), what }).collect();
        let judged = self.workers.map(items, |item: Item<T>| self.one(no_grad(|| vary(&item.base, &item.what))?));
        judged.into_iter().collect()
    }

    fn one(&self, parameters: Tensors) -> Result<Results> {
        let network = self.parts.network_from(&self.context, parameters, self.readout.clone())?;
        let evaluator = Evaluator {
            parts: self.parts,
            training: self.training,
            workers: self.workers,
            mode: Mode::Evaluation,
            from: None,
        };
        evaluator.run(&network, &self.lesson, self.trials, &self.stream)
    }
}

/// Accuracy of guessing: one in as many as there are classes, a half for each binary output, 0 for values.
pub fn chance(task: &TaskSpec) -> f64 {
    match task.objective.loss {
        Loss::CrossEntropy => 1.0 / task.outputs.max(1) as f64,
        Loss::BinaryCrossEntropy => 0.5f64.powi(task.outputs.min(1000) as i32),
        Loss::SquaredError | Loss::LogisticSquaredError => 0.0,
    }
}

/// The accuracy of results.
///
/// # Errors
/// [`Error::Failed`] when the task has none.
pub fn accuracy(results: &Results) -> Result<f64> {
    results.accuracy.ok_or_else(|| Error::Failed("the task gave no accuracy".into()))
}

/// `(accuracy - chance) / (base - chance)`: 1 for no loss, 0 for guessing; `None` when the network itself only guesses.
pub fn relative(accuracy: f64, base: f64, chance: f64) -> Option<f64> {
    (base > chance).then(|| (accuracy - chance) / (base - chance))
}

/// Mean and standard deviation (divided by the number of values); `None` for no values.
pub fn mean_and_deviation(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    Some((mean, variance.sqrt()))
}

/// A copy of a map in which some tensors are copies of their own, to be changed without touching the original.
pub fn with_copies(base: &Tensors, copied: impl Fn(&str) -> bool) -> Tensors {
    base.iter()
        .map(|(name, tensor)| {
            let own = if copied(name) { tensor.copy() } else { Tensor::shallow_clone(tensor) };
            (name.to_string(), own)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::task::{Answer, Objective};

    #[test]
    fn relative_accuracy_runs_from_guessing_to_the_network_itself() {
        assert_eq!(relative(0.5, 0.9, 0.5), Some(0.0));
        assert_eq!(relative(0.9, 0.9, 0.5), Some(1.0));
        assert!((relative(0.6, 0.9, 0.5).expect("above chance") - 0.25).abs() < 1e-12);
        assert_eq!(relative(0.4, 0.5, 0.5), None);
    }

    #[test]
    fn chance_follows_the_objective() {
        let mut spec = TaskSpec {
            inputs: vec!["input".into()],
            outputs: 4,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        };
        assert_eq!(chance(&spec), 0.25);
        spec.objective = Objective::regress(Some(0.1));
        assert_eq!(chance(&spec), 0.0);
        spec.objective.loss = Loss::BinaryCrossEntropy;
        assert_eq!(chance(&spec), 0.0625);
    }

    #[test]
    fn the_spread_is_that_of_the_population() {
        // numpy: mean 2.5, std 1.118...
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 3.0, 4.0]).expect("values");
        assert!((mean - 2.5).abs() < 1e-15 && (deviation - 1.25f64.sqrt()).abs() < 1e-15);
        assert_eq!(mean_and_deviation(&[]), None);
    }
}
