//! What every drawing of a panel needs to know first: colours, categories, intervals, extents.

use super::ruler::Extent;
use super::{Axis, Bars, Bins, Colour, ColourMap, Dendrogram, Histogram, Mark, Orientation, Panel, Scale};

/// A panel with everything worked out that does not depend on where it is drawn.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub panel: &'a Panel,
    /// Horizontal axis with the categories that its marks bring.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// A colour for each mark.
    pub colours: Vec<Colour>,
    /// Map and limits of the colour values, when a mark has any.
    pub colour_range: Option<(ColourMap, (f64, f64))>,
    /// Width of one bar and number of bars side by side.
    pub bar_width: f64,
    bar_count: usize,
    histogram_range: (f64, f64),
}

/// One entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub label: String,
    pub colour: Colour,
    pub mark: &'a Mark,
}

impl<'a> Prepared<'a> {
    pub fn new(panel: &'a Panel) -> Self {
        let (mut x, y) = (panel.x.clone(), panel.y.clone());
        if x.categories.is_empty() {
            for mark in &panel.marks {
                match mark {
                    Mark::Bars(bars) => {
                        for name in &bars.categories {
                            if !x.categories.contains(name) {
                                x.categories.push(name.clone());
                            }
                        }
                    }
                    Mark::Dendrogram(tree) => {
                        x.categories = tree.order().into_iter().map(|leaf| tree.leaves[leaf].clone()).collect();
                    }
                    _ => {}
                }
            }
        }
        let values = panel.marks.iter().filter_map(|mark| match mark {
            Mark::Histogram(histogram) => Some(histogram.values.iter().copied()),
            _ => None,
        });
        let mut prepared = Self {
            panel,
            histogram_range: Extent::of(x.scale, values.flatten()).ends(),
            x,
            y,
            colours: colours(panel),
            colour_range: colour_range(panel),
            bar_width: 0.8,
            bar_count: panel.marks.iter().filter(|mark| matches!(mark, Mark::Bars(_))).count().max(1),
        };
        prepared.bar_width = prepared.bar_spacing() * 0.8 / prepared.bar_count as f64;
        prepared
    }

    /// Centres of the bars of the mark at `index`, moved aside when several marks share the places.
    pub fn bar_centres(&self, index: usize, bars: &Bars) -> Vec<f64> {
        let earlier = self.panel.marks[..index].iter().filter(|mark| matches!(mark, Mark::Bars(_))).count();
        let aside = (earlier as f64 - (self.bar_count - 1) as f64 / 2.0) * self.bar_width;
        self.bar_places(bars).into_iter().map(|place| place + aside).collect()
    }

    fn bar_places(&self, bars: &Bars) -> Vec<f64> {
        if bars.categories.is_empty() {
            return bars.x.clone();
        }
        let place = |name: &String| self.x.categories.iter().position(|known| known == name);
        bars.categories.iter().map(|name| place(name).map_or(f64::NAN, |index| index as f64)).collect()
    }

    fn bar_spacing(&self) -> f64 {
        let marks = self.panel.marks.iter();
        let bars = marks.filter_map(|mark| if let Mark::Bars(bars) = mark { Some(bars) } else { None });
        let mut places: Vec<f64> =
            bars.flat_map(|bars| self.bar_places(bars)).filter(|place| place.is_finite()).collect();
        places.sort_by(f64::total_cmp);
        let gaps = places.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
        let smallest = gaps.fold(f64::INFINITY, f64::min);
        if smallest.is_finite() { smallest } else { 1.0 }
    }

    /// The intervals of a histogram as (lower edge, upper edge, height).
    pub fn bins(&self, histogram: &Histogram) -> Vec<(f64, f64, f64)> {
        let finite = histogram.values.iter().copied().filter(|value| value.is_finite());
        let mut values: Vec<f64> = finite.collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = self.histogram_range;
        let even = |count: usize| -> Vec<f64> {
            let share = |index: usize| index as f64 / count as f64;
            match self.x.scale {
                Scale::Linear => (0..=count).map(|index| low + (high - low) * share(index)).collect(),
                Scale::Log => (0..=count).map(|index| low * (high / low).powf(share(index))).collect(),
            }
        };
        let mut edges = match &histogram.bins {
            Bins::Auto => even(((values.len() as f64).sqrt().ceil() as usize).clamp(5, 50)),
            Bins::Count(count) => even((*count).clamp(1, 10_000)),
            Bins::Edges(edges) => edges.iter().copied().filter(|edge| edge.is_finite()).collect(),
        };
        if let (Bins::Auto | Bins::Count(_), Some(last)) = (&histogram.bins, edges.last_mut()) {
            *last = high; // Rounding must not push the largest value out of the last interval.
        }
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let below = |edge: f64| values.partition_point(|value| *value < edge);
        let last = edges.len().saturating_sub(2);
        let counts = edges.windows(2).enumerate().map(|(index, pair)| {
            let closed = index == last; // The last interval holds its upper edge, as NumPy has it.
            let upto = if closed { values.partition_point(|value| *value <= pair[1]) } else { below(pair[1]) };
            (pair[0], pair[1], (upto - below(pair[0])) as f64)
        });
        let bins: Vec<_> = counts.collect();
        let total: f64 = bins.iter().map(|(_, _, count)| count).sum();
        if !histogram.density || total == 0.0 {
            return bins;
        }
        bins.into_iter().map(|(from, to, count)| (from, to, count / total / (to - from))).collect()
    }

    /// Entries of the legend: one for each label, and one for each dimension of a barcode.
    pub fn legend(&self) -> Vec<Entry<'a>> {
        let mut entries: Vec<Entry> = Vec::new();
        if self.panel.hide_legend {
            return entries;
        }
        for (mark, colour) in self.panel.marks.iter().zip(&self.colours) {
            if let Mark::Barcode(barcode) = mark {
                let mut dimensions: Vec<usize> = barcode.ordered().iter().map(|bar| bar.dimension).collect();
                dimensions.dedup();
                entries.extend(dimensions.into_iter().map(|dimension| Entry {
                    label: homology(dimension),
                    colour: Colour::palette(dimension),
                    mark,
                }));
            } else if !mark.label().is_empty() && entries.iter().all(|entry| entry.label != mark.label()) {
                entries.push(Entry { label: mark.label().into(), colour: *colour, mark });
            }
        }
        entries
    }

    /// What the marks cover along x and y, with the share of margin that each axis wants.
    pub fn extents(&self) -> ((f64, f64), (f64, f64)) {
        let (mut x, mut y) = (Extent::new(self.x.scale), Extent::new(self.y.scale));
        let (mut x_margin, mut y_margin, mut floor) = (0.03, 0.05, false);
        for (index, mark) in self.panel.marks.iter().enumerate() {
            match mark {
                Mark::Line(line) => {
                    x.extend(line.x.iter().take(line.y.len()).copied());
                    y.extend(line.y.iter().chain(&line.lower).chain(&line.upper).copied());
                }
                Mark::Scatter(points) => {
                    x.extend(points.x.iter().copied());
                    y.extend(points.y.iter().chain(&points.lower).chain(&points.upper).copied());
                    x_margin = 0.05;
                }
                Mark::Bars(bars) => {
                    for centre in self.bar_centres(index, bars) {
                        x.extend([centre - self.bar_width * 0.6, centre + self.bar_width * 0.6]);
                    }
                    y.extend(bars.y.iter().chain(&bars.lower).chain(&bars.upper).copied());
                    y.extend(bars.members.iter().flatten().copied());
                    y.add(0.0);
                    floor = true;
                }
                Mark::Histogram(histogram) => {
                    for (from, to, height) in self.bins(histogram) {
                        x.extend([from, to]);
                        y.add(height);
                    }
                    y.add(0.0);
                    floor = true;
                }
                Mark::HeatMap(map) => {
                    let columns = map.values.iter().map(Vec::len).max().unwrap_or(0);
                    x.extend(edges(&map.x, columns, self.x.scale));
                    y.extend(edges(&map.y, map.values.len(), self.y.scale));
                    (x_margin, y_margin) = (0.0, 0.0);
                }
                Mark::Dendrogram(tree) => {
                    x.extend([-0.5, tree.leaves.len() as f64 - 0.5]);
                    y.extend(tree.merges.iter().map(|merge| merge.height));
                    y.add(0.0);
                    floor = true;
                }
                Mark::Barcode(barcode) => {
                    let bars = barcode.ordered();
                    x.extend(bars.iter().flat_map(|bar| [bar.birth, bar.death]));
                    y.extend([-1.0, bars.len() as f64]);
                    y_margin = 0.0;
                }
                Mark::Trajectory2(trajectory) => {
                    x.extend(trajectory.paths.iter().flat_map(|path| path.x.iter().copied()));
                    y.extend(trajectory.paths.iter().flat_map(|path| path.y.iter().copied()));
                    x_margin = 0.05;
                }
                Mark::Rule(rule) => match rule.orientation {
                    Orientation::Horizontal => y.add(rule.at),
                    Orientation::Vertical => x.add(rule.at),
                },
                Mark::Span(span) => match span.orientation {
                    Orientation::Horizontal => y.extend([span.lower, span.upper]),
                    Orientation::Vertical => x.extend([span.lower, span.upper]),
                },
                Mark::Quiver(field) => {
                    for [from_x, from_y, to_x, to_y] in field.arrows() {
                        x.extend([from_x, to_x]);
                        y.extend([from_y, to_y]);
                    }
                }
                Mark::Text(text) => {
                    x.add(text.x);
                    y.add(text.y);
                }
                Mark::Trajectory3(_) => {}
            }
        }
        let (mut x_ends, mut y_ends) = (x.padded(x_margin), y.padded(y_margin));
        if !self.x.categories.is_empty() {
            x_ends = (-0.5, self.x.categories.len() as f64 - 0.5);
        }
        if !self.y.categories.is_empty() {
            y_ends = (-0.5, self.y.categories.len() as f64 - 0.5);
        }
        if floor && self.y.scale == Scale::Linear && !y.is_empty() && y.ends().0 >= 0.0 {
            y_ends.0 = 0.0; // Bars stand on the axis.
        }
        (x_ends, y_ends)
    }
}

/// Name of a homology group.
pub(super) fn homology(dimension: usize) -> String {
    let digits = dimension.to_string();
    let lowered = |digit: char| char::from_u32('₀' as u32 + digit as u32 - '0' as u32).unwrap_or(digit);
    format!("H{}", digits.chars().map(lowered).collect::<String>())
}

/// Lines of a dendrogram: the bracket of each merge, in units of the axes.
pub(super) fn brackets(tree: &Dendrogram) -> Vec<[(f64, f64); 4]> {
    let mut places = vec![(f64::NAN, 0.0); tree.leaves.len()];
    for (place, leaf) in tree.order().into_iter().enumerate() {
        places[leaf] = (place as f64, 0.0);
    }
    let mut brackets = Vec::new();
    for merge in &tree.merges {
        let at = |cluster: usize| places.get(cluster).copied().unwrap_or((f64::NAN, 0.0));
        let (a, b) = (at(merge.first), at(merge.second));
        brackets.push([a, (a.0, merge.height), (b.0, merge.height), b]);
        places.push(((a.0 + b.0) / 2.0, merge.height));
    }
    brackets
}

/// Edges of `count` cells around their centres (0, 1, 2, ... where none are given).
pub(super) fn edges(centres: &[f64], count: usize, scale: Scale) -> Vec<f64> {
    if count == 0 {
        return Vec::new();
    }
    let given = centres.len() >= count && centres[..count].iter().all(|centre| centre.is_finite());
    let log = given && scale == Scale::Log && centres[..count].iter().all(|centre| *centre > 0.0);
    let centre = |index: usize| match (given, log) {
        (true, true) => centres[index].ln(),
        (true, false) => centres[index],
        (false, _) => index as f64,
    };
    let step = |index: usize| if count > 1 { centre(index + 1) - centre(index) } else { 1.0 };
    let mut edges = vec![centre(0) - step(0) / 2.0];
    edges.extend((1..count).map(|index| (centre(index - 1) + centre(index)) / 2.0));
    edges.push(centre(count - 1) + if count > 1 { step(count - 2) } else { 1.0 } / 2.0);
    if log { edges.into_iter().map(f64::exp).collect() } else { edges }
}

fn colours(panel: &Panel) -> Vec<Colour> {
    let mut labelled: Vec<(&str, Colour)> = Vec::new();
    let mut next = 0;
    let choose = |mark: &'_ Mark| mark.chosen_colour();
    panel
        .marks
        .iter()
        .map(|mark| {
            let known = labelled.iter().find(|(label, _)| !label.is_empty() && *label == mark.label());
            let colour = choose(mark).or(known.map(|(_, colour)| *colour)).unwrap_or_else(|| {
                next += 1;
                Colour::palette(next - 1)
            });
            if !mark.label().is_empty() && known.is_none() {
                labelled.push((mark.label(), colour));
            }
            colour
        })
        .collect()
}

fn colour_range(panel: &Panel) -> Option<(ColourMap, (f64, f64))> {
    let (mut map, mut limits) = (None, None);
    let mut extent = Extent::new(Scale::Linear);
    for mark in &panel.marks {
        let own = match mark {
            Mark::HeatMap(cells) => {
                extent.extend(cells.values.iter().flatten().copied());
                limits = limits.or(cells.limits);
                Some(cells.map)
            }
            Mark::Scatter(points) if !points.values.is_empty() => {
                extent.extend(points.values.iter().copied());
                Some(points.map)
            }
            Mark::Trajectory2(trajectory) if trajectory.paths.iter().any(|path| !path.values.is_empty()) => {
                extent.extend(trajectory.paths.iter().flat_map(|path| path.values.iter().copied()));
                Some(trajectory.map)
            }
            Mark::Trajectory3(trajectory) if trajectory.paths.iter().any(|path| !path.values.is_empty()) => {
                extent.extend(trajectory.paths.iter().flat_map(|path| path.values.iter().copied()));
                Some(trajectory.map)
            }
            _ => None,
        };
        map = map.or(own);
    }
    let map = map?;
    let mut ends = extent.ends();
    if map == ColourMap::Diverging {
        let reach = ends.0.abs().max(ends.1.abs());
        ends = (-reach, reach);
    }
    if let Some((low, high)) = limits {
        ends = Extent::of(Scale::Linear, [low, high]).ends();
    }
    Some((map, ends))
}
