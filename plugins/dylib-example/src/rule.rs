//! Descent by signs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::network::first_not_finite;
use synfire::rollout::Rollout;
use synfire::tch::no_grad;
use synfire::{
    BuildContext, Component, Error, Learner, LearningRule, Network, Problems, Properties, Property, Registry, Result,
    StepReport, Stream, Tensors, Trials, inventory,
};

/// Gradient descent that takes of each gradient only its sign, smoothed over updates.
///
/// With `g` the gradient of the loss, `m' = momentum m + (1 - momentum) g` and `p' = p - learning_rate sign(m')` for every parameter. A
/// curriculum may schedule a `learning_rate_factor`.
///
/// Source: Bernstein, Wang, Azizzadenesheli & Anandkumar 2018, "signSGD: compressed optimisation for non-convex problems",
/// arXiv:1802.04434: Signum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DylibExample {
    /// What each parameter changes in an update.
    pub learning_rate: f64,
    /// Share of the past in the smoothed gradient.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
}

impl Default for DylibExample {
    fn default() -> Self {
        Self { learning_rate: 1e-3, momentum: 0.9 }
    }
}

#[typetag::serde(name = "dylib-example")]
impl LearningRule for DylibExample {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.learning_rate > 0.0, "learning_rate", self.learning_rate, "above 0");
        problems.require((0.0..1.0).contains(&self.momentum), "momentum", self.momentum, "at least 0 and below 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient])
    }

    fn start(&self, _: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        Ok(Box::new(BySigns { rule: self.clone(), smoothed: Tensors::new() }))
    }
}

inventory::submit! { Component::rule::<DylibExample>("dylib-example") }

/// The rule at work.
struct BySigns {
    rule: DylibExample,
    /// The smoothed gradient of each parameter; all that is kept from update to update.
    smoothed: Tensors,
}

impl Learner for BySigns {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        let found = rollout.gradient(network, &trials, None, |_| true)?;
        if let Some(name) = first_not_finite(&found.gradients) {
            return Err(Error::NotFinite { what: format!("the gradient of '{name}'"), update: 0, caution: None });
        }
        let factor = rollout.setting.schedule.get("learning_rate_factor").copied().unwrap_or(1.0);
        let DylibExample { learning_rate, momentum } = self.rule;
        no_grad(|| -> Result<()> {
            for (name, gradient) in found.gradients.iter() {
                let fresh = gradient.f_mul_scalar(1.0 - momentum)?;
                let smoothed = match self.smoothed.find(name) {
                    Some(before) => before.f_mul_scalar(momentum)?.f_add(&fresh)?,
                    None => fresh,
                };
                let step = smoothed.f_sign()?.f_mul_scalar(learning_rate * factor)?;
                network.parameters.insert(name, network.parameters.get(name)?.f_sub(&step)?);
                self.smoothed.insert(name, smoothed);
            }
            Ok(())
        })?;
        Ok(StepReport { loss: found.loss, accuracy: found.accuracy, gradient_norm: None })
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        let dropped: Vec<String> =
            self.smoothed.names().filter(|name| !network.parameters.contains(name)).map(str::to_string).collect();
        dropped.iter().for_each(|name| drop(self.smoothed.remove(name)));
        Ok(())
    }

    fn state(&self) -> Result<Tensors> {
        Ok(self.smoothed.copy())
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        self.smoothed = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_momentum_of_one_is_refused() {
        let registry = Registry::linked().expect("no duplicates");
        let mut problems = Problems::under("rule");
        DylibExample { momentum: 1.0, ..DylibExample::default() }.check(&registry, &mut problems);
        let message = problems.into_result().expect_err("nothing would be learned").to_string();
        assert_eq!(message, "rule.momentum is 1, must be at least 0 and below 1");
    }
}
