//! Draws every kind of mark into the folder given as the first argument (`target/gallery` without one).

use std::f64::consts::PI;
use std::path::Path;
use synfire::Error;
use synfire::figure::{
    Axis, Barcode, Bars, Colour, ColourMap, Dendrogram, Figure, HeatMap, Histogram, Line, Panel, Quiver, Rule, Scatter,
    Span, Text, Trajectory2, Trajectory3,
};
use synfire::report::{Report, Section};
use synfire::table::Table;

/// A smooth pseudo-random number between -1 and 1.
fn wobble(index: usize) -> f64 {
    (index as f64 * 12.9898).sin() * 0.7 + (index as f64 * 4.1414).cos() * 0.3
}

fn learning_curves() -> Figure {
    let updates: Vec<f64> = (0..200).map(|k| f64::from(k) * 600.0).collect();
    let curve = |rate: f64, shift: usize| -> Vec<f64> {
        let rise = |(k, update): (usize, &f64)| 0.5 + 0.48 * (1.0 - (-update * rate).exp()) + 0.01 * wobble(k + shift);
        updates.iter().enumerate().map(rise).collect()
    };
    let (fast, slow) = (curve(1e-4, 0), curve(3e-5, 50));
    let spread: Vec<f64> = updates.iter().map(|update| 0.05 * (-update * 2e-5).exp()).collect();
    let loss: Vec<f64> = updates.iter().map(|update| 0.7 * (-update * 8e-5).exp() + 2e-4).collect();
    Figure::new("learning-curves", "Learning N-parity with two curricula")
        .caption("Mean over eight networks; the band is one standard deviation.")
        .panel(
            Panel::new("Accuracy")
                .x("update")
                .y(Axis::new("accuracy").limits(0.45, 1.02))
                .mark(Line::new(&updates, fast).deviation(&spread).label("multi-head"))
                .mark(Line::new(&updates, slow).deviation(&spread).label("single-head").dashed())
                .mark(Rule::horizontal(0.98).label("threshold")),
        )
        .panel(Panel::new("Loss").x("update").y(Axis::new("cross-entropy (nat)").log()).mark(Line::new(&updates, loss)))
}

fn comparisons() -> Figure {
    let names = ["leaky-rnn", "lstm", "gru", "temporal skip with theta 0.3"];
    let members =
        [vec![12.0, 14.0, 9.0, 11.0], vec![7.0, 8.0, 6.5, 9.0], vec![8.0, 9.5, 7.0], vec![17.0, 21.0, 15.5, 19.0]];
    let normal: Vec<f64> = (0..2000).map(|k| wobble(k) + wobble(k * 7 + 3)).collect();
    let shifted: Vec<f64> = normal.iter().map(|value| value * 0.6 + 0.8).collect();
    let x: Vec<f64> = (0..60).map(|k| 10f64.powf(f64::from(k) / 20.0)).collect();
    let y: Vec<f64> = x.iter().enumerate().map(|(k, x)| x.powf(0.7) * (1.0 + 0.2 * wobble(k))).collect();
    Figure::new("comparisons", "")
        .columns(2)
        .panel(Panel::new("Highest N solved").y("N").mark(
            Bars::new(names, [11.5, 7.6, 8.2, 18.1]).deviation([2.0, 1.0, 1.2, 2.3]).members(members).colour_each(),
        ))
        .panel(
            Panel::new("Two conditions")
                .y("time constant (ms)")
                .mark(Bars::new(["N = 2", "N = 10", "N = 30"], [3.0, 9.0, 24.0]).label("single-head"))
                .mark(Bars::new(["N = 2", "N = 10", "N = 30"], [2.0, 4.0, 8.0]).label("multi-head")),
        )
        .panel(
            Panel::new("Weights")
                .x("weight")
                .y("density")
                .mark(Histogram::new(normal).density().label("before"))
                .mark(Histogram::new(shifted).density().label("after")),
        )
        .panel(
            Panel::new("Scaling")
                .x(Axis::new("N").log())
                .y(Axis::new("timescale (steps)").log())
                .mark(Scatter::new(&x, &y).deviation(y.iter().map(|y| y * 0.1).collect::<Vec<_>>()).label("networks"))
                .mark(
                    Line::new(&x, x.iter().map(|x| x.powf(0.7)).collect::<Vec<_>>())
                        .label("N^0.7")
                        .colour(Colour::BLACK),
                ),
        )
}

fn maps() -> Figure {
    let rate = |row: usize, column: usize| ((row as f64) / 6.0 - (column as f64) / 15.0).sin() * (row as f64 / 40.0);
    let activity: Vec<Vec<f64>> = (0..40).map(|row| (0..120).map(|column| rate(row, column)).collect()).collect();
    let tasks = ["go", "anti", "delayed go", "dms", "dnms"];
    let similarity: Vec<Vec<f64>> =
        (0..5).map(|a| (0..5).map(|b: i32| (-f64::from(a - b).powi(2) / 4.0).exp()).collect()).collect();
    let angles: Vec<Vec<f64>> =
        (0..60).map(|row| (0..60).map(|column| f64::from(row - 30).atan2(f64::from(column - 30))).collect()).collect();
    let grid: Vec<(f64, f64)> =
        (0..144).map(|k| (f64::from(k % 12) / 3.0 - 2.0, f64::from(k / 12) / 3.0 - 2.0)).collect();
    let list = |part: fn(&(f64, f64)) -> f64| grid.iter().map(part).collect::<Vec<_>>();
    Figure::new("maps", "Maps and fields")
        .columns(2)
        .panel(
            Panel::new("Activity")
                .x("time step")
                .y("unit")
                .mark(HeatMap::new(&activity).diverging())
                .colour_label("rate"),
        )
        .panel(
            Panel::new("Similarity of tasks")
                .x(Axis::new("").categories(tasks))
                .y(Axis::new("").categories(tasks).reversed())
                .mark(HeatMap::new(&similarity).annotate().limits(0.0, 1.0))
                .colour_label("CKA"),
        )
        .panel(
            Panel::new("Phase")
                .x("x")
                .y("y")
                .mark(HeatMap::new(&angles).map(ColourMap::Cyclic))
                .colour_label("phase (rad)"),
        )
        .panel(
            Panel::new("Flow and fixed points")
                .x("PC 1")
                .y("PC 2")
                .equal_units()
                .mark(Quiver::new(list(|p| p.0), list(|p| p.1), list(|p| p.0 - p.0.powi(3)), list(|p| -p.1)))
                .mark(Scatter::new([-1.0, 1.0], [0.0, 0.0]).large().label("stable"))
                .mark(Scatter::new([0.0], [0.0]).large().hollow().label("saddle")),
        )
}

fn shapes() -> Figure {
    let angle: Vec<f64> = (0..400).map(|k| f64::from(k) / 400.0 * 6.0 * PI).collect();
    let by = |part: fn(f64) -> f64| angle.iter().map(|a| part(*a)).collect::<Vec<f64>>();
    let paths = (0..5).fold(Trajectory2::new(), |paths, trial| {
        let scale = 1.0 + f64::from(trial) * 0.1;
        paths.path(
            by(|a| (a / 3.0).cos() * a).iter().map(|x| x * scale).collect::<Vec<_>>(),
            by(|a| (a / 3.0).sin() * a),
        )
    });
    let bars = (0..30).map(|k| (0, 0.0, 0.2 + 0.3 * wobble(k).abs())).chain([(0, 0.0, f64::INFINITY)]);
    let bars = bars.chain((0..6).map(|k| (1, 0.3 + 0.02 * k as f64, 0.4 + 0.03 * k as f64))).chain([(1, 0.35, 1.6)]);
    let merges = [(0, 1, 0.3), (2, 3, 0.5), (4, 5, 0.4), (7, 8, 0.9), (9, 6, 1.1), (10, 11, 1.7)];
    let leaves = ["go", "rt go", "delayed go", "anti", "rt anti", "delayed anti", "dms"];
    Figure::new("shapes", "Trajectories, trees and bars")
        .columns(2)
        .panel(
            Panel::new("Lorenz-like spiral")
                .x("PC 1")
                .y("PC 2")
                .z("PC 3")
                .mark(
                    Trajectory3::new()
                        .path(by(|a| a.cos() * (1.0 + a / 20.0)), by(|a| a.sin()), by(|a| a / 10.0))
                        .coloured_by(&angle),
                )
                .mark(Scatter::spatial([0.0, 0.5], [0.0, 0.5], [0.2, 1.5]).large().label("fixed points"))
                .colour_label("time (ms)"),
        )
        .panel(
            Panel::new("Trials of one condition")
                .x("PC 1")
                .y("PC 2")
                .mark(paths.coloured_by(&angle))
                .colour_label("time (ms)"),
        )
        .panel(Panel::new("Clusters of tasks").y("distance").mark(Dendrogram::new(merges, leaves)))
        .panel(Panel::new("Persistent homology").x("radius").mark(Barcode::new(bars)))
}

fn single() -> Figure {
    let time: Vec<f64> = (0..300).map(|k| f64::from(k) * 10.0).collect();
    let units = (0..12).map(|unit| {
        let rate = time.iter().map(|t| (t / (200.0 + 60.0 * f64::from(unit))).sin() * (-t / 2500.0).exp());
        Line::new(&time, rate.collect::<Vec<_>>()).thin().label(format!("unit {unit}"))
    });
    Figure::new("single", "One trial: the stimulus is on in the shaded period").panel(
        Panel::new("")
            .x("time (ms)")
            .y("firing rate (μV · √Hz⁻¹)")
            .mark(Span::vertical(500.0, 1200.0).label("stimulus").colour(Colour::palette(3)))
            .marks(units)
            .mark(Text::new(2500.0, 0.9, "p < 0.001")),
    )
}

fn main() -> synfire::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/gallery".into());
    let figures = [learning_curves(), comparisons(), maps(), shapes(), single()];
    for figure in &figures {
        figure.save(Path::new(&folder))?;
    }
    let table = Table::new("levels", "Accuracy by level", &["level", "cell", "accuracy", "loss"])
        .row((2, "leaky-rnn", 0.998_123_4, 1.2e-5))
        .row((30, "leaky-rnn", 0.981, None::<f64>));
    let summary = Section::new("Summary")
        .paragraph("Every kind of mark that a figure can have, as files and as this page.")
        .fact("figures", figures.len())
        .fact("area of the unit circle", PI)
        .table(table)
        .code("[task]\ntype = \"n-parity\"")
        .note("All numbers on this page are made up.");
    let report = Report::new("Gallery").subtitle("synfire figures").section(summary);
    let report = figures
        .into_iter()
        .fold(report, |report, figure| report.section(Section::new(figure.name.clone()).figure(figure)));
    let page = Path::new(&folder).join("report.html");
    std::fs::write(&page, report.to_html()?).map_err(Error::io(&page))
}
