//! Pictures of dimensions.

use super::measured::Measured;
use crate::correlation::Regression;
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Panel, Rule, Scatter};

/// Running share of the variance over components, a line for each trial, coloured by its rate of ones where there is one.
pub(super) fn variance(network: &Measured, threshold: f64, label: &str) -> Figure {
    let widest = network.trials.iter().map(|trial| trial.dimension).max().unwrap_or(0);
    let shown = network.units().min((2 * widest).max(20));
    let components: Vec<usize> = (1..=shown).collect();
    let mut panel = Panel::new("").x("components").y(Axis::new("variance explained").limits(0.0, 1.03));
    for trial in &network.trials {
        let colour = trial.rate.map_or(Colour::palette(0), |rate| ColourMap::Sequential.at(0.9 * rate));
        panel =
            panel.mark(Line::new(&components, &trial.cumulative[..shown.min(trial.cumulative.len())]).colour(colour));
    }
    panel = panel.mark(Rule::horizontal(threshold).label("threshold"));
    let colours = if network.rate().is_some() { "; the lighter, the higher its rate of ones" } else { "" };
    Figure::new("variance", format!("Variance by number of principal components: {label}")).panel(panel).caption(format!(
        "Running share of the variance in each trial{colours}. Dimension: where it reaches the threshold, {:.1} on average over \
         {} trials.",
        network.dimension().mean,
        network.trials.len()
    ))
}

/// The dimension of each trial against its rate of ones; nothing where rates do not differ.
pub(super) fn by_rate(network: &Measured, label: &str) -> Option<Figure> {
    network.rate().filter(|rate| rate.deviation > 1e-9)?;
    let rates: Vec<f64> = network.trials.iter().filter_map(|trial| trial.rate).collect();
    let dimensions: Vec<usize> = network.trials.iter().map(|trial| trial.dimension).collect();
    let ratios: Vec<f64> = network.trials.iter().map(|trial| trial.participation_ratio).collect();
    let panel = Panel::new("")
        .x(Axis::new("rate of ones").limits(0.0, 1.0))
        .y("dimension")
        .mark(Scatter::new(&rates, dimensions).colour(Colour::palette(0)).label("components to the threshold"))
        .mark(Scatter::new(&rates, ratios).colour(Colour::palette(1)).hollow().label("participation ratio"));
    let caption = "Each trial of the simulation against the probability of ones in its input.";
    Some(Figure::new("dimension-by-rate", format!("Dimension and rate of ones: {label}")).panel(panel).caption(caption))
}

/// Mean dimension against the level reached, with the line through them; nothing where there is one network.
pub(super) fn by_level(
    networks: &[Measured],
    line: Option<&Regression>,
    fit_level: usize,
    (label, level): (&str, &str),
) -> Option<Figure> {
    let of_level: Vec<(f64, &Measured)> =
        networks.iter().filter_map(|network| network.level.map(|level| (level as f64, network))).collect();
    if of_level.len() < 2 {
        return None;
    }
    let x: Vec<f64> = of_level.iter().map(|(level, _)| *level).collect();
    let course = |title: &str, pick: fn(&Measured) -> (f64, f64)| {
        let (y, deviation): (Vec<f64>, Vec<f64>) = of_level.iter().map(|(_, network)| pick(network)).unzip();
        Panel::new(title)
            .x(Axis::new(level).whole())
            .y("dimension")
            .mark(Scatter::new(&x, y).deviation(deviation).colour(Colour::palette(0)))
    };
    let mut dimension =
        course("components to the threshold", |network| (network.dimension().mean, network.dimension().deviation));
    if let Some(line) = line {
        let fitted = x.iter().copied().filter(|level| *level <= fit_level as f64);
        let (low, high) = fitted.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        let text = format!("{:.3} per {level}, r = {:.2}", line.slope, line.r);
        dimension = dimension
            .mark(Line::new([low, high], [line.at(low), line.at(high)]).colour(Colour::palette(1)).label(text));
    }
    let ratio = course("participation ratio", |network| (network.ratio().mean, network.ratio().deviation));
    let title = format!("Dimension of the activity by {level}: {label}");
    Some(Figure::new("dimension-by-level", title).panel(dimension).panel(ratio).caption(format!(
        "Mean and deviation over trials at the end of training on each {level}; the line is a least-squares fit of those up to \
         {fit_level}."
    )))
}
