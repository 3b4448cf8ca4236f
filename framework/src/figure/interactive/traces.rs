//! Each kind of mark as traces of plotly.js.

use super::super::canvas::Place;
use super::super::clip;
use super::super::flat::{BAND_ALPHA, radius, thinning_grid};
use super::super::layout;
use super::super::prepared::{Prepared, brackets, homology};
use super::super::{Bars, Colour, HeatMap, Histogram, Line, Mark, Path, Quiver, Scatter};
use super::{Names, escaped};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Cells along one side of a heat map beyond which neighbours are averaged.
const MOST_CELLS: usize = 600;

/// A number with seven digits, enough for a screen; nothing for a gap.
pub(super) fn number(value: f64) -> Value {
    let short = format!("{value:.6e}").parse::<f64>().unwrap_or(f64::NAN);
    serde_json::Number::from_f64(short).map_or(Value::Null, Value::Number)
}

fn numbers<'a>(values: impl IntoIterator<Item = &'a f64>) -> Value {
    values.into_iter().map(|value| number(*value)).collect()
}

pub(super) fn translucent(colour: Colour, alpha: f64) -> String {
    format!("rgba({},{},{},{alpha})", colour.red, colour.green, colour.blue)
}

fn hex(colour: Colour) -> String {
    colour.into()
}

pub(super) fn traces(panel: &Prepared, names: &Names) -> Vec<Value> {
    let writer = Writer { panel, names };
    let mut traces = Vec::new();
    for (index, mark) in panel.panel.marks.iter().enumerate() {
        let labels = panel.panel.marks[..index].iter().map(Mark::label);
        let first = !mark.label().is_empty() && labels.clone().all(|label| label != mark.label());
        let from = traces.len();
        writer.mark(index, mark, &mut traces);
        // The first trace of a mark stands for it in the legend; the others follow when it is switched off.
        for (position, trace) in traces[from..].iter_mut().enumerate() {
            writer.place(trace);
            if trace.get("name").is_none() {
                trace["name"] = json!(escaped(mark.label()));
                trace["legendgroup"] = json!(format!(
                    "{}-{}",
                    names.legend,
                    if mark.label().is_empty() { format!("mark {index}") } else { mark.label().into() }
                ));
                trace["showlegend"] = json!(first && position == 0 && !panel.panel.hide_legend);
            }
        }
    }
    if traces.is_empty() && !panel.panel.is_spatial() {
        // An axis without a trace would not be drawn at all.
        let mut empty = json!({"type": "scatter", "x": [null], "y": [null], "showlegend": false});
        writer.place(&mut empty);
        traces.push(empty);
    }
    traces
}

struct Writer<'a> {
    panel: &'a Prepared<'a>,
    names: &'a Names,
}

impl Writer<'_> {
    fn place(&self, trace: &mut Value) {
        if trace["type"] == "scatter3d" {
            trace["scene"] = json!(self.names.scene);
        } else {
            trace["xaxis"] = json!(self.names.x);
            trace["yaxis"] = json!(self.names.y);
        }
        trace["legend"] = json!(self.names.legend);
    }

    fn mark(&self, index: usize, mark: &Mark, out: &mut Vec<Value>) {
        let colour = self.panel.colours[index];
        match mark {
            Mark::Line(line) => self.line(line, colour, out),
            Mark::Scatter(points) => self.scatter(points, colour, out),
            Mark::Bars(bars) => self.bars(index, bars, colour, out),
            Mark::Histogram(histogram) => self.histogram(histogram, colour, out),
            Mark::HeatMap(map) => out.push(self.heat_map(map)),
            Mark::Dendrogram(tree) => {
                let gap = [(f64::NAN, f64::NAN)];
                let corners: Vec<_> = brackets(tree)
                    .iter()
                    .flat_map(|bracket| bracket.iter().chain(&gap).copied().collect::<Vec<_>>())
                    .collect();
                out.push(json!({
                    "type": "scatter", "mode": "lines", "x": numbers(corners.iter().map(|corner| &corner.0)),
                    "y": numbers(corners.iter().map(|corner| &corner.1)), "line": {"color": hex(colour), "width": 1.5},
                }));
            }
            Mark::Barcode(barcode) => self.barcode(&barcode.ordered(), out),
            Mark::Trajectory2(trajectory) => {
                for path in &trajectory.paths {
                    out.extend(self.path(path, colour, false));
                }
            }
            Mark::Trajectory3(trajectory) => {
                for path in &trajectory.paths {
                    out.extend(self.path(path, colour, true));
                }
            }
            Mark::Quiver(field) => out.push(self.quiver(field)),
            Mark::Text(text) => out.push(json!({
                "type": "scatter", "mode": "text", "x": [number(text.x)], "y": [number(text.y)], "hoverinfo": "skip",
                "text": [escaped(&text.text)], "textfont": {"color": hex(text.colour), "size": 11},
            })),
            Mark::Rule(_) | Mark::Span(_) => {}
        }
    }

    /// Where points fall on a screen of middling size, to leave out those that would fall on others.
    fn places(&self, x: &[f64], y: &[f64]) -> Vec<Option<Place>> {
        let frame = layout::frame(self.panel, (1000.0, 600.0));
        x.iter().zip(y).map(|(x, y)| Some((frame.x.place(*x)?, frame.y.place(*y)?))).collect()
    }

    fn line(&self, line: &Line, colour: Colour, out: &mut Vec<Value>) {
        let length = line.x.len().min(line.y.len());
        let kept = if length > 4000 { clip::thinned(&self.places(&line.x, &line.y)) } else { (0..length).collect() };
        let pick = |values: &[f64]| -> Value { kept.iter().map(|index| number(values[*index])).collect() };
        let ink = if line.thin { colour.mix(Colour::GREY, 0.35) } else { colour };
        let style = json!({
            "color": hex(ink), "width": if line.thin { 1.0 } else { 2.0 }, "dash": if line.dashed { "dash" } else { "solid" },
        });
        let mode = if line.dots || length == 1 { "lines+markers" } else { "lines" };
        let edges = line.lower.len().min(line.upper.len()).min(line.x.len());
        out.push(json!({
            "type": "scatter", "mode": mode, "x": pick(&line.x), "y": pick(&line.y), "line": style, "marker": {"size": 6},
        }));
        if edges > 0 {
            let shown = |index: &usize| {
                *index < edges && [line.x[*index], line.lower[*index], line.upper[*index]].iter().all(|v| v.is_finite())
            };
            let (mut x, mut y) = (Vec::new(), Vec::new());
            for part in kept.split(|index| !shown(index)).filter(|part| !part.is_empty()) {
                for (index, edge) in
                    part.iter().map(|i| (i, &line.upper)).chain(part.iter().rev().map(|i| (i, &line.lower)))
                {
                    x.push(number(line.x[*index]));
                    y.push(number(edge[*index]));
                }
                x.push(Value::Null);
                y.push(Value::Null);
            }
            out.push(json!({
                "type": "scatter", "mode": "lines", "x": x, "y": y, "fill": "toself", "hoverinfo": "skip",
                "line": {"width": 0}, "fillcolor": translucent(colour, BAND_ALPHA),
            }));
        }
    }

    fn scatter(&self, points: &Scatter, colour: Colour, out: &mut Vec<Value>) {
        let spatial = !points.z.is_empty();
        let length = points.x.len().min(points.y.len()).min(if spatial { points.z.len() } else { usize::MAX });
        let grid = thinning_grid(length);
        let kept: Vec<usize> = if grid > 0.0 && !spatial {
            let mut taken = HashSet::new();
            let places = self.places(&points.x, &points.y);
            let new =
                |place: Place, taken: &mut HashSet<_>| taken.insert(((place.0 / grid) as i64, (place.1 / grid) as i64));
            (0..length).filter(|index| places[*index].is_some_and(|place| new(place, &mut taken))).collect()
        } else {
            (0..length).step_by((length / 50_000).max(1)).collect()
        };
        let pick = |values: &[f64]| -> Value {
            kept.iter().filter_map(|index| values.get(*index)).map(|v| number(*v)).collect()
        };
        let symbol = if points.hollow { "circle-open" } else { "circle" };
        let mut marker = json!({"size": radius(points) * 2.2, "symbol": symbol, "color": hex(colour)});
        if points.hollow {
            marker["line"] = json!({"width": 2, "color": hex(colour)});
        }
        if !points.values.is_empty() {
            marker["color"] = pick(&points.values);
            marker["coloraxis"] = json!(self.names.colours);
        }
        let kind = if spatial { "scatter3d" } else { "scatter" };
        let mut trace =
            json!({"type": kind, "mode": "markers", "x": pick(&points.x), "y": pick(&points.y), "marker": marker});
        if spatial {
            trace["z"] = pick(&points.z);
        }
        if !points.lower.is_empty() && !points.upper.is_empty() {
            let ends = |edge: &[f64], sign: f64| -> Value {
                kept.iter()
                    .map(|i| edge.get(*i).map_or(Value::Null, |end| number((end - points.y[*i]) * sign)))
                    .collect()
            };
            trace["error_y"] = errors(ends(&points.upper, 1.0), ends(&points.lower, -1.0), colour);
        }
        out.push(trace);
    }

    fn bars(&self, index: usize, bars: &Bars, colour: Colour, out: &mut Vec<Value>) {
        let centres = self.panel.bar_centres(index, bars);
        let count = centres.len().min(bars.y.len());
        let own = |bar: usize| if bars.colour_each { Colour::palette(bar) } else { colour };
        let fill = |bar: usize| if bars.members.is_empty() { hex(own(bar)) } else { translucent(own(bar), 0.6) };
        let mut trace = json!({
            "type": "bar", "x": numbers(&centres[..count]), "y": numbers(&bars.y[..count]),
            "marker": {"color": (0..count).map(fill).collect::<Vec<_>>()},
        });
        if self.panel.x.scale == super::Scale::Linear {
            trace["width"] = number(self.panel.bar_width * 0.94);
        }
        if !bars.categories.is_empty() {
            trace["hovertext"] = json!(bars.categories.iter().map(|name| escaped(name)).collect::<Vec<_>>());
        }
        if !bars.lower.is_empty() && !bars.upper.is_empty() {
            let ends = |edge: &[f64], sign: f64| -> Value {
                edge.iter().zip(&bars.y).map(|(end, y)| number((end - y) * sign)).collect()
            };
            trace["error_y"] = errors(ends(&bars.upper, 1.0), ends(&bars.lower, -1.0), Colour::BLACK);
        }
        out.push(trace);
        let (mut x, mut y, mut ink) = (Vec::new(), Vec::new(), Vec::new());
        for (bar, (centre, members)) in centres.iter().zip(&bars.members).enumerate() {
            for (member, value) in members.iter().enumerate() {
                let share = if members.len() > 1 { member as f64 / (members.len() - 1) as f64 - 0.5 } else { 0.0 };
                x.push(number(centre + share * self.panel.bar_width * 0.47));
                y.push(number(*value));
                ink.push(hex(own(bar)));
            }
        }
        if !x.is_empty() {
            out.push(
                json!({"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": {"size": 5, "color": ink}}),
            );
        }
    }

    /// The outline of the columns: bars of unequal width on a logarithmic axis come out right too.
    fn histogram(&self, histogram: &Histogram, colour: Colour, out: &mut Vec<Value>) {
        let bins = self.panel.bins(histogram);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for (from, to, height) in bins {
            x.extend([number(from), number(from), number(to), number(to)]);
            y.extend([json!(0), number(height), number(height), json!(0)]);
        }
        out.push(json!({
            "type": "scatter", "mode": "lines", "x": x, "y": y, "fill": "toself", "hoveron": "points",
            "line": {"width": 0.8, "color": hex(colour)}, "fillcolor": translucent(colour, 0.5),
        }));
    }

    fn heat_map(&self, map: &HeatMap) -> Value {
        let columns = map.values.iter().map(Vec::len).max().unwrap_or(0);
        let (wide, high) = (columns.div_ceil(MOST_CELLS).max(1), map.values.len().div_ceil(MOST_CELLS).max(1));
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let (sum, count) =
                values.filter(|v| v.is_finite()).fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
            if count > 0.0 { sum / count } else { f64::NAN }
        };
        let cell = |rows: &[Vec<f64>], from: usize| {
            number(mean(&mut rows.iter().flat_map(|row| row.iter().skip(from).take(wide).copied())))
        };
        let z: Vec<Vec<Value>> = map
            .values
            .chunks(high)
            .map(|rows| (0..columns).step_by(wide).map(|from| cell(rows, from)).collect())
            .collect();
        let centres = |given: &[f64], count: usize, group: usize| -> Value {
            let places: Vec<f64> = if given.len() >= count {
                given[..count].to_vec()
            } else {
                (0..count).map(|index| index as f64).collect()
            };
            places.chunks(group).map(|part| number(mean(&mut part.iter().copied()))).collect()
        };
        let mut trace = json!({
            "type": "heatmap", "z": z, "x": centres(&map.x, columns, wide), "y": centres(&map.y, map.values.len(), high),
            "coloraxis": self.names.colours, "hoverongaps": false,
        });
        if map.annotate {
            trace["texttemplate"] = json!("%{z:.2~f}");
        }
        trace
    }

    fn barcode(&self, bars: &[super::super::Bar], out: &mut Vec<Value>) {
        let end = layout::frame(self.panel, (300.0, 210.0)).x.ends.1;
        let mut dimensions: Vec<usize> = bars.iter().map(|bar| bar.dimension).collect();
        dimensions.dedup();
        for dimension in dimensions {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            for (row, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.dimension == dimension) {
                let death = if bar.death.is_finite() { bar.death } else { end };
                x.extend([number(bar.birth), number(death), Value::Null]);
                y.extend([json!(row), json!(row), Value::Null]);
            }
            let endless =
                bars.iter().enumerate().filter(|(_, bar)| bar.dimension == dimension && bar.death.is_infinite());
            let rows: Vec<usize> = endless.map(|(row, _)| row).collect();
            let arrows = json!({
                "type": "scatter", "mode": "markers", "x": vec![number(end); rows.len()], "y": rows, "name": "", "cliponaxis": false,
                "hoverinfo": "skip", "showlegend": false,
                "marker": {"symbol": "triangle-right", "size": 10, "color": hex(Colour::palette(dimension))},
            });
            let width = (200.0 / (bars.len() + 1) as f64 * 0.7).clamp(0.8, 6.0);
            out.push(json!({
                "type": "scatter", "mode": "lines", "x": x, "y": y, "name": homology(dimension),
                "line": {"color": hex(Colour::palette(dimension)), "width": width},
                "showlegend": !self.panel.panel.hide_legend,
            }));
            out.push(arrows);
        }
    }

    fn path(&self, path: &Path, colour: Colour, spatial: bool) -> Vec<Value> {
        let length = path.x.len().min(path.y.len()).min(if spatial { path.z.len() } else { usize::MAX });
        if length == 0 {
            return Vec::new();
        }
        let step = length.div_ceil(5000).max(1);
        let pick = |values: &[f64]| -> Value { numbers(values.iter().take(length).step_by(step)) };
        let kind = if spatial { "scatter3d" } else { "scatter" };
        let (x, y) = (pick(&path.x), pick(&path.y));
        let mut trace = json!({"type": kind, "mode": "lines", "x": x, "y": y});
        let mut start = json!({
            "type": kind, "mode": "markers", "hoverinfo": "skip", "x": [number(path.x[0])], "y": [number(path.y[0])],
            "marker": {"size": if spatial { 4 } else { 7 }, "color": hex(colour)},
        });
        if spatial {
            trace["z"] = pick(&path.z);
            start["z"] = json!([number(path.z[0])]);
        }
        let coloured = json!({"color": pick(&path.values), "coloraxis": self.names.colours});
        match (path.values.is_empty(), spatial) {
            (true, _) => trace["line"] = json!({"color": hex(colour), "width": if spatial { 4 } else { 2 }}),
            (false, true) => {
                trace["line"] = coloured;
                trace["line"]["width"] = json!(5);
            }
            (false, false) => {
                // A line in the plane has one colour: points along it carry the values.
                trace["mode"] = json!("lines+markers");
                trace["line"] = json!({"color": translucent(Colour::GREY, 0.5), "width": 1});
                trace["marker"] = coloured;
                trace["marker"]["size"] = json!(4);
            }
        }
        if !path.values.is_empty() {
            start["marker"]["color"] = json!([number(path.values[0])]);
            start["marker"]["coloraxis"] = json!(self.names.colours);
        }
        vec![trace, start]
    }

    fn quiver(&self, field: &Quiver) -> Value {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let frame = layout::frame(self.panel, (300.0, 300.0));
        let unit = ((frame.x.ends.1 - frame.x.ends.0) / 300.0, (frame.y.ends.1 - frame.y.ends.0) / 300.0);
        for [from_x, from_y, to_x, to_y] in field.arrows() {
            // The head is reckoned in pixels, so that it is not sheared where the axes differ in unit.
            let (dx, dy) = ((to_x - from_x) / unit.0, (to_y - from_y) / unit.1);
            let (back_x, back_y) = (dx * 0.35, dy * 0.35);
            let wing = |side: f64| {
                (to_x - (back_x - side * back_y * 0.5) * unit.0, to_y - (back_y + side * back_x * 0.5) * unit.1)
            };
            let (one, other) = (wing(1.0), wing(-1.0));
            x.extend([from_x, to_x, one.0, to_x, other.0, f64::NAN].map(number));
            y.extend([from_y, to_y, one.1, to_y, other.1, f64::NAN].map(number));
        }
        json!({
            "type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": hex(field.colour), "width": 1.2},
        })
    }
}

fn errors(above: Value, below: Value, colour: Colour) -> Value {
    json!({
        "type": "data", "symmetric": false, "array": above, "arrayminus": below,
        "color": hex(colour), "thickness": 1.3, "width": 3,
    })
}
