//! How long units remember in the running network: the decay of their autocorrelation.

mod figures;
mod measured;
#[cfg(test)]
mod network_tests;
mod options;
mod signal;
mod simulation;
mod tables;
#[cfg(test)]
mod tests;

pub use options::{Checkpoints, Input, NamedCheckpoints};

use crate::autocorrelation::autocovariance;
use crate::exponential_fit::{Criterion, FitOptions, Starts};
use crate::tasks::bit_stream::Rate;
use measured::{Measured, Origin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signal::{RATES, Signal};
use simulation::{Measurement, Simulated, simulate};
use synfire::analysis::Scope;
use synfire::storage::array::Array;
use synfire::subject::{At, RunView};
use synfire::tch::Kind;
use synfire::{Analysis, Component, Error, Findings, Problems, Properties, Property, Registry, Result, Subject};
use synfire_essentials::checkpoints::Stage;
use synfire_essentials::drive::Plan;
use synfire_essentials::simulation::Length;

/// Timescales of units in the running network, from the autocorrelation of their activity.
///
/// The network is simulated for a long time, its input being random bits as the task shows them (or what `input` says), and the autocovariance of each
/// unit is averaged over trials. One and two decaying exponentials are fitted to lags up to `fit_lag`; the information criterion
/// chooses, and the slowest exponential of the chosen fit is the unit's timescale `tau_net`, in steps, whatever its weight. Units
/// with `tau_net` of at most 1 (an autocorrelation that falls or alternates within a step) are dropped from means; units that
/// are constant have no timescale. Look at how many were kept: it depends on the rate of ones, so with `rate = "uniform"` and few
/// trials two measurements of a network differ much. State is carried on from stretch to stretch; correlated noise begins anew
/// in each.
///
/// With `signal` a tensor of the cell's state is measured in place of the rates, for example `signal = "cell"` for the long
/// short-term memory whose published timescales are those of the cell state, with `steps = 50000`, `rate = 0.5` and symbols
/// `plus-minus` of the task (burn-in 500 and 10 trials as always). States are recorded step by step, which takes longer.
///
/// It also measures recordings: each array of a data file is an activity `[time, trial, unit]` or `[time, unit]`.
///
/// Arrays of the last network of each run (with a number behind the name where there are several runs): `tau_net` `[unit]`,
/// NaN where there is none, `autocorrelation` `[unit, lag]`, `population_autocorrelation` `[lag]` and `rate_of_ones` `[trial]`.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina, "Emergent mechanisms for long timescales depend on
/// training curriculum and affect performance in memory tasks", ICLR 2024, arXiv:2309.12927.
///
/// Differs: lag `k` of `n` points is divided by `n - k`, the mean over trials is taken once, searches have an analytic Jacobian and
/// several starts (`starts = "compatible"` has one); Bayes' criterion, the weight of each timescale, and the shares of small weight
/// and at the bound are reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timescales {
    /// Steps of each trial that count.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Steps before them, until the initial state is forgotten.
    pub burn_in: usize,
    /// Trials, each with a random input of its own.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Largest lag of the autocorrelation, in steps.
    #[schemars(range(min = 4))]
    pub max_lag: usize,
    /// What is measured: `rates`, or the name of a tensor of the cell's state. Recordings are taken as they are.
    pub signal: String,
    /// What drives the network.
    pub input: Input,
    /// Probability of a 1 where `input` is bits: `uniform` draws one for each trial, a number fixes it.
    pub rate: Rate,
    /// Which networks of a run: `last`, `initial`, `milestones` (both, and each end of a lesson), `level-ends` or a number of updates.
    pub at: Checkpoints,
    /// Largest lag that is fitted, in steps.
    #[schemars(range(min = 4))]
    pub fit_lag: usize,
    /// The largest timescale that is tried, in steps.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub largest_tau_steps: f64,
    /// Where the searches for the best exponentials start.
    pub starts: Starts,
    /// What decides between one and two exponentials.
    pub criterion: Criterion,
}

impl Default for Timescales {
    fn default() -> Self {
        let FitOptions { fit_lag, largest_tau_steps, starts, criterion } = FitOptions::default();
        Self {
            steps: 100_000,
            burn_in: 500,
            trials: 10,
            max_lag: 200,
            signal: RATES.into(),
            input: Input::default(),
            rate: Rate::UNIFORM,
            at: Checkpoints::default(),
            fit_lag,
            largest_tau_steps,
            starts,
            criterion,
        }
    }
}

synfire::inventory::submit! { Component::analysis::<Timescales>("timescales") }

#[typetag::serde(name = "timescales")]
impl Analysis for Timescales {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.fit().check(problems);
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        let rule = format!("at least fit_lag = {}", self.fit_lag);
        problems.require(self.max_lag >= self.fit_lag, "max_lag", self.max_lag, &rule);
        let rule = format!("more than max_lag = {}", self.max_lag);
        problems.require(self.steps > self.max_lag, "steps", self.steps, &rule);
        problems.require(
            !self.signal.is_empty(),
            "signal",
            "empty",
            "rates, or the name of a tensor of the cell's state",
        );
        if let Rate::Fixed(rate) = self.rate {
            problems.require((0.0..=1.0).contains(&rate), "rate", rate, "from 0 to 1");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        (self.input != Input::Silence).then_some(Property::OpenLoop).into_iter().collect()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let mut all = Vec::new();
        for run in &subject.runs {
            all.push(self.measure_run(run, subject)?);
        }
        for (name, array) in &subject.data {
            all.push(vec![self.measure_data(name, array, subject)?]);
        }
        if all.is_empty() {
            return Err(Error::Failed(
                "timescales need a run, or a data file with an activity [time, trial, unit]".into(),
            ));
        }
        let mut findings = tables::findings(&all)?;
        if self.signal != RATES {
            findings.value("signal", self.signal.as_str());
        }
        Ok(findings)
    }
}

impl Timescales {
    fn fit(&self) -> FitOptions {
        FitOptions {
            fit_lag: self.fit_lag,
            largest_tau_steps: self.largest_tau_steps,
            starts: self.starts,
            criterion: self.criterion,
        }
    }

    /// The networks of a run that `at` names, in the order of training.
    fn measure_run(&self, run: &RunView, subject: &Subject) -> Result<Vec<Measured>> {
        self.at.of(run).into_iter().map(|at| self.measure_network(run, at, subject)).collect()
    }

    fn measure_network(&self, run: &RunView, at: At, subject: &Subject) -> Result<Measured> {
        let stage = Stage::load(run, at)?;
        let (lesson, network) = (stage.lesson(run), stage.network(run)?);
        // The same input for all networks of a run, so that they differ by their weights alone.
        let stream = subject.stream.child("simulation").at(run.member as u64);
        let signal = Signal::new(&self.signal, &network, &run.setting(&lesson, &stream.child("setting"))?)?;
        let plan = Plan::new(run, &lesson, &network.readout.heads, self.input, self.rate, &stream)?;
        let origin = Origin::of(run, &stage, network.dynamics.units(), plan.substeps);
        let length = Length { steps: self.steps, burn_in: self.burn_in };
        let measurement = Measurement { length, trials: self.trials, max_lag: self.max_lag, signal };
        tracing::info!(run = %run.label, update = stage.update, "simulating for timescales");
        let simulated = simulate(run, &network, &lesson, &plan, measurement, &stream)?;
        Ok(Measured::new(origin, simulated, &self.fit(), subject.workers))
    }

    /// An activity from a data file.
    fn measure_data(&self, name: &str, array: &Array, subject: &Subject) -> Result<Measured> {
        let activity = array.to_tensor()?;
        let activity = match activity.dim() {
            2 => activity.unsqueeze(1),
            _ => activity,
        };
        let units = autocovariance(&activity, self.max_lag)?;
        let population = activity.f_sum_dim_intlist(&[2i64][..], true, Kind::Double)?;
        let population = autocovariance(&population, self.max_lag)?.swap_remove(0);
        let simulated = Simulated { units, population, ones: Vec::new() };
        Ok(Measured::new(Origin::data(name), simulated, &self.fit(), subject.workers))
    }
}
