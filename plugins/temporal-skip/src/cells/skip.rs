//! A shortcut through time around any cell.

use super::shortcut::{Shortcut, needs, provides};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::recurrence::Extrapolation;
use synfire::{BuildContext, Cell, Component, Network, Problems, Properties, Registry, Result, Spec, Stream};

/// Skip connections through time around another cell: every `theta` steps its state is mixed with the one of `theta` steps before.
///
/// Within each period of a trial the steps are counted in segments of `theta`. With `s` the state before the first step of a segment
/// and `s'` the one that the inner cell reaches in its last,
///
/// `s' <- beta s' + (1 - beta) s`
///
/// and the next segment begins from there. A segment that the end of its period cuts short is not mixed, so no skip spans a border.
/// Every floating-point tensor of the inner state is mixed. Along the skip path the gradient shrinks with `1 - beta` every `theta`
/// steps, instead of with the leak at every step.
///
/// With an `onset` there is a longer skip beside: where a period of that name begins, the state is mixed in the same way with the one
/// that it had where the last one began. In `rule-reversal`, `onset = "stimulus"` spans a trial.
///
/// `theta` and `beta` are those of the curriculum's schedule, if it has them, else the options here. With `beta = 1`, with `theta` up
/// to 1 and no onset, and in every evaluation, the network is the bare inner cell; so are its parameters, and what is learned can be
/// used without this wrapper. Around a rate network the explicit adjoint of the fast path takes the skips along.
///
/// state  that of the inner cell; step by step also `skip.start.<name>`, its tensors at the start of the segment, and
///        `skip.onset.<name>`, at the last onset
///
/// Source: Soo, Goudar & Wang 2023, "Training biologically plausible recurrent neural networks on cognitive tasks with long-term
/// dependencies", doi:10.1101/2023.10.10.561588: skip connections through time (SCTT).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Skip {
    /// The cell that is wrapped.
    pub inner: Spec<dyn Cell>,
    /// Steps of a segment, where the curriculum schedules no `theta`.
    #[schemars(range(min = 0))]
    pub theta: usize,
    /// Share of the stepwise path in the mixture, where the curriculum schedules no `beta`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
    /// Name of the period from whose beginning to the next a longer skip goes; left out, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset: Option<String>,
}

impl Default for Skip {
    fn default() -> Self {
        Self { inner: Spec::new("leaky-rnn"), theta: 20, beta: 0.5, onset: None }
    }
}

impl Skip {
    fn shortcut(&self) -> Shortcut {
        let onset = self.onset.clone();
        Shortcut { theta: self.theta, beta: self.beta, extrapolation: Extrapolation::None, onset }
    }
}

#[typetag::serde(name = "skip")]
impl Cell for Skip {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        self.shortcut().check(&self.inner, registry, problems);
    }

    fn provides(&self, registry: &Registry) -> Properties {
        provides(&self.inner, registry)
    }

    fn needs(&self, registry: &Registry) -> Properties {
        needs(&self.inner, registry)
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        self.shortcut().build(&self.inner, context, stream)
    }
}

synfire::inventory::submit! { Component::cell::<Skip>("skip") }

#[cfg(test)]
mod tests;
