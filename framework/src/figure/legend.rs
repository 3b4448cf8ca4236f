//! The legend of a panel: in a corner that the data leave free, else beside the panel.

use super::canvas::{Align, CAPITAL, Canvas, Ink, Place, Shape, shorten, text_width};
use super::clip::{self, Rectangle};
use super::flat::{LINE_WIDTH, SPAN_ALPHA, point};
use super::prepared::{Entry, Prepared};
use super::{Colour, Mark};

const SIZE: f64 = 9.5;
const ROW: f64 = 14.0;
const SAMPLE: f64 = 20.0;
const GAP: f64 = 6.0;
/// Labels longer than this are shortened, pixels.
const LONGEST: f64 = 170.0;
/// Entries beyond this are counted, not listed.
const MOST: usize = 16;

/// A legend and its size in pixels.
pub(super) struct Legend<'a> {
    entries: Vec<Entry<'a>>,
    hidden: usize,
    pub width: f64,
    pub height: f64,
}

impl<'a> Legend<'a> {
    /// The legend of a panel, when a mark has a label.
    pub fn new(prepared: &Prepared<'a>) -> Option<Self> {
        let mut entries = prepared.legend();
        if entries.is_empty() {
            return None;
        }
        let hidden = if entries.len() > MOST { entries.len() - (MOST - 1) } else { 0 };
        entries.truncate(entries.len() - hidden);
        for entry in &mut entries {
            entry.label = shorten(&entry.label, SIZE, LONGEST);
        }
        let rows = entries.len() + usize::from(hidden > 0);
        let widest = entries
            .iter()
            .map(|entry| text_width(&entry.label, SIZE))
            .fold(60.0 * f64::from(u8::from(hidden > 0)), f64::max);
        Some(Self { entries, hidden, width: SAMPLE + GAP + widest, height: ROW * rows as f64 })
    }

    /// The upper left corner of a free place within the rectangle, if there is one.
    pub fn free_corner(&self, drawn: &[Shape], within: Rectangle) -> Option<Place> {
        let [left, top, right, bottom] = within;
        let edge = 7.0;
        if self.width > (right - left) * 0.6 || self.height > (bottom - top) * 0.6 {
            return None;
        }
        let (far_x, far_y) = (right - edge - self.width, bottom - edge - self.height);
        let (middle_x, middle_y) = ((left + right - self.width) / 2.0, (top + bottom - self.height) / 2.0);
        let (near_x, near_y) = (left + edge, top + edge);
        let places = [
            (far_x, near_y),
            (near_x, near_y),
            (far_x, far_y),
            (near_x, far_y),
            (middle_x, near_y),
            (middle_x, far_y),
            (far_x, middle_y),
            (near_x, middle_y),
        ];
        places.into_iter().find(|(x, y)| {
            let border = [x - 4.0, y - 3.0, x + self.width + 4.0, y + self.height + 3.0];
            drawn.iter().all(|shape| !covers(shape, border))
        })
    }

    /// Draws the legend with its upper left corner at a place.
    pub fn draw(&self, canvas: &mut Canvas, (x, y): Place) {
        for (row, entry) in self.entries.iter().enumerate() {
            let middle = y + ROW * (row as f64 + 0.5);
            sample(canvas, entry, (x, middle));
            let at = (x + SAMPLE + GAP, middle + CAPITAL * SIZE / 2.0);
            canvas.text(&entry.label, at, SIZE, Align::Start, Colour::BLACK);
        }
        if self.hidden > 0 {
            let middle = y + ROW * (self.entries.len() as f64 + 0.5);
            let at = (x + SAMPLE + GAP, middle + CAPITAL * SIZE / 2.0);
            canvas.text(format!("and {} more", self.hidden), at, SIZE, Align::Start, Colour::GREY);
        }
    }
}

/// A small picture of the mark.
fn sample(canvas: &mut Canvas, entry: &Entry, (x, y): Place) {
    let (from, to, middle) = ((x, y), (x + SAMPLE, y), (x + SAMPLE / 2.0, y));
    let colour = entry.colour;
    match entry.mark {
        Mark::Line(line) => {
            if !line.lower.is_empty() {
                canvas.fill((x, y - 4.0), (x + SAMPLE, y + 4.0), Ink { colour, alpha: super::flat::BAND_ALPHA });
            }
            if line.dashed {
                canvas.dashes(&[from, to], LINE_WIDTH, colour)
            } else {
                canvas.line(vec![from, to], LINE_WIDTH, colour)
            }
            if line.dots {
                canvas.disc(middle, 2.4, colour);
            }
        }
        Mark::Rule(rule) if rule.dashed => canvas.dashes(&[from, to], 1.1, colour),
        Mark::Rule(_) | Mark::Dendrogram(_) | Mark::Trajectory2(_) | Mark::Trajectory3(_) => {
            canvas.line(vec![from, to], LINE_WIDTH, colour);
        }
        Mark::Barcode(_) => canvas.line(vec![from, to], 4.0, colour),
        Mark::Scatter(points) => point(canvas, middle, if points.large { 4.5 } else { 3.2 }, points.hollow, colour),
        Mark::Span(_) => canvas.fill((x, y - 5.0), (x + SAMPLE, y + 5.0), Ink { colour, alpha: SPAN_ALPHA * 1.6 }),
        Mark::Quiver(_) => {
            canvas.line(vec![from, (x + SAMPLE - 4.0, y)], 0.9, colour);
            canvas.area(vec![to, (x + SAMPLE - 5.0, y - 2.5), (x + SAMPLE - 5.0, y + 2.5)], colour);
        }
        Mark::Bars(_) | Mark::Histogram(_) | Mark::HeatMap(_) | Mark::Text(_) => {
            canvas.fill((x + 4.0, y - 4.5), (x + SAMPLE - 4.0, y + 4.5), colour);
        }
    }
}

/// Whether a shape shows within the border; what is as pale as a span may lie under a legend.
fn covers(shape: &Shape, border: Rectangle) -> bool {
    let [left, top, right, bottom] = border;
    let inside = |place: &Place| (left..=right).contains(&place.0) && (top..=bottom).contains(&place.1);
    match shape {
        Shape::Line { points, .. } => points.windows(2).any(|pair| clip::segment(pair[0], pair[1], border).is_some()),
        Shape::Disc { at, radius, .. } => {
            (left - radius..=right + radius).contains(&at.0) && (top - radius..=bottom + radius).contains(&at.1)
        }
        Shape::Box { from, to, ink } => {
            ink.alpha > SPAN_ALPHA && from.0 < right && to.0 > left && from.1 < bottom && to.1 > top
        }
        Shape::Area { points, .. } => {
            let sides = (0..points.len()).map(|index| (points[index], points[(index + 1) % points.len()]));
            points.iter().any(inside) || sides.clone().any(|(a, b)| clip::segment(a, b, border).is_some()) || {
                // No side crosses the border: it lies wholly within the area or wholly outside.
                let crossings = sides.filter(|(a, b)| {
                    (a.1 > top) != (b.1 > top) && left < a.0 + (top - a.1) / (b.1 - a.1) * (b.0 - a.0)
                });
                crossings.count() % 2 == 1
            }
        }
        Shape::Letters(letters) => {
            let half = text_width(&letters.text, letters.size);
            clip::segment((letters.at.0 - half, letters.at.1), (letters.at.0 + half, letters.at.1), border).is_some()
        }
    }
}
