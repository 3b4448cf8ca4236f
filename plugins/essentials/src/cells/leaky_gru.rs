//! Gated units that leak.

use super::leaky_rnn::{Integration, Noise, TIME_CONSTANTS, TimeConstants, noise};
use super::projection::{
    BIAS, INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS, RECURRENT_WEIGHT, add_biases, draw_layer, project, silent_state,
};
use super::start;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::network::Readout;
use synfire::recurrence::{Activation, CANDIDATE_BIAS, GatedForm, Gates, LEAK, ResetGate};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Network, Problems, Properties, Property, Registry, Result, Stream, Tensors,
};

/// Name of the state tensor `[batch, unit]`.
const HIDDEN: &str = "hidden";
/// Names of the gates `[batch, unit]`.
const RESET_GATE: &str = "reset";
const UPDATE_GATE: &str = "update";

/// Gated recurrent units that leak: the update gate scales a leak with a time constant.
///
/// Where the gate is open they are a rate network, where it is shut they remember.
///
/// With blocks of `a = W_in x + b_in` and `W h + b_rec`, in the order r, u, c (without reset u, c), and the leak `alpha = dt / tau`, or
/// `1 - exp(-dt / tau)` with `integration = "exact"`:
///
/// - `r = sigmoid(a_r + W_r h + b_r)`, `u = sigmoid(a_u + W_u h + b_u)`
/// - `c = f(a_c + r (W_c h + b_c) + noise)` with `reset = "after-product"`, `f(a_c + W_c (r h) + b_c + noise)` with
///   `"before-product"`, `f(a_c + W_c h + b_c + noise)` with `"none"`
/// - `h' = (1 - alpha u) h + alpha u c`
///
/// from `h = 0`. Heads read `h`. A drive `[batch, unit]` is added to the candidate's input `a_c`.
///
/// parameters `time_constants` `[hidden]` or `[1]`, `input.weight` `[blocks hidden, input]`, `recurrent.weight`
/// `[blocks hidden, hidden]`, `input.bias`, `recurrent.bias` `[blocks hidden]`
/// state      `hidden` `[batch, hidden]`
/// gates      `update` u and, with a reset, `reset` r `[batch, hidden]`
///
/// Source: Yang et al. 2019, doi:10.1038/s41593-018-0310-2, is `reset = "before-product"`, `weights = "glorot-uniform"`, `gate_bias = 1`
/// and `noise = { sigma = 0.05, kind = "continuous" }`; Cho et al. 2014, arXiv:1406.1078, for the gates. Differs: the biases of input and
/// recurrent product are two, which add up wherever the reset does not stand between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyGru {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// The non-linearity of the candidate.
    pub activation: Activation,
    /// Where the reset gate acts.
    pub reset: ResetGate,
    /// How fast units move where their update gate is open.
    pub time_constants: TimeConstants,
    /// How a time constant becomes a leak.
    pub integration: Integration,
    /// What weights start from.
    pub weights: WeightStart,
    /// What is added to the biases of the gates at the start; above 0, gates begin open.
    pub gate_bias: f64,
    /// Noise in the input of every candidate.
    pub noise: Noise,
}

/// What gated weights start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightStart {
    /// Weights and biases uniform in ±1/√hidden, as PyTorch's `GRU`.
    #[default]
    FanInUniform,
    /// Weights uniform in ±√(6 / (fan in + fan out)) over input and state together, gates and candidate each for themselves; biases 0.
    /// Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    GlorotUniform,
}

impl Default for LeakyGru {
    fn default() -> Self {
        Self {
            hidden: 100,
            activation: Activation::Tanh,
            reset: ResetGate::default(),
            time_constants: TimeConstants::default(),
            integration: Integration::default(),
            weights: WeightStart::default(),
            gate_bias: 0.0,
            noise: Noise::default(),
        }
    }
}

impl LeakyGru {
    /// Gates of each unit.
    fn gates(&self) -> usize {
        if self.reset == ResetGate::None { 1 } else { 2 }
    }

    fn blocks(&self) -> usize {
        self.gates() + 1
    }

    /// One number for each row of the blocks: `first` for gates before the last, `update` for the last, `candidate` for the rest.
    fn by_row(&self, [first, update, candidate]: [f64; 3], like: &Tensor) -> Tensor {
        let values: Vec<f64> = match self.gates() {
            1 => [update, candidate].into(),
            _ => [first, update, candidate].into(),
        };
        let rows = values.iter().flat_map(|value| std::iter::repeat_n(*value, self.hidden)).collect::<Vec<_>>();
        Tensor::from_slice(&rows).to_kind(like.kind()).to_device(like.device())
    }

    fn draw(&self, context: &BuildContext, stream: &Stream) -> Result<Tensors> {
        let mut parameters = draw_layer(self.hidden, self.blocks(), context, stream);
        if self.weights == WeightStart::GlorotUniform {
            let (hidden, fan_in) = (self.hidden as f64, (context.task.inputs.len() + self.hidden) as f64);
            let bound = |blocks: usize| (6.0 / (fan_in + blocks as f64 * hidden)).sqrt();
            for name in [INPUT_WEIGHT, RECURRENT_WEIGHT] {
                let shape = parameters.get(name)?.size();
                let ones = start::uniform(&shape, 1.0, context, &mut stream.child(name));
                let bounds = self.by_row([bound(self.gates()), bound(self.gates()), bound(1)], &ones);
                parameters.insert(name, ones.f_mul(&bounds.f_unsqueeze(1)?)?);
            }
            for name in [INPUT_BIAS, RECURRENT_BIAS] {
                parameters.insert(name, parameters.get(name)?.f_zeros_like()?);
            }
        }
        let bias = parameters.get(INPUT_BIAS)?;
        let bias = bias.f_add(&self.by_row([self.gate_bias, self.gate_bias, 0.0], bias))?;
        parameters.insert(INPUT_BIAS, bias);
        Ok(parameters)
    }
}

#[typetag::serde(name = "leaky-gru")]
impl Cell for LeakyGru {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
        problems.require(self.gate_bias.is_finite(), "gate_bias", self.gate_bias, "a finite number");
        problems.inside("time_constants", |p| self.time_constants.check(p));
        problems.inside("noise", |p| self.noise.check(p));
    }

    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([
            Property::Gradient,
            Property::AdditiveDrive,
            Property::Gates,
            Property::TimeConstants,
            Property::LinearReadout,
        ])
    }

    fn needs(&self, _: &Registry) -> Properties {
        self.time_constants.needs()
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        self.time_constants.fits(self.integration, context.task.dt_ms)?;
        let mut parameters = Tensors::from([(TIME_CONSTANTS, self.time_constants.draw(self.hidden, context, stream))]);
        self.draw(context, stream)?.iter().for_each(|(name, t)| parameters.insert(name, t.shallow_clone()));
        let dynamics = Box::new(Gated { cell: self.clone() });
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

synfire::inventory::submit! { Component::cell::<LeakyGru>("leaky-gru") }

/// The equations of a [`LeakyGru`].
///
/// Prepared tensors have the update gate's rows with the other sign: what is then read is `1 - u`, the share that is kept.
#[derive(Debug)]
struct Gated {
    cell: LeakyGru,
}

/// What a step works with, each `[batch, unit]`.
struct Blocks {
    reset: Option<Tensor>,
    /// `1 - u`
    kept: Tensor,
    candidate: Tensor,
}

impl Gated {
    fn blocks(
        &self,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Blocks> {
        let (units, hidden) = (self.cell.hidden as i64, state.get(HIDDEN)?);
        let (weight, gates) = (prepared.get(RECURRENT_WEIGHT)?, self.cell.gates() as i64);
        let block = |t: &Tensor, from: i64, count: i64| t.f_narrow(1, from * units, count * units);
        let mut input = block(projected, gates, 1)?;
        if let Some(drive) = drive {
            input = input.f_add(drive)?;
        }
        let before_product = self.cell.reset == ResetGate::BeforeProduct;
        // All blocks in one product, unless the candidate's must wait for the reset gate.
        let recurrent = match before_product {
            true => hidden.f_matmul(&block(weight, 0, gates)?)?,
            false => hidden.f_matmul(weight)?,
        };
        let open = block(projected, 0, gates)?.f_add(&block(&recurrent, 0, gates)?)?.f_sigmoid()?;
        let reset = (gates == 2).then(|| block(&open, 0, 1)).transpose()?;
        let input = match &reset {
            None => input.f_add(&block(&recurrent, gates, 1)?)?,
            Some(reset) if before_product => input.f_addmm(&reset.f_mul(hidden)?, &block(weight, gates, 1)?)?,
            Some(reset) => {
                let from_units = block(&recurrent, gates, 1)?.f_add(prepared.get(CANDIDATE_BIAS)?)?;
                input.f_addcmul(reset, &from_units)?
            }
        };
        Ok(Blocks { reset, kept: block(&open, gates - 1, 1)?, candidate: self.cell.activation.apply(&input) })
    }
}

impl Dynamics for Gated {
    fn units(&self) -> usize {
        self.cell.hidden
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        let (cell, units) = (&self.cell, self.cell.hidden as i64);
        let [recurrent, input] = [RECURRENT_WEIGHT, INPUT_WEIGHT].map(|name| parameters.get(name));
        let (recurrent, input) = (recurrent?, input?);
        let signs = cell.by_row([1.0, -1.0, 1.0], input);
        let of_rows = signs.f_unsqueeze(1)?;
        let recurrent_bias = parameters.get(RECURRENT_BIAS)?;
        let mut prepared = Tensors::from([
            (RECURRENT_WEIGHT, recurrent.f_mul(&of_rows)?.f_transpose(0, 1)?),
            (INPUT_WEIGHT, input.f_mul(&of_rows)?),
        ]);
        let outside = if cell.reset == ResetGate::AfterProduct {
            let gates = cell.gates() as i64 * units;
            prepared.insert(CANDIDATE_BIAS, recurrent_bias.f_narrow(0, gates, units)?);
            recurrent_bias.f_narrow(0, 0, gates)?.f_constant_pad_nd([0, units])?
        } else {
            recurrent_bias.shallow_clone()
        };
        prepared.insert(BIAS, add_biases(parameters.get(INPUT_BIAS)?, &outside)?.f_mul(&signs)?);
        let leak = cell.time_constants.leak(parameters.get(TIME_CONSTANTS)?, cell.integration, setting)?;
        cell.noise.prepare((&cell.time_constants, cell.integration), setting, &leak, &mut prepared)?;
        prepared.insert(LEAK, leak);
        Ok(prepared)
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        silent_state(&[HIDDEN], self.cell.hidden, prepared, batch)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        project(prepared, inputs)
    }

    fn noise(
        &self,
        prepared: &Tensors,
        time: usize,
        batch: usize,
        before: Option<&Tensor>,
        stream: &mut Stream,
    ) -> Result<Option<Tensor>> {
        let like = prepared.get(INPUT_WEIGHT)?;
        let shape = [time as i64, batch as i64, self.cell.hidden as i64];
        // None for the gates, which stand before.
        let gates = (self.cell.gates() * self.cell.hidden) as i64;
        let before = before.map(|noise| noise.f_narrow(1, gates, self.cell.hidden as i64)).transpose()?;
        let of_candidate = noise::draw(prepared, shape, (like.kind(), like.device()), before.as_ref(), stream)?;
        Ok(of_candidate.map(|noise| noise.f_constant_pad_nd([gates, 0])).transpose()?)
    }

    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let before = state.get(HIDDEN)?;
        let Blocks { kept, candidate, .. } = self.blocks(prepared, state, projected, drive)?;
        let share = kept.f_neg()?.f_add_scalar(1.0)?.f_mul(prepared.get(LEAK)?)?;
        Ok(Tensors::from([(HIDDEN, before.f_lerp_tensor(&candidate, &share)?)]))
    }

    fn gates(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let Blocks { reset, kept, .. } = self.blocks(prepared, state, projected, drive)?;
        let update = kept.f_neg()?.f_add_scalar(1.0)?;
        Ok(reset
            .map(|reset| (RESET_GATE.to_string(), reset))
            .into_iter()
            .chain([(UPDATE_GATE.into(), update)])
            .collect())
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get(HIDDEN)?.shallow_clone())
    }

    fn constant(&self, parameter: &str) -> bool {
        parameter == TIME_CONSTANTS && !self.cell.time_constants.trainable
    }

    fn form(&self, _: &Setting) -> Form {
        // Noise whose size follows from a learned leak is differentiated, too.
        let learned = self.cell.time_constants.trainable && self.cell.noise.sigma != 0.0;
        if learned {
            return Form::Opaque;
        }
        let gates = Gates::Unit { reset: self.cell.reset, candidate: self.cell.activation };
        Form::Gated(GatedForm { gates, hidden: HIDDEN.into(), cell: None })
    }
}

#[cfg(test)]
mod tests;
