//! Where choice and evidence lie in the state space.

use super::answers::Answers;
use super::choice;
use crate::regression_axes::{Axes, axes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Panel};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Registry, Result, Subject, Trials};

/// Targeted reduction: axes of choice, evidence and context by regression, and mean trajectories along them.
///
/// Rates are standardised unit by unit over trials and time. At every kept step each unit is regressed on the `variables`, which are
/// conditions of the trials; the axis of a variable is the vector of its coefficients at the step at which that is longest, made
/// orthogonal to the axes before it, choice first. Mean trajectories of trials of one choice and like values of another variable, less the
/// mean over these conditions, are drawn along the axes of choice and of that variable.
///
/// figures `trajectories`: mean trajectories, a panel a variable; `coefficients`: length of the coefficients and explained variance over
/// time
/// tables  `variables`: step and length of the largest coefficients; `angles`: angles between the vectors before they are made orthogonal
/// arrays  `axes` `[variable, unit]`, `lengths` `[variable, time]`, `explained` `[time]`, `steps` `[time]`
///
/// Source: Mante, Sussillo, Shenoy & Newsome 2013, doi:10.1038/nature12742; as in Miconi 2017, doi:10.7554/eLife.20899 (trials whose
/// answer has the right sign and exceeds 0.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegressionSubspace {
    /// Conditions of the trials, in the order in which axes are made orthogonal. Empty: choice, then evidence or biases (or the
    /// coherence), then context, as far as the trials have them and they vary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Number of trials.
    #[schemars(range(min = 8))]
    pub trials: usize,
    /// Steps between those that are kept.
    #[schemars(range(min = 1))]
    pub every: usize,
    /// Values of a variable are joined to so many groups of equal size for trajectories, where it has more.
    #[schemars(range(min = 2))]
    pub groups: usize,
    /// Whether only trials with a right answer enter trajectories: the sign of the first variable, and beyond `least_answer`.
    pub right_only: bool,
    /// Modulus that a right answer exceeds.
    #[schemars(range(min = 0.0))]
    pub least_answer: f64,
    /// Level that is played; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

impl Default for RegressionSubspace {
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            trials: 400,
            every: 10,
            groups: 4,
            right_only: true,
            least_answer: 0.5,
            level: None,
            update: None,
        }
    }
}

#[typetag::serde(name = "regression-subspace")]
impl Analysis for RegressionSubspace {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 8, "trials", self.trials, "at least 8");
        problems.require(self.every >= 1, "every", self.every, "at least 1");
        problems.require(self.groups >= 2, "groups", self.groups, "at least 2");
        problems.require(self.least_answer >= 0.0, "least_answer", self.least_answer, "at least 0");
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let played = view.play(&network, &lesson, self.trials, Record::Rates, &subject.stream)?;
        let rates = played.rates.as_ref().ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
        let steps: Vec<i64> = (0..rates.size()[0]).step_by(self.every).collect();
        let kept =
            rates.f_index_select(0, &Tensor::from_slice(&steps).to_device(rates.device()))?.f_to_device(Device::Cpu)?;
        let variables = self.variables(&played.trials)?;
        let found = axes(&kept, &variables)?;
        let answers = Answers::of(&network, &played)?;
        let right: Vec<bool> = answers
            .courses
            .iter()
            .zip(&variables[0].1)
            .map(|(course, wanted)| self.is_right(course, *wanted))
            .collect();
        let steps: Vec<f64> = steps.iter().map(|step| *step as f64).collect();
        let mut findings = Findings::new();
        let used = right.iter().filter(|right| **right).count();
        findings.value("trials", right.len());
        findings.value("trials in trajectories", used);
        if used * 2 < right.len() {
            findings.note(format!(
                "only {used} of {} trials are right; lower least_answer or set right_only = false",
                right.len()
            ));
        }
        let explained = values_f64(&found.explained);
        findings.value("largest explained variance", explained.iter().copied().fold(0.0, f64::max));
        findings.tables = tables(&found, &variables, &steps);
        findings.array("axes", Array::from(&found.axes));
        findings.array("lengths", Array::from(&lengths(&found)));
        findings.array("explained", Array::from(explained.clone()));
        findings.figures.push(self.trajectories(&found, &variables, &right, &view.label)?);
        findings.figures.push(coefficients(&found, &variables, &steps, &explained, &view.label));
        findings.array("steps", Array::from(steps));
        Ok(findings)
    }
}

fn lengths(found: &Axes) -> Tensor {
    found.coefficients.square().sum_dim_intlist(-1i64, false, Kind::Double).sqrt()
}

impl RegressionSubspace {
    /// Names and columns of what is regressed on.
    fn variables(&self, trials: &Trials) -> Result<Vec<(String, Vec<f64>)>> {
        let conditions = &trials.conditions;
        let varies = |values: &[f64]| values.windows(2).any(|pair| pair[0] != pair[1]);
        let names: Vec<String> = if !self.variables.is_empty() {
            self.variables.clone()
        } else {
            let named =
                |prefix: &str| conditions.keys().filter(|name| name.starts_with(prefix)).cloned().collect::<Vec<_>>();
            let mut evidence = [named("evidence_"), named("bias_")].concat();
            if evidence.is_empty() {
                evidence = named("coherence");
            }
            let all = [named("choice"), evidence, named("context")].concat();
            all.into_iter().filter(|name| conditions.get(name).is_some_and(|values| varies(values))).collect()
        };
        if names.is_empty() {
            let known = conditions.keys().cloned().collect::<Vec<_>>().join(", ");
            let problem = "is empty and the trials have no choice, evidence or context";
            return Err(Error::config("variables", problem, format!("name some of: {known}")));
        }
        let column = |name: &String| {
            conditions.get(name).cloned().map(|values| (name.clone(), values)).ok_or_else(|| {
                let known = conditions.keys().cloned().collect::<Vec<_>>().join(", ");
                Error::config(
                    "variables",
                    format_args!("names '{name}', which is no condition of the trials"),
                    format!("use some of: {known}"),
                )
            })
        };
        names.iter().map(column).collect()
    }

    fn is_right(&self, course: &[f64], wanted: f64) -> bool {
        !self.right_only || course.last().is_some_and(|y| y * wanted > 0.0 && y.abs() > self.least_answer)
    }

    /// Group of each trial by its value: the values themselves where they are few, else groups of equal size.
    fn grouped(&self, values: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let (kinds, places) = super::colouring::classes(values);
        if kinds.len() <= self.groups {
            return (kinds, places);
        }
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut groups = vec![0; values.len()];
        order.iter().enumerate().for_each(|(rank, trial)| groups[*trial] = rank * self.groups / values.len());
        let centre = |group: usize| {
            let own: Vec<f64> =
                (0..values.len()).filter(|trial| groups[*trial] == group).map(|trial| values[trial]).collect();
            synfire::statistics::mean(&own)
        };
        ((0..self.groups).map(centre).collect(), groups)
    }

    /// Along the axes of the first variable and each of the others, one line for each choice and group of values.
    fn trajectories(
        &self,
        found: &Axes,
        variables: &[(String, Vec<f64>)],
        right: &[bool],
        label: &str,
    ) -> Result<Figure> {
        let projected = found.standard.f_matmul(&found.axes.f_transpose(0, 1)?)?;
        let (first, choices) = (&variables[0].0, self.grouped(&variables[0].1));
        let mut figure = Figure::new("trajectories", format!("Mean trajectories along task axes: {label}")).caption(format!(
            "Mean standardised rates of trials of one {first} and like values of another variable, less their mean over these conditions; \
             time runs from the middle outwards. Colours go with the value of the variable, dashes with the lower {first}."
        ));
        let others: Vec<usize> = if variables.len() > 1 { (1..variables.len()).collect() } else { vec![0] };
        for other in others {
            let (kinds, groups) = self.grouped(&variables[other].1);
            let mut lines: Vec<(usize, usize, Tensor)> = Vec::new();
            for choice in 0..choices.0.len() {
                for group in 0..kinds.len() {
                    let own: Vec<i64> = (0..right.len())
                        .filter(|trial| right[*trial] && choices.1[*trial] == choice && groups[*trial] == group)
                        .map(|trial| trial as i64)
                        .collect();
                    if !own.is_empty() {
                        let mean = projected.f_index_select(1, &Tensor::from_slice(&own))?.f_mean_dim(
                            1i64,
                            false,
                            None::<Kind>,
                        )?;
                        lines.push((choice, group, mean));
                    }
                }
            }
            if lines.is_empty() {
                continue;
            }
            let all: Vec<&Tensor> = lines.iter().map(|(_, _, mean)| mean).collect();
            let centre = Tensor::f_stack(&all, 0)?.f_mean_dim(0i64, false, None::<Kind>)?;
            let name = &variables[other].0;
            let mut panel = Panel::new(name.clone()).x(format!("axis of {first}")).y(format!("axis of {name}"));
            for (choice, group, mean) in &lines {
                let less = mean.f_sub(&centre)?;
                let along = |axis: usize| values_f64(&less.select(1, axis as i64));
                let share = if kinds.len() > 1 { *group as f64 / (kinds.len() - 1) as f64 } else { 0.5 };
                // The very light end vanishes on white.
                let line = Line::new(along(0), along(other)).colour(ColourMap::Sequential.at(0.85 * share));
                let line = if *choice == 0 { line.dashed() } else { line.label(format!("{:.3}", kinds[*group])) };
                panel = panel.mark(line);
            }
            figure.panels.push(panel);
        }
        Ok(figure)
    }
}

fn tables(found: &Axes, variables: &[(String, Vec<f64>)], steps: &[f64]) -> Vec<Table> {
    let lengths = lengths(found);
    let mut table =
        Table::new("variables", "Variables and their largest coefficients", &["variable", "step", "length"]);
    for (index, (name, _)) in variables.iter().enumerate() {
        let peak = found.peaks[index];
        table.push((name, steps[peak], lengths.double_value(&[index as i64, peak as i64])));
    }
    let mut angles =
        Table::new("angles", "Angles between the vectors of two variables (degrees)", &["variable", "and", "angle"]);
    let longest = |index: usize| found.coefficients.get(index as i64).get(found.peaks[index] as i64);
    for a in 0..variables.len() {
        for b in 0..a {
            let (x, y) = (longest(a), longest(b));
            let cosine = (x.dot(&y) / (x.norm() * y.norm())).double_value(&[]);
            angles.push((&variables[b].0, &variables[a].0, cosine.clamp(-1.0, 1.0).acos().to_degrees()));
        }
    }
    vec![table, angles]
}

fn coefficients(
    found: &Axes,
    variables: &[(String, Vec<f64>)],
    steps: &[f64],
    explained: &[f64],
    label: &str,
) -> Figure {
    let lengths = lengths(found);
    let mut panel = Panel::new("").x("time (steps)").y("length of the coefficients");
    for (index, (name, _)) in variables.iter().enumerate() {
        let course = values_f64(&lengths.get(index as i64));
        panel = panel.mark(Line::new(steps, course).label(name).colour(Colour::palette(index)));
    }
    let share = Panel::new("").x("time (steps)").y(Axis::new("share of variance over trials").limits(0.0, 1.03));
    Figure::new("coefficients", format!("Regression on task variables: {label}"))
        .panel(panel)
        .panel(share.mark(Line::new(steps, explained).colour(Colour::palette(0))))
        .caption("How strongly the units follow each variable over time, and how much all of them explain together.")
}

synfire::inventory::submit! { Component::analysis::<RegressionSubspace>("regression-subspace") }

#[cfg(test)]
mod tests;
