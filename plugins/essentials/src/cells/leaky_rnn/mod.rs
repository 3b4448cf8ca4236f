//! The general rate network.

mod dynamics;
pub(in crate::cells) mod noise;
mod populations;
mod recurrent;
#[cfg(test)]
mod tests;
mod time_constants;

pub use noise::{Noise, NoiseKind};
pub use populations::{Heads, LastUnits, Span};
pub use recurrent::{Dale, Recurrent, RecurrentStart, SelfConnections, Signs};
pub use time_constants::{Integration, TimeConstants, Unit};

use super::projection::{INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS};
use super::start;
use dynamics::Leaky;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::recurrence::{Activation, Placement};
use synfire::{BuildContext, Cell, Component, Network, Problems, Properties, Property, Registry, Result, Stream};

/// Name of the time constants, `[unit]` or `[1]`, among parameters.
pub const TIME_CONSTANTS: &str = "time_constants";
/// Name of the learned initial state `[unit]`, among parameters.
pub const INITIAL_STATE: &str = "initial_state";
/// Name of the state tensor `[batch, unit]`.
pub const ACTIVITY: &str = "activity";

/// Rate network whose units leak with time constants of their own.
///
/// With the rate `r` (or current `v`), `z = W r + b_rec + W_in x + b_in + noise` and the leak `alpha` of each unit, one step is
///
/// - `placement = "drive"`:   `r' = (1 - alpha) r + alpha f(z)`
/// - `placement = "whole"`:   `r' = f((1 - alpha) r + alpha z)`
/// - `placement = "current"`: `v' = (1 - alpha) v + alpha z`, with `r = f(v)`
///
/// where `alpha = dt / tau`, or `1 - exp(-dt / tau)` with `integration = "exact"`. Heads read `r`, or `v` with `reads = "state"`. With a
/// `rate_offset` units send `r` plus that number to each other. Clamped units keep the state that they are given; heads read them too. A drive from rules, feedback or
/// perturbations `[batch, unit]` is added to `z`.
///
/// parameters `time_constants` `[hidden]` or `[1]`, `input.weight` `[hidden, input]`, `input.bias` `[hidden]`, `recurrent.weight`
/// `[hidden, hidden]` (row = target, column = source; with a rank `recurrent.left` and `recurrent.right` `[hidden, rank]`),
/// `recurrent.bias` `[hidden]`, `recurrent.mask` `[hidden, hidden]` and `initial_state` `[hidden]`
/// state      `activity` `[batch, hidden]`: `r`, or `v` with `placement = "current"`
///
/// The cell of Khajehabdollahi et al. 2024, arXiv:2309.12927, is `placement = "whole"`, `activation = "leaky-relu"`,
/// `time_constants = { low = 1, high = 2, trainable = true }`, `self_connections = "zeroed"`, `recurrent_bias = true`,
/// `initial_state = { high = 0.1 }`; with `placement = "drive"` it is their modified cell.
///
/// Source: Sompolinsky, Crisanti & Sommers 1988, doi:10.1103/PhysRevLett.61.259, for the current form; Yang et al. 2019,
/// doi:10.1038/s41593-018-0310-2, for the drive form, its step `alpha = 0.2` and its noise; Song, Yang & Wang 2016,
/// doi:10.1371/journal.pcbi.1004792, for Dale's principle through `|W|`; Mastrogiuseppe & Ostojic 2018,
/// doi:10.1016/j.neuron.2018.07.003, for the low rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyRnn {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Where the non-linearity stands.
    pub placement: Placement,
    /// The non-linearity.
    pub activation: Activation,
    /// How fast units forget.
    pub time_constants: TimeConstants,
    /// How a time constant becomes a leak.
    pub integration: Integration,
    /// What the input weights start from.
    pub input: Input,
    /// Whether the input has a bias; it starts as PyTorch's linear layers do where the weights do, else at `input.bias_deviation`.
    pub input_bias: bool,
    /// What the recurrent weights start from, and how many there are.
    pub recurrent: Recurrent,
    /// Whether the recurrent product has a bias of its own, as in code with two linear layers; it starts like the input's.
    pub recurrent_bias: bool,
    /// Whether units act on themselves, beside their leak.
    pub self_connections: SelfConnections,
    /// Dale's principle: each unit excites, or inhibits, all its targets. Absent: signs are free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dale: Option<Dale>,
    /// Rank of the recurrent weights. Absent: full.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Noise in the input of every unit.
    pub noise: Noise,
    /// The state before the first step.
    pub initial_state: InitialState,
    /// What heads read.
    pub heads: Heads,
    /// Whether heads read rates or states.
    #[serde(skip_serializing_if = "is_default")]
    pub reads: Reads,
    /// What units send to each other beside their rate; `1` with tanh gives rates from 0 to 2.
    #[serde(skip_serializing_if = "is_default")]
    pub rate_offset: f64,
    /// Units whose state never changes, each as `[unit, state]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clamped: Vec<(usize, f64)>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What heads read of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Its rate.
    #[default]
    Rate,
    /// Its state: the current, with `placement = "current"`.
    State,
}

/// What input weights start from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// Their distribution.
    pub start: InputStart,
    /// What they are multiplied with at the start.
    #[schemars(range(min = 0.0))]
    pub gain: f64,
    /// Standard deviation of the biases at the start, where the weights are normal.
    #[schemars(range(min = 0.0))]
    pub bias_deviation: f64,
    /// The units that receive the input; left out, all. The weights of the others are 0 and stay so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Span>,
}

/// The distribution that input weights start from; `inputs` is the number of input channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputStart {
    /// Uniform in ±gain/√inputs, as PyTorch's linear layers.
    #[default]
    FanInUniform,
    /// Normal with standard deviation gain/√inputs.
    Normal,
    /// Normal with standard deviation gain, whatever the number of channels.
    UnitNormal,
}

/// The state before the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InitialState {
    /// Least value.
    pub low: f64,
    /// Greatest value; where it is equal to `low`, the state is that constant.
    pub high: f64,
    /// Standard deviation of a normal number that is added.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "is_default")]
    pub deviation: f64,
    /// Draw one value per unit when the network is built, for all trials, and learn it; else one per unit and trial.
    pub trainable: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { start: InputStart::default(), gain: 1.0, bias_deviation: 0.0, units: None }
    }
}

impl Default for LeakyRnn {
    fn default() -> Self {
        Self {
            hidden: 100,
            placement: Placement::default(),
            activation: Activation::default(),
            time_constants: TimeConstants::default(),
            integration: Integration::default(),
            input: Input::default(),
            input_bias: true,
            recurrent: Recurrent::default(),
            recurrent_bias: false,
            self_connections: SelfConnections::default(),
            dale: None,
            rank: None,
            noise: Noise::default(),
            initial_state: InitialState::default(),
            heads: Heads::default(),
            reads: Reads::default(),
            rate_offset: 0.0,
            clamped: Vec::new(),
        }
    }
}

impl LeakyRnn {
    fn check_fields(&self, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
        problems.inside("time_constants", |p| self.time_constants.check(p));
        problems.inside("noise", |p| self.noise.check(p));
        problems.inside("input", |p| self.input.check(self.hidden, p));
        problems.inside("heads", |p| self.heads.check(self.hidden, p));
        problems.inside("recurrent", |p| self.recurrent.check(p));
        if let Some(dale) = &self.dale {
            problems.inside("dale", |p| dale.check(p));
            if self.rank.is_some() {
                problems.add("rank", "cannot be combined with dale", "signs by source need full rank; leave one out");
            } else if self.recurrent.start == RecurrentStart::Identity {
                let remedy = "connections that start at 0 keep no sign and never grow; use another start";
                problems.add("recurrent.start", "is identity, which does not go with dale", remedy);
            }
        }
        let clipped = self.dale.is_some_and(|dale| dale.signs == Signs::Clipped);
        if self.recurrent.start == RecurrentStart::InDegree && !clipped {
            let remedy = "add dale = { signs = \"clipped\" }, by which connections that start at 0 can grow";
            problems.add("recurrent.start", "is in-degree, which needs signs by source", remedy);
        }
        if let Some(rank) = self.rank {
            let rule = format!("between 1 and hidden = {}", self.hidden);
            problems.require((1..=self.hidden).contains(&rank), "rank", rank, &rule);
        }
        let InitialState { low, high, deviation, .. } = self.initial_state;
        problems.inside("initial_state", |p| {
            check_range(low, high, p);
            p.require(is_scale(deviation), "deviation", deviation, "at least 0");
        });
        problems.require(self.rate_offset.is_finite(), "rate_offset", self.rate_offset, "a finite number");
        let stays = self.clamped.is_empty() || self.placement != Placement::Whole;
        problems.require(stays, "clamped", "given", "left out with placement = \"whole\", whose units keep no state");
        for (i, (unit, state)) in self.clamped.iter().enumerate() {
            let fits = *unit < self.hidden && state.is_finite();
            let rule = "a unit below hidden and a finite state";
            problems.require(fits, &format!("clamped[{i}]"), format_args!("[{unit}, {state}]"), rule);
        }
    }

    /// The input's bias at the start.
    fn input_bias(&self, inputs: usize, context: &BuildContext, stream: &mut Stream) -> synfire::tch::Tensor {
        match self.input.start {
            InputStart::FanInUniform => self.bias(true, inputs, context, stream),
            _ => start::normal(&[self.hidden as i64], self.input.bias_deviation, context, stream),
        }
    }

    fn bias(&self, uniform: bool, fan_in: usize, context: &BuildContext, stream: &mut Stream) -> synfire::tch::Tensor {
        let bound = if uniform { 1.0 / (fan_in.max(1) as f64).sqrt() } else { 0.0 };
        start::uniform(&[self.hidden as i64], bound, context, stream)
    }
}

impl Input {
    fn check(&self, hidden: usize, problems: &mut Problems) {
        problems.require(is_scale(self.gain), "gain", self.gain, "at least 0");
        problems.require(is_scale(self.bias_deviation), "bias_deviation", self.bias_deviation, "at least 0");
        if self.bias_deviation > 0.0 && self.start == InputStart::FanInUniform {
            let remedy = "use a normal start, or leave it out";
            problems.add("bias_deviation", "goes with normal weights, but start is fan-in-uniform", remedy);
        }
        if let Some(units) = &self.units {
            problems.inside("units", |p| units.check(hidden, p));
        }
    }
}

/// Whether a number can scale weights or noise.
fn is_scale(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn check_range(low: f64, high: f64, problems: &mut Problems) {
    problems.require(low.is_finite(), "low", low, "finite");
    problems.require(high.is_finite() && high >= low, "high", high, &format!("at least low = {low}"));
}

#[typetag::serde(name = "leaky-rnn")]
impl Cell for LeakyRnn {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.check_fields(problems);
    }

    fn provides(&self, _: &Registry) -> Properties {
        let mut all = Properties::from([
            Property::Gradient,
            Property::AdditiveDrive,
            Property::RateForm,
            Property::TimeConstants,
            Property::LinearReadout,
        ]);
        if self.heads.units.is_some() {
            // Rules that solve for the readout take it to see every unit.
            all.remove(&Property::LinearReadout);
        }
        all
    }

    fn needs(&self, _: &Registry) -> Properties {
        self.time_constants.needs()
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        self.time_constants.fits(self.integration, context.task.dt_ms)?;
        let inputs = context.task.inputs.len();
        let mut parameters = synfire::Tensors::new();
        parameters.insert(TIME_CONSTANTS, self.time_constants.draw(self.hidden, context, stream));

        let shape = [self.hidden as i64, inputs as i64];
        let (gain, fan_in) = (self.input.gain, (inputs.max(1) as f64).sqrt());
        let mut draw = stream.child(INPUT_WEIGHT);
        let weight = match self.input.start {
            InputStart::FanInUniform => start::uniform(&shape, gain / fan_in, context, &mut draw),
            InputStart::Normal => start::normal(&shape, gain / fan_in, context, &mut draw),
            InputStart::UnitNormal => start::normal(&shape, gain, context, &mut draw),
        };
        let weight = match &self.input.units {
            Some(units) => weight.f_mul(&units.mask(self.hidden, &weight))?,
            None => weight,
        };
        parameters.insert(INPUT_WEIGHT, weight);
        if self.input_bias {
            parameters.insert(INPUT_BIAS, self.input_bias(inputs, context, &mut stream.child(INPUT_BIAS)));
        }

        recurrent::draw(self, context, stream, &mut parameters)?;
        if self.recurrent_bias {
            let uniform = self.recurrent.start == RecurrentStart::FanInUniform;
            let bias = self.bias(uniform, self.hidden, context, &mut stream.child(RECURRENT_BIAS));
            parameters.insert(RECURRENT_BIAS, bias);
        }
        recurrent::draw_mask(self, context, stream, &mut parameters);
        let InitialState { low, high, deviation, trainable } = self.initial_state;
        if trainable {
            let mut draw = stream.child(INITIAL_STATE);
            let mut state = draw.uniform_tensor(&[self.hidden as i64], low, high, context.kind, context.device);
            if deviation > 0.0 {
                state += draw.normal_tensor(&[self.hidden as i64], context.kind, context.device) * deviation;
            }
            parameters.insert(INITIAL_STATE, state);
        }
        let readout = self.heads.readout(self.hidden, context.task.outputs);
        Ok(Network { parameters, dynamics: Box::new(Leaky { cell: self.clone() }), readout })
    }
}

synfire::inventory::submit! { Component::cell::<LeakyRnn>("leaky-rnn") }
