//! What analyses of one network are asked about: which checkpoint, which level.

use synfire::subject::{At, RunView};
use synfire::{Lesson, Network, Result};

/// The checkpoint after `update` updates, or the last one.
pub(super) fn at(update: Option<u64>) -> At {
    update.map_or(At::Last, At::Update)
}

/// The lesson with one level, or the one that was trained last.
pub(super) fn lesson(view: &RunView, level: Option<usize>) -> Result<Lesson> {
    level.map_or_else(|| Ok(view.lesson()), |level| view.lesson_at(level))
}

/// The head that answers the lesson's first question, if the network has it.
pub(super) fn head(view: &RunView, network: &Network, lesson: &Lesson) -> Option<usize> {
    lesson.heads(&view.parts.spec).into_iter().find(|head| network.readout.heads.contains(head))
}
