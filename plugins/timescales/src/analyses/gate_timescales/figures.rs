//! Gate timescales against the level, and what gates do step by step.

use super::measured::{Gate, Measured};
use std::collections::BTreeMap;
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule};

/// A curve of a figure: its name, and its value for a gate.
type Curve = (&'static str, fn(&Gate) -> f64);

const CURVES: [Curve; 3] = [
    ("simulated, of the mean gate", Gate::tau),
    ("simulated, mean of units", |gate| gate.tau_of_units().mean),
    ("from the biases alone", |gate| gate.tau_from_biases().mean),
];

/// Timescales against the level, a panel for each gate, where several networks of a run were measured.
pub(super) fn by_level(runs: &[Vec<Measured>]) -> Option<Figure> {
    let by_level: Vec<BTreeMap<usize, &Measured>> =
        runs.iter().map(|run| run.iter().filter_map(|m| m.level.map(|level| (level, m))).collect()).collect();
    if by_level.iter().all(|levels| levels.len() < 2) {
        return None;
    }
    let first = runs.iter().flatten().next()?;
    let panels = first.gates.iter().enumerate().map(|(place, gate)| {
        let y = Axis::new("timescale (steps)").log();
        let mut panel = Panel::new(format!("{} gates", gate.name)).x(Axis::new(first.level_name.as_str()).whole()).y(y);
        for (run, levels) in by_level.iter().enumerate() {
            for (index, (name, of)) in CURVES.iter().enumerate() {
                let at = |measured: &&Measured| measured.gates.get(place).map_or(f64::NAN, of);
                let (x, y): (Vec<usize>, Vec<f64>) = levels.iter().map(|(level, m)| (*level, at(m))).unzip();
                let line = Line::new(x, y).dots().colour(Colour::palette(index));
                panel = panel.mark(if run == 0 { line.label(*name) } else { line });
            }
        }
        if let [run] = runs
            && let Some(untrained) = run.first().filter(|measured| measured.level.is_none())
            && let Some(gate) = untrained.gates.get(place)
        {
            panel = panel.mark(Rule::horizontal(gate.tau()).label("before training, of the mean gate"));
        }
        panel
    });
    let title = if let [_] = runs { first.label.clone() } else { String::new() };
    let caption = "At the end of training on each level. A unit that keeps the share f of its state in a step forgets with 1 / (1 - f) \
                   steps; colours are the same for all runs.";
    Some(Figure::new("gate-timescales-by-level", title).caption(caption).panels(panels))
}

/// Input, gates and states of some units over some steps.
pub(super) fn traces(measured: &Measured, suffix: &str) -> Option<Figure> {
    let traces = &measured.traces;
    let steps = traces.input.len();
    if steps == 0 {
        return None;
    }
    let panel = |title: &str, rows: &[Vec<f64>]| {
        let count = rows.first().map_or(0, Vec::len);
        let line = |unit: usize| {
            let values: Vec<f64> = rows.iter().map(|row| row[unit]).collect();
            Line::new(0..steps, values).colour(Colour::palette(unit))
        };
        Panel::new(title).x("step").y(title).marks((0..count).map(line))
    };
    let series = traces.series.iter().map(|(name, rows)| panel(name, rows));
    let title = match measured.level {
        Some(level) => format!("{}, {} = {level}", measured.label, measured.level_name),
        None => measured.label.clone(),
    };
    let units = traces.series.values().next().and_then(|rows| rows.first()).map_or(0, Vec::len);
    let caption = format!(
        "The first {units} units in the first trial, from the end of the burn-in on; a colour is a unit. Gates are those of the \
         step, states those after it."
    );
    let figure = Figure::new(format!("gate-traces{suffix}"), title).caption(caption).columns(2);
    Some(figure.panel(panel("input", &traces.input)).panels(series))
}
