//! Choices of the analysis that are a name or a number.

use crate::analyses::stage::milestones;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::subject::{At, RunView};

/// What drives the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Bits where the task has one input channel of two values, else the task's own trials.
    #[default]
    Auto,
    /// Independent random values of the two that the task's only input channel takes.
    Bits,
    /// Trials of the task, one after the other without a pause or a new initial state.
    Task,
    /// Nothing: for networks with noise of their own.
    Silence,
}

/// Networks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"last\", \"initial\", \"milestones\" or a number of updates")]
pub enum Checkpoints {
    /// By their place in training.
    Named(NamedCheckpoints),
    /// The one after this many updates.
    Update(u64),
}

/// Places in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamedCheckpoints {
    /// The last checkpoint.
    Last,
    /// Before training.
    Initial,
    /// Before training, at the end of each lesson, and the last.
    Milestones,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self::Named(NamedCheckpoints::Last)
    }
}

impl Checkpoints {
    /// The networks of a run that it names, in the order of training.
    pub(in crate::analyses) fn of(self, run: &RunView) -> Vec<At> {
        match self {
            Self::Named(NamedCheckpoints::Last) => vec![At::Last],
            Self::Named(NamedCheckpoints::Initial) => vec![At::Initial],
            Self::Named(NamedCheckpoints::Milestones) => milestones(run).into_iter().map(At::Update).collect(),
            Self::Update(update) => vec![At::Update(update)],
        }
    }
}
