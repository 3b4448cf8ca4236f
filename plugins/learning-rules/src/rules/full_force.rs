//! Recurrent weights learned from a second network that is told what to do.

mod lesson;
mod pupil;

use super::rate_network::recurrent_parameter;
use super::reward_hebbian::Distribution;
use pupil::Pupil;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::network::{head_bias, head_weight};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Component, Learner, LearningRule, Network, Problems, Properties, Property, Registry, Result, Stream,
    Tensors,
};

/// What the second network is told beside the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// Nothing.
    None,
    /// The task's hints, where it has any.
    #[default]
    Task,
    /// The target once more, as published code for decision tasks did.
    Target,
}

/// By which weights the second network gets the task's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputWeights {
    /// By those of the network that learns.
    #[default]
    Shared,
    /// By weights of its own, drawn like those of the target, without a bias.
    Own,
}

/// full-FORCE: the recurrent weights learn to give each unit the input that it would get in a random network that is told the target.
///
/// The second network, with the cell's own equations, has fixed random recurrent weights `J_D` (normal, of gain `target_gain`) and gets
/// besides the task's input the target `f` and hints `h` through fixed random weights. The network that learns gets the task's input
/// alone; its recurrent weights `J` and heads `w` start at 0 and heads have no bias. With the rates `r` and `r_D` after a step, at every
/// `learn_every`-th step on average
///
/// `e_J = J r - (J_D r_D + u_f f + u_h h)`, with `f` and `h` of the next step, in which these drives act; `e_w = w r - f`
/// `J <- J - e_J g'`, `w <- w - e_w g'`, with the one gain `g` of [`RecursiveLeastSquares`], `P(0) = I / alpha`
///
/// An update is one trial. In the first `forced_trials` nothing is learned and the drives of the second network act on both. The second
/// network's state runs on from trial to trial; that of the first does so with `continue_state`. Classes become a target of 1 for the right
/// output and -1 for the others. A step of weight `s` counts `s` times; steps of weight 0 are not learned, so let the task ask for an
/// answer at many steps. With `modes = k` only the k leading principal components of the drives in the forced trials are learned.
///
/// As in the published demonstrations: `continue_state`, `forced_trials = 10`, `alpha = 1`, `learn_every = 2`, shared input weights. As in
/// published code for decision tasks: `alpha = 10000` (50000 for `random-dots`), `input = "own"`, `hint = "target"`, `target_gain = 1`,
/// `signals = "normal"`, `signal_gain = 0.5`, `learn_every = 1`, `forced_trials = 0`, no `continue_state`, on tasks with `answer_steps = 550`
/// of 750.
///
/// Source: DePasquale, Cueva, Rajan, Escola & Abbott 2018, "full-FORCE: A target-based method for training recurrent networks",
/// doi:10.1371/journal.pone.0191527; the mode for decisions: McMahan, Kleinman & Kao 2021, NeurIPS,
/// <https://openreview.net/forum?id=Bix4uw5GcbE>.
/// Differs: drives are those that act in the next step, where published code learns them a step late; the cell's integration holds for
/// both networks. Heads are linear; that the decision code takes the hyperbolic tangent of the answer is said to the task, by
/// `judged = { output = "tanh" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FullForce {
    /// Weight of the ridge that keeps weights small.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub alpha: f64,
    /// Mean number of steps from one change of the weights to the next, each drawn by chance; 1 for every step.
    #[schemars(range(min = 1))]
    pub learn_every: usize,
    /// Gain of the second network's recurrent weights.
    #[schemars(range(min = 0.0))]
    pub target_gain: f64,
    /// How the weights of target and hints are distributed.
    pub signals: Distribution,
    /// Their size: the largest of uniform ones, the standard deviation of normal ones.
    #[schemars(range(min = 0.0))]
    pub signal_gain: f64,
    /// By which weights the second network gets the task's input.
    pub input: InputWeights,
    /// What the second network is told beside the target.
    pub hint: Hint,
    /// Trials at the start in which the drives of the second network act on both and nothing is learned.
    pub forced_trials: usize,
    /// Number of principal components of the drives to learn; left out, all. Needs forced trials.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<usize>,
    /// Whether each trial begins where the last ended.
    pub continue_state: bool,
}

impl Default for FullForce {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            learn_every: 2,
            target_gain: 1.5,
            signals: Distribution::Uniform,
            signal_gain: 1.0,
            input: InputWeights::Shared,
            hint: Hint::Task,
            forced_trials: 10,
            modes: None,
            continue_state: true,
        }
    }
}

#[typetag::serde(name = "full-force")]
impl LearningRule for FullForce {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.alpha.is_finite() && self.alpha > 0.0, "alpha", self.alpha, "greater than 0");
        problems.require(self.learn_every >= 1, "learn_every", self.learn_every, "at least 1");
        for (field, value) in [("target_gain", self.target_gain), ("signal_gain", self.signal_gain)] {
            problems.require(value.is_finite() && value >= 0.0, field, value, "0 or greater");
        }
        if let Some(modes) = self.modes {
            problems.require(modes >= 1, "modes", modes, "at least 1");
            let forced = self.forced_trials;
            problems.require(forced >= 1, "forced_trials", forced, "at least 1, to find the modes");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::TargetSignal, Property::OpenLoop, Property::LinearReadout]);
        needs.extend([Property::RateForm, Property::AdditiveDrive]);
        needs
    }

    fn batch(&self) -> Option<usize> {
        Some(1)
    }

    fn start(&self, network: &mut Network, context: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        network.readout.bias = false;
        for head in network.readout.heads.clone() {
            network.parameters.remove(&head_bias(head));
            zero(network, &head_weight(head))?;
        }
        let recurrent = recurrent_parameter(network, context, "full-force")?;
        zero(network, &recurrent)?;
        let units = network.dynamics.units() as i64;
        let (outputs, inputs) = (network.readout.outputs as i64, context.task.inputs.len() as i64);
        let options = context.options();
        let scale = self.target_gain / (units.max(1) as f64).sqrt();
        let random = stream.child("target").normal_tensor(&[units, units], options.0, options.1) * scale;
        let mut teacher = Tensors::from([("recurrent", random)]);
        teacher.insert("signal", self.signal_weights("signal", units, outputs, stream, options)?);
        if self.input == InputWeights::Own {
            teacher.insert("input", self.signal_weights("input", units, inputs, stream, options)?);
        }
        Ok(Box::new(Pupil {
            rule: self.clone(),
            recurrent,
            teacher,
            stream: stream.child("hint"),
            squares: None,
            last: None,
            teacher_state: None,
            moments: None,
            modes: None,
            trials: 0,
        }))
    }
}

impl FullForce {
    fn signal_weights(
        &self,
        name: &str,
        units: i64,
        channels: i64,
        stream: &Stream,
        (kind, device): (synfire::tch::Kind, synfire::tch::Device),
    ) -> Result<Tensor> {
        let mut stream = stream.child(name);
        let values: Vec<f64> =
            (0..units * channels).map(|_| self.signals.draw(self.signal_gain, &mut stream)).collect();
        Ok(Tensor::from_slice(&values).f_reshape([units, channels])?.f_to_kind(kind)?.f_to_device(device)?)
    }
}

fn zero(network: &mut Network, name: &str) -> Result<()> {
    let zero = network.parameters.get(name)?.f_zeros_like()?;
    network.parameters.insert(name, zero);
    Ok(())
}

synfire::inventory::submit! { Component::rule::<FullForce>("full-force") }

#[cfg(test)]
mod tests;
