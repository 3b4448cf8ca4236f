//! One level at a time, all answered by one head.

use super::advance::{self, Ladder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{History, LessonContext, Level, Step};
use synfire::{Component, Curriculum, Problems, Properties, Property, Registry, Result, TaskSpec};

/// Train one level at a time with one head: the next level when the present one is solved.
///
/// A level is solved when the accuracy of an evaluation is above `threshold`. What was learned at earlier levels may be forgotten.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927 (single-head curriculum).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SingleLevel {
    /// Accuracy that must be exceeded, as a fraction.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub threshold: f64,
    /// Level to begin with; left out, the task's easiest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_level: Option<usize>,
    /// Level whose solution ends training; left out, the task's hardest, or the budget ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_level: Option<usize>,
}

impl Default for SingleLevel {
    fn default() -> Self {
        Self { threshold: 0.98, first_level: None, last_level: None }
    }
}

#[typetag::serde(name = "single-level")]
impl Curriculum for SingleLevel {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        advance::check(self.threshold, self.first_level, self.last_level, problems);
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Accuracy, Property::Difficulty])
    }

    fn next(&self, history: &History, task: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let ladder = Ladder::new(task, self.first_level, self.last_level)?;
        let only = |level| vec![Level { level, head: 0 }];
        let advance = |levels: &[Level]| {
            let level = levels.last()?.level;
            (ladder.room(level, 1) == 1).then(|| only(level + 1))
        };
        Ok(ladder.next(history, task, self.threshold, || only(ladder.first), advance))
    }
}

synfire::inventory::submit! { Component::curriculum::<SingleLevel>("single-level") }

#[cfg(test)]
mod tests {
    use super::super::advance::tests::{Training, levels};
    use super::*;

    #[test]
    fn climbs_with_one_head_and_stops_at_the_last_level() {
        let curriculum = SingleLevel { last_level: Some(4), ..SingleLevel::default() };
        let mut training = Training::new(&curriculum);
        assert_eq!(levels(&training.ask()), [(2, 0)]);
        assert_eq!(levels(&training.ask()), [(2, 0)], "nothing was evaluated yet");
        assert_eq!(training.after(0.98), [(2, 0)]);
        assert_eq!(training.after(0.99), [(3, 0)]);
        assert_eq!(levels(&training.ask()), [(3, 0)], "one evaluation advances once");
        assert_eq!(training.after(0.99), [(4, 0)]);
        training.evaluate(&[0.99]);
        assert_eq!(training.ask(), Step::Stop { reason: "level N = 4 solved".into() });
        assert_eq!(training.ask(), Step::Stop { reason: "level N = 4 solved".into() });
    }

    #[test]
    fn begins_where_it_is_told_and_goes_on_without_end() {
        let curriculum = SingleLevel { first_level: Some(7), ..SingleLevel::default() };
        let mut training = Training::new(&curriculum);
        assert_eq!(levels(&training.ask()), [(7, 0)]);
        for level in 8..150 {
            assert_eq!(training.after(1.0), [(level, 0)]);
        }
    }
}
