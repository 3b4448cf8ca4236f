//! The run directory: plain files, written atomically, readable with NumPy, pandas and TensorBoard alone.

mod analyse;
mod checkpoint;
mod findings;
mod further;
mod import;
mod manifest;
mod report;

pub use analyse::{Analysed, Analyst, folder_names};
pub use checkpoint::{Checkpoint, State};
pub use further::{Further, train_further};
pub use manifest::{Manifest, Part, Status};
pub use report::report;

use crate::experiment::{Layers, to_toml};
use crate::storage::{atomic, jsonl};
use crate::{Error, Experiment, Findings, Result};
use std::path::{Path, PathBuf};

/// A run directory, or the directory of one member of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

const EXPERIMENT: &str = "experiment.toml";
const MANIFEST: &str = "manifest.json";
const METRICS: &str = "metrics.jsonl";

impl RunDir {
    /// Make a new run directory for a resolved experiment.
    ///
    /// # Errors
    /// [`Error::File`] when the place is taken, [`Error::Io`] when the system refuses.
    pub fn create(path: impl Into<PathBuf>, experiment: &Experiment) -> Result<Self> {
        let path = path.into();
        if path.is_file() {
            return Err(Error::file(&path, "is a file", "choose another place with -o"));
        }
        let taken = path.is_dir() && std::fs::read_dir(&path).map_err(Error::io(&path))?.next().is_some();
        if taken {
            let remedy = "resume it with `synfire resume`, or choose another place with -o";
            return Err(Error::file(&path, "exists already and is not empty", remedy));
        }
        std::fs::create_dir_all(&path).map_err(Error::io(&path))?;
        let run = Self { path };
        if experiment.members > 1 {
            for member in 0..experiment.members {
                let folder = run.member_path(member);
                std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
            }
        }
        // Last: a folder with an experiment can be resumed.
        run.write_experiment(experiment)?;
        Ok(run)
    }

    /// Open an existing run directory.
    ///
    /// # Errors
    /// [`Error::File`] when it is missing or no run directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if !path.is_dir() {
            return Err(Error::file(&path, "there is no such run directory", "`synfire runs` lists those there are"));
        }
        if !path.join(EXPERIMENT).is_file() {
            let remedy = "`synfire runs` lists run directories; `synfire run` makes one";
            return Err(Error::file(&path, format!("is not a run directory: it has no {EXPERIMENT}"), remedy));
        }
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    fn member_path(&self, member: usize) -> PathBuf {
        self.path.join("members").join(member.to_string())
    }

    /// The directories that hold checkpoints: this one for a single network, else one per member.
    pub fn members(&self, experiment: &Experiment) -> Vec<Self> {
        match experiment.members {
            0 | 1 => vec![self.clone()],
            several => (0..several).map(|k| Self { path: self.member_path(k) }).collect(),
        }
    }

    /// Remove what a killed process left half-written here and in the members' directories. Only under the run's lock.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn remove_leftovers(&self, experiment: &Experiment) -> Result<()> {
        for dir in self.members(experiment).iter().chain([self]) {
            for folder in [dir.path.clone(), dir.path.join("checkpoints")] {
                if folder.is_dir() {
                    for path in atomic::remove_leftovers(&folder)? {
                        tracing::info!(path = %path.display(), "removed what a killed process left");
                    }
                }
            }
        }
        Ok(())
    }

    /// The complete experiment.
    ///
    /// # Errors
    /// [`Error::File`] when the file is damaged.
    pub fn experiment(&self) -> Result<Experiment> {
        let path = self.path.join(EXPERIMENT);
        let text = atomic::read(&path)?;
        let text = String::from_utf8(text).map_err(|_| Error::file(&path, "is not text", "it may be damaged"))?;
        Layers::from_toml(&text)
            .and_then(|layers| layers.experiment())
            .map_err(|error| Error::file(&path, format!("cannot be read: {error}"), "restore it from a copy"))
    }

    /// Replace the experiment, for a longer budget.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<()> {
        atomic::write(self.path.join(EXPERIMENT), to_toml(experiment)?.as_bytes())
    }

    /// The manifest.
    ///
    /// # Errors
    /// [`Error::File`] when it is missing or damaged.
    pub fn manifest(&self) -> Result<Manifest> {
        atomic::read_json(self.path.join(MANIFEST))
    }

    /// Write the manifest.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        atomic::write_json(self.path.join(MANIFEST), manifest)
    }

    /// Where metrics are written, one line an evaluation.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// The metrics so far; a torn last line is left out.
    ///
    /// # Errors
    /// [`Error::File`] when a line in the middle is damaged.
    pub fn metrics(&self) -> Result<Vec<serde_json::Value>> {
        let path = self.metrics_path();
        if path.is_file() { jsonl::read(path) } else { Ok(Vec::new()) }
    }

    /// The folder of an analysis.
    pub fn analysis_path(&self, name: &str) -> PathBuf {
        self.path.join("analyses").join(name)
    }

    /// Save what an analysis found; returns the paths written.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses, or a figure cannot be drawn.
    pub fn save_findings(&self, name: &str, findings: &Findings) -> Result<Vec<PathBuf>> {
        findings.save(&self.analysis_path(name))
    }

    /// The analyses that were made, by name, in alphabetical order.
    pub fn analyses(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path.join("analyses")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().join("findings.json").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            // Half-written ones have hidden names.
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }
}
