//! Conformance checks: what every component promises, run over a registry.
//!
//! A plugin crate's test reads:
//!
//! ```ignore
//! #[test]
//! fn conformance() {
//!     synfire::testing::assert_conforms(env!("CARGO_CRATE_NAME"));
//! }
//! ```

mod cell;
mod curriculum;
mod options;
mod task;
mod training;

pub use training::{small, train_in_two_ways};

use crate::{Component, Error, Kind, Registry, Result};
use std::fmt::Display;

/// What went wrong with one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind and name.
    pub component: String,
    /// What it does not do.
    pub problem: String,
}

/// Collects failures of one component.
pub(crate) struct Findings<'a> {
    component: &'a Component,
    failures: &'a mut Vec<Failure>,
}

impl Findings<'_> {
    fn fail(&mut self, problem: impl Display) {
        let component = format!("{} '{}'", self.component.kind, self.component.name);
        self.failures.push(Failure { component, problem: problem.to_string() });
    }

    fn require(&mut self, condition: bool, problem: impl Display) {
        if !condition {
            self.fail(problem);
        }
    }

    /// The value of a step that must work.
    fn value<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.fail(format_args!("{what}: {error}"))).ok()
    }
}

/// Check every component that `crate_name` brings; all of the registry's if it is empty.
///
/// Checked of all: documentation, source, defaults that pass their own check, options that survive TOML and JSON, unknown options
/// refused. Of tasks: shapes, finite numbers, the same stream gives the same bytes, scores that add up over rows. Of cells: shapes,
/// finite numbers, the fast path and the gradient against step by step and finite differences, rows independent of each other.
/// Of curricula: a function of the history alone, levels that the task has. Of rules: training that is saved, restored and continued
/// gives the same bytes as training in one go.
///
/// # Errors
/// When the registry cannot be built.
pub fn conformance(crate_name: &str) -> Result<Vec<Failure>> {
    let registry = Registry::linked()?;
    let mut failures = Vec::new();
    let mine = |component: &&Component| crate_name.is_empty() || component.crate_name() == crate_name;
    let components: Vec<&'static Component> = registry.iter().filter(mine).collect();
    if components.is_empty() {
        return Err(Error::Failed(format!("the crate '{crate_name}' registers no component")));
    }
    for component in components {
        let mut findings = Findings { component, failures: &mut failures };
        options::check(&registry, &mut findings);
        match component.kind {
            Kind::Task => task::check(&registry, &mut findings),
            Kind::Cell => cell::check(&registry, &mut findings),
            Kind::Curriculum => curriculum::check(&registry, &mut findings),
            Kind::Rule => training::check(&registry, &mut findings),
            Kind::Analysis | Kind::Format => {}
        }
    }
    Ok(failures)
}

/// Run [`conformance`] and panic with every failure; for tests.
///
/// # Panics
/// When a component does not conform, listing all failures.
pub fn assert_conforms(crate_name: &str) {
    let failures = conformance(crate_name).unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<String> = failures.iter().map(|f| format!("  {}: {}", f.component, f.problem)).collect();
    assert!(lines.is_empty(), "{} failures:\n{}", lines.len(), lines.join("\n"));
}
