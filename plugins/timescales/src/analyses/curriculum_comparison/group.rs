//! Groups of networks that are compared, and curves over the networks of a group.

use super::kind::Kind;
use super::network::Network;
use synfire::figure::{Axis, Colour, Line};

/// Networks that are averaged.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Its name in tables.
    pub name: String,
    /// Its name in legends, where the panel says the rest.
    pub legend: String,
    /// Which of the panels side by side it stands in: the cell, and its size where networks differ in it.
    pub facet: String,
    /// How many units its networks have, where that tells groups apart.
    pub size: Option<String>,
    /// What its networks have in common; nothing in a group of different kinds.
    pub kind: Option<Kind>,
    /// Indices into the networks.
    pub members: Vec<usize>,
    /// Colour of its marks.
    pub colour: Colour,
}

/// All networks and their groups.
pub(super) struct Comparison {
    pub networks: Vec<Network>,
    pub groups: Vec<Group>,
}

impl Comparison {
    /// Groups by curriculum, task, cell and size.
    pub fn sorted(networks: Vec<Network>) -> Self {
        let mut kinds: Vec<&Kind> = networks.iter().map(|network| &network.kind).collect();
        kinds.sort_by_key(|kind| (rank(&kind.order), (*kind).clone()));
        kinds.dedup();
        let several = |part: fn(&Kind) -> String| kinds.windows(2).any(|pair| part(pair[0]) != part(pair[1]));
        let (tasks, cells) = (several(|kind| kind.task.clone()), several(Kind::variant));
        let sizes = several_sizes(&kinds);
        let mut groups = Vec::new();
        for kind in kinds.iter().copied().cloned() {
            let legend = if tasks { format!("{} {}", kind.order, kind.task) } else { kind.order.clone() };
            let size = kind.size().filter(|_| sizes);
            let of_size = |words: String| size.iter().fold(words, |words, size| format!("{words}, {size}"));
            let facet = of_size(kind.variant());
            let name = if cells { format!("{legend}, {facet}") } else { of_size(legend.clone()) };
            let all = networks.iter().enumerate().filter(|(_, network)| network.kind == kind);
            let members = all.map(|(index, _)| index).collect();
            groups.push(Group { name, legend, facet, size, kind: Some(kind), members, colour: Colour::GREY });
        }
        Self { networks, groups: coloured(groups) }
    }

    /// Groups as the user named them: name, and indices of runs.
    pub fn named(networks: Vec<Network>, named: &[(String, Vec<usize>)]) -> Self {
        let group = |(name, runs): &(String, Vec<usize>)| {
            let of = |run: &usize| networks.iter().position(|network| network.run == *run);
            let members: Vec<usize> = runs.iter().filter_map(of).collect();
            let mut kinds = members.iter().map(|member| &networks[*member].kind);
            let first = kinds.next().cloned();
            let kind = first.filter(|first| kinds.all(|kind| kind == first));
            Group {
                name: name.clone(),
                legend: name.clone(),
                facet: String::new(),
                size: None,
                kind,
                members,
                colour: Colour::GREY,
            }
        };
        let groups = named.iter().map(group).filter(|group| !group.members.is_empty()).collect();
        Self { networks, groups: coloured(groups) }
    }

    /// The networks of a group.
    pub fn members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Network> {
        group.members.iter().map(|member| &self.networks[*member])
    }

    /// The groups with some network for which `has` holds, by cell, in the order of the groups.
    pub fn facets(&self, has: impl Fn(&Network) -> bool) -> Vec<(&str, Vec<&Group>)> {
        let mut facets: Vec<(&str, Vec<&Group>)> = Vec::new();
        for group in self.groups.iter().filter(|group| self.members(group).any(&has)) {
            match facets.iter_mut().find(|(facet, _)| *facet == group.facet) {
                Some((_, groups)) => groups.push(group),
                None => facets.push((&group.facet, vec![group])),
            }
        }
        facets
    }

    /// What levels are called.
    pub fn level_name(&self) -> &str {
        self.networks.first().map_or("level", |network| &network.level_name)
    }

    /// The axis of levels.
    pub fn level_axis(&self) -> Axis {
        Axis::new(self.level_name()).whole()
    }

    /// A curve over the networks of a group.
    pub fn curve(&self, group: &Group, course: impl Fn(&Network) -> Vec<(f64, f64)>) -> Curve {
        Curve::over(self.members(group).map(course))
    }
}

/// What one group's title adds to a panel: nothing where there is a single facet.
pub(super) fn titled(title: &str, facet: &str, facets: usize) -> String {
    if facets > 1 && !facet.is_empty() { format!("{title}, {facet}") } else { title.to_string() }
}

/// Whether networks differ in size beyond what their cells make of it.
fn several_sizes(kinds: &[&Kind]) -> bool {
    kinds.iter().any(|kind| kind.size() != kinds[0].size())
}

/// The curricula of the paper come first.
fn rank(order: &str) -> usize {
    ["single", "cumulative", "sliding"].iter().position(|known| *known == order).unwrap_or(3)
}

/// The paper's colours where they tell the groups of a panel apart, else those of the palette.
fn coloured(mut groups: Vec<Group>) -> Vec<Group> {
    let own = |group: &Group| group.kind.as_ref().and_then(Kind::colour);
    let colours: Vec<Option<Colour>> = groups.iter().map(own).collect();
    let facets: Vec<String> = groups.iter().map(|group| group.facet.clone()).collect();
    let mut next = 0;
    for (index, group) in groups.iter_mut().enumerate() {
        let taken = (0..index).any(|other| facets[other] == facets[index] && colours[other] == colours[index]);
        group.colour = match colours[index].filter(|_| !taken) {
            Some(colour) => colour,
            None => {
                next += 1;
                Colour::palette(next - 1)
            }
        };
    }
    groups
}

/// Mean and standard deviation over networks, at each place that some of them have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curve {
    pub x: Vec<f64>,
    pub mean: Vec<f64>,
    /// Population standard deviation; 0 with one network.
    pub std: Vec<f64>,
}

impl Curve {
    /// Over lists of (x, y); what is not finite is left out.
    pub fn over(courses: impl IntoIterator<Item = Vec<(f64, f64)>>) -> Self {
        let mut points: Vec<(f64, f64)> = courses.into_iter().flatten().collect();
        points.retain(|(x, y)| x.is_finite() && y.is_finite());
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut curve = Self::default();
        // Strengths at equal ratios are equal up to rounding.
        for part in points.chunk_by(|a, b| (a.0 - b.0).abs() <= 1e-9 * a.0.abs().max(b.0.abs())) {
            let summary = super::super::summary::Summary::of(&part.iter().map(|point| point.1).collect::<Vec<_>>());
            curve.x.push(part[0].0);
            curve.mean.push(summary.mean);
            curve.std.push(summary.std);
        }
        curve
    }

    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The curve in the colours of a group, with a band of a standard deviation.
    pub fn line(&self, colour: Colour, label: &str) -> Line {
        let line = Line::new(&self.x, &self.mean).deviation(&self.std).colour(colour).label(label);
        if self.x.len() <= MOST_DOTS { line.dots() } else { line }
    }

    /// Where the mean is lowest, if it rises after that.
    pub fn turning_point(&self) -> Option<f64> {
        let lowest = (0..self.x.len()).min_by(|a, b| self.mean[*a].total_cmp(&self.mean[*b]))?;
        (lowest + 1 < self.x.len()).then(|| self.x[lowest])
    }
}

/// Curves of more points have no dot at each.
const MOST_DOTS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_average_the_networks_that_got_so_far() {
        let curve =
            Curve::over([vec![(2.0, 1.0), (3.0, 2.0)], vec![(2.0, 3.0), (4.0, f64::NAN)], vec![(3.0 + 1e-12, 4.0)]]);
        let expected = Curve { x: vec![2.0, 3.0], mean: vec![2.0, 3.0], std: vec![1.0, 1.0] };
        assert_eq!(curve, expected);
        assert!(Curve::over([vec![(1.0, f64::NAN)]]).is_empty());
    }

    #[test]
    fn the_turning_point_is_a_level_and_no_index() {
        let curve =
            |means: &[f64]| Curve::over([means.iter().enumerate().map(|(i, y)| (i as f64 + 2.0, *y)).collect()]);
        assert_eq!(curve(&[1.5, 1.45, 1.44, 1.6, 1.7]).turning_point(), Some(4.0));
        assert_eq!(curve(&[1.5, 1.4, 1.3]).turning_point(), None, "it never rises");
        assert_eq!(curve(&[1.5]).turning_point(), None);
        assert_eq!(Curve::default().turning_point(), None);
    }
}
