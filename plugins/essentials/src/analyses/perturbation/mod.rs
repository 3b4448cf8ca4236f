//! What becomes of the accuracy when parameters are disturbed.

mod disturbance;

pub use disturbance::{Disturbance, Strengths};

use super::choice;
use crate::protocol::TaskOptions;
use crate::variants::{self, Variants};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule};
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::{Analysis, Component, Problems, Properties, Property, Registry, Result, Subject};

/// Accuracy under noise on the recurrent weights or the time constants, against the strength of the noise.
///
/// With a parameter `p`, the strength `e` and noise `d` of the shape of `p`, Euclidean norms `|.|`:
///
/// - `recurrent-normalized`: `W + e |W| / |d| d` with standard normal `d`: `e` is the relative size of the disturbance
/// - `recurrent-additive`: `W + e d`
/// - `recurrent-multiplicative`: `W (1 + e u)` with `u` uniform in `[0, 1)`, entry by entry
/// - `time-constants-normalized`: `tau + e |tau| / |d| d`
/// - `time-constants-absolute`: the same with the modulus of `d`, so that time constants only grow
/// - `time-constants-additive`: `tau + e d`
/// - `time-constants-multiplicative`: `tau (1 + e u)`
///
/// The noise acts on the parameters; what the cell makes of them (masks, signs, bounds on time constants) is applied after. Each
/// strength has `draws` draws of its own; all are judged on the same fresh trials with the same initial states as the network itself,
/// under the options of the task that `task` says. The relative accuracy is `(accuracy - chance) / (base - chance)`; means and deviations are over draws.
///
/// figures `robustness`: relative accuracy against strength, mean and deviation over draws
/// tables  `strengths`: one row a kind and strength, strength 0 being the network itself
/// arrays  per kind, with `_` for `-`: `KIND_strength` `[strength]`, `KIND_accuracy` `[strength, draw]`; `base` (a single number)
///
/// Source: Khajehabdollahi et al. 2024, arXiv:2309.12927, figure 5, whose ranges of strength are the defaults: 0.01 to 10 in 10
/// steps for weights, 0.001 to 10 in 13 steps for time constants. There networks are judged by their running accuracy over 1000
/// answers in a stream: `task = { rate = 0.5, answer = "every-step", length = 1100, warm_up = 100 }, trials = 1`.
///
/// Differs: accuracies are relative as its axes say (its plots show raw ones), and trials are drawn once for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Perturbation {
    /// Level that is judged; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Options of the task that are otherwise while networks are judged.
    #[serde(skip_serializing_if = "TaskOptions::is_empty")]
    pub task: TaskOptions,
    /// Trials that every variant is judged on.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// What is disturbed, and how.
    pub kinds: Vec<Disturbance>,
    /// How strongly; absent for the published range of each kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strengths: Option<Strengths>,
    /// Draws of the noise for each strength.
    #[schemars(range(min = 1))]
    pub draws: usize,
    /// Accuracy of guessing; absent for that of the task's objective.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

impl Default for Perturbation {
    fn default() -> Self {
        Self {
            level: None,
            task: TaskOptions::default(),
            trials: 500,
            update: None,
            kinds: vec![Disturbance::RecurrentNormalized],
            strengths: None,
            draws: 10,
            chance: None,
        }
    }
}

/// How one kind went.
struct Course {
    kind: Disturbance,
    strengths: Vec<f64>,
    /// `[strength][draw]`
    accuracies: Vec<Vec<f64>>,
}

#[typetag::serde(name = "perturbation")]
impl Analysis for Perturbation {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(self.draws >= 1, "draws", self.draws, "at least 1");
        problems.require(!self.kinds.is_empty(), "kinds", "empty", "at least one kind of disturbance");
        if let Some(chance) = self.chance {
            problems.require((0.0..1.0).contains(&chance), "chance", chance, "at least 0 and below 1");
        }
        if let Some(Strengths { lowest, highest, count }) = self.strengths {
            problems.inside("strengths", |p| {
                p.require(lowest.is_finite() && lowest > 0.0, "lowest", lowest, "above 0; 0 itself is always included");
                p.require(highest.is_finite() && highest >= lowest, "highest", highest, "at least lowest");
                p.require(count >= 1, "count", count, "at least 1");
            });
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::RateForm, Property::Accuracy]);
        if self.kinds.iter().any(|kind| kind.of_time_constants()) {
            needs.insert(Property::TimeConstants);
        }
        needs
    }

    fn task_options(&self) -> Map<String, Value> {
        self.task.0.clone()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = &self.task.view(subject.run()?)?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let levels = choice::levels(view, &lesson);
        let judges = Variants::new(view, &network, lesson, self.trials, &subject.stream)?;
        let base = variants::accuracy(&judges.base(&network)?)?;
        let chance = self.chance.unwrap_or_else(|| variants::chance(&view.parts.spec));
        let mut courses = Vec::with_capacity(self.kinds.len());
        for &kind in &self.kinds {
            let strengths = self.strengths.unwrap_or_else(|| kind.strengths()).values();
            let noise = subject.stream.child("noise").child(kind.name());
            let mut items = Vec::with_capacity(strengths.len() * self.draws);
            for (index, strength) in strengths.iter().enumerate() {
                items.extend((0..self.draws).map(|draw| (*strength, noise.at(index as u64).at(draw as u64))));
            }
            let results =
                judges.judge(&network, items, |base, (strength, stream)| kind.apply(base, *strength, stream))?;
            let accuracies = results.iter().map(variants::accuracy).collect::<Result<Vec<f64>>>()?;
            let accuracies = accuracies.chunks(self.draws).map(<[f64]>::to_vec).collect();
            courses.push(Course { kind, strengths, accuracies });
        }
        let title = if levels.is_empty() { view.label.clone() } else { format!("{}, {levels}", view.label) };
        self.findings(&courses, base, chance, &title)
    }
}

impl Perturbation {
    fn findings(&self, courses: &[Course], base: f64, chance: f64, title: &str) -> Result<Findings> {
        let mut findings = Findings::new();
        findings.value("accuracy", base);
        findings.value("chance", chance);
        findings.value("trials", self.trials);
        findings.value("draws", self.draws);
        findings.value("protocol", self.task.protocol());
        findings.array("base", Array::from(base));
        if base <= chance {
            findings
                .note(format!("the network itself answers at chance ({base:.3}), so relative accuracies say nothing"));
        }
        let columns = ["kind", "strength", "accuracy", "deviation", "relative accuracy", "relative deviation"];
        let mut table = Table::new("strengths", "Accuracy by strength of the disturbance", &columns);
        let relative = |accuracy: f64| variants::relative(accuracy, base, chance).unwrap_or(f64::NAN);
        let mut panels = Vec::with_capacity(courses.len());
        let all = || courses.iter().flat_map(|course| course.accuracies.iter().flatten()).map(|a| relative(*a));
        let lower = all().filter(|share| share.is_finite()).fold(0.0, f64::min).max(-1.0);
        let upper = all().filter(|share| share.is_finite()).fold(1.0, f64::max).min(2.0);
        for (index, course) in courses.iter().enumerate() {
            let name = course.kind.name();
            table.push((name, 0.0, base, 0.0, relative(base), 0.0));
            let (mut means, mut deviations) = (Vec::new(), Vec::new());
            for (strength, accuracies) in course.strengths.iter().zip(&course.accuracies) {
                let (mean, deviation) = variants::mean_and_deviation(accuracies).unwrap_or((f64::NAN, f64::NAN));
                let shares: Vec<f64> = accuracies.iter().map(|accuracy| relative(*accuracy)).collect();
                let (share, spread) = variants::mean_and_deviation(&shares).unwrap_or((f64::NAN, f64::NAN));
                table.push((name, *strength, mean, deviation, share, spread));
                means.push(share);
                deviations.push(spread);
            }
            findings.value(format!("half accuracy at {name}"), half(&course.strengths, &means));
            let stem = name.replace('-', "_");
            findings.array(format!("{stem}_strength"), Array::new([course.strengths.len()], course.strengths.clone())?);
            findings.array(format!("{stem}_accuracy"), Array::from_rows(&course.accuracies)?);
            let line = Line::new(&course.strengths, &means).deviation(deviations).dots().colour(Colour::palette(index));
            panels.push(
                Panel::new(name.replace('-', " "))
                    .x(Axis::new("strength").log())
                    .y(Axis::new("relative accuracy").limits(lower - 0.05, upper + 0.05))
                    .mark(Rule::horizontal(1.0))
                    .mark(Rule::horizontal(0.0))
                    .mark(line),
            );
        }
        findings.tables.push(table);
        findings.figures.push(Figure::new("robustness", format!("Disturbed parameters: {title}")).panels(panels).caption(format!(
            "Accuracy relative to that of the network itself ({base:.3}, upper line) and chance ({chance:.3}, lower line): mean and \
             deviation over {} draws, on the same trials for all: {}.",
            self.draws,
            self.task.protocol()
        )));
        Ok(findings)
    }
}

/// The strength at which the mean first falls to a half, between two strengths by their logarithms.
fn half(strengths: &[f64], means: &[f64]) -> Option<f64> {
    let at = means.iter().position(|mean| *mean <= 0.5)?;
    if at == 0 {
        return Some(strengths[0]);
    }
    let share = (means[at - 1] - 0.5) / (means[at - 1] - means[at]);
    Some(strengths[at - 1] * (strengths[at] / strengths[at - 1]).powf(share))
}

synfire::inventory::submit! { Component::analysis::<Perturbation>("perturbation") }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_found_between_strengths() {
        assert_eq!(half(&[0.1, 1.0], &[0.9, 0.8]), None);
        assert_eq!(half(&[0.1, 1.0], &[0.4, 0.1]), Some(0.1));
        // from 1 at 0.01 to 0 at 1: half way on the logarithmic axis
        assert!((half(&[0.01, 1.0], &[1.0, 0.0]).expect("falls") - 0.1).abs() < 1e-12);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let registry = Registry::linked().expect("registry");
        let mut problems = Problems::under("analysis");
        let strengths = Some(Strengths { lowest: 0.0, highest: -1.0, count: 0 });
        Perturbation { kinds: vec![], strengths, ..Perturbation::default() }.check(&registry, &mut problems);
        let error = problems.into_result().expect_err("four problems").to_string();
        assert_eq!(error.lines().count(), 4, "{error}");
        assert!(error.contains("analysis.strengths.lowest is 0, must be above 0; 0 itself is always included"));
    }
}
