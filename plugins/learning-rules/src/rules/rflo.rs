//! Random feedback local online learning.

use super::eligibility::{Broadcast, Traces, check, needs};
use super::local_gradient::OwnPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::optimizer::Optimizer;
use synfire::{
    BuildContext, Component, Learner, LearningRule, Network, Problems, Properties, Registry, Result, Stream,
};

/// Random feedback local online learning (RFLO): leaky traces of activity, and errors that come through fixed random weights.
///
/// Of the gradient two things are replaced. The error of the outputs reaches units through `B` `[output, unit]`, random unless
/// `broadcast` is `symmetric`, instead of through the readout. And a unit's past matters to it only as far as it has not leaked away:
/// with `a` the slope of its state in its input and `r` what the sending unit sent at the step before, the eligibility of a synapse is
///
/// `e_ij(t) = (1 - alpha_i) e_ij(t - 1) + a_i(t) r_j(t - 1)`
///
/// (times the slope of the non-linearity where that stands around the leak too) and the gradient `sum_t (dL/dy(t) B)_i e_ij(t)`. Input
/// weights and biases have traces alike; heads learn by their exact gradient. It is handed to the optimiser at the end of each batch;
/// time constants and initial states do not learn. Without recurrent weights and with symmetric errors it is the gradient itself.
///
/// Source: Murray 2019, "Local online learning in recurrent networks with random feedback", doi:10.7554/eLife.43299.
/// Differs: any loss; changes at the end of the batch, by an optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rflo {
    /// How parameters follow from gradients.
    pub optimizer: Optimizer,
    /// Largest norm of the gradient over all parameters.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub clip: f64,
    /// By which weights errors reach the units.
    pub broadcast: Broadcast,
    /// Patterns of the parameters to train, for example `recurrent.*`; empty for all.
    pub trainable: Vec<String>,
    /// Patterns of the parameters to leave as they are.
    pub frozen: Vec<String>,
}

impl Default for Rflo {
    fn default() -> Self {
        let (trainable, frozen) = (Vec::new(), Vec::new());
        Self { optimizer: Optimizer::default(), clip: 1.0, broadcast: Broadcast::Random, trainable, frozen }
    }
}

#[typetag::serde(name = "rflo")]
impl LearningRule for Rflo {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        check(&self.optimizer, self.clip, problems);
    }

    fn needs(&self, _: &Registry) -> Properties {
        needs()
    }

    fn start(&self, _: &mut Network, _: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        let Self { optimizer, clip, broadcast, trainable, frozen } = self.clone();
        let path = OwnPath::Leak;
        Ok(Traces { name: "rflo", path, broadcast, optimizer, clip, trainable, frozen }.start(stream))
    }
}

synfire::inventory::submit! { Component::rule::<Rflo>("rflo") }
