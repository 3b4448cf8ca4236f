//! The parts of the performance in ring tasks.

use crate::tasks::{RULES, by_rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Bars, Figure, Panel};
use synfire::rollout::Record;
use synfire::subject::At;
use synfire::table::Table;
use synfire::tch::Kind;
use synfire::{Analysis, Component, Problems, Registry, Result, Subject};

/// How a network does each ring task: fixating, letting go, going to the right angle, and the performance they make together.
///
/// Needs a ring task, or the battery of them. Trials are drawn as in an evaluation.
///
/// figures `performance-by-task`: a bar a task
/// tables  `performance`: one row a task
///
/// Source: Soo, Goudar & Wang 2023, doi:10.1101/2023.10.10.561588, whose number of trials is the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RingPerformance {
    /// Number of trials; the battery deals them out to its tasks.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; left out, the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

impl Default for RingPerformance {
    fn default() -> Self {
        Self { trials: 200, update: None }
    }
}

#[typetag::serde(name = "ring-performance")]
impl Analysis for RingPerformance {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
    }

    fn task_options(&self) -> Map<String, Value> {
        // Only ring tasks have epochs of these names; others refuse the option.
        Map::from_iter([("timing".to_string(), json!({}))])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let run = subject.run()?;
        let network = run.network(self.update.map_or(At::Last, At::Update))?;
        let lesson = synfire::Lesson { dt_ms: None, ..run.lesson() };
        let played = run.play(&network, &lesson, self.trials, Record::Rates, &subject.stream)?;
        let output = played.outputs.first().map(synfire::tch::Tensor::shallow_clone).unwrap_or_default();
        let found = by_rule(&played.trials, &output)?;
        let mut findings = Findings::new();
        let mean = |of: &dyn Fn(&crate::tasks::Performance) -> f64| {
            let rows: usize = found.values().map(|(rows, _)| rows.len()).sum();
            found.values().map(|(rows, p)| rows.len() as f64 * of(p)).sum::<f64>() / rows.max(1) as f64
        };
        findings.value("performance", mean(&|p| p.performance));
        findings.value("fixation", mean(&|p| p.fixation));
        findings.value("release", mean(&|p| p.release));
        findings.value("response", mean(&|p| p.response));
        let activity = played.rates.as_ref().map(|rates| rates.abs().mean(Kind::Double).double_value(&[]));
        findings.value("mean activity", activity);
        findings.value("trials", self.trials);
        let columns = ["task", "trials", "performance", "fixation", "release", "response"];
        let mut table = Table::new("performance", "Performance by task", &columns);
        let name = |rule: usize| RULES.get(rule).map_or("", |rule| rule.name);
        for (rule, (rows, p)) in &found {
            table.push((name(*rule), rows.len(), p.performance, p.fixation, p.release, p.response));
        }
        findings.tables.push(table);
        let heights: Vec<f64> = found.values().map(|(_, p)| p.performance).collect();
        let panel = Panel::new("")
            .x(Axis::new("task").categories(found.keys().map(|rule| name(*rule))))
            .y(Axis::new("performance").limits(0.0, 1.02))
            .mark(Bars::new(found.keys().map(|rule| name(*rule)), heights));
        let figure = Figure::new("performance-by-task", format!("Performance: {}", run.label)).panel(panel);
        findings.figures.push(figure.caption(format!("{} trials without jitter, step by step.", self.trials)));
        Ok(findings)
    }
}

synfire::inventory::submit! { Component::analysis::<RingPerformance>("ring-performance") }
