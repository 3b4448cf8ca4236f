//! Numbers, tables and arrays of measured networks.

use super::figures;
use super::measured::Measured;
use crate::exponential_fit::Fit;
use synfire::storage::array::Array;
use synfire::table::{Table, Value};
use synfire::{Error, Findings, Result};

/// Everything about the networks of each run or array, in the order of training.
pub(super) fn findings(runs: &[Vec<Measured>]) -> Result<Findings> {
    let mut findings = Findings::new();
    let last: Vec<&Measured> = runs.iter().filter_map(|run| run.last()).collect();
    if last.is_empty() {
        return Err(Error::Failed("there is no checkpoint to look at".into()));
    }
    add_values(&mut findings, &last);
    findings.tables.push(network_table(runs));
    findings.tables.push(unit_table(runs));
    if let Some(figure) = figures::over_training(runs) {
        findings.figures.push(figure);
    }
    for (index, measured) in last.iter().enumerate() {
        let suffix = if last.len() > 1 { format!(".{index}") } else { String::new() };
        findings.figures.push(figures::autocorrelation(measured, &suffix));
        findings.figures.push(figures::distribution(measured, &suffix));
        findings.figures.extend(figures::against_trained(measured, &suffix));
        add_arrays(&mut findings, measured, &suffix)?;
        if measured.broken > 0 {
            let label = &measured.origin.label;
            findings.note(format!(
                "{label}: the activity of {} units was not finite; they count as silent.",
                measured.broken
            ));
        }
    }
    let few = |measured: &&&Measured| measured.kept().len() * 2 < measured.fits.len();
    if last.iter().filter(few).count() > 0 {
        findings.note(
            "More than half of the units of a network have no timescale above one step, so means describe a minority of them.",
        );
    }
    Ok(findings)
}

/// Of the last network of each run; means where there are several.
fn add_values(findings: &mut Findings, last: &[&Measured]) {
    let mean =
        |pick: &dyn Fn(&Measured) -> f64| last.iter().map(|measured| pick(measured)).sum::<f64>() / last.len() as f64;
    if last.len() > 1 {
        findings.value("networks", last.len());
    }
    findings.value("units", mean(&|m| m.fits.len() as f64));
    findings.value("kept", mean(&|m| m.kept().len() as f64));
    findings.value("dropped", mean(&|m| m.dropped() as f64));
    findings.value("silent", mean(&|m| m.silent() as f64));
    findings.value("mean_tau_net", mean(&|m| m.summary().mean));
    findings.value("std_tau_net", mean(&|m| m.summary().std));
    findings.value("median_tau_net", mean(&|m| m.summary().median));
    findings.value("population_tau", mean(&|m| m.population_tau().unwrap_or(f64::NAN)));
    findings.value("criteria_agree", mean(&Measured::agreement));
    findings.value("kept_at_bound", mean(&Measured::at_bound));
    findings.value("kept_of_small_weight", mean(&Measured::small_weight));
    if last.iter().all(|measured| !measured.ones.is_empty()) {
        findings.value("mean_rate_of_ones", mean(&mean_rate));
    }
}

fn mean_rate(measured: &Measured) -> f64 {
    measured.ones.iter().sum::<f64>() / measured.ones.len() as f64
}

fn network_table(runs: &[Vec<Measured>]) -> Table {
    let level = runs.iter().flatten().next().map_or("level", |measured| &measured.origin.level_name);
    let columns = [
        "run",
        "update",
        level,
        "units",
        "kept",
        "dropped",
        "silent",
        "mean",
        "std",
        "median",
        "max",
        "population",
        "criteria_agree",
        "kept_at_bound",
        "kept_of_small_weight",
        "mean_rate_of_ones",
    ];
    let title = "Timescales of networks in steps, over the units with more than one step";
    let mut table = Table::new("timescales", title, &columns);
    for measured in runs.iter().flatten() {
        let (origin, summary) = (&measured.origin, measured.summary());
        let mut row: Vec<Value> = vec![(&origin.label).into(), origin.update.into(), origin.level.into()];
        let counts = [measured.fits.len(), measured.kept().len(), measured.dropped(), measured.silent()];
        row.extend(counts.map(Value::from));
        let numbers = [
            summary.mean,
            summary.std,
            summary.median,
            summary.max,
            measured.population_tau().unwrap_or(f64::NAN),
            measured.agreement(),
            measured.at_bound(),
            measured.small_weight(),
            mean_rate(measured),
        ];
        row.extend(numbers.map(number));
        table.push(row);
    }
    table
}

/// A number, or nothing where it is none.
fn number(value: f64) -> Value {
    Some(value).filter(|value| !value.is_nan()).into()
}

fn unit_table(runs: &[Vec<Measured>]) -> Table {
    let level = runs.iter().flatten().next().map_or("level", |measured| &measured.origin.level_name);
    let columns = [
        "run",
        "update",
        level,
        "unit",
        "tau_net",
        "weight",
        "exponentials",
        "amplitude",
        "tau_single",
        "tau_slow",
        "tau_fast",
        "weight_slow",
        "aic_single",
        "aic_double",
        "bic_single",
        "bic_double",
        "trained_tau",
    ];
    let title = "Timescale of each unit in steps, with the fits of one and two exponentials";
    let mut table = Table::new("units", title, &columns);
    for measured in runs.iter().flatten() {
        let origin = &measured.origin;
        for (unit, fit) in measured.fits.iter().enumerate() {
            let chosen = fit.as_ref().and_then(|fit| fit.chosen());
            let slowest = chosen.map(Fit::slowest);
            let single = fit.as_ref().and_then(|fit| fit.single.as_ref());
            let double = fit.as_ref().and_then(|fit| fit.double.as_ref());
            let part = |fit: Option<&Fit>, index: usize| fit.and_then(|fit| fit.components.get(index).copied());
            table.push(vec![
                Value::from(&origin.label),
                origin.update.into(),
                origin.level.into(),
                unit.into(),
                slowest.map(|component| component.tau_steps).into(),
                slowest.map(|component| component.weight).into(),
                chosen.map(|fit| fit.components.len()).into(),
                chosen.map(|fit| fit.amplitude).into(),
                part(single, 0).map(|component| component.tau_steps).into(),
                part(double, 0).map(|component| component.tau_steps).into(),
                part(double, 1).map(|component| component.tau_steps).into(),
                part(double, 0).map(|component| component.weight).into(),
                single.map(|fit| fit.aic).into(),
                double.map(|fit| fit.aic).into(),
                single.map(|fit| fit.bic).into(),
                double.map(|fit| fit.bic).into(),
                origin.trained_tau(unit).into(),
            ]);
        }
    }
    table
}

fn add_arrays(findings: &mut Findings, measured: &Measured, suffix: &str) -> Result<()> {
    let taus: Vec<f64> = measured.components().map(|c| c.map_or(f64::NAN, |c| c.tau_steps)).collect();
    findings.array(format!("tau_net{suffix}"), Array::from(taus));
    let lags = measured.curves.iter().flatten().map(Vec::len).next().unwrap_or(0);
    let silent = vec![f64::NAN; lags];
    let curves: Vec<f32> =
        measured.curves.iter().flat_map(|curve| curve.as_ref().unwrap_or(&silent)).map(|value| *value as f32).collect();
    findings.array(format!("autocorrelation{suffix}"), Array::new([measured.curves.len(), lags], curves)?);
    if let Some(population) = &measured.population {
        findings.array(format!("population_autocorrelation{suffix}"), Array::from(population.clone()));
    }
    if !measured.ones.is_empty() {
        findings.array(format!("rate_of_ones{suffix}"), Array::from(measured.ones.clone()));
    }
    Ok(())
}
