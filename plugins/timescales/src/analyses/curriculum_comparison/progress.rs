//! How fast networks climb, how they do at other step sizes, and how many dimensions their activity has.

use super::group::{Comparison, Group, titled};
use super::network::Network;
use super::saved::{self, complete};
use super::trained::time_constant_panels;
use std::collections::BTreeMap;
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Mark, Panel, Path, Rule, Span, Trajectory2};
use synfire::statistics::regression;

/// The largest level solved against the number of evaluations, a line for each network.
pub(super) fn climbs(comparison: &Comparison) -> Option<Figure> {
    let facets = comparison.facets(|network| !network.progress.is_empty());
    let name = comparison.level_name();
    let panel = |(facet, groups): &(&str, Vec<&Group>)| {
        let title = titled("", facet, facets.len());
        let mut panel = Panel::new(title.trim_start_matches(", "))
            .x(Axis::new("evaluations").whole())
            .y(Axis::new(format!("largest {name} solved")).whole());
        for group in groups {
            for network in comparison.members(group).filter(|network| !network.progress.is_empty()) {
                let x: Vec<usize> = network.progress.iter().map(|climb| climb.evaluation).collect();
                let y: Vec<usize> = network.progress.iter().map(|climb| climb.largest).collect();
                panel = panel.mark(Line::new(x, y).colour(group.colour).label(&group.legend));
            }
        }
        panel
    };
    let figure = Figure::new("training-progress", "Progress of training").caption(
        "The largest level that was solved by each evaluation, a line for each network from the first level it solved.",
    );
    (!facets.is_empty()).then(|| figure.panels(facets.iter().map(panel)))
}

/// Accuracy by level and number of steps in one symbol.
fn steps(network: &Network) -> Vec<(usize, f64, f64)> {
    let tables = saved::of(&network.saved, "step-size");
    let tables = tables.filter_map(|saved| saved.table("step_size", &["level", "substeps", "accuracy"]));
    let rows = tables.flat_map(|table| complete(table, [&["level"], &["substeps"], &["accuracy"]]));
    rows.map(|[level, substeps, accuracy]| (level as usize, 1.0 / substeps, accuracy)).collect()
}

/// The sizes of a step that networks of a group were trained with, as shading.
fn trained_steps(comparison: &Comparison, group: &Group) -> Option<Mark> {
    let steps = comparison.members(group).flat_map(|network| &network.kind.repeat).map(|repeat| 1.0 / *repeat as f64);
    let (low, high) = steps.fold((f64::INFINITY, 0.0f64), |ends, step| (ends.0.min(step), ends.1.max(step)));
    match low.partial_cmp(&high)? {
        std::cmp::Ordering::Less => Some(Span::vertical(low, high).label("trained").into()),
        std::cmp::Ordering::Equal => Some(Rule::vertical(low).label("trained").into()),
        std::cmp::Ordering::Greater => None,
    }
}

/// Time constants of continuous networks, and the accuracy of each group at other step sizes.
pub(super) fn continuous(comparison: &Comparison) -> Option<Figure> {
    let is = |group: &&Group| group.kind.as_ref().is_some_and(|kind| kind.cell.contains("continuous"));
    let trained = |group: &&Group| comparison.members(group).any(|network| !network.by_level().is_empty());
    let cells: Vec<&Group> = comparison.groups.iter().filter(is).filter(trained).collect();
    let mut panels = if cells.is_empty() { Vec::new() } else { time_constant_panels(comparison, &cells) };
    for group in &comparison.groups {
        let mut levels: BTreeMap<usize, Vec<Vec<(f64, f64)>>> = BTreeMap::new();
        for (level, step, accuracy) in comparison.members(group).flat_map(steps) {
            levels.entry(level).or_default().push(vec![(step, accuracy)]);
        }
        if levels.is_empty() {
            continue;
        }
        let path = |(level, points): (usize, Vec<Vec<(f64, f64)>>)| {
            let curve = super::group::Curve::over(points);
            Path { values: vec![level as f64; curve.x.len()], x: curve.x, y: curve.mean, ..Path::default() }
        };
        let paths: Vec<Path> = levels.into_iter().map(path).collect();
        let panel = Panel::new(&group.name).x(Axis::new("step (symbols)").log()).y("accuracy");
        let lines = Trajectory2 { paths, map: ColourMap::SequentialReversed, ..Trajectory2::default() };
        let panel = panel.marks(trained_steps(comparison, group)).mark(lines);
        panels.push(panel.colour_label(comparison.level_name()));
    }
    let figure = Figure::new("continuous", "Networks in continuous time").caption(
        "Time constants in symbols against the level, and accuracy when each symbol is integrated in steps of another size than in training, \
         for each level; grey: the sizes in training.",
    );
    (!panels.is_empty()).then(|| figure.panels(panels))
}

/// The dimension of activity against the level, by one of the columns that say it.
pub(super) fn dimension(network: &Network, columns: &[&str]) -> Vec<(f64, f64)> {
    let names = ["level", network.level_name.as_str()];
    let tables = saved::of(&network.saved, "dimensionality");
    let tables = tables.flat_map(|saved| &saved.findings.tables);
    tables
        .map(|table| complete(table, [&names, columns]))
        .find(|rows| !rows.is_empty())
        .map_or_else(Vec::new, |rows| rows.into_iter().map(|[level, dimension]| (level, dimension)).collect())
}

/// The level up to which the paper fits a line.
const LINE_UP_TO: f64 = 30.0;

/// What the dimension is called in tables.
pub(super) const COMPONENTS: [&str; 3] = ["components", "components_90", "dimension"];
const RATIO: [&str; 2] = ["participation ratio", "participation_ratio"];

/// The dimension of activity against the level, with a line of regression up to N = 30.
pub(super) fn dimensions(comparison: &Comparison) -> Option<Figure> {
    let plots = [
        ("components of 90 % of variance", "components", &COMPONENTS[..]),
        ("participation ratio", "participation ratio", &RATIO),
    ];
    let mut panels = Vec::new();
    for (title, y, columns) in plots {
        let facets = comparison.facets(|network| !dimension(network, columns).is_empty());
        for (facet, groups) in &facets {
            let mut panel = Panel::new(titled(title, facet, facets.len())).x(comparison.level_axis()).y(y);
            for group in groups {
                let curve = comparison.curve(group, |network| dimension(network, columns));
                panel = panel.mark(curve.line(group.colour, &group.legend));
                let points = comparison.members(group).flat_map(|network| dimension(network, columns));
                let (x, y): (Vec<f64>, Vec<f64>) = points.filter(|(level, _)| *level <= LINE_UP_TO).unzip();
                if let Some(line) = regression(&x, &y) {
                    let (from, to) = x.iter().fold((f64::INFINITY, 0.0f64), |ends, x| (ends.0.min(*x), ends.1.max(*x)));
                    let label = format!("{}: r = {:.2}, p = {:.1e}", group.legend, line.r, line.p);
                    let line = Line::new([from, to], [line.at(from), line.at(to)]).dashed();
                    panel = panel.mark(line.colour(group.colour.mix(Colour::BLACK, 0.35)).label(label));
                }
            }
            panels.push(panel);
        }
    }
    let figure = Figure::new("dimension-by-level", "Dimension of activity").columns(2).caption(format!(
        "Lines are means over networks, bands one standard deviation; dashed: regression over all networks up to {} = {LINE_UP_TO}.",
        comparison.level_name()
    ));
    (!panels.is_empty()).then(|| figure.panels(panels))
}
