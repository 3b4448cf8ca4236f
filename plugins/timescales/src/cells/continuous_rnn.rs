//! A rate network in continuous time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::recurrence::{Activation, Placement};
use synfire::{BuildContext, Cell, Component, Network, Problems, Properties, Registry, Result, Stream};
use synfire_essentials::cells::LeakyRnn;
use synfire_essentials::cells::leaky_rnn::{InitialState, Integration, SelfConnections, TimeConstants, Unit};

/// Rate network in continuous time, whose unit is a symbol of the task however many steps show it.
///
/// With each symbol shown for `k` steps, a step lasts `dt = 1/k`, and with `placement = "drive"` it is
///
/// `r' = (1 - alpha) r + alpha f(W r + b_rec + W_in x + b_in)` with `alpha = 1 / max(k tau, 1)`,
///
/// where each unit has its time constant `tau`, counted in symbols, which may fall to a step; with `integration = "exact"`
/// `alpha = 1 - exp(-1 / (k tau))`. So a network that was trained at some `k` can be played at another: `k` is that of each batch, as
/// the option `repeat` of n-parity and delayed-match makes it, and 1 for tasks whose steps are not symbols. The larger it is, the
/// closer the network follows `tau dr/dt = -r + f(..)`.
///
/// It is the cell `leaky-rnn` with `unit = "symbols"`, `recurrent_bias = true` and these defaults, and has its parameters, state and
/// speed; with one step a symbol it is that cell with time constants in steps. Use that one for what cannot be chosen here.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927 (its continuous-time networks).
/// Differs: time constants can be fixed, which the published code cannot run; `mean` is its `init_tau`. Self-connections get no
/// gradient; theirs count in the norm of the gradient, as with `self_connections = "zeroed"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContinuousRnn {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Where the non-linearity stands: `drive` as published, `whole` or `current`.
    pub placement: Placement,
    /// The non-linearity.
    pub activation: Activation,
    /// How fast units forget.
    pub time_constants: SymbolTimeConstants,
    /// How a time constant becomes the leak of a step.
    pub integration: Integration,
    /// Whether units act on themselves, beside their leak.
    pub self_connections: SelfConnections,
    /// The state before the first step; what is left out of it is 0.
    pub initial_state: InitialState,
}

/// Time constants of units, counted in symbols.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SymbolTimeConstants {
    /// Least value at the start.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub low: f64,
    /// Greatest value at the start; where it is equal to `low`, all start there.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub high: f64,
    /// Mean over units at the start: what was drawn is multiplied by this over its own mean. Left out, it stays as drawn.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Whether they are learned.
    pub trainable: bool,
    /// Whether all units have the same one.
    pub shared: bool,
}

/// The name it is registered by.
pub(crate) const NAME: &str = "continuous-rnn";

impl Default for SymbolTimeConstants {
    fn default() -> Self {
        Self { low: 1.0, high: 2.0, mean: None, trainable: true, shared: false }
    }
}

impl Default for ContinuousRnn {
    fn default() -> Self {
        Self {
            hidden: 500,
            placement: Placement::Drive,
            activation: Activation::LeakyRelu,
            time_constants: SymbolTimeConstants::default(),
            integration: Integration::Euler,
            self_connections: SelfConnections::Masked,
            initial_state: InitialState { low: 0.0, high: 0.1, ..InitialState::default() },
        }
    }
}

impl ContinuousRnn {
    /// The same cell by its general name.
    pub fn leaky_rnn(&self) -> LeakyRnn {
        let SymbolTimeConstants { low, high, mean, trainable, shared } = self.time_constants;
        LeakyRnn {
            hidden: self.hidden,
            placement: self.placement,
            activation: self.activation,
            // Nothing but the step bounds them.
            time_constants: TimeConstants {
                unit: Unit::Symbols,
                low,
                high,
                mean,
                trainable,
                shared,
                least: 0.0,
                last: None,
            },
            integration: self.integration,
            recurrent_bias: true,
            self_connections: self.self_connections,
            initial_state: self.initial_state,
            ..LeakyRnn::default()
        }
    }
}

#[typetag::serde(name = "continuous-rnn")]
impl Cell for ContinuousRnn {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        self.leaky_rnn().check(registry, problems);
    }

    fn provides(&self, registry: &Registry) -> Properties {
        self.leaky_rnn().provides(registry)
    }

    fn needs(&self, registry: &Registry) -> Properties {
        self.leaky_rnn().needs(registry)
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        self.leaky_rnn().build(context, stream)
    }
}

synfire::inventory::submit! { Component::cell::<ContinuousRnn>(NAME) }

#[cfg(test)]
mod tests;
