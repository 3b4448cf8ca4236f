//! The long short-term memory network.

use super::projection::{
    BIAS, INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS, RECURRENT_WEIGHT, add_biases, draw_layer, project, silent_state,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::network::Readout;
use synfire::recurrence::{GatedForm, Gates};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Network, Problems, Properties, Property, Registry, Result, Stream, Tensors,
};

/// Names of the state tensors `[batch, unit]`.
const HIDDEN: &str = "hidden";
const CELL: &str = "cell";
/// Names of the gates `[batch, unit]`.
const INPUT_GATE: &str = "input";
const FORGET_GATE: &str = "forget";
const OUTPUT_GATE: &str = "output";

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
/// gates      `input` sigmoid(z_i), `forget` sigmoid(z_f) and `output` sigmoid(z_o) `[batch, hidden]`
///
/// Source: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, with the forget gate of Gers, Schmidhuber & Cummins 2000,
/// doi:10.1162/089976600300015015; the forget gates that start from ones are those of the LSTMs of Khajehabdollahi et al. 2024,
/// arXiv:2309.12927, in an older variant. Differs: no peepholes; two biases, as PyTorch has.
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
    /// What the weights of the forget gates start from.
    pub forget_gate: ForgetGate,
}

/// What the weights of the forget gates start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForgetGate {
    /// Drawn like all others.
    #[default]
    Drawn,
    /// Input weights, recurrent weights and both biases are 1: the gates are wide open while units are active.
    Ones,
}

impl Default for Lstm {
    fn default() -> Self {
        Self { hidden: 100, forget_bias: None, forget_gate: ForgetGate::Drawn }
    }
}

#[typetag::serde(name = "lstm")]
impl Cell for Lstm {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
        if let Some(bias) = self.forget_bias {
            problems.require(bias.is_finite(), "forget_bias", bias, "finite");
            if self.forget_gate == ForgetGate::Ones {
                let problem = "cannot be combined with forget_gate = \"ones\", which sets the biases too";
                problems.add("forget_bias", problem, "leave one out");
            }
        }
    }

    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::Gates, Property::LinearReadout])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let parameters = draw_layer(self.hidden, 4, context, stream);
        let hidden = self.hidden as i64;
        let start_at = |name: &str, value: f64| -> Result<()> {
            drop(parameters.get(name)?.f_narrow(0, hidden, hidden)?.f_fill_(value)?);
            Ok(())
        };
        if let Some(start) = self.forget_bias {
            start_at(INPUT_BIAS, start)?;
            start_at(RECURRENT_BIAS, 0.0)?;
        }
        if self.forget_gate == ForgetGate::Ones {
            [INPUT_WEIGHT, RECURRENT_WEIGHT, INPUT_BIAS, RECURRENT_BIAS]
                .into_iter()
                .try_for_each(|n| start_at(n, 1.0))?;
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

/// What a step works with, each `[batch, unit]`.
struct Blocks {
    input: Tensor,
    forget: Tensor,
    /// `z_g`, before drive and non-linearity.
    candidate: Tensor,
    output: Tensor,
}

impl Gated {
    /// The gates and the cell's input, from one product.
    fn blocks(&self, prepared: &Tensors, state: &Tensors, projected: &Tensor) -> Result<Blocks> {
        let all = projected.f_addmm(state.get(HIDDEN)?, prepared.get(RECURRENT_WEIGHT)?)?;
        let hidden = self.hidden as i64;
        let block = |i: i64| all.f_narrow(1, i * hidden, hidden);
        Ok(Blocks {
            input: block(0)?.f_sigmoid()?,
            forget: block(1)?.f_sigmoid()?,
            candidate: block(2)?,
            output: block(3)?.f_sigmoid()?,
        })
    }
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
        let Blocks { input, forget, mut candidate, output } = self.blocks(prepared, state, projected)?;
        if let Some(drive) = drive {
            candidate = candidate.f_add(drive)?;
        }
        let cell = input.f_mul(&candidate.f_tanh()?)?.f_addcmul(&forget, state.get(CELL)?)?;
        let activity = output.f_mul(&cell.f_tanh()?)?;
        Ok(Tensors::from([(HIDDEN, activity), (CELL, cell)]))
    }

    fn gates(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        _: Option<&Tensor>,
    ) -> Result<Tensors> {
        let Blocks { input, forget, output, .. } = self.blocks(prepared, state, projected)?;
        Ok(Tensors::from([(INPUT_GATE, input), (FORGET_GATE, forget), (OUTPUT_GATE, output)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get(HIDDEN)?.shallow_clone())
    }

    fn form(&self, _: &Setting) -> Form {
        Form::Gated(GatedForm { gates: Gates::Memory, hidden: HIDDEN.into(), cell: Some(CELL.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::testing::{self, Probe};
    use synfire::tensors::values_f64;

    #[test]
    fn outputs_and_gradients_are_those_of_pytorch() {
        testing::meets_pytorch("lstm", &Lstm { hidden: 4, ..Lstm::default() });
    }

    #[test]
    fn the_explicit_adjoint_is_the_gradient() {
        let cell = Lstm { hidden: 7, ..Lstm::default() };
        for probe in Probe::kinds() {
            testing::adjoint_is_autograd(&cell, &probe, 67, None);
            testing::adjoint_is_autograd(&cell, &Probe { time: 13, ..probe }, 2, Some(5));
        }
    }

    #[test]
    fn gradients_meet_finite_differences() {
        for probe in Probe::kinds() {
            testing::gradient_meets_differences(&Lstm { hidden: 5, ..Lstm::default() }, &probe);
        }
    }

    #[test]
    fn heads_are_heard_without_states() {
        testing::heads_are_heard_without_states(&Lstm { hidden: 7, ..Lstm::default() });
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_the_threads() {
        testing::bytes_depend_on_the_seed_alone(&Lstm { hidden: 20, ..Lstm::default() });
    }

    #[test]
    fn a_drive_adds_to_the_input_of_the_cell() {
        testing::drive_is_an_input_bias(&Lstm { hidden: 4, ..Lstm::default() }, 2);
    }

    #[test]
    fn the_forget_bias_starts_where_it_is_told() {
        let network =
            testing::network(&Lstm { hidden: 3, forget_bias: Some(1.5), ..Lstm::default() }, &Probe::default());
        let of = |name: &str| values_f64(network.parameters.get(name).expect("there"));
        assert_eq!(of(INPUT_BIAS)[3..6], [1.5; 3]);
        assert_eq!(of(RECURRENT_BIAS)[3..6], [0.0; 3]);
        assert!(of(INPUT_BIAS)[..3].iter().chain(&of(RECURRENT_BIAS)[6..]).all(|b| *b != 0.0 && b.abs() < 0.58));
    }

    #[test]
    fn forget_gates_can_start_from_ones() {
        let cell = Lstm { hidden: 3, forget_gate: ForgetGate::Ones, ..Lstm::default() };
        let network = testing::network(&cell, &Probe::default());
        let drawn = testing::network(&Lstm { hidden: 3, ..Lstm::default() }, &Probe::default());
        for name in [INPUT_WEIGHT, RECURRENT_WEIGHT, INPUT_BIAS, RECURRENT_BIAS] {
            let (found, before) =
                (network.parameters.get(name).expect("there"), drawn.parameters.get(name).expect("there"));
            assert!(values_f64(&found.narrow(0, 3, 3)).iter().all(|value| *value == 1.0), "{name}");
            for block in [0, 2, 3] {
                assert!(found.narrow(0, 3 * block, 3).equal(&before.narrow(0, 3 * block, 3)), "{name}");
            }
        }
        let both = testing::problems(&Lstm { forget_bias: Some(1.0), ..cell });
        assert!(both.starts_with("cell.forget_bias cannot be combined with forget_gate"), "{both}");
    }

    #[test]
    fn the_step_is_made_of_its_gates() {
        // From h = 0 and c = 1 with no input, c' - input tanh(b_g) is the forget gate, and h' / tanh(c') the output gate.
        let cell = Lstm { hidden: 5, ..Lstm::default() };
        let [state, next, gates, biases] = testing::step_and_gates(&cell, |state| {
            state.insert(CELL, state.get(CELL).expect("there").ones_like());
        });
        let [input, forget, output] =
            [INPUT_GATE, FORGET_GATE, OUTPUT_GATE].map(|name| gates.get(name).expect("a gate"));
        let (c, h) = (next.get(CELL).expect("there"), next.get(HIDDEN).expect("there"));
        let candidate = biases.get(BIAS).expect("there").narrow(0, 10, 5).tanh();
        let gap = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        // a few operations in double precision
        assert!(gap(forget, &(c - input * candidate)) < 1e-14);
        assert!(gap(output, &(h / c.tanh())) < 1e-14);
        assert!(gates.iter().all(|(_, gate)| gate.size() == state.get(HIDDEN).expect("there").size()));
    }

    #[test]
    fn a_forget_bias_without_a_value_is_refused() {
        let text = testing::problems(&Lstm { hidden: 1, forget_bias: Some(f64::NAN), ..Lstm::default() });
        assert_eq!(text, "cell.forget_bias is NaN, must be finite");
    }
}
