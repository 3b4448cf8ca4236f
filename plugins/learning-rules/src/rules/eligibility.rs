//! Rules that learn from eligibility traces and a broadcast error.

use super::local_gradient::{OwnPath, local_gradient};
use super::rate_network::chosen;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::network::first_not_finite;
use synfire::optimizer::clip::clip_global_norm;
use synfire::optimizer::{Optimizer, Stepper};
use synfire::rollout::Rollout;
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Error, Learner, Network, Problems, Properties, Property, Result, StepReport, Stream, Tensors, Trials};

/// By which weights errors reach the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Broadcast {
    /// By fixed random ones, uniform in ±1/√units, as heads are drawn.
    Random,
    /// By those of the heads, as in the gradient.
    Symmetric,
}

/// What the rules with eligibility traces have in common.
pub(super) struct Traces {
    pub name: &'static str,
    pub path: OwnPath,
    pub broadcast: Broadcast,
    pub optimizer: Optimizer,
    pub clip: f64,
    pub trainable: Vec<String>,
    pub frozen: Vec<String>,
}

/// What they need of task and cell.
pub(super) fn needs() -> Properties {
    Properties::from([Property::RateForm, Property::LinearReadout, Property::OpenLoop])
}

/// Report options that are out of range.
pub(super) fn check(optimizer: &Optimizer, clip: f64, problems: &mut Problems) {
    problems.inside("optimizer", |problems| optimizer.check(problems));
    problems.require(clip > 0.0, "clip", clip, "greater than 0");
}

impl Traces {
    /// Make the learner.
    pub fn start(self, stream: &Stream) -> Box<dyn Learner> {
        let stepper = self.optimizer.start();
        Box::new(Traced { rule: self, stepper, broadcast: BTreeMap::new(), stream: stream.child("broadcast") })
    }
}

/// Prefix of the broadcast weights of a head in a saved state.
const BROADCAST: &str = "broadcast/";
/// Prefix of what the optimiser keeps in a saved state.
const OPTIMIZER: &str = "optimizer/";

/// A rule at work.
struct Traced {
    rule: Traces,
    stepper: Stepper,
    /// Random broadcast weights `[output, unit]` by head.
    broadcast: BTreeMap<usize, Tensor>,
    stream: Stream,
}

impl Traced {
    /// Draw the broadcast weights of heads that have none; a head's are the same whenever they are drawn.
    fn follow(&mut self, network: &Network, trials: &Trials) {
        if self.rule.broadcast == Broadcast::Symmetric {
            return;
        }
        let (outputs, units) = (network.readout.outputs as i64, network.dynamics.units() as i64);
        let bound = 1.0 / (units.max(1) as f64).sqrt();
        for target in &trials.targets {
            let mut stream = self.stream.at(target.head as u64);
            let draw = || stream.uniform_tensor(&[outputs, units], -bound, bound, Kind::Double, Device::Cpu);
            self.broadcast.entry(target.head).or_insert_with(draw);
        }
    }
}

impl Learner for Traced {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        self.follow(network, &trials);
        let rule = &self.rule;
        let mut names = network.trained(rollout.lesson);
        names.retain(|name| chosen(&rule.trainable, &rule.frozen, name));
        let mut found = local_gradient(network, rollout, &trials, (rule.name, rule.path), &names, &self.broadcast)?;
        if found.gradients.is_empty() {
            return Err(Error::config(
                "rule.trainable",
                "and the lesson leave no parameter to train that the rule knows how to change",
                format_args!("the parameters are: {}", network.names().join(", ")),
            ));
        }
        let norm = clip_global_norm(&mut found.gradients, rule.clip)?;
        if !found.loss.is_finite() || !norm.is_finite() {
            let gradient = first_not_finite(&found.gradients).unwrap_or_default();
            let what = if found.loss.is_finite() { format!("the gradient of '{gradient}'") } else { "the loss".into() };
            return Err(Error::NotFinite { what, update: 0, caution: None });
        }
        let factor = rollout.setting.schedule.get("learning_rate_factor").copied().unwrap_or(1.0);
        self.stepper.step(&mut network.parameters, &found.gradients, factor)?;
        Ok(StepReport { loss: found.loss, accuracy: found.accuracy, gradient_norm: Some(norm) })
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        self.stepper.retain(network.parameters.names());
        self.broadcast.retain(|head, _| network.readout.heads.contains(head));
        Ok(())
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::new();
        for (head, weights) in &self.broadcast {
            state.insert(format!("{BROADCAST}{head}"), weights.copy());
        }
        for (name, tensor) in self.stepper.state().iter() {
            state.insert(format!("{OPTIMIZER}{name}"), tensor.shallow_clone());
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let (mut broadcast, mut optimizer) = (BTreeMap::new(), Tensors::new());
        for (name, tensor) in state.iter() {
            let rule = self.rule.name;
            let foreign = || Error::Failed(format!("the saved state of '{rule}' has '{name}', which it does not keep"));
            if let Some(head) = name.strip_prefix(BROADCAST) {
                broadcast.insert(head.parse().map_err(|_| foreign())?, tensor.copy());
            } else if let Some(name) = name.strip_prefix(OPTIMIZER) {
                optimizer.insert(name, tensor.copy());
            } else {
                return Err(foreign());
            }
        }
        self.broadcast = broadcast;
        self.stepper.restore(optimizer)
    }
}
