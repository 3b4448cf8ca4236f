//! Pictures of the effect of silencing.

use super::{Group, Outcome, Ranking};
use synfire::figure::{Axis, Bars, Colour, Figure, Line, Panel, Rule, Scatter};

/// Up to this many variants each get a bar with the unit's number.
const NAMED_BARS: usize = 40;

/// One group: variants sorted by effect, and against the ranking. Several groups: a bar each, with its variants as points.
pub(super) fn effect(
    groups: &[Group],
    outcomes: &[Outcome],
    ranked: Ranking,
    (base, chance): (f64, f64),
    (title, protocol): (&str, &str),
) -> Figure {
    let all = || outcomes.iter().map(|outcome| outcome.relative).filter(|value| value.is_finite());
    let lower = all().fold(0.0, f64::min);
    let upper = all().fold(1.0, f64::max);
    let axis = || Axis::new("relative accuracy").limits(lower - 0.03, upper + 0.05);
    let whole = || Rule::horizontal(1.0);
    let mut figure = Figure::new("effect", format!("Silenced units: {title}"));
    if groups.len() > 1 {
        let own =
            |index: usize| outcomes.iter().filter(move |o| o.group == index).map(|o| o.relative).collect::<Vec<_>>();
        let means: Vec<f64> = (0..groups.len()).map(|index| mean(&own(index))).collect();
        let members: Vec<Vec<f64>> = (0..groups.len()).map(own).collect();
        let names = groups.iter().enumerate().map(|(index, group)| name(group, ranked, index));
        let bars = Bars::new(names.collect::<Vec<_>>(), means).members(members).colour_each();
        figure = figure.panel(Panel::new("").y(axis()).mark(bars).mark(whole()));
    } else {
        let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
        sorted.sort_by(|a, b| a.relative.total_cmp(&b.relative));
        let heights: Vec<f64> = sorted.iter().map(|outcome| outcome.relative).collect();
        let panel = if sorted.len() <= NAMED_BARS {
            let names = sorted.iter().map(|o| o.units.iter().map(usize::to_string).collect::<Vec<_>>().join(" "));
            let names: Vec<String> = names.collect();
            Panel::new("").x("silenced unit").y(axis()).mark(Bars::new(names, heights))
        } else {
            let ranks: Vec<f64> = (1..=sorted.len()).map(|rank| rank as f64).collect();
            Panel::new("").x("units, sorted by effect").y(axis()).mark(Line::new(ranks, heights))
        };
        figure = figure.panel(panel.mark(whole()));
    }
    let single = outcomes.iter().all(|outcome| outcome.units.len() == 1);
    if let Some((parameter, values)) = ranked.filter(|(_, values)| single && spread(values)) {
        let mut panel = Panel::new("").x(parameter.replace('_', " ")).y(axis());
        for (index, group) in groups.iter().enumerate() {
            let own: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.group == index).collect();
            let x: Vec<f64> = own.iter().map(|outcome| values[outcome.units[0]]).collect();
            let y: Vec<f64> = own.iter().map(|outcome| outcome.relative).collect();
            let points = Scatter::new(x, y).colour(Colour::palette(index));
            panel = panel.mark(if groups.len() > 1 { points.label(&group.label) } else { points });
        }
        figure = figure.panel(panel.mark(Rule::horizontal(1.0)));
    }
    figure.caption(format!(
        "Accuracy relative to that of the whole network ({base:.3}, dashed) and chance ({chance:.3}), on the same trials for all: \
         {protocol}."
    ))
}

fn name(group: &Group, ranked: Ranking, index: usize) -> String {
    match ranked {
        Some((_, values)) if index < 2 && group.label.contains("est ") => {
            let own: Vec<f64> = group.units.iter().map(|unit| values[*unit]).collect();
            format!("{} (mean {:.2})", group.label, mean(&own))
        }
        _ => group.label.clone(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn spread(values: &[f64]) -> bool {
    values.iter().any(|value| (value - values[0]).abs() > 1e-9)
}
