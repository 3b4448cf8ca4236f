//! The guard of curricula.

use super::{Guard, tagged};
use crate::curriculum::{Curriculum, History, LessonContext, Step};
use crate::{Problems, Properties, Registry, Result, TaskSpec};
use serde::Serialize;

impl<T: Curriculum + Serialize> Curriculum for Guard<T> {
    tagged!();

    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let facts = || {
            self.needs(registry);
            self.memory(registry);
        };
        self.fence.check(problems, |problems| self.inner.check(registry, problems), facts);
    }

    fn needs(&self, registry: &Registry) -> Properties {
        self.fence.fact("needs", Properties::new(), || self.inner.needs(registry))
    }

    fn next(&self, history: &History, task: &TaskSpec, context: &LessonContext) -> Result<Step> {
        self.fence.call("next", || self.inner.next(history, task, context))
    }

    fn memory(&self, registry: &Registry) -> usize {
        self.fence.fact("memory", 0, || self.inner.memory(registry))
    }
}
