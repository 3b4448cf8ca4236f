//! The manifest of a run: what made it, when, and why it stopped.

use crate::plugin::Origin;
use crate::storage::host;
use crate::{Component, Experiment, Kind, Registry, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// At work, or killed without a chance to say so.
    Running,
    /// The curriculum or the budget ended it.
    Finished,
    /// Stopped by a signal; can be resumed.
    Interrupted,
    /// Ended by an error; can be resumed from its last checkpoint.
    Failed,
    /// Made from a file of another program.
    Imported,
}

/// One component that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The crate that brings it.
    #[serde(rename = "crate")]
    pub origin: String,
    /// Its publication.
    pub source: String,
    /// The external plugin that brings it, by its name in [`Manifest::plugins`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

impl Part {
    /// What is recorded of a component.
    pub fn of(component: &Component, registry: &Registry) -> Self {
        Self {
            kind: component.kind,
            name: component.name.into(),
            origin: component.crate_name().into(),
            source: component.source(),
            plugin: registry.plugin_of(component.kind, component.name).map(|origin| origin.name.clone()),
        }
    }
}

/// What made a run, when, and why it stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of synfire.
    pub synfire: String,
    /// Version of libtorch's binding.
    pub tch: String,
    /// How the run stands.
    pub status: Status,
    /// Why it stopped.
    pub stopped: Option<String>,
    /// Name of the machine.
    pub host: String,
    /// Device it runs on.
    pub device: String,
    /// Threads it uses.
    pub threads: usize,
    /// Seed of the first member.
    pub seed: u64,
    /// When it began (UTC).
    pub started: String,
    /// When it last stopped (UTC).
    pub ended: Option<String>,
    /// Seconds at work, over all resumptions.
    pub seconds: f64,
    /// Updates of the member that got furthest.
    pub updates: u64,
    /// Last evaluation of each member: metric by name.
    pub metrics: Vec<IndexMap<String, f64>>,
    /// The components that took part, with their publications.
    pub parts: Vec<Part>,
    /// The external plugins that were loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Origin>,
    /// What the reader should know, for example assumptions of an import.
    pub notes: Vec<String>,
}

impl Manifest {
    /// The manifest of a run that begins.
    ///
    /// # Errors
    /// When a component is unknown or the device is not there.
    pub fn new(experiment: &Experiment, registry: &Registry, threads: usize) -> Result<Self> {
        Ok(Self {
            synfire: env!("CARGO_PKG_VERSION").into(),
            tch: "0.26.0".into(),
            status: Status::Running,
            stopped: None,
            host: host::name(),
            device: experiment.device_name()?,
            threads,
            seed: experiment.seed,
            started: now(),
            ended: None,
            seconds: 0.0,
            updates: 0,
            metrics: Vec::new(),
            parts: experiment.components(registry)?,
            plugins: registry.plugins().cloned().collect(),
            notes: Vec::new(),
        })
    }

    /// Record the end of a stretch of work.
    pub fn end(&mut self, status: Status, stopped: impl Into<String>, seconds: f64) {
        self.status = status;
        self.stopped = Some(stopped.into());
        self.ended = Some(now());
        self.seconds += seconds;
    }
}

/// The present time in UTC, to the second.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Experiment {
    /// The components that take part, nested ones included.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that the registry lacks.
    pub fn components(&self, registry: &Registry) -> Result<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::new();
        let mut add = |kind: Kind, name: &str| -> Result<()> {
            let part = Part::of(registry.find(kind, name)?, registry);
            if !parts.contains(&part) {
                parts.push(part);
            }
            Ok(())
        };
        let named = [
            (Kind::Task, &self.task.name, self.task.options()),
            (Kind::Cell, &self.cell.name, self.cell.options()),
            (Kind::Curriculum, &self.curriculum.name, self.curriculum.options()),
            (Kind::Rule, &self.rule.name, self.rule.options()),
        ];
        for (kind, name, options) in named {
            add(kind, name)?;
            // A wrapper holds its inner component as a tagged table of its own kind.
            let mut inner = vec![options];
            while let Some(value) = inner.pop() {
                if let serde_json::Value::Object(map) = value {
                    if let Some(name) = map.get("type").and_then(|t| t.as_str())
                        && registry.find(kind, name).is_ok()
                    {
                        add(kind, name)?;
                    }
                    inner.extend(map.into_iter().map(|(_, v)| v));
                }
            }
        }
        for analysis in &self.analysis {
            add(Kind::Analysis, &analysis.name)?;
        }
        Ok(parts)
    }
}
