//! Where everything goes: panels in a grid, and around each panel its ticks, labels, colour bar and legend.

use super::canvas::{Align, CAPITAL, Canvas, Letters, Place, Shape, shorten, text_width, wrap};
use super::flat::Frame;
use super::legend::Legend;
use super::prepared::Prepared;
use super::ruler::{Extent, Ruler, Ticks};
use super::space::Space;
use super::{Axis, Colour, Figure, Mark, Panel, Scale};

const TITLE_SIZE: f64 = 13.0;
const PANEL_TITLE_SIZE: f64 = 11.0;
const LABEL_SIZE: f64 = 10.5;
const TICK_SIZE: f64 = 9.5;
const TICK: f64 = 4.0;
const SPINE: Colour = Colour::hex(0x44_44_44);
/// Names of categories beyond this are shortened, pixels.
const LONGEST_NAME: f64 = 110.0;
/// Names side by side are broken into this many lines before they are turned upright.
const NAME_LINES: usize = 3;

/// A panel drawn around its own origin, and the room it needs on each side of its axes.
struct Drawn {
    shapes: Vec<Shape>,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    above: f64,
    below: f64,
}

/// The whole figure as shapes.
pub(super) fn lay_out(figure: &Figure) -> Canvas {
    let columns = figure.columns_used();
    let panels: Vec<Drawn> = figure.panels.iter().map(|panel| draw_panel(panel, figure.panels.len())).collect();
    let widest = |column: usize, part: fn(&Drawn) -> f64| {
        panels.iter().skip(column).step_by(columns).map(part).fold(0.0, f64::max)
    };
    let (outer, gap) = (12.0, 18.0);
    let mut lefts = Vec::new();
    let mut x = outer;
    for column in 0..columns {
        lefts.push(x + widest(column, |panel| panel.left));
        x += widest(column, |panel| panel.left) + widest(column, |panel| panel.width + panel.right) + gap;
    }
    let width = (x - gap + outer).max(200.0);
    let title = wrap(&figure.title, TITLE_SIZE, width - 2.0 * outer, 3);
    let mut canvas = Canvas::new(width, 0.0);
    let mut y = outer;
    for line in &title {
        y += TITLE_SIZE;
        canvas.text(line, (width / 2.0, y), TITLE_SIZE, Align::Middle, Colour::BLACK);
        y += 4.0;
    }
    y += if title.is_empty() { 0.0 } else { 4.0 };
    for row in panels.chunks(columns) {
        let tallest = |part: fn(&Drawn) -> f64| row.iter().map(part).fold(0.0, f64::max);
        let top = y + tallest(|panel| panel.above);
        for (panel, left) in row.iter().zip(&lefts) {
            canvas.shapes.extend(panel.shapes.iter().map(|shape| moved(shape, (*left, top))));
        }
        y = top + tallest(|panel| panel.height + panel.below) + gap * 0.7;
    }
    canvas.height = (y + outer - if panels.is_empty() { 0.0 } else { gap * 0.7 }).max(40.0);
    canvas
}

fn moved(shape: &Shape, by: Place) -> Shape {
    let place = |place: Place| (place.0 + by.0, place.1 + by.1);
    let mut shape = shape.clone();
    match &mut shape {
        Shape::Line { points, .. } | Shape::Area { points, .. } => {
            points.iter_mut().for_each(|point| *point = place(*point));
        }
        Shape::Box { from, to, .. } => (*from, *to) = (place(*from), place(*to)),
        Shape::Disc { at, .. } | Shape::Letters(Letters { at, .. }) => *at = place(*at),
    }
    shape
}

/// Size of the area between the axes: larger for a single panel, and where names or cells need it.
fn area(prepared: &Prepared, count: usize) -> (f64, f64) {
    let (mut width, mut height) = if count <= 1 { (420.0_f64, 280.0_f64) } else { (300.0, 210.0) };
    if prepared.panel.is_spatial() {
        return if count <= 1 { (430.0, 370.0) } else { (310.0, 280.0) };
    }
    width = width.max((prepared.x.categories.len() as f64 * 11.0).min(900.0));
    height = height.max((prepared.y.categories.len() as f64 * 12.0).min(900.0));
    let heat =
        prepared.panel.marks.iter().find_map(|mark| if let Mark::HeatMap(map) = mark { Some(map) } else { None });
    if let Some(map) = heat {
        let (rows, columns) = (map.values.len() as f64, map.values.iter().map(Vec::len).max().unwrap_or(0) as f64);
        if rows == columns {
            let side = width.min(height).max(240.0);
            (width, height) = (side, side);
        }
        if map.annotate {
            width = width.max((columns * 28.0).min(900.0));
            height = height.max((rows * 16.0).min(900.0));
        }
    }
    if prepared.panel.equal_units { (height, height) } else { (width, height) }
}

/// Stretches the shorter range until one unit is equally long on both axes.
fn equalise(x: (f64, f64), y: (f64, f64), (width, height): (f64, f64)) -> ((f64, f64), (f64, f64)) {
    let unit = ((x.1 - x.0) / width).max((y.1 - y.0) / height);
    let around = |ends: (f64, f64), length: f64| {
        let (middle, half) = (ends.0 / 2.0 + ends.1 / 2.0, unit * length / 2.0);
        (middle - half, middle + half)
    };
    (around(x, width), around(y, height))
}

fn draw_panel(panel: &Panel, count: usize) -> Drawn {
    let prepared = Prepared::new(panel);
    let (width, height) = area(&prepared, count);
    let within = [0.0, 0.0, width, height];
    let mut canvas = Canvas::new(width, height);
    let mut marks = Canvas::new(width, height);
    let mut drawn = Drawn { shapes: Vec::new(), width, height, left: 0.0, right: 8.0, above: 6.0, below: 4.0 };
    if panel.is_spatial() {
        let space = Space::new(&prepared, within);
        space.draw_box(&mut canvas);
        space.draw(&mut marks);
    } else {
        let frame = frame(&prepared, (width, height));
        frame.draw(&mut marks);
        draw_spines(&mut canvas, &prepared, (width, height));
        drawn.below = draw_x_axis(&mut canvas, &prepared.x, &frame.x, height);
        let bare = !panel.marks.is_empty() && panel.marks.iter().all(|mark| matches!(mark, Mark::Barcode(_)));
        drawn.left = draw_y_axis(&mut canvas, &prepared.y, &frame.y, height, bare);
    }
    let free = Legend::new(&prepared).map(|legend| (legend.free_corner(&marks.shapes, within), legend));
    // Marks lie under the axes, so that spines stay crisp; a box of three axes lies behind.
    if panel.is_spatial() {
        canvas.shapes.append(&mut marks.shapes);
    } else {
        marks.shapes.append(&mut canvas.shapes);
        canvas.shapes = marks.shapes;
    }
    if let Some((map, ends)) = prepared.colour_range.filter(|_| !panel.hide_colour_bar) {
        drawn.right = draw_colour_bar(&mut canvas, &panel.colour_label, |share| map.at(share), ends, (width, height));
    }
    match free {
        Some((Some(corner), legend)) => legend.draw(&mut canvas, corner),
        Some((None, legend)) => {
            legend.draw(&mut canvas, (width + drawn.right + 4.0, 0.0));
            drawn.right += legend.width + 10.0;
            drawn.below = drawn.below.max(legend.height - height);
        }
        None => {}
    }
    let title = wrap(&panel.title, PANEL_TITLE_SIZE, width + drawn.right, 3);
    for (line, text) in title.iter().rev().enumerate() {
        let y = -8.0 - line as f64 * (PANEL_TITLE_SIZE + 3.0);
        canvas.text(text, (width / 2.0, y), PANEL_TITLE_SIZE, Align::Middle, Colour::BLACK);
    }
    if !title.is_empty() {
        drawn.above = 9.0 + title.len() as f64 * (PANEL_TITLE_SIZE + 3.0);
        // A title wider than its axes needs room on both sides.
        let widest = title.iter().map(|line| text_width(line, PANEL_TITLE_SIZE)).fold(0.0, f64::max);
        drawn.left = drawn.left.max((widest - width) / 2.0);
        drawn.right = drawn.right.max((widest - width) / 2.0);
    }
    drawn.shapes = canvas.shapes;
    drawn
}

/// Where the legend of a panel goes.
pub(super) enum LegendPlace {
    /// No mark has a label.
    Nowhere,
    /// Its left, upper, right and lower edges as shares of the width and height between the axes, from the upper left.
    Inside([f64; 4]),
    /// Beside the axes, with this width in pixels.
    Beside(f64),
}

/// Where the legend goes when the panel is drawn as one of `count`.
pub(super) fn legend_place(prepared: &Prepared, count: usize) -> LegendPlace {
    let Some(mut legend) = Legend::new(prepared) else { return LegendPlace::Nowhere };
    // plotly spaces its entries more widely.
    (legend.width, legend.height) = (legend.width * 1.2, legend.height * 1.35);
    let (width, height) = area(prepared, count);
    let mut marks = Canvas::new(width, height);
    let within = [0.0, 0.0, width, height];
    if prepared.panel.is_spatial() {
        Space::new(prepared, within).draw(&mut marks);
    } else {
        frame(prepared, (width, height)).draw(&mut marks);
    }
    match legend.free_corner(&marks.shapes, within) {
        Some((x, y)) => {
            let (right, lower) = (x + legend.width, y + legend.height);
            LegendPlace::Inside([x / width, y / height, right / width, lower / height])
        }
        None => LegendPlace::Beside(legend.width),
    }
}

/// The axes of a panel that is not spatial.
pub(super) fn frame<'a>(prepared: &'a Prepared<'a>, (width, height): (f64, f64)) -> Frame<'a> {
    let panel = prepared.panel;
    let (mut x_ends, mut y_ends) = prepared.extents();
    if panel.equal_units && panel.x.scale == Scale::Linear && panel.y.scale == Scale::Linear {
        (x_ends, y_ends) = equalise(x_ends, y_ends, (width, height));
    }
    let x = Ruler::new(&prepared.x, x_ends, (0.0, width));
    let y = Ruler::new(&prepared.y, y_ends, (height, 0.0));
    Frame { prepared, x, y, within: [0.0, 0.0, width, height] }
}

/// Lines at the left and below; all around for maps of cells.
fn draw_spines(canvas: &mut Canvas, prepared: &Prepared, (width, height): (f64, f64)) {
    let closed = prepared.panel.marks.iter().any(|mark| matches!(mark, Mark::HeatMap(_)));
    let mut corners = vec![(0.0, 0.0), (0.0, height), (width, height)];
    if closed {
        corners.extend([(width, 0.0), (0.0, 0.0)]);
    }
    canvas.line(corners, 1.0, SPINE);
}

/// A label with the power of ten that the ticks leave out.
pub(super) fn with_factor(label: &str, factor: &str) -> String {
    match (label.is_empty(), factor.is_empty()) {
        (_, true) => label.to_string(),
        (true, false) => factor.to_string(),
        (false, false) => format!("{label}  [{factor}]"),
    }
}

/// Draws ticks and label below the axes; returns the room they take.
fn draw_x_axis(canvas: &mut Canvas, axis: &Axis, ruler: &Ruler, height: f64) -> f64 {
    let (ticks, upright) = x_ticks(axis, ruler);
    let mut depth = TICK;
    for tick in &ticks.ticks {
        let Some(x) = ruler.inside(tick.at) else { continue };
        let length = if tick.label.is_empty() { TICK * 0.6 } else { TICK };
        canvas.line(vec![(x, height), (x, height + length)], 0.9, SPINE);
        if upright {
            let name = shorten(&tick.label, TICK_SIZE, LONGEST_NAME);
            depth = depth.max(TICK + 4.0 + text_width(&name, TICK_SIZE));
            let at = (x + CAPITAL * TICK_SIZE / 2.0, height + TICK + 3.0);
            canvas.upward(name, at, TICK_SIZE, Align::End, Colour::BLACK);
            continue;
        }
        for (line, text) in x_name(axis, ruler, &tick.label).into_iter().enumerate() {
            let y = TICK + 3.0 + line as f64 * (TICK_SIZE + 2.0);
            depth = depth.max(y + 1.0 + TICK_SIZE);
            canvas.text(text, (x, height + y + TICK_SIZE * 0.8), TICK_SIZE, Align::Middle, Colour::BLACK);
        }
    }
    let label = with_factor(&axis.label, &ticks.factor);
    for line in wrap(&label, LABEL_SIZE, ruler.length() + 60.0, 2) {
        depth += LABEL_SIZE + 5.0;
        let middle = (ruler.places.0 + ruler.places.1) / 2.0;
        canvas.text(line, (middle, height + depth - 2.0), LABEL_SIZE, Align::Middle, Colour::BLACK);
    }
    depth + 4.0
}

/// The lines of a tick's label below the axis.
pub(super) fn x_name(axis: &Axis, ruler: &Ruler, label: &str) -> Vec<String> {
    if axis.categories.is_empty() {
        return if label.is_empty() { Vec::new() } else { vec![label.to_string()] };
    }
    let room = ruler.length() / (ruler.ends.1 - ruler.ends.0).max(1.0) - 5.0;
    // A single word that does not fit stays whole: the labels then touch and are turned upright.
    let widest = label.split_whitespace().map(|word| text_width(word, TICK_SIZE)).fold(room, f64::max);
    wrap(label, TICK_SIZE, widest, NAME_LINES)
}

/// Ticks whose labels do not touch: fewer of them, or upright names.
fn x_ticks(axis: &Axis, ruler: &Ruler) -> (Ticks, bool) {
    let touching = |ticks: &Ticks| {
        let half = |label: &str| {
            let lines = x_name(axis, ruler, label);
            lines.iter().map(|line| text_width(line, TICK_SIZE) / 2.0).fold(0.0, f64::max)
        };
        let named = ticks.ticks.iter().filter(|tick| !tick.label.is_empty());
        let placed = named.filter_map(|tick| ruler.inside(tick.at).map(|x| (x, half(&tick.label))));
        let mut spans: Vec<(f64, f64)> = placed.collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        spans.windows(2).any(|pair| pair[0].0 + pair[0].1 + 4.0 > pair[1].0 - pair[1].1)
    };
    let mut most = if axis.categories.is_empty() { (ruler.length() / 36.0).clamp(2.0, 10.0) as usize } else { 1 };
    let mut ticks = ruler.ticks(axis, most);
    while most > 1 && touching(&ticks) && axis.ticks.is_empty() {
        most -= 1;
        ticks = ruler.ticks(axis, most);
    }
    let upright = touching(&ticks);
    (spaced(ticks, ruler, upright), upright)
}

/// Every so many ticks, when even lines of text side by side would touch.
fn spaced(mut ticks: Ticks, ruler: &Ruler, stacked: bool) -> Ticks {
    let room = ruler.length() / ticks.ticks.len().max(1) as f64;
    let every = ((TICK_SIZE + 1.5) / room).ceil().max(1.0) as usize;
    if stacked && every > 1 {
        ticks.ticks = ticks.ticks.into_iter().step_by(every).collect();
    }
    ticks
}

/// Draws ticks and label left of the axes; returns the room they take.
fn draw_y_axis(canvas: &mut Canvas, axis: &Axis, ruler: &Ruler, height: f64, bare: bool) -> f64 {
    let ticks = ruler.ticks(axis, (height / 30.0).clamp(2.0, 10.0) as usize);
    let ticks = if axis.categories.is_empty() { ticks } else { spaced(ticks, ruler, true) };
    let mut depth = TICK;
    for tick in ticks.ticks.iter().filter(|_| !bare) {
        let Some(y) = ruler.inside(tick.at) else { continue };
        let length = if tick.label.is_empty() { TICK * 0.6 } else { TICK };
        canvas.line(vec![(0.0, y), (-length, y)], 0.9, SPINE);
        let name = shorten(&tick.label, TICK_SIZE, LONGEST_NAME);
        depth = depth.max(TICK + 4.0 + text_width(&name, TICK_SIZE));
        canvas.text(name, (-TICK - 3.0, y + CAPITAL * TICK_SIZE / 2.0), TICK_SIZE, Align::End, Colour::BLACK);
    }
    let label = with_factor(&axis.label, if bare { "" } else { &ticks.factor });
    let lines = wrap(&label, LABEL_SIZE, height + 20.0, 2);
    for (index, line) in lines.iter().rev().enumerate() {
        let x = -depth - 6.0 - index as f64 * (LABEL_SIZE + 3.0);
        canvas.upward(line, (x, height / 2.0), LABEL_SIZE, Align::Middle, Colour::BLACK);
    }
    depth + lines.len() as f64 * (LABEL_SIZE + 4.0) + 4.0
}

/// Draws the colour bar right of the axes; returns the room it takes.
fn draw_colour_bar(
    canvas: &mut Canvas,
    label: &str,
    colour: impl Fn(f64) -> Colour,
    ends: (f64, f64),
    (width, height): (f64, f64),
) -> f64 {
    const STEPS: usize = 128;
    let (left, right) = (width + 12.0, width + 23.0);
    for step in 0..STEPS {
        let at = |step: usize| height * (1.0 - step as f64 / STEPS as f64);
        // Each step reaches under the next one, so that no seam shows between them.
        let upper = at((step + 2).min(STEPS));
        canvas.fill((left, at(step)), (right, upper), colour((step as f64 + 0.5) / STEPS as f64));
    }
    let corners = [(left, 0.0), (right, 0.0), (right, height), (left, height), (left, 0.0)];
    canvas.line(corners.to_vec(), 0.7, SPINE);
    let axis = Axis::default();
    let ruler = Ruler::new(&axis, Extent::of(Scale::Linear, [ends.0, ends.1]).ends(), (height, 0.0));
    let ticks = ruler.ticks(&axis, (height / 45.0).clamp(2.0, 7.0) as usize);
    let mut widest = 0.0_f64;
    for tick in &ticks.ticks {
        let Some(y) = ruler.inside(tick.at) else { continue };
        canvas.line(vec![(right, y), (right + 3.0, y)], 0.8, SPINE);
        canvas.text(&tick.label, (right + 6.0, y + CAPITAL * TICK_SIZE / 2.0), TICK_SIZE, Align::Start, Colour::BLACK);
        widest = widest.max(text_width(&tick.label, TICK_SIZE));
    }
    let label = with_factor(label, &ticks.factor);
    let lines = wrap(&label, LABEL_SIZE, height + 20.0, 2);
    let mut x = right + 6.0 + widest;
    for line in &lines {
        x += LABEL_SIZE + 4.0;
        canvas.upward(line, (x, height / 2.0), LABEL_SIZE, Align::Middle, Colour::BLACK);
    }
    x + 8.0 - width
}
