//! The gated recurrent unit.

use super::projection::{
    BIAS, INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS, RECURRENT_WEIGHT, add_biases, draw_layer, project, silent_state,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::network::Readout;
use synfire::recurrence::{Activation, GatedForm, Gates, ResetGate};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Network, Problems, Properties, Property, Registry, Result, Stream, Tensors,
};

/// Name of the state tensor `[batch, unit]`.
const HIDDEN: &str = "hidden";
/// Names of the gates `[batch, unit]`.
const RESET_GATE: &str = "reset";
const UPDATE_GATE: &str = "update";
/// Name of the recurrent bias of the candidate `[unit]`, among prepared tensors: it stands behind the reset gate.
const CANDIDATE_BIAS: &str = synfire::recurrence::CANDIDATE_BIAS;

/// Gated recurrent unit: a learned leak and a learned reset in each unit.
///
/// With the three blocks of `a = W_in x + b_in` and `u = W h + b_rec`, in the order r, z, n:
///
/// - `r = sigmoid(a_r + u_r)`, `z = sigmoid(a_z + u_z)`
/// - `n = tanh(a_n + r u_n)`
/// - `h' = (1 - z) n + z h`
///
/// from `h = 0`. Heads read `h`. A drive `[batch, unit]` is added to the candidate's input `a_n`.
///
/// parameters `input.weight` `[3 hidden, input]`, `recurrent.weight` `[3 hidden, hidden]`, `input.bias`, `recurrent.bias`
/// `[3 hidden]`; all start uniform in ±1/√hidden, as PyTorch's `GRU`
/// state      `hidden` `[batch, hidden]`
/// gates      `reset` r and `update` z `[batch, hidden]`
///
/// Source: Cho et al. 2014, arXiv:1406.1078. Differs: the reset gate acts after the recurrent product, and `z` keeps the old state,
/// as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gru {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
}

impl Default for Gru {
    fn default() -> Self {
        Self { hidden: 100 }
    }
}

#[typetag::serde(name = "gru")]
impl Cell for Gru {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
    }

    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::Gates, Property::LinearReadout])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let parameters = draw_layer(self.hidden, 3, context, stream);
        let dynamics = Box::new(Gated { hidden: self.hidden });
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

synfire::inventory::submit! { Component::cell::<Gru>("gru") }

/// The equations of a [`Gru`].
#[derive(Debug)]
struct Gated {
    hidden: usize,
}

/// What a step works with, each `[batch, unit]`.
struct Blocks {
    reset: Tensor,
    update: Tensor,
    /// `u_n`, the recurrent part of the candidate's input.
    from_units: Tensor,
}

impl Gated {
    /// The gates and the recurrent part of the candidate, from one product.
    fn blocks(&self, prepared: &Tensors, state: &Tensors, projected: &Tensor) -> Result<Blocks> {
        let hidden = self.hidden as i64;
        let recurrent = state.get(HIDDEN)?.f_matmul(prepared.get(RECURRENT_WEIGHT)?)?;
        let gates = projected.f_narrow(1, 0, 2 * hidden)?.f_add(&recurrent.f_narrow(1, 0, 2 * hidden)?)?.f_sigmoid()?;
        Ok(Blocks {
            reset: gates.f_narrow(1, 0, hidden)?,
            update: gates.f_narrow(1, hidden, hidden)?,
            from_units: recurrent.f_narrow(1, 2 * hidden, hidden)?.f_add(prepared.get(CANDIDATE_BIAS)?)?,
        })
    }
}

impl Dynamics for Gated {
    fn units(&self) -> usize {
        self.hidden
    }

    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        let hidden = self.hidden as i64;
        let recurrent_bias = parameters.get(RECURRENT_BIAS)?;
        // The gates' recurrent biases go with the input's, so that they are added once and not at every step.
        let of_gates = recurrent_bias.f_narrow(0, 0, 2 * hidden)?.f_constant_pad_nd([0, hidden])?;
        Ok(Tensors::from([
            (RECURRENT_WEIGHT, parameters.get(RECURRENT_WEIGHT)?.f_transpose(0, 1)?),
            (INPUT_WEIGHT, parameters.get(INPUT_WEIGHT)?.shallow_clone()),
            (BIAS, add_biases(parameters.get(INPUT_BIAS)?, &of_gates)?),
            (CANDIDATE_BIAS, recurrent_bias.f_narrow(0, 2 * hidden, hidden)?),
        ]))
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        silent_state(&[HIDDEN], self.hidden, prepared, batch)
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
        let (hidden, before) = (self.hidden as i64, state.get(HIDDEN)?);
        let Blocks { reset, update, from_units } = self.blocks(prepared, state, projected)?;
        let mut input = projected.f_narrow(1, 2 * hidden, hidden)?;
        if let Some(drive) = drive {
            input = input.f_add(drive)?;
        }
        let candidate = input.f_addcmul(&reset, &from_units)?.f_tanh()?;
        Ok(Tensors::from([(HIDDEN, candidate.f_lerp_tensor(before, &update)?)]))
    }

    fn gates(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        _: Option<&Tensor>,
    ) -> Result<Tensors> {
        let Blocks { reset, update, .. } = self.blocks(prepared, state, projected)?;
        Ok(Tensors::from([(RESET_GATE, reset), (UPDATE_GATE, update)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get(HIDDEN)?.shallow_clone())
    }

    fn form(&self, _: &Setting) -> Form {
        let gates = Gates::Unit { reset: ResetGate::AfterProduct, candidate: Activation::Tanh };
        Form::Gated(GatedForm { gates, hidden: HIDDEN.into(), cell: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::testing::{self, Probe};

    #[test]
    fn outputs_and_gradients_are_those_of_pytorch() {
        testing::meets_pytorch("gru", &Gru { hidden: 4 });
    }

    #[test]
    fn the_explicit_adjoint_is_the_gradient() {
        for probe in Probe::kinds() {
            testing::adjoint_is_autograd(&Gru { hidden: 7 }, &probe, 67, None);
            testing::adjoint_is_autograd(&Gru { hidden: 7 }, &Probe { time: 13, ..probe }, 2, Some(5));
        }
    }

    #[test]
    fn gradients_meet_finite_differences() {
        for probe in Probe::kinds() {
            testing::gradient_meets_differences(&Gru { hidden: 5 }, &probe);
        }
    }

    #[test]
    fn heads_are_heard_without_states() {
        testing::heads_are_heard_without_states(&Gru { hidden: 7 });
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_the_threads() {
        testing::bytes_depend_on_the_seed_alone(&Gru { hidden: 20 });
    }

    #[test]
    fn a_drive_adds_to_the_input_of_the_candidate() {
        testing::drive_is_an_input_bias(&Gru { hidden: 4 }, 2);
    }

    #[test]
    fn the_step_is_made_of_its_gates() {
        // h' = (1 - z) n + z h with n = tanh(a_n + r u_n), without input.
        let [state, next, gates, prepared] = testing::step_and_gates(&Gru { hidden: 5 }, |state| {
            state.insert(HIDDEN, state.get(HIDDEN).expect("there") * 0.0 + 0.4);
        });
        let [reset, update] = [RESET_GATE, UPDATE_GATE].map(|name| gates.get(name).expect("a gate"));
        let before = state.get(HIDDEN).expect("there");
        let recurrent = before.matmul(prepared.get(RECURRENT_WEIGHT).expect("there")).narrow(1, 10, 5);
        let from_units = recurrent + prepared.get(CANDIDATE_BIAS).expect("there");
        let candidate = (prepared.get(BIAS).expect("there").narrow(0, 10, 5) + reset * from_units).tanh();
        let expected = &candidate + update * (before - &candidate);
        let gap = (next.get(HIDDEN).expect("there") - expected).abs().max().double_value(&[]);
        // a few operations in double precision
        assert!(gap < 1e-14, "{gap}");
    }
}
