//! Trained time constants and network timescales against the level.

use super::group::{Comparison, Group, titled};
use super::kind::SINGLE;
use super::network::Network;
use super::published::{self, Quantity};
use synfire::figure::{Colour, Figure, Panel, Rule};

/// A statistic of each network against the level.
type Course = fn(&Network) -> Vec<(f64, f64)>;

/// One kind of panel.
struct Plot {
    title: &'static str,
    y: &'static str,
    course: Course,
    published: Option<Quantity>,
}

const MEAN_TAU: Plot = Plot {
    title: "mean τ",
    y: "time constant (UNIT)",
    course: |network| network.tau_course(|taus| taus.mean),
    published: Some(Quantity::MeanTau),
};
const STD_TAU: Plot = Plot {
    title: "deviation of τ over units",
    y: "time constant (UNIT)",
    course: |network| network.tau_course(|taus| taus.std),
    published: Some(Quantity::StdTau),
};
const MEAN_TAU_NET: Plot = Plot {
    title: "mean network timescale",
    y: "τ_net (steps)",
    course: |network| network.timescale_course("mean"),
    published: Some(Quantity::MeanTauNet),
};
const STD_TAU_NET: Plot = Plot {
    title: "deviation of network timescales",
    y: "τ_net (steps)",
    course: |network| network.timescale_course("std"),
    published: Some(Quantity::StdTauNet),
};
const KEPT: Plot = Plot {
    title: "units above one step",
    y: "units",
    course: |network| network.timescale_course("kept"),
    published: None,
};

const BAND: &str = "Lines are means over networks, bands one standard deviation of them to each side; rings are published, \
     up to three times our hardest level.";

/// Published numbers far beyond our hardest level would leave our own no room.
const BEYOND: f64 = 3.0;

/// The N up to which the paper's single-level networks are compared with others.
const COMMON: f64 = 30.0;

/// Mean and deviation of trained time constants, a row for each cell.
pub(super) fn time_constants(comparison: &Comparison) -> Option<Figure> {
    let facets = comparison.facets(|network| !network.tau_course(|taus| taus.mean).is_empty());
    let plots = |(facet, groups): &(&str, Vec<&Group>)| {
        [MEAN_TAU, STD_TAU].map(|plot| panel(comparison, groups, &plot, &titled(plot.title, facet, facets.len())))
    };
    let panels: Vec<Panel> = facets.iter().flat_map(plots).collect();
    let figure = Figure::new("time-constants-by-level", "Trained time constants").columns(2).panels(panels);
    let turning = "The vertical line stands where the mean of single-level training begins to rise.";
    (!facets.is_empty()).then(|| figure.caption(format!("Statistics over the units of each network. {BAND} {turning}")))
}

/// Mean time constants over the steps that each symbol is shown for, where those are several and time constants count steps.
pub(super) fn by_repeat(comparison: &Comparison) -> Option<Figure> {
    let several = |network: &Network| match network.kind.repeat[..] {
        [repeat] if repeat > 1 && network.unit == "steps" => Some(repeat as f64),
        _ => None,
    };
    let course = |network: &Network| -> Vec<(f64, f64)> {
        let Some(repeat) = several(network) else { return Vec::new() };
        network.tau_course(|taus| taus.mean).into_iter().map(|(level, tau)| (level, tau / repeat)).collect()
    };
    let facets = comparison.facets(|network| !course(network).is_empty());
    let panel = |(facet, groups): &(&str, Vec<&Group>)| {
        let title = titled("", facet, facets.len());
        let panel =
            Panel::new(title.trim_start_matches(", ")).x(comparison.level_axis()).y("mean τ / steps of a symbol");
        let lines = groups.iter().map(|group| comparison.curve(group, course).line(group.colour, &group.legend));
        panel.marks(lines.collect::<Vec<_>>()).mark(Rule::horizontal(1.0))
    };
    let figure = Figure::new("time-constants-by-repeat", "Time constants where symbols last several steps").caption(
        "Mean trained time constant in symbols; at 1 a unit is as slow as the input. Lines are means over networks, bands one standard \
         deviation of them to each side.",
    );
    (!facets.is_empty()).then(|| figure.panels(facets.iter().map(panel)))
}

/// Mean, deviation and number of network timescales above one step, a row for each cell.
pub(super) fn network_timescales(comparison: &Comparison) -> Option<Figure> {
    let facets = comparison.facets(|network| !network.timescale_course("mean").is_empty());
    let plots = |(facet, groups): &(&str, Vec<&Group>)| {
        let titled = |plot: &Plot| titled(plot.title, facet, facets.len());
        [MEAN_TAU_NET, STD_TAU_NET, KEPT].map(|plot| panel(comparison, groups, &plot, &titled(&plot)))
    };
    let panels: Vec<Panel> = facets.iter().flat_map(plots).collect();
    let caption =
        format!("Over the units with a network timescale above one step; how many they are is on the right. {BAND}");
    let figure = Figure::new("network-timescales-by-level", "Timescales of units in the running network").columns(3);
    (!facets.is_empty()).then(|| figure.caption(caption).panels(panels))
}

/// Time constants above network timescales, a figure for each cell that has both.
pub(super) fn both(comparison: &Comparison) -> Vec<Figure> {
    let has = |network: &Network| {
        !network.timescale_course("mean").is_empty() && !network.tau_course(|taus| taus.mean).is_empty()
    };
    let facets = comparison.facets(has);
    let figure = |(facet, groups): &(&str, Vec<&Group>)| {
        let panels = [MEAN_TAU, STD_TAU, MEAN_TAU_NET, STD_TAU_NET];
        let panels = panels.map(|plot| panel(comparison, groups, &plot, plot.title));
        let name = match facets.len() {
            1 => "time-constants-and-network-timescales".to_string(),
            _ => format!("time-constants-and-network-timescales-{}", file_name(facet)),
        };
        let caption = format!(
            "Above: trained time constants of units. Below: their timescales in the running network, where above one step. {BAND} \
             Vertical lines stand where the mean time constant of single-level training begins to rise, and at {COMMON}."
        );
        let title = titled("Time constants and network timescales", facet, facets.len());
        Figure::new(name, title).columns(2).caption(caption).panels(panels.map(|panel| {
            match reaches(comparison, groups) {
                true => panel.mark(Rule::vertical(COMMON).label(format!("{} = {COMMON}", comparison.level_name()))),
                false => panel,
            }
        }))
    };
    facets.iter().map(figure).collect()
}

/// Whether some network, ours or published, gets to the level at which the paper compares curricula.
fn reaches(comparison: &Comparison, groups: &[&Group]) -> bool {
    let ours = hardest(comparison, groups);
    let paper = groups.iter().flat_map(|group| published::marks(group, Quantity::MeanTau, BEYOND * ours));
    ours >= COMMON || (paper.count() > 0 && BEYOND * ours >= COMMON)
}

/// The hardest level that some network of the groups came to.
fn hardest(comparison: &Comparison, groups: &[&Group]) -> f64 {
    let levels = groups.iter().flat_map(|group| comparison.members(group)).filter_map(|network| network.last_level);
    levels.max().unwrap_or(0) as f64
}

/// One statistic against the level, for groups of one cell.
fn panel(comparison: &Comparison, groups: &[&Group], plot: &Plot, title: &str) -> Panel {
    let unit =
        groups.first().and_then(|group| comparison.members(group).next()).map_or("steps", |network| network.unit);
    let mut panel = Panel::new(title).x(comparison.level_axis()).y(plot.y.replace("UNIT", unit));
    let mut taken: Vec<f64> = Vec::new();
    let up_to = BEYOND * hardest(comparison, groups);
    for group in groups {
        let curve = comparison.curve(group, plot.course);
        if curve.is_empty() {
            continue;
        }
        panel = panel.mark(curve.line(group.colour, &group.legend));
        if let Some(quantity) = plot.published {
            panel = panel.marks(published::marks(group, quantity, up_to));
        }
        let single = group.kind.as_ref().is_some_and(|kind| kind.order == SINGLE);
        if let Some(at) = turning_point(comparison, group).filter(|at| single && !taken.contains(at)) {
            taken.push(at);
            let label = format!("τ rises from {} = {at}", comparison.level_name());
            panel = panel.mark(Rule::vertical(at).colour(group.colour.mix(Colour::BLACK, 0.2)).label(label));
        }
    }
    panel
}

/// The level after which the mean time constant of a group rises.
pub(super) fn turning_point(comparison: &Comparison, group: &Group) -> Option<f64> {
    comparison.curve(group, MEAN_TAU.course).turning_point()
}

/// Panels of mean and deviation of trained time constants, for other figures.
pub(super) fn time_constant_panels(comparison: &Comparison, groups: &[&Group]) -> Vec<Panel> {
    [MEAN_TAU, STD_TAU].map(|plot| panel(comparison, groups, &plot, plot.title)).into()
}

/// Words as part of a file name.
pub(super) fn file_name(words: &str) -> String {
    let mut name = String::new();
    for letter in words.replace('τ', "tau").chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() || letter == '.' => name.push(letter.to_ascii_lowercase()),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.trim_matches('-').to_string()
}
