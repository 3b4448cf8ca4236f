//! The training of copies, side by side.

use super::source::Source;
use serde_json::json;
use synfire::experiment::Training;
use synfire::network::Readout;
use synfire::run::train_further;
use synfire::subject::RunView;
use synfire::{Error, Experiment, Registry, Result, Spec, Subject, Tensors};

/// How copies are trained.
pub(super) struct Plan {
    /// The head that answers.
    pub head: usize,
    pub evaluations: u64,
    pub updates_per_evaluation: u64,
    /// Trials of an evaluation.
    pub trials: usize,
}

/// How the copy for one level went.
pub(super) struct Course {
    pub level: usize,
    /// After each evaluation; NaN where training diverged.
    pub accuracies: Vec<f64>,
    /// What became infinite, if anything did.
    pub diverged: Option<String>,
}

impl Course {
    /// The accuracy in the end.
    pub fn last(&self) -> f64 {
        self.accuracies.last().copied().unwrap_or(f64::NAN)
    }
}

/// A copy on its way to a thread.
struct Item {
    level: usize,
    experiment: Experiment,
    parameters: Tensors,
    readout: Readout,
}

impl Plan {
    /// Train a copy of the network for each level.
    pub fn train(&self, view: &RunView, source: &Source, levels: &[usize], subject: &Subject) -> Result<Vec<Course>> {
        let (parts, context) = (&view.parts, view.context()?);
        let items: Vec<Item> = levels
            .iter()
            .map(|&level| Item {
                level,
                experiment: self.experiment(view, level, subject),
                parameters: source.network.parameters.copy(),
                readout: source.network.readout.clone(),
            })
            .collect();
        // What is left of the threads when every copy has one shares the rows of its batches.
        let threads = (subject.workers.threads() / items.len().max(1)).max(1);
        let courses = subject.workers.map(items, |item| {
            let Item { level, experiment, parameters, readout } = item;
            let network = parts.network_from(&context, parameters, readout)?;
            self.course(level, &experiment, network, context.registry, threads)
        });
        courses.into_iter().collect()
    }

    fn course(
        &self,
        level: usize,
        experiment: &Experiment,
        network: synfire::Network,
        registry: &Registry,
        threads: usize,
    ) -> Result<Course> {
        match train_further(experiment, network, registry, threads) {
            Ok(further) => {
                let accuracies = further.history.evaluations.iter().map(|evaluation| {
                    let found = evaluation.accuracy;
                    found.ok_or_else(|| Error::Failed("the task gave no accuracy".into()))
                });
                Ok(Course { level, accuracies: accuracies.collect::<Result<_>>()?, diverged: None })
            }
            Err(Error::NotFinite { what, update, .. }) => Ok(Course {
                level,
                accuracies: vec![f64::NAN; self.evaluations as usize],
                diverged: Some(format!("{what} at update {update}")),
            }),
            Err(error) => Err(error),
        }
    }

    /// The experiment of a run, for one level alone.
    fn experiment(&self, view: &RunView, level: usize, subject: &Subject) -> Experiment {
        let updates = self.evaluations * self.updates_per_evaluation;
        let mut seed = subject.stream.child("retraining").at(level as u64);
        Experiment {
            name: "retraining".into(),
            // The largest seed there may be.
            seed: seed.below(1 << 53),
            members: 1,
            curriculum: Spec::with("fixed-budget", &json!({ "level": level, "head": self.head })),
            training: Training {
                updates,
                updates_per_evaluation: self.updates_per_evaluation,
                evaluation_trials: self.trials,
                updates_per_checkpoint: updates,
                ..view.experiment.training.clone()
            },
            analysis: Vec::new(),
            ..view.experiment.clone()
        }
    }
}
