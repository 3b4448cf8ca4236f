//! How much noise a network bears, whole or with some of its weights gone.

use super::answers::{Answers, sign_changes};
use super::choice;
use super::colouring;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel};
use synfire::rollout::{Moment, StepHook};
use synfire::statistics::mean;
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::tch::{Tensor, no_grad};
use synfire::workers::guarded;
use synfire::{
    Analysis, Component, Error, Network, Problems, Properties, Property, Registry, Result, Stream, Subject, Tensors,
};

/// Accuracy, decidedness and vacillation under noise, for the whole network and with weights taken out.
///
/// Every lesion sets some entries of `weight` to 0. For each lesion and level, normal noise of this standard deviation is added to the
/// inputs, or to the input of every unit, in each step of the same trials. `accuracy` is the task's, where it has one; `near` the fraction
/// of trials whose last answer lies within `tolerance` of its target, `decided` that of answers beyond 1 less `margin`, `sign changes` the
/// mean number over the course of a trial. The loss at level 0 says what a lesion does by itself.
///
/// figures `robustness`: accuracy (or near), decided and sign changes against the level, a line a lesion
/// tables  `lesions`: one row a lesion, without noise; `levels`: one row a lesion and level
/// arrays  `levels` `[level]`, `near`, `decided`, `sign_changes` `[lesion, level]`
///
/// Source: the perturbation experiments in the programs of McMahan, Kleinman & Kao 2021, NeurIPS: 100 trials, 50 levels up to 10,
/// lesions of positive, negative, strong (above 0.1) and weak weights.
/// Differs: weak weights are those below the threshold, which takes out only these; the published one took out all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseRobustness {
    /// What is taken out, one network a lesion.
    pub lesions: Vec<Lesion>,
    /// The parameter whose entries are taken out.
    pub weight: String,
    /// Modulus that divides strong from weak weights.
    #[schemars(range(min = 0.0))]
    pub threshold: f64,
    /// Where the noise comes in.
    pub noise_in: NoiseIn,
    /// Standard deviations of the noise, ascending.
    pub levels: Vec<f64>,
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Largest distance of a last answer that is near its target.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// A decided answer exceeds 1 less this.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin: f64,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lesion {
    /// Nothing.
    Whole,
    /// Positive weights.
    WithoutExcitation,
    /// Negative weights.
    WithoutInhibition,
    /// Weights above the threshold in modulus.
    WithoutStrong,
    /// Weights below the threshold in modulus.
    WithoutWeak,
}

/// Where the noise comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseIn {
    /// On the channels of the task.
    #[default]
    Inputs,
    /// In the input of every unit; needs a cell whose units take an additive drive.
    Units,
}

impl Default for NoiseRobustness {
    fn default() -> Self {
        Self {
            lesions: vec![
                Lesion::Whole,
                Lesion::WithoutExcitation,
                Lesion::WithoutInhibition,
                Lesion::WithoutStrong,
                Lesion::WithoutWeak,
            ],
            weight: "recurrent.weight".into(),
            threshold: 0.1,
            noise_in: NoiseIn::default(),
            levels: vec![0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
            trials: 100,
            tolerance: 1.0,
            margin: 0.1,
            update: None,
        }
    }
}

impl Lesion {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::WithoutExcitation => "without excitation",
            Self::WithoutInhibition => "without inhibition",
            Self::WithoutStrong => "without strong weights",
            Self::WithoutWeak => "without weak weights",
        }
    }

    /// The weights with some set to 0, and the share of those that were not 0 before.
    fn apply(self, weights: &Tensor, threshold: f64) -> Result<(Tensor, f64)> {
        let gone = match self {
            Self::Whole => weights.f_zeros_like()?.f_gt(0.0)?,
            Self::WithoutExcitation => weights.f_gt(0.0)?,
            Self::WithoutInhibition => weights.f_lt(0.0)?,
            Self::WithoutStrong => weights.f_abs()?.f_gt(threshold)?,
            Self::WithoutWeak => weights.f_abs()?.f_lt(threshold)?.f_logical_and(&weights.f_ne(0.0)?)?,
        };
        let count = |mask: &Tensor| mask.sum(synfire::tch::Kind::Double).double_value(&[]);
        let there = count(&weights.f_ne(0.0)?);
        Ok((weights.f_masked_fill(&gone, 0.0)?, if there > 0.0 { count(&gone) / there } else { 0.0 }))
    }
}

/// What was measured under one level.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    loss: f64,
    accuracy: Option<f64>,
    near: f64,
    decided: f64,
    sign_changes: f64,
}

/// Noise in the input of every unit.
struct Drive {
    level: f64,
    units: i64,
    stream: Stream,
}

impl StepHook for Drive {
    fn before(&mut self, moment: &Moment, _: &Tensors, _: &Tensors) -> Result<Option<Tensor>> {
        let rows = moment.input.size()[0];
        let noise = self.stream.normal_tensor(&[rows, self.units], moment.input.kind(), moment.input.device());
        Ok(Some(noise * self.level))
    }

    fn after(&mut self, _: &Moment, _: &mut Tensors, _: &Tensors, _: &Tensor, _: &[Tensor]) -> Result<()> {
        Ok(())
    }
}

#[typetag::serde(name = "noise-robustness")]
impl Analysis for NoiseRobustness {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(!self.lesions.is_empty(), "lesions", "empty", "one or more of the lesions; whole for none");
        let ascending = !self.levels.is_empty()
            && self.levels.iter().all(|level| level.is_finite() && *level >= 0.0)
            && self.levels.windows(2).all(|pair| pair[0] < pair[1]);
        problems.require(ascending, "levels", format!("{:?}", self.levels), "ascending numbers of at least 0");
        problems.require(self.threshold >= 0.0, "threshold", self.threshold, "at least 0");
        problems.require(self.tolerance >= 0.0, "tolerance", self.tolerance, "at least 0");
        problems.require((0.0..=1.0).contains(&self.margin), "margin", self.margin, "between 0 and 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        match self.noise_in {
            NoiseIn::Inputs => Properties::from([Property::OpenLoop]),
            NoiseIn::Units => Properties::from([Property::OpenLoop, Property::AdditiveDrive]),
        }
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let mut findings = Findings::new();
        let columns = ["lesion", "share of weights", "loss", "accuracy", "near", "decided", "sign changes"];
        let mut lesions = Table::new("lesions", "Lesions without noise", &columns);
        let columns = ["lesion", "level", "loss", "accuracy", "near", "decided", "sign changes"];
        let mut levels = Table::new("levels", "Noise", &columns);
        let mut all: Vec<Vec<Measured>> = Vec::new();
        for lesion in &self.lesions {
            let mut network = view.network(choice::at(self.update))?;
            let weights = network.parameters.find(&self.weight).ok_or_else(|| {
                let known = network.names().join(", ");
                Error::config(
                    "weight",
                    format_args!("is '{}', which the network has not", self.weight),
                    format!("use one of: {known}"),
                )
            })?;
            let (changed, share) = no_grad(|| lesion.apply(weights, self.threshold))?;
            network.parameters.insert(self.weight.clone(), changed);
            let quiet = self.measure(view, &mut network, 0.0, &subject.stream)?;
            lesions.push((
                lesion.name(),
                share,
                quiet.loss,
                quiet.accuracy,
                quiet.near,
                quiet.decided,
                quiet.sign_changes,
            ));
            let mut own = Vec::new();
            for level in &self.levels {
                let found = match *level == 0.0 {
                    true => quiet.clone(),
                    false => self.measure(view, &mut network, *level, &subject.stream)?,
                };
                levels.push((
                    lesion.name(),
                    *level,
                    found.loss,
                    found.accuracy,
                    found.near,
                    found.decided,
                    found.sign_changes,
                ));
                own.push(found);
            }
            findings.value(format!("{}: near without noise", lesion.name()), quiet.near);
            let borne = self.levels.iter().zip(&own).take_while(|(_, found)| found.near >= 0.75).last();
            findings.value(
                format!("{}: largest level with three quarters near", lesion.name()),
                borne.map(|(level, _)| *level),
            );
            all.push(own);
        }
        findings.tables = vec![lesions, levels];
        let grid =
            |of: fn(&Measured) -> f64| all.iter().map(|own| own.iter().map(of).collect()).collect::<Vec<Vec<f64>>>();
        findings.array("levels", Array::from(self.levels.clone()));
        findings.array("near", Array::from_rows(&grid(|m| m.near))?);
        findings.array("decided", Array::from_rows(&grid(|m| m.decided))?);
        findings.array("sign_changes", Array::from_rows(&grid(|m| m.sign_changes))?);
        findings.figures.push(self.figure(&all, &view.label));
        Ok(findings)
    }
}

impl NoiseRobustness {
    /// Every level sees the same trials, with the same noise but for its size.
    fn measure(&self, view: &RunView, network: &mut Network, level: f64, stream: &Stream) -> Result<Measured> {
        let lesson = view.lesson();
        let mut trials = view.trials(&lesson, self.trials, stream)?;
        let rollout = view.rollout(&lesson, stream);
        let mut noise = stream.child("noise");
        if self.noise_in == NoiseIn::Inputs && level > 0.0 {
            let inputs = &trials.inputs;
            let added = noise.normal_tensor(&inputs.size(), inputs.kind(), inputs.device()) * level;
            trials.inputs = no_grad(|| inputs.f_add(&added))?;
        }
        let (_, targets) = colouring::of_trials(&trials, Some("target"), &[])?;
        let played = match self.noise_in {
            NoiseIn::Units if level > 0.0 => {
                let mut drive = Drive { level, units: network.dynamics.units() as i64, stream: noise };
                guarded("cell", || rollout.online(network, &trials, None, &mut drive))?
            }
            _ => guarded("cell", || rollout.play(network, &trials, synfire::rollout::Record::Rates))?,
        };
        let scores = guarded("task", || view.parts.task.score(&played.trials, &played.outputs))?;
        let accuracies: Option<Vec<f64>> =
            scores.heads.iter().map(|head| head.accuracy.as_ref().map(|accuracy| accuracy.double_value(&[]))).collect();
        let answers = Answers::of(network, &played)?;
        let last = |course: &Vec<f64>| course.last().copied().unwrap_or(0.0);
        let near = answers
            .courses
            .iter()
            .zip(&targets)
            .filter(|(course, target)| (last(course) - **target).abs() <= self.tolerance);
        let decided = answers.courses.iter().filter(|course| 1.0 - last(course).abs() < self.margin);
        let count = answers.courses.len().max(1) as f64;
        Ok(Measured {
            loss: scores.loss.double_value(&[]),
            accuracy: accuracies.filter(|all| !all.is_empty()).map(|all| mean(&all)),
            near: near.count() as f64 / count,
            decided: decided.count() as f64 / count,
            sign_changes: answers.courses.iter().map(|course| sign_changes(course).len()).sum::<usize>() as f64 / count,
        })
    }

    fn figure(&self, all: &[Vec<Measured>], label: &str) -> Figure {
        let judged = all.iter().flatten().all(|found| found.accuracy.is_some());
        let panel = |axis: Axis, of: &dyn Fn(&Measured) -> f64, legend: bool| {
            let mut panel = Panel::new("").x("noise (standard deviation)").y(axis);
            for (index, (lesion, own)) in self.lesions.iter().zip(all).enumerate() {
                let values: Vec<f64> = own.iter().map(of).collect();
                let line = Line::new(&self.levels, values).dots().colour(Colour::palette(index)).label(lesion.name());
                panel = panel.mark(line);
            }
            if legend { panel } else { panel.without_legend() }
        };
        let share = |label: &str| Axis::new(label).limits(-0.05, 1.05);
        let first = match judged {
            true => panel(share("accuracy"), &|found| found.accuracy.unwrap_or(f64::NAN), true),
            false => panel(share("fraction near the target"), &|found| found.near, true),
        };
        Figure::new("robustness", format!("Noise and lesions: {label}"))
            .panel(first)
            .panel(panel(share("fraction decided"), &|found| found.decided, false))
            .panel(panel(Axis::new("sign changes per trial"), &|found| found.sign_changes, false))
            .caption(match self.noise_in {
                NoiseIn::Inputs => {
                    "Noise on the channels of the task, for the whole network and with some weights set to 0."
                }
                NoiseIn::Units => {
                    "Noise in the input of every unit, for the whole network and with some weights set to 0."
                }
            })
    }
}

synfire::inventory::submit! { Component::analysis::<NoiseRobustness>("noise-robustness") }

#[cfg(test)]
mod tests;
