//! File formats of other programs: networks come in and go out.

use crate::network::Network;
use crate::{Cell, Curriculum, Lesson, Task, Tensors};
use crate::{Problems, Registry, Result, Spec};
use std::fmt::Debug;
use std::path::Path;

/// A file format to import trained networks from and to export them to.
#[typetag::serde(tag = "type")]
pub trait Format: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// Read a file.
    ///
    /// # Errors
    /// [`crate::Error::File`] when it is missing, damaged, foreign, or lacks a tensor.
    fn import(&self, path: &Path) -> Result<Imported>;

    /// Write a network to a file.
    ///
    /// # Errors
    /// When the network has parameters that the format cannot hold.
    fn export(&self, network: &Network, path: &Path) -> Result<()>;
}

/// What a file of a format says.
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
    /// The lesson the network was trained on last, if it is known.
    pub lesson: Option<Lesson>,
    /// Sentences for the reader: what the file does not say and was assumed.
    pub notes: Vec<String>,
}
