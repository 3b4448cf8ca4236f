//! A cell around the program's, that panics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Setting};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Dynamics, Network, Problems, Properties, Registry, Result, Spec, Stream, Tensors,
    inventory,
};

/// Where it panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum At {
    /// Nowhere.
    #[default]
    Never,
    /// When its options are checked.
    Check,
    /// When a network is built.
    Build,
    /// In a step, once training has gone on for a while.
    Step,
}

/// Another cell; panics where it is told to.
///
/// Source: none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Awkward {
    /// The cell that works.
    inner: Spec<dyn Cell>,
    /// Where it panics.
    at: At,
}

impl Default for Awkward {
    fn default() -> Self {
        Self { inner: Spec::new("leaky-rnn"), at: At::Never }
    }
}

#[typetag::serde(name = "awkward")]
impl Cell for Awkward {
    fn check(&self, _: &Registry, _: &mut Problems) {
        assert!(self.at != At::Check, "do not look");
    }

    fn provides(&self, registry: &Registry) -> Properties {
        registry.build(&self.inner, "inner").map(|cell| cell.provides(registry)).unwrap_or_default()
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        assert!(self.at != At::Build, "no network");
        let network = context.registry.build(&self.inner, "cell.inner")?.build(context, stream)?;
        let dynamics = Box::new(Steps { inner: network.dynamics, panics: self.at == At::Step });
        Ok(Network { dynamics, ..network })
    }
}

inventory::submit! { Component::cell::<Awkward>("awkward") }

#[derive(Debug)]
struct Steps {
    inner: Box<dyn Dynamics>,
    panics: bool,
}

impl Dynamics for Steps {
    fn units(&self) -> usize {
        self.inner.units()
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        self.inner.prepare(parameters, setting)
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        self.inner.initial_state(prepared, batch, stream)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        self.inner.project(prepared, inputs)
    }

    fn step(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        // The curriculum of the test schedules it.
        let late = clock.setting.schedule.get("learning_rate_factor").is_some_and(|factor| *factor > 0.6);
        assert!(!(self.panics && late && clock.step == 2), "stumbled in step {}", clock.step);
        self.inner.step(clock, prepared, state, projected, drive)
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        self.inner.rates(state)
    }
}
