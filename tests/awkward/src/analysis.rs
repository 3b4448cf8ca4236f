//! An analysis that panics, or computes on the program's threads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::Scope;
use synfire::rollout::Record;
use synfire::subject::At;
use synfire::{Analysis, Component, Findings, Result, Subject, inventory};

/// The number of threads it could use and a sum computed on them; panics if it is told to.
///
/// Source: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Awkward {
    /// Whether it panics.
    panics: bool,
}

#[typetag::serde(name = "awkward")]
impl Analysis for Awkward {
    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(At::Last)?;
        assert!(!self.panics, "nothing to see");
        // Several blocks of rows, so that they are played on the threads of the program.
        let played = view.play(&network, &view.lesson(), 100, Record::Rates, &subject.stream)?;
        let squares = subject.workers.map((0..100u64).collect(), |i| i * i);
        let mut findings = Findings::new();
        findings.value("threads", subject.workers.threads());
        findings.value("sum", squares.iter().sum::<u64>() as f64);
        findings.value("trials", played.trials.batch());
        Ok(findings)
    }
}

inventory::submit! { Component::analysis::<Awkward>("awkward") }
