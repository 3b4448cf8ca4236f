//! How the fixed points of networks hang together over the input, and whether groups of networks differ in it.

use super::apart::{Apart, recorded};
use super::choice;
use super::fixed_points::{Survey, Surveyed, survey};
use super::grouping::Grouping;
use crate::channels::InputSet;
use crate::clustering::euclidean;
use crate::fixed_points::Stability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Bars, Colour, Figure, Panel, Rule};
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Properties, Property, Registry, Result, Stream, Subject};

/// The topology of attractors of many networks: vectors of neighbouring inputs, distances between networks, and whether groups part.
///
/// In every network the fixed points under the small set of inputs are found (see `fixed-points`). Sorted by input, stability and
/// output, each of the first `points` per context gives the inputs of its `neighbours` per context nearest fixed points, itself first:
/// in a network with one attractor these are the neighbouring inputs, where there are two the chain breaks. All numbers of a network
/// are one vector; networks are compared by the Euclidean distance of their vectors (what is missing is left out), groups by their
/// silhouette, and placed in the plane by metric scaling. Groups are those of `--groups`, else runs with the same options `by`. A data
/// file with `distances` `[item, item]` and `labels` `[item]` is judged the same way.
///
/// figures `scaling`, `distances`, and `attractors`: number of attractors and leading rate at no evidence, by group
/// tables  `networks`: one row a network; `leading`: attractors and quartiles of the leading rates at no evidence, one row a group;
/// `groups`; `pairs`
/// arrays  `vectors` `[network, number]`, `distances`, `labels`, `scaling`, `silhouettes`
///
/// Source: McMahan, Kleinman & Kao 2021, NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>; Maheswaranathan et al. 2019,
/// arXiv:1907.08549, for fixed points as a graph over inputs.
/// Differs: only true zeros count, points are sorted and do not stand in the order of a random search, neighbours stand by distance,
/// and a neighbour gives its context beside its input (`coding = "first-channel"` for the published numbers, which read the first
/// channel alone); too few points leave gaps instead of failing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttractorTopology {
    /// The constant inputs.
    pub inputs: InputSet,
    /// The search.
    pub survey: Survey,
    /// Updates after which the networks are taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Fixed points that enter the vector, per context.
    #[schemars(range(min = 1))]
    pub points: usize,
    /// Nearest fixed points of each, per context, itself included.
    #[schemars(range(min = 1))]
    pub neighbours: usize,
    /// What stands for a neighbour.
    pub coding: Coding,
    /// Options of the experiments that make groups where none are named.
    pub by: Vec<String>,
    /// Trials that are played for starts of the search.
    #[schemars(range(min = 1))]
    pub trials: usize,
}

/// What stands for a fixed point in the vector of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    /// Its evidence as a share of the largest of the set, and, with several contexts, the number of its context as a share of theirs.
    #[default]
    EvidenceAndContext,
    /// The value of the first input channel, as published.
    FirstChannel,
}

impl Default for AttractorTopology {
    fn default() -> Self {
        Self {
            inputs: InputSet::Small,
            survey: Survey::default(),
            update: None,
            points: 10,
            neighbours: 3,
            coding: Coding::default(),
            by: vec!["rule".into()],
            trials: 16,
        }
    }
}

/// What is known of one network.
struct Topology {
    label: String,
    vector: Vec<f64>,
    points: usize,
    slow: usize,
    /// Most attractors at no evidence, over contexts.
    attractors: usize,
    /// Most saddles and repellers at no evidence, over contexts.
    saddles: usize,
    /// Largest rate of any point at no evidence, and of attractors alone.
    growth: Option<f64>,
    stable_growth: Option<f64>,
    /// Inputs under which there is more than one attractor.
    bistable: usize,
    inputs: usize,
}

#[typetag::serde(name = "attractor-topology")]
impl Analysis for AttractorTopology {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.inputs.check(problems);
        problems.inside("survey", |problems| self.survey.check(problems));
        problems.require(self.points >= 1, "points", self.points, "at least 1");
        problems.require(self.neighbours >= 1, "neighbours", self.neighbours, "at least 1");
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        // For the Jacobian of cells that are no rate networks.
        Properties::from([Property::Gradient])
    }

    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let mut findings = Findings::new();
        if let Some(given) = recorded(subject) {
            let (distances, grouping) = given?;
            let labels = (0..grouping.labels.len()).map(|item| item.to_string()).collect();
            let apart = Apart { labels, grouping: &grouping, distances: &distances, what: "Distance", limits: None };
            apart.report(&mut findings, &subject.stream)?;
            return Ok(findings);
        }
        subject.run()?;
        let grouping = Grouping::of(subject, &self.by)?;
        let topologies =
            subject.runs.iter().map(|view| self.topology(view, &subject.stream)).collect::<Result<Vec<_>>>()?;
        let length = topologies[0].vector.len();
        if let Some(other) = topologies.iter().find(|other| other.vector.len() != length) {
            return Err(Error::Failed(format!(
                "{} and {} have different numbers of contexts, so their topologies are not comparable; analyse them apart",
                topologies[0].label, other.label
            )));
        }
        let vectors: Vec<Vec<f64>> = topologies.iter().map(|topology| topology.vector.clone()).collect();
        let mut distances = euclidean(&vectors);
        let largest = distances.iter().copied().filter(|d| d.is_finite()).fold(0.0, f64::max);
        if distances.iter().any(|d| d.is_infinite()) {
            findings.note("some networks have no fixed points in common with others; they are put twice as far away as the farthest others");
            distances.iter_mut().filter(|d| d.is_infinite()).for_each(|d| *d = 2.0 * largest.max(1.0));
        }
        let labels = topologies.iter().map(|topology| topology.label.clone()).collect();
        let apart =
            Apart { labels, grouping: &grouping, distances: &distances, what: "Topological distance", limits: None };
        apart.report(&mut findings, &subject.stream)?;
        findings.array("vectors", Array::from_rows(&vectors)?);
        for (group, name) in grouping.names.iter().enumerate() {
            let own: Vec<&Topology> = grouping.members(group).map(|item| &topologies[item]).collect();
            let bistable = own.iter().filter(|topology| topology.attractors > 1).count();
            findings.value(format!("{name}: networks with several attractors at no evidence"), bistable);
            let growth: Vec<f64> = own.iter().filter_map(|topology| topology.growth).collect();
            findings.value(format!("{name}: median leading rate at no evidence"), quantile(&growth, 0.5));
        }
        findings.tables.insert(0, networks_table(&topologies, &grouping));
        findings.tables.insert(1, leading_table(&topologies, &grouping));
        findings.figures.push(attractors_figure(&topologies, &grouping));
        Ok(findings)
    }
}

impl AttractorTopology {
    fn topology(&self, view: &RunView, stream: &Stream) -> Result<Topology> {
        // The same starts for every network, so that equal networks have equal vectors.
        let (mut network, lesson, setting) = survey::network(view, choice::at(self.update), None, stream)?;
        let played = survey::activity(view, &mut network, &lesson, self.trials, &stream.child("activity"))?;
        let system = self.survey.system(view, &network, &setting)?;
        let surveyed = self.survey.all(view, &system, &self.inputs, played.states.as_ref(), stream)?;
        let head = choice::head(view, &network, &lesson);
        let leak = system.leak().unwrap_or(1.0);
        let output = |state: &[f64]| -> Result<f64> {
            let Some(head) = head else { return Ok(0.0) };
            let whole = system.whole(&Tensor::from_slice(state).f_reshape([1, state.len() as i64])?)?;
            Ok(values_f64(&system.output(head, &whole)?).first().copied().unwrap_or(0.0))
        };
        let mut points = Vec::new();
        for (order, one) in surveyed.iter().enumerate() {
            for point in &one.found.points {
                let coded = (self.code(one, &surveyed), point.unstable(), output(&point.state)?);
                points.push(Point { order, coded: coded.0, unstable: coded.1, output: coded.2, state: &point.state });
            }
        }
        points.sort_by(|a, b| {
            a.order.cmp(&b.order).then(a.unstable.cmp(&b.unstable)).then(a.output.total_cmp(&b.output))
        });
        let contexts = surveyed.iter().map(|one| one.input.context + 1).max().unwrap_or(1);
        let vector = vector(&points, self.points * contexts, self.neighbours * contexts, self.numbers(contexts));
        Ok(summarise(view.label.clone(), vector, &surveyed, leak))
    }

    fn numbers(&self, contexts: usize) -> usize {
        if self.coding == Coding::EvidenceAndContext && contexts > 1 { 2 } else { 1 }
    }

    /// What stands for the points of one input.
    fn code(&self, one: &Surveyed, all: &[Surveyed]) -> Vec<f64> {
        if self.coding == Coding::FirstChannel {
            return vec![one.input.channels.first().copied().unwrap_or(0.0)];
        }
        let largest = all.iter().map(|other| other.input.value.abs()).fold(0.0, f64::max);
        let contexts = all.iter().map(|other| other.input.context + 1).max().unwrap_or(1);
        let evidence = if largest > 0.0 { one.input.value / largest } else { 0.0 };
        if contexts > 1 { vec![evidence, one.input.context as f64 / contexts as f64] } else { vec![evidence] }
    }
}

/// A fixed point in the order of the vector.
struct Point<'a> {
    order: usize,
    coded: Vec<f64>,
    unstable: usize,
    output: f64,
    state: &'a [f64],
}

/// Distances that differ by less are the same, so that rounding does not order the neighbours on either side of a point.
const SAME: f64 = 1e-6;

/// The codes of the neighbours of the first points, row after row; NaN where there is none.
fn vector(points: &[Point], rows: usize, neighbours: usize, numbers: usize) -> Vec<f64> {
    let mut vector = Vec::with_capacity(rows * neighbours * numbers);
    for row in 0..rows {
        let mut near: Vec<(f64, usize)> = match points.get(row) {
            None => Vec::new(),
            Some(point) => {
                let gap = |other: &Point| {
                    let square = point.state.iter().zip(other.state).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
                    (square.sqrt() / SAME).round()
                };
                points.iter().map(gap).enumerate().map(|(index, gap)| (gap, index)).collect()
            }
        };
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for place in 0..neighbours {
            match near.get(place) {
                Some((_, index)) => vector.extend(&points[*index].coded),
                None => vector.extend(std::iter::repeat_n(f64::NAN, numbers)),
            }
        }
    }
    vector
}

fn summarise(label: String, vector: Vec<f64>, surveyed: &[Surveyed], leak: f64) -> Topology {
    let at_zero: Vec<&Surveyed> = surveyed.iter().filter(|one| one.input.value == 0.0).collect();
    let attractors = |one: &Surveyed| one.found.of(Stability::Attractor).count();
    let growth = |only: Option<Stability>| {
        let points = at_zero.iter().flat_map(|one| &one.found.points);
        let points = points.filter(|point| only.is_none_or(|kind| point.stability() == kind));
        points.map(|point| point.growth(leak)).reduce(f64::max)
    };
    Topology {
        label,
        vector,
        points: surveyed.iter().map(|one| one.found.points.len()).sum(),
        slow: surveyed.iter().map(|one| one.found.slow.len()).sum(),
        attractors: at_zero.iter().map(|one| attractors(one)).max().unwrap_or(0),
        saddles: at_zero.iter().map(|one| one.found.points.len() - attractors(one)).max().unwrap_or(0),
        growth: growth(None),
        stable_growth: growth(Some(Stability::Attractor)),
        bistable: surveyed.iter().filter(|one| attractors(one) > 1).count(),
        inputs: surveyed.len(),
    }
}

/// The value below which this share of a list lies, between two of them by their distance.
pub(super) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, rest) = (place.floor() as usize, place.fract());
    let above = sorted.get(below + 1).unwrap_or(&sorted[below]);
    Some(sorted[below] * (1.0 - rest) + above * rest)
}

fn leading_table(topologies: &[Topology], grouping: &Grouping) -> Table {
    let columns = [
        "group",
        "networks",
        "one attractor",
        "several attractors",
        "leading rate, lower quartile",
        "median",
        "upper quartile",
        "of attractors, lower quartile",
        "median of attractors",
        "of attractors, upper quartile",
    ];
    let mut table = Table::new("leading", "Attractors and leading rates at no evidence", &columns);
    for (group, name) in grouping.names.iter().enumerate() {
        let own: Vec<&Topology> = grouping.members(group).map(|item| &topologies[item]).collect();
        let several = own.iter().filter(|topology| topology.attractors > 1).count();
        let one = own.iter().filter(|topology| topology.attractors == 1).count();
        let all: Vec<f64> = own.iter().filter_map(|topology| topology.growth).collect();
        let stable: Vec<f64> = own.iter().filter_map(|topology| topology.stable_growth).collect();
        let [a, b, c] = [0.25, 0.5, 0.75].map(|share| quantile(&all, share));
        let [d, e, f] = [0.25, 0.5, 0.75].map(|share| quantile(&stable, share));
        table.push((name, own.len(), one, several, a, b, c, d, e, f));
    }
    table
}

fn networks_table(topologies: &[Topology], grouping: &Grouping) -> Table {
    let columns = [
        "network",
        "group",
        "fixed points",
        "slow points",
        "attractors at no evidence",
        "saddles at no evidence",
        "leading rate at no evidence",
        "leading rate of attractors",
        "inputs with several attractors",
        "inputs",
    ];
    let mut table = Table::new("networks", "Networks and their attractors", &columns);
    for (topology, label) in topologies.iter().zip(&grouping.labels) {
        table.push((
            &topology.label,
            &grouping.names[*label],
            topology.points,
            topology.slow,
            topology.attractors,
            topology.saddles,
            topology.growth,
            topology.stable_growth,
            topology.bistable,
            topology.inputs,
        ));
    }
    table
}

fn attractors_figure(topologies: &[Topology], grouping: &Grouping) -> Figure {
    let by_group = |of: &dyn Fn(&Topology) -> Option<f64>| -> Vec<Vec<f64>> {
        (0..grouping.names.len())
            .map(|group| grouping.members(group).filter_map(|item| of(&topologies[item])).collect())
            .collect()
    };
    let bars = |members: Vec<Vec<f64>>| {
        let heights: Vec<f64> = members.iter().map(|own| quantile(own, 0.5).unwrap_or(f64::NAN)).collect();
        Bars::new(grouping.names.clone(), heights).members(members).colour(Colour::palette(0))
    };
    Figure::new("attractors", "Attractors at no evidence")
        .panel(Panel::new("").y("attractors").mark(bars(by_group(&|t| Some(t.attractors as f64)))))
        .panel(Panel::new("").y("leading rate (1 / time constant)").mark(bars(by_group(&|t| t.growth))).mark(Rule::horizontal(0.0)))
        .panel(Panel::new("").y("leading rate of attractors").mark(bars(by_group(&|t| t.stable_growth))))
        .caption(
            "Every dot is a network, bars are medians. The leading rate is the largest real part at any fixed point without evidence: far \
             below 0 one fast attractor, near 0 a slow one, above 0 a saddle between several.",
        )
}

synfire::inventory::submit! { Component::analysis::<AttractorTopology>("attractor-topology") }

#[cfg(test)]
mod tests;
