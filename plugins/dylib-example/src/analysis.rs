//! How active a network is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Analysis, Scope};
use synfire::figure::{Figure, Histogram, Panel};
use synfire::rollout::Record;
use synfire::subject::At;
use synfire::table::Table;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Component, Error, Findings, Problems, Registry, Result, Subject, inventory};

/// Mean rate of every unit over trials and time, as a whole and in each period of the trial.
///
/// The last network of the run plays fresh trials of the lesson that was trained last.
///
/// Source: none; a mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DylibExample {
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
}

impl Default for DylibExample {
    fn default() -> Self {
        Self { trials: 100 }
    }
}

#[typetag::serde(name = "dylib-example")]
impl Analysis for DylibExample {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(At::Last)?;
        let played = view.play(&network, &view.lesson(), self.trials, Record::Rates, &subject.stream)?;
        let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
        let mean = per_unit(&rates)?;
        let mut findings = Findings::new();
        findings.value("mean rate", average(&mean));
        let mut table = Table::new("periods", "Mean rate in each period", &["period", "steps", "mean rate"]);
        for period in &played.trials.periods {
            let (start, length) = (period.steps.start as i64, period.steps.len() as i64);
            let within = per_unit(&rates.f_narrow(0, start, length)?)?;
            table.push((period.name.as_str(), period.steps.len(), average(&within)));
        }
        findings.tables.push(table);
        let panel = Panel::new("").x("mean rate").y("units").mark(Histogram::new(mean));
        let figure = Figure::new("mean-rates", format!("Mean rates: {}", view.label)).panel(panel);
        findings.figures.push(figure.caption("How the mean rates over trials and time are spread over units."));
        Ok(findings)
    }
}

inventory::submit! { Component::analysis::<DylibExample>("dylib-example") }

/// The mean over time and trials of each unit.
fn per_unit(rates: &Tensor) -> Result<Vec<f64>> {
    Ok(values_f64(&rates.f_mean_dim([0i64, 1].as_slice(), false, Kind::Double)?))
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_time_and_trials() {
        let rates = Tensor::from_slice(&[1.0, 10.0, 3.0, 20.0, 5.0, 30.0, 7.0, 40.0]).reshape([2, 2, 2]);
        assert_eq!(per_unit(&rates).expect("three axes"), [4.0, 25.0]);
        assert!(per_unit(&Tensor::from_slice(&[1.0])).is_err());
    }
}
