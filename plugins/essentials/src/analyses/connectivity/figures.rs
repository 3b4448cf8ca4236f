//! Pictures of the weights of units.

use super::weights::{Statistic, Weights};
use crate::correlation::{pearson, spearman};
use synfire::figure::{Colour, Figure, Histogram, Panel, Rule, Scatter};

/// Each statistic against the time constant, a point a unit.
pub(super) fn by_time_constant(weights: &Weights, taus: &[f64], label: &str) -> Figure {
    let panels = Statistic::ALL.map(|statistic| {
        let values = weights.get(statistic);
        let title = match (pearson(taus, values), spearman(taus, values)) {
            (Some(by_value), Some(by_rank)) => format!("r = {by_value:.2}, by rank {by_rank:.2}"),
            _ => String::new(),
        };
        let panel = Panel::new(title).x("time constant").y(statistic.phrase());
        let panel = panel.mark(Scatter::new(taus, values).colour(Colour::palette(0)));
        if is_mean(statistic) { panel.mark(Rule::horizontal(0.0)) } else { panel }
    });
    Figure::new("weights-by-time-constant", format!("Recurrent weights and time constants: {label}")).panels(panels).caption(
        "Recurrent weights into and out of each unit, its connection to itself left out, against its time constant (raw \
         parameter). Above: correlation of values and of ranks.",
    )
}

/// The distribution of each statistic over units.
pub(super) fn alone(weights: &Weights, label: &str) -> Figure {
    let panels = Statistic::ALL.map(|statistic| {
        let panel = Panel::new("").x(statistic.phrase()).y("units");
        let panel = panel.mark(Histogram::new(weights.get(statistic)).colour(Colour::palette(0)));
        if is_mean(statistic) { panel.mark(Rule::vertical(0.0)) } else { panel }
    });
    Figure::new("weights", format!("Recurrent weights of units: {label}"))
        .panels(panels)
        .caption("Recurrent weights into and out of each unit, its connection to itself left out, over all units.")
}

fn is_mean(statistic: Statistic) -> bool {
    matches!(statistic, Statistic::IncomingMean | Statistic::OutgoingMean)
}
