//! Pictures of activity.

use super::statistics::Statistics;
use super::{Order, Played};
use synfire::figure::{Axis, Colour, Figure, HeatMap, Histogram, Line, Panel, Rule, Scatter};
use synfire::subject::RunView;
use synfire::task::{Answer, Loss, Target};
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;

/// More channels than this are drawn as a map instead of lines.
const LINES: usize = 6;

/// All units against time, one panel per example `[time, example, unit]`.
pub(super) fn maps(played: &Played, examples: &Tensor, order: &[usize], by: Order) -> Figure {
    let times = played.axis.all(examples.size()[0] as usize);
    let (low, high) = (examples.min().double_value(&[]), examples.max().double_value(&[]));
    let signed = low < 0.0 && high > 0.0 && -low > 0.05 * high;
    let extreme = high.abs().max(low.abs());
    let count = examples.size()[1];
    let panels = (0..count).map(|example| {
        let rates = examples.select(1, example);
        let rows: Vec<Vec<f64>> = order.iter().map(|unit| values_f64(&rates.select(1, *unit as i64))).collect();
        let map = HeatMap::new(rows).at(&times, 0..order.len());
        let map = if signed { map.diverging().limits(-extreme, extreme) } else { map.limits(low, high) };
        let title = if count > 1 { format!("trial {example}") } else { String::new() };
        let panel =
            Panel::new(title).x(time(played)).y(Axis::new("unit, sorted").reversed()).mark(map).colour_label("rate");
        let panel = panel.marks(
            borders(played).into_iter().map(|rule| rule.colour(if signed { Colour::BLACK } else { Colour::WHITE })),
        );
        if example + 1 < count { panel.without_colour_bar() } else { panel }
    });
    let sorted = match by {
        Order::Peak => "Units are sorted by the time of their peak in the first trial, the earliest at the top.",
        Order::Mean => "Units are sorted by their mean rate over all trials, the largest at the top.",
        Order::Number => "Units are in the order of their numbers.",
    };
    Figure::new("rates", format!("Activity of all units: {}", played.title)).panels(panels).caption(sorted)
}

/// The population: mean over time, and how units differ.
pub(super) fn units(played: &Played, statistics: &Statistics) -> Figure {
    let mean = &statistics.mean_over_trials;
    let times = played.axis.all(mean.size()[0] as usize);
    let over_units = values_f64(&mean.mean_dim(1i64, false, Kind::Double));
    let spread = values_f64(&mean.std_dim(1i64, false, false));
    let trials = values_f64(&statistics.deviation_over_trials.mean_dim(1i64, false, Kind::Double));
    let course = Panel::new("mean ± deviation over units")
        .x(time(played))
        .y("rate")
        .marks(borders(played))
        .mark(Line::new(&times, over_units).deviation(spread));
    let variability = Panel::new("variability over trials")
        .x(time(played))
        .y(Axis::new("deviation of the rate"))
        .marks(borders(played))
        .mark(Line::new(&times, trials).colour(Colour::palette(1)));
    let of = |value: fn(&super::UnitStatistics) -> f64| statistics.units.iter().map(value).collect::<Vec<f64>>();
    let rates = Panel::new("mean rate").x("mean rate").y("units").mark(Histogram::new(of(|unit| unit.mean)));
    let sparse: Vec<f64> = statistics.units.iter().filter_map(|unit| unit.sparseness).collect();
    let sparse = Panel::new("lifetime sparseness")
        .x(Axis::new("sparseness").limits(0.0, 1.0))
        .y("units")
        .mark(Histogram::new(sparse).colour(Colour::palette(2)));
    let panels = [course, variability, rates, sparse];
    Figure::new("units", format!("Activity of the population: {}", played.title)).columns(2).panels(panels).caption(
        "Mean rate over units with its spread; how much a unit varies from trial to trial; and how units differ in mean rate and sparseness.",
    )
}

/// Inputs, the liveliest units, and outputs with targets, in the first trial.
pub(super) fn traces(played: &Played, statistics: &Statistics, view: &RunView, count: usize) -> Figure {
    let inputs = played.trials.inputs.select(1, 0);
    let times = played.axis.all(inputs.size()[0] as usize);
    let mut panels = vec![channels(Panel::new("inputs"), played, &times, &inputs, &view.parts.spec.inputs)];
    let chosen = statistics.liveliest(count);
    if !chosen.is_empty() {
        let rates = played.rates.select(1, 0);
        let mut panel = Panel::new("units with the largest variance").x(time(played)).y("rate").marks(borders(played));
        for unit in &chosen {
            let line = Line::new(&times, values_f64(&rates.select(1, *unit as i64)));
            panel = panel.mark(line.label(format!("unit {unit}")));
        }
        panels.push(panel);
    }
    // The last target is that of the hardest level.
    if let (Some(target), Some(output)) = (played.trials.targets.last(), played.outputs.last()) {
        panels.push(answers(played, &times, target, output, view));
    }
    Figure::new("traces", format!("One trial: {}", played.title)).columns(1).panels(panels).caption(
        "The first trial: what comes in, what the liveliest units do, and what the head says, beside what it should say.",
    )
}

/// The output of one head beside its target.
fn answers(played: &Played, times: &[f64], target: &Target, output: &Tensor, view: &RunView) -> Panel {
    let objective = view.parts.spec.objective;
    let raw = output.select(1, 0).to_kind(Kind::Double);
    let (said, what) = match objective.loss {
        Loss::CrossEntropy => (raw.softmax(-1, Kind::Double), "probability of the class"),
        Loss::BinaryCrossEntropy => (raw.sigmoid(), "probability"),
        Loss::LogisticSquaredError => (raw.sigmoid(), "logistic of the output"),
        Loss::SquaredError => (raw, "output"),
    };
    let width = said.size()[1] as usize;
    let title = format!("output of head {}", target.head);
    let names: Vec<String> =
        (0..width).map(|k| if width == 1 { "output".into() } else { format!("output {k}") }).collect();
    let mut panel = channels(Panel::new(title), played, times, &said, &names);
    panel.y.label = if width > LINES { "output".into() } else { what.to_string() };
    if objective.loss != Loss::SquaredError && width <= LINES {
        panel.y.limits = Some((-0.03, 1.03));
    }
    if width > LINES {
        panel.colour_label = what.into();
    }
    let trial = |axis: i64| target.values.select(axis, 0);
    match (objective.answer, objective.loss) {
        (Answer::FinalStep, Loss::CrossEntropy) => {
            let class = trial(0).int64_value(&[]).max(0) as usize;
            let height = if width > LINES { class as f64 } else { 1.0 };
            let at = times.last().copied().unwrap_or(0.0);
            let colour = if width > LINES { Colour::WHITE } else { Colour::palette(class) };
            panel.mark(Scatter::new([at], [height]).large().hollow().colour(colour).label(format!("correct: {class}")))
        }
        (Answer::FinalStep, _) => {
            let wanted = values_f64(&trial(0));
            let at = times.last().copied().unwrap_or(0.0);
            panel.mark(
                Scatter::new(vec![at; wanted.len()], wanted).large().hollow().colour(Colour::BLACK).label("target"),
            )
        }
        (Answer::EveryStep, Loss::CrossEntropy) if width > LINES => {
            panel.mark(Line::new(times, values_f64(&trial(1))).colour(Colour::WHITE).label("correct"))
        }
        (Answer::EveryStep, Loss::CrossEntropy) => {
            // The right class as a row of dots along the top, in the colour of its line.
            let classes = values_f64(&trial(1));
            (0..width).fold(panel, |panel, class| {
                let own = times.iter().zip(&classes).filter(|(_, right)| **right as usize == class).map(|(at, _)| *at);
                let own: Vec<f64> = own.collect();
                panel.mark(Scatter::new(&own, vec![1.02; own.len()]).colour(Colour::palette(class)))
            })
        }
        (Answer::EveryStep, _) if width > LINES => panel,
        (Answer::EveryStep, _) => {
            let wanted = trial(1);
            (0..width).fold(panel, |panel, channel| {
                let line =
                    Line::new(times, values_f64(&wanted.select(1, channel as i64))).dashed().colour(Colour::BLACK);
                panel.mark(if channel == 0 { line.label("target") } else { line })
            })
        }
    }
}

/// Lines for a few channels `[time, channel]`, a map for many.
fn channels(panel: Panel, played: &Played, times: &[f64], values: &Tensor, names: &[String]) -> Panel {
    let width = values.size()[1] as usize;
    let column = |channel: usize| values_f64(&values.select(1, channel as i64));
    if width > LINES {
        let rows: Vec<Vec<f64>> = (0..width).map(column).collect();
        let map = HeatMap::new(rows).at(times, 0..width);
        return panel.x(time(played)).y("channel").colour_label("value").mark(map).marks(borders(played));
    }
    // A single line needs no legend: the axis says what it is.
    let label = if width == 1 { names.first().map_or("value", String::as_str) } else { "input" };
    let panel = panel.x(time(played)).y(label).marks(borders(played));
    (0..width).fold(panel, |panel, channel| {
        let line = Line::new(times, column(channel)).colour(Colour::palette(channel));
        let name = names.get(channel).map_or("", String::as_str);
        panel.mark(if width > 1 { line.label(name) } else { line })
    })
}

fn time(played: &Played) -> Axis {
    let steps = played.rates.size()[0].max(1) as usize;
    Axis::new(played.axis.label()).limits(played.axis.at(0), played.axis.at(steps.saturating_sub(1).max(1)))
}

/// Where periods of the trial begin.
fn borders(played: &Played) -> Vec<Rule> {
    let mut starts: Vec<usize> =
        played.trials.periods.iter().map(|period| period.steps.start).filter(|s| *s > 0).collect();
    starts.dedup();
    if starts.len() > 12 {
        return Vec::new();
    }
    starts.into_iter().map(|start| Rule::vertical(played.axis.at(start))).collect()
}
