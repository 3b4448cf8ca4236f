//! Numbers, tables and arrays of measured gates.

use super::figures;
use super::measured::{Measured, tau};
use synfire::storage::array::Array;
use synfire::table::{Table, Value};
use synfire::{Findings, Result};

/// Everything about the networks of each run, in the order of training.
pub(super) fn findings(runs: &[Vec<Measured>]) -> Result<Findings> {
    let mut findings = Findings::new();
    let last: Vec<&Measured> = runs.iter().filter_map(|run| run.last()).collect();
    add_values(&mut findings, &last);
    findings.tables.push(network_table(runs));
    findings.tables.push(unit_table(&last));
    findings.figures.extend(figures::by_level(runs));
    for (index, measured) in last.iter().enumerate() {
        let suffix = if last.len() > 1 { format!(".{index}") } else { String::new() };
        findings.figures.extend(figures::traces(measured, &suffix));
        add_arrays(&mut findings, measured, &suffix)?;
        for gate in &measured.gates {
            let open = gate.units().iter().filter(|kept| **kept >= 1.0).count();
            if open > 0 {
                let (label, name) = (&measured.label, &gate.name);
                findings.note(format!(
                    "{label}: {open} units never forget ('{name}' is 1 to the last digit), so the mean of their timescales is infinite."
                ));
            }
        }
    }
    Ok(findings)
}

/// Of the last network of each run; means where there are several.
fn add_values(findings: &mut Findings, last: &[&Measured]) {
    if last.len() > 1 {
        findings.value("networks", last.len());
    }
    let mut names: Vec<&str> = last.iter().flat_map(|m| &m.gates).map(|gate| gate.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let gates: Vec<_> = last.iter().flat_map(|m| &m.gates).filter(|gate| gate.name == name).collect();
        let mut add = |what: String, of: &dyn Fn(&super::measured::Gate) -> f64| {
            findings.value(what, gates.iter().map(|gate| of(gate)).sum::<f64>() / gates.len() as f64);
        };
        add(format!("mean_{name}"), &|gate| gate.mean());
        add(format!("tau_{name}"), &|gate| gate.tau());
        add(format!("tau_{name}_of_units"), &|gate| gate.tau_of_units().mean);
        add(format!("median_tau_{name}_of_units"), &|gate| gate.tau_of_units().median);
        add(format!("tau_{name}_from_biases"), &|gate| gate.tau_from_biases().mean);
    }
    if last.iter().all(|measured| !measured.ones.is_empty()) {
        findings.value(
            "mean_rate_of_ones",
            last.iter().map(|measured| measured.rate_of_ones()).sum::<f64>() / last.len() as f64,
        );
    }
}

fn level_column(measured: Option<&Measured>) -> &str {
    measured.map_or("level", |measured| &measured.level_name)
}

fn network_table(runs: &[Vec<Measured>]) -> Table {
    let columns = [
        "run",
        "update",
        level_column(runs.iter().flatten().next()),
        "gate",
        "units",
        "mean_gate",
        "tau",
        "tau_of_units",
        "tau_of_units_std",
        "tau_of_units_median",
        "tau_from_biases",
        "tau_from_biases_median",
        "mean_rate_of_ones",
    ];
    let title = "Timescales in steps by which the gates of networks forget";
    let mut table = Table::new("gate_timescales", title, &columns);
    for measured in runs.iter().flatten() {
        for gate in &measured.gates {
            let (units, biases) = (gate.tau_of_units(), gate.tau_from_biases());
            let mut row: Vec<Value> =
                vec![(&measured.label).into(), measured.update.into(), measured.level.into(), (&gate.name).into()];
            row.push(gate.biases.len().into());
            let numbers = [gate.mean(), gate.tau(), units.mean, units.std, units.median, biases.mean, biases.median];
            row.extend(numbers.map(Value::from));
            row.push(Some(measured.rate_of_ones()).filter(|rate| !rate.is_nan()).into());
            table.push(row);
        }
    }
    table
}

fn unit_table(last: &[&Measured]) -> Table {
    let columns = ["run", "gate", "unit", "mean_gate", "tau", "gate_from_biases", "tau_from_biases"];
    let mut table = Table::new("units", "Gate and timescale in steps of each unit of the last network", &columns);
    for measured in last {
        for gate in &measured.gates {
            for (unit, (kept, bias)) in gate.units().into_iter().zip(&gate.biases).enumerate() {
                table.push((&measured.label, &gate.name, unit, kept, tau(kept), *bias, tau(*bias)));
            }
        }
    }
    table
}

fn add_arrays(findings: &mut Findings, measured: &Measured, suffix: &str) -> Result<()> {
    for gate in &measured.gates {
        findings.array(format!("{}_mean{suffix}", gate.name), Array::from_rows(&gate.means)?);
        findings.array(format!("{}_from_biases{suffix}", gate.name), Array::from(gate.biases.clone()));
    }
    if !measured.ones.is_empty() {
        findings.array(format!("rate_of_ones{suffix}"), Array::from(measured.ones.clone()));
    }
    let traces = &measured.traces;
    if !traces.input.is_empty() {
        findings.array(format!("trace_input{suffix}"), Array::from_rows(&traces.input)?);
    }
    for (name, rows) in &traces.series {
        findings.array(format!("trace_{}{suffix}", name.replacen(' ', "_", 1)), Array::from_rows(rows)?);
    }
    Ok(())
}
