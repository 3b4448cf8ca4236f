//! Majority: which sign was more frequent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Objective, Target, Task, TaskSpec, Trials};
use synfire::tch::{Device, Kind};
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, inventory};

/// Say which sign was more frequent in a stream of ±1.
///
/// inputs  `[time, batch, 1]`  +1 or -1 at each step
/// targets `[batch]`           class 1 when +1 was more frequent, else 0
///
/// Source: <authors and year, doi, figure or equation>. Differs: <each deviation>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Majority {
    /// Steps of a trial; odd, so that there is a majority.
    #[schemars(range(min = 1))]
    pub steps: usize,
}

impl Default for Majority {
    fn default() -> Self {
        Self { steps: 9 }
    }
}

#[typetag::serde(name = "majority")]
impl Task for Majority {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps % 2 == 1, "steps", self.steps, "odd");
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["sign".into()],
            outputs: 2,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, _: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let shape = [self.steps as i64, batch as i64, 1];
        let drawn = stream.uniform_tensor(&shape, -1.0, 1.0, Kind::Float, Device::Cpu);
        let inputs = drawn.ge(0.0).to_kind(Kind::Float) * 2.0 - 1.0;
        let classes = inputs.sum_dim_intlist([0, 2].as_slice(), false, Kind::Float).gt(0.0).to_kind(Kind::Int64);
        let target = Target::new(0, None, Answer::FinalStep, classes, None);
        Ok(Trials { inputs, targets: vec![target], ..Trials::default() })
    }
}

inventory::submit! { Component::task::<Majority>("majority") }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_sign_that_was_more_frequent() {
        let trials = Majority { steps: 3 }.trials(&Lesson::default(), 64, &mut Stream::new(1)).unwrap();
        for row in 0..64 {
            let positive = (0..3).filter(|step| trials.inputs.double_value(&[*step, row, 0]) > 0.0).count();
            assert_eq!(trials.targets[0].values.int64_value(&[row]), i64::from(positive >= 2));
        }
    }
}
