//! Small parts that stand in for those of the program where a crate's tests do not link them.

use crate::cell::{BuildContext, Cell, Clock, Dynamics, Form, Setting};
use crate::curriculum::{Curriculum, History, LessonContext, Step};
use crate::network::{Network, Readout};
use crate::objective::{Answer, Objective};
use crate::recurrence::{Activation, LEAK, Placement, RECURRENT, RateForm};
use crate::rollout::Rollout;
use crate::rule::{Learner, LearningRule, StepReport};
use crate::task::{Difficulty, Period, Target, Task, TaskSpec, Trials};
use crate::{Component, Error, Lesson, Properties, Property, Registry, Result, Stream, Tensors};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

/// Steps of a trial.
pub(super) const STEPS: i64 = 7;

static STAND_INS: [Component; 5] = [
    Component::task::<AnyTask>("n-parity"),
    Component::cell::<RateCell>("leaky-rnn"),
    Component::cell::<GatedCell>("gru"),
    Component::curriculum::<OneLesson>("fixed-budget"),
    Component::rule::<Descent>("bptt"),
];

/// The linked components, and a stand-in for each of the program's most common ones that is not linked.
///
/// The stand-ins are called `n-parity` (random numbers in, random numbers out, with levels, times and an accuracy), `leaky-rnn` (a rate
/// network), `gru` (a network with a gate), `fixed-budget` and `bptt`, so that defaults which name these work.
///
/// # Errors
/// As [`Registry::linked`].
pub fn registry() -> Result<Registry> {
    let mut registry = Registry::linked()?;
    for stand_in in &STAND_INS {
        if registry.find(stand_in.kind, stand_in.name).is_err() {
            registry.add(stand_in)?;
        }
    }
    Ok(registry)
}

/// Random inputs and random targets at every step: of no interest, but every gradient is non-zero and every level can be asked for.
///
/// Source: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AnyTask {}

#[typetag::serde(name = "conformance-task")]
impl Task for AnyTask {
    fn spec(&self) -> TaskSpec {
        let name = "level".to_string();
        TaskSpec {
            inputs: ["a", "b", "c"].map(String::from).to_vec(),
            outputs: 2,
            objective: Objective::regress(Some(1.0)),
            dt_ms: Some(10.0),
            difficulty: Some(Difficulty { name, lowest: 1, highest: None, default: 2, several_at_once: true }),
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let rows = batch as i64;
        let draw = |stream: &mut Stream, channels: i64| {
            stream.normal_tensor(&[STEPS, rows, channels], Kind::Double, Device::Cpu)
        };
        let inputs = draw(stream, 3);
        let target = |level: &crate::curriculum::Level| {
            let values = draw(&mut stream.child("level").at(level.level as u64), 2);
            Target::new(level.head, Some(level.level), Answer::EveryStep, values, None)
        };
        let targets = lesson.levels_of(&self.spec()).iter().map(target).collect();
        let periods = vec![Period::new("early", 0, 3), Period::new("late", 3, STEPS as usize)];
        Ok(Trials { inputs, targets, answer: Answer::EveryStep, periods, ..Trials::default() })
    }
}

/// The parameters of both cells.
fn layer(hidden: usize, blocks: i64, context: &BuildContext, stream: &Stream) -> Tensors {
    let (units, inputs) = (hidden as i64, context.task.inputs.len() as i64);
    let draw = |name: &str, shape: &[i64]| {
        let drawn = stream.child(name).normal_tensor(shape, context.kind, context.device);
        (name.to_string(), drawn * (1.0 / hidden.max(1) as f64).sqrt())
    };
    [draw("input", &[blocks * units, inputs]), draw("recurrent.weight", &[blocks * units, units])].into_iter().collect()
}

fn silent(prepared: &Tensors, units: usize, batch: usize) -> Result<Tensors> {
    let like = prepared.get("input")?;
    Ok(Tensors::from([("rate", Tensor::f_zeros([batch as i64, units as i64], (like.kind(), like.device()))?)]))
}

/// Rate network with one leak.
///
/// Source: none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RateCell {
    /// Number of units.
    hidden: usize,
}

impl Default for RateCell {
    fn default() -> Self {
        Self { hidden: 6 }
    }
}

#[typetag::serde(name = "conformance-rate-cell")]
impl Cell for RateCell {
    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::RateForm, Property::LinearReadout])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let parameters = layer(self.hidden, 1, context, stream);
        let dynamics = Box::new(Rates(self.hidden));
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

#[derive(Debug)]
struct Rates(usize);

impl Dynamics for Rates {
    fn units(&self) -> usize {
        self.0
    }

    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        let recurrent = parameters.get("recurrent.weight")?;
        let leak = Tensor::f_full([1], 0.5, (recurrent.kind(), recurrent.device()))?;
        let input = parameters.get("input")?.shallow_clone();
        Ok(Tensors::from([(RECURRENT, recurrent.shallow_clone()), (LEAK, leak), ("input", input)]))
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        silent(prepared, self.0, batch)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        Ok(inputs.f_matmul(&prepared.get("input")?.f_transpose(0, 1)?)?)
    }

    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let rate = state.get("rate")?;
        let mut input = projected.f_addmm(rate, &prepared.get(RECURRENT)?.f_transpose(0, 1)?)?;
        if let Some(drive) = drive {
            input = input.f_add(drive)?;
        }
        Ok(Tensors::from([("rate", rate.f_lerp_tensor(&input.f_tanh()?, prepared.get(LEAK)?)?)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get("rate")?.shallow_clone())
    }

    fn form(&self, _: &Setting) -> Form {
        let (placement, activation, state) = (Placement::Drive, Activation::Tanh, "rate".to_string());
        Form::Rate(RateForm { placement, activation, state, linear_input: false, mixing: None, reads_state: false })
    }
}

/// Network whose leak is a gate.
///
/// Source: none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct GatedCell {
    /// Number of units.
    hidden: usize,
}

impl Default for GatedCell {
    fn default() -> Self {
        Self { hidden: 6 }
    }
}

#[typetag::serde(name = "conformance-gated-cell")]
impl Cell for GatedCell {
    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::Gates, Property::LinearReadout])
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let parameters = layer(self.hidden, 2, context, stream);
        let dynamics = Box::new(Gated(self.hidden));
        Ok(Network { parameters, dynamics, readout: Readout::new(context.task.outputs) })
    }
}

#[derive(Debug)]
struct Gated(usize);

impl Gated {
    /// Gate and candidate.
    fn both(
        &self,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let all = projected.f_addmm(state.get("rate")?, &prepared.get("recurrent.weight")?.f_transpose(0, 1)?)?;
        let mut candidate = all.f_narrow(1, self.0 as i64, self.0 as i64)?;
        if let Some(drive) = drive {
            candidate = candidate.f_add(drive)?;
        }
        Ok((all.f_narrow(1, 0, self.0 as i64)?.f_sigmoid()?, candidate.f_tanh()?))
    }
}

impl Dynamics for Gated {
    fn units(&self) -> usize {
        self.0
    }

    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        ["input", "recurrent.weight"]
            .into_iter()
            .map(|name| Ok((name.to_string(), parameters.get(name)?.shallow_clone())))
            .collect()
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        silent(prepared, self.0, batch)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        Ok(inputs.f_matmul(&prepared.get("input")?.f_transpose(0, 1)?)?)
    }

    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let (gate, candidate) = self.both(prepared, state, projected, drive)?;
        Ok(Tensors::from([("rate", state.get("rate")?.f_lerp_tensor(&candidate, &gate)?)]))
    }

    fn gates(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        Ok(Tensors::from([("update", self.both(prepared, state, projected, drive)?.0)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get("rate")?.shallow_clone())
    }
}

/// One lesson for ever.
///
/// Source: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct OneLesson {}

#[typetag::serde(name = "conformance-lesson")]
impl Curriculum for OneLesson {
    fn next(&self, _: &History, _: &TaskSpec, _: &LessonContext) -> Result<Step> {
        Ok(Step::Lesson(Lesson::default()))
    }
}

/// Steps against the gradient.
///
/// Source: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Descent {}

#[typetag::serde(name = "conformance-descent")]
impl LearningRule for Descent {
    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient])
    }

    fn start(&self, _: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        Ok(Box::new(Self {}))
    }
}

impl Learner for Descent {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        let found = rollout.gradient(network, &trials, None, |_| true)?;
        no_grad(|| -> Result<()> {
            for (name, gradient) in found.gradients.iter() {
                let step = gradient.f_mul_scalar(0.01)?;
                network.parameters.insert(name, network.parameters.get(name)?.f_sub(&step)?);
            }
            Ok(())
        })?;
        Ok(StepReport { loss: found.loss, accuracy: found.accuracy, gradient_norm: None })
    }

    fn state(&self) -> Result<Tensors> {
        Ok(Tensors::new())
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        match state.is_empty() {
            true => Ok(()),
            false => Err(Error::Failed("descent keeps nothing".into())),
        }
    }
}

#[cfg(test)]
mod tests;
