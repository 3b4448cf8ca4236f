//! The rule by which a curriculum goes on: once both the mean and the last accuracy exceed a threshold.

use synfire::curriculum::{Evaluation, History, Level, Step};
use synfire::task::Difficulty;
use synfire::{Error, Lesson, Problems, Result, TaskSpec};

/// The levels that a curriculum climbs.
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'a> {
    difficulty: &'a Difficulty,
    /// Where it begins.
    pub first: usize,
    /// Where it ends, if it does.
    pub last: Option<usize>,
}

impl<'a> Ladder<'a> {
    /// From `first`, or the task's easiest level, up to `last`, or as far as the task goes.
    ///
    /// # Errors
    /// [`Error::Config`] when the task has no such levels.
    pub fn new(task: &'a TaskSpec, first: Option<usize>, last: Option<usize>) -> Result<Self> {
        let difficulty = task.difficulty.as_ref().ok_or_else(|| {
            Error::config("curriculum", "needs a task with a difficulty axis", "use another task or curriculum")
        })?;
        let first = first.unwrap_or(difficulty.lowest);
        difficulty.require(first)?;
        if let Some(last) = last {
            difficulty.require(last)?;
        }
        let last = match (last, difficulty.highest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if last.is_some_and(|last| last < first) {
            let remedy = "give a last_level that is not below first_level";
            return Err(Error::config("curriculum", format_args!("begins at level {first}, after its last"), remedy));
        }
        Ok(Self { difficulty, first, last })
    }

    /// How many of the `wanted` levels above `level` there are.
    pub fn room(&self, level: usize, wanted: usize) -> usize {
        self.last.map_or(wanted, |last| wanted.min(last.saturating_sub(level)))
    }

    /// What comes next. Before the first update the levels from `begin`; then the present levels, until an evaluation of the present
    /// network exceeds the threshold: then those that `advance` makes of them, or the end if that is `None`.
    ///
    /// Each evaluation can advance it once, since a new lesson has none of its own yet.
    pub fn next(
        &self,
        history: &History,
        task: &TaskSpec,
        threshold: f64,
        begin: impl Fn() -> Vec<Level>,
        advance: impl Fn(&[Level]) -> Option<Vec<Level>>,
    ) -> Step {
        let Some(lesson) = history.lesson() else { return lesson_of(begin()) };
        let levels = lesson.levels_of(task);
        if !history.fresh().is_some_and(|evaluation| exceeds(evaluation, threshold)) {
            return lesson_of(levels);
        }
        match advance(&levels) {
            Some(levels) => lesson_of(levels),
            None => {
                let last = levels.last().map_or(self.first, |l| l.level);
                Step::Stop { reason: format!("level {} = {last} solved", self.difficulty.name) }
            }
        }
    }
}

fn lesson_of(levels: Vec<Level>) -> Step {
    Step::Lesson(Lesson { levels, ..Lesson::default() })
}

/// Whether the mean over heads and the accuracy of the last head are both above the threshold, not merely at it.
pub fn exceeds(evaluation: &Evaluation, threshold: f64) -> bool {
    let above = |metric| evaluation.metric(metric).is_some_and(|accuracy| accuracy > threshold);
    above("accuracy") && above("last_accuracy")
}

/// Report options out of range that all these curricula have.
pub fn check(threshold: f64, first: Option<usize>, last: Option<usize>, problems: &mut Problems) {
    problems.require((0.0..1.0).contains(&threshold), "threshold", threshold, "at least 0 and below 1");
    if let (Some(first), Some(last)) = (first, last) {
        problems.require(last >= first, "last_level", last, &format!("at least first_level = {first}"));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use synfire::curriculum::{HeadResult, LessonContext, LessonRecord};
    use synfire::{Curriculum, Registry, Stream};

    /// A task with levels from 2 on.
    pub fn task() -> TaskSpec {
        synfire::Task::spec(&crate::tasks::NParity::default())
    }

    /// A training that is told how each evaluation comes out.
    pub struct Training<'a> {
        pub curriculum: &'a dyn Curriculum,
        pub history: History,
    }

    impl<'a> Training<'a> {
        pub fn new(curriculum: &'a dyn Curriculum) -> Self {
            Self { curriculum, history: History::default() }
        }

        /// What the curriculum says now; a new lesson is entered into the history, as the trainer does.
        pub fn ask(&mut self) -> Step {
            let registry = Registry::linked().unwrap();
            let context = LessonContext { registry: &registry, stream: Stream::new(0) };
            let step = self.curriculum.next(&self.history, &task(), &context).unwrap();
            if let Step::Lesson(lesson) = &step
                && self.history.lesson() != Some(lesson)
            {
                self.history.lessons.push(LessonRecord { from: self.history.updates, lesson: lesson.clone() });
            }
            step
        }

        /// Ten updates and an evaluation with these accuracies.
        pub fn evaluate(&mut self, accuracies: &[f64]) {
            self.history.updates += 10;
            let heads = accuracies
                .iter()
                .enumerate()
                .map(|(head, a)| HeadResult { head, level: None, loss: 0.1, accuracy: Some(*a) })
                .collect();
            self.history.evaluations.push(Evaluation {
                update: self.history.updates,
                lesson: self.history.lessons.len() - 1,
                trials: 100,
                loss: 0.1,
                accuracy: Some(accuracies.iter().sum::<f64>() / accuracies.len() as f64),
                heads,
            });
        }

        /// Levels and heads after every head did `accuracy` in an evaluation; empty at the end.
        pub fn after(&mut self, accuracy: f64) -> Vec<(usize, usize)> {
            let heads = self.history.lesson().unwrap().levels.len();
            self.evaluate(&vec![accuracy; heads]);
            levels(&self.ask())
        }
    }

    /// Levels and heads of a lesson; empty for a stop.
    pub fn levels(step: &Step) -> Vec<(usize, usize)> {
        match step {
            Step::Lesson(lesson) => lesson.levels.iter().map(|l| (l.level, l.head)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn mean_and_last_must_both_exceed_the_threshold() {
        let curriculum = crate::curricula::Cumulative { init_heads: 3, ..Default::default() };
        let advances = |accuracies: &[f64]| {
            let mut training = Training::new(&curriculum);
            training.ask();
            training.evaluate(accuracies);
            levels(&training.ask()).len() == 4
        };
        assert!(advances(&[0.99, 0.97, 0.99]), "a head in the middle may be below");
        assert!(!advances(&[1.0, 1.0, 0.97]), "the last is below");
        assert!(!advances(&[0.9, 0.9, 1.0]), "the mean is below");
        assert!(!advances(&[0.98, 0.98, 0.98]), "at the threshold is not above it");
    }

    #[test]
    fn levels_that_the_task_lacks_are_refused() {
        let message = |first, last| Ladder::new(&task(), first, last).unwrap_err().to_string();
        assert!(message(Some(1), None).contains("N = 1"));
        assert!(message(Some(5), Some(3)).contains("after its last"));
        let mut problems = Problems::under("curriculum");
        check(1.0, Some(4), Some(3), &mut problems);
        assert_eq!(problems.into_vec().len(), 2);
        let endless = TaskSpec { difficulty: None, ..task() };
        assert!(Ladder::new(&endless, None, None).is_err());
    }
}
