//! How long gated units remember, by what their gates keep of the state.

mod figures;
mod measured;
mod tables;
#[cfg(test)]
mod tests;
mod watch;

use super::timescales::{Checkpoints, Input};
use crate::tasks::bit_stream::Rate;
use measured::Measured;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::Scope;
use synfire::subject::{At, RunView};
use synfire::{Analysis, Component, Error, Findings, Problems, Properties, Property, Registry, Result, Subject};
use synfire_essentials::checkpoints::Stage;
use synfire_essentials::drive::Plan;
use synfire_essentials::simulation::{Length, groups};

/// Timescales of gated units, from the share of its state that each keeps in a step.
///
/// A unit that keeps the share `f` of its state in every step forgets with the timescale `tau = 1 / (1 - f)` steps. The share is the
/// forget gate of a long short-term memory, `c' = f c + ..`, or the update gate `z` of a gated recurrent unit where it keeps the
/// old state, `h' = (1 - z) n + z h`, as it does here and in PyTorch; where the literature writes `1 - z` for it, read so. Networks
/// of several layers have a gate each (`layer.1.forget`, ..).
///
/// - simulated: the network runs for a long time, its input being random bits as the task shows them (or what `input` says), and
///   gates are averaged over time and trials. `tau` is that of the mean over all units, as published; `tau_of_units` first makes a
///   timescale for each unit, and is their mean. The second is never less, and is dominated by units that hardly forget.
/// - from the biases alone: the mean over units of `1 / (1 - sigmoid(b_input + b_recurrent))`, the gates of a copy of the network
///   whose weights are all zero.
///
/// figures `gate-timescales-by-level` where several networks of a run are looked at; `gate-traces`: input, state and gates of some
/// units of the first trial, right after the burn-in
/// tables  `gate_timescales`: one row a network and gate; `units`: one row a unit of the last network of each run
/// arrays  of the last network of each run (with a number behind the name where there are several runs): `forget_mean`
/// `[trial, unit]` (or `update_mean`, ..), `forget_from_biases` `[unit]`, `rate_of_ones` `[trial]`, and of the traces `trace_input`
/// `[step, channel]`, `trace_gate_NAME` and `trace_state_NAME` `[step, unit]`
///
/// Source: the analysis of LSTMs that belongs to Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina, "Emergent
/// mechanisms for long timescales depend on training curriculum and affect performance in memory tasks", ICLR 2024,
/// arXiv:2309.12927; its settings are the defaults: 5 * 10^4 steps, burn-in 500, 10 trials, rate 0.5 and, of the task, symbols
/// `plus-minus`.
///
/// Differs: the timescales of single units are reported as well; the published code adds up biases in the network itself, so that
/// it is another one afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GateTimescales {
    /// Steps of each trial that count.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Steps before them, until the initial state is forgotten.
    pub burn_in: usize,
    /// Trials, each with a random input of its own.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// What drives the network.
    pub input: Input,
    /// Probability of a 1 where `input` is bits: `uniform` draws one for each trial, a number fixes it.
    pub rate: Rate,
    /// Which networks of a run: `last`, `initial`, `milestones` (both, and each end of a lesson) or a number of updates.
    pub at: Checkpoints,
    /// Steps of the traces; 0 for none.
    pub trace_steps: usize,
    /// Units of the traces, the first ones.
    #[schemars(range(min = 1))]
    pub trace_units: usize,
}

impl Default for GateTimescales {
    fn default() -> Self {
        Self {
            steps: 50_000,
            burn_in: 500,
            trials: 10,
            input: Input::default(),
            rate: Rate::Fixed(0.5),
            at: Checkpoints::default(),
            trace_steps: 50,
            trace_units: 10,
        }
    }
}

synfire::inventory::submit! { Component::analysis::<GateTimescales>("gate-timescales") }

#[typetag::serde(name = "gate-timescales")]
impl Analysis for GateTimescales {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps >= 1, "steps", self.steps, "at least 1");
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(self.trace_units >= 1, "trace_units", self.trace_units, "at least 1");
        let rule = format!("at most steps = {}", self.steps);
        problems.require(self.trace_steps <= self.steps, "trace_steps", self.trace_steps, &rule);
        if let Rate::Fixed(rate) = self.rate {
            problems.require((0.0..=1.0).contains(&rate), "rate", rate, "from 0 to 1");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let open = (self.input != Input::Silence).then_some(Property::OpenLoop);
        open.into_iter().chain([Property::Gates]).collect()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let of = |run: &RunView| -> Result<Vec<Measured>> {
            self.at.of(run).into_iter().map(|at| self.measure(run, at, subject)).collect()
        };
        let runs = subject.runs.iter().map(of).collect::<Result<Vec<_>>>()?;
        if runs.iter().all(Vec::is_empty) {
            return Err(Error::Failed("gate-timescales need a run with a checkpoint".into()));
        }
        tables::findings(&runs)
    }
}

impl GateTimescales {
    fn measure(&self, run: &RunView, at: At, subject: &Subject) -> Result<Measured> {
        let stage = Stage::load(run, at)?;
        let (lesson, network) = (stage.lesson(run), stage.network(run)?);
        // The same input for all networks of a run, so that they differ by their weights alone.
        let stream = subject.stream.child("simulation").at(run.member as u64);
        let plan = Plan::new(run, &lesson, &network.readout.heads, self.input, self.rate, &stream)?;
        let length = Length { steps: self.steps, burn_in: self.burn_in };
        tracing::info!(run = %run.label, update = stage.update, "simulating gates");
        let mut items = Vec::new();
        for group in groups(run, &network, &lesson, &plan, self.trials, &stream)? {
            // The rollout holds the group's network while the gates of the same one are looked at.
            items.push((group, run.with_parameters(&network, network.parameters.shallow_clone())?));
        }
        let trace = (self.trace_steps, self.trace_units);
        let parts = run.workers.map(items, |(group, twin)| watch::watch(group, &twin, length, trace));
        let biases = watch::gates_of_biases(&network, run, &lesson, &stream)?;
        Measured::new(run, &stage, parts.into_iter().collect::<Result<_>>()?, &biases)
    }
}
