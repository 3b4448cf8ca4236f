//! The numbers of a figure as CSV in long form: one row a point, the same columns for every figure.

use super::prepared::Prepared;
use super::{Figure, Mark, Orientation, Path};
use crate::{Error, Result};

/// Columns of the file. `panel` and `mark` count from 0; `part` is the path, member or matrix row within a mark;
/// `name` a category, leaf or text.
const COLUMNS: [&str; 14] =
    ["panel", "mark", "kind", "label", "part", "name", "x", "y", "z", "u", "v", "lower", "upper", "value"];

/// One row; what a kind of mark does not have stays empty.
#[derive(Default)]
struct Row<'a> {
    kind: &'a str,
    part: Option<usize>,
    name: &'a str,
    x: Option<f64>,
    y: Option<f64>,
    z: Option<f64>,
    u: Option<f64>,
    v: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    value: Option<f64>,
}

/// All numbers of the figure.
pub(super) fn csv(figure: &Figure) -> Result<String> {
    let failed = |error: csv::Error| Error::Failed(format!("figure '{}' as CSV: {error}", figure.name));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(failed)?;
    for (panel_index, panel) in figure.panels.iter().enumerate() {
        let prepared = Prepared::new(panel);
        for (mark_index, mark) in panel.marks.iter().enumerate() {
            let (panel_text, mark_text) = (panel_index.to_string(), mark_index.to_string());
            let mut outcome = Ok(());
            let mut number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            rows(&prepared, mark, &mut |row: Row| {
                if outcome.is_ok() {
                    let part = row.part.map(|part| part.to_string()).unwrap_or_default();
                    let [x, y, z, u, v] = [row.x, row.y, row.z, row.u, row.v].map(&mut number);
                    let [lower, upper, value] = [row.lower, row.upper, row.value].map(&mut number);
                    let kind = if row.kind.is_empty() { mark.kind() } else { row.kind };
                    let (panel, index, label) = (panel_text.as_str(), mark_text.as_str(), mark.label());
                    outcome = writer.write_record([
                        panel, index, kind, label, &part, row.name, &x, &y, &z, &u, &v, &lower, &upper, &value,
                    ]);
                }
            });
            outcome.map_err(failed)?;
        }
    }
    let bytes =
        writer.into_inner().map_err(|error| Error::Failed(format!("figure '{}' as CSV: {error}", figure.name)))?;
    String::from_utf8(bytes).map_err(|error| Error::Failed(format!("figure '{}' as CSV: {error}", figure.name)))
}

fn rows(prepared: &Prepared, mark: &Mark, write: &mut dyn FnMut(Row)) {
    let get = |list: &[f64], index: usize| list.get(index).copied();
    match mark {
        Mark::Line(line) => {
            for at in 0..longest(&[&line.x, &line.y, &line.lower, &line.upper]) {
                let (lower, upper) = (get(&line.lower, at), get(&line.upper, at));
                write(Row { x: get(&line.x, at), y: get(&line.y, at), lower, upper, ..Row::default() });
            }
        }
        Mark::Scatter(points) => {
            let lists = [&points.x, &points.y, &points.z, &points.lower, &points.upper, &points.values];
            for at in 0..longest(&lists) {
                let [x, y, z, lower, upper, value] = lists.map(|list| get(list, at));
                write(Row { x, y, z, lower, upper, value, ..Row::default() });
            }
        }
        Mark::Bars(bars) => {
            for at in 0..longest(&[&bars.x, &bars.y, &bars.lower, &bars.upper]) {
                let name = bars.categories.get(at).map_or("", String::as_str);
                let (lower, upper) = (get(&bars.lower, at), get(&bars.upper, at));
                write(Row { name, x: get(&bars.x, at), y: get(&bars.y, at), lower, upper, ..Row::default() });
            }
            for (at, members) in bars.members.iter().enumerate() {
                let name = bars.categories.get(at).map_or("", String::as_str);
                for (member, value) in members.iter().enumerate() {
                    let (kind, part, x) = ("member", Some(member), get(&bars.x, at));
                    write(Row { kind, part, name, x, y: Some(*value), ..Row::default() });
                }
            }
        }
        Mark::Histogram(histogram) => {
            for value in &histogram.values {
                write(Row { value: Some(*value), ..Row::default() });
            }
            for (lower, upper, height) in prepared.bins(histogram) {
                let (lower, upper) = (Some(lower), Some(upper));
                write(Row { kind: "bin", y: Some(height), lower, upper, ..Row::default() });
            }
        }
        Mark::HeatMap(map) => {
            let columns = map.values.iter().map(Vec::len).max().unwrap_or(0);
            let centre = |centres: &[f64], count: usize, at: usize| {
                if centres.len() >= count { get(centres, at) } else { Some(at as f64) }
            };
            for (row, values) in map.values.iter().enumerate() {
                for (column, value) in values.iter().enumerate() {
                    let x = centre(&map.x, columns, column);
                    let y = centre(&map.y, map.values.len(), row);
                    write(Row { part: Some(row), x, y, value: Some(*value), ..Row::default() });
                }
            }
        }
        Mark::Dendrogram(tree) => {
            for merge in &tree.merges {
                let (x, y) = (Some(merge.first as f64), Some(merge.second as f64));
                write(Row { kind: "merge", x, y, value: Some(merge.height), ..Row::default() });
            }
            for (place, leaf) in tree.order().into_iter().enumerate() {
                let (part, name) = (Some(leaf), tree.leaves[leaf].as_str());
                write(Row { kind: "leaf", part, name, x: Some(place as f64), ..Row::default() });
            }
        }
        Mark::Barcode(barcode) => {
            for bar in &barcode.bars {
                let (lower, upper) = (Some(bar.birth), Some(bar.death));
                write(Row { part: Some(bar.dimension), lower, upper, ..Row::default() });
            }
        }
        Mark::Trajectory2(trajectory) => paths(&trajectory.paths, write),
        Mark::Trajectory3(trajectory) => paths(&trajectory.paths, write),
        Mark::Rule(rule) => match rule.orientation {
            Orientation::Horizontal => write(Row { y: Some(rule.at), ..Row::default() }),
            Orientation::Vertical => write(Row { x: Some(rule.at), ..Row::default() }),
        },
        Mark::Span(span) => {
            let name = if span.orientation == Orientation::Vertical { "x" } else { "y" };
            write(Row { name, lower: Some(span.lower), upper: Some(span.upper), ..Row::default() });
        }
        Mark::Quiver(field) => {
            let lists = [&field.x, &field.y, &field.u, &field.v];
            for at in 0..longest(&lists) {
                let [x, y, u, v] = lists.map(|list| get(list, at));
                write(Row { x, y, u, v, ..Row::default() });
            }
        }
        Mark::Text(text) => write(Row { name: &text.text, x: Some(text.x), y: Some(text.y), ..Row::default() }),
    }
}

fn paths(paths: &[Path], write: &mut dyn FnMut(Row)) {
    for (part, path) in paths.iter().enumerate() {
        let lists = [&path.x, &path.y, &path.z, &path.values];
        for at in 0..longest(&lists) {
            let [x, y, z, value] = lists.map(|list| list.get(at).copied());
            write(Row { part: Some(part), x, y, z, value, ..Row::default() });
        }
    }
}

fn longest(lists: &[&Vec<f64>]) -> usize {
    lists.iter().map(|list| list.len()).max().unwrap_or(0)
}
