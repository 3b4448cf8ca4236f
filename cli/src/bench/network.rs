//! Our side: an experiment's network and one batch, and what is timed on them.

use serde_json::{Value, json};
use synfire::cell::Mode;
use synfire::experiment::{Layers, Parts};
use synfire::rollout::{Gradient, Record, Rollout};
use synfire::task::Trials;
use synfire::tch::Tensor;
use synfire::workers::Workers;
use synfire::{Experiment, Lesson, Network, Registry, Result, Stream};

/// A network and trials for it.
pub struct Ours<'a> {
    experiment: Experiment,
    parts: Parts,
    lesson: Lesson,
    workers: &'a Workers,
    /// The network.
    pub network: Network,
    /// The batch.
    pub trials: Trials,
}

impl<'a> Ours<'a> {
    /// Build a cell for parity over `steps` random bits, answered at the last.
    ///
    /// # Errors
    /// When an option is wrong.
    pub fn parity(
        registry: &Registry,
        workers: &'a Workers,
        cell: Value,
        (rows, _, steps): (usize, usize, usize),
    ) -> Result<Self> {
        Self::new(registry, workers, json!({ "type": "n-parity", "length": steps }), cell, rows)
    }

    /// Build a task and a cell.
    ///
    /// # Errors
    /// When an option is wrong or they do not fit.
    pub fn new(registry: &Registry, workers: &'a Workers, task: Value, cell: Value, rows: usize) -> Result<Self> {
        let mut layers = Layers::new();
        layers.set("task", task)?;
        layers.set("cell", cell)?;
        layers.set("device", "cpu".into())?;
        let experiment = layers.experiment()?;
        let parts = experiment.parts(registry)?;
        let context = parts.context(&experiment, registry)?;
        let lesson = Lesson::default();
        let network = parts.network(&context, experiment.seed, 0, &lesson)?;
        let mut stream = Stream::new(experiment.seed).child("bench");
        let trials = parts.task.trials(&lesson, rows, &mut stream)?.to(context.device, context.kind);
        Ok(Self { experiment, parts, lesson, workers, network, trials })
    }

    fn rollout(&self) -> Rollout<'_> {
        Rollout {
            task: &*self.parts.task,
            lesson: &self.lesson,
            setting: self.parts.setting(&self.lesson, Mode::Training),
            stream: Stream::new(1).child("network"),
            workers: self.workers,
            fast: self.experiment.training.fast,
            settle: 0,
        }
    }

    /// Forward, loss and all gradients.
    ///
    /// # Errors
    /// When task or cell fail.
    pub fn gradient(&self) -> Result<Gradient> {
        self.rollout().gradient(&self.network, &self.trials, None, |_| true)
    }

    /// Forward alone.
    ///
    /// # Errors
    /// When task or cell fail.
    pub fn play(&self) -> Result<Vec<Tensor>> {
        Ok(self.rollout().play(&self.network, &self.trials, Record::Outputs)?.outputs)
    }

    /// Draw another batch of the same size.
    ///
    /// # Errors
    /// When the task fails.
    pub fn draw(&self, number: u64) -> Result<Trials> {
        let mut stream = Stream::new(1).child("trials").at(number);
        self.parts.task.trials(&self.lesson, self.trials.batch(), &mut stream)
    }

    /// A parameter as a leaf of somebody else's graph.
    ///
    /// # Errors
    /// When the network has none of that name.
    pub fn leaf(&self, name: &str) -> Result<Tensor> {
        Ok(self.network.parameters.get(name)?.copy().set_requires_grad(true))
    }

    /// The classes that are asked for at the last step, `[batch]`.
    pub fn classes(&self) -> Tensor {
        self.trials.targets.first().map(|target| target.values.shallow_clone()).unwrap_or_default()
    }
}
