//! Level after level, each until it is learned.

use super::criterion::{Criterion, Metric};
use super::fixed_budget::require_level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{Curriculum, History, Lesson, LessonContext, Step};
use synfire::{Component, Problems, Properties, Property, Registry, Result, TaskSpec};

/// Level after level: the next one begins when the present one is learned.
///
/// Training begins at `first_level` and goes up by `step` whenever `metric` has passed `threshold` in `patience` evaluations in a
/// row, up to and including `last_level`, after which it ends. One head answers all levels. A level that is not learned after
/// `max_updates_per_level` updates is left for the next, if that is set; training ends when the last is left.
///
/// With neither `first_level` nor `last_level` there is one level, the task's default, or the task as it is where it has no
/// difficulty: training then ends when the criterion is met. With a first level alone the task's hardest level is the last; if the
/// task has none, only the budget ends training.
///
/// Source: Bengio, Louradour, Collobert & Weston 2009, "Curriculum learning", doi:10.1145/1553374.1553380; growth on a criterion:
/// Zaremba & Sutskever 2014, "Learning to execute", arXiv:1410.4615.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// The level training begins with; left out, the task's easiest if `last_level` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_level: Option<usize>,
    /// The last level; left out, the task's hardest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_level: Option<usize>,
    /// From one level to the next.
    #[schemars(range(min = 1))]
    pub step: usize,
    /// The number of an evaluation that decides.
    pub metric: Metric,
    /// The value it must reach: at least it for accuracies, at most it for losses.
    pub threshold: f64,
    /// Number of evaluations in a row that must pass.
    #[schemars(range(min = 1))]
    pub patience: usize,
    /// Updates after which a level is left in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_updates_per_level: Option<u64>,
}

impl Default for Threshold {
    fn default() -> Self {
        Self {
            first_level: None,
            last_level: None,
            step: 1,
            metric: Metric::Accuracy,
            threshold: 0.98,
            patience: 1,
            max_updates_per_level: None,
        }
    }
}

impl Threshold {
    fn criterion(&self) -> Criterion {
        Criterion { metric: self.metric, threshold: self.threshold, patience: self.patience }
    }

    fn has_levels(&self) -> bool {
        self.first_level.is_some() || self.last_level.is_some()
    }

    /// First and last level; the last is `None` where levels go on without end.
    fn range(&self, task: &TaskSpec) -> Result<(usize, Option<usize>)> {
        let difficulty = task.difficulty.as_ref();
        let first = self.first_level.or(difficulty.map(|d| d.lowest)).unwrap_or_default();
        let last = self.last_level.or(difficulty.and_then(|d| d.highest));
        require_level(task, first)?;
        last.map_or(Ok(()), |last| require_level(task, last))?;
        Ok((first, last))
    }
}

fn lesson(level: usize) -> Step {
    Step::Lesson(Lesson::with_levels([(level, 0)]))
}

#[typetag::serde(name = "threshold")]
impl Curriculum for Threshold {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.criterion().check(problems);
        problems.require(self.step >= 1, "step", self.step, "at least 1");
        if let (Some(first), Some(last)) = (self.first_level, self.last_level) {
            problems.require(last >= first, "last_level", last, &format!("at least first_level, which is {first}"));
        }
        if let Some(updates) = self.max_updates_per_level {
            problems.require(updates >= 1, "max_updates_per_level", updates, "at least 1");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let levels = self.has_levels().then_some(Property::Difficulty);
        self.metric.needs().into_iter().chain(levels).collect()
    }

    fn next(&self, history: &History, task: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let learned = self.criterion().is_met(history);
        let spent = self.max_updates_per_level.is_some_and(|updates| history.updates_in_lesson() >= updates);
        let over = history.lesson().is_some() && (learned || spent);
        let reason = |level: Option<usize>| {
            let at = level.map_or(String::new(), |level| format!(" at level {level}"));
            match learned {
                true => format!("{}{at}", self.criterion().words()),
                false => format!("{} updates{at} were spent", history.updates_in_lesson()),
            }
        };
        if !self.has_levels() {
            return Ok(if over { Step::Stop { reason: reason(None) } } else { Step::Lesson(Lesson::default()) });
        }
        let (first, last) = self.range(task)?;
        let level = history.lesson().and_then(|lesson| lesson.levels.last()).map_or(first, |active| active.level);
        if !over {
            return Ok(lesson(level));
        }
        if last.is_some_and(|last| level >= last) {
            return Ok(Step::Stop { reason: reason(Some(level)) });
        }
        let next = level.saturating_add(self.step);
        Ok(lesson(last.map_or(next, |last| next.min(last))))
    }
}

synfire::inventory::submit! { Component::curriculum::<Threshold>("threshold") }

#[cfg(test)]
mod tests {
    use super::super::criterion::fixture::{begin, context, evaluate, task};
    use super::*;

    fn ask(curriculum: &Threshold, history: &History, task: &TaskSpec) -> Step {
        curriculum.next(history, task, &context(&Registry::linked().expect("no duplicates"))).expect("in range")
    }

    /// Ask, and begin the lesson if there is one.
    fn follow(curriculum: &Threshold, history: &mut History) -> Step {
        let step = ask(curriculum, history, &task());
        if let Step::Lesson(lesson) = &step
            && history.lesson() != Some(lesson)
        {
            begin(history, lesson.clone());
        }
        step
    }

    #[test]
    fn levels_rise_with_success_and_end_at_the_last() {
        let curriculum = Threshold { first_level: Some(3), last_level: Some(6), step: 2, ..Threshold::default() };
        let mut history = History::default();
        assert_eq!(follow(&curriculum, &mut history), lesson(3));
        evaluate(&mut history, 1.0, 0.5);
        assert_eq!(follow(&curriculum, &mut history), lesson(3));
        evaluate(&mut history, 1.0, 0.99);
        assert_eq!(follow(&curriculum, &mut history), lesson(5));
        assert_eq!(follow(&curriculum, &mut history), lesson(5), "asked twice, one success");
        evaluate(&mut history, 1.0, 0.98);
        assert_eq!(follow(&curriculum, &mut history), lesson(6), "the last level is never jumped over");
        evaluate(&mut history, 1.0, 1.0);
        let stop = Step::Stop { reason: "accuracy of at least 0.98 at level 6".into() };
        assert_eq!(follow(&curriculum, &mut history), stop);
    }

    #[test]
    fn a_level_may_be_left_when_its_updates_are_spent() {
        let curriculum = Threshold { first_level: Some(9), max_updates_per_level: Some(20), ..Threshold::default() };
        let mut history = History::default();
        follow(&curriculum, &mut history);
        evaluate(&mut history, 1.0, 0.5);
        assert_eq!(follow(&curriculum, &mut history), lesson(9));
        evaluate(&mut history, 1.0, 0.5);
        assert_eq!(follow(&curriculum, &mut history), lesson(10));
        evaluate(&mut history, 1.0, 0.5);
        evaluate(&mut history, 1.0, 0.5);
        let stop = Step::Stop { reason: "20 updates at level 10 were spent".into() };
        assert_eq!(follow(&curriculum, &mut history), stop);
    }

    #[test]
    fn without_levels_it_only_stops() {
        let plain = TaskSpec { difficulty: None, ..task() };
        let curriculum = Threshold { metric: Metric::Loss, threshold: 0.05, ..Threshold::default() };
        assert!(curriculum.needs(&Registry::linked().expect("no duplicates")).is_empty());
        let mut history = History::default();
        assert_eq!(ask(&curriculum, &history, &plain), Step::Lesson(Lesson::default()));
        begin(&mut history, Lesson::default());
        evaluate(&mut history, 0.06, 0.0);
        assert_eq!(ask(&curriculum, &history, &plain), Step::Lesson(Lesson::default()));
        evaluate(&mut history, 0.04, 0.0);
        assert_eq!(ask(&curriculum, &history, &plain), Step::Stop { reason: "loss of at most 0.05".into() });
    }

    #[test]
    fn wrong_levels_are_refused() {
        let registry = Registry::linked().expect("no duplicates");
        let mut problems = Problems::under("curriculum");
        Threshold { first_level: Some(5), last_level: Some(4), step: 0, ..Threshold::default() }
            .check(&registry, &mut problems);
        let message = problems.into_result().expect_err("two problems").to_string();
        assert!(message.contains("curriculum.step is 0"), "{message}");
        assert!(message.contains("last_level is 4, must be at least first_level, which is 5"), "{message}");
        let beyond = Threshold { last_level: Some(11), ..Threshold::default() };
        let message = beyond.next(&History::default(), &task(), &context(&registry)).expect_err("too hard").to_string();
        assert!(message.contains("level N = 11; the task has 2 to 10"), "{message}");
    }
}
