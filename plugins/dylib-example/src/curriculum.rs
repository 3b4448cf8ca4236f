//! A warm-up around any curriculum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{Curriculum, History, LessonContext, Step};
use synfire::{Component, Problems, Properties, Registry, Result, Spec, TaskSpec, inventory};

/// Warm-up around another curriculum: the learning rate rises in stages to its full value.
///
/// What is trained is what `inner` says, which may come from the program or from any plugin. In the first `updates` updates the lesson
/// schedules `learning_rate_factor` = 1/stages, 2/stages, ..., in place of one that `inner` schedules. Rules that know the factor
/// multiply their learning rate with it.
///
/// Source: Goyal et al. 2017, "Accurate, large minibatch SGD", arXiv:1706.02677, section 2.2: gradual warm-up. Differs: in stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DylibExample {
    /// The curriculum that is wrapped.
    pub inner: Spec<dyn Curriculum>,
    /// Updates of the warm-up.
    pub updates: u64,
    /// Number of stages.
    #[schemars(range(min = 1))]
    pub stages: u64,
}

impl Default for DylibExample {
    fn default() -> Self {
        Self { inner: Spec::new("fixed-budget"), updates: 100, stages: 4 }
    }
}

impl DylibExample {
    /// The share of the full learning rate after so many updates.
    fn factor(&self, updates: u64) -> f64 {
        if updates >= self.updates {
            return 1.0;
        }
        let stage = updates as f64 / self.updates as f64 * self.stages as f64;
        (stage.floor() + 1.0) / self.stages as f64
    }
}

#[typetag::serde(name = "dylib-example")]
impl Curriculum for DylibExample {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        problems.require(self.stages >= 1, "stages", self.stages, "at least 1");
        if let Err(error) = registry.build(&self.inner, "inner") {
            for problem in error.into_problems("inner") {
                problems.add(&problem.path, problem.problem, problem.remedy);
            }
        }
    }

    fn needs(&self, registry: &Registry) -> Properties {
        registry.build(&self.inner, "inner").map(|inner| inner.needs(registry)).unwrap_or_default()
    }

    fn next(&self, history: &History, task: &TaskSpec, context: &LessonContext) -> Result<Step> {
        let inner = context.registry.build(&self.inner, "curriculum.inner")?;
        let factor = self.factor(history.updates);
        Ok(match inner.next(history, task, context)? {
            Step::Lesson(mut lesson) => {
                lesson.schedule.insert("learning_rate_factor".into(), factor);
                Step::Lesson(lesson)
            }
            other => other,
        })
    }

    fn memory(&self, registry: &Registry) -> usize {
        registry.build(&self.inner, "inner").map_or(0, |inner| inner.memory(registry))
    }
}

inventory::submit! { Component::curriculum::<DylibExample>("dylib-example") }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_rises_in_stages() {
        let warm_up = DylibExample { updates: 100, stages: 4, ..DylibExample::default() };
        let factors = [0, 24, 25, 50, 75, 99, 100, u64::MAX].map(|updates| warm_up.factor(updates));
        assert_eq!(factors, [0.25, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(DylibExample { updates: 0, ..warm_up }.factor(0), 1.0);
    }

    #[test]
    fn an_unknown_inner_curriculum_is_refused_by_its_path() {
        let registry = Registry::linked().expect("no duplicates");
        let mut problems = Problems::under("curriculum");
        DylibExample { inner: Spec::new("nowhere"), ..DylibExample::default() }.check(&registry, &mut problems);
        let message = problems.into_result().expect_err("unknown").to_string();
        assert!(message.starts_with("curriculum.inner is 'nowhere', an unknown curriculum"), "{message}");
    }
}
