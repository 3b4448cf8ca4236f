//! When a level counts as learned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{Evaluation, History};
use synfire::{Problems, Property};

/// A number of an evaluation that a curriculum decides on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Sum over heads of their mean loss.
    Loss,
    /// Mean over heads of the fraction of correct answers.
    #[default]
    Accuracy,
    /// Mean loss of the last head: that of the hardest level.
    LastLoss,
    /// Fraction of correct answers of the last head: that of the hardest level.
    LastAccuracy,
    /// The least over heads of the fraction of correct answers.
    LeastAccuracy,
}

impl Metric {
    /// The name among [`Evaluation::METRICS`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::LastLoss => "last_loss",
            Self::LastAccuracy => "last_accuracy",
            Self::LeastAccuracy => "least_accuracy",
        }
    }

    /// Whether less is better.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::LastLoss)
    }

    /// What it needs of the task, beyond trials.
    pub fn needs(self) -> Option<Property> {
        (!self.is_loss()).then_some(Property::Accuracy)
    }
}

/// A metric, the value it must pass, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criterion {
    /// Which number of an evaluation.
    pub metric: Metric,
    /// The value to reach: at least it for accuracies, at most it for losses.
    pub threshold: f64,
    /// Number of consecutive evaluations that must pass.
    pub patience: usize,
}

impl Criterion {
    /// Report what is out of range, under the names that curricula give these options.
    pub fn check(&self, problems: &mut Problems) {
        match self.metric.is_loss() {
            true => problems.require(
                self.threshold.is_finite() && self.threshold > 0.0,
                "threshold",
                self.threshold,
                "greater than 0, as the metric is a loss",
            ),
            false => problems.require(
                self.threshold > 0.0 && self.threshold <= 1.0,
                "threshold",
                self.threshold,
                "greater than 0 and at most 1, as the metric is a fraction of correct answers",
            ),
        }
        problems.require(self.patience >= 1, "patience", self.patience, "at least 1");
    }

    /// Whether one evaluation passes.
    pub fn passes(&self, evaluation: &Evaluation) -> bool {
        evaluation.metric(self.metric.name()).is_some_and(|value| match self.metric.is_loss() {
            true => value <= self.threshold,
            false => value >= self.threshold,
        })
    }

    /// Whether the present lesson counts as learned: its last `patience` evaluations pass, the last of them made just now.
    pub fn is_met(&self, history: &History) -> bool {
        let Some(fresh) = history.fresh() else { return false };
        let of_lesson = history.evaluations.iter().rev().take_while(|e| e.lesson == fresh.lesson);
        let passed = of_lesson.take(self.patience).filter(|e| self.passes(e)).count();
        passed == self.patience
    }

    /// The criterion in words, for the reason of a stop: `accuracy of at least 0.98`.
    pub fn words(&self) -> String {
        let name = self.metric.name().replace('_', " ");
        let direction = if self.metric.is_loss() { "at most" } else { "at least" };
        let times = if self.patience > 1 { format!(", {} times", self.patience) } else { String::new() };
        format!("{name} of {direction} {}{times}", self.threshold)
    }
}

/// Histories and tasks for the tests of curricula.
#[cfg(test)]
pub(super) mod fixture {
    use synfire::curriculum::{Evaluation, HeadResult, History, Lesson, LessonContext, LessonRecord};
    use synfire::task::{Answer, Difficulty, Objective};
    use synfire::{Registry, Stream, TaskSpec};

    /// A classification with levels N = 2 to 10.
    pub fn task() -> TaskSpec {
        TaskSpec {
            inputs: vec!["x".into()],
            outputs: 2,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: None,
            difficulty: Some(Difficulty {
                name: "N".into(),
                lowest: 2,
                highest: Some(10),
                default: 2,
                several_at_once: true,
            }),
            closed_loop: false,
        }
    }

    /// What a curriculum is handed beside the history.
    pub fn context(registry: &Registry) -> LessonContext<'_> {
        LessonContext { registry, stream: Stream::new(0) }
    }

    /// Begin a lesson after the updates so far.
    pub fn begin(history: &mut History, lesson: Lesson) {
        history.lessons.push(LessonRecord { from: history.updates, lesson });
    }

    /// Ten updates, then an evaluation with this loss and accuracy.
    pub fn evaluate(history: &mut History, loss: f64, accuracy: f64) {
        history.updates += 10;
        let lesson = history.lessons.len() - 1;
        let heads = vec![HeadResult { head: 0, level: Some(2), loss, accuracy: Some(accuracy) }];
        let update = history.updates;
        history.evaluations.push(Evaluation { update, lesson, trials: 100, loss, accuracy: Some(accuracy), heads });
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{begin, evaluate};
    use super::*;
    use synfire::Lesson;

    #[test]
    fn every_metric_is_one_that_evaluations_know() {
        let all = [Metric::Loss, Metric::Accuracy, Metric::LastLoss, Metric::LastAccuracy, Metric::LeastAccuracy];
        assert_eq!(all.map(Metric::name), Evaluation::METRICS);
        for metric in all {
            let written = serde_json::to_string(&metric).expect("writes");
            assert_eq!(written, format!("\"{}\"", metric.name()));
        }
    }

    #[test]
    fn patience_counts_consecutive_evaluations_of_the_present_lesson() {
        let criterion = Criterion { metric: Metric::Accuracy, threshold: 0.9, patience: 2 };
        let mut history = History::default();
        assert!(!criterion.is_met(&history));
        begin(&mut history, Lesson::default());
        evaluate(&mut history, 1.0, 0.95);
        assert!(!criterion.is_met(&history), "one is not two");
        evaluate(&mut history, 1.0, 0.5);
        evaluate(&mut history, 1.0, 0.95);
        assert!(!criterion.is_met(&history), "not in a row");
        evaluate(&mut history, 1.0, 0.9);
        assert!(criterion.is_met(&history));
        history.updates += 1;
        assert!(!criterion.is_met(&history), "the evaluation is stale");
        begin(&mut history, Lesson::with_levels([(3, 0)]));
        evaluate(&mut history, 1.0, 0.95);
        assert!(!criterion.is_met(&history), "the others were of the lesson before");
    }

    #[test]
    fn losses_pass_from_below_and_thresholds_have_a_range() {
        let criterion = Criterion { metric: Metric::Loss, threshold: 0.1, patience: 1 };
        let mut history = History::default();
        begin(&mut history, Lesson::default());
        evaluate(&mut history, 0.2, 1.0);
        assert!(!criterion.is_met(&history));
        evaluate(&mut history, 0.1, 0.0);
        assert!(criterion.is_met(&history));
        assert_eq!(criterion.words(), "loss of at most 0.1");
        let mut problems = Problems::under("curriculum");
        Criterion { metric: Metric::Accuracy, threshold: 98.0, patience: 0 }.check(&mut problems);
        let message = problems.into_result().expect_err("percent").to_string();
        assert!(message.contains("curriculum.threshold is 98") && message.contains("patience is 0"), "{message}");
    }
}
