//! One task, left at one accuracy after another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{Curriculum, History, Lesson, LessonContext, Step};
use synfire::{Component, Problems, Properties, Registry, Result, TaskSpec};
use synfire_essentials::curricula::{Criterion, Metric};

/// The same task to one accuracy after another: how what a network does develops while it learns.
///
/// A stage ends when `metric` has passed the next of `thresholds` in `patience` evaluations in a row; the same network goes on. Training
/// ends with the last. A checkpoint is kept at the end of each stage, which analyses reach by their option `update`; the updates stand in
/// the table `lessons` of `learning-curve`. Stages differ in nothing but the scheduled number `stage`, from 0.
///
/// Source: McMahan, Kleinman & Kao 2021, NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>; the stages of its published code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccuracyStages {
    /// The number of an evaluation that decides.
    pub metric: Metric,
    /// The values to reach, each harder than the one before: at least it for accuracies, at most it for losses.
    pub thresholds: Vec<f64>,
    /// Number of evaluations in a row that must pass.
    #[schemars(range(min = 1))]
    pub patience: usize,
}

/// Name of the scheduled number.
const STAGE: &str = "stage";

impl Default for AccuracyStages {
    fn default() -> Self {
        Self { metric: Metric::Accuracy, thresholds: vec![0.5, 0.65, 0.8, 0.9], patience: 10 }
    }
}

impl AccuracyStages {
    fn criterion(&self, stage: usize) -> Option<Criterion> {
        let threshold = *self.thresholds.get(stage)?;
        Some(Criterion { metric: self.metric, threshold, patience: self.patience })
    }
}

fn lesson(stage: usize) -> Lesson {
    Lesson { schedule: [(STAGE.to_string(), stage as f64)].into(), ..Lesson::default() }
}

#[typetag::serde(name = "accuracy-stages")]
impl Curriculum for AccuracyStages {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(!self.thresholds.is_empty(), "thresholds", "empty", "one or more values");
        for stage in 0..self.thresholds.len() {
            if let Some(criterion) = self.criterion(stage) {
                problems.inside(&format!("thresholds[{stage}]"), |problems| criterion.check(problems));
            }
        }
        let harder = |pair: &[f64]| if self.metric.is_loss() { pair[1] < pair[0] } else { pair[1] > pair[0] };
        let ordered = self.thresholds.windows(2).all(harder);
        problems.require(ordered, "thresholds", format!("{:?}", self.thresholds), "each harder than the one before");
    }

    fn needs(&self, _: &Registry) -> Properties {
        self.metric.needs().into_iter().collect()
    }

    fn next(&self, history: &History, _: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let Some(present) = history.lesson() else { return Ok(Step::Lesson(lesson(0))) };
        let stage = present.schedule.get(STAGE).map_or(0, |stage| *stage as usize);
        Ok(match self.criterion(stage) {
            Some(criterion) if !criterion.is_met(history) => Step::Lesson(lesson(stage)),
            Some(criterion) if stage + 1 == self.thresholds.len() => Step::Stop { reason: criterion.words() },
            Some(_) => Step::Lesson(lesson(stage + 1)),
            None => Step::Stop { reason: "no further stage".into() },
        })
    }
}

synfire::inventory::submit! { Component::curriculum::<AccuracyStages>("accuracy-stages") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::Stream;
    use synfire::curriculum::{Evaluation, LessonRecord};
    use synfire::task::Objective;

    /// Ask; begin the lesson if it is another.
    fn follow(curriculum: &AccuracyStages, history: &mut History) -> Step {
        let registry = Registry::linked().expect("no duplicates");
        let task = TaskSpec {
            inputs: vec!["x".into()],
            outputs: 1,
            objective: Objective::regress(Some(1.0)),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        };
        let context = LessonContext { registry: &registry, stream: Stream::new(0) };
        let step = curriculum.next(history, &task, &context).expect("in range");
        if let Step::Lesson(lesson) = &step
            && history.lesson() != Some(lesson)
        {
            history.lessons.push(LessonRecord { from: history.updates, lesson: lesson.clone() });
        }
        step
    }

    fn evaluate(history: &mut History, accuracy: f64) {
        history.updates += 1;
        let (update, lesson) = (history.updates, history.lessons.len() - 1);
        let evaluation = Evaluation { update, lesson, trials: 9, loss: 1.0, accuracy: Some(accuracy), heads: vec![] };
        history.evaluations.push(evaluation);
    }

    #[test]
    fn stages_follow_each_other_and_each_takes_its_own_evaluations() {
        let curriculum = AccuracyStages { thresholds: vec![0.5, 0.8], patience: 2, ..AccuracyStages::default() };
        let mut history = History::default();
        assert_eq!(follow(&curriculum, &mut history), Step::Lesson(lesson(0)));
        for (accuracy, stage) in [(0.9, 0), (0.4, 0), (0.6, 0), (0.9, 1), (0.9, 1)] {
            evaluate(&mut history, accuracy);
            assert_eq!(follow(&curriculum, &mut history), Step::Lesson(lesson(stage)), "{accuracy}");
        }
        evaluate(&mut history, 0.8);
        let stop = Step::Stop { reason: "accuracy of at least 0.8, 2 times".into() };
        assert_eq!(follow(&curriculum, &mut history), stop);
        assert_eq!(history.lessons.len(), 2);
    }

    #[test]
    fn thresholds_must_get_harder() {
        let check = |curriculum: AccuracyStages| {
            let mut problems = Problems::under("curriculum");
            curriculum.check(&Registry::linked().expect("no duplicates"), &mut problems);
            problems.into_result().map_err(|error| error.to_string())
        };
        assert!(check(AccuracyStages::default()).is_ok());
        let falling = AccuracyStages { thresholds: vec![0.8, 0.6, 2.0], ..AccuracyStages::default() };
        let message = check(falling).expect_err("two problems");
        assert!(message.contains("curriculum.thresholds is [0.8, 0.6, 2.0], must be each harder"), "{message}");
        assert!(message.contains("curriculum.thresholds[2].threshold is 2"), "{message}");
        let losses = AccuracyStages { metric: Metric::Loss, thresholds: vec![0.4, 0.1], ..AccuracyStages::default() };
        assert!(check(losses.clone()).is_ok());
        assert!(losses.needs(&Registry::linked().expect("no duplicates")).is_empty());
        assert!(check(AccuracyStages { thresholds: vec![], ..AccuracyStages::default() }).is_err());
    }
}
