//! How many dimensions the activity of a network has, over long simulations or in recordings.

mod figures;
mod measured;
mod tables;

use super::pca::recorded_activity;
use crate::checkpoints::{Checkpoints, Stage, level_name};
use crate::correlation::Regression;
use crate::drive::{Input, Plan, Rate};
use crate::principal_components::Covariance;
use crate::simulation::{Group, Length, Stretch, groups};
use measured::{Measured, Trial};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::subject::{At, RunView};
use synfire::tch::Tensor;
use synfire::{Analysis, Component, Error, Problems, Properties, Property, Registry, Result, Subject};

/// Dimension of the activity in long simulations, by its principal components.
///
/// The network is simulated for a long time, its input being random bits as the task shows them (or what `input` says; trials of
/// other tasks are played one after the other). For each trial the covariance of the rates is summed up on the way, and the dimension
/// is the number of its largest eigenvalues, counted from 1, that reach `threshold` of their sum; the participation ratio
/// `(sum v)^2 / sum v^2` of the eigenvalues `v` needs no threshold. The dimension of one and the same network can differ
/// severalfold between trials of different rates of ones: look at the rates, or fix them with `rate = 0.5`.
///
/// Over several networks (`at = "milestones"` or `"level-ends"`) the mean over trials is shown against the level reached, with a
/// straight line by least squares through the levels up to `fit_level`. Instead of a run it takes a data file with an array
/// `[time, trial, unit]` or `[time, unit]`.
///
/// figures `variance`: running share of variance in each trial of the last network; `dimension-by-rate`: each trial against its rate
/// of ones; `dimension-by-level`: over training
/// tables  `trials`: one row a network and trial; `networks`: mean and deviation over trials
/// arrays  of the last network: `variances` `[trial, component]`, `rate_of_ones` `[trial]`
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, ICLR, arXiv:2309.12927; the participation ratio as
/// in Gao et al. 2017, doi:10.1101/214262.
///
/// Differs: the published code counts components from 0 (`published_index`), and keeps the last network of several alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dimensionality {
    /// Steps of each trial that count.
    #[schemars(range(min = 2))]
    pub steps: usize,
    /// Steps before them, until the initial state is forgotten.
    pub burn_in: usize,
    /// Trials, each with a random input and components of its own.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// What drives the network.
    pub input: Input,
    /// Probability of a 1 where `input` is bits: `uniform` draws one for each trial, a number fixes it.
    pub rate: Rate,
    /// Which networks of a run: `last`, `initial`, `milestones` (both, and each end of a lesson), `level-ends` or a number of updates.
    pub at: Checkpoints,
    /// Share of the variance that counts as all of it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: f64,
    /// Hardest level of the straight line through dimensions by level.
    pub fit_level: usize,
    /// Which array of a data file; absent where it has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
}

impl Default for Dimensionality {
    fn default() -> Self {
        Self {
            steps: 100_000,
            burn_in: 500,
            trials: 10,
            input: Input::default(),
            rate: Rate::UNIFORM,
            at: Checkpoints::default(),
            threshold: 0.9,
            fit_level: 30,
            array: None,
        }
    }
}

/// Steps whose activity is in memory at once, at least.
const LEAST_STRETCH: usize = 100;

#[typetag::serde(name = "dimensionality")]
impl Analysis for Dimensionality {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps >= 2, "steps", self.steps, "at least 2");
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        let share = self.threshold > 0.0 && self.threshold <= 1.0;
        problems.require(share, "threshold", self.threshold, "above 0 and at most 1");
        self.rate.check(problems);
    }

    fn needs(&self, _: &Registry) -> Properties {
        (self.input != Input::Silence).then_some(Property::OpenLoop).into_iter().collect()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let (label, level, networks) = match subject.runs.first() {
            None => {
                let (name, activity) = recorded_activity(subject, self.array.as_deref())?;
                (name, "level".to_string(), vec![self.recorded(&activity)?])
            }
            Some(run) => {
                let points = self.at.of(run);
                let all = points.into_iter().map(|at| self.simulated(run, at, subject)).collect::<Result<Vec<_>>>()?;
                (run.label.clone(), level_name(run), all)
            }
        };
        self.findings(&label, &level, &networks)
    }
}

impl Dimensionality {
    fn simulated(&self, run: &RunView, at: At, subject: &Subject) -> Result<Measured> {
        let stage = Stage::load(run, at)?;
        let (lesson, network) = (stage.lesson(run), stage.network(run)?);
        // The same input for all networks of a run, so that they differ by their weights alone.
        let stream = subject.stream.child("simulation").at(run.member as u64);
        let plan = Plan::new(run, &lesson, &network.readout.heads, self.input, self.rate, &stream)?;
        let length = Length { steps: self.steps, burn_in: self.burn_in };
        let groups = groups(run, &network, &lesson, &plan, self.trials, &stream)?;
        let groups = run.workers.map(groups, |group| covariances(group, length));
        let groups = groups.into_iter().collect::<Result<Vec<_>>>()?;
        let ones: Vec<f64> = groups.iter().flat_map(|(_, ones)| ones.iter().copied()).collect();
        let all: Vec<Covariance> = groups.into_iter().flat_map(|(found, _)| found).collect();
        let found = subject.workers.map(all, |covariance: Covariance| Trial::of(&covariance, self.threshold));
        let mut trials = found.into_iter().collect::<Result<Vec<_>>>()?;
        trials.iter_mut().zip(ones).for_each(|(trial, rate)| trial.rate = Some(rate));
        Ok(Measured { update: Some(stage.update), level: stage.level, trials })
    }

    fn recorded(&self, activity: &Tensor) -> Result<Measured> {
        let mut all = vec![Covariance::new(); activity.size3()?.1 as usize];
        take(&mut all, activity)?;
        let trials = all.iter().map(|covariance| Trial::of(covariance, self.threshold)).collect::<Result<Vec<_>>>()?;
        Ok(Measured { update: None, level: None, trials })
    }

    fn findings(&self, label: &str, level: &str, networks: &[Measured]) -> Result<Findings> {
        let mut findings = Findings::new();
        let line = self.line(networks);
        if let Some(last) = networks.last() {
            let dimension = last.dimension();
            findings.value("dimension", dimension.mean);
            findings.value("deviation over trials", dimension.deviation);
            findings.value("published_index", dimension.mean - 1.0);
            findings.value("participation ratio", last.ratio().mean);
            findings.value("threshold", self.threshold);
            findings.value("units", last.units());
            findings.value("trials", last.trials.len());
            findings.value("samples per trial", last.trials.first().map(|trial| trial.samples));
            findings.value("mean rate of ones", last.rate().map(|rate| rate.mean));
            if last.trials.iter().any(|trial| trial.samples <= last.units()) {
                findings.note(
                    "a trial has fewer samples than units, so its dimension cannot exceed them; simulate more steps",
                );
            }
            let constant = last.trials.iter().filter(|trial| trial.dimension == 0).count();
            if constant > 0 {
                findings.note(format!("the activity is constant in {constant} trials, which have dimension 0"));
            }
            findings.figures.push(figures::variance(last, self.threshold, label));
            findings.figures.extend(figures::by_rate(last, label));
            let rows: Vec<Vec<f64>> = last.trials.iter().map(|trial| trial.variances.clone()).collect();
            findings.array("variances", Array::from_rows(&rows)?);
            let rates: Vec<f64> = last.trials.iter().filter_map(|trial| trial.rate).collect();
            if !rates.is_empty() {
                findings.array("rate_of_ones", Array::from(rates));
            }
        }
        if networks.len() > 1 {
            findings.value("slope", line.map(|line| line.slope));
            findings.value("intercept", line.map(|line| line.intercept));
            findings.value("r", line.map(|line| line.r));
            findings.value("levels of the line", line.map(|line| line.points));
        }
        findings.tables = vec![tables::networks(networks, level), tables::trials(networks, level)];
        findings.figures.extend(figures::by_level(networks, line.as_ref(), self.fit_level, (label, level)));
        Ok(findings)
    }

    /// The line through the mean dimensions of the networks of levels up to `fit_level`.
    fn line(&self, networks: &[Measured]) -> Option<Regression> {
        let points = networks.iter().filter_map(|network| {
            let level = network.level.filter(|level| *level <= self.fit_level)?;
            Some((level as f64, network.dimension().mean))
        });
        let (levels, dimensions): (Vec<f64>, Vec<f64>) = points.unzip();
        Regression::of(&levels, &dimensions)
    }
}

/// The covariance of each trial of a group, and its rate of ones where bits are drawn.
fn covariances(mut group: Group, length: Length) -> Result<(Vec<Covariance>, Vec<f64>)> {
    let mut all = vec![Covariance::new(); group.drive.rows()];
    let stretch = group.stretch(LEAST_STRETCH);
    // Short trials of a task are taken in together: each time costs a matrix of all pairs of units.
    let (mut waiting, mut gathered) = (Vec::new(), 0);
    group.run(length, stretch, |Stretch { rollout, network, trials, initial, counted }| {
        let played = rollout.play_from(network, trials, Record::Rates, initial)?;
        let rates = played.rates.ok_or_else(|| Error::Failed("a rollout kept no rates".into()))?;
        if !counted.is_empty() {
            waiting.push(rates.f_narrow(0, counted.start as i64, counted.len() as i64)?);
            gathered += counted.len();
        }
        if gathered >= stretch {
            take(&mut all, &Tensor::f_cat(&waiting, 0)?)?;
            waiting.clear();
            gathered = 0;
        }
        Ok(played.last)
    })?;
    if !waiting.is_empty() {
        take(&mut all, &Tensor::f_cat(&waiting, 0)?)?;
    }
    Ok((all, group.drive.ones()))
}

/// Take activity `[time, trial, unit]` into the covariance of each trial.
fn take(all: &mut [Covariance], activity: &Tensor) -> Result<()> {
    all.iter_mut().enumerate().try_for_each(|(trial, covariance)| covariance.push(&activity.f_select(1, trial as i64)?))
}

synfire::inventory::submit! { Component::analysis::<Dimensionality>("dimensionality") }

#[cfg(test)]
mod tests;
