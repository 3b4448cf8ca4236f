//! The parts of an experiment, built, and whether each offers what the others need.

use super::Experiment;
use crate::cell::{BuildContext, Mode, Setting};
use crate::curriculum::{History, LessonContext, Step};
use crate::network::{Network, Readout};
use crate::property::{Properties, Property};
use crate::registry::Slot;
use crate::workers::guarded;
use crate::{
    Analysis, Cell, Curriculum, Error, Kind, LearningRule, Lesson, Problems, Registry, Result, Spec, Stream, Task,
    TaskSpec, Tensors,
};

/// The built parts of an experiment.
pub struct Parts {
    /// The task.
    pub task: Box<dyn Task>,
    /// What its trials look like.
    pub spec: TaskSpec,
    /// The cell.
    pub cell: Box<dyn Cell>,
    /// The curriculum.
    pub curriculum: Box<dyn Curriculum>,
    /// The rule.
    pub rule: Box<dyn LearningRule>,
    /// The analyses, in order.
    pub analyses: Vec<Box<dyn Analysis>>,
}

impl Parts {
    /// What components are handed when they are built.
    ///
    /// # Errors
    /// When the device is not there.
    pub fn context<'a>(&self, experiment: &Experiment, registry: &'a Registry) -> Result<BuildContext<'a>> {
        let device = experiment.device()?;
        Ok(BuildContext { registry, task: self.spec.clone(), device, kind: experiment.training.precision.kind() })
    }

    /// A new network for a seed, drawn from the initial stream number `restart`, with the heads of `lesson`.
    ///
    /// # Errors
    /// When the cell does not fit the task.
    pub fn network(&self, context: &BuildContext, seed: u64, restart: u64, lesson: &Lesson) -> Result<Network> {
        let stream = Self::initial_stream(seed, restart);
        let mut network = self.cell.build(context, &stream.child("cell"))?;
        network.add_heads(&lesson.heads(&self.spec), context, &stream)?;
        Ok(network)
    }

    /// What the curriculum makes of a history, for the network of a seed.
    ///
    /// # Errors
    /// When the task does not have what the curriculum wants.
    pub fn next(&self, history: &History, seed: u64, registry: &Registry) -> Result<Step> {
        let stream = Stream::new(seed).child("curriculum").at(history.updates).at(history.restarts);
        let context = LessonContext { registry, stream };
        guarded("curriculum", || self.curriculum.next(history, &self.spec, &context))
    }

    /// The stream that a network of a seed is drawn from.
    pub fn initial_stream(seed: u64, restart: u64) -> Stream {
        Stream::new(seed).child("network").at(restart)
    }

    /// A network with given parameters and readout, as saved or imported; names and shapes must be those of the cell.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Failed`] naming the tensor that does not fit.
    pub fn network_from(&self, context: &BuildContext, parameters: Tensors, readout: Readout) -> Result<Network> {
        let mut network = self.cell.build(context, &Stream::new(0))?;
        for (name, expected) in network.parameters.iter() {
            let found = parameters
                .find(name)
                .ok_or_else(|| Error::Failed(format!("the network lacks '{name}', which this cell has")))?;
            if found.size() != expected.size() {
                return Err(Error::Shape {
                    what: format!("parameter '{name}'"),
                    expected: format!("{:?}", expected.size()),
                    found: format!("{:?}", found.size()),
                });
            }
        }
        let heads = |name: &str| name.starts_with("head.") || name.starts_with("feedback.");
        let extra = parameters.names().find(|name| !network.parameters.contains(name) && !heads(name));
        if let Some(extra) = extra {
            return Err(Error::Failed(format!("the cell has no parameter '{extra}'")));
        }
        network.parameters = parameters.to(context.device, context.kind);
        // Which units are read is the cell's to say.
        network.readout = Readout { units: network.readout.units, start: network.readout.start, ..readout };
        Ok(network)
    }

    /// The conditions of a lesson, without what depends on the batch: the rollout adds the steps of a symbol, and
    /// [`crate::subject::RunView::setting`] has them.
    pub fn setting(&self, lesson: &Lesson, mode: Mode) -> Setting {
        let dt_ms = lesson.dt_ms.or(self.spec.dt_ms);
        Setting { mode, dt_ms, substeps: None, schedule: lesson.schedule.clone() }
    }
}

pub(super) fn part<T: Slot + ?Sized>(
    registry: &Registry,
    spec: &Spec<T>,
    path: &str,
    problems: &mut Problems,
) -> Option<Box<T>> {
    match registry.build(spec, path) {
        Ok(part) => Some(part),
        Err(error) => {
            problems.extend(error.into_problems(path));
            None
        }
    }
}

/// What task and cell offer to the others.
pub(super) struct Offer<'a> {
    pub registry: &'a Registry,
    pub task: (&'a str, Properties),
    pub cell: (&'a str, Properties),
}

impl Offer<'_> {
    pub fn meets(&self, path: &str, name: &str, needs: Properties, problems: &mut Problems) {
        for need in needs {
            let (kind, (provider, offered)) =
                if need.of_cell() { (Kind::Cell, &self.cell) } else { (Kind::Task, &self.task) };
            if offered.contains(&need) {
                continue;
            }
            let fitting = self.fitting(kind, need);
            let remedy = match fitting.is_empty() {
                true => format!("no {kind} provides it"),
                false => format!("use one of: {}", fitting.join(", ")),
            };
            problems.add(
                path,
                format_args!("'{name}' needs {}, which the {kind} '{provider}' is not", need.phrase()),
                remedy,
            );
        }
    }

    fn fitting(&self, kind: Kind, need: Property) -> Vec<String> {
        let provides = |name: &str| match kind {
            Kind::Cell => {
                self.registry.build(&Spec::<dyn Cell>::new(name), "cell").map(|c| Slot::provides(&*c, self.registry))
            }
            _ => self.registry.build(&Spec::<dyn Task>::new(name), "task").map(|t| Slot::provides(&*t, self.registry)),
        };
        let fits = |name: &&str| provides(name).is_ok_and(|p| p.contains(&need));
        self.registry.of_kind(kind).map(|c| c.name).filter(fits).map(str::to_string).collect()
    }
}
