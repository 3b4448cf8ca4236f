//! How long networks take to learn.

use super::quartiles::quartiles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::analysis::{Findings, Scope};
use synfire::curriculum::Evaluation;
use synfire::figure::{Axis, Bars, Colour, Figure, Line, Panel, Rule};
use synfire::storage::float::from_value;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::{Analysis, Component, Problems, Properties, Property, Registry, Result, Subject};

/// Updates and seconds until networks reach a criterion, in groups of runs and members.
///
/// A network reaches the criterion at its first evaluation with a `metric` of at least `threshold` (at most, for losses); with `window` it
/// is the mean over so many last evaluations that counts, with `patience` so many in a row must pass, of which the last is told. One that
/// never does counts as infinitely late: the median of a group of which more than half never learned is infinite, and is left out.
/// Seconds are those of the updates alone, from the metrics. A group also reaches it together, at the first evaluation at which the
/// mean over its members, without the fraction `trim` of them at either end, does. The stage is that of a staged curriculum.
///
/// figures `learning`: median and quartiles of each group against updates and against seconds; `criterion`: medians and networks
/// tables  `networks`: one row a network; `groups`: medians, quartiles and share of networks that learned
///
/// Source: the criterion of Soo, Goudar & Wang 2023, doi:10.1101/2023.10.10.561588: a mean over the middle 80 of 100 networks of 0.99.
/// That of Miconi 2017, doi:10.7554/eLife.20899, 95 right answers in the last 100 trials, is `metric = "training_accuracy"`, `threshold = 0.95`,
/// `window = 5` where an evaluation is made every 20 trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpdatesToCriterion {
    /// Number of an evaluation: `accuracy`, `loss`, `last_accuracy`, `last_loss`, `least_accuracy`; or the mean of the updates since the
    /// evaluation before: `training_accuracy`, `training_loss`.
    pub metric: String,
    /// The value to reach.
    pub threshold: f64,
    /// Number of evaluations whose mean counts.
    #[schemars(range(min = 1))]
    pub window: usize,
    /// Number of times in a row that the criterion must be met.
    #[schemars(range(min = 1))]
    pub patience: usize,
    /// Fraction of a group's networks that is left out at either end of their mean.
    #[schemars(range(min = 0.0, max = 0.49))]
    pub trim: f64,
}

impl Default for UpdatesToCriterion {
    fn default() -> Self {
        Self { metric: "accuracy".into(), threshold: 0.99, window: 1, patience: 1, trim: 0.1 }
    }
}

/// Metrics that are means of updates, not of evaluations.
const OF_UPDATES: [&str; 2] = ["training_accuracy", "training_loss"];

/// One evaluation.
#[derive(Clone)]
struct Point {
    update: u64,
    value: f64,
    seconds: Option<f64>,
    stage: Option<f64>,
}

/// One network.
struct Course {
    label: String,
    points: Vec<Point>,
}

impl Course {
    /// The last of the first evaluations in a row that pass, `patience` of them.
    fn reached(&self, patience: usize, passes: impl Fn(f64) -> bool) -> Option<&Point> {
        let row = self.points.windows(patience.max(1)).find(|row| row.iter().all(|point| passes(point.value)));
        row.and_then(|row| row.last())
    }

    /// The same with means over the last `window` evaluations.
    fn smoothed(self, window: usize) -> Self {
        let window = window.max(1);
        let points = self.points.windows(window).filter_map(|recent| {
            let mean = recent.iter().map(|point| point.value).sum::<f64>() / window as f64;
            recent.last().map(|last| Point { value: mean, ..last.clone() })
        });
        Self { points: points.collect(), label: self.label }
    }
}

#[typetag::serde(name = "updates-to-criterion")]
impl Analysis for UpdatesToCriterion {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        let all = [&Evaluation::METRICS[..], &OF_UPDATES].concat();
        let known = all.contains(&self.metric.as_str());
        problems.require(known, "metric", &self.metric, &format!("one of {}", all.join(", ")));
        problems.require(self.window >= 1, "window", self.window, "at least 1");
        problems.require(self.patience >= 1, "patience", self.patience, "at least 1");
        problems.require(self.threshold.is_finite(), "threshold", self.threshold, "finite");
        problems.require((0.0..0.5).contains(&self.trim), "trim", self.trim, "at least 0 and below 0.5");
    }

    fn needs(&self, _: &Registry) -> Properties {
        if self.by_loss() { Properties::new() } else { Properties::from([Property::Accuracy]) }
    }

    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let mut groups = Vec::new();
        for (name, members) in &subject.groups {
            let runs = members.iter().filter_map(|index| subject.runs.get(*index));
            groups.push((name.clone(), runs.map(|run| self.course(run)).collect::<Result<Vec<_>>>()?));
        }
        self.findings(&groups)
    }
}

impl UpdatesToCriterion {
    fn by_loss(&self) -> bool {
        self.metric.ends_with("loss")
    }

    fn passes(&self, value: f64) -> bool {
        if self.by_loss() { value <= self.threshold } else { value >= self.threshold }
    }

    fn course(&self, run: &RunView) -> Result<Course> {
        let metrics = run.dir.metrics()?;
        let column = |name: &str| -> BTreeMap<u64, f64> {
            let number = |line: &serde_json::Value| Some((line["update"].as_u64()?, from_value(&line[name])?));
            metrics.iter().filter_map(number).collect()
        };
        let (seconds, of_updates) = (column("seconds"), column(&self.metric));
        let in_updates = OF_UPDATES.contains(&self.metric.as_str());
        let history = run.history();
        let points = history.evaluations.iter().filter_map(|evaluation| {
            let lesson = history.lessons.get(evaluation.lesson).map(|record| &record.lesson);
            Some(Point {
                update: evaluation.update,
                value: match in_updates {
                    true => *of_updates.get(&evaluation.update)?,
                    false => evaluation.metric(&self.metric)?,
                },
                seconds: seconds.get(&evaluation.update).copied(),
                stage: lesson.and_then(|lesson| lesson.schedule.get("stage")).copied(),
            })
        });
        Ok(Course { label: run.label.clone(), points: points.collect() }.smoothed(self.window))
    }

    /// The values of all networks of a group at an update that all were judged at.
    fn shared(courses: &[Course]) -> BTreeMap<u64, Vec<&Point>> {
        let mut by_update: BTreeMap<u64, Vec<&Point>> = BTreeMap::new();
        for point in courses.iter().flat_map(|course| &course.points) {
            by_update.entry(point.update).or_default().push(point);
        }
        by_update.retain(|_, points| points.len() == courses.len());
        by_update
    }

    /// The mean of the middle networks.
    fn middle(&self, points: &[&Point]) -> f64 {
        let mut values: Vec<f64> = points.iter().map(|point| point.value).collect();
        values.sort_by(f64::total_cmp);
        let out = (self.trim * values.len() as f64 + 1e-9).floor() as usize;
        let middle = &values[out..values.len() - out];
        middle.iter().sum::<f64>() / middle.len() as f64
    }

    fn findings(&self, groups: &[(String, Vec<Course>)]) -> Result<Findings> {
        let mut findings = Findings::new();
        let columns = ["group", "network", "updates", "seconds", "stage", "best", "last"];
        let mut networks = Table::new("networks", "When each network reached the criterion", &columns);
        let columns = [
            "group",
            "networks",
            "learned",
            "median updates",
            "lower quartile",
            "upper quartile",
            "median seconds",
            "updates together",
            "median best",
        ];
        let mut summary = Table::new("groups", "When the networks of each group reached the criterion", &columns);
        for (name, courses) in groups {
            let (mut updates, mut times, mut bests) = (Vec::new(), Vec::new(), Vec::new());
            for course in courses {
                let reached = course.reached(self.patience, |value| self.passes(value));
                let values = course.points.iter().map(|point| point.value);
                let best = if self.by_loss() { values.reduce(f64::min) } else { values.reduce(f64::max) };
                let last = course.points.last().map(|point| point.value);
                let seconds = reached.and_then(|point| point.seconds);
                let stage = reached.and_then(|point| point.stage);
                networks.push((name, &course.label, reached.map(|point| point.update), seconds, stage, best, last));
                updates.push(reached.map_or(f64::INFINITY, |point| point.update as f64));
                times.push(seconds.unwrap_or(f64::INFINITY));
                bests.extend(best);
            }
            let learned = updates.iter().filter(|updates| updates.is_finite()).count();
            let finite = |value: f64| value.is_finite().then_some(value);
            let [lower, median, upper] = quartiles(&updates).map_or([None; 3], |all| all.map(finite));
            let seconds = quartiles(&times).and_then(|[_, median, _]| finite(median));
            let together = Self::shared(courses).into_iter().find(|(_, points)| self.passes(self.middle(points)));
            let share = learned as f64 / courses.len().max(1) as f64;
            let best = quartiles(&bests).map(|[_, median, _]| median);
            findings.value(format!("learned, {name}"), share);
            findings.value(format!("median updates, {name}"), median);
            findings.value(format!("median best {}, {name}", self.metric), best);
            let together = together.map(|(update, _)| update);
            summary.push((name, courses.len(), share, median, lower, upper, seconds, together, best));
        }
        findings.value("threshold", self.threshold);
        findings.tables = vec![summary, networks];
        findings.figures = vec![self.learning(groups), self.bars(groups)];
        Ok(findings)
    }

    fn learning(&self, groups: &[(String, Vec<Course>)]) -> Figure {
        let threshold = || Rule::horizontal(self.threshold).label("criterion");
        let y = self.metric.replace('_', " ");
        let mut by_updates = Panel::new("").x("update").y(y.clone()).mark(threshold());
        let mut by_seconds = Panel::new("").x("seconds").y(y).mark(threshold()).without_legend();
        for (index, (name, courses)) in groups.iter().enumerate() {
            let shared = Self::shared(courses);
            let (mut updates, mut seconds, mut bands) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
            for (update, points) in &shared {
                let values: Vec<f64> = points.iter().map(|point| point.value).collect();
                let times: Vec<f64> = points.iter().filter_map(|point| point.seconds).collect();
                let Some(all) = quartiles(&values) else { continue };
                updates.push(*update as f64);
                seconds.push(quartiles(&times).map_or(f64::NAN, |[_, median, _]| median));
                bands.iter_mut().zip(all).for_each(|(band, value)| band.push(value));
            }
            let [lower, median, upper] = &bands;
            let line = |x: &[f64]| Line::new(x, median).band(lower, upper).label(name).colour(Colour::palette(index));
            by_updates = by_updates.mark(line(&updates));
            by_seconds = by_seconds.mark(line(&seconds));
        }
        Figure::new("learning", "Learning").panels([by_updates, by_seconds]).caption(
            "Median and quartiles over the networks of each group; an evaluation is drawn where all of them were judged.",
        )
    }

    fn bars(&self, groups: &[(String, Vec<Course>)]) -> Figure {
        let (mut updates, mut medians): (Vec<Vec<f64>>, Vec<f64>) = (Vec::new(), Vec::new());
        for (_, courses) in groups {
            let reached = courses.iter().map(|course| course.reached(self.patience, |value| self.passes(value)));
            let all: Vec<f64> = reached.map(|point| point.map_or(f64::INFINITY, |point| point.update as f64)).collect();
            medians.push(quartiles(&all).map(|[_, median, _]| median).filter(|m| m.is_finite()).unwrap_or(f64::NAN));
            updates.push(all.into_iter().filter(|updates| updates.is_finite()).collect());
        }
        let names: Vec<String> = groups
            .iter()
            .zip(&updates)
            .map(|((name, courses), reached)| format!("{name} ({}/{})", reached.len(), courses.len()))
            .collect();
        let panel = Panel::new("")
            .x(Axis::new("").categories(names.clone()))
            .y("updates to criterion")
            .mark(Bars::new(names, medians).members(updates).colour_each());
        Figure::new("criterion", "Updates to criterion")
            .panel(panel)
            .caption(
            "Points: networks that reached it, whose number is given. Bars: medians over all networks, where more than half did.",
        )
    }
}

synfire::inventory::submit! { Component::analysis::<UpdatesToCriterion>("updates-to-criterion") }

#[cfg(test)]
mod tests;
