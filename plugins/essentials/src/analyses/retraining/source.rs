//! The network that copies are made of.

use super::choice;
use synfire::curriculum::Level;
use synfire::subject::{At, RunView};
use synfire::{Error, Lesson, Network, Result};

/// A network of a run, and what it was trained on last.
pub(super) struct Source {
    pub network: Network,
    /// Name of the run.
    pub label: String,
    /// Updates it had.
    pub update: u64,
    /// The hardest level of its last lesson.
    pub level: usize,
    /// The head that answers it.
    pub head: usize,
    dt_ms: Option<f64>,
}

impl Source {
    /// The network after `update` updates, or at the end of the last lesson of which `level` was the hardest, or the last one.
    pub fn of(view: &RunView, level: Option<usize>, update: Option<u64>) -> Result<Self> {
        let at = match level {
            Some(level) => At::Update(end_of(view, level)?),
            None => choice::at(update),
        };
        let state = view.checkpoint(at)?.state;
        let lesson = state.history.lesson().cloned();
        let hardest = lesson.as_ref().map(|lesson| lesson.levels_of(&view.parts.spec));
        let hardest = hardest.and_then(|levels| levels.into_iter().max_by_key(|level| level.level));
        let Some(Level { level, head }) = hardest else {
            let problem = format_args!("is {}, when no level had been trained yet", state.history.updates);
            return Err(Error::config("analysis.update", problem, "choose a later network, or name its level"));
        };
        let dt_ms = lesson.and_then(|lesson| lesson.dt_ms);
        Ok(Self {
            network: view.network(at)?,
            label: view.label.clone(),
            update: state.history.updates,
            level,
            head,
            dt_ms,
        })
    }

    /// Its own level, answered by its head.
    pub fn lesson(&self) -> Result<Lesson> {
        if !self.network.readout.heads.contains(&self.head) {
            return Err(Error::Failed(format!("the network has no head {}, which its last lesson trained", self.head)));
        }
        Ok(Lesson { dt_ms: self.dt_ms, ..Lesson::with_levels([(self.level, self.head)]) })
    }
}

/// Updates at the end of the last lesson of which a level was the hardest.
fn end_of(view: &RunView, level: usize) -> Result<u64> {
    let history = view.history();
    let hardest = |index: usize| {
        let levels = history.lessons[index].lesson.levels_of(&view.parts.spec);
        levels.into_iter().map(|level| level.level).max()
    };
    let found = (0..history.lessons.len()).rev().find(|index| hardest(*index) == Some(level));
    match found {
        Some(index) => Ok(history.lessons.get(index + 1).map_or(history.updates, |next| next.from)),
        None => {
            let trained: Vec<String> =
                (0..history.lessons.len()).filter_map(hardest).map(|level| level.to_string()).collect();
            let problem = format_args!("is {level}, which was the hardest of no lesson");
            Err(Error::config(
                "analysis.level",
                problem,
                format_args!("the lessons went up to: {}", trained.join(", ")),
            ))
        }
    }
}
