//! Recursive least squares on a readout that feeds back.

use super::least_squares::RecursiveLeastSquares;
use super::rate_network::recurrent_parameter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::network::{FEEDBACK, head_bias, head_weight};
use synfire::rollout::{Moment, Rollout, StepHook};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Component, Error, Learner, LearningRule, Network, Problems, Properties, Property, Registry, Result,
    StepReport, Stream, Tensors, Trials,
};

/// How the output acts back on the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Feedback {
    /// Head 0 drives every unit through fixed random weights.
    #[default]
    External,
    /// Through the recurrent weights: those onto unit `i` get the same changes as the readout of output `i mod outputs` of head 0.
    Internal,
    /// Not at all: the readout of a fixed network is learned.
    None,
}

/// First-order reduced and controlled error (FORCE): the readout learns within the trial, so fast that its output is right all along.
///
/// The network itself stays as it is drawn, best chaotic: `current` placement, tanh, normal recurrent weights of gain 1.5. With rates
/// `r`, the output `z = w r` of each head and the task's target signal `f`, every `learn_every` steps
///
/// `e = z - f`, `w <- w - e g'`, with the gain `g` of [`RecursiveLeastSquares`], `P(0) = I / alpha`.
///
/// Readouts start at 0 and have no bias. With `feedback = "external"` every step adds `u z` to the input of the units, where `u`
/// (`feedback.weight` `[unit, output]`, uniform in ± `feedback_gain`) is drawn once and `z` is the output that head 0 gave at the step
/// before, as it was before `w` changed; it stays part of the network after training. With `feedback = "internal"` there is none; the
/// recurrent weights learn with the readout, every row as if it were the readout, so that they must be free: no masks, signs, factors.
///
/// An update is one trial. With `continue_state` the trials are one long trajectory: each begins in the state in which the last ended
/// (saved with the learner), so that a periodic target goes on if a trial is a whole number of periods; `evaluate --from last-state`
/// goes on from there too. Evaluations during training begin afresh. Classes become a target of 1 for the right output and -1 for the
/// others. A step of weight `s` counts `s` times; steps of weight 0 are not learned.
///
/// Double precision (`training.precision = "double"`) keeps `P` symmetric and positive over long runs.
///
/// Source: Sussillo & Abbott 2009, "Generating coherent patterns of activity from chaotic neural networks",
/// doi:10.1016/j.neuron.2009.07.018, architectures A and, with `internal`, C, with the defaults of its published
/// scripts (density 0.1 and amplitude 1.3 for the first, all connections and 0.7 for the other).
/// Differs: the state at the start is the cell's; at the first step of an update the feedback is that of the readout as it is then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Force {
    /// Weight of the ridge that keeps readouts small: 1 to 100 is usual, the less the faster.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub alpha: f64,
    /// Steps from one change of the readout to the next.
    #[schemars(range(min = 1))]
    pub learn_every: usize,
    /// How the output acts back.
    pub feedback: Feedback,
    /// Largest absolute feedback weight.
    #[schemars(range(min = 0.0))]
    pub feedback_gain: f64,
    /// Whether each trial begins where the last ended.
    pub continue_state: bool,
}

impl Default for Force {
    fn default() -> Self {
        Self { alpha: 1.0, learn_every: 2, feedback: Feedback::External, feedback_gain: 1.0, continue_state: true }
    }
}

#[typetag::serde(name = "force")]
impl LearningRule for Force {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.alpha.is_finite() && self.alpha > 0.0, "alpha", self.alpha, "greater than 0");
        problems.require(self.learn_every >= 1, "learn_every", self.learn_every, "at least 1");
        let gain = self.feedback_gain;
        problems.require(gain.is_finite() && gain >= 0.0, "feedback_gain", gain, "0 or greater");
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::TargetSignal, Property::OpenLoop, Property::LinearReadout]);
        match self.feedback {
            Feedback::External => drop(needs.insert(Property::AdditiveDrive)),
            Feedback::Internal => drop(needs.insert(Property::RateForm)),
            Feedback::None => {}
        }
        needs
    }

    fn batch(&self) -> Option<usize> {
        Some(1)
    }

    fn start(&self, network: &mut Network, context: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        network.readout.bias = false;
        for head in network.readout.heads.clone() {
            network.parameters.remove(&head_bias(head));
            let zero = network.parameters.get(&head_weight(head))?.f_zeros_like()?;
            network.parameters.insert(head_weight(head), zero);
        }
        if self.feedback == Feedback::External {
            let shape = [network.dynamics.units() as i64, network.readout.outputs as i64];
            let gain = self.feedback_gain;
            let weight = stream.child("feedback").uniform_tensor(&shape, -gain, gain, context.kind, context.device);
            network.parameters.insert(FEEDBACK, weight);
            network.readout.feedback = Some(0);
        }
        let recurrent = match self.feedback {
            Feedback::Internal => Some(recurrent_parameter(network, context, "force")?),
            Feedback::External | Feedback::None => None,
        };
        Ok(Box::new(Trajectory { rule: self.clone(), recurrent, heads: BTreeMap::new(), last: None, steps: 0 }))
    }
}

synfire::inventory::submit! { Component::rule::<Force>("force") }

/// Prefix of the inverse correlation of a head, followed by its number, in a saved state.
const INVERSE: &str = "inverse/";
/// Prefix of the tensors of the last state in a saved state.
const LAST_STATE: &str = "last_state/";
/// Name of the number of steps so far in a saved state.
const STEPS: &str = "steps";

/// The rule at work.
struct Trajectory {
    rule: Force,
    /// Name of the recurrent weights, where they learn.
    recurrent: Option<String>,
    heads: BTreeMap<usize, RecursiveLeastSquares>,
    last: Option<Tensors>,
    /// Steps so far, of all trials.
    steps: i64,
}

/// What one head should say in each step of a trial.
struct Signal {
    head: usize,
    /// `[time, output]`
    values: Tensor,
    weights: Vec<f64>,
}

/// Learns within one trial.
struct WithinTrial<'a> {
    learner: &'a mut Trajectory,
    signals: Vec<Signal>,
    /// Whether the lesson lets the recurrent weights change.
    recurrent_learns: bool,
}

impl StepHook for WithinTrial<'_> {
    fn changes_dynamics(&self) -> bool {
        self.learner.recurrent.is_some() && self.recurrent_learns
    }

    fn after(
        &mut self,
        moment: &Moment,
        parameters: &mut Tensors,
        _: &Tensors,
        rates: &Tensor,
        outputs: &[Tensor],
    ) -> Result<()> {
        let learner = &mut *self.learner;
        learner.steps += 1;
        if learner.steps % learner.rule.learn_every as i64 != 0 {
            return Ok(());
        }
        let (rates, step) = (rates.f_squeeze_dim(0)?, moment.clock.step);
        for (signal, output) in self.signals.iter().zip(outputs) {
            let weight = signal.weights[step];
            if weight == 0.0 {
                continue;
            }
            if !learner.heads.contains_key(&signal.head) {
                let (units, alpha) = (rates.numel(), learner.rule.alpha);
                let fresh = RecursiveLeastSquares::new(units, alpha, rates.kind(), rates.device())?;
                learner.heads.insert(signal.head, fresh);
            }
            let Some(squares) = learner.heads.get_mut(&signal.head) else { continue };
            let gain = squares.gain(&rates, weight)?;
            let error = output.f_squeeze_dim(0)?.f_sub(&signal.values.f_get(step as i64)?)?;
            let name = head_weight(signal.head);
            let changed = parameters.get(&name)?.f_addr(&error.neg(), &gain)?;
            parameters.insert(name, changed);
            if let Some(name) = learner.recurrent.as_ref().filter(|_| signal.head == 0 && self.recurrent_learns) {
                let times = rates.numel().div_ceil(error.numel().max(1)) as i64;
                let of_units = error.f_repeat([times])?.f_narrow(0, 0, rates.numel() as i64)?;
                let changed = parameters.get(name)?.f_addr(&of_units.neg(), &gain)?;
                parameters.insert(name.as_str(), changed);
            }
        }
        Ok(())
    }
}

impl Learner for Trajectory {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        if trials.batch() != 1 {
            return Err(Error::Shape {
                what: "the batch of 'force', which follows one trajectory,".into(),
                expected: "1 trial".into(),
                found: format!("{} trials", trials.batch()),
            });
        }
        let objective = rollout.task.spec().objective;
        let signal = |target: &synfire::task::Target| -> Result<Signal> {
            let (values, weight) = objective.signal(&trials, target, network.readout.outputs);
            let learned = rollout.lesson.trains(&head_weight(target.head));
            let weights = synfire::tensors::values_f64(&weight);
            let weights = if learned { weights } else { vec![0.0; weights.len()] };
            Ok(Signal { head: target.head, values: values.f_squeeze_dim(1)?, weights })
        };
        let signals = trials.targets.iter().map(signal).collect::<Result<Vec<_>>>()?;
        let trained = network.trained(rollout.lesson);
        let recurrent_learns = self.recurrent.as_ref().is_some_and(|name| trained.contains(name));
        let initial = self.last.take().filter(|_| self.rule.continue_state);
        let played = {
            let mut hook = WithinTrial { learner: self, signals, recurrent_learns };
            rollout.online(network, &trials, initial.as_ref(), &mut hook)?
        };
        self.last = self.rule.continue_state.then(|| played.last.copy());
        let scores = rollout.task.score(&played.trials, &played.outputs)?;
        let loss = scores.loss.double_value(&[]);
        if !loss.is_finite() {
            return Err(Error::NotFinite { what: "the output".into(), update: 0, caution: None });
        }
        let right: Option<Vec<f64>> =
            scores.heads.iter().map(|head| head.accuracy.as_ref().map(|a| a.double_value(&[]))).collect();
        let accuracy = right.filter(|r| !r.is_empty()).map(|r| r.iter().sum::<f64>() / r.len() as f64);
        Ok(StepReport { loss, accuracy, gradient_norm: None })
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        self.heads.retain(|head, _| network.readout.heads.contains(head));
        Ok(())
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::from([(STEPS, Tensor::from(self.steps))]);
        for (head, squares) in &self.heads {
            state.insert(format!("{INVERSE}{head}"), squares.inverse().copy());
        }
        for (name, tensor) in self.last.iter().flat_map(Tensors::iter) {
            state.insert(format!("{LAST_STATE}{name}"), tensor.copy());
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let mut heads = BTreeMap::new();
        let mut last = Tensors::new();
        for (name, tensor) in state.iter() {
            let foreign = || Error::Failed(format!("the saved state of 'force' has '{name}', which it does not keep"));
            if let Some(head) = name.strip_prefix(INVERSE) {
                let head = head.parse().map_err(|_| foreign())?;
                heads.insert(head, RecursiveLeastSquares::restore(tensor.copy())?);
            } else if let Some(name) = name.strip_prefix(LAST_STATE) {
                last.insert(name, tensor.copy());
            } else if name != STEPS {
                return Err(foreign());
            }
        }
        self.steps = state.get(STEPS)?.f_reshape([1])?.f_int64_value(&[0])?;
        self.heads = heads;
        self.last = (!last.is_empty()).then_some(last);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
