//! The networks of a run that analyses look at: before training, at the end of each lesson, at present.

use std::collections::BTreeSet;
use synfire::run::Checkpoint;
use synfire::subject::{At, RunView};
use synfire::{Lesson, Network, Result};

/// One saved network of a run and how far it had got.
pub(super) struct Stage {
    /// Updates done.
    pub update: u64,
    /// The hardest level of the last lesson up to then; none before training, or where the task has no levels.
    pub level: Option<usize>,
    /// The network.
    pub checkpoint: Checkpoint,
}

impl Stage {
    /// The network of a run after some updates.
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

    /// The network, ready to run.
    pub fn network(&self, run: &RunView) -> Result<Network> {
        let (parameters, readout) = (&self.checkpoint.parameters, &self.checkpoint.state.readout);
        run.parts.network_from(&run.context()?, parameters.shallow_clone(), readout.clone())
    }
}

/// What the levels of a run's task are called.
pub(super) fn level_name(run: &RunView) -> String {
    run.parts.spec.difficulty.as_ref().map_or_else(|| "level".to_string(), |difficulty| difficulty.name.clone())
}

/// The saved networks from before training, the end of each lesson and the last one, as numbers of updates.
pub(super) fn milestones(run: &RunView) -> Vec<u64> {
    let history = run.history();
    let wanted: BTreeSet<u64> = history.lessons.iter().map(|record| record.from).chain([0, history.updates]).collect();
    run.checkpoints().into_iter().filter(|update| wanted.contains(update)).collect()
}
