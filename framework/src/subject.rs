//! What analyses look at: runs, their networks at any checkpoint, and data of other origin.

use crate::cell::{BuildContext, Mode, Setting};
use crate::curriculum::{History, Lesson, Step};
use crate::evaluate::{Evaluator, Results};
use crate::experiment::Parts;
use crate::network::Network;
use crate::rollout::{Played, Record, Rollout};
use crate::run::{Checkpoint, RunDir};
use crate::storage::array::Array;
use crate::task::Trials;
use crate::workers::{Workers, guarded};
use crate::{Error, Experiment, Registry, Result, Stream, Tensors};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use tch::Device;

/// What an analysis is handed.
pub struct Subject<'a> {
    /// The runs; members of one run stand here one by one.
    pub runs: Vec<RunView<'a>>,
    /// Groups of runs by name, as indices into `runs`; one group of all where none were named.
    pub groups: Vec<(String, Vec<usize>)>,
    /// Arrays from a data file, for analyses of recordings or simulated systems.
    pub data: IndexMap<String, Array>,
    /// Random numbers of the analysis.
    pub stream: Stream,
    /// Threads.
    pub workers: &'a Workers,
}

impl<'a> Subject<'a> {
    /// The one run of an analysis with [`crate::analysis::Scope::Run`].
    ///
    /// # Errors
    /// [`Error::Failed`] when there is none.
    pub fn run(&self) -> Result<&RunView<'a>> {
        self.runs.first().ok_or_else(|| Error::Failed("this analysis needs a run".into()))
    }
}

/// Which network of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After the last checkpoint.
    Last,
    /// Before training.
    Initial,
    /// After this many updates.
    Update(u64),
}

/// One trained network (one member) and everything needed to run it.
pub struct RunView<'a> {
    /// Name for tables and legends.
    pub label: String,
    /// Member of its run.
    pub member: usize,
    /// Its experiment.
    pub experiment: Experiment,
    /// Its parts, built.
    pub parts: Parts,
    /// Its directory.
    pub dir: RunDir,
    /// Threads.
    pub workers: &'a Workers,
    registry: &'a Registry,
    last: Checkpoint,
}

impl<'a> RunView<'a> {
    /// The members of a run.
    ///
    /// # Errors
    /// When the directory is missing, damaged, or made with components that are not there.
    pub fn open(dir: &RunDir, registry: &'a Registry, workers: &'a Workers) -> Result<Vec<Self>> {
        Self::open_as(dir, dir.experiment()?, registry, workers)
    }

    /// The members of a run under other conditions: another device, evaluation batch or option that leaves shapes alone.
    ///
    /// # Errors
    /// As [`RunView::open`], and when `experiment` does not check.
    pub fn open_as(
        dir: &RunDir,
        experiment: Experiment,
        registry: &'a Registry,
        workers: &'a Workers,
    ) -> Result<Vec<Self>> {
        dir.require_plugins(registry)?;
        let members = dir.members(&experiment);
        let several = members.len() > 1;
        members
            .into_iter()
            .enumerate()
            .map(|(member, member_dir)| {
                let label = if several { format!("{} #{member}", dir.name()) } else { dir.name() };
                Self::member(label, member, experiment.clone(), member_dir, registry, workers)
            })
            .collect()
    }

    fn member(
        label: String,
        member: usize,
        experiment: Experiment,
        dir: RunDir,
        registry: &'a Registry,
        workers: &'a Workers,
    ) -> Result<Self> {
        let parts = experiment.parts(registry)?;
        let device = experiment.device()?;
        let last = dir.load_last_checkpoint(device)?;
        Ok(Self { label, member, experiment, parts, dir, workers, registry, last })
    }

    /// The same networks under other options of their task, such as longer trials or answers at every step: tables among `options`
    /// are joined with those of the task, other values replace them.
    ///
    /// # Errors
    /// [`Error::Config`] below `analysis.task` when the task refuses the options, or has other inputs or outputs with them.
    pub fn with_task(&self, options: &Map<String, Value>) -> Result<Self> {
        let experiment = self.experiment.with_task(options, self.registry, "analysis.task")?;
        let last = Checkpoint {
            parameters: self.last.parameters.shallow_clone(),
            learner: self.last.learner.shallow_clone(),
            state: self.last.state.clone(),
        };
        Ok(Self {
            label: self.label.clone(),
            member: self.member,
            parts: experiment.parts(self.registry)?,
            experiment,
            dir: self.dir.clone(),
            workers: self.workers,
            registry: self.registry,
            last,
        })
    }

    /// The device the network runs on.
    ///
    /// # Errors
    /// When the device is not there any more.
    pub fn device(&self) -> Result<Device> {
        self.experiment.device()
    }

    /// What parts are built with.
    ///
    /// # Errors
    /// When the device is not there any more.
    pub fn context(&self) -> Result<BuildContext<'a>> {
        self.parts.context(&self.experiment, self.registry)
    }

    /// What happened in training.
    pub fn history(&self) -> &History {
        &self.last.state.history
    }

    /// The lesson that was trained last, or the default one, at the task's own time step: coarse ones are a device of training.
    pub fn lesson(&self) -> Lesson {
        Lesson { dt_ms: None, ..self.history().lesson().cloned().unwrap_or_default() }
    }

    /// Whether the curriculum is done with the lesson that was trained last, and has another one or nothing more to train.
    ///
    /// # Errors
    /// When the curriculum fails.
    pub fn lesson_is_over(&self) -> Result<bool> {
        let seed = self.experiment.member_seed(self.member);
        let next = self.parts.next(self.history(), seed, self.registry)?;
        Ok(!matches!(next, Step::Lesson(lesson) if Some(&lesson) == self.history().lesson()))
    }

    /// Updates at which there are networks.
    pub fn checkpoints(&self) -> Vec<u64> {
        self.dir.checkpoints()
    }

    /// A checkpoint.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn checkpoint(&self, at: At) -> Result<Checkpoint> {
        match at {
            At::Last => self.dir.load_last_checkpoint(self.device()?),
            At::Initial => self.dir.load_checkpoint(0, self.device()?),
            At::Update(update) => self.dir.load_checkpoint(update, self.device()?),
        }
    }

    /// A network of the run.
    ///
    /// # Errors
    /// When the checkpoint is missing or does not fit the cell.
    pub fn network(&self, at: At) -> Result<Network> {
        let checkpoint = self.checkpoint(at)?;
        self.parts.network_from(&self.context()?, checkpoint.parameters, checkpoint.state.readout)
    }

    /// The same equations with other parameters.
    ///
    /// # Errors
    /// When they do not fit the cell.
    pub fn with_parameters(&self, like: &Network, parameters: Tensors) -> Result<Network> {
        self.parts.network_from(&self.context()?, parameters, like.readout.clone())
    }

    /// The lesson with one level, under the conditions of the last one: answered by the head that learned the level, else by the
    /// network's only head.
    ///
    /// # Errors
    /// [`Error::Config`] when no head ever learned the level and there are several.
    pub fn lesson_at(&self, level: usize) -> Result<Lesson> {
        let lessons = self.history().lessons.iter().rev();
        let learned = lessons.flat_map(|record| &record.lesson.levels).find(|l| l.level == level).map(|l| l.head);
        let heads = &self.last.state.readout.heads;
        // Without a lesson, as after an import of a file that names none, several heads are anybody's guess.
        let used = if self.history().lessons.is_empty() { Vec::new() } else { self.lesson().heads(&self.parts.spec) };
        let head = match (learned, &heads[..], &used[..]) {
            (Some(head), _, _) => head,
            (None, [only], _) | (None, _, [only]) => *only,
            (None, _, _) => {
                let levels = self.lesson().levels.iter().map(|l| l.level.to_string()).collect::<Vec<_>>().join(", ");
                let remedy = match levels.is_empty() {
                    true => "it was not trained here; name the levels of its heads when importing".to_string(),
                    false => format!("it learned: {levels}"),
                };
                return Err(Error::config(
                    "level",
                    format_args!("is {level}, which no head of the network learned"),
                    remedy,
                ));
            }
        };
        if let Some(difficulty) = &self.parts.spec.difficulty {
            difficulty.require(level)?;
        }
        Ok(self.lesson().at_levels([(level, head)]))
    }

    /// Draw trials of a lesson on the network's device.
    ///
    /// # Errors
    /// When the task refuses the lesson.
    pub fn trials(&self, lesson: &Lesson, batch: usize, stream: &Stream) -> Result<Trials> {
        let mut stream = stream.child("trials");
        let lesson = Lesson { mode: Mode::Evaluation, ..lesson.clone() };
        let trials = guarded("task", || self.parts.task.trials(&lesson, batch, &mut stream))?;
        Ok(trials.to(self.device()?, self.experiment.training.precision.kind()))
    }

    /// The conditions under which trials of a lesson are played in evaluation, for analyses that look at prepared tensors. Where
    /// batches differ in the steps of a symbol, they are those of one drawn from `stream`.
    ///
    /// # Errors
    /// When the task refuses the lesson.
    pub fn setting(&self, lesson: &Lesson, stream: &Stream) -> Result<Setting> {
        let substeps = self.trials(lesson, 1, stream)?.substeps;
        Ok(Setting { substeps, ..self.parts.setting(lesson, Mode::Evaluation) })
    }

    /// How trials are played in evaluation.
    pub fn rollout<'b>(&'b self, lesson: &'b Lesson, stream: &Stream) -> Rollout<'b> {
        Rollout {
            task: &*self.parts.task,
            lesson,
            setting: self.parts.setting(lesson, Mode::Evaluation),
            stream: stream.child("network"),
            workers: self.workers,
            fast: self.experiment.training.fast,
            settle: self.experiment.training.settle_steps,
        }
    }

    /// Play fresh trials of a lesson.
    ///
    /// # Errors
    /// When task or cell fail.
    pub fn play(
        &self,
        network: &Network,
        lesson: &Lesson,
        batch: usize,
        record: Record,
        stream: &Stream,
    ) -> Result<Played> {
        let trials = self.trials(lesson, batch, stream)?;
        guarded("cell", || self.rollout(lesson, stream).play(network, &trials, record))
    }

    /// Judge a network on fresh trials of a lesson.
    ///
    /// # Errors
    /// When task or cell fail.
    pub fn evaluate(&self, network: &Network, lesson: &Lesson, trials: usize, stream: &Stream) -> Result<Results> {
        let evaluator = Evaluator {
            parts: &self.parts,
            training: &self.experiment.training,
            workers: self.workers,
            mode: Mode::Evaluation,
            from: None,
        };
        evaluator.run(network, lesson, trials, stream)
    }
}
