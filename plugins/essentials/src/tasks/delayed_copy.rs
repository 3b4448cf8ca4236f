//! A stream of items, repeated some steps later.

use super::asked::no_time_step;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Difficulty, Loss, Objective, Period, Target};
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// What the stream consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Items {
    /// -1 or 1 with probability 1/2 each; outputs are the log-odds of a 1.
    #[default]
    Binary,
    /// Uniform in `[-1, 1)`; outputs are judged by their squared error.
    Real,
}

/// Say at every step what the input was `delay` steps ago.
///
/// The level of difficulty is the delay, so the network must hold that many items. Each active level has a target for its own head;
/// a trial has `length` steps beyond the longest delay.
///
/// inputs  `[time, batch, channels]`  the items, independent of each other
/// targets `[time, batch, channels]`  the item of `delay` steps before: 0 or 1 if binary, else its value
/// weight  `[time, batch]`            0 for the first `delay` steps, then 1
///
/// Correct is, if binary, the right sign on every channel, else a distance of at most `tolerance` on every channel.
///
/// Source: Jaeger 2001, "Short term memory in echo state networks", GMD report 152: the delay line, whose recall summed over delays is
/// the memory capacity of a network. Differs: several channels; binary items are judged by their cross-entropy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelayedCopy {
    /// What the stream consists of.
    pub items: Items,
    /// Number of independent channels.
    #[schemars(range(min = 1))]
    pub channels: usize,
    /// Steps that are judged at the longest active delay.
    #[schemars(range(min = 1))]
    pub length: usize,
    /// Largest distance of a correct output from a real item.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

impl Default for DelayedCopy {
    fn default() -> Self {
        Self { items: Items::Binary, channels: 1, length: 20, tolerance: 0.2 }
    }
}

#[typetag::serde(name = "delayed-copy")]
impl Task for DelayedCopy {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.channels >= 1, "channels", self.channels, "at least 1");
        problems.require(self.length >= 1, "length", self.length, "at least 1");
        problems.require(self.tolerance > 0.0, "tolerance", self.tolerance, "greater than 0");
    }

    fn spec(&self) -> TaskSpec {
        let objective = match self.items {
            Items::Binary => Objective { loss: Loss::BinaryCrossEntropy, answer: Answer::EveryStep, tolerance: None },
            Items::Real => Objective::regress(Some(self.tolerance)),
        };
        TaskSpec {
            inputs: (0..self.channels).map(|channel| format!("item_{channel}")).collect(),
            outputs: self.channels,
            objective,
            dt_ms: None,
            difficulty: Some(Difficulty {
                name: "delay".into(),
                lowest: 0,
                highest: None,
                default: 5,
                several_at_once: true,
            }),
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        no_time_step(lesson, "delayed-copy")?;
        let levels = lesson.levels_of(&self.spec());
        let longest = levels.iter().map(|level| level.level).max().unwrap_or_default();
        let time = self.length.checked_add(longest).filter(|time| *time < 1 << 30).ok_or_else(|| {
            Error::config("curriculum", format_args!("asks for a delay of {longest} steps"), "use a shorter delay")
        })?;
        let mut inputs = vec![0f32; time * batch * self.channels];
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            for t in 0..time {
                for channel in 0..self.channels {
                    inputs[(t * batch + row) * self.channels + channel] = match self.items {
                        Items::Binary if stream.bernoulli(0.5) => 1.0,
                        Items::Binary => -1.0,
                        Items::Real => 2.0 * stream.uniform_f32() - 1.0,
                    };
                }
            }
        }
        let inputs = Tensor::from_slice(&inputs).reshape([time as i64, batch as i64, self.channels as i64]);
        let targets = levels.iter().map(|level| {
            let delay = level.level as i64;
            let values = inputs.zeros_like();
            let mut later = values.narrow(0, delay, time as i64 - delay);
            later.copy_(&inputs.narrow(0, 0, time as i64 - delay));
            let values = match self.items {
                Items::Binary => values.gt(0.0).to_kind(values.kind()),
                Items::Real => values,
            };
            let weight = Tensor::ones(&inputs.size()[..2], (inputs.kind(), inputs.device()));
            drop(weight.narrow(0, 0, delay).fill_(0.0));
            Target::new(level.head, Some(level.level), Answer::EveryStep, values, Some(weight))
        });
        Ok(Trials {
            targets: targets.collect(),
            answer: Answer::EveryStep,
            periods: vec![Period::new("stream", 0, time)],
            inputs,
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<DelayedCopy>("delayed-copy") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn every_head_hears_the_input_of_its_delay() {
        for items in [Items::Binary, Items::Real] {
            let task = DelayedCopy { items, channels: 2, length: 6, ..DelayedCopy::default() };
            let lesson = Lesson::with_levels([(0, 0), (3, 1), (4, 7)]);
            let trials = task.trials(&lesson, 5, &mut Stream::new(1)).expect("in range");
            assert_eq!(trials.inputs.size(), [10, 5, 2]);
            let inputs = values_f64(&trials.inputs);
            for (target, (delay, head)) in trials.targets.iter().zip([(0, 0), (3, 1), (4, 7)]) {
                assert_eq!((target.head, target.level), (head, Some(delay)));
                assert_eq!(target.total, ((10 - delay) * 5) as f64);
                let values = values_f64(&target.values);
                let weight = values_f64(target.weight.as_ref().expect("masked"));
                for (i, value) in values.iter().enumerate().skip(delay * 10) {
                    let item = inputs[i - delay * 10];
                    let expected = if items == Items::Binary { (item + 1.0) / 2.0 } else { item };
                    assert_eq!(*value, expected);
                }
                assert!(weight.iter().enumerate().all(|(i, w)| (*w == 1.0) == (i >= delay * 5)));
            }
        }
    }

    #[test]
    fn a_perfect_copy_scores_full_marks() {
        let task = DelayedCopy { items: Items::Real, ..DelayedCopy::default() };
        let trials = task.trials(&Lesson::default(), 4, &mut Stream::new(2)).expect("in range");
        assert_eq!((trials.time(), trials.targets[0].level), (25, Some(5)));
        let scores = task.score(&trials, &[trials.targets[0].values.copy()]).expect("fits");
        assert_eq!(scores.loss.double_value(&[]), 0.0);
        assert_eq!(scores.heads[0].accuracy.as_ref().expect("tolerance").double_value(&[]), 1.0);
        // Silence is off by u: its mean square is 1/3, and it is within 0.2 in a fifth of the steps.
        let many = task.trials(&Lesson::default(), 2000, &mut Stream::new(3)).expect("in range");
        let silence = task.score(&many, &[many.targets[0].values.zeros_like()]).expect("fits");
        assert!((silence.loss.double_value(&[]) - 1.0 / 3.0).abs() < 0.01);
        assert!((silence.heads[0].accuracy.as_ref().expect("tolerance").double_value(&[]) - 0.2).abs() < 0.01);
    }

    #[test]
    fn an_endless_delay_and_a_time_step_are_refused() {
        let task = DelayedCopy::default();
        let endless = Lesson::with_levels([(usize::MAX, 0)]);
        assert!(task.trials(&endless, 1, &mut Stream::new(1)).expect_err("too long").to_string().contains("delay of"));
        let coarse = Lesson { dt_ms: Some(5.0), ..Lesson::default() };
        let error = task.trials(&coarse, 1, &mut Stream::new(1)).expect_err("symbols");
        assert!(error.to_string().contains("symbols without duration"), "{error}");
        let mut problems = Problems::under("task");
        DelayedCopy { length: 0, ..task }.check(&Registry::linked().expect("no duplicates"), &mut problems);
        assert!(problems.into_result().expect_err("no steps").to_string().contains("task.length is 0"));
    }
}
