//! All levels so far, each with a head of its own.

use super::advance::{self, Ladder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{History, LessonContext, Level, Step};
use synfire::{Component, Curriculum, Problems, Properties, Property, Registry, Result, TaskSpec};

/// Train all levels so far at once, each with a head of its own: further levels when the present ones are solved.
///
/// Head `i` answers level `first_level + i`; losses of all heads are added. The levels are solved when both the mean accuracy over
/// heads and the accuracy of the hardest level are above `threshold`.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927 (multi-head curriculum).
/// Differs: heads are made when they are needed, so that there is no largest number of them; published, it is 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cumulative {
    /// Accuracy that must be exceeded, as a fraction.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub threshold: f64,
    /// Easiest level; left out, the task's easiest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_level: Option<usize>,
    /// Level whose solution ends training; left out, the task's hardest, or the budget ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_level: Option<usize>,
    /// Levels to begin with.
    #[schemars(range(min = 1))]
    pub init_heads: usize,
    /// Levels added at each success.
    #[schemars(range(min = 1))]
    pub add_heads: usize,
}

impl Default for Cumulative {
    fn default() -> Self {
        Self { threshold: 0.98, first_level: None, last_level: None, init_heads: 1, add_heads: 1 }
    }
}

#[typetag::serde(name = "cumulative")]
impl Curriculum for Cumulative {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        advance::check(self.threshold, self.first_level, self.last_level, problems);
        for (field, value) in [("init_heads", self.init_heads), ("add_heads", self.add_heads)] {
            problems.require((1..=1 << 16).contains(&value), field, value, "from 1 to 65536");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Accuracy, Property::Difficulty, Property::SeveralHeads])
    }

    fn next(&self, history: &History, task: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let ladder = Ladder::new(task, self.first_level, self.last_level)?;
        let bound = |level: usize| Level { level, head: level - ladder.first };
        let begin = || {
            let further = ladder.room(ladder.first, self.init_heads - 1);
            (ladder.first..=ladder.first + further).map(bound).collect()
        };
        let advance = |levels: &[Level]| {
            let hardest = levels.last()?;
            let further = ladder.room(hardest.level, self.add_heads);
            let added = (1..=further).map(|i| Level { level: hardest.level + i, head: hardest.head + i });
            (further > 0).then(|| levels.iter().copied().chain(added).collect())
        };
        Ok(ladder.next(history, task, self.threshold, begin, advance))
    }
}

synfire::inventory::submit! { Component::curriculum::<Cumulative>("cumulative") }

#[cfg(test)]
mod tests {
    use super::super::advance::tests::{Training, levels};
    use super::*;

    #[test]
    fn levels_are_added_each_with_its_head() {
        let curriculum = Cumulative { last_level: Some(8), init_heads: 2, add_heads: 3, ..Cumulative::default() };
        let mut training = Training::new(&curriculum);
        assert_eq!(levels(&training.ask()), [(2, 0), (3, 1)]);
        assert_eq!(training.after(0.9), [(2, 0), (3, 1)]);
        assert_eq!(training.after(0.99), [(2, 0), (3, 1), (4, 2), (5, 3), (6, 4)]);
        assert_eq!(training.after(0.99).last(), Some(&(8, 6)), "no further than the last level");
        assert_eq!(training.after(0.99), []);
    }

    #[test]
    fn heads_count_from_the_first_level_and_pass_a_hundred() {
        let curriculum = Cumulative { first_level: Some(5), ..Cumulative::default() };
        let mut training = Training::new(&curriculum);
        assert_eq!(levels(&training.ask()), [(5, 0)]);
        for head in 1..120 {
            assert_eq!(training.after(0.99).last(), Some(&(5 + head, head)));
        }
    }
}
