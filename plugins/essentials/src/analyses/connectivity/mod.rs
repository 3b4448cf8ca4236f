//! The recurrent weights of each unit against its time constant.

mod figures;
mod weights;

use super::choice;
use crate::correlation::{pearson, spearman};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::recurrence::RECURRENT;
use synfire::storage::array::Array;
use synfire::table::{Table, Value};
use synfire::tch::no_grad;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Network, Properties, Property, Registry, Result, Subject};
use weights::{Statistic, Weights};

/// Mean and deviation of the recurrent weights into and out of each unit, against its time constant.
///
/// The weights are those that act: with signs, masks and the like applied. The connection of a unit to itself is left out: the
/// incoming weights of unit `i` are `W[i, j]`, the outgoing ones `W[j, i]`, over all `j` other than `i`; deviations are divided by
/// the number of weights. Time constants are raw parameters in the unit of the cell. Correlations are over units, by values
/// (Pearson) and by ranks (Spearman). For cells without time constants of their own for each unit the weights are shown alone.
///
/// figures `weights-by-time-constant`, or `weights` where units do not differ in their time constants
/// tables  `units`: one row a unit; `correlations`: of each quantity with the time constant
/// arrays  `incoming_mean`, `incoming_deviation`, `outgoing_mean`, `outgoing_deviation` `[unit]`, `time_constants` `[unit]`
///
/// Source: the finding that units with long time constants have strong negative recurrent weights in Khajehabdollahi, Zeraati,
/// Giannakakis, Schäfer, Martius & Levina 2024, ICLR, arXiv:2309.12927, for which no code is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connectivity {
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

#[typetag::serde(name = "connectivity")]
impl Analysis for Connectivity {
    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::RateForm])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let setting = view.setting(&view.lesson(), &subject.stream)?;
        let prepared = no_grad(|| network.dynamics.prepare(&network.parameters, &setting))?;
        let units = network.dynamics.units();
        let weights = Weights::of(&values_f64(prepared.get(RECURRENT)?), units)?;
        findings(&weights, time_constants(&network).as_deref(), &view.label)
    }
}

/// The time constant of each unit; nothing where there are none, or one for all.
fn time_constants(network: &Network) -> Option<Vec<f64>> {
    let values = network.parameters.find("time_constants").map(values_f64)?;
    (values.len() == network.dynamics.units() && values.len() > 1).then_some(values)
}

fn findings(weights: &Weights, taus: Option<&[f64]>, label: &str) -> Result<Findings> {
    let mut findings = Findings::new();
    findings.value("units", weights.units());
    findings.value("mean weight", weights.mean());
    findings.value("share of negative weights", weights.negative());
    let mut columns = vec!["unit"];
    columns.extend(Statistic::ALL.map(Statistic::phrase));
    columns.extend(taus.map(|_| "time constant"));
    let mut table = Table::new("units", "Recurrent weights of each unit, without its connection to itself", &columns);
    for unit in 0..weights.units() {
        let mut row: Vec<Value> = vec![unit.into()];
        row.extend(Statistic::ALL.map(|statistic| Value::from(weights.get(statistic)[unit])));
        row.extend(taus.map(|taus| Value::from(taus[unit])));
        table.push(row);
    }
    findings.tables.push(table);
    for statistic in Statistic::ALL {
        findings.array(statistic.name(), Array::from(weights.get(statistic).to_vec()));
    }
    if let Some(taus) = taus {
        findings.array("time_constants", Array::from(taus.to_vec()));
        let columns = ["quantity", "pearson", "spearman", "units"];
        let mut table = Table::new("correlations", "Correlation with the time constant, over units", &columns);
        for statistic in Statistic::ALL {
            let values = weights.get(statistic);
            let (by_value, by_rank) = (pearson(taus, values), spearman(taus, values));
            table.push((statistic.phrase(), by_value, by_rank, taus.len()));
            findings.value(format!("correlation with {}", statistic.phrase()), by_value);
        }
        if pearson(taus, taus).is_none() {
            findings.note("all time constants are the same, so that nothing can be correlated with them");
        }
        findings.tables.push(table);
        findings.figures.push(figures::by_time_constant(weights, taus, label));
    } else {
        findings.note("units have no time constants of their own; the weights are shown alone");
        findings.figures.push(figures::alone(weights, label));
    }
    Ok(findings)
}

synfire::inventory::submit! { Component::analysis::<Connectivity>("connectivity") }

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Values of NumPy and SciPy, made by `tests/fixtures/connectivity.py`.
    #[derive(Deserialize)]
    struct Oracle {
        weights: Vec<Vec<f64>>,
        time_constants: Vec<f64>,
        incoming_mean: Vec<f64>,
        incoming_deviation: Vec<f64>,
        outgoing_mean: Vec<f64>,
        outgoing_deviation: Vec<f64>,
        pearson: Vec<f64>,
        spearman: Vec<f64>,
    }

    #[test]
    fn weights_and_correlations_are_those_of_scipy() {
        let oracle: Oracle =
            serde_json::from_str(include_str!("../../../tests/fixtures/connectivity.json")).expect("fixture");
        let weights = Weights::of(&oracle.weights.concat(), oracle.weights.len()).expect("square");
        let findings = findings(&weights, Some(&oracle.time_constants), "x").expect("finds");
        let expected = [
            ("incoming_mean", oracle.incoming_mean),
            ("incoming_deviation", oracle.incoming_deviation),
            ("outgoing_mean", oracle.outgoing_mean),
            ("outgoing_deviation", oracle.outgoing_deviation),
        ];
        // Sums over 19 numbers of order 1 in double precision, in another order.
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        for (name, expected) in expected {
            findings.arrays[name].to_f64().iter().zip(expected).for_each(|(found, expected)| close(*found, expected));
        }
        let table = findings.tables.iter().find(|table| table.name == "correlations").expect("there");
        for (row, (by_value, by_rank)) in table.rows.iter().zip(oracle.pearson.iter().zip(&oracle.spearman)) {
            let [_, Value::Number(pearson), Value::Number(spearman), _] = row[..] else { panic!("{row:?}") };
            close(pearson, *by_value);
            close(spearman, *by_rank);
        }
        assert_eq!(findings.figures[0].panels.len(), 4);
        assert!(findings.figures[0].to_svg().is_ok());
    }

    #[test]
    fn without_time_constants_the_weights_stand_alone() {
        let weights = Weights::of(&[9.0, 1.0, -2.0, 9.0], 2).expect("square");
        let findings = findings(&weights, None, "x").expect("finds");
        assert_eq!(findings.tables.len(), 1);
        assert_eq!(findings.values["share of negative weights"], Value::Number(0.5));
        assert_eq!(findings.arrays["incoming_mean"].to_f64(), [1.0, -2.0]);
        assert_eq!(findings.arrays["outgoing_mean"].to_f64(), [-2.0, 1.0]);
        assert!(findings.figures[0].to_svg().is_ok());
        let single = Weights::of(&[3.0], 1).expect("square");
        assert!(single.get(Statistic::IncomingMean)[0].is_nan());
    }
}
