//! Marks between two axes, drawn as shapes.

mod colours;

pub(super) use colours::{coloured, value_colour};

use super::canvas::{Align, CAPITAL, Canvas, Ink, Place, text_width};
use super::clip::{self, Rectangle};
use super::prepared::{Prepared, brackets, edges};
use super::ruler::Ruler;
use super::{Bars, Colour, ColourMap, HeatMap, Line, Mark, Orientation, Path, Scatter};
use crate::table::short;
use std::collections::HashSet;

pub(super) const LINE_WIDTH: f64 = 1.6;
const THIN_WIDTH: f64 = 0.8;
/// Share of white in what stands behind: thin lines, fills of bars.
const PALE: f64 = 0.45;

/// The axes of a panel and the rectangle between them.
pub(super) struct Frame<'a> {
    pub prepared: &'a Prepared<'a>,
    pub x: Ruler,
    pub y: Ruler,
    pub within: Rectangle,
}

impl Frame<'_> {
    /// Draws every mark: spans behind, then the marks in their order.
    pub fn draw(&self, canvas: &mut Canvas) {
        let marks = || self.prepared.panel.marks.iter().enumerate();
        for (_, mark) in marks().filter(|(_, mark)| matches!(mark, Mark::Span(_))) {
            self.mark(canvas, 0, mark);
        }
        for (index, mark) in marks().filter(|(_, mark)| !matches!(mark, Mark::Span(_))) {
            self.mark(canvas, index, mark);
        }
    }

    fn mark(&self, canvas: &mut Canvas, index: usize, mark: &Mark) {
        let colour = self.prepared.colours[index];
        match mark {
            Mark::Line(line) => self.line(canvas, line, colour),
            Mark::Scatter(points) => self.scatter(canvas, points, colour),
            Mark::Bars(bars) => self.bars(canvas, index, bars, colour),
            Mark::Histogram(histogram) => {
                for (from, to, height) in self.prepared.bins(histogram) {
                    let ink = Ink { colour, alpha: if self.histograms() > 1 { 0.5 } else { 0.85 } };
                    self.column(canvas, (from, to), height, ink);
                }
            }
            Mark::HeatMap(map) => self.heat_map(canvas, map),
            Mark::Dendrogram(tree) => {
                for bracket in brackets(tree) {
                    let places: Vec<_> = bracket.iter().map(|(x, y)| self.place(*x, *y)).collect();
                    self.path(canvas, &places, 1.2, false, colour);
                }
            }
            Mark::Barcode(barcode) => {
                let bars = barcode.ordered();
                let thickness = (self.y.length() / (bars.len() + 1) as f64 * 0.7).clamp(0.4, 6.0);
                for (row, bar) in bars.iter().enumerate() {
                    let end = if bar.death.is_finite() { self.x.place(bar.death) } else { Some(self.within[2]) };
                    let (Some(from), Some(to), Some(y)) = (self.x.place(bar.birth), end, self.y.place(row as f64))
                    else {
                        continue;
                    };
                    let Some((from, to)) = clip::segment((from, y), (to, y), self.within) else { continue };
                    let colour = Colour::palette(bar.dimension);
                    canvas.line(vec![from, to], thickness, colour);
                    if bar.death.is_infinite() {
                        let (back, half) = (thickness.max(3.0) * 1.5, thickness.max(3.0));
                        canvas.area(vec![(to.0 + back, y), (to.0, y - half), (to.0, y + half)], colour);
                    }
                }
            }
            Mark::Trajectory2(trajectory) => {
                let width = if trajectory.paths.len() > 8 { 1.0 } else { 1.4 };
                for path in &trajectory.paths {
                    let pairs = path.x.iter().zip(&path.y);
                    let places: Vec<_> = pairs.map(|(x, y)| self.place(*x, *y)).collect();
                    self.coloured(canvas, places, path, (trajectory.map, colour), width);
                }
            }
            Mark::Rule(rule) => {
                let [left, top, right, bottom] = self.within;
                let ends = match rule.orientation {
                    Orientation::Horizontal => self.y.inside(rule.at).map(|y| [(left, y), (right, y)]),
                    Orientation::Vertical => self.x.inside(rule.at).map(|x| [(x, bottom), (x, top)]),
                };
                match ends {
                    Some(ends) if rule.dashed => canvas.dashes(&ends, 1.1, rule.colour),
                    Some(ends) => canvas.line(ends.to_vec(), 1.1, rule.colour),
                    None => {}
                }
            }
            Mark::Span(span) => {
                let [left, top, right, bottom] = self.within;
                let ruler = if span.orientation == Orientation::Vertical { &self.x } else { &self.y };
                let (Some(a), Some(b)) = (ruler.place(span.lower), ruler.place(span.upper)) else { return };
                let ink = Ink { colour: span.colour, alpha: SPAN_ALPHA };
                match span.orientation {
                    Orientation::Vertical => {
                        canvas.fill((a.clamp(left, right), top), (b.clamp(left, right), bottom), ink);
                    }
                    Orientation::Horizontal => {
                        canvas.fill((left, a.clamp(top, bottom)), (right, b.clamp(top, bottom)), ink);
                    }
                }
            }
            Mark::Quiver(field) => {
                for [from_x, from_y, to_x, to_y] in field.arrows() {
                    if let (Some(from), Some(to)) = (self.place(from_x, from_y), self.place(to_x, to_y)) {
                        self.arrow(canvas, from, to, field.colour);
                    }
                }
            }
            Mark::Text(text) => {
                if let (Some(x), Some(y)) = (self.x.inside(text.x), self.y.inside(text.y)) {
                    canvas.text(&text.text, (x, y + CAPITAL * 4.5), 9.0, Align::Middle, text.colour);
                }
            }
            Mark::Trajectory3(_) => {}
        }
    }

    fn place(&self, x: f64, y: f64) -> Option<Place> {
        Some((self.x.place(x)?, self.y.place(y)?))
    }

    fn inside(&self, x: f64, y: f64) -> Option<Place> {
        Some((self.x.inside(x)?, self.y.inside(y)?))
    }

    fn histograms(&self) -> usize {
        self.prepared.panel.marks.iter().filter(|mark| matches!(mark, Mark::Histogram(_))).count()
    }

    fn path(&self, canvas: &mut Canvas, places: &[Option<Place>], width: f64, dashed: bool, ink: Colour) {
        for part in clip::path(places, self.within) {
            if dashed {
                canvas.dashes(&part, width, ink);
            } else {
                canvas.line(part, width, ink);
            }
        }
    }

    fn line(&self, canvas: &mut Canvas, line: &Line, colour: Colour) {
        let edges = line.x.iter().zip(line.lower.iter().zip(&line.upper));
        let edges: Vec<_> = edges.map(|(x, (low, high))| (self.place(*x, *low), self.place(*x, *high))).collect();
        let lower = clip::thin(edges.iter().map(|(low, high)| high.and(*low)).collect());
        let upper = clip::thin(edges.iter().map(|(low, high)| low.and(*high)).collect());
        // Gaps fall on the same columns in both edges, so their unbroken stretches correspond.
        let lower = lower.split(Option::is_none).filter(|part| !part.is_empty());
        let upper = upper.split(Option::is_none).filter(|part| !part.is_empty());
        for (low, high) in lower.zip(upper) {
            let corners = low.iter().chain(high.iter().rev()).flatten().copied().collect();
            canvas.area(clip::polygon(corners, self.within), Ink { colour, alpha: BAND_ALPHA });
        }
        let places: Vec<_> = line.x.iter().zip(&line.y).map(|(x, y)| self.place(*x, *y)).collect();
        let (width, ink) = if line.thin { (THIN_WIDTH, colour.mix(Colour::WHITE, PALE)) } else { (LINE_WIDTH, colour) };
        // A value between two gaps has no segment: without a dot it would be invisible.
        let lonely = |index: usize| {
            let missing = |at: Option<usize>| at.and_then(|at| places.get(at)).is_none_or(Option::is_none);
            missing(index.checked_sub(1)) && missing(Some(index + 1))
        };
        for (index, place) in places.iter().enumerate() {
            let Some((x, y)) = *place else { continue };
            let visible = x >= self.within[0] - 0.5 && x <= self.within[2] + 0.5;
            if (line.dots || lonely(index)) && visible && y >= self.within[1] - 0.5 && y <= self.within[3] + 0.5 {
                canvas.disc((x, y), 2.4, ink);
            }
        }
        self.path(canvas, &clip::thin(places), width, line.dashed, ink);
    }

    fn scatter(&self, canvas: &mut Canvas, points: &Scatter, colour: Colour) {
        let radius = radius(points);
        for (index, (x, (low, high))) in points.x.iter().zip(points.lower.iter().zip(&points.upper)).enumerate() {
            if points.y.get(index).is_some_and(|y| self.y.place(*y).is_some()) {
                self.error_bar(canvas, self.x.inside(*x), (*low, *high), colour);
            }
        }
        let grid = thinning_grid(points.x.len());
        let mut taken = HashSet::new();
        for (index, (x, y)) in points.x.iter().zip(&points.y).enumerate() {
            let Some(at) = self.inside(*x, *y) else { continue };
            if grid > 0.0 && !taken.insert(((at.0 / grid) as i64, (at.1 / grid) as i64)) {
                continue;
            }
            let ink = match points.values.get(index) {
                Some(value) => self.value_colour(*value),
                None => colour,
            };
            point(canvas, at, radius, points.hollow, ink);
        }
    }

    fn error_bar(&self, canvas: &mut Canvas, x: Option<f64>, (low, high): (f64, f64), ink: Colour) {
        let (Some(x), Some(low), Some(high)) = (x, self.y.place(low), self.y.place(high)) else { return };
        let [_, top, _, bottom] = self.within;
        if let Some((from, to)) = clip::segment((x, low), (x, high), self.within) {
            canvas.line(vec![from, to], 1.2, ink);
        }
        for y in [low, high].into_iter().filter(|y| (top..=bottom).contains(y)) {
            canvas.line(vec![(x - 3.0, y), (x + 3.0, y)], 1.2, ink);
        }
    }

    /// A filled column from the base of the axis to `height`.
    fn column(&self, canvas: &mut Canvas, (from, to): (f64, f64), height: f64, ink: Ink) {
        let (Some(a), Some(b)) = (self.x.place(from), self.x.place(to)) else { return };
        let Some(top) = self.y.place(height) else { return };
        let [left, upper, right, lower] = self.within;
        let (a, b) = (a.clamp(left, right), b.clamp(left, right));
        let gap = if (b - a).abs() > 4.0 { 0.4 } else { 0.0 };
        let (a, b) = (a.min(b) + gap, a.max(b) - gap);
        canvas.fill((a, top.clamp(upper, lower)), (b, self.y.base().clamp(upper, lower)), ink);
    }

    fn bars(&self, canvas: &mut Canvas, index: usize, bars: &Bars, colour: Colour) {
        let half = self.prepared.bar_width / 2.0 * 0.94;
        for (bar, (centre, height)) in self.prepared.bar_centres(index, bars).into_iter().zip(&bars.y).enumerate() {
            let colour = if bars.colour_each { Colour::palette(bar) } else { colour };
            let pale = bars.members.get(bar).is_some_and(|members| !members.is_empty());
            let fill = if pale { colour.mix(Colour::WHITE, PALE) } else { colour };
            self.column(canvas, (centre - half, centre + half), *height, fill.into());
            if let Some(members) = bars.members.get(bar) {
                let count = members.len();
                for (member, value) in members.iter().enumerate() {
                    // Members are spread evenly over the middle half of the bar, in their order.
                    let share = if count > 1 { member as f64 / (count - 1) as f64 - 0.5 } else { 0.0 };
                    if let Some(at) = self.inside(centre + share * half, *value) {
                        canvas.disc(at, 2.2, Colour::WHITE);
                        canvas.disc(at, 1.7, colour.mix(Colour::BLACK, 0.25));
                    }
                }
            }
            if let (Some(low), Some(high)) = (bars.lower.get(bar), bars.upper.get(bar)) {
                self.error_bar(canvas, self.x.inside(centre), (*low, *high), Colour::BLACK);
            }
        }
    }

    fn arrow(&self, canvas: &mut Canvas, from: Place, to: Place, ink: Colour) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let [left, top, right, bottom] = self.within;
        let within = |place: Place| place.0 >= left && place.0 <= right && place.1 >= top && place.1 <= bottom;
        if length < 0.5 || !within(from) || !within(to) {
            return;
        }
        let (ux, uy) = ((to.0 - from.0) / length, (to.1 - from.1) / length);
        let head = (length * 0.45).min(5.0);
        let neck = (to.0 - ux * head, to.1 - uy * head);
        canvas.line(vec![from, neck], 0.9, ink);
        let half = head * 0.45;
        canvas.area(vec![to, (neck.0 - uy * half, neck.1 + ux * half), (neck.0 + uy * half, neck.1 - ux * half)], ink);
    }
}

/// Opacity of bands.
pub(super) const BAND_ALPHA: f64 = 0.2;
/// Opacity of spans.
pub(super) const SPAN_ALPHA: f64 = 0.13;

/// Radius of points, by how many there are.
pub(super) fn radius(points: &Scatter) -> f64 {
    match (points.large, points.x.len()) {
        (true, _) => 5.0,
        (_, 0..=200) => 2.8,
        (_, 201..=2000) => 2.0,
        _ => 1.3,
    }
}

/// Points closer than this many pixels are drawn once; 0 draws all.
pub(super) fn thinning_grid(count: usize) -> f64 {
    match count {
        0..=5_000 => 0.0,
        5_001..=200_000 => 1.0,
        _ => 2.0,
    }
}

pub(super) fn point(canvas: &mut Canvas, at: Place, radius: f64, hollow: bool, ink: Colour) {
    canvas.disc(at, radius, ink);
    if hollow {
        canvas.disc(at, radius - (radius * 0.35).clamp(0.5, 1.3), Colour::WHITE);
    }
}
