//! Experiments: the parts by name and option, seed, device and budget; checked before any work.

mod layers;
mod parts;
mod training;

pub use layers::{EXTENDS, Layers, flag_value, to_toml};
pub use parts::Parts;
pub use training::{Precision, Together, Training};

use crate::property::Property;
use crate::{Analysis, Cell, Curriculum, Error, LearningRule, Problem, Problems, Registry, Result, Spec, Task};
use parts::{Offer, part};
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
