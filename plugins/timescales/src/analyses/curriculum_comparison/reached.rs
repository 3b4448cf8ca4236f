//! The largest level that networks solve, with trained time constants and with fixed ones.

use super::group::{Comparison, Group};
use super::published::{self, Quantity};
use synfire::figure::{Axis, Bars, Colour, Figure, Panel, Scatter};

/// One bar: networks of one kind of cell.
struct Column {
    name: String,
    /// The time constant, 0 where it is trained; nothing where the paper has no such column.
    tau: Option<f64>,
    values: Vec<f64>,
}

/// A panel for each curriculum and task: a bar for each kind of cell, a dot for each network.
pub(super) fn figure(comparison: &Comparison) -> Option<Figure> {
    let solved = |group: &&Group| comparison.members(group).any(|network| network.reached.is_some());
    let mut panels: Vec<(String, Vec<&Group>)> = Vec::new();
    for group in comparison.groups.iter().filter(solved) {
        // Groups of the user stand side by side.
        let sized = || group.size.iter().fold(group.legend.clone(), |title, size| format!("{title}, {size}"));
        let title = if group.facet.is_empty() { String::new() } else { sized() };
        match panels.iter_mut().find(|(known, _)| *known == title) {
            Some((_, groups)) => groups.push(group),
            None => panels.push((title, vec![group])),
        }
    }
    if panels.is_empty() {
        return None;
    }
    let figure = Figure::new("largest-level", format!("Largest {} solved", comparison.level_name())).caption(
        "Bars are means over networks, dots are networks. Rings are published networks of 500 units, trained for up to 1000 epochs; \
         their cumulative curriculum had 100 heads, so that 101 is a ceiling.",
    );
    Some(figure.panels(panels.into_iter().map(|(title, groups)| panel(comparison, &title, &groups))))
}

fn panel(comparison: &Comparison, title: &str, groups: &[&Group]) -> Panel {
    let mut columns: Vec<Column> = groups.iter().map(|group| column(comparison, group)).collect();
    let paper = groups.iter().find_map(|group| published::of(group.kind.as_ref()?, Quantity::Reached));
    let paper = paper.filter(|_| !title.is_empty());
    for (tau, _) in paper.iter().flat_map(|series| series.points) {
        if columns.iter().all(|column| column.tau != Some(*tau)) {
            let name = if *tau == 0.0 { "trained τ".to_string() } else { format!("τ = {tau}") };
            columns.push(Column { name, tau: Some(*tau), values: Vec::new() });
        }
    }
    columns.sort_by(|a, b| a.tau.unwrap_or(f64::INFINITY).total_cmp(&b.tau.unwrap_or(f64::INFINITY)));
    let heights: Vec<f64> = columns.iter().map(|column| synfire::statistics::mean(&column.values)).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let bars = Bars::new(names, heights).members(columns.iter().map(|column| column.values.clone()));
    let mut panel = Panel::new(title).y(Axis::new(format!("largest {} solved", comparison.level_name())));
    panel = panel.mark(bars.colour(groups[0].colour).label("mean of our networks"));
    if let Some(series) = paper {
        let place =
            |tau: f64| columns.iter().position(|column| column.tau == Some(tau)).map_or(f64::NAN, |at| at as f64);
        let mut x = Vec::new();
        for (index, (tau, _)) in series.points.iter().enumerate() {
            // Side by side in the right half of the column, so that equal ones can be told apart.
            let earlier = series.points[..index].iter().filter(|point| point.0 == *tau).count();
            x.push(place(*tau) + 0.06 + 0.08 * earlier as f64);
        }
        let y: Vec<f64> = series.points.iter().map(|point| point.1).collect();
        panel = panel.mark(Scatter::new(x, y).hollow().colour(Colour::BLACK).label("published networks"));
    }
    panel
}

fn column(comparison: &Comparison, group: &Group) -> Column {
    let reached = comparison.members(group).filter_map(|network| network.reached);
    let values = reached.map(|level| level as f64).collect();
    let kind = group.kind.as_ref().filter(|_| !group.facet.is_empty());
    let Some(kind) = kind else { return Column { name: group.name.clone(), tau: None, values } };
    let several =
        comparison.groups.iter().any(|other| other.kind.as_ref().is_some_and(|other| other.cell != kind.cell));
    let trained = comparison.members(group).any(|network| network.has_trained_taus());
    let name = match (&kind.fixed, trained) {
        (Some(fixed), _) => fixed.clone(),
        (None, true) => "trained τ".into(),
        (None, false) => return Column { name: kind.cell.clone(), tau: None, values },
    };
    let in_paper = kind.cell == super::kind::DEFAULT;
    let tau = kind.fixed.as_ref().map_or(Some(0.0), |fixed| fixed.trim_start_matches("τ = ").parse().ok());
    let name = if several && !in_paper { format!("{name}, {}", kind.cell) } else { name };
    Column { name, tau: tau.filter(|_| in_paper), values }
}
