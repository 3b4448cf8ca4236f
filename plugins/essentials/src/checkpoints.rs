//! The networks of a run that analyses look at: before training, at the end of each lesson or level, at present.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use synfire::run::Checkpoint;
use synfire::subject::{At, RunView};
use synfire::{Lesson, Network, Result};

/// Networks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"last\", \"initial\", \"milestones\", \"level-ends\" or a number of updates")]
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
    /// At the end of training on each level: of all lessons with the same hardest level the last.
    LevelEnds,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self::Named(NamedCheckpoints::Last)
    }
}

impl Checkpoints {
    /// At the end of training on each level.
    pub const LEVEL_ENDS: Self = Self::Named(NamedCheckpoints::LevelEnds);

    /// The networks in the order of training; the last one where there is no other.
    pub fn of(self, run: &RunView) -> Vec<At> {
        let updates = match self {
            Self::Named(NamedCheckpoints::Last) => return vec![At::Last],
            Self::Named(NamedCheckpoints::Initial) => return vec![At::Initial],
            Self::Update(update) => return vec![At::Update(update)],
            Self::Named(NamedCheckpoints::Milestones) => milestones(run),
            Self::Named(NamedCheckpoints::LevelEnds) => level_ends(run).into_iter().map(|(_, update)| update).collect(),
        };
        if updates.is_empty() { vec![At::Last] } else { updates.into_iter().map(At::Update).collect() }
    }
}

/// One saved network of a run and how far it had got.
#[derive(Debug)]
pub struct Stage {
    /// Updates done.
    pub update: u64,
    /// The hardest level of the last lesson up to then; none before training, or where the task has no levels.
    pub level: Option<usize>,
    /// The network's numbers and its history.
    pub checkpoint: Checkpoint,
}

impl Stage {
    /// The network of a run after some updates.
    ///
    /// # Errors
    /// When the checkpoint is missing or damaged.
    pub fn load(run: &RunView, at: At) -> Result<Self> {
        let checkpoint = run.checkpoint(at)?;
        let history = &checkpoint.state.history;
        let levels = history.lesson().map(|lesson| lesson.levels_of(&run.parts.spec)).unwrap_or_default();
        let level = levels.iter().map(|level| level.level).max();
        Ok(Self { update: history.updates, level, checkpoint })
    }

    /// The lesson that was trained up to then; before training the first one.
    pub fn lesson(&self, run: &RunView) -> Lesson {
        let first = || run.history().lessons.first().map(|record| &record.lesson);
        self.checkpoint.state.history.lesson().or_else(first).cloned().unwrap_or_default()
    }

    /// The network itself.
    ///
    /// # Errors
    /// When its numbers do not fit the cell.
    pub fn network(&self, run: &RunView) -> Result<Network> {
        let Checkpoint { parameters, state, .. } = &self.checkpoint;
        run.parts.network_from(&run.context()?, parameters.shallow_clone(), state.readout.clone())
    }
}

/// What the levels of a run's task are called.
pub fn level_name(run: &RunView) -> String {
    run.parts.spec.difficulty.as_ref().map_or_else(|| "level".to_string(), |difficulty| difficulty.name.clone())
}

/// The saved networks from before training, the end of each lesson and the last one, as numbers of updates.
pub fn milestones(run: &RunView) -> Vec<u64> {
    let history = run.history();
    let wanted: BTreeSet<u64> = history.lessons.iter().map(|record| record.from).chain([0, history.updates]).collect();
    run.checkpoints().into_iter().filter(|update| wanted.contains(update)).collect()
}

/// The levels whose end has a saved network, with its number of updates; in the order of updates.
pub fn level_ends(run: &RunView) -> Vec<(usize, u64)> {
    let (history, saved) = (run.history(), run.checkpoints());
    let mut ends = BTreeMap::new();
    for (index, record) in history.lessons.iter().enumerate() {
        let end = history.lessons.get(index + 1).map_or(history.updates, |next| next.from);
        let hardest = record.lesson.levels_of(&run.parts.spec).iter().map(|level| level.level).max();
        if let Some(level) = hardest.filter(|_| saved.contains(&end)) {
            ends.insert(level, end);
        }
    }
    let mut ends: Vec<(usize, u64)> = ends.into_iter().collect();
    ends.sort_by_key(|(_, update)| *update);
    ends
}
