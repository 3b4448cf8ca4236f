//! Backpropagation through time.

use super::penalty::{ActivityPenalty, WeightPenalty};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::network::first_not_finite;
use synfire::optimizer::{Optimizer, Stepper, clip::clip_global_norm, pattern};
use synfire::rollout::{RateCost, Rollout};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Component, Error, Learner, LearningRule, Network, Problems, Properties, Property, Registry, Result,
    StepReport, Stream, Tensors, Trials,
};

/// Bound of the gradient's norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a bound of the gradient norm such as 1.0, or \"none\"")]
pub enum Clip {
    /// Largest Euclidean norm of all gradients together; larger ones are scaled down.
    Norm(f64),
    /// No bound.
    Off(NoClip),
}

/// The word for no clipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoClip {
    /// Gradients are taken as they are.
    None,
}

impl Clip {
    /// No bound.
    pub const NONE: Self = Self::Off(NoClip::None);

    /// The bound; infinite where there is none.
    pub fn bound(self) -> f64 {
        match self {
            Self::Norm(bound) => bound,
            Self::Off(NoClip::None) => f64::INFINITY,
        }
    }
}

/// Backpropagation through time: the exact gradient of the loss over a whole trial, or over windows of it, and an optimiser.
///
/// One update plays a batch of trials, takes the gradient of loss plus penalties with respect to every parameter that may change,
/// scales it down where its norm exceeds `clip`, and hands it to the optimiser, whose learning rates are multiplied with the
/// curriculum's `learning_rate_factor` if it schedules one. The loss that is reported is the task's, without penalties. A gradient
/// that is not finite ends the run before anything changes.
///
/// With `window = k` the trial is cut into stretches of k steps and no gradient crosses from one to the one before; the forward pass
/// is not changed. Which parameters change: those that match `trainable` (all where it is empty) and do not match `frozen`, as far
/// as the lesson lets them.
///
/// Source: Werbos 1990, "Backpropagation through time: what it does and how to do it", doi:10.1109/5.58337; truncation: Williams &
/// Peng 1990, doi:10.1162/neco.1990.2.4.490; clipping: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.
/// Differs: truncation cuts at fixed steps of the trial, it does not slide along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bptt {
    /// How parameters follow from gradients.
    pub optimizer: Optimizer,
    /// Largest norm of the gradient over all parameters, or `"none"`.
    pub clip: Clip,
    /// Steps that a gradient may reach back; left out, the whole trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub window: Option<usize>,
    /// Patterns of the parameters to train, for example `recurrent.*`; empty for all.
    pub trainable: Vec<String>,
    /// Patterns of the parameters to leave as they are.
    pub frozen: Vec<String>,
    /// Whether every lesson begins without what the optimiser remembers of the one before.
    pub forget_moments: bool,
    /// Costs on the size of parameters.
    pub weight_penalty: Vec<WeightPenalty>,
    /// Cost on the rates of the units.
    pub activity_penalty: ActivityPenalty,
}

impl Default for Bptt {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::default(),
            clip: Clip::Norm(1.0),
            window: None,
            trainable: Vec::new(),
            frozen: Vec::new(),
            forget_moments: false,
            weight_penalty: Vec::new(),
            activity_penalty: ActivityPenalty::default(),
        }
    }
}

impl Bptt {
    /// Whether a parameter may change.
    fn trains(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|p| pattern::matches(p, name));
        (self.trainable.is_empty() || any(&self.trainable)) && !any(&self.frozen)
    }

    /// Refuse a pattern that names nothing. Heads may come later, so patterns that begin with `head` are let pass.
    fn patterns_match(&self, network: &Network) -> Result<()> {
        let mut problems = Problems::under("rule");
        for (field, patterns) in [("trainable", &self.trainable), ("frozen", &self.frozen)] {
            for pattern in patterns.iter().filter(|p| !p.starts_with("head")) {
                if !network.parameters.names().any(|name| pattern::matches(pattern, name)) {
                    problems.add(
                        field,
                        format_args!("has the pattern '{pattern}', which matches no parameter"),
                        format_args!("the parameters are: {}", network.names().join(", ")),
                    );
                }
            }
        }
        problems.into_result()
    }
}

#[typetag::serde(name = "bptt")]
impl LearningRule for Bptt {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.inside("optimizer", |problems| self.optimizer.check(problems));
        if let Clip::Norm(bound) = self.clip {
            problems.require(bound > 0.0, "clip", bound, "greater than 0, or \"none\"");
        }
        if let Some(window) = self.window {
            problems.require(window >= 1, "window", window, "at least 1; leave it out for the whole trial");
        }
        for (i, penalty) in self.weight_penalty.iter().enumerate() {
            problems.inside(&format!("weight_penalty[{i}]"), |problems| penalty.check(problems));
        }
        problems.inside("activity_penalty", |problems| self.activity_penalty.check(problems));
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient])
    }

    fn start(&self, network: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        self.patterns_match(network)?;
        Ok(Box::new(Descent { rule: self.clone(), stepper: self.optimizer.start() }))
    }
}

synfire::inventory::submit! { Component::rule::<Bptt>("bptt") }

/// The rule at work: it keeps the optimiser's moments and nothing else.
struct Descent {
    rule: Bptt,
    stepper: Stepper,
}

impl Learner for Descent {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        let rule = &self.rule;
        let penalty = |rates: &Tensor, trials: &Trials, batch: usize| rule.activity_penalty.cost(rates, trials, batch);
        let cost: Option<&RateCost> = if rule.activity_penalty.is_active() { Some(&penalty) } else { None };
        let mut found = rollout.gradient_with_cost(network, &trials, rule.window, |name| rule.trains(name), cost)?;
        if found.gradients.is_empty() {
            return Err(Error::config(
                "rule.trainable",
                "and the lesson leave no parameter to train on which the loss depends",
                format_args!("the parameters are: {}", network.names().join(", ")),
            ));
        }
        for penalty in &rule.weight_penalty {
            penalty.add_gradient(&network.parameters, &mut found.gradients)?;
        }
        let norm = clip_global_norm(&mut found.gradients, rule.clip.bound())?;
        if !found.loss.is_finite() || !norm.is_finite() {
            let what = match (found.loss.is_finite(), first_not_finite(&found.gradients)) {
                (false, _) => "the loss".to_string(),
                (true, Some(name)) => format!("the gradient of '{name}'"),
                (true, None) => "the norm of the gradient".to_string(),
            };
            return Err(Error::NotFinite { what, update: 0, caution: None });
        }
        let factor = rollout.setting.schedule.get("learning_rate_factor").copied().unwrap_or(1.0);
        self.stepper.step(&mut network.parameters, &found.gradients, factor)?;
        Ok(StepReport { loss: found.loss, accuracy: found.accuracy, gradient_norm: Some(norm) })
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        if self.rule.forget_moments {
            self.stepper = self.rule.optimizer.start();
        }
        self.stepper.retain(network.parameters.names());
        Ok(())
    }

    fn state(&self) -> Result<Tensors> {
        Ok(self.stepper.state())
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        self.stepper.restore(state)
    }
}

#[cfg(test)]
mod tests;
