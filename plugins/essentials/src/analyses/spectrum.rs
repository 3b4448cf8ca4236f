//! Eigenvalues and singular values of recurrent weights.

use super::choice;
use crate::eigen::{self, Complex, departure_from_normality, modulus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::cell::Setting;
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule, Scatter};
use synfire::recurrence::{LEAK, RECURRENT};
use synfire::storage::array::Array;
use synfire::subject::At;
use synfire::table::Table;
use synfire::tch::no_grad;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Network, Problems, Properties, Property, Registry, Result, Subject};

/// Eigenvalues and singular values of the recurrent weights before and after training.
///
/// The weights are the effective ones `W` of a rate network (masks, signs and ranks applied), or the parameter named by `weight`,
/// which must be square, of any cell. The spectral radius is the largest modulus of an eigenvalue, the departure from normality
/// `sqrt(|W|^2 - sum |lambda|^2) / |W|` with the Frobenius norm `|W|`: 0 for a normal matrix, 1 for a pure feed-forward chain. For a
/// rate network the matrix of one step at unit slope, `diag(1 - alpha) + diag(alpha) W` with the leaks `alpha`, is shown as well: an
/// eigenvalue `m` of it decays with the time constant `-1 / ln |m|` steps, and beyond the unit circle activity grows until the
/// non-linearity holds it.
///
/// figures `eigenvalues`: in the complex plane with the unit circle, before and after training; `singular_values`
/// tables  `spectra`: one row a matrix and checkpoint; `slowest_modes`: eigenvalues of the step nearest to the unit circle
/// arrays  `weights_NAME`, `step_NAME` `[unit, 2]` (real, imaginary part), `singular_NAME` `[unit]` with NAME initial or trained
///
/// Source: Rajan & Abbott 2006, doi:10.1103/PhysRevLett.97.188104, for spectra of random recurrent weights; Henrici 1962,
/// doi:10.1007/BF01386294, for the departure from normality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spectrum {
    /// Updates after which the trained network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// A square parameter to look at; left out, the effective weights of a rate network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Modes of the step that are tabulated.
    pub modes: usize,
}

impl Default for Spectrum {
    fn default() -> Self {
        Self { update: None, weight: None, modes: 10 }
    }
}

/// What is known about one network.
struct Spectra {
    name: &'static str,
    update: u64,
    size: usize,
    weights: Vec<Complex>,
    singular: Vec<f64>,
    norm: f64,
    departure: f64,
    /// Of one step at unit slope, for rate networks.
    step: Option<Vec<Complex>>,
}

#[typetag::serde(name = "spectrum")]
impl Analysis for Spectrum {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        let named = self.weight.as_deref() != Some("");
        problems.require(named, "weight", "empty", "the name of a parameter");
    }

    fn needs(&self, _: &Registry) -> Properties {
        self.weight.is_none().then_some(Property::RateForm).into_iter().collect()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let checkpoints = view.checkpoints();
        let last = self.update.or(checkpoints.last().copied()).unwrap_or(0);
        let setting = view.setting(&view.lesson(), &subject.stream)?;
        let mut all = Vec::new();
        let mut findings = Findings::new();
        if checkpoints.contains(&0) && last != 0 {
            all.push(self.spectra(&setting, &view.network(At::Initial)?, "initial", 0)?);
        } else if last != 0 {
            findings.note("the run keeps no checkpoint from before training, so only the trained network is shown");
        }
        all.push(self.spectra(&setting, &view.network(choice::at(self.update))?, "trained", last)?);
        for spectra in &all {
            let of = |what: &str| if all.len() > 1 { format!("{what}, {}", spectra.name) } else { what.to_string() };
            findings.value(of("spectral radius"), radius(&spectra.weights));
            findings.value(of("largest singular value"), spectra.singular.first().copied());
            findings.value(of("departure from normality"), spectra.departure);
            if let Some(step) = &spectra.step {
                findings.value(of("spectral radius of a step"), radius(step));
            }
        }
        findings.tables.push(table(&all));
        if let Some((step, spectra)) = all.last().and_then(|spectra| Some((spectra.step.as_ref()?, spectra))) {
            findings.tables.push(modes(step, spectra, self.modes));
        }
        for spectra in &all {
            let plane =
                |values: &[Complex]| Array::from_rows(&values.iter().map(|v| vec![v.0, v.1]).collect::<Vec<_>>());
            findings.array(format!("weights_{}", spectra.name), plane(&spectra.weights)?);
            if let Some(step) = &spectra.step {
                findings.array(format!("step_{}", spectra.name), plane(step)?);
            }
            let singular = Array::new([spectra.singular.len()], spectra.singular.clone())?;
            findings.array(format!("singular_{}", spectra.name), singular);
        }
        findings.figures.push(plane_figure(&all, &view.label));
        findings.figures.push(singular_figure(&all, &view.label));
        Ok(findings)
    }
}

impl Spectrum {
    fn spectra(&self, setting: &Setting, network: &Network, name: &'static str, update: u64) -> Result<Spectra> {
        let (weights, size, step) = match &self.weight {
            None => {
                let prepared = no_grad(|| network.dynamics.prepare(&network.parameters, setting))?;
                let weights = values_f64(prepared.get(RECURRENT)?);
                let size = network.dynamics.units();
                let step = one_step(&weights, &values_f64(prepared.get(LEAK)?), size);
                (weights, size, Some(step))
            }
            Some(name) => {
                let tensor = network.parameters.find(name).ok_or_else(|| not_square(name, network, None))?;
                match tensor.size()[..] {
                    [rows, columns] if rows == columns => (values_f64(tensor), rows as usize, None),
                    _ => return Err(not_square(name, network, Some(tensor.size()))),
                }
            }
        };
        let found = eigen::eigenvalues(&weights, size)?;
        Ok(Spectra {
            name,
            update,
            size,
            singular: eigen::singular_values(&weights, size, size)?,
            norm: eigen::frobenius(&weights),
            departure: departure_from_normality(&weights, &found),
            weights: found,
            step: step.map(|matrix| eigen::eigenvalues(&matrix, size)).transpose()?,
        })
    }
}

fn not_square(name: &str, network: &Network, shape: Option<Vec<i64>>) -> Error {
    let square = |size: Vec<i64>| matches!(size[..], [rows, columns] if rows == columns);
    let fitting: Vec<&str> = network.parameters.iter().filter(|(_, t)| square(t.size())).map(|(n, _)| n).collect();
    let problem = match shape {
        Some(shape) => format!("is '{name}', which has shape {shape:?} and no eigenvalues"),
        None => format!("is '{name}', which the network has not"),
    };
    let remedy = match fitting.is_empty() {
        true => "the cell has no square weights; use a cell with recurrent.weight".to_string(),
        false => format!("use one of: {}", fitting.join(", ")),
    };
    Error::config("weight", problem, remedy)
}

/// `diag(1 - alpha) + diag(alpha) W`, row-major, with one leak for all units or one for each.
fn one_step(weights: &[f64], leaks: &[f64], size: usize) -> Vec<f64> {
    let leak = |unit: usize| if leaks.len() == 1 { leaks[0] } else { leaks[unit] };
    let entry = |(place, weight): (usize, &f64)| {
        let (row, column) = (place / size, place % size);
        leak(row) * weight + if row == column { 1.0 - leak(row) } else { 0.0 }
    };
    weights.iter().enumerate().map(entry).collect()
}

fn radius(values: &[Complex]) -> Option<f64> {
    values.first().map(|value| modulus(*value))
}

/// Steps after which a mode has fallen to 1/e; infinite on the unit circle, missing outside and at 0.
fn decay_steps(value: Complex) -> Option<f64> {
    let size = modulus(value);
    (size > 0.0 && size <= 1.0).then(|| -1.0 / size.ln()).map(f64::abs)
}

fn table(all: &[Spectra]) -> Table {
    let columns = [
        "network",
        "update",
        "matrix",
        "spectral radius",
        "largest real part",
        "outside the unit circle",
        "largest singular value",
        "norm",
        "departure from normality",
    ];
    let mut table = Table::new("spectra", "Spectra of the recurrent weights", &columns);
    let rightmost = |values: &[Complex]| values.iter().map(|value| value.0).reduce(f64::max);
    let outside = |values: &[Complex]| values.iter().filter(|value| modulus(**value) > 1.0).count();
    for spectra in all {
        table.push((
            spectra.name,
            spectra.update,
            "weights",
            radius(&spectra.weights),
            rightmost(&spectra.weights),
            outside(&spectra.weights),
            spectra.singular.first().copied(),
            spectra.norm,
            spectra.departure,
        ));
        if let Some(step) = &spectra.step {
            let none = None::<f64>;
            table.push((
                spectra.name,
                spectra.update,
                "step",
                radius(step),
                rightmost(step),
                outside(step),
                none,
                none,
                none,
            ));
        }
    }
    table
}

fn modes(step: &[Complex], spectra: &Spectra, count: usize) -> Table {
    let columns = ["mode", "real part", "imaginary part", "modulus", "time constant (steps)", "period (steps)"];
    let title = format!("Slowest modes of a step at unit slope, {} network of {} units", spectra.name, spectra.size);
    let mut table = Table::new("slowest_modes", title, &columns);
    for (index, value) in step.iter().take(count).enumerate() {
        let period = (value.1 != 0.0).then(|| std::f64::consts::TAU / value.1.atan2(value.0).abs());
        table.push((index + 1, value.0, value.1, modulus(*value), decay_steps(*value), period));
    }
    table
}

fn plane_figure(all: &[Spectra], title: &str) -> Figure {
    let circle: Vec<f64> = (0..=180).map(|k| f64::from(k) * std::f64::consts::TAU / 180.0).collect();
    let circle = || {
        let (x, y): (Vec<f64>, Vec<f64>) = circle.iter().map(|angle| (angle.cos(), angle.sin())).unzip();
        Line::new(x, y).colour(Colour::GREY).label("unit circle")
    };
    let widest = |values: &dyn Fn(&Spectra) -> Option<&Vec<Complex>>| {
        let all = all.iter().filter_map(values).flatten().map(|value| value.0.abs().max(value.1.abs()));
        1.08 * all.fold(1.0, f64::max)
    };
    let mut figure = Figure::new("eigenvalues", format!("Eigenvalues: {title}"));
    let mut row = |what: &str, values: &dyn Fn(&Spectra) -> Option<&Vec<Complex>>| {
        let limit = widest(values);
        for spectra in all {
            let Some(found) = values(spectra) else { continue };
            let (x, y): (Vec<f64>, Vec<f64>) = found.iter().copied().unzip();
            let name = if all.len() > 1 { format!("{what}, {}", spectra.name) } else { what.to_string() };
            let colour =
                if spectra.name == "initial" { Colour::GREY.mix(Colour::BLACK, 0.3) } else { Colour::palette(0) };
            let panel = Panel::new(name)
                .x(Axis::new("real part").limits(-limit, limit))
                .y(Axis::new("imaginary part").limits(-limit, limit))
                .equal_units()
                .without_legend()
                .mark(circle())
                .mark(Scatter::new(x, y).colour(colour));
            figure.panels.push(panel);
        }
    };
    row("weights", &|spectra| Some(&spectra.weights));
    row("one step", &|spectra| spectra.step.as_ref());
    let radii: Vec<String> =
        all.iter().map(|s| format!("{:.3} ({})", radius(&s.weights).unwrap_or(0.0), s.name)).collect();
    figure.columns(all.len().max(1)).caption(format!(
        "Eigenvalues of the recurrent weights, and of one step of the network at unit slope where it is a rate network; the circle has radius 1. Spectral radius of the weights: {}.",
        radii.join(", ")
    ))
}

fn singular_figure(all: &[Spectra], title: &str) -> Figure {
    let largest = all.iter().filter_map(|spectra| spectra.singular.first()).copied().fold(1.0, f64::max);
    let mut panel =
        Panel::new("").x("rank").y(Axis::new("singular value").limits(0.0, 1.05 * largest)).mark(Rule::horizontal(1.0));
    for spectra in all {
        let ranks: Vec<f64> = (1..=spectra.singular.len()).map(|rank| rank as f64).collect();
        let colour = if spectra.name == "initial" { Colour::GREY } else { Colour::palette(0) };
        let mut line = Line::new(ranks, &spectra.singular).colour(colour);
        if all.len() > 1 {
            line = line.label(spectra.name);
        }
        panel = panel.mark(line);
    }
    Figure::new("singular_values", format!("Singular values of the recurrent weights: {title}")).panel(panel).caption(
        "Where singular values exceed the moduli of eigenvalues, the weights are not normal and amplify some inputs in passing.",
    )
}

synfire::inventory::submit! { Component::analysis::<Spectrum>("spectrum") }

#[cfg(test)]
mod tests;
