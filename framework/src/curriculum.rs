//! Curricula: what is trained next, as a function of what happened so far.

use crate::cell::Mode;
use crate::property::Properties;
use crate::{Problems, Registry, Result, Stream, TaskSpec};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

/// In which order a network learns.
///
/// A curriculum is a function of the history and a stream: it has nothing of its own to save. The trainer asks it before every
/// update.
#[typetag::serde(tag = "type")]
pub trait Curriculum: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// What it needs of task and cell. Default: nothing.
    fn needs(&self, registry: &Registry) -> Properties {
        let _ = registry;
        Properties::new()
    }

    /// What comes next. `history.lesson()` is the lesson of the last update, `None` before the first.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when the task does not have what the curriculum wants.
    fn next(&self, history: &History, task: &TaskSpec, context: &LessonContext) -> Result<Step>;

    /// How many of the last updates the history should keep for it. Default: none.
    fn memory(&self, registry: &Registry) -> usize {
        let _ = registry;
        0
    }
}

/// What a curriculum is handed beside the history.
pub struct LessonContext<'a> {
    /// For curricula around another.
    pub registry: &'a Registry,
    /// Random numbers of this update.
    pub stream: Stream,
}

/// What a curriculum decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Train this.
    Lesson(Lesson),
    /// Begin again from a new network, drawn from the next initial stream.
    Restart {
        /// Why, in a few words.
        reason: String,
    },
    /// Training is over.
    Stop {
        /// Why, in a few words.
        reason: String,
    },
}

/// One active level and the head that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Level on the task's difficulty axis.
    pub level: usize,
    /// Number of the head.
    pub head: usize,
}

/// What is trained at present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lesson {
    /// Active levels, ascending; empty for the task's default level, answered by head 0.
    pub levels: Vec<Level>,
    /// Active members of a task set; empty for all.
    pub tasks: Vec<String>,
    /// Scheduled numbers, for example `theta`, `beta`, `learning_rate_factor`.
    pub schedule: BTreeMap<String, f64>,
    /// Patterns of the parameters that may change; empty for all.
    pub trainable: Vec<String>,
    /// Patterns of the parameters that may not change.
    pub frozen: Vec<String>,
    /// Heads to drop from the network, with what they learned.
    pub drop_heads: Vec<usize>,
    /// Duration of a step, if it differs from the task's own.
    pub dt_ms: Option<f64>,
    /// Whether the trials are for training or for a test, for tasks that draw them otherwise; set by whoever draws trials.
    #[serde(skip)]
    pub mode: Mode,
    /// Updates done before, for task sets that take turns; set by the trainer.
    #[serde(skip)]
    pub update: u64,
}

impl Lesson {
    /// The lesson with these levels, each with its head.
    pub fn with_levels(levels: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self { levels: levels.into_iter().map(|(level, head)| Level { level, head }).collect(), ..Self::default() }
    }

    /// Other levels under the conditions of this lesson: its members of a task set, its schedule and its step.
    #[must_use]
    pub fn at_levels(&self, levels: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let Self { tasks, schedule, dt_ms, .. } = self.clone();
        Self { tasks, schedule, dt_ms, ..Self::with_levels(levels) }
    }

    /// The levels to draw: those of the lesson, or the task's default.
    pub fn levels_of(&self, task: &TaskSpec) -> Vec<Level> {
        match (&task.difficulty, self.levels.is_empty()) {
            (Some(difficulty), true) => vec![Level { level: difficulty.default, head: 0 }],
            _ => self.levels.clone(),
        }
    }

    /// The heads in use, ascending; head 0 where there are no levels.
    pub fn heads(&self, task: &TaskSpec) -> Vec<usize> {
        let mut heads: Vec<usize> = self.levels_of(task).iter().map(|l| l.head).collect();
        if heads.is_empty() {
            heads.push(0);
        }
        heads.sort_unstable();
        heads.dedup();
        heads
    }

    /// Whether a parameter may change.
    pub fn trains(&self, parameter: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|p| crate::optimizer::pattern::matches(p, parameter));
        (self.trainable.is_empty() || any(&self.trainable)) && !any(&self.frozen)
    }
}

/// How one head did in an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadResult {
    /// Number of the head.
    pub head: usize,
    /// Its level, where the task has one.
    pub level: Option<usize>,
    /// Mean loss; NaN in an evaluation of another program that does not say it.
    #[serde(with = "crate::storage::float::single")]
    pub loss: f64,
    /// Fraction of correct answers, where there is right and wrong.
    pub accuracy: Option<f64>,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// After how many updates.
    pub update: u64,
    /// Which of the history's lessons was evaluated.
    pub lesson: usize,
    /// Number of trials.
    pub trials: usize,
    /// Sum of the heads' losses; NaN in an evaluation of another program that does not say it.
    #[serde(with = "crate::storage::float::single")]
    pub loss: f64,
    /// Mean of the heads' accuracies.
    pub accuracy: Option<f64>,
    /// Head by head, in the order of the lesson's levels.
    pub heads: Vec<HeadResult>,
}

impl Evaluation {
    /// A metric by name: `loss`, `accuracy`, `last_loss`, `last_accuracy`, `least_accuracy`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let last = self.heads.last();
        match name {
            "loss" => Some(self.loss),
            "accuracy" => self.accuracy,
            "last_loss" => last.map(|head| head.loss),
            "last_accuracy" => last.and_then(|head| head.accuracy),
            "least_accuracy" => self.heads.iter().filter_map(|head| head.accuracy).reduce(f64::min),
            _ => None,
        }
    }

    /// Names that [`Evaluation::metric`] knows.
    pub const METRICS: [&'static str; 5] = ["loss", "accuracy", "last_loss", "last_accuracy", "least_accuracy"];
}

/// One update, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// Number of the update, from 1.
    pub update: u64,
    /// Loss on its batch.
    pub loss: f64,
    /// Fraction of correct answers on its batch, where there is right and wrong.
    pub accuracy: Option<f64>,
}

/// Sums over the updates since the last evaluation, for the means in the metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Updates counted.
    pub updates: u64,
    /// Sum of their losses.
    pub loss: f64,
    /// Sum of their fractions of correct answers, where there is right and wrong.
    pub accuracy: Option<f64>,
    /// Sum of their gradient norms, for rules that have one.
    pub gradient_norm: Option<f64>,
}

impl Tally {
    /// Count an update.
    pub fn add(&mut self, loss: f64, accuracy: Option<f64>, gradient_norm: Option<f64>) {
        let add = |sum: &mut Option<f64>, value: Option<f64>| {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0.0) + value);
            }
        };
        self.updates += 1;
        self.loss += loss;
        add(&mut self.accuracy, accuracy);
        add(&mut self.gradient_norm, gradient_norm);
    }

    /// The mean that belongs to a sum.
    pub fn mean(&self, sum: f64) -> f64 {
        sum / self.updates.max(1) as f64
    }
}

/// A lesson and when it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LessonRecord {
    /// Updates done when it began.
    pub from: u64,
    /// The lesson.
    pub lesson: Lesson,
}

/// What happened so far; saved with every checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Updates done.
    pub updates: u64,
    /// Times training began again from a new network.
    pub restarts: u64,
    /// The lessons so far, each once.
    pub lessons: Vec<LessonRecord>,
    /// The evaluations so far.
    pub evaluations: Vec<Evaluation>,
    /// The last updates, as many as the curriculum asks for.
    pub recent: VecDeque<UpdateRecord>,
    /// Sums over the updates since the last evaluation.
    #[serde(default)]
    pub tally: Tally,
}

impl History {
    /// The lesson of the last update.
    pub fn lesson(&self) -> Option<&Lesson> {
        self.lessons.last().map(|record| &record.lesson)
    }

    /// Updates since the present lesson began.
    pub fn updates_in_lesson(&self) -> u64 {
        self.updates - self.lessons.last().map_or(0, |record| record.from)
    }

    /// The last evaluation, if it was made after the last update and of the present lesson: what a curriculum decides on.
    pub fn fresh(&self) -> Option<&Evaluation> {
        let index = self.lessons.len().checked_sub(1)?;
        self.evaluations.last().filter(|e| e.update == self.updates && e.lesson == index)
    }
}

#[cfg(test)]
mod tests;
