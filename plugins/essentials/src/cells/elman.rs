//! The simple recurrent network.

use super::projection::{
    BIAS, INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS, RECURRENT_WEIGHT, add_biases, draw_layer, project, silent_state,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::network::Readout;
use synfire::recurrence::{Activation, LEAK, Placement, RECURRENT, RateForm};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Network, Problems, Properties, Property, Registry, Result, Stream, Tensors,
};

/// Name of the state tensor `[batch, unit]`.
const ACTIVITY: &str = "activity";

/// Simple recurrent network: units without a leak.
///
/// `h' = f(W_in x + b_in + W h + b_rec)`, from `h = 0`. Heads read `h`. A drive `[batch, unit]` is added inside `f`.
///
/// parameters `input.weight` `[hidden, input]`, `recurrent.weight` `[hidden, hidden]` (row = target), `input.bias`, `recurrent.bias`
/// `[hidden]`; all start uniform in ±1/√hidden, as PyTorch's `RNN`
/// state      `activity` `[batch, hidden]`
///
/// Source: Elman 1990, doi:10.1207/s15516709cog1402_1. Differs: bounded and unbounded non-linearities beside the logistic; two
/// biases, as PyTorch has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Elman {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// The non-linearity.
    pub activation: Activation,
}

impl Default for Elman {
    fn default() -> Self {
        Self { hidden: 100, activation: Activation::Tanh }
    }
}

#[typetag::serde(name = "elman")]
impl Cell for Elman {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
    }

    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::RateForm, Property::LinearReadout])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let parameters = draw_layer(self.hidden, 1, context, stream);
        let dynamics = Box::new(Simple { hidden: self.hidden, activation: self.activation });
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

synfire::inventory::submit! { Component::cell::<Elman>("elman") }

/// The equations of an [`Elman`] network: a rate network whose leak is the constant 1.
#[derive(Debug)]
struct Simple {
    hidden: usize,
    activation: Activation,
}

impl Dynamics for Simple {
    fn units(&self) -> usize {
        self.hidden
    }

    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        let recurrent = parameters.get(RECURRENT_WEIGHT)?.shallow_clone();
        let leak = Tensor::f_ones([1], (recurrent.kind(), recurrent.device()))?;
        let bias = add_biases(parameters.get(INPUT_BIAS)?, parameters.get(RECURRENT_BIAS)?)?;
        let input = parameters.get(INPUT_WEIGHT)?.shallow_clone();
        Ok(Tensors::from([(RECURRENT, recurrent), (LEAK, leak), (INPUT_WEIGHT, input), (BIAS, bias)]))
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        silent_state(&[ACTIVITY], self.hidden, prepared, batch)
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
        let sources = prepared.get(RECURRENT)?.f_transpose(0, 1)?;
        let mut input = projected.f_addmm(state.get(ACTIVITY)?, &sources)?;
        if let Some(drive) = drive {
            input = input.f_add(drive)?;
        }
        Ok(Tensors::from([(ACTIVITY, self.activation.apply(&input))]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get(ACTIVITY)?.shallow_clone())
    }

    fn form(&self, _: &Setting) -> Form {
        Form::Rate(RateForm {
            placement: Placement::Whole,
            activation: self.activation,
            state: ACTIVITY.into(),
            linear_input: true,
            mixing: None,
            reads_state: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::testing::{self, Probe};
    use synfire::recurrence::Activation::{LeakyRelu, Relu, Tanh};

    #[test]
    fn outputs_and_gradients_are_those_of_pytorch() {
        testing::meets_pytorch("elman-tanh", &Elman { hidden: 4, activation: Tanh });
        testing::meets_pytorch("elman-relu", &Elman { hidden: 4, activation: Relu });
    }

    #[test]
    fn the_explicit_adjoint_is_the_gradient() {
        for activation in [Tanh, Relu, LeakyRelu] {
            let cell = Elman { hidden: 5, activation };
            for probe in Probe::kinds() {
                testing::adjoint_is_autograd(&cell, &probe, 67, None);
                testing::adjoint_is_autograd(&cell, &probe, 3, Some(2));
            }
        }
        testing::gradient_meets_differences(&Elman { hidden: 5, activation: Tanh }, &Probe::default());
    }

    #[test]
    fn a_gradient_that_vanishes_stays_right() {
        testing::vanishing_gradient_is_autograd(&Elman { hidden: 20, activation: Tanh });
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_the_threads() {
        testing::bytes_depend_on_the_seed_alone(&Elman { hidden: 20, activation: Tanh });
    }

    #[test]
    fn a_network_without_units_is_refused() {
        let text = testing::problems(&Elman { hidden: 0, ..Elman::default() });
        assert_eq!(text, "cell.hidden is 0, must be at least 1");
    }
}
