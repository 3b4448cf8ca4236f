//! What analyses of one network are asked about: which checkpoint, which level, which axis of time.

use synfire::subject::{At, RunView};
use synfire::{Lesson, Result};

/// The checkpoint after `update` updates, or the last one.
pub(super) fn at(update: Option<u64>) -> At {
    update.map_or(At::Last, At::Update)
}

/// The lesson with one level, or the one that was trained last.
pub(super) fn lesson(view: &RunView, level: Option<usize>) -> Result<Lesson> {
    level.map_or_else(|| Ok(view.lesson()), |level| view.lesson_at(level))
}

/// The levels of a lesson in words, for titles; empty where the task has none.
pub(super) fn levels(view: &RunView, lesson: &Lesson) -> String {
    let Some(difficulty) = &view.parts.spec.difficulty else { return String::new() };
    let levels: Vec<usize> = lesson.levels_of(&view.parts.spec).iter().map(|level| level.level).collect();
    let contiguous = levels.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match levels[..] {
        [] => String::new(),
        [one] => format!("{} = {one}", difficulty.name),
        [first, .., last] if contiguous => format!("{} = {first} to {last}", difficulty.name),
        _ => format!("{} = {}", difficulty.name, levels.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// How steps are shown on axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeAxis {
    dt_ms: Option<f64>,
}

impl TimeAxis {
    /// Milliseconds where the lesson's steps have a duration, else steps.
    pub fn new(view: &RunView, lesson: &Lesson) -> Self {
        Self { dt_ms: lesson.dt_ms.or(view.parts.spec.dt_ms) }
    }

    /// Quantity and unit.
    pub fn label(self) -> &'static str {
        if self.dt_ms.is_some() { "time (ms)" } else { "time (steps)" }
    }

    /// Where a step stands; the first ends one step after the start.
    pub fn at(self, step: usize) -> f64 {
        step as f64 * self.dt_ms.unwrap_or(1.0)
    }

    /// Where each of `steps` steps stands.
    pub fn all(self, steps: usize) -> Vec<f64> {
        (0..steps).map(|step| self.at(step)).collect()
    }
}
