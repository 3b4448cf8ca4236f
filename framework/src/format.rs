//! File formats of other programs: networks come in and go out.

use crate::curriculum::Evaluation;
use crate::experiment::Training;
use crate::network::Network;
use crate::subject::{At, RunView};
use crate::{Cell, Curriculum, History, LearningRule, Lesson, Task, Tensors};
use crate::{Problems, Registry, Result, Spec};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// A file format to import trained networks from and to export them to.
#[typetag::serde(tag = "type")]
pub trait Format: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// Read a file, or a folder where the format is one of whole runs.
    ///
    /// # Errors
    /// [`crate::Error::File`] when it is missing, damaged, foreign, or lacks a tensor.
    fn import(&self, path: &Path) -> Result<Imported>;

    /// Write a network to a file.
    ///
    /// # Errors
    /// When the network has parameters that the format cannot hold.
    fn export(&self, network: &Network, path: &Path) -> Result<()>;

    /// Write a run and return the files written. A format that holds one network writes the one at `at`; a format of whole runs
    /// writes all of it.
    ///
    /// # Errors
    /// As [`Format::export`]; when the run has no such network; a format of whole runs refuses an `at` other than the last.
    fn export_run(&self, run: &RunView, at: At, path: &Path) -> Result<Vec<PathBuf>> {
        self.export(&run.network(at)?, path)?;
        Ok(vec![path.to_path_buf()])
    }
}

/// What a file or folder of a format says.
#[derive(Debug, Default)]
pub struct Imported {
    /// Parameters by the names of the cell's own networks, heads included.
    pub parameters: Tensors,
    /// The heads that the file has.
    pub heads: Vec<usize>,
    /// Task, if the file or its path says it; what the user says wins.
    pub task: Option<Spec<dyn Task>>,
    /// Cell, with sizes taken from shapes; what the user says wins.
    pub cell: Option<Spec<dyn Cell>>,
    /// Curriculum, if the file or its path says it; what the user says wins.
    pub curriculum: Option<Spec<dyn Curriculum>>,
    /// Rule, if it is known; what the user says wins.
    pub rule: Option<Spec<dyn LearningRule>>,
    /// Sizes and budgets, if they are known; what the user says wins.
    pub training: Option<Training>,
    /// The lesson the network was trained on last, if it is known.
    pub lesson: Option<Lesson>,
    /// How the network came to be, as far as it is known; empty for a file that holds one network.
    pub past: Past,
    /// Sentences for the reader: what the file does not say and was assumed.
    pub notes: Vec<String>,
}

/// How an imported network came to be.
#[derive(Debug, Default)]
pub struct Past {
    /// The networks saved before it, in the order of their updates.
    pub stages: Vec<Stage>,
    /// What had happened when the network itself was saved. Where it has no lesson, [`Imported::lesson`] is its only one.
    pub history: History,
    /// All evaluations there are, for the metrics of the run; also those made after the network was saved.
    pub evaluations: Vec<Judged>,
}

/// A network from earlier in the training of an imported one.
#[derive(Debug)]
pub struct Stage {
    /// The file it comes from.
    pub origin: PathBuf,
    /// What had happened when it was saved.
    pub history: History,
    /// Parameters by the names of the cell's own networks, heads included.
    pub parameters: Tensors,
    /// Its heads.
    pub heads: Vec<usize>,
}

/// An evaluation that another program made.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What was found; losses that are not known are NaN.
    pub evaluation: Evaluation,
    /// The lesson that was evaluated.
    pub lesson: Lesson,
    /// Mean loss of the updates since the evaluation before.
    pub training_loss: Option<f64>,
}
