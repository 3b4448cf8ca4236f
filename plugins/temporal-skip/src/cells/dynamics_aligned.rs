//! A shortcut through time along the dynamics, around any cell.

use super::shortcut::{Shortcut, needs, provides};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::recurrence::Extrapolation;
use synfire::{BuildContext, Cell, Component, Network, Problems, Properties, Registry, Result, Spec, Stream};

/// Dynamics-aligned skip connections around another cell: every `theta` steps its state is mixed with what one large step would give.
///
/// As `skip`, but the earlier state is first carried along by `theta` increments. With `s` the state before the first step of a
/// segment, `s'` the one that the inner cell reaches in its last, and `d` an increment of a single step,
///
/// `s' <- beta s' + (1 - beta) (s + theta d)`
///
/// where `d` is that of the segment's own first step, `increment = "segment-start"`, as the formula says; `theta` times the leak
/// should then be at most 1, and above 2 it is an unstable step. With `increment = "previous-step"` `d` is that of the last step
/// before the segment, at the state before that step and before it was mixed (in the first segment of a period that of its own first
/// step): so does the published code. It vanishes where the stepwise path has come to rest, and is stable for larger `theta`.
///
/// Every floating-point tensor of the inner state is mixed, and the larger `theta`, the fewer recurrent products a gradient passes.
/// `theta`, `beta`, `onset`, borders of periods and evaluations are as in `skip`. No step of the inner cell is computed twice.
///
/// state  that of the inner cell; step by step also `skip.start.<name>`, `skip.ahead.<name>` (the increment of the present segment),
///        `skip.last.<name>` (that of the last step) and `skip.onset.<name>`
///
/// Source: Soo, Goudar & Wang 2023, "Training biologically plausible recurrent neural networks on cognitive tasks with long-term
/// dependencies", doi:10.1101/2023.10.10.561588: dynamics-aligned skip connections (DASC). Differs: the published code advances its
/// noise once more at the start of each period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DynamicsAligned {
    /// The cell that is wrapped.
    pub inner: Spec<dyn Cell>,
    /// Steps of a segment, where the curriculum schedules no `theta`.
    #[schemars(range(min = 0))]
    pub theta: usize,
    /// Share of the stepwise path in the mixture, where the curriculum schedules no `beta`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
    /// Which step's increment carries the earlier state along.
    pub increment: Increment,
    /// Name of the period from whose beginning to the next a longer skip goes, without an increment; left out, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset: Option<String>,
}

/// Which step's increment carries the earlier state along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Increment {
    /// That of the segment's first step: the published formula.
    #[default]
    SegmentStart,
    /// That of the last step before the segment: the published code.
    PreviousStep,
}

impl Default for DynamicsAligned {
    fn default() -> Self {
        Self { inner: Spec::new("leaky-rnn"), theta: 20, beta: 0.5, increment: Increment::default(), onset: None }
    }
}

impl DynamicsAligned {
    fn shortcut(&self) -> Shortcut {
        let extrapolation = match self.increment {
            Increment::SegmentStart => Extrapolation::First,
            Increment::PreviousStep => Extrapolation::Last,
        };
        Shortcut { theta: self.theta, beta: self.beta, extrapolation, onset: self.onset.clone() }
    }
}

#[typetag::serde(name = "dynamics-aligned")]
impl Cell for DynamicsAligned {
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

synfire::inventory::submit! { Component::cell::<DynamicsAligned>("dynamics-aligned") }

#[cfg(test)]
mod tests;
