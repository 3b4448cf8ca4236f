//! How near the trials of a network come to its saddles.

use super::answers::Answers;
use super::choice;
use super::colouring;
use super::fixed_points::{Survey, survey};
use crate::channels::InputSet;
use crate::fixed_points::Stability;
use crate::recorded::record;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Histogram, Line, Panel};
use synfire::rollout::Played;
use synfire::statistics::mean;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Properties, Property, Registry, Result, Subject, Tensors};

/// Distance of trials from the saddles between attractors, over time, for right and wrong answers.
///
/// The fixed points at no evidence are found in every context (see `fixed-points`). At every kept step of fresh trials the Euclidean
/// distance of the state to the nearest point that is left in some direction is taken, and that to the nearest attractor. An answer is
/// right when the last output has the sign of the trial's choice (its condition `choice`, or its last target).
///
/// figures `distance`: mean distances over time, right and wrong answers apart, and a histogram of the nearest approach
/// tables  `approach`: nearest approach and when, right and wrong
/// arrays  `steps` `[time]`, `to_saddle`, `to_attractor` `[time, trial]`, `right` `[trial]`
///
/// Source: `distance_from_saddle` in the programs of McMahan, Kleinman & Kao 2021, NeurIPS.
/// Differs: the saddles are zeros with an unstable direction by their eigenvalues, all of them count, and right and wrong are told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SaddleDistance {
    /// The search.
    pub survey: Survey,
    /// Number and steps of trials.
    pub played: Trajectories,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trajectories {
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Steps between those that are kept.
    #[schemars(range(min = 1))]
    pub every: usize,
}

impl Default for Trajectories {
    fn default() -> Self {
        Self { trials: 200, every: 5 }
    }
}

/// Trials of one kind.
struct Outcome {
    name: &'static str,
    members: Vec<usize>,
}

#[typetag::serde(name = "saddle-distance")]
impl Analysis for SaddleDistance {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.inside("survey", |problems| self.survey.check(problems));
        problems.inside("played", |problems| {
            problems.require(self.played.trials >= 1, "trials", self.played.trials, "at least 1");
            problems.require(self.played.every >= 1, "every", self.played.every, "at least 1");
        });
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::OpenLoop])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let (mut network, lesson, setting) = survey::network(view, choice::at(self.update), None, &subject.stream)?;
        let drawn = view.trials(&lesson, self.played.trials, &subject.stream)?;
        let recorded = record(view, &mut network, &lesson, drawn, self.played.every, &subject.stream)?;
        let states = recorded.states.ok_or_else(|| Error::Failed("the trials left no states".into()))?;
        let system = self.survey.system(view, &network, &setting)?;
        let surveyed = self.survey.all(view, &system, &InputSet::Zero, Some(&states), &subject.stream)?;
        let points = |saddles: bool| -> Result<Vec<Tensor>> {
            let all = surveyed.iter().flat_map(|one| &one.found.points);
            let own = all.filter(|point| (point.stability() != Stability::Attractor) == saddles);
            own.map(|point| system.whole(&Tensor::from_slice(&point.state).f_reshape([1, point.state.len() as i64])?))
                .collect()
        };
        let (saddles, attractors) = (points(true)?, points(false)?);
        let mut findings = Findings::new();
        findings.value("saddles", saddles.len());
        findings.value("attractors", attractors.len());
        if saddles.is_empty() || attractors.is_empty() {
            findings.note(
                "the network has no saddle, or no attractor, under these inputs, so there is no distance to tell",
            );
            return Ok(findings);
        }
        let (to_saddle, to_attractor) = (nearest(&states, &saddles)?, nearest(&states, &attractors)?);
        let trials = recorded.trials.batch();
        let (_, wanted) = colouring::of_trials(&recorded.trials, None, &["choice"])?;
        let played = Played {
            trials: recorded.trials,
            outputs: recorded.outputs,
            rates: Some(recorded.rates),
            last: Tensors::new(),
        };
        let answers = Answers::of(&network, &played)?;
        let right: Vec<bool> =
            answers.courses.iter().zip(&wanted).map(|(course, s)| course.last().is_some_and(|y| y * s > 0.0)).collect();
        let kind =
            |name, is: bool| Outcome { name, members: (0..trials).filter(|trial| right[*trial] == is).collect() };
        let outcomes = [kind("right", true), kind("wrong", false)];
        let steps: Vec<f64> = recorded.steps.iter().map(|step| *step as f64).collect();
        findings.tables.push(table(&outcomes, &to_saddle, &steps, &mut findings.values));
        findings.figures.push(figure(&outcomes, &to_saddle, &to_attractor, &steps, &view.label));
        findings.array("to_saddle", Array::from_rows(&to_saddle)?);
        findings.array("to_attractor", Array::from_rows(&to_attractor)?);
        findings.array("steps", Array::from(steps));
        findings.array("right", Array::from(right.iter().map(|is| i64::from(*is)).collect::<Vec<_>>()));
        Ok(findings)
    }
}

/// Distance `[time][trial]` of states `[time, trial, state]` to the nearest of some points `[1, state]`.
fn nearest(states: &Tensor, points: &[Tensor]) -> Result<Vec<Vec<f64>>> {
    let mut least: Option<Tensor> = None;
    for point in points {
        let gap =
            states.f_sub(point)?.f_square()?.f_sum_dim_intlist(-1i64, false, synfire::tch::Kind::Double)?.f_sqrt()?;
        least = Some(match least {
            Some(least) => least.f_minimum(&gap)?,
            None => gap,
        });
    }
    let least = least.ok_or_else(|| Error::Failed("there are no points".into()))?;
    let trials = least.size()[1].max(1) as usize;
    Ok(values_f64(&least).chunks(trials).map(<[f64]>::to_vec).collect())
}

/// Nearest approach of one trial: distance and place among the kept steps.
fn approach(distances: &[Vec<f64>], trial: usize) -> (f64, usize) {
    let each = distances.iter().enumerate().map(|(at, row)| (row[trial], at));
    each.fold((f64::INFINITY, 0), |best, now| if now.0 < best.0 { now } else { best })
}

fn table(
    outcomes: &[Outcome],
    to_saddle: &[Vec<f64>],
    steps: &[f64],
    values: &mut indexmap::IndexMap<String, synfire::table::Value>,
) -> Table {
    let columns = ["answer", "trials", "mean nearest approach", "mean step of it", "mean distance at the end"];
    let mut table = Table::new("approach", "Distance to the nearest saddle", &columns);
    for outcome in outcomes {
        let nearest: Vec<(f64, usize)> = outcome.members.iter().map(|trial| approach(to_saddle, *trial)).collect();
        let some = |values: Vec<f64>| (!values.is_empty()).then(|| mean(&values));
        let distance = some(nearest.iter().map(|n| n.0).collect());
        let end = some(outcome.members.iter().filter_map(|trial| Some(to_saddle.last()?[*trial])).collect());
        values.insert(format!("mean nearest approach, {}", outcome.name), distance.into());
        table.push((
            outcome.name,
            outcome.members.len(),
            distance,
            some(nearest.iter().map(|n| steps[n.1]).collect()),
            end,
        ));
    }
    table
}

fn figure(
    outcomes: &[Outcome],
    to_saddle: &[Vec<f64>],
    to_attractor: &[Vec<f64>],
    steps: &[f64],
    label: &str,
) -> Figure {
    let course = |distances: &[Vec<f64>], members: &[usize]| -> (Vec<f64>, Vec<f64>) {
        let at = |row: &Vec<f64>| {
            let own: Vec<f64> = members.iter().map(|trial| row[*trial]).collect();
            let centre = mean(&own);
            (centre, mean(&own.iter().map(|x| (x - centre).powi(2)).collect::<Vec<_>>()).sqrt())
        };
        distances.iter().map(at).unzip()
    };
    let panel = |what: &str, distances: &[Vec<f64>]| {
        let mut panel = Panel::new("").x("time (steps)").y(format!("distance to the nearest {what}"));
        for (index, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| !outcome.members.is_empty()) {
            let (centre, std) = course(distances, &outcome.members);
            panel =
                panel.mark(Line::new(steps, centre).deviation(std).colour(Colour::palette(index)).label(outcome.name));
        }
        panel
    };
    let mut nearest = Panel::new("").x(Axis::new("nearest approach to a saddle")).y("trials");
    for (index, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| !outcome.members.is_empty()) {
        let values: Vec<f64> = outcome.members.iter().map(|trial| approach(to_saddle, *trial).0).collect();
        nearest = nearest.mark(Histogram::new(values).label(outcome.name).colour(Colour::palette(index)));
    }
    Figure::new("distance", format!("Distance from saddles: {label}"))
        .panel(panel("saddle", to_saddle))
        .panel(panel("attractor", to_attractor))
        .panel(nearest)
        .caption(
            "Mean and standard deviation over trials of the Euclidean distance of states, for right and wrong answers.",
        )
}

synfire::inventory::submit! { Component::analysis::<SaddleDistance>("saddle-distance") }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::fixture::one_unit;
    use serde_json::json;
    use synfire::Spec;
    use synfire::run::Analyst;
    use synfire::table::Value;
    use synfire::workers::Workers;

    fn found(weight: f64) -> Findings {
        let folder = tempfile::tempdir().expect("temporary folder");
        let task = json!({ "type": "random-dots", "steps": 60, "noise_std": 0.4 });
        let cell = json!({ "type": "leaky-rnn", "hidden": 1, "time_constants": { "low": 5.0, "high": 5.0 } });
        let dir = one_unit(&folder.path().join("run"), &task, &cell, [weight, 1.0, 1.0]);
        let registry = Registry::linked().expect("links");
        let workers = Workers::new(1).expect("a thread");
        let options = json!({ "played": { "trials": 100, "every": 1 } });
        let analyst = Analyst::new(&Spec::with("saddle-distance", &options), &registry, &workers).expect("builds");
        analyst.run(&dir, dir.experiment().expect("an experiment"), "found").expect("analyses").remove(0).findings
    }

    #[test]
    fn the_distance_is_that_of_the_one_unit_from_zero() {
        let found = found(2.0);
        assert_eq!((&found.values["saddles"], &found.values["attractors"]), (&Value::Integer(1), &Value::Integer(2)));
        let (saddle, attractor) = (found.arrays["to_saddle"].to_f64(), found.arrays["to_attractor"].to_f64());
        assert_eq!(found.arrays["to_saddle"].shape(), [60, 100]);
        // |r| from 0, and ||r| - r*| from either attractor, where r* = tanh(2 r*)
        let root = 0.957_504_024_079;
        for (a, b) in saddle.iter().zip(&attractor) {
            assert!(((a - root).abs() - b).abs() < 1e-6, "{a} {b}");
        }
        // Started at 0, driven away: the first step is the nearest.
        assert!(saddle[..100].iter().sum::<f64>() < saddle[5900..].iter().sum::<f64>());
        assert!(found.figures[0].to_svg().is_ok());
    }

    #[test]
    fn without_a_saddle_there_is_nothing_to_tell() {
        let found = found(0.5);
        assert_eq!(found.values["saddles"], Value::Integer(0));
        assert!(found.notes[0].contains("no saddle") && found.figures.is_empty());
    }
}
