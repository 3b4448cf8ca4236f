//! A rule that logs, uses the program's threads, and panics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::rollout::{Moment, Rollout, StepHook};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Component, Learner, LearningRule, Network, Properties, Registry, Result, StepReport, Stream, Tensors,
    Trials, inventory, tracing,
};

/// Where it panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum At {
    /// Nowhere.
    #[default]
    Never,
    /// When it starts.
    Start,
    /// In an update.
    Update,
    /// In the hook that a rollout calls at each step.
    Hook,
    /// On a thread of the program.
    Thread,
    /// When it is asked for its state.
    State,
}

/// Learns nothing; panics where it is told to.
///
/// Source: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Awkward {
    /// Where it panics.
    at: At,
}

#[typetag::serde(name = "awkward")]
impl LearningRule for Awkward {
    fn needs(&self, _: &Registry) -> Properties {
        Properties::new()
    }

    fn start(&self, _: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        assert!(self.at != At::Start, "no start");
        Ok(Box::new(self.clone()))
    }
}

inventory::submit! { Component::rule::<Awkward>("awkward") }

impl Learner for Awkward {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        tracing::info!(batch = trials.batch(), "an update in a plugin");
        assert!(self.at != At::Update, "no update");
        let on_thread = self.at == At::Thread;
        let squares = rollout.workers.map((0..8u64).collect(), |i| {
            assert!(!(on_thread && i == 5), "lost the thread");
            i * i
        });
        rollout.online(network, &trials, None, &mut Hook { panics: self.at == At::Hook })?;
        let accuracy = None;
        Ok(StepReport { loss: squares.iter().sum::<u64>() as f64, accuracy, gradient_norm: None })
    }

    fn state(&self) -> Result<Tensors> {
        assert!(self.at != At::State, "no state");
        Ok(Tensors::from([("counter", Tensor::from(1.0f32))]))
    }

    fn restore(&mut self, _: Tensors) -> Result<()> {
        Ok(())
    }
}

struct Hook {
    panics: bool,
}

impl StepHook for Hook {
    fn after(&mut self, moment: &Moment, _: &mut Tensors, _: &Tensors, _: &Tensor, _: &[Tensor]) -> Result<()> {
        assert!(!(self.panics && moment.clock.step == 1), "hooked");
        Ok(())
    }
}
