//! A task that panics, or draws from libtorch's generator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, ClosedLoop, Objective, Segment, Target};
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Component, Lesson, Result, Stream, Task, TaskSpec, Trials, inventory};

/// Where it panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum At {
    /// Nowhere.
    #[default]
    Never,
    /// When asked what it is.
    Spec,
    /// When trials are drawn.
    Trials,
    /// In a libtorch operation, when trials are drawn.
    Shape,
    /// When outputs are judged.
    Score,
    /// In the loop that answers.
    Loop,
}

/// Random numbers in, zeros out; panics where it is told to.
///
/// Source: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Awkward {
    /// Where it panics.
    at: At,
    /// Draw the inputs from libtorch's generator, and note whether gradients are followed.
    from_libtorch: bool,
}

#[typetag::serde(name = "awkward")]
impl Task for Awkward {
    fn spec(&self) -> TaskSpec {
        assert!(self.at != At::Spec, "no idea what I am");
        TaskSpec {
            inputs: vec!["x".into()],
            outputs: 1,
            objective: Objective::regress(None),
            dt_ms: Some(10.0),
            difficulty: None,
            closed_loop: self.at == At::Loop,
        }
    }

    fn trials(&self, _: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        assert!(self.at != At::Trials, "no trials {}", "today");
        let shape = [4, batch as i64, 1];
        if self.at == At::Shape {
            drop(Tensor::zeros([2], (Kind::Float, Device::Cpu)) + Tensor::zeros([3], (Kind::Float, Device::Cpu)));
        }
        let inputs = match self.from_libtorch {
            true => Tensor::rand(shape, (Kind::Float, Device::Cpu)),
            false => stream.normal_tensor(&shape, Kind::Float, Device::Cpu),
        };
        let follows = (Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true) * 2.0).requires_grad();
        let conditions = [("gradients".to_string(), vec![f64::from(u8::from(follows)); batch])].into();
        let target = Target::new(0, None, Answer::EveryStep, inputs.zeros_like(), None);
        let rest: Option<Box<dyn ClosedLoop>> = (self.at == At::Loop).then(|| Box::new(Broken) as _);
        Ok(Trials { inputs, targets: vec![target], answer: Answer::EveryStep, conditions, rest, ..Trials::default() })
    }

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<synfire::task::Scores> {
        assert!(self.at != At::Score, "no judge");
        self.spec().objective.score(trials, outputs)
    }
}

/// A loop that panics at its first answer.
#[derive(Debug)]
struct Broken;

impl ClosedLoop for Broken {
    fn begin(&self, _: std::ops::Range<usize>) -> Box<dyn ClosedLoop> {
        Box::new(Self)
    }

    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>> {
        panic!("no answer to {} heads", outputs.len())
    }
}

inventory::submit! { Component::task::<Awkward>("awkward") }
