//! What becomes of accuracy when parameters are disturbed, and when networks are trained on to larger levels.

use super::ablation;
use super::group::{Comparison, Curve, Group, titled};
use super::network::Network;
use super::published::{self, Quantity};
use super::saved::{self, complete};
use std::collections::BTreeMap;
use synfire::figure::{Axis, Colour, Figure, Panel, Rule};

/// How one kind of noise went on one network.
#[derive(Clone, Debug)]
pub(super) struct Disturbed {
    /// The kind, with `_` between words: `recurrent_normalized`.
    pub kind: String,
    /// The level that was judged.
    pub level: Option<usize>,
    pub strengths: Vec<f64>,
    /// Relative accuracy, `[strength][draw]`.
    pub relative: Vec<Vec<f64>>,
}

/// The saved findings on a network, one for each kind of noise and level.
pub(super) fn of(network: &Network) -> Vec<Disturbed> {
    let mut all: Vec<Disturbed> = Vec::new();
    for saved in saved::of(&network.saved, "perturbation") {
        let (Some(base), Some(chance)) = (saved.number("accuracy"), saved.number("chance")) else { continue };
        let level = saved.level;
        let kinds = saved.findings.arrays.keys().filter_map(|name| name.strip_suffix("_strength"));
        for kind in kinds {
            let arrays = saved.list(&format!("{kind}_strength")).zip(saved.rows(&format!("{kind}_accuracy")));
            let known = all.iter().any(|other| other.kind == kind && other.level == level);
            let Some((strengths, rows)) = arrays.filter(|(strengths, rows)| !known && strengths.len() == rows.len())
            else {
                continue;
            };
            let share = |accuracy: f64| (accuracy - chance) / (base - chance);
            let relative = rows.into_iter().map(|row| row.into_iter().map(share).collect()).collect();
            all.push(Disturbed { kind: kind.to_string(), level, strengths, relative });
        }
    }
    all
}

/// Relative accuracy at the last evaluation on each level that a network was trained on to, after its own.
pub(super) fn retrained(network: &Network) -> Vec<(f64, f64)> {
    let mut last: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for saved in saved::of(&network.saved, "retraining") {
        let Some(table) = saved.table("retrained", &["evaluation", "relative accuracy"]) else { continue };
        let level = [network.level_name.as_str(), "level"];
        for [level, evaluation, relative] in complete(table, [&level, &["evaluation"], &["relative accuracy"]]) {
            let entry = last.entry(level as usize).or_insert((evaluation, relative));
            if evaluation >= entry.0 {
                *entry = (evaluation, relative);
            }
        }
    }
    last.into_iter().map(|(level, (_, relative))| (level as f64, relative)).collect()
}

/// A panel for each kind of noise, and one for retraining.
pub(super) fn figure(comparison: &Comparison) -> Option<Figure> {
    let panels = panels(comparison);
    let figure = Figure::new("robustness", "Disturbed and retrained networks").caption(CAPTION).panels(panels.clone());
    (!panels.is_empty()).then_some(figure)
}

/// The same beside the effect of silencing units.
pub(super) fn with_ablation(comparison: &Comparison) -> Option<Figure> {
    let (silenced, others) = (ablation::panels(comparison, false), panels(comparison));
    let both = !silenced.is_empty() && !others.is_empty();
    let figure = Figure::new("ablation-and-robustness", "Silenced, disturbed and retrained networks").columns(3);
    both.then(|| figure.caption(CAPTION).panels(silenced).panels(others))
}

const CAPTION: &str = "Accuracy relative to that of the network itself, (a - chance) / (base - chance). Noise: lines are means, bands one \
     standard deviation over all draws and networks; what the legend says of N is the level that was judged. Retraining: means and deviations \
     over networks. Rings are published means at N = 30, drawn there as raw accuracies and made relative here.";

fn panels(comparison: &Comparison) -> Vec<Panel> {
    let facets = comparison.facets(|network| !of(network).is_empty() || !retrained(network).is_empty());
    let mut panels = Vec::new();
    for (facet, groups) in &facets {
        let mut kinds: Vec<String> = Vec::new();
        for disturbed in groups.iter().flat_map(|group| comparison.members(group)).flat_map(of) {
            if !kinds.contains(&disturbed.kind) {
                kinds.push(disturbed.kind);
            }
        }
        for kind in &kinds {
            let title = titled(&title(kind), facet, facets.len());
            panels.push(noise(comparison, groups, kind, &title));
        }
        let title = titled("retrained", facet, facets.len());
        let mut panel = Panel::new(title).x(comparison.level_axis()).y("relative accuracy");
        for group in groups {
            let curve = comparison.curve(group, retrained);
            if !curve.is_empty() {
                panel = panel.mark(curve.line(group.colour, &group.legend));
            }
        }
        if !panel.marks.is_empty() {
            panels.push(panel.mark(Rule::horizontal(1.0)).mark(Rule::horizontal(0.0)));
        }
    }
    panels
}

fn title(kind: &str) -> String {
    match kind {
        "recurrent_normalized" => "noise on recurrent weights".into(),
        "time_constants_absolute" => "lengthened time constants".into(),
        "time_constants_normalized" => "noise on time constants".into(),
        other => other.replace('_', " "),
    }
}

fn noise(comparison: &Comparison, groups: &[&Group], kind: &str, title: &str) -> Panel {
    let quantity = match kind {
        "recurrent_normalized" => Some(Quantity::NoiseOnWeights),
        "time_constants_absolute" => Some(Quantity::NoiseOnTaus),
        _ => None,
    };
    let mut panel = Panel::new(title).x(Axis::new("relative strength").log()).y("relative accuracy");
    for group in groups {
        for (index, (level, curve)) in courses(comparison, group, kind).into_iter().enumerate() {
            let label = match level {
                Some(level) => format!("{}, {} = {level}", group.legend, comparison.level_name()),
                None => group.legend.clone(),
            };
            // Levels of one group differ in shade.
            let colour = group.colour.mix(Colour::BLACK, (0.25 * index as f64).min(0.75));
            panel = panel.mark(curve.line(colour, &label));
        }
        let trained = group.kind.as_ref().filter(|kind| kind.fixed.is_none());
        let series = quantity.zip(trained).and_then(|(quantity, kind)| published::of(kind, quantity));
        if let Some((series, (_, whole))) = series.and_then(|series| Some((series, *series.points.first()?))) {
            let points = series.points.iter().skip(1).map(|(x, accuracy)| (*x, published::relative(*accuracy, whole)));
            panel = panel.marks(published::points(points.collect(), group));
        }
    }
    panel.mark(Rule::horizontal(1.0)).mark(Rule::horizontal(0.0))
}

/// Relative accuracy against strength over all draws and networks, for each level that was judged.
fn courses(comparison: &Comparison, group: &Group, kind: &str) -> BTreeMap<Option<usize>, Curve> {
    let mut points: BTreeMap<Option<usize>, Vec<(f64, f64)>> = BTreeMap::new();
    for disturbed in comparison.members(group).flat_map(of).filter(|disturbed| disturbed.kind == kind) {
        for (strength, draws) in disturbed.strengths.iter().zip(&disturbed.relative) {
            points.entry(disturbed.level).or_default().extend(draws.iter().map(|draw| (*strength, *draw)));
        }
    }
    points.into_iter().map(|(level, points)| (level, Curve::over([points]))).collect()
}
