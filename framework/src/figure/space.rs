//! Marks between three axes: an orthographic view of a box, from the front right and above.

use super::canvas::{Align, CAPITAL, Canvas, Place, text_width};
use super::clip::Rectangle;
use super::flat::{coloured, point, radius, thinning_grid, value_colour};
use super::prepared::Prepared;
use super::ruler::{Extent, Ruler};
use super::{Axis, Colour, Mark};
use std::collections::HashSet;

/// Direction of the eye around the vertical axis, degrees.
pub(super) const AZIMUTH: f64 = -60.0;
/// Height of the eye above the horizon, degrees.
pub(super) const ELEVATION: f64 = 22.0;
const TICK_SIZE: f64 = 8.5;
const LABEL_SIZE: f64 = 10.0;

/// A place in the box, each coordinate from -0.5 to 0.5.
type Corner = [f64; 3];

/// Three axes and the view of the box between them.
pub(super) struct Space<'a> {
    prepared: &'a Prepared<'a>,
    axes: [Axis; 3],
    rulers: [Ruler; 3],
    within: Rectangle,
    scale: f64,
    middle: Place,
}

impl<'a> Space<'a> {
    pub fn new(prepared: &'a Prepared<'a>, within: Rectangle) -> Self {
        let axes = [prepared.x.clone(), prepared.y.clone(), prepared.panel.z.clone()];
        let mut extents = [0, 1, 2].map(|axis| Extent::new(axes[axis].scale));
        let mut cover = |x: &[f64], y: &[f64], z: &[f64]| {
            extents[0].extend(x.iter().copied());
            extents[1].extend(y.iter().copied());
            extents[2].extend(z.iter().copied());
        };
        for mark in &prepared.panel.marks {
            match mark {
                Mark::Scatter(points) => cover(&points.x, &points.y, &points.z),
                Mark::Trajectory3(trajectory) => trajectory.paths.iter().for_each(|p| cover(&p.x, &p.y, &p.z)),
                _ => {}
            }
        }
        let rulers = [0, 1, 2].map(|axis| Ruler::new(&axes[axis], extents[axis].padded(0.04), (-0.5, 0.5)));
        let corners = (0..8).map(|bits| view([0, 1, 2].map(|axis| f64::from(bits >> axis & 1) - 0.5)));
        let corners: Vec<Place> = corners.collect();
        let reach = |part: fn(&Place) -> f64| corners.iter().map(part).fold(0.0, f64::max);
        let (half_width, half_height) = (reach(|place| place.0), reach(|place| place.1));
        // Room for the labels: left of the vertical edge and below the two front edges.
        let (left, right, below, above) = (46.0, 22.0, 34.0, 4.0);
        let (width, height) = (within[2] - within[0] - left - right, within[3] - within[1] - below - above);
        let scale = (width / (2.0 * half_width)).min(height / (2.0 * half_height)).max(1.0);
        let middle = (within[0] + left + width / 2.0, within[1] + above + height / 2.0);
        Self { prepared, axes, rulers, within, scale, middle }
    }

    /// Lower and upper ends of the three axes.
    pub fn ends(&self) -> [(f64, f64); 3] {
        self.rulers.map(|ruler| ruler.ends)
    }

    fn project(&self, corner: Corner) -> Place {
        let (right, up) = view(corner);
        (self.middle.0 + right * self.scale, self.middle.1 - up * self.scale)
    }

    fn place(&self, x: f64, y: f64, z: f64) -> Option<Corner> {
        let corner = [self.rulers[0].place(x)?, self.rulers[1].place(y)?, self.rulers[2].place(z)?];
        corner.iter().all(|part| part.abs() <= 0.501).then_some(corner)
    }

    /// The three far walls with a grid, and the ticks and labels of the axes.
    pub fn draw_box(&self, canvas: &mut Canvas) {
        let grid = Colour::hex(0xdd_dd_dd);
        let edge = Colour::hex(0x77_77_77);
        let mut line = |a: Corner, b: Corner, width: f64, ink: Colour| {
            canvas.line(vec![self.project(a), self.project(b)], width, ink);
        };
        let (low, high) = (-0.5, 0.5);
        for axis in 0..3 {
            for tick in self.ticks(axis) {
                // Each tick runs over the two far walls that its axis lies in: x = low, y = high, z = low.
                let far = [low, high, low];
                let others: [usize; 2] = [(axis + 1) % 3, (axis + 2) % 3];
                for (along, fixed) in [(others[0], others[1]), (others[1], others[0])] {
                    let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
                    (a[axis], b[axis]) = (tick.0, tick.0);
                    (a[fixed], b[fixed]) = (far[fixed], far[fixed]);
                    (a[along], b[along]) = (low, high);
                    line(a, b, 0.6, grid);
                }
            }
        }
        for (a, b) in [
            ([low, high, low], [high, high, low]),
            ([low, low, low], [low, high, low]),
            ([low, high, low], [low, high, high]),
            ([high, high, low], [high, high, high]),
            ([low, high, high], [high, high, high]),
            ([low, low, high], [low, high, high]),
        ] {
            line(a, b, 0.6, Colour::hex(0xc4_c4_c4));
        }
        for (a, b) in [
            ([low, low, low], [high, low, low]),
            ([high, low, low], [high, high, low]),
            ([low, low, low], [low, low, high]),
        ] {
            line(a, b, 1.0, edge);
        }
        self.draw_labels(canvas);
    }

    fn draw_labels(&self, canvas: &mut Canvas) {
        let ink = Colour::BLACK;
        let below = 11.0;
        for (at, label) in self.ticks(0) {
            let (x, y) = self.project([at, -0.5, -0.5]);
            canvas.text(label, (x - 2.0, y + below), TICK_SIZE, Align::End, ink);
        }
        for (at, label) in self.ticks(1) {
            let (x, y) = self.project([0.5, at, -0.5]);
            canvas.text(label, (x + 5.0, y + below - 2.0), TICK_SIZE, Align::Start, ink);
        }
        let mut widest = 0.0_f64;
        for (at, label) in self.ticks(2) {
            let (x, y) = self.project([-0.5, -0.5, at]);
            widest = widest.max(text_width(&label, TICK_SIZE));
            canvas.text(label, (x - 5.0, y + CAPITAL * TICK_SIZE / 2.0), TICK_SIZE, Align::End, ink);
        }
        let (x, y) = self.project([0.0, -0.5, -0.5]);
        canvas.text(self.label(0), (x - 16.0, y + below + 16.0), LABEL_SIZE, Align::End, ink);
        let (x, y) = self.project([0.5, 0.0, -0.5]);
        canvas.text(self.label(1), (x + 20.0, y + below + 16.0), LABEL_SIZE, Align::Start, ink);
        let (x, y) = self.project([-0.5, -0.5, 0.0]);
        canvas.upward(self.label(2), (x - widest - 12.0, y), LABEL_SIZE, Align::Middle, ink);
    }

    fn label(&self, axis: usize) -> String {
        let factor = self.rulers[axis].ticks(&self.axes[axis], 6).factor;
        super::layout::with_factor(&self.axes[axis].label, &factor)
    }

    fn ticks(&self, axis: usize) -> Vec<(f64, String)> {
        let ticks = self.rulers[axis].ticks(&self.axes[axis], 6).ticks;
        let named = ticks.into_iter().filter(|tick| !tick.label.is_empty());
        named.filter_map(|tick| Some((self.rulers[axis].place(tick.at)?, tick.label))).collect()
    }

    /// Paths in their order, then points from the far to the near ones.
    pub fn draw(&self, canvas: &mut Canvas) {
        let marks = || self.prepared.panel.marks.iter().zip(&self.prepared.colours);
        for (mark, colour) in marks() {
            let Mark::Trajectory3(trajectory) = mark else { continue };
            let width = if trajectory.paths.len() > 8 { 0.9 } else { 1.3 };
            for path in &trajectory.paths {
                let triples = path.x.iter().zip(&path.y).zip(&path.z);
                let corners = triples.map(|((x, y), z)| self.place(*x, *y, *z));
                let places: Vec<_> = corners.map(|corner| corner.map(|corner| self.project(corner))).collect();
                coloured(canvas, self.prepared, &places, path, *colour, width, self.within);
            }
        }
        let mut points = Vec::new();
        for (mark, colour) in marks() {
            let Mark::Scatter(scatter) = mark else { continue };
            let (grid, mut taken) = (thinning_grid(scatter.x.len()), HashSet::new());
            for (index, ((x, y), z)) in scatter.x.iter().zip(&scatter.y).zip(&scatter.z).enumerate() {
                let Some(corner) = self.place(*x, *y, *z) else { continue };
                let at = self.project(corner);
                if grid > 0.0 && !taken.insert(((at.0 / grid) as i64, (at.1 / grid) as i64)) {
                    continue;
                }
                let ink = scatter.values.get(index).map_or(*colour, |value| value_colour(self.prepared, *value));
                points.push((nearness(corner), at, radius(scatter), scatter.hollow, ink));
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, at, radius, hollow, ink) in points {
            point(canvas, at, radius, hollow, ink);
        }
    }
}

/// Where a place of the box is seen: to the right and up.
fn view([x, y, z]: Corner) -> Place {
    let (azimuth, elevation) = (AZIMUTH.to_radians(), ELEVATION.to_radians());
    let right = -azimuth.sin() * x + azimuth.cos() * y;
    let up = elevation.cos() * z - elevation.sin() * (azimuth.cos() * x + azimuth.sin() * y);
    (right, up)
}

/// How near a place of the box is to the eye.
fn nearness([x, y, z]: Corner) -> f64 {
    let (azimuth, elevation) = (AZIMUTH.to_radians(), ELEVATION.to_radians());
    elevation.cos() * (azimuth.cos() * x + azimuth.sin() * y) + elevation.sin() * z
}
