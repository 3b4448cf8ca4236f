//! Numbers that change in stages, around another curriculum.

mod past;

use past::{STAGE, inner_history, stripped};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::curriculum::{Curriculum, Evaluation, History, LessonContext, Step};
use synfire::{Component, Error, Lesson, Problems, Properties, Property, Registry, Result, Spec, TaskSpec};

/// Numbers that change in stages while another curriculum decides what is trained: `theta` and `beta` of skip connections, the time
/// step, the learning rate.
///
/// Training has `stages` of them, each after the other; the last goes on to the end. A stage is over after `updates_per_stage`, or
/// when `metric` has passed `threshold` in `patience` evaluations of it in a row, whichever comes first. In stage `k`, from 0, each
/// number of `schedule` has its `k`th value: of a list, or on the line `{ from, to }`, `from + (to - from) k / (stages - 1)`, raised
/// to `least` where it is below; a single stage has `to`. Where the inner curriculum goes on to another lesson, the stages go on, or
/// begin again with `again_with_lessons`.
///
/// What the names mean is up to the parts that read them: `theta` and `beta` cells with skips, `repeat` tasks of symbols,
/// `learning_rate_factor` gradient rules. `dt_ms` is the duration of a step: tasks with times in ms draw shorter trials and cells
/// take larger steps, while evaluations stay with the task's own. The number of the stage stands among the metrics as `stage`.
///
/// The inner curriculum sees its own lessons, as if there were no stages, and may end training in any of them.
///
/// Source: Soo, Goudar & Wang 2023, doi:10.1101/2023.10.10.561588: by default `beta` goes from 0 to 1 in eleven stages of 1810 updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Staged {
    /// The curriculum that decides what is trained, and when training ends.
    pub inner: Spec<dyn Curriculum>,
    /// Number of stages.
    #[schemars(range(min = 1))]
    pub stages: usize,
    /// Values of the numbers, by name.
    pub schedule: BTreeMap<String, Course>,
    /// Updates after which a stage is over; left out, only the threshold ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub updates_per_stage: Option<u64>,
    /// The value of `metric` with which a stage is over; left out, only its updates end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The number of an evaluation that decides: `accuracy`, `loss`, `last_accuracy`, `last_loss`, `least_accuracy`.
    pub metric: String,
    /// Number of evaluations in a row that must pass.
    #[schemars(range(min = 1))]
    pub patience: usize,
    /// Whether the stages begin again with each lesson of the inner curriculum.
    pub again_with_lessons: bool,
}

/// The values of a number, stage by stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a list of values, one a stage, or a line { from, to }")]
pub enum Course {
    /// One for each stage.
    Values(Vec<f64>),
    /// On a line.
    Line(Line),
}

/// Values at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// In the first stage.
    pub from: f64,
    /// In the last.
    pub to: f64,
    /// Values below this are raised to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
}

impl Course {
    /// The value in stage `k` of `stages`.
    fn value(&self, k: usize, stages: usize) -> f64 {
        match self {
            Self::Values(values) => values.get(k).or(values.last()).copied().unwrap_or_default(),
            Self::Line(Line { from, to, least }) => {
                let value = match stages {
                    0 | 1 => *to,
                    _ => from + (to - from) * k as f64 / (stages - 1) as f64,
                };
                value.max(least.unwrap_or(f64::NEG_INFINITY))
            }
        }
    }
}

/// The name of the time step among the scheduled numbers.
const DT_MS: &str = "dt_ms";

impl Default for Staged {
    fn default() -> Self {
        Self {
            inner: Spec::new("fixed-budget"),
            stages: 11,
            schedule: BTreeMap::from([("beta".to_string(), Course::Line(Line { from: 0.0, to: 1.0, least: None }))]),
            updates_per_stage: Some(1810),
            threshold: None,
            metric: "accuracy".into(),
            patience: 1,
            again_with_lessons: false,
        }
    }
}

impl Staged {
    fn by_loss(&self) -> bool {
        self.metric.ends_with("loss")
    }

    fn passes(&self, evaluation: &Evaluation, threshold: f64) -> bool {
        evaluation.metric(&self.metric).is_some_and(|value| match self.by_loss() {
            true => value <= threshold,
            false => value >= threshold,
        })
    }

    /// Whether the stage that the last lessons belong to is over.
    fn is_over(&self, history: &History, stage: f64) -> bool {
        let of_stage = |lesson: &Lesson| lesson.schedule.get(STAGE) == Some(&stage);
        let records = history.lessons.iter().rev().take_while(|record| of_stage(&record.lesson));
        let Some(first) = records.last() else { return false };
        let spent = self.updates_per_stage.is_some_and(|updates| history.updates - first.from >= updates);
        let learned = self.threshold.is_some_and(|threshold| {
            let fresh = history.evaluations.last().is_some_and(|e| e.update == history.updates);
            let of_stage = history.evaluations.iter().rev().take_while(|e| e.update > first.from);
            let passed = of_stage.take(self.patience).filter(|e| self.passes(e, threshold)).count();
            fresh && passed == self.patience
        });
        spent || learned
    }

    /// The stage of the next update, after the last lesson and before this one of the inner curriculum.
    fn stage(&self, history: &History, next: &Lesson) -> usize {
        let Some(last) = history.lesson() else { return 0 };
        if self.again_with_lessons && self.strip(last) != *next {
            return 0;
        }
        let stage = last.schedule.get(STAGE).copied().unwrap_or_default();
        let reached = stage as usize + usize::from(self.is_over(history, stage));
        reached.min(self.stages.saturating_sub(1))
    }

    fn strip(&self, lesson: &Lesson) -> Lesson {
        stripped(lesson, self.schedule.keys(), self.schedule.contains_key(DT_MS))
    }

    fn in_stage(&self, stage: usize, lesson: Lesson) -> Lesson {
        let mut lesson = lesson;
        for (name, course) in &self.schedule {
            let value = course.value(stage, self.stages);
            lesson.schedule.insert(name.clone(), value);
            if name == DT_MS {
                lesson.dt_ms = Some(value);
            }
        }
        lesson.schedule.insert(STAGE.into(), stage as f64);
        lesson
    }
}

#[typetag::serde(name = "staged")]
impl Curriculum for Staged {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        problems.require((1..100_000).contains(&self.stages), "stages", self.stages, "between 1 and 99999");
        problems.require(self.patience >= 1, "patience", self.patience, "at least 1");
        if self.updates_per_stage.is_none() && self.threshold.is_none() && self.stages > 1 {
            let remedy = "set updates_per_stage or threshold";
            problems.add("updates_per_stage", "is left out and so is threshold, so no stage would end", remedy);
        }
        if let Some(updates) = self.updates_per_stage {
            problems.require(updates >= 1, "updates_per_stage", updates, "at least 1");
        }
        let known = Evaluation::METRICS.contains(&self.metric.as_str());
        problems.require(known, "metric", &self.metric, &format!("one of {}", Evaluation::METRICS.join(", ")));
        for (name, course) in &self.schedule {
            let field = format!("schedule.{name}");
            match course {
                Course::Values(values) if values.len() != self.stages => {
                    let problem = format!("has {} values for {} stages", values.len(), self.stages);
                    problems.add(&field, problem, "give one for each stage");
                }
                _ => {}
            }
            let values = (0..self.stages.min(100_000)).map(|k| course.value(k, self.stages));
            for value in values.filter(|value| !value.is_finite() || (name == DT_MS && *value <= 0.0)).take(1) {
                problems.add(&field, format_args!("has the value {value}"), "use finite numbers, and times above 0");
            }
            if name == STAGE {
                problems.add(&field, "is the name of the stage itself", "choose another");
            }
        }
        if self.inner.name == "staged" {
            problems.add("inner", "is staged itself", "schedule all numbers in one");
        } else if let Err(error) = registry.build(&self.inner, "inner") {
            problems.inside("inner", |problems| relocate(error, problems));
        }
    }

    fn needs(&self, registry: &Registry) -> Properties {
        let mut needs = registry.build(&self.inner, "inner").map(|inner| inner.needs(registry)).unwrap_or_default();
        if self.schedule.contains_key(DT_MS) {
            needs.insert(Property::TimesInMs);
        }
        if self.threshold.is_some() && !self.by_loss() {
            needs.insert(Property::Accuracy);
        }
        needs
    }

    fn next(&self, history: &History, task: &TaskSpec, context: &LessonContext) -> Result<Step> {
        let inner = context.registry.build(&self.inner, "curriculum.inner")?;
        let own = inner_history(history, |lesson| self.strip(lesson));
        match inner.next(own.as_ref().unwrap_or(history), task, context)? {
            Step::Lesson(lesson) => {
                let stage = self.stage(history, &lesson);
                Ok(Step::Lesson(self.in_stage(stage, lesson)))
            }
            other => Ok(other),
        }
    }

    fn memory(&self, registry: &Registry) -> usize {
        registry.build(&self.inner, "inner").map_or(0, |inner| inner.memory(registry))
    }
}

synfire::inventory::submit! { Component::curriculum::<Staged>("staged") }

/// Report the problems of the inner curriculum at this place.
fn relocate(error: Error, problems: &mut Problems) {
    for problem in error.into_problems("inner") {
        let field = problem.path.strip_prefix("inner").unwrap_or(&problem.path).trim_start_matches('.').to_string();
        problems.add(&field, problem.problem, problem.remedy);
    }
}

#[cfg(test)]
mod tests;
