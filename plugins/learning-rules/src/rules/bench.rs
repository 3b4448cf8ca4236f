//! What the tests of rules share: a small task, networks, and updates without a trainer.

use synfire::cell::{Mode, Setting};
use synfire::rollout::{Gradient, Rollout};
use synfire::tch::{Device, Kind};
use synfire::workers::Workers;
use synfire::{BuildContext, Cell, Learner, LearningRule, Lesson, Network, Registry, Result, Stream, Task, Trials};

use crate::tasks::SumSign;

/// A cell on a short task in which every trial batch is the same.
pub(super) struct Bench {
    pub task: Box<dyn Task>,
    pub registry: Registry,
    pub lesson: Lesson,
    pub threads: usize,
    pub kind: Kind,
    cell: serde_json::Value,
}

impl Bench {
    /// The task `sum-sign` of 12 steps with three channels, in double precision.
    pub fn new(cell: &dyn Cell) -> Self {
        let task = SumSign { channels: 3, duration_ms: 12.0, stimulus_ms: 4.0, answer_ms: 4.0, ..SumSign::default() };
        Self::with(cell, Box::new(task))
    }

    /// Any cell on any task.
    pub fn with(cell: &dyn Cell, task: Box<dyn Task>) -> Self {
        Self {
            task,
            registry: Registry::linked().expect("no duplicates"),
            lesson: Lesson::default(),
            threads: 1,
            kind: Kind::Double,
            cell: serde_json::to_value(cell).expect("options"),
        }
    }

    fn context(&self) -> BuildContext<'_> {
        BuildContext { registry: &self.registry, task: self.task.spec(), device: Device::Cpu, kind: self.kind }
    }

    /// A new network with head 0.
    pub fn network(&self) -> Network {
        let cell: synfire::Spec<dyn Cell> = serde_json::from_value(self.cell.clone()).expect("options");
        let cell = self.registry.build(&cell, "cell").expect("valid");
        let stream = Stream::new(3);
        let mut network = cell.build(&self.context(), &stream).expect("fits");
        network.add_heads(&[0], &self.context(), &stream).expect("fits");
        network
    }

    pub fn start(&self, rule: &dyn LearningRule, network: &mut Network) -> Box<dyn Learner> {
        rule.start(network, &self.context(), &Stream::new(5)).expect("fits")
    }

    /// The trials of each update.
    pub fn trials(&self, batch: usize) -> Trials {
        let trials = self.task.trials(&self.lesson, batch, &mut Stream::new(7)).expect("in range");
        trials.to(Device::Cpu, self.kind)
    }

    fn rolled<R>(&self, seed: u64, work: impl FnOnce(&Rollout) -> R) -> R {
        let workers = Workers::new(self.threads).expect("threads");
        let setting = Setting { mode: Mode::Training, dt_ms: self.task.spec().dt_ms, ..Setting::default() };
        work(&Rollout {
            task: &*self.task,
            lesson: &self.lesson,
            setting,
            stream: Stream::new(seed),
            workers: &workers,
            fast: true,
            settle: 0,
        })
    }

    /// One update on the trials of the bench; gives the loss.
    pub fn update(&self, learner: &mut dyn Learner, network: &mut Network, batch: usize) -> Result<f64> {
        self.rolled(11, |rollout| learner.update(network, self.trials(batch), rollout)).map(|report| report.loss)
    }

    /// One update on fresh trials with fresh random numbers; gives the loss and the accuracy.
    pub fn fresh(&self, learner: &mut dyn Learner, network: &mut Network, batch: usize, index: u64) -> (f64, f64) {
        let trials = self.task.trials(&self.lesson, batch, &mut Stream::new(7).at(index)).expect("in range");
        let trials = trials.to(Device::Cpu, self.kind);
        let report = self.rolled(1000 + index, |rollout| learner.update(network, trials, rollout)).expect("learns");
        (report.loss, report.accuracy.unwrap_or(f64::NAN))
    }

    /// The exact gradient on the trials of [`Bench::update`].
    pub fn gradient(&self, network: &Network, batch: usize) -> Gradient {
        let trials = self.trials(batch);
        self.rolled(11, |rollout| rollout.gradient(network, &trials, None, |_| true)).expect("a gradient")
    }
}
