//! What the units of a network do during trials.

mod figures;
mod statistics;

pub use statistics::{Sparseness, UnitStatistics};

use super::choice::{self, TimeAxis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statistics::Statistics;
use synfire::analysis::{Findings, Scope};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::task::Trials;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Lesson, Network, Problems, Registry, Result, Subject};

/// What the units do during trials: rates over time, their spread, their sparseness, and traces beside inputs and outputs.
///
/// Trials of a lesson are played and the rates of all steps kept, `[time, trial, unit]`. A unit's lifetime sparseness over its
/// samples, and the population's sparseness over the units at one moment, is `(1 - mean(|r|)^2 / mean(r^2)) / (1 - 1/n)`: 0 when all
/// are alike, 1 when a single one is active. A unit is silent when its rate never leaves `silence`.
///
/// figures `rates`: units against time in example trials, sorted; `units`: mean rate over time, distributions over units;
/// `traces`: inputs, some units, and outputs with their targets in one trial
/// tables  `unit_statistics`: one row a unit
/// arrays  `mean`, `deviation` `[time, unit]` over trials; `rates` `[time, example, unit]`
///
/// Source: sparseness as in Vinje & Gallant 2000, doi:10.1126/science.287.5456.1273, with the modulus of the rate because model
/// rates may be negative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Activity {
    /// Level that is played; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Trials that are shown as maps of all units.
    #[schemars(range(min = 1))]
    pub examples: usize,
    /// The order of the units in the maps.
    pub order: Order,
    /// Units whose traces are drawn: those with the largest variance over time.
    pub traces: usize,
    /// Modulus below which a rate counts as zero.
    #[schemars(range(min = 0.0))]
    pub silence: f64,
}

/// The order of units in a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By the step at which each has its largest rate in the first example.
    #[default]
    Peak,
    /// By the mean rate over all trials.
    Mean,
    /// As they are numbered.
    Number,
}

impl Default for Activity {
    fn default() -> Self {
        Self { level: None, trials: 64, update: None, examples: 2, order: Order::default(), traces: 6, silence: 1e-6 }
    }
}

/// Trials that were played.
struct Played {
    trials: Trials,
    /// `[time, trial, unit]`
    rates: Tensor,
    /// What each head that the trials ask says at every step, `[time, trial, output]`.
    outputs: Vec<Tensor>,
    axis: TimeAxis,
    title: String,
}

#[typetag::serde(name = "activity")]
impl Analysis for Activity {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        let possible = (1..=self.trials.max(1)).contains(&self.examples);
        problems.require(possible, "examples", self.examples, "at least 1 and at most the number of trials");
        let bound = self.silence.is_finite() && self.silence >= 0.0;
        problems.require(bound, "silence", self.silence, "at least 0");
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let played = self.play(view, &network, &lesson, subject)?;
        let statistics = Statistics::new(&played.rates, self.silence)?;
        let mut findings = Findings::new();
        let Sparseness { lifetime, population } = statistics.sparseness();
        findings.value("units", statistics.units.len());
        findings.value("trials", played.rates.size()[1]);
        findings.value("mean rate", statistics.mean());
        findings.value("deviation over time", statistics.deviation());
        findings.value("deviation over units", statistics.spread());
        findings.value("lifetime sparseness", lifetime);
        findings.value("population sparseness", population);
        let silent = statistics.units.iter().filter(|unit| unit.silent).count();
        findings.value("silent units", silent);
        if silent == statistics.units.len() {
            findings.note("no unit is ever active");
        }
        findings.tables.push(table(&statistics, played.axis));
        let examples = played.rates.narrow(1, 0, (self.examples as i64).min(played.rates.size()[1]));
        findings.array("mean", Array::from(&statistics.mean_over_trials));
        findings.array("deviation", Array::from(&statistics.deviation_over_trials));
        findings.array("rates", Array::from(&examples));
        let order = self.order(&statistics, &examples);
        findings.figures.push(figures::maps(&played, &examples, &order, self.order));
        findings.figures.push(figures::units(&played, &statistics));
        findings.figures.push(figures::traces(&played, &statistics, view, self.traces));
        Ok(findings)
    }
}

impl Activity {
    fn play(&self, view: &RunView, network: &Network, lesson: &Lesson, subject: &Subject) -> Result<Played> {
        let played = view.play(network, lesson, self.trials, Record::Rates, &subject.stream)?;
        let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
        let heads: Vec<usize> = played.trials.targets.iter().map(|target| target.head).collect();
        let outputs = synfire::network::read(&network.parameters, &network.readout, &heads, &rates)?;
        let levels = choice::levels(view, lesson);
        Ok(Played {
            trials: played.trials,
            rates: rates.to_kind(Kind::Double).to_device(synfire::tch::Device::Cpu),
            outputs,
            axis: TimeAxis::new(view, lesson),
            title: if levels.is_empty() { view.label.clone() } else { format!("{}, {levels}", view.label) },
        })
    }

    /// Units from the top of the map to its bottom.
    fn order(&self, statistics: &Statistics, examples: &Tensor) -> Vec<usize> {
        let mut order: Vec<usize> = (0..statistics.units.len()).collect();
        match self.order {
            Order::Number => {}
            Order::Mean => {
                order.sort_by(|a, b| statistics.units[*b].mean.total_cmp(&statistics.units[*a].mean));
            }
            Order::Peak => {
                let peaks = values_f64(&examples.select(1, 0).argmax(0, false));
                order.sort_by(|a, b| peaks[*a].total_cmp(&peaks[*b]));
            }
        }
        order
    }
}

fn table(statistics: &Statistics, axis: TimeAxis) -> Table {
    let peak = format!("peak {}", axis.label());
    let columns = ["unit", "mean", "deviation", "least", "largest", peak.as_str(), "sparseness", "silent"];
    let mut table = Table::new("unit_statistics", "Activity of each unit over all trials and steps", &columns);
    for (index, unit) in statistics.units.iter().enumerate() {
        let peak = axis.at(unit.peak);
        table.push((index, unit.mean, unit.deviation, unit.least, unit.largest, peak, unit.sparseness, unit.silent));
    }
    table
}

synfire::inventory::submit! { Component::analysis::<Activity>("activity") }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_examples_than_trials_are_refused() {
        let registry = Registry::linked().expect("registry");
        let mut problems = Problems::under("analysis");
        Activity { trials: 3, examples: 4, silence: -1.0, ..Activity::default() }.check(&registry, &mut problems);
        let error = problems.into_result().expect_err("two problems").to_string();
        assert_eq!(
            error,
            "analysis.examples is 4, must be at least 1 and at most the number of trials\n\
             analysis.silence is -1, must be at least 0"
        );
    }

    #[test]
    fn units_are_sorted_by_peak_from_the_top() {
        // unit 0 peaks last, unit 1 first, unit 2 in between
        let rates = Tensor::from_slice(&[0.0, 9.0, -8.0, 0.0, 1.0, 1.0, 7.0, 0.0, 0.0]).reshape([3, 1, 3]);
        let statistics = Statistics::new(&rates, 0.0).expect("finite");
        assert_eq!(Activity::default().order(&statistics, &rates), [1, 2, 0]);
        let by_mean = Activity { order: Order::Mean, ..Activity::default() };
        assert_eq!(by_mean.order(&statistics, &rates), [1, 0, 2]);
    }
}
