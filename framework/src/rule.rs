//! Learning rules: how a network changes with its trials.

use crate::cell::BuildContext;
use crate::network::Network;
use crate::property::Properties;
use crate::rollout::Rollout;
use crate::task::Trials;
use crate::{Problems, Registry, Result, Stream, Tensors};
use std::fmt::Debug;

/// How a network learns.
///
/// The struct that implements it is its options; [`LearningRule::start`] makes the learner, which holds what changes
/// (moments, populations, inverse correlations).
#[typetag::serde(tag = "type")]
pub trait LearningRule: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// What it needs of task and cell.
    fn needs(&self, registry: &Registry) -> Properties;

    /// Trials per update that the rule wants, where it does not take any number. Default: what the experiment says.
    fn batch(&self) -> Option<usize> {
        None
    }

    /// Make the learner. What must outlive training, such as feedback weights, is added to the network here.
    ///
    /// # Errors
    /// When rule and network do not fit.
    fn start(&self, network: &mut Network, context: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>>;
}

/// A learning rule at work. Everything it keeps is a named tensor, so it is saved and restored like a network.
pub trait Learner: Send {
    /// One update: play the trials through `rollout` and change the network.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`] when the loss or a gradient is not finite.
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport>;

    /// Heads were added or dropped, or other parameters became trainable: follow. Default: nothing to do.
    ///
    /// # Errors
    /// When the state cannot follow.
    fn refit(&mut self, network: &Network) -> Result<()> {
        let _ = network;
        Ok(())
    }

    /// Everything it keeps.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    fn state(&self) -> Result<Tensors>;

    /// Take over what [`Learner::state`] gave.
    ///
    /// # Errors
    /// When names or shapes do not fit.
    fn restore(&mut self, state: Tensors) -> Result<()>;
}

/// What one update reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Loss on the batch before the update.
    pub loss: f64,
    /// Fraction of correct answers on the batch, where there is right and wrong.
    pub accuracy: Option<f64>,
    /// Norm of the gradient before clipping, for rules that have one.
    pub gradient_norm: Option<f64>,
}
