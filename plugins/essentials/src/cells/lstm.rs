//! The long short-term memory network.

use super::projection::{
    BIAS, INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS, RECURRENT_WEIGHT, add_biases, draw_layer, project, silent_state,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Dynamics, Setting};
use synfire::network::Readout;
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Network, Problems, Properties, Property, Registry, Result, Stream, Tensors,
};

/// Names of the state tensors `[batch, unit]`.
const HIDDEN: &str = "hidden";
const CELL: &str = "cell";

/// Long short-term memory: a gated cell beside each unit.
///
/// With the four blocks of `z = W_in x + b_in + W h + b_rec`, in the order i, f, g, o:
///
/// - `c' = sigmoid(z_f) c + sigmoid(z_i) tanh(z_g)`
/// - `h' = sigmoid(z_o) tanh(c')`
///
/// from `h = c = 0`. Heads read `h`. A drive `[batch, unit]` is added to the cell's input `z_g`.
///
/// parameters `input.weight` `[4 hidden, input]`, `recurrent.weight` `[4 hidden, hidden]`, `input.bias`, `recurrent.bias`
/// `[4 hidden]`; all start uniform in ±1/√hidden, as PyTorch's `LSTM`
/// state      `hidden` and `cell` `[batch, hidden]`
///
/// Source: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, with the forget gate of Gers, Schmidhuber & Cummins 2000,
/// doi:10.1162/089976600300015015. Differs: no peepholes; two biases, as PyTorch has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lstm {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// What the bias of the forget gates starts from, all of it in `input.bias`; large values make long memories at the start.
    /// Absent: drawn like the other biases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_bias: Option<f64>,
}

impl Default for Lstm {
    fn default() -> Self {
        Self { hidden: 100, forget_bias: None }
    }
}

#[typetag::serde(name = "lstm")]
impl Cell for Lstm {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
        if let Some(bias) = self.forget_bias {
            problems.require(bias.is_finite(), "forget_bias", bias, "finite");
        }
    }

    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::LinearReadout])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let parameters = draw_layer(self.hidden, 4, context, stream);
        if let Some(start) = self.forget_bias {
            let hidden = self.hidden as i64;
            for (name, value) in [(INPUT_BIAS, start), (RECURRENT_BIAS, 0.0)] {
                drop(parameters.get(name)?.f_narrow(0, hidden, hidden)?.f_fill_(value)?);
            }
        }
        let dynamics = Box::new(Gated { hidden: self.hidden });
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

synfire::inventory::submit! { Component::cell::<Lstm>("lstm") }

/// The equations of an [`Lstm`].
#[derive(Debug)]
struct Gated {
    hidden: usize,
}

impl Dynamics for Gated {
    fn units(&self) -> usize {
        self.hidden
    }

    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        let recurrent = parameters.get(RECURRENT_WEIGHT)?.f_transpose(0, 1)?;
        let bias = add_biases(parameters.get(INPUT_BIAS)?, parameters.get(RECURRENT_BIAS)?)?;
        let input = parameters.get(INPUT_WEIGHT)?.shallow_clone();
        Ok(Tensors::from([(RECURRENT_WEIGHT, recurrent), (INPUT_WEIGHT, input), (BIAS, bias)]))
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        silent_state(&[HIDDEN, CELL], self.hidden, prepared, batch)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        project(prepared, inputs)
    }

    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let all = projected.f_addmm(state.get(HIDDEN)?, prepared.get(RECURRENT_WEIGHT)?)?;
        let hidden = self.hidden as i64;
        let block = |i: i64| all.f_narrow(1, i * hidden, hidden);
        let candidate = match drive {
            Some(drive) => block(2)?.f_add(drive)?,
            None => block(2)?,
        };
        let entering = block(0)?.f_sigmoid()?.f_mul(&candidate.f_tanh()?)?;
        let cell = entering.f_addcmul(&block(1)?.f_sigmoid()?, state.get(CELL)?)?;
        let activity = block(3)?.f_sigmoid()?.f_mul(&cell.f_tanh()?)?;
        Ok(Tensors::from([(HIDDEN, activity), (CELL, cell)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get(HIDDEN)?.shallow_clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::testing::{self, Probe};
    use synfire::tensors::values_f64;

    #[test]
    fn outputs_and_gradients_are_those_of_pytorch() {
        testing::meets_pytorch("lstm", &Lstm { hidden: 4, forget_bias: None });
    }

    #[test]
    fn gradients_meet_finite_differences() {
        for probe in Probe::kinds() {
            testing::gradient_meets_differences(&Lstm { hidden: 5, forget_bias: None }, &probe);
        }
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_the_threads() {
        testing::bytes_depend_on_the_seed_alone(&Lstm { hidden: 20, forget_bias: None });
    }

    #[test]
    fn a_drive_adds_to_the_input_of_the_cell() {
        testing::drive_is_an_input_bias(&Lstm { hidden: 4, forget_bias: None }, 2);
    }

    #[test]
    fn the_forget_bias_starts_where_it_is_told() {
        let network = testing::network(&Lstm { hidden: 3, forget_bias: Some(1.5) }, &Probe::default());
        let of = |name: &str| values_f64(network.parameters.get(name).expect("there"));
        assert_eq!(of(INPUT_BIAS)[3..6], [1.5; 3]);
        assert_eq!(of(RECURRENT_BIAS)[3..6], [0.0; 3]);
        assert!(of(INPUT_BIAS)[..3].iter().chain(&of(RECURRENT_BIAS)[6..]).all(|b| *b != 0.0 && b.abs() < 0.58));
    }

    #[test]
    fn a_forget_bias_without_a_value_is_refused() {
        let text = testing::problems(&Lstm { hidden: 1, forget_bias: Some(f64::NAN) });
        assert_eq!(text, "cell.forget_bias is NaN, must be finite");
    }
}
