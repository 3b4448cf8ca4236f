//! What becomes of accuracy when units of the shortest or of the longest time constants are silenced.

use super::group::{Comparison, Group, titled};
use super::network::Network;
use super::published::{self, Quantity};
use super::saved::{self, numbers, texts};
use std::collections::BTreeSet;
use synfire::figure::{Axis, Bars, Colour, Figure, Mark, Panel, Rule, Scatter};
use synfire::statistics::mean;

const SHORT: Colour = Colour::hex(0xaa_9c_39);
const LONG: Colour = Colour::hex(0x8c_7a_ae);

/// Units of one end silenced one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    /// Mean time constant of the units.
    pub tau: f64,
    /// One accuracy for each unit.
    pub raw: Vec<f64>,
    /// The same relative to the whole network, over guessing.
    pub relative: Vec<f64>,
}

/// What silencing did to one network.
#[derive(Clone, Debug)]
pub(super) struct Ablated {
    /// The level that was judged.
    pub level: Option<usize>,
    /// Accuracy of the whole network.
    pub whole: f64,
    pub short: Side,
    pub long: Side,
}

/// The saved findings on a network, one for each level.
pub(super) fn of(network: &Network) -> Vec<Ablated> {
    let mut all: Vec<Ablated> = Vec::new();
    if !network.has_trained_taus() {
        // Of equal time constants none are the shortest.
        return all;
    }
    for saved in saved::of(&network.saved, "ablation") {
        let columns = ["group", "accuracy", "relative accuracy"];
        let Some(table) = saved.table("silenced", &columns) else { continue };
        let groups = texts(table, "group");
        let (raw, relative) = (numbers(table, &["accuracy"]), numbers(table, &["relative accuracy"]));
        let tau = numbers(table, &["time_constants"]);
        let side = |end: &str| {
            let mut side = Side::default();
            let mut taus = Vec::new();
            for row in (0..groups.len()).filter(|row| groups[*row].starts_with(end)) {
                side.raw.push(raw[row]);
                side.relative.push(relative[row]);
                taus.extend(tau.get(row));
            }
            Side { tau: mean(&taus), ..side }
        };
        let (short, long) = (side("smallest"), side("largest"));
        let level = saved.level;
        if !short.raw.is_empty() && !long.raw.is_empty() && all.iter().all(|known| known.level != level) {
            all.push(Ablated { level, whole: saved.number("accuracy").unwrap_or(f64::NAN), short, long });
        }
    }
    all
}

/// The outcome of a network at a level.
pub(super) fn at(network: &Network, level: Option<usize>) -> Option<Ablated> {
    of(network).into_iter().find(|ablated| ablated.level == level)
}

/// The levels at which some network of a group was judged.
pub(super) fn levels(comparison: &Comparison, group: &Group) -> BTreeSet<Option<usize>> {
    comparison.members(group).flat_map(of).map(|ablated| ablated.level).collect()
}

/// Relative and raw accuracy side by side, a row for each cell.
pub(super) fn figure(comparison: &Comparison) -> Option<Figure> {
    let panels: Vec<Panel> = panels(comparison, true);
    let figure = Figure::new("ablation", "Units silenced one by one").columns(2).panels(panels.clone());
    (!panels.is_empty()).then(|| {
        figure.caption(
            "Bars are means over networks, dots are networks (means over the silenced units); below them the mean time constants of the \
             two sets of units. Left: accuracy relative to the whole network, (a - chance) / (whole - chance). Right: raw accuracy. The \
             published figure is labelled relative but draws raw accuracies; rings are its numbers, made relative on the left.",
        )
    })
}

/// Panels of relative accuracy, each beside one of raw accuracy if asked for.
pub(super) fn panels(comparison: &Comparison, with_raw: bool) -> Vec<Panel> {
    let facets = comparison.facets(|network| !of(network).is_empty());
    let mut panels = Vec::new();
    for (facet, groups) in &facets {
        let mut bars: Vec<(&Group, Option<usize>)> = Vec::new();
        for group in groups {
            bars.extend(levels(comparison, group).into_iter().map(|level| (*group, level)));
        }
        bars.sort_by_key(|(_, level)| *level);
        panels.push(panel(comparison, &bars, &titled("relative accuracy", facet, facets.len()), true));
        if with_raw {
            panels.push(panel(comparison, &bars, &titled("raw accuracy", facet, facets.len()), false));
        }
    }
    panels
}

fn panel(comparison: &Comparison, bars: &[(&Group, Option<usize>)], title: &str, relative: bool) -> Panel {
    let outcomes: Vec<Vec<Ablated>> = bars
        .iter()
        .map(|(group, level)| comparison.members(group).filter_map(|network| at(network, *level)).collect())
        .collect();
    let names: Vec<String> = bars.iter().zip(&outcomes).map(|(bar, all)| name(comparison, bar, all)).collect();
    let value = |side: &Side| mean(if relative { &side.relative } else { &side.raw });
    let marks = |label: &str, colour: Colour, pick: &dyn Fn(&Ablated) -> f64| -> Mark {
        let members: Vec<Vec<f64>> = outcomes.iter().map(|all| all.iter().map(pick).collect()).collect();
        let heights: Vec<f64> = members.iter().map(|values| mean(values)).collect();
        Bars::new(names.clone(), heights).members(members).colour(colour).label(label).into()
    };
    let short = marks("shortest τ silenced", SHORT, &|ablated| value(&ablated.short));
    let long = marks("longest τ silenced", LONG, &|ablated| value(&ablated.long));
    let mut panel = Panel::new(title);
    let places = match relative {
        true => [None, Some(-0.2), Some(0.2)],
        false => [Some(-0.8 / 3.0), Some(0.0), Some(0.8 / 3.0)],
    };
    if !relative {
        panel = panel.mark(marks("whole network", Colour::GREY, &|ablated| ablated.whole));
    }
    panel = panel.mark(short).mark(long).mark(Rule::horizontal(if relative { 1.0 } else { 0.5 }));
    let (x, y): (Vec<f64>, Vec<f64>) = rings(bars, places, relative).into_iter().unzip();
    if !x.is_empty() {
        panel = panel.mark(Scatter::new(x, y).hollow().large().colour(Colour::BLACK).label("published"));
    }
    panel.y(Axis::new(if relative { "relative accuracy" } else { "accuracy" }))
}

/// `single N=30 τ=1.00/5.28`: words that break into three short lines.
fn name(comparison: &Comparison, (group, level): &(&Group, Option<usize>), all: &[Ablated]) -> String {
    let tau = |pick: &dyn Fn(&Ablated) -> f64| mean(&all.iter().map(pick).collect::<Vec<_>>());
    let taus = format!("τ={:.2}/{:.2}", tau(&|ablated| ablated.short.tau), tau(&|ablated| ablated.long.tau));
    match level {
        Some(level) => format!("{} {}={level} {taus}", group.legend, comparison.level_name()),
        None => format!("{} {taus}", group.legend),
    }
}

/// The published means, over the bars that they belong to.
fn rings(bars: &[(&Group, Option<usize>)], places: [Option<f64>; 3], relative: bool) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for (index, (group, level)) in bars.iter().enumerate() {
        let Some((kind, level)) = group.kind.as_ref().zip(*level) else { continue };
        let number = |quantity| published::at(kind, quantity, level as f64).filter(|_| kind.fixed.is_none());
        let Some(whole) = number(Quantity::Whole) else { continue };
        for (place, quantity) in places.iter().zip([Quantity::Whole, Quantity::Shortest, Quantity::Longest]) {
            if let (Some(place), Some(accuracy)) = (place, number(quantity)) {
                let height = if relative { published::relative(accuracy, whole) } else { accuracy };
                points.push((index as f64 + place, height));
            }
        }
    }
    points
}
