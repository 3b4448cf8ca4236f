//! Autocorrelations with their fits, the distribution of timescales, and timescales against trained time constants and level.

use super::measured::Measured;
use std::collections::BTreeMap;
use synfire::figure::{Axis, Colour, Figure, Histogram, Line, Panel, Rule, Scatter};

/// Example units by their rank among the kept ones.
const RANKS: [f64; 4] = [0.1, 0.5, 0.9, 1.0];
/// Points of a drawn fit for each step.
const FINE: usize = 10;

/// Example units with their fits, and the course over all lags.
pub(super) fn autocorrelation(measured: &Measured, suffix: &str) -> Figure {
    let fitted = measured.fit.fit_lag;
    let mut examples = Panel::new("autocorrelation of example units")
        .x("lag (steps)")
        .y(Axis::new("autocorrelation").log().limits(LEAST, 1.1));
    for (index, unit) in example_units(measured).into_iter().enumerate() {
        let (Some(curve), Some(fit)) = (&measured.curves[unit], measured.fits[unit].as_ref().and_then(|f| f.chosen()))
        else {
            continue;
        };
        let colour = Colour::palette(index);
        let shown = 0..=fitted.min(curve.len() - 1);
        let points = Scatter::new(shown.clone(), &curve[shown]).colour(colour);
        let lags: Vec<f64> = (0..=fitted * FINE).map(|i| i as f64 / FINE as f64).collect();
        let values: Vec<f64> = lags.iter().map(|lag| fit.at(*lag)).collect();
        let label = format!("unit {unit}: {:.1} steps", fit.slowest().tau_steps);
        examples = examples.mark(points).mark(Line::new(lags, values).colour(colour).label(label));
    }
    let mut course = Panel::new("of all units above one step, and of their sum").x("lag (steps)").y("autocorrelation");
    let mut shown = 0;
    let kept: Vec<&Vec<f64>> = measured.kept().iter().filter_map(|(unit, _)| measured.curves[*unit].as_ref()).collect();
    if let Some(lags) = kept.first().map(|curve| curve.len()) {
        let quantiles: Vec<[f64; 3]> =
            (0..lags).map(|lag| quartiles(kept.iter().map(|curve| curve[lag]).collect())).collect();
        shown = quantiles.iter().position(|q| q[1].abs() < VISIBLE).unwrap_or(lags);
        let quantile = |index: usize| quantiles.iter().map(|q| q[index]).collect::<Vec<_>>();
        let line = Line::of(quantile(1)).band(quantile(0), quantile(2)).label("units, median and quartiles");
        course = course.mark(line.colour(Colour::palette(0)));
    }
    if let Some(population) = &measured.population {
        shown = shown.max(population.iter().position(|value| value.abs() < VISIBLE).unwrap_or(0));
        course = course.mark(Line::of(population).colour(Colour::palette(1)).label("sum over units"));
    }
    // As far again as it takes to fall to nothing.
    let shown =
        (2 * shown).clamp(fitted, measured.population.as_ref().map_or(fitted, |lags| lags.len() - 1).max(fitted));
    course.x = course.x.limits(0.0, shown as f64);
    course = course.mark(Rule::horizontal(0.0));
    if shown > fitted {
        course = course.mark(Rule::vertical(fitted as f64).label("largest lag fitted"));
    }
    Figure::new(format!("autocorrelation{suffix}"), network(measured))
        .caption(
            "Left: units at the tenth, fiftieth and ninetieth percentile of the timescales above one step, and the slowest one; \
             points are measured, lines the chosen fit. What is not positive cannot be drawn. Right: all units with a timescale \
             above one step, and the sum over all units.",
        )
        .panel(examples)
        .panel(course)
}

/// Smallest autocorrelation that is drawn on the logarithmic axis, and smallest one that can be seen on the linear one.
const LEAST: f64 = 1e-3;
const VISIBLE: f64 = 0.03;

/// How timescales are distributed over units.
pub(super) fn distribution(measured: &Measured, suffix: &str) -> Figure {
    let summary = measured.summary();
    let mut panel = Panel::new(format!(
        "timescales: {} of {} units above one step, {} silent",
        measured.kept().len(),
        measured.fits.len(),
        measured.silent()
    ));
    panel = panel.x(Axis::new("timescale (steps)").log()).y("units");
    let taus: Vec<f64> = measured.kept_taus();
    if !taus.is_empty() {
        panel = panel
            .mark(Histogram::new(&taus).bins(30))
            .mark(Rule::vertical(summary.mean).colour(Colour::palette(1)).label(format!("mean {:.2}", summary.mean)))
            .mark(
                Rule::vertical(summary.median)
                    .colour(Colour::palette(2))
                    .label(format!("median {:.2}", summary.median)),
            );
    }
    Figure::new(format!("timescale-distribution{suffix}"), network(measured))
        .caption(format!(
            "Slowest exponential of each unit's chosen fit; timescales of {} steps lie at the bound of the search.",
            measured.fit.largest_tau_steps
        ))
        .panel(panel)
}

/// Timescales against trained time constants, where each unit has one.
pub(super) fn against_trained(measured: &Measured, suffix: &str) -> Option<Figure> {
    if measured.origin.trained.len() != measured.fits.len() {
        return None;
    }
    let (x, y): (Vec<f64>, Vec<f64>) =
        measured.kept().into_iter().map(|(unit, c)| (measured.origin.trained[unit], c.tau_steps)).unzip();
    if x.is_empty() {
        return None;
    }
    let ends =
        |values: &[f64]| values.iter().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(*v), high.max(*v)));
    let (low, high) = (ends(&x).0.max(ends(&y).0), ends(&x).1.min(ends(&y).1));
    let mut panel = Panel::new("timescales and time constants")
        .x("trained time constant (steps)")
        .y(Axis::new("network timescale (steps)").log());
    panel = panel.mark(Scatter::new(&x, &y).colour(Colour::palette(0)));
    if high > low {
        let steps: Vec<f64> = (0..=50).map(|i| low + (high - low) * f64::from(i) / 50.0).collect();
        panel = panel.mark(Line::new(&steps, &steps).dashed().colour(Colour::GREY).label("equal"));
    }
    let figure = Figure::new(format!("timescales-against-trained{suffix}"), network(measured));
    Some(figure.caption("Each point is a unit with a network timescale above one step.").panel(panel))
}

/// Mean, spread and number of timescales against the level, where several networks of a run were measured.
pub(super) fn over_training(runs: &[Vec<Measured>]) -> Option<Figure> {
    let by_level: Vec<BTreeMap<usize, &Measured>> = runs
        .iter()
        .map(|run| run.iter().filter_map(|measured| measured.origin.level.map(|level| (level, measured))).collect())
        .collect();
    if by_level.iter().all(|levels| levels.len() < 2) {
        return None;
    }
    let name = runs.iter().flatten().next().map_or("level", |measured| &measured.origin.level_name);
    let mut panels = [
        ("mean timescale", "timescale (steps)"),
        ("standard deviation", "timescale (steps)"),
        ("units above one step", "units"),
    ]
    .map(|(title, y)| Panel::new(title).x(Axis::new(name).whole()).y(y));
    let picks: [fn(&Measured) -> f64; 3] = [|m| m.summary().mean, |m| m.summary().std, |m| m.kept().len() as f64];
    for (index, levels) in by_level.iter().enumerate() {
        for (panel, pick) in panels.iter_mut().zip(picks) {
            let x: Vec<usize> = levels.keys().copied().collect();
            let y: Vec<f64> = levels.values().map(|measured| pick(measured)).collect();
            let line = Line::new(x, y).dots().colour(Colour::palette(index));
            let label = levels.values().next().map_or("", |measured| &measured.origin.label);
            panel.marks.push(if runs.len() > 1 { line.label(label) } else { line }.into());
        }
    }
    if let [run] = runs
        && let Some(untrained) = run.first().filter(|measured| measured.origin.level.is_none())
    {
        for (panel, pick) in panels.iter_mut().zip(picks) {
            panel.marks.push(Rule::horizontal(pick(untrained)).label("before training").into());
        }
    }
    let title = match runs {
        [run] => run.first().map_or_else(String::new, |measured| measured.origin.label.clone()),
        _ => String::new(),
    };
    let figure = Figure::new("timescales-by-level", title);
    let caption = "Over the units with a timescale above one step, at the end of training on each level.";
    Some(figure.caption(caption).panels(panels))
}

/// Which network a figure is of.
fn network(measured: &Measured) -> String {
    let origin = &measured.origin;
    match (origin.level, origin.update) {
        (Some(level), _) => format!("{}, {} = {level}", origin.label, origin.level_name),
        (None, Some(0)) => format!("{} before training", origin.label),
        _ => origin.label.clone(),
    }
}

/// Kept units at some ranks by timescale, each once.
fn example_units(measured: &Measured) -> Vec<usize> {
    let mut kept = measured.kept();
    kept.sort_by(|a, b| a.1.tau_steps.total_cmp(&b.1.tau_steps));
    let last = kept.len().saturating_sub(1) as f64;
    let mut units: Vec<usize> =
        RANKS.iter().filter_map(|rank| kept.get((rank * last).round() as usize)).map(|k| k.0).collect();
    units.dedup();
    units
}

/// Lower quartile, median and upper quartile of a list that is not empty, by the nearest rank.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let last = (values.len() - 1) as f64;
    [0.25, 0.5, 0.75].map(|share| values[(share * last).round() as usize])
}
