//! The same figures for plotly.js: panels as subplots, to look at with a pointer in a report.

mod traces;

use super::layout::{self, LegendPlace};
use super::prepared::Prepared;
use super::space::{AZIMUTH, ELEVATION, Space};
use super::{Axis, Colour, ColourMap, Figure, Mark, Orientation, Scale};
use serde_json::{Map, Value, json};
use traces::number;

/// Width for which room is reckoned, pixels; the page may stretch it.
const WIDTH: f64 = 860.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const ABOVE: f64 = 50.0;
const BELOW: f64 = 52.0;
/// Room for a colour bar with ticks and label, pixels.
const COLOUR_BAR: f64 = 78.0;

/// The script tag that brings plotly.js into a page, 4.6 MB; a page needs it once.
pub fn plotly_script() -> String {
    // The crate also hands out MathJax, 2 MB that only TeX labels need: take the first script alone.
    let scripts = plotly::Plot::offline_js_sources();
    let end = scripts.find("</script>").map_or(scripts.len(), |at| at + "</script>".len());
    scripts[..end].to_string()
}

/// Names of the axes of one panel, as plotly numbers them.
struct Names {
    x: String,
    y: String,
    scene: String,
    colours: String,
    legend: String,
}

impl Names {
    fn new(panel: usize) -> Self {
        let numbered = |name: &str| if panel == 0 { name.to_string() } else { format!("{name}{}", panel + 1) };
        Self {
            x: numbered("x"),
            y: numbered("y"),
            scene: numbered("scene"),
            colours: numbered("coloraxis"),
            legend: numbered("legend"),
        }
    }
}

/// A stretch of the width or height, as shares of the plotting area.
type Domain = (f64, f64);

pub(super) fn plot(figure: &Figure) -> Value {
    let prepared: Vec<Prepared> = figure.panels.iter().map(Prepared::new).collect();
    let count = prepared.len();
    let columns = figure.columns_used();
    let legends: Vec<LegendPlace> = prepared.iter().map(|panel| layout::legend_place(panel, count)).collect();
    let beside = |index: usize| {
        let bar = if shows_colour_bar(&prepared[index]) { COLOUR_BAR } else { 0.0 };
        let legend = if let LegendPlace::Beside(width) = legends[index] { width + 24.0 } else { 0.0 };
        bar + legend
    };
    let across = domains_across(count, columns, beside);
    let (down, height) = domains_down(&prepared, columns);
    let mut traces = Vec::new();
    let mut layout = base_layout(height);
    let (mut shapes, mut notes) = (Vec::new(), Vec::new());
    for (index, panel) in prepared.iter().enumerate() {
        let names = Names::new(index);
        let (x, y) = (across[index % columns], down[index / columns]);
        if !panel.panel.title.is_empty() {
            notes.push(json!({
                "text": escaped(&panel.panel.title), "xref": "paper", "yref": "paper", "showarrow": false,
                "x": (x.0 + x.1) / 2.0, "y": y.1, "xanchor": "center", "yanchor": "bottom", "font": {"size": 14},
            }));
        }
        if panel.panel.is_spatial() {
            layout.insert(names.scene.clone(), scene(panel, (x, y)));
        } else {
            insert_axes(&mut layout, panel, &names, (x, y));
        }
        if let Some((map, ends)) = panel.colour_range {
            let shown = shows_colour_bar(panel);
            let bar = json!({
                "title": {"text": escaped(&panel.panel.colour_label), "side": "right"}, "thickness": 11, "outlinewidth": 0,
                "x": x.1 + 6.0 / WIDTH, "xanchor": "left", "y": (y.0 + y.1) / 2.0, "yanchor": "middle", "len": y.1 - y.0,
            });
            layout.insert(
                names.colours.clone(),
                json!({"colorscale": colour_scale(map), "cmin": ends.0, "cmax": ends.1, "showscale": shown, "colorbar": bar}),
            );
        }
        match legends[index] {
            LegendPlace::Nowhere => {}
            LegendPlace::Inside([left, upper, right, lower]) => {
                // The legend hangs on the side of the panel that it is near to, whatever its size in the end.
                let across = |share: f64| x.0 + share * (x.1 - x.0);
                let down = |share: f64| y.1 - share * (y.1 - y.0);
                let mut value = legend((across(left), down(upper)));
                if left + right > 1.0 {
                    (value["x"], value["xanchor"]) = (json!(across(right)), json!("right"));
                }
                if upper + lower > 1.0 {
                    (value["y"], value["yanchor"]) = (json!(down(lower)), json!("bottom"));
                }
                layout.insert(names.legend.clone(), value);
            }
            LegendPlace::Beside(_) => {
                let bar = if shows_colour_bar(panel) { COLOUR_BAR } else { 0.0 };
                layout.insert(names.legend.clone(), legend((x.1 + (bar + 8.0) / WIDTH, y.1)));
            }
        }
        shapes.extend(reference_shapes(panel, &names));
        traces.extend(traces::traces(panel, &names));
    }
    layout.insert("shapes".into(), shapes.into());
    layout.insert("annotations".into(), notes.into());
    let config = json!({
        "responsive": true, "displaylogo": false, "plotlyServerURL": "", "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    });
    json!({"data": traces, "layout": layout, "config": config, "height": height})
}

fn shows_colour_bar(panel: &Prepared) -> bool {
    panel.colour_range.is_some() && !panel.panel.hide_colour_bar
}

/// A stretch of the width for each column, with room for axis labels, colour bars and legends between them.
fn domains_across(count: usize, columns: usize, beside: impl Fn(usize) -> f64) -> Vec<Domain> {
    let room = |column: usize| (column..count).step_by(columns).map(&beside).fold(0.0, f64::max);
    let inner = WIDTH - LEFT - RIGHT;
    let rooms: f64 = (0..columns).map(room).sum::<f64>() + (columns - 1) as f64 * 74.0;
    let width = ((inner - rooms) / columns as f64).max(60.0);
    // Where even that is too wide, everything shrinks alike.
    let scale = inner.max(width * columns as f64 + rooms);
    let mut at = 0.0;
    (0..columns)
        .map(|column| {
            let domain = (at / scale, (at + width) / scale);
            at += width + room(column) + 74.0;
            domain
        })
        .collect()
}

/// A stretch of the height for each row, the first at the top, and the height of the whole plot.
fn domains_down(prepared: &[Prepared], columns: usize) -> (Vec<Domain>, f64) {
    let single = prepared.len() <= 1;
    let tall = |panel: &Prepared| {
        let names = panel.y.categories.len() as f64 * 15.0;
        let least: f64 = match (panel.panel.is_spatial(), single) {
            (true, _) => 400.0,
            (false, true) => 330.0,
            (false, false) => 240.0,
        };
        least.max(names.min(900.0))
    };
    let heights: Vec<f64> = prepared.chunks(columns).map(|row| row.iter().map(tall).fold(0.0, f64::max)).collect();
    let gap = 92.0;
    let inner = (heights.iter().sum::<f64>() + gap * heights.len().saturating_sub(1) as f64).max(40.0);
    let mut at = inner;
    let domains = heights.iter().map(|height| {
        let domain = ((at - height) / inner, at / inner);
        at -= height + gap;
        (domain.0.max(0.0), domain.1.min(1.0))
    });
    let domains = domains.collect();
    (domains, inner + ABOVE + BELOW)
}

fn base_layout(height: f64) -> Map<String, Value> {
    let layout = json!({
        "height": height,
        "margin": {"l": LEFT, "r": RIGHT, "t": ABOVE, "b": BELOW},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "color": String::from(Colour::BLACK)},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#9a9a9a", "activecolor": "#0072b2"},
        "barmode": "overlay",
        "hovermode": "closest",
        "showlegend": true,
    });
    if let Value::Object(layout) = layout { layout } else { Map::new() }
}

fn legend((x, y): (f64, f64)) -> Value {
    json!({
        "x": x, "y": y, "xanchor": "left", "yanchor": "top", "bgcolor": "rgba(0,0,0,0)", "font": {"size": 11},
        "tracegroupgap": 2,
    })
}

fn insert_axes(layout: &mut Map<String, Value>, panel: &Prepared, names: &Names, (across, down): (Domain, Domain)) {
    let frame = layout::frame(panel, (300.0, 210.0));
    let bare = !panel.panel.marks.is_empty() && panel.panel.marks.iter().all(|mark| matches!(mark, Mark::Barcode(_)));
    let mut x = axis(&panel.x, frame.x.ends);
    x["domain"] = json!([across.0, across.1]);
    x["anchor"] = json!(names.y);
    let mut y = axis(&panel.y, frame.y.ends);
    y["domain"] = json!([down.0, down.1]);
    y["anchor"] = json!(names.x);
    if bare {
        (y["showticklabels"], y["ticks"]) = (json!(false), json!(""));
    }
    if !panel.x.categories.is_empty() {
        let lines = |name: &String| {
            layout::x_name(&panel.x, &frame.x, name).iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>")
        };
        x["tickfont"] = json!({"size": 10});
        x["ticktext"] = panel.x.categories.iter().map(lines).collect();
    }
    if panel.panel.equal_units {
        y["scaleanchor"] = json!(names.x);
        x["constrain"] = json!("domain");
        y["constrain"] = json!("domain");
    }
    layout.insert(names.x.replacen('x', "xaxis", 1), x);
    layout.insert(names.y.replacen('y', "yaxis", 1), y);
}

fn axis(axis: &Axis, ends: (f64, f64)) -> Value {
    let log = axis.scale == Scale::Log;
    let (low, high) = if log { (ends.0.log10(), ends.1.log10()) } else { ends };
    let mut value = json!({
        "title": {"text": escaped(&axis.label), "standoff": 8},
        "type": if log { "log" } else { "linear" },
        "range": if axis.reversed { [high, low] } else { [low, high] },
        "showgrid": false, "zeroline": false, "showline": true, "ticks": "outside", "ticklen": 4, "automargin": true,
    });
    if !axis.categories.is_empty() {
        value["tickvals"] = json!((0..axis.categories.len()).collect::<Vec<_>>());
        value["ticktext"] = json!(axis.categories.iter().map(|name| escaped(name)).collect::<Vec<_>>());
    } else if !axis.ticks.is_empty() {
        value["tickvals"] = axis.ticks.iter().map(|tick| number(*tick)).collect();
    } else if log {
        value["dtick"] =
            json!(if high - low > 1.5 { json!(((high - low) / 6.0).ceil().max(1.0)) } else { json!("D2") });
        value["exponentformat"] = json!("power");
        value["tickfont"] = json!({"size": 10}); // plotly enlarges powers by a quarter.
    } else if axis.whole && high - low <= 8.0 {
        value["dtick"] = json!(1);
    }
    value
}

fn scene(panel: &Prepared, (across, down): (Domain, Domain)) -> Value {
    let ends = Space::new(panel, [0.0, 0.0, 300.0, 300.0]).ends();
    let axes = [&panel.x, &panel.y, &panel.panel.z];
    let plain = |index: usize| {
        let mut value = axis(axes[index], ends[index]);
        for key in ["standoff", "automargin", "ticklen"] {
            value.as_object_mut().map(|value| value.remove(key));
        }
        value["title"] = json!({"text": escaped(&axes[index].label), "font": {"size": 12}});
        value["tickfont"] = json!({"size": 10});
        value["nticks"] = json!(5);
        value["showgrid"] = json!(true);
        value["showbackground"] = json!(false);
        value
    };
    // From further away where the panel is narrow: labels beyond its edges are cut off.
    let distance = if across.1 - across.0 < 0.55 { 3.2 } else { 2.3 };
    let (azimuth, elevation) = (AZIMUTH.to_radians(), ELEVATION.to_radians());
    let eye = json!({
        "x": distance * elevation.cos() * azimuth.cos(),
        "y": distance * elevation.cos() * azimuth.sin(),
        "z": distance * elevation.sin(),
    });
    json!({
        "domain": {"x": [across.0, across.1], "y": [down.0, down.1]},
        "xaxis": plain(0), "yaxis": plain(1), "zaxis": plain(2),
        "aspectmode": "cube", "camera": {"eye": eye, "center": {"x": 0, "y": 0, "z": -0.12}},
    })
}

/// Rules and spans, which reach across the panel whatever its range.
fn reference_shapes(panel: &Prepared, names: &Names) -> Vec<Value> {
    let labels: Vec<&str> = panel.panel.marks.iter().map(Mark::label).collect();
    let shape = |index: usize, orientation, ends: [f64; 2]| {
        let (x, y, label) = (&names.x, &names.y, labels[index]);
        let known = labels[..index].contains(&label);
        let mut value = match orientation {
            Orientation::Vertical => json!({
                "xref": x, "yref": format!("{y} domain"), "x0": number(ends[0]), "x1": number(ends[1]), "y0": 0, "y1": 1,
            }),
            Orientation::Horizontal => json!({
                "xref": format!("{x} domain"), "yref": y, "x0": 0, "x1": 1, "y0": number(ends[0]), "y1": number(ends[1]),
            }),
        };
        if !label.is_empty() && !known && !panel.panel.hide_legend {
            value["showlegend"] = json!(true);
            value["name"] = json!(escaped(label));
            value["legend"] = json!(names.legend);
        }
        value
    };
    let mut shapes = Vec::new();
    for (index, mark) in panel.panel.marks.iter().enumerate() {
        match mark {
            Mark::Rule(rule) if rule.at.is_finite() => {
                let mut value = shape(index, rule.orientation, [rule.at; 2]);
                value["type"] = json!("line");
                let dash = if rule.dashed { "dash" } else { "solid" };
                value["line"] = json!({"color": String::from(rule.colour), "width": 1.3, "dash": dash});
                shapes.push(value);
            }
            Mark::Span(span) if span.lower.is_finite() && span.upper.is_finite() => {
                let mut value = shape(index, span.orientation, [span.lower, span.upper]);
                value["type"] = json!("rect");
                value["layer"] = json!("below");
                value["line"] = json!({"width": 0});
                value["fillcolor"] = json!(traces::translucent(span.colour, 0.16));
                shapes.push(value);
            }
            _ => {}
        }
    }
    shapes
}

fn colour_scale(map: ColourMap) -> Vec<Value> {
    let stops = map.stops();
    let share = |index: usize| index as f64 / (stops.len() - 1) as f64;
    stops.iter().enumerate().map(|(index, code)| json!([share(index), String::from(Colour::hex(*code))])).collect()
}

/// plotly reads a little HTML in labels: the text is to stand as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
