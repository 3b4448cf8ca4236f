//! The kit: what every component promises, checked over a registry. It is for crates of this workspace and for external plugins alike.
//!
//! A crate's test reads:
//!
//! ```ignore
//! // Mentioned, so that it is linked and its components are registered.
//! use my_plugin as _;
//!
//! #[test]
//! fn every_component_conforms() {
//!     synfire::testing::assert_conforms("my_plugin");
//! }
//! ```
//!
//! Components are trained and looked at together with those that the test links; where it links none, small stand-ins take the places
//! of the program's most common ones ([`registry`]).

mod analysis;
mod cell;
mod curriculum;
mod experiments;
mod format;
mod options;
mod reference;
mod task;
#[cfg(test)]
mod tests;
mod training;

pub use experiments::{assert_experiments, experiments};
pub use reference::registry;
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

/// Check every component that `crate_name` brings, as `env!("CARGO_CRATE_NAME")` writes it; all linked ones if it is empty.
///
/// | of | is checked |
/// |---|---|
/// | all | manual, source and a description of every option; defaults pass their own check; options survive TOML and JSON; unknown ones are refused |
/// | tasks | shapes, finite numbers, the same stream gives the same bytes and another one others, scores that add up over rows, gradients of the score against finite differences, closed loops that can be played twice |
/// | cells | shapes, finite numbers, fast path and gradient against step by step and finite differences, rows that do not see each other, a drive that does what is declared |
/// | curricula | decisions that depend on the history alone, levels that the task has, reasons |
/// | tasks, cells, curricula, rules | training that is saved, restored and continued gives the same bytes as training in one go |
/// | analyses | the same findings at any number of threads, which come back from their files |
/// | formats | rubbish is refused, a network that can be written comes back |
///
/// # Errors
/// When the registry cannot be built, or the crate brings nothing.
pub fn conformance(crate_name: &str) -> Result<Vec<Failure>> {
    let registry = registry()?;
    let linked = Registry::linked()?;
    let mine = |component: &Component| match crate_name {
        "" => linked.find(component.kind, component.name).is_ok(),
        name => component.crate_name() == name,
    };
    if !registry.iter().any(&mine) {
        return Err(Error::Failed(format!(
            "the crate '{crate_name}' registers no component; write `use {crate_name} as _;` in the test"
        )));
    }
    Ok(check(&registry, mine))
}

/// Check the components of a registry that `wanted` accepts, as [`conformance`] does.
pub fn check(registry: &Registry, wanted: impl Fn(&Component) -> bool) -> Vec<Failure> {
    let mut failures = Vec::new();
    for component in registry.iter().filter(|component| wanted(component)) {
        let mut findings = Findings { component, failures: &mut failures };
        if !options::check(registry, &mut findings) {
            continue;
        }
        match component.kind {
            Kind::Task => task::check(registry, &mut findings),
            Kind::Cell => cell::check(registry, &mut findings),
            Kind::Curriculum => curriculum::check(registry, &mut findings),
            Kind::Analysis => analysis::check(registry, &mut findings),
            Kind::Format => format::check(registry, &mut findings),
            Kind::Rule => {}
        }
        if matches!(component.kind, Kind::Task | Kind::Cell | Kind::Curriculum | Kind::Rule) {
            training::check(registry, &mut findings);
        }
    }
    failures
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
