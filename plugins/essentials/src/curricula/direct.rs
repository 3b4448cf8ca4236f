//! The final levels straight away.

use super::criterion::{Criterion, Metric};
use super::fixed_budget::require_level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{Curriculum, History, Lesson, LessonContext, Step};
use synfire::{Component, Problems, Properties, Property, Registry, Result, TaskSpec};

/// No curriculum: the final levels are trained from the first update on, until they are learned.
///
/// Level number i of `levels` is answered by head i; one level needs one head, several are asked for in the same trial. Without
/// levels the task's default level is trained, or the task as it is where it has no difficulty. Training ends when `metric` passes
/// `threshold` in `patience` evaluations in a row, or when the budget is spent.
///
/// Source: the control condition of studies of curricula, for example Bengio, Louradour, Collobert & Weston 2009,
/// doi:10.1145/1553374.1553380.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Direct {
    /// Levels of difficulty, ascending; empty for the task's default.
    pub levels: Vec<usize>,
    /// The number of an evaluation that decides.
    pub metric: Metric,
    /// The value it must reach: at least it for accuracies, at most it for losses.
    pub threshold: f64,
    /// Number of evaluations in a row that must pass.
    #[schemars(range(min = 1))]
    pub patience: usize,
}

impl Default for Direct {
    fn default() -> Self {
        Self { levels: Vec::new(), metric: Metric::LeastAccuracy, threshold: 0.98, patience: 1 }
    }
}

impl Direct {
    fn criterion(&self) -> Criterion {
        Criterion { metric: self.metric, threshold: self.threshold, patience: self.patience }
    }
}

#[typetag::serde(name = "direct")]
impl Curriculum for Direct {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.criterion().check(problems);
        if !self.levels.is_sorted_by(|a, b| a < b) {
            problems.add("levels", format_args!("is {:?}", self.levels), "list each level once, in ascending order");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs: Properties = self.metric.needs().into_iter().collect();
        if !self.levels.is_empty() {
            needs.insert(Property::Difficulty);
        }
        if self.levels.len() > 1 {
            needs.insert(Property::SeveralHeads);
        }
        needs
    }

    fn next(&self, history: &History, task: &TaskSpec, _: &LessonContext) -> Result<Step> {
        if self.criterion().is_met(history) {
            return Ok(Step::Stop { reason: self.criterion().words() });
        }
        self.levels.iter().try_for_each(|level| require_level(task, *level))?;
        Ok(Step::Lesson(Lesson::with_levels(
            self.levels.iter().copied().enumerate().map(|(head, level)| (level, head)),
        )))
    }
}

synfire::inventory::submit! { Component::curriculum::<Direct>("direct") }

#[cfg(test)]
mod tests {
    use super::super::criterion::fixture::{begin, context, evaluate, task};
    use super::*;

    #[test]
    fn all_levels_at_once_until_they_are_learned() {
        let registry = Registry::linked().expect("no duplicates");
        let curriculum = Direct { levels: vec![3, 5], ..Direct::default() };
        let mut history = History::default();
        let lesson = Lesson::with_levels([(3, 0), (5, 1)]);
        assert_eq!(
            curriculum.next(&history, &task(), &context(&registry)).expect("in range"),
            Step::Lesson(lesson.clone())
        );
        begin(&mut history, lesson.clone());
        evaluate(&mut history, 0.1, 0.97);
        assert_eq!(curriculum.next(&history, &task(), &context(&registry)).expect("in range"), Step::Lesson(lesson));
        evaluate(&mut history, 0.1, 0.98);
        let step = curriculum.next(&history, &task(), &context(&registry)).expect("in range");
        assert_eq!(step, Step::Stop { reason: "least accuracy of at least 0.98".into() });
    }

    #[test]
    fn needs_follow_the_options() {
        let registry = Registry::linked().expect("no duplicates");
        let needs = |c: &Direct| c.needs(&registry);
        assert_eq!(needs(&Direct::default()), Properties::from([Property::Accuracy]));
        assert!(needs(&Direct { metric: Metric::Loss, ..Direct::default() }).is_empty());
        let two = Direct { levels: vec![2, 3], ..Direct::default() };
        assert!(needs(&two).contains(&Property::Difficulty) && needs(&two).contains(&Property::SeveralHeads));
    }

    #[test]
    fn levels_must_ascend_and_exist() {
        let registry = Registry::linked().expect("no duplicates");
        let mut problems = Problems::under("curriculum");
        Direct { levels: vec![3, 3], ..Direct::default() }.check(&registry, &mut problems);
        assert!(problems.into_result().expect_err("twice").to_string().contains("curriculum.levels is [3, 3]"));
        let curriculum = Direct { levels: vec![1], ..Direct::default() };
        assert!(curriculum.next(&History::default(), &task(), &context(&registry)).is_err());
    }
}
