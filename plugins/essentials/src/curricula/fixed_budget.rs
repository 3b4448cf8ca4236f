//! One lesson until the budget is spent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{Curriculum, History, Lesson, LessonContext, Step};
use synfire::{Component, Error, Problems, Properties, Property, Registry, Result, TaskSpec};

/// One lesson from the first update to the last: training ends when its budget is spent.
///
/// All updates train `level`, answered by `head`; without a level, the task's default level, or the task as it is where it has no
/// difficulty. `training.updates` is the budget.
///
/// Source: none; this is training without a curriculum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FixedBudget {
    /// Level of difficulty; left out, the task's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Number of the head that answers.
    pub head: usize,
}

#[typetag::serde(name = "fixed-budget")]
impl Curriculum for FixedBudget {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        if self.level.is_none() && self.head != 0 {
            problems.add("head", format_args!("is {} but no level is set", self.head), "set level, or leave out head");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        self.level.map(|_| Property::Difficulty).into_iter().collect()
    }

    fn next(&self, _: &History, task: &TaskSpec, _: &LessonContext) -> Result<Step> {
        match self.level {
            Some(level) => {
                require_level(task, level)?;
                Ok(Step::Lesson(Lesson::with_levels([(level, self.head)])))
            }
            None => Ok(Step::Lesson(Lesson::default())),
        }
    }
}

synfire::inventory::submit! { Component::curriculum::<FixedBudget>("fixed-budget") }

/// Refuse a level that the task does not have.
pub(super) fn require_level(task: &TaskSpec, level: usize) -> Result<()> {
    match &task.difficulty {
        Some(difficulty) => difficulty.require(level),
        None => Err(Error::config("curriculum", format_args!("asks for level {level}; the task has no levels"), "")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::criterion::fixture::{context, task};
    use super::*;

    #[test]
    fn the_lesson_never_changes() {
        let registry = Registry::linked().expect("no duplicates");
        let curriculum = FixedBudget { level: Some(4), head: 1 };
        let first = curriculum.next(&History::default(), &task(), &context(&registry)).expect("in range");
        assert_eq!(first, Step::Lesson(Lesson::with_levels([(4, 1)])));
        let late = History { updates: 1_000_000, ..History::default() };
        assert_eq!(curriculum.next(&late, &task(), &context(&registry)).expect("in range"), first);
        let plain = FixedBudget::default().next(&late, &task(), &context(&registry)).expect("no level");
        assert_eq!(plain, Step::Lesson(Lesson::default()));
    }

    #[test]
    fn levels_need_a_task_that_has_them() {
        let registry = Registry::linked().expect("no duplicates");
        let curriculum = FixedBudget { level: Some(99), head: 0 };
        assert!(curriculum.needs(&registry).contains(&Property::Difficulty));
        assert!(FixedBudget::default().needs(&registry).is_empty());
        let message =
            curriculum.next(&History::default(), &task(), &context(&registry)).expect_err("too hard").to_string();
        assert!(message.contains("level N = 99"), "{message}");
        let mut problems = Problems::under("curriculum");
        FixedBudget { level: None, head: 2 }.check(&registry, &mut problems);
        assert!(problems.into_result().expect_err("a head alone").to_string().contains("curriculum.head is 2"));
    }
}
