//! A rate network with many time constants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Form, Setting};
use synfire::network::Readout;
use synfire::recurrence::{Activation, BIAS, INPUT, LEAK, Placement, RECURRENT, RateForm};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Dynamics, Error, Network, Problems, Properties, Property, Registry, Result, Stream,
    Tensors, inventory,
};

const RECURRENT_WEIGHT: &str = "recurrent.weight";
/// Name of the state tensor `[batch, unit]`.
const RATE: &str = "rate";

/// Rate network whose units have time constants spread evenly on a logarithmic scale.
///
/// `r' = (1 - a) r + a tanh(W r + U x + b)`, from `r = 0`, with `a = 1 - exp(-dt / tau)` for each unit. Unit 0 has `fastest_ms`, the last
/// one `slowest_ms`. It describes itself as a rate network, so the framework runs it on its fast path.
///
/// parameters `input.weight` `[hidden, input]`, `recurrent.weight` `[hidden, hidden]` (row = target), `bias` `[hidden]`, uniform in
/// ±1/√hidden
/// state      `rate` `[batch, hidden]`
///
/// Source: Perez-Nieves, Leung, Dragotti & Goodman 2021, doi:10.1038/s41467-021-26022-3: neurons of many time constants. Differs: rates
/// instead of spikes; the time constants are set and not learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DylibExample {
    /// Number of units.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Time constant of the fastest unit, ms.
    pub fastest_ms: f64,
    /// Time constant of the slowest unit, ms.
    pub slowest_ms: f64,
}

impl Default for DylibExample {
    fn default() -> Self {
        Self { hidden: 50, fastest_ms: 20.0, slowest_ms: 500.0 }
    }
}

#[typetag::serde(name = "dylib-example")]
impl Cell for DylibExample {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.hidden >= 1, "hidden", self.hidden, "at least 1");
        problems.require(self.fastest_ms > 0.0, "fastest_ms", self.fastest_ms, "above 0");
        problems.require(self.slowest_ms >= self.fastest_ms, "slowest_ms", self.slowest_ms, "at least fastest_ms");
    }

    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::RateForm, Property::LinearReadout])
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::TimesInMs])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let (hidden, inputs) = (self.hidden as i64, context.task.inputs.len() as i64);
        let bound = 1.0 / (self.hidden as f64).sqrt();
        let draw = |name: &str, shape: &[i64]| {
            stream.child(name).uniform_tensor(shape, -bound, bound, context.kind, context.device)
        };
        let parameters = Tensors::from([
            (INPUT, draw(INPUT, &[hidden, inputs])),
            (RECURRENT_WEIGHT, draw(RECURRENT_WEIGHT, &[hidden, hidden])),
            (BIAS, draw(BIAS, &[hidden])),
        ]);
        let dynamics = Box::new(Rates { cell: self.clone() });
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

inventory::submit! { Component::cell::<DylibExample>("dylib-example") }

/// The equations.
#[derive(Debug)]
struct Rates {
    cell: DylibExample,
}

impl Rates {
    /// The share of the drive in each step, unit by unit.
    fn leaks(&self, dt_ms: f64) -> Vec<f64> {
        let DylibExample { hidden, fastest_ms, slowest_ms } = self.cell;
        let tau = |unit: usize| {
            let place = unit as f64 / hidden.saturating_sub(1).max(1) as f64;
            fastest_ms * (slowest_ms / fastest_ms).powf(place)
        };
        (0..hidden).map(|unit| 1.0 - (-dt_ms / tau(unit)).exp()).collect()
    }
}

impl Dynamics for Rates {
    fn units(&self) -> usize {
        self.cell.hidden
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        let dt_ms = setting.dt_ms.ok_or_else(|| Error::Failed("the task has no times in ms".into()))?;
        let recurrent = parameters.get(RECURRENT_WEIGHT)?;
        let leak = Tensor::from_slice(&self.leaks(dt_ms)).to_kind(recurrent.kind()).to_device(recurrent.device());
        Ok(Tensors::from([
            (RECURRENT, recurrent.shallow_clone()),
            (LEAK, leak),
            (INPUT, parameters.get(INPUT)?.shallow_clone()),
            (BIAS, parameters.get(BIAS)?.shallow_clone()),
        ]))
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        let like = prepared.get(RECURRENT)?;
        let shape = [batch as i64, self.cell.hidden as i64];
        Ok(Tensors::from([(RATE, Tensor::f_zeros(shape, (like.kind(), like.device()))?)]))
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        Ok(inputs.f_linear(prepared.get(INPUT)?, prepared.find(BIAS))?)
    }

    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let rate = state.get(RATE)?;
        let mut input = projected.f_addmm(rate, &prepared.get(RECURRENT)?.f_transpose(0, 1)?)?;
        if let Some(drive) = drive {
            input = input.f_add(drive)?;
        }
        Ok(Tensors::from([(RATE, rate.f_lerp_tensor(&input.f_tanh()?, prepared.get(LEAK)?)?)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get(RATE)?.shallow_clone())
    }

    fn form(&self, _: &Setting) -> Form {
        let (placement, activation) = (Placement::Drive, Activation::Tanh);
        // `project` is a product with INPUT plus BIAS, so the fast path can do that in passing, too.
        Form::Rate(RateForm {
            placement,
            activation,
            state: RATE.into(),
            linear_input: true,
            mixing: None,
            reads_state: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_constants_are_spread_evenly_on_a_logarithmic_scale() {
        let cell = DylibExample { hidden: 3, fastest_ms: 10.0, slowest_ms: 1000.0 };
        let leaks = Rates { cell }.leaks(10.0);
        for (leak, tau_ms) in leaks.iter().zip([10.0f64, 100.0, 1000.0]) {
            assert!((leak - (1.0 - (-10.0 / tau_ms).exp())).abs() < 1e-12);
        }
    }

    #[test]
    fn a_single_unit_has_the_fastest() {
        let cell = DylibExample { hidden: 1, ..DylibExample::default() };
        assert_eq!(Rates { cell }.leaks(20.0), [1.0 - (-1.0f64).exp()]);
    }

    #[test]
    fn a_slowest_that_is_faster_is_refused() {
        let registry = Registry::linked().expect("no duplicates");
        let mut problems = Problems::under("cell");
        DylibExample { slowest_ms: 1.0, ..DylibExample::default() }.check(&registry, &mut problems);
        let message = problems.into_result().expect_err("faster than the fastest").to_string();
        assert_eq!(message, "cell.slowest_ms is 1, must be at least fastest_ms");
    }
}
