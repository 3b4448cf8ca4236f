//! Answers against the strength of the evidence.

use super::choice;
use super::grouping::Grouping;
use crate::ideal::IdealObserver;
use crate::sigmoid::Sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Scatter};
use synfire::rollout::Record;
use synfire::statistics::{mean, regression};
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Registry, Result, Stream, Subject};

/// Psychometric curves: how often a network answers one way, against the strength of the evidence, with a sigmoid through it.
///
/// The option `vary` of the task is set to each of `values`, everything else stays as in training; the answer is the first output at
/// the last step. `choice` is the fraction of positive answers (answers of exactly 0 are left out; one half if there is no other),
/// `output` their mean. With several contexts a curve belongs to each: `conditions` are options of the task under which the curve is
/// measured, by default `context = 0, 1, ..` for tasks with an option `contexts`, of which the first varies the signal that is asked for
/// and the others one that is to be ignored; `split_by` sorts trials by one of their conditions instead. To every curve
/// `base + height / (1 + exp(-slope (x - middle)))` and a straight line are fitted; the first condition is drawn with its sigmoid, the
/// others with their line. Where `coherence` is varied, the ideal observer of the task is drawn beside the first and its fraction of right
/// answers in the task told. Groups are those of `--groups`, else runs with the same options `by`.
///
/// figures `psychometric`: curves of all networks and means of groups, one panel a condition
/// tables  `fits`: one row a network and condition; `curves`: one row a network, condition and value
/// arrays  `values` `[value]`, `answers` `[network, condition, value]`
///
/// Source: the curves of McMahan, Kleinman & Kao 2021, NeurIPS (`values`, 2000 trials each), and of Miconi 2017,
/// doi:10.7554/eLife.20899 (`vary = "bias_1"`, `split_by = "context"`, `measure = "output"`).
/// Differs: networks are measured under the noise they were trained with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Psychometric {
    /// Option of the task that is varied.
    pub vary: String,
    /// Its values.
    pub values: Vec<f64>,
    /// Trials for each.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// What is measured.
    pub measure: Measure,
    /// Options of the task, one table a curve; empty: one curve, or one for each context of tasks that have an option `contexts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Map<String, Value>>,
    /// A condition of the trials by which they are sorted into curves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_by: Option<String>,
    /// Updates after which the networks are taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Options of the experiments that make groups where none are named.
    pub by: Vec<String>,
}

/// What is measured of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The fraction that is positive.
    #[default]
    Choice,
    /// Their mean.
    Output,
}

impl Default for Psychometric {
    fn default() -> Self {
        Self {
            vary: "coherence".into(),
            values: vec![-0.30, -0.18, -0.072, -0.018, 0.018, 0.072, 0.18, 0.30],
            trials: 2000,
            measure: Measure::default(),
            conditions: Vec::new(),
            split_by: None,
            update: None,
            by: vec!["rule".into()],
        }
    }
}

/// One curve of one network.
#[derive(Clone, Debug, PartialEq)]
struct Curve {
    name: String,
    answers: Vec<f64>,
}

#[typetag::serde(name = "psychometric")]
impl Analysis for Psychometric {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        let enough = self.values.len() >= 2 && self.values.iter().all(|value| value.is_finite());
        problems.require(enough, "values", format!("{:?}", self.values), "two or more finite numbers");
        problems.require(!self.vary.is_empty(), "vary", "empty", "the name of an option of the task");
    }

    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        subject.run()?;
        let grouping = Grouping::of(subject, &self.by)?;
        let all = subject.runs.iter().map(|view| self.curves(view, &subject.stream)).collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = all[0].iter().map(|curve| curve.name.clone()).collect();
        if let Some(other) = all.iter().position(|curves| curves.len() != names.len()) {
            return Err(Error::Failed(format!(
                "{} has {} curves and {} has {}; analyse tasks with different contexts apart",
                subject.runs[0].label,
                names.len(),
                subject.runs[other].label,
                all[other].len()
            )));
        }
        let mut findings = Findings::new();
        let mut answers: Vec<f64> = Vec::new();
        let columns =
            ["network", "group", "condition", "height", "slope", "middle", "base", "residual", "slope of the line"];
        let mut fits = Table::new("fits", "Sigmoids and lines through the curves", &columns);
        let columns = ["network", "group", "condition", &self.vary, "answer", "ideal observer"];
        let mut rows = Table::new("curves", "Answers", &columns);
        for (index, curves) in all.iter().enumerate() {
            let (label, group) = (&subject.runs[index].label, &grouping.names[grouping.labels[index]]);
            let observer = self.observer(&subject.runs[index]);
            for (at, curve) in curves.iter().enumerate() {
                let fit = Sigmoid::fit(&self.values, &curve.answers)?;
                let line = regression(&self.values, &curve.answers).map(|line| line.slope);
                fits.push((
                    label,
                    group,
                    &curve.name,
                    fit.map(|fit| fit.height),
                    fit.map(|fit| fit.slope),
                    fit.map(|fit| fit.middle),
                    fit.map(|fit| fit.base),
                    fit.map(|fit| fit.residual),
                    line,
                ));
                for (value, answer) in self.values.iter().zip(&curve.answers) {
                    let ideal = observer.filter(|_| at == 0).map(|observer| observer.positive(*value));
                    rows.push((label, group, &curve.name, *value, answer.is_finite().then_some(*answer), ideal));
                }
                answers.extend(&curve.answers);
            }
        }
        let observers = self.observers(subject, &grouping);
        for (group, observer) in &observers {
            let name = format!("{group}: ideal observer, fraction right");
            findings.value(name.trim_start_matches(": "), observer.accuracy());
        }
        for (at, name) in names.iter().enumerate() {
            for (group, group_name) in grouping.names.iter().enumerate() {
                let means = self.group_mean(&all, &grouping, group, at);
                let fit = Sigmoid::fit(&self.values, &means)?;
                let of =
                    |what: &str| format!("{group_name}, {name}: {what}").trim_start_matches(", ").replace(", :", ":");
                findings.value(of("slope"), fit.map(|fit| fit.slope));
                findings.value(of("middle"), fit.map(|fit| fit.middle));
                findings.value(of("slope of the line"), regression(&self.values, &means).map(|line| line.slope));
            }
        }
        findings.array("values", Array::from(self.values.clone()));
        findings.array("answers", Array::new([all.len(), names.len(), self.values.len()], answers)?);
        findings.tables = vec![fits, rows];
        findings.figures.push(self.figure(&all, &grouping, &names, &observers)?);
        Ok(findings)
    }
}

impl Psychometric {
    /// Who could do no better in a run's task, where the curve of the signal that is asked for is one of choices.
    fn observer(&self, view: &RunView) -> Option<IdealObserver> {
        let asked = self.vary == "coherence" && self.measure == Measure::Choice;
        let plain = self.conditions.is_empty() && self.split_by.is_none();
        IdealObserver::of(&view.experiment.task).filter(|_| asked && plain)
    }

    /// Those of all groups, each once, with the names of the groups that share it; no name where all do.
    fn observers(&self, subject: &Subject, grouping: &Grouping) -> Vec<(String, IdealObserver)> {
        let mut all: Vec<(Vec<&str>, IdealObserver)> = Vec::new();
        for (index, view) in subject.runs.iter().enumerate() {
            let Some(observer) = self.observer(view) else { continue };
            let group = grouping.names[grouping.labels[index]].as_str();
            match all.iter_mut().find(|(_, other)| *other == observer) {
                Some((names, _)) if names.contains(&group) => {}
                Some((names, _)) => names.push(group),
                None => all.push((vec![group], observer)),
            }
        }
        let one = all.len() == 1;
        let named = |(names, observer): (Vec<&str>, _)| (if one { String::new() } else { names.join(", ") }, observer);
        all.into_iter().map(named).collect()
    }

    /// Options of the task for each curve, and the curve's name.
    fn conditions(&self, view: &RunView) -> Vec<(String, Map<String, Value>)> {
        let named = |table: &Map<String, Value>| {
            table.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        };
        if !self.conditions.is_empty() {
            return self.conditions.iter().map(|table| (named(table), table.clone())).collect();
        }
        let contexts = view.experiment.task.options().get("contexts").and_then(Value::as_u64);
        match contexts {
            Some(count) if self.split_by.is_none() => (0..count)
                .map(|context| {
                    let mut table = Map::new();
                    table.insert("context".into(), json!(context));
                    let name = if context == 0 {
                        "signal asked for".into()
                    } else {
                        format!("signal to ignore in context {context}")
                    };
                    (name, table)
                })
                .collect(),
            _ => vec![(String::new(), Map::new())],
        }
    }

    /// All curves of one network.
    fn curves(&self, view: &RunView, stream: &Stream) -> Result<Vec<Curve>> {
        let network = view.network(choice::at(self.update))?;
        let mut curves: Vec<Curve> = Vec::new();
        for (name, options) in self.conditions(view) {
            let first = curves.len();
            for (index, value) in self.values.iter().enumerate() {
                let mut options = options.clone();
                options.insert(self.vary.clone(), json!(value));
                let asked = view.with_task(&options)?;
                // Every value has trials of its own, the same for all networks.
                let parts = self.measured(&asked, &network, &stream.at(index as u64))?;
                for (at, (part, answer)) in parts.into_iter().enumerate() {
                    let place = first + at;
                    if curves.len() <= place {
                        let name =
                            [name.as_str(), part.as_str()].into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>();
                        curves.push(Curve { name: name.join(", "), answers: vec![f64::NAN; self.values.len()] });
                    }
                    curves[place].answers[index] = answer;
                }
            }
        }
        Ok(curves)
    }

    /// What is measured of the trials, for each value of the condition that splits them.
    fn measured(&self, view: &RunView, network: &synfire::Network, stream: &Stream) -> Result<Vec<(String, f64)>> {
        let lesson = view.lesson();
        let size = view.experiment.training.evaluation_batch.max(1);
        let (mut answers, mut split) = (Vec::new(), Vec::new());
        for (index, first) in (0..self.trials).step_by(size).enumerate() {
            let batch = size.min(self.trials - first);
            let played =
                view.play(network, &lesson, batch, Record::Outputs, &stream.child("answers").at(index as u64))?;
            let output = played.outputs.first().ok_or_else(|| Error::Failed("no head answers".into()))?;
            let last = if output.dim() == 3 { output.get(-1) } else { output.shallow_clone() };
            answers.extend(values_f64(&last.select(-1, 0)));
            if let Some(name) = &self.split_by {
                let column = played.trials.conditions.get(name).ok_or_else(|| {
                    let known = played.trials.conditions.keys().cloned().collect::<Vec<_>>().join(", ");
                    Error::config(
                        "split_by",
                        format_args!("is '{name}', which is no condition of the trials"),
                        format!("use one of: {known}"),
                    )
                })?;
                split.extend(column.iter().copied());
            }
        }
        let Some(name) = &self.split_by else { return Ok(vec![(String::new(), self.measure.of(&answers))]) };
        let mut kinds = split.clone();
        kinds.sort_by(f64::total_cmp);
        kinds.dedup();
        let of = |kind: f64| {
            let own: Vec<f64> = answers.iter().zip(&split).filter(|(_, s)| **s == kind).map(|(a, _)| *a).collect();
            (format!("{name} {kind}"), self.measure.of(&own))
        };
        Ok(kinds.into_iter().map(of).collect())
    }

    fn group_mean(&self, all: &[Vec<Curve>], grouping: &Grouping, group: usize, curve: usize) -> Vec<f64> {
        (0..self.values.len())
            .map(|at| mean(&grouping.members(group).map(|item| all[item][curve].answers[at]).collect::<Vec<_>>()))
            .collect()
    }

    fn figure(
        &self,
        all: &[Vec<Curve>],
        grouping: &Grouping,
        names: &[String],
        observers: &[(String, IdealObserver)],
    ) -> Result<Figure> {
        let label = match self.measure {
            Measure::Choice => Axis::new("fraction of positive answers").limits(-0.05, 1.05),
            Measure::Output => Axis::new("mean answer"),
        };
        let (low, high) =
            self.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        let along: Vec<f64> = (0..=200).map(|i| low + (high - low) * f64::from(i) / 200.0).collect();
        let mut figure = Figure::new("psychometric", "Psychometric curves").caption(
            "Dots are means over the networks of a group; the curve through them is a sigmoid for the signal that is asked for, a straight \
             line for the others. Pale lines are single networks; dashed is the ideal observer of the signal that is asked for.",
        );
        for (at, name) in names.iter().enumerate() {
            let mut panel = Panel::new(name.clone()).x(self.vary.clone()).y(label.clone());
            for (index, (name, observer)) in observers.iter().enumerate().filter(|_| at == 0) {
                // Several are told apart by the colour of the first group that they belong to, with one line for all in the legend.
                let groups = grouping.names.iter().enumerate().filter(|(_, group)| name.starts_with(group.as_str()));
                let colour =
                    groups.max_by_key(|(_, group)| group.len()).map_or(Colour::GREY, |(at, _)| Colour::palette(at));
                let curve: Vec<f64> = along.iter().map(|x| observer.positive(*x)).collect();
                let line = Line::new(&along, curve).dashed().colour(colour);
                panel = panel.mark(if index == 0 { line.label("ideal observer") } else { line });
            }
            for (group, group_name) in grouping.names.iter().enumerate() {
                let colour = Colour::palette(group);
                let members: Vec<usize> = grouping.members(group).collect();
                if members.len() > 1 {
                    let thin = |item: &usize| Line::new(&self.values, &all[*item][at].answers).colour(colour).thin();
                    panel = panel.marks(members.iter().map(thin));
                }
                let means = self.group_mean(all, grouping, group, at);
                let fitted: Option<Vec<f64>> = match at {
                    0 => Sigmoid::fit(&self.values, &means)?.map(|fit| along.iter().map(|x| fit.at(*x)).collect()),
                    _ => regression(&self.values, &means).map(|line| along.iter().map(|x| line.at(*x)).collect()),
                };
                if let Some(fitted) = fitted {
                    panel = panel.mark(Line::new(&along, fitted).colour(colour));
                }
                panel = panel.mark(Scatter::new(&self.values, means).colour(colour).label(group_name));
            }
            figure.panels.push(panel);
        }
        Ok(figure)
    }
}

impl Measure {
    fn of(self, answers: &[f64]) -> f64 {
        match self {
            Self::Output => mean(answers),
            Self::Choice => {
                let decided: Vec<f64> = answers.iter().copied().filter(|answer| *answer != 0.0).collect();
                let positive = decided.iter().filter(|answer| **answer > 0.0).count();
                if decided.is_empty() { 0.5 } else { positive as f64 / decided.len() as f64 }
            }
        }
    }
}

synfire::inventory::submit! { Component::analysis::<Psychometric>("psychometric") }

#[cfg(test)]
mod tests;
