//! Heat maps, and colours that stand for values.

use super::*;

impl Frame<'_> {
    pub(super) fn heat_map(&self, canvas: &mut Canvas, map: &HeatMap) {
        let columns = map.values.iter().map(Vec::len).max().unwrap_or(0);
        let x_edges = edges(&map.x, columns, self.prepared.x.scale);
        let y_edges = edges(&map.y, map.values.len(), self.prepared.y.scale);
        // Cells below two pixels are averaged: the picture cannot show them one by one.
        let group = |cells: usize, length: f64| ((2 * cells) as f64 / length.max(1.0)).ceil().max(1.0) as usize;
        let (wide, high) = (group(columns, self.x.length()), group(map.values.len(), self.y.length()));
        let [left, top, right, bottom] = self.within;
        for rows in (0..map.values.len()).step_by(high) {
            let rows_end = (rows + high).min(map.values.len());
            let (Some(y0), Some(y1)) = (self.y.place(y_edges[rows]), self.y.place(y_edges[rows_end])) else {
                continue;
            };
            let (y0, y1) = (y0.clamp(top, bottom), y1.clamp(top, bottom));
            let mut run: Option<(f64, f64, Colour)> = None;
            for from in (0..columns).step_by(wide) {
                let to = (from + wide).min(columns);
                let cells = map.values[rows..rows_end].iter().flat_map(|row| row.iter().take(to).skip(from));
                let (sum, count) =
                    cells.filter(|v| v.is_finite()).fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
                let value = if count > 0.0 { sum / count } else { f64::NAN };
                let (Some(x0), Some(x1)) = (self.x.place(x_edges[from]), self.x.place(x_edges[to])) else {
                    continue;
                };
                let (x0, x1) = (x0.clamp(left, right), x1.clamp(left, right));
                let colour = self.value_colour(value);
                run = match run {
                    Some((start, end, known)) if known == colour && end == x0 => Some((start, x1, known)),
                    other => {
                        cell(canvas, other, y0, y1);
                        Some((x0, x1, colour))
                    }
                };
            }
            cell(canvas, run, y0, y1);
        }
        if map.annotate {
            self.annotate(canvas, map, &x_edges, &y_edges);
        }
    }

    pub(super) fn annotate(&self, canvas: &mut Canvas, map: &HeatMap, x_edges: &[f64], y_edges: &[f64]) {
        for (row, values) in map.values.iter().enumerate() {
            for (column, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                let corner = self.inside(x_edges[column], y_edges[row]);
                let opposite = self.inside(x_edges[column + 1], y_edges[row + 1]);
                let (Some(a), Some(b)) = (corner, opposite) else { continue };
                let text = if value.abs() < 10.0 { short((value * 100.0).round() / 100.0) } else { short(*value) };
                let size = 9.0;
                if text_width(&text, size) + 2.0 > (b.0 - a.0).abs() || size > (b.1 - a.1).abs() {
                    continue;
                }
                let ink = if self.value_colour(*value).is_light() { Colour::BLACK } else { Colour::WHITE };
                let at = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0 + CAPITAL * size / 2.0);
                canvas.text(text, at, size, Align::Middle, ink);
            }
        }
    }

    pub(in crate::figure) fn value_colour(&self, value: f64) -> Colour {
        value_colour(self.prepared, value)
    }

    /// A path whose colour follows its values, with a dot at its start.
    pub(super) fn coloured(
        &self,
        canvas: &mut Canvas,
        places: Vec<Option<Place>>,
        path: &Path,
        style: (ColourMap, Colour),
        width: f64,
    ) {
        coloured(canvas, self.prepared, &places, path, style.1, width, self.within);
    }
}

/// Neighbouring cells overlap by a hair so that no seam shows between them.
fn cell(canvas: &mut Canvas, run: Option<(f64, f64, Colour)>, y0: f64, y1: f64) {
    if let Some((x0, x1, colour)) = run
        && x0 != x1
        && y0 != y1
    {
        canvas.fill((x0, y0), (x1, y1), colour);
    }
}

/// The colour of a value by the panel's map, in 256 steps; light grey where it is missing.
pub(in crate::figure) fn value_colour(prepared: &Prepared, value: f64) -> Colour {
    match prepared.colour_range {
        Some((map, (low, high))) if value.is_finite() => {
            map.at(((value - low) / (high - low) * 255.0).clamp(0.0, 255.0).round() / 255.0)
        }
        _ => Colour::hex(0xe4_e4_e4),
    }
}

/// A path through `places` in one colour or coloured by its values, with a dot at its start.
pub(in crate::figure) fn coloured(
    canvas: &mut Canvas,
    prepared: &Prepared,
    places: &[Option<Place>],
    path: &Path,
    plain: Colour,
    width: f64,
    within: Rectangle,
) {
    let ink = |index: usize| path.values.get(index).map_or(plain, |value| value_colour(prepared, *value));
    let mut start = 0;
    while start + 1 < places.len() {
        let end = (start + 1..places.len() - 1).find(|index| ink(*index) != ink(start)).unwrap_or(places.len() - 1);
        for part in clip::path(&clip::thin(places[start..=end].to_vec()), within) {
            canvas.line(part, width, ink(start));
        }
        start = end;
    }
    let [left, top, right, bottom] = within;
    let first = places.iter().position(Option::is_some).and_then(|index| Some((index, places[index]?)));
    if let Some((index, at)) = first
        && (left..=right).contains(&at.0)
        && (top..=bottom).contains(&at.1)
    {
        canvas.disc(at, width + 1.2, ink(index));
    }
}
