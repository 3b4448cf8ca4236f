//! The guard of analyses.

use super::{Guard, tagged};
use crate::analysis::{Analysis, Findings, Scope};
use crate::subject::Subject;
use crate::{Problems, Properties, Registry, Result};
use serde::Serialize;
use serde_json::{Map, Value};

impl<T: Analysis + Serialize> Analysis for Guard<T> {
    tagged!();

    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let facts = || {
            self.needs(registry);
            self.task_options();
            self.scope();
        };
        self.fence.check(problems, |problems| self.inner.check(registry, problems), facts);
    }

    fn needs(&self, registry: &Registry) -> Properties {
        self.fence.fact("needs", Properties::new(), || self.inner.needs(registry))
    }

    fn task_options(&self) -> Map<String, Value> {
        self.fence.fact("task_options", Map::new(), || self.inner.task_options())
    }

    fn scope(&self) -> Scope {
        self.fence.fact("scope", Scope::Run, || self.inner.scope())
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        self.fence.call("run", || self.inner.run(subject))
    }
}
