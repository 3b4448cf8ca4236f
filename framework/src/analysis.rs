//! Analyses: what is measured on trained networks, as data.

use crate::figure::Figure;
use crate::property::Properties;
use crate::storage::array::Array;
use crate::subject::Subject;
use crate::table::{Table, Value};
use crate::{Problems, Registry, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::fmt::Debug;

/// Something that is measured on runs.
///
/// The struct that implements it is its options. It returns data ([`Findings`]); saving and drawing are done by the framework.
#[typetag::serde(tag = "type")]
pub trait Analysis: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// What it needs of task and cell. Default: nothing.
    fn needs(&self, registry: &Registry) -> Properties {
        let _ = registry;
        Properties::new()
    }

    /// Options of the run's own task that are otherwise while it looks, by name; they are checked together with the experiment. It
    /// then looks at the run through [`crate::subject::RunView::with_task`]. Default: none.
    fn task_options(&self) -> Map<String, serde_json::Value> {
        Map::new()
    }

    /// What it looks at.
    fn scope(&self) -> Scope;

    /// Do it.
    ///
    /// # Errors
    /// When the subject does not have what it needs.
    fn run(&self, subject: &Subject) -> Result<Findings>;
}

/// What an analysis looks at; several runs are handed one by one to an analysis of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One network, or one run over its training.
    Run,
    /// All runs together, in groups.
    Groups,
}

/// What an analysis found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Single numbers and words by name, in the order they are shown.
    pub values: IndexMap<String, Value>,
    /// Tables, written as CSV.
    pub tables: Vec<Table>,
    /// Arrays by name, written as one npz file.
    pub arrays: IndexMap<String, Array>,
    /// Figures, written as SVG, PNG and CSV.
    pub figures: Vec<Figure>,
    /// Sentences for the reader: what was left out, what to beware of.
    pub notes: Vec<String>,
}

impl Findings {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add a number or a word.
    pub fn value(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(name.into(), value.into());
    }

    /// Add an array.
    pub fn array(&mut self, name: impl Into<String>, array: Array) {
        self.arrays.insert(name.into(), array);
    }

    /// Add a sentence for the reader.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}
