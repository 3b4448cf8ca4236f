//! Experiments: the parts by name and option, seed, device and budget; checked before any work.

mod layers;
mod training;

pub use layers::{EXTENDS, Layers, flag_value, to_toml};
pub use training::{Precision, Together, Training};

use crate::cell::{BuildContext, Mode, Setting};
use crate::curriculum::{History, LessonContext, Step};
use crate::network::{Network, Readout};
use crate::property::{Properties, Property};
use crate::registry::Slot;
use crate::workers::guarded;
use crate::{
    Analysis, Cell, Curriculum, Error, Kind, LearningRule, Lesson, Problem, Problems, Registry, Result, Spec, Stream,
    Task, TaskSpec, Tensors,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;
use tch::Device;

/// Everything that determines a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// Name of the run; its directory is `runs/<name>` unless said otherwise.
    pub name: String,
    /// Seed of all random streams, below 2^53. Member k of several has seed + k.
    pub seed: u64,
    /// Number of networks trained independently, side by side.
    pub members: usize,
    /// `auto` (a GPU if there is one), `cpu` or `cuda:N`.
    pub device: String,
    /// Files of external plugins whose components it uses; in an experiment file, paths from its own folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PathBuf>,
    /// What the network is asked to do.
    pub task: Spec<dyn Task>,
    /// How its units work.
    pub cell: Spec<dyn Cell>,
    /// In which order it learns.
    pub curriculum: Spec<dyn Curriculum>,
    /// How it learns.
    pub rule: Spec<dyn LearningRule>,
    /// Sizes, budgets and how often to look.
    pub training: Training,
    /// What is measured when training is over.
    pub analysis: Vec<Spec<dyn Analysis>>,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            name: String::new(),
            seed: 1,
            members: 1,
            device: "auto".into(),
            plugins: Vec::new(),
            task: Spec::new("n-parity"),
            cell: Spec::new("leaky-rnn"),
            curriculum: Spec::new("fixed-budget"),
            rule: Spec::new("bptt"),
            training: Training::default(),
            analysis: Vec::new(),
        }
    }
}

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

impl Experiment {
    /// Every problem that can be found without work; empty when it would run.
    pub fn check(&self, registry: &Registry) -> Vec<Problem> {
        match self.parts(registry) {
            Ok(_) => Vec::new(),
            Err(error) => error.into_problems(""),
        }
    }

    /// Build all parts and check that they fit.
    ///
    /// # Errors
    /// [`Error::Unknown`] when a single name is unknown and nothing else is wrong, else [`Error::Config`] with all problems.
    pub fn parts(&self, registry: &Registry) -> Result<Parts> {
        let mut problems = Problems::default();
        problems.require(self.seed < 1 << 53, "seed", self.seed, "below 9007199254740992 (2^53)");
        problems.require(self.members >= 1, "members", self.members, "at least 1");
        problems.require(!self.name.contains(['/', '\\']), "name", &self.name, "without slashes; use -o for a place");
        if let Err(error) = self.device() {
            problems.extend(error.into_problems("device"));
        }
        problems.inside("training", |p| self.training.check(p));
        let task = part(registry, &self.task, "task", &mut problems);
        let cell = part(registry, &self.cell, "cell", &mut problems);
        let curriculum = part(registry, &self.curriculum, "curriculum", &mut problems);
        let rule = part(registry, &self.rule, "rule", &mut problems);
        let analyses: Vec<_> = self
            .analysis
            .iter()
            .enumerate()
            .map(|(i, spec)| part(registry, spec, &format!("analysis[{i}]"), &mut problems))
            .collect();
        if let (Some(task), Some(rule)) = (&task, &self.training.together)
            && !rule.by_loss()
            && !task.provides(registry).contains(&Property::Accuracy)
        {
            let problem = format!("is {}, which the task '{}' does not have", rule.metric, self.task.name);
            problems.add("training.together.metric", problem, "use loss");
        }
        if let (Some(task), Some(cell)) = (&task, &cell) {
            let offered = Offer {
                registry,
                task: (&self.task.name, task.provides(registry)),
                cell: (&self.cell.name, cell.provides(registry)),
            };
            offered.meets("cell", &self.cell.name, cell.needs(registry), &mut problems);
            if let Some(rule) = &rule {
                offered.meets("rule", &self.rule.name, rule.needs(registry), &mut problems);
            }
            if let Some(curriculum) = &curriculum {
                offered.meets("curriculum", &self.curriculum.name, curriculum.needs(registry), &mut problems);
            }
            for (i, analysis) in analyses.iter().enumerate() {
                if let Some(analysis) = analysis {
                    let (path, name) = (format!("analysis[{i}]"), &self.analysis[i].name);
                    match self.judged(registry, &**analysis, &format!("{path}.task")) {
                        Ok(None) => offered.meets(&path, name, analysis.needs(registry), &mut problems),
                        Ok(Some(judged)) => {
                            let task = (self.task.name.as_str(), judged.provides(registry));
                            let offered = Offer { registry, task, cell: (&self.cell.name, cell.provides(registry)) };
                            offered.meets(&path, name, analysis.needs(registry), &mut problems);
                        }
                        Err(error) => {
                            let mut found = error.into_problems(&path);
                            let who = format!("('{name}' sets it for the task '{}')", self.task.name);
                            found.iter_mut().for_each(|problem| problem.problem += &format!(" {who}"));
                            problems.extend(found);
                        }
                    }
                }
            }
        }
        problems.into_result()?;
        let analyses: Option<Vec<_>> = analyses.into_iter().collect();
        match (task, cell, curriculum, rule, analyses) {
            (Some(task), Some(cell), Some(curriculum), Some(rule), Some(analyses)) => {
                let spec = task.spec();
                Ok(Parts { task, spec, cell, curriculum, rule, analyses })
            }
            _ => Err(Error::Failed("a part could not be built".into())),
        }
    }

    /// The same experiment under other options of its task, for judging its networks otherwise than they were trained; without its
    /// analyses. Tables among the options are joined with those of the task, other values replace them. Problems are reported below
    /// `path`.
    ///
    /// # Errors
    /// [`Error::Config`] when the task refuses the options, or has other inputs or outputs with them.
    pub fn with_task(&self, options: &Map<String, Value>, registry: &Registry, path: &str) -> Result<Self> {
        let mut all = self.task.options();
        crate::fields::overlay(&mut all, &Value::Object(options.clone()));
        let task: Spec<dyn Task> = Spec::with(self.task.name.clone(), &all);
        let new = registry.build(&task, path)?.spec();
        let old = registry.build(&self.task, "task")?.spec();
        for (what, old, new) in [("inputs", old.inputs.len(), new.inputs.len()), ("outputs", old.outputs, new.outputs)]
        {
            if old != new {
                let problem = format!("gives the task {new} {what}; the network was built for {old}");
                return Err(Error::config(path, problem, "leave the options that change them as in training"));
            }
        }
        Ok(Self { task, analysis: Vec::new(), ..self.clone() })
    }

    /// The task as an analysis wants it, if it wants it otherwise.
    fn judged(&self, registry: &Registry, analysis: &dyn Analysis, path: &str) -> Result<Option<Box<dyn Task>>> {
        let options = analysis.task_options();
        if options.is_empty() {
            return Ok(None);
        }
        registry.build(&self.with_task(&options, registry, path)?.task, path).map(Some)
    }

    /// The same experiment with every option written out, and a name.
    ///
    /// # Errors
    /// As [`Experiment::parts`].
    pub fn resolve(&self, registry: &Registry) -> Result<Self> {
        let mut resolved = self.clone();
        if registry.plugins().next().is_some() {
            resolved.plugins = registry.plugins().map(|origin| origin.file.clone()).collect();
        }
        resolved.task = registry.resolve(&self.task, "task")?;
        resolved.cell = registry.resolve(&self.cell, "cell")?;
        resolved.curriculum = registry.resolve(&self.curriculum, "curriculum")?;
        resolved.rule = registry.resolve(&self.rule, "rule")?;
        resolved.analysis = self
            .analysis
            .iter()
            .enumerate()
            .map(|(i, spec)| registry.resolve(spec, &format!("analysis[{i}]")))
            .collect::<Result<_>>()?;
        if resolved.name.is_empty() {
            resolved.name = format!("{}-{}-{}", self.task.name, self.cell.name, self.curriculum.name);
        }
        Ok(resolved)
    }

    /// The device it runs on.
    ///
    /// # Errors
    /// [`Error::Config`] for a device that is not there or cannot be read.
    pub fn device(&self) -> Result<Device> {
        match self.device.as_str() {
            "auto" => Ok(Device::cuda_if_available()),
            "cpu" => Ok(Device::Cpu),
            other => {
                let index = other.strip_prefix("cuda:").or((other == "cuda").then_some("0"));
                let Some(index) = index.and_then(|n| n.parse::<usize>().ok()) else {
                    return Err(Error::config("device", format_args!("is '{other}'"), "use auto, cpu or cuda:N"));
                };
                let count = tch::Cuda::device_count().max(0) as usize;
                if !tch::Cuda::is_available() || index >= count {
                    let remedy = "use device = \"cpu\"; `synfire doctor` says what was found";
                    return Err(Error::config(
                        "device",
                        format_args!("is '{other}' but {count} GPUs are usable"),
                        remedy,
                    ));
                }
                Ok(Device::Cuda(index))
            }
        }
    }

    /// The device to compute on, in the words of its option.
    ///
    /// # Errors
    /// As [`Experiment::device`].
    pub fn device_name(&self) -> Result<String> {
        Ok(match self.device()? {
            Device::Cuda(index) => format!("cuda:{index}"),
            other => format!("{other:?}").to_lowercase(),
        })
    }

    /// Seed of one member.
    pub fn member_seed(&self, member: usize) -> u64 {
        self.seed + member as u64
    }
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

fn part<T: Slot + ?Sized>(registry: &Registry, spec: &Spec<T>, path: &str, problems: &mut Problems) -> Option<Box<T>> {
    match registry.build(spec, path) {
        Ok(part) => Some(part),
        Err(error) => {
            problems.extend(error.into_problems(path));
            None
        }
    }
}

/// What task and cell offer to the others.
struct Offer<'a> {
    registry: &'a Registry,
    task: (&'a str, Properties),
    cell: (&'a str, Properties),
}

impl Offer<'_> {
    fn meets(&self, path: &str, name: &str, needs: Properties, problems: &mut Problems) {
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
