//! Trials of the published tasks from bits that were drawn elsewhere.

use crate::tasks::bit_stream::{BitStream, Rate};
use crate::tasks::question::{Question, Repeat};
use crate::tasks::{DelayedMatch, NParity};
use serde_json::Value;
use synfire::curriculum::Level;
use synfire::task::Answer;
use synfire::{Error, Lesson, Result, Task, Trials};

/// A task whose trials the published program draws.
pub(super) enum Asked {
    Parity(NParity),
    Match(DelayedMatch),
}

impl Asked {
    /// The task; nothing for one that the published program does not have.
    ///
    /// # Errors
    /// [`Error::Config`] where it has options that the published loop does not.
    pub fn of(task: &dyn Task) -> Result<Option<Self>> {
        let unreadable = |error: serde_json::Error| Error::Failed(format!("options of the task: {error}"));
        let mut options = serde_json::to_value(task).map_err(unreadable)?;
        let name = options.as_object_mut().and_then(|options| options.remove("type"));
        let asked = match name.as_ref().and_then(Value::as_str) {
            Some("n-parity") => Self::Parity(serde_json::from_value(options).map_err(unreadable)?),
            Some("delayed-match") => Self::Match(serde_json::from_value(options).map_err(unreadable)?),
            _ => return Ok(None),
        };
        asked.fits()?;
        Ok(Some(asked))
    }

    fn question(&self) -> (Question, &Repeat) {
        match self {
            Self::Parity(task) => (task.question(), &task.repeat),
            Self::Match(task) => (task.question(), &task.repeat),
        }
    }

    fn fits(&self) -> Result<()> {
        let (question, repeat) = self.question();
        let refused = |field: &str, value: &str, remedy: &str| {
            let problem = format_args!("is {value}, which the rule 'published-draws' does not draw");
            Err(Error::config(format!("task.{field}"), problem, remedy))
        };
        match (question.answer, question.length, repeat) {
            (Answer::EveryStep, ..) => refused("answer", "every-step", "set it to final-step"),
            (_, Some(length), _) => refused("length", &length.to_string(), "leave it out"),
            (_, _, Repeat::Steps(1)) => Ok(()),
            (_, _, Repeat::Steps(steps)) => refused("repeat", &steps.to_string(), "set it to 1"),
            (_, _, Repeat::Drawn(_)) => refused("repeat", "a list", "set it to 1"),
        }
    }

    /// The probability of a 1.
    pub fn rate(&self) -> Rate {
        self.question().0.rate
    }

    /// The levels of a lesson.
    ///
    /// # Errors
    /// As those of the task.
    pub fn levels(&self, lesson: &Lesson) -> Result<Vec<Level>> {
        self.question().0.levels(lesson)
    }

    /// The trials that show these bits.
    pub fn trials(&self, bits: &BitStream, levels: &[Level]) -> Trials {
        match self {
            Self::Parity(task) => task.trials_of(bits, 1, levels),
            Self::Match(task) => task.trials_of(bits, 1, levels),
        }
    }
}
