//! Which side had more pulses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Difficulty, Objective, Period, Target};
use synfire::tch::Tensor;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials, inventory};

/// Say which of two channels had more pulses, after a silent delay.
///
/// inputs  `[time, batch, 2]`  1 where a pulse comes on the left or the right channel, else 0
/// targets `[batch]`           class 1 when the right channel had more pulses, class 0 when the left one had
///
/// In every step of the stimulus each channel has a pulse with probability `rate_hz * dt`. Where both had equally many, the last step
/// decides. The delay, in ms, is the level of difficulty. The condition `difference` is right minus left.
///
/// Source: Brunton, Botvinick & Brody 2013, doi:10.1126/science.1233912. Differs: steps of `dt_ms` instead of continuous time; both
/// channels have the same rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DylibExample {
    /// Duration of a step, ms.
    #[schemars(range(min = 1))]
    pub dt_ms: f64,
    /// Duration of the pulses, ms.
    pub stimulus_ms: f64,
    /// Duration of the delay where no level says it, ms.
    pub delay_ms: usize,
    /// Pulses per second on each channel.
    pub rate_hz: f64,
}

impl Default for DylibExample {
    fn default() -> Self {
        Self { dt_ms: 20.0, stimulus_ms: 400.0, delay_ms: 100, rate_hz: 15.0 }
    }
}

#[typetag::serde(name = "dylib-example")]
impl Task for DylibExample {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.dt_ms > 0.0, "dt_ms", self.dt_ms, "above 0");
        problems.require(self.stimulus_ms >= self.dt_ms, "stimulus_ms", self.stimulus_ms, "at least dt_ms");
        let most = 1000.0 / self.dt_ms;
        let possible = self.rate_hz > 0.0 && self.rate_hz <= most;
        problems.require(possible, "rate_hz", self.rate_hz, "above 0 and at most one pulse a step");
    }

    fn spec(&self) -> TaskSpec {
        let name = "delay_ms".to_string();
        let delay = Difficulty { name, lowest: 0, highest: None, default: self.delay_ms, several_at_once: false };
        TaskSpec {
            inputs: ["left", "right"].map(String::from).to_vec(),
            outputs: 2,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: Some(self.dt_ms),
            difficulty: Some(delay),
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let level = lesson.levels_of(&self.spec()).first().copied();
        let (delay_ms, head) = level.map_or((self.delay_ms, 0), |level| (level.level, level.head));
        let dt_ms = lesson.dt_ms.unwrap_or(self.dt_ms);
        let steps = |duration_ms: f64| (duration_ms / dt_ms).round() as usize;
        let stimulus = steps(self.stimulus_ms).max(1);
        let time = stimulus + steps(delay_ms as f64);

        let mut pulses = vec![0.0f32; time * batch * 2];
        let mut differences = Vec::with_capacity(batch);
        for row in 0..batch {
            let place = |step: usize, side: usize| (step * batch + row) * 2 + side;
            let mut difference = 0i64;
            for step in 0..stimulus {
                let mut pulse = [0, 1].map(|_| stream.bernoulli(self.rate_hz * dt_ms / 1000.0));
                let after = difference + i64::from(pulse[1]) - i64::from(pulse[0]);
                if step + 1 == stimulus && after == 0 {
                    let right = stream.bernoulli(0.5);
                    // Without a pulse in this step one side may lead already.
                    pulse = if difference == 0 { [!right, right] } else { [false, false] };
                }
                difference += i64::from(pulse[1]) - i64::from(pulse[0]);
                for side in 0..2 {
                    pulses[place(step, side)] = f32::from(u8::from(pulse[side]));
                }
            }
            differences.push(difference);
        }
        let inputs = Tensor::from_slice(&pulses).reshape([time as i64, batch as i64, 2]);
        let classes: Vec<i64> = differences.iter().map(|difference| i64::from(*difference > 0)).collect();
        let level = level.map(|level| level.level);
        let target = Target::new(head, level, Answer::FinalStep, Tensor::from_slice(&classes), None);
        let mut periods = vec![Period::new("stimulus", 0, stimulus)];
        if time > stimulus {
            periods.push(Period::new("delay", stimulus, time));
        }
        let difference = differences.iter().map(|difference| *difference as f64).collect();
        let conditions = [("difference".to_string(), difference)].into();
        Ok(Trials { inputs, targets: vec![target], periods, conditions, ..Trials::default() })
    }
}

inventory::submit! { Component::task::<DylibExample>("dylib-example") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Kind;

    #[test]
    fn the_class_is_the_side_with_more_pulses() {
        let task = DylibExample { stimulus_ms: 60.0, ..DylibExample::default() };
        let trials = task.trials(&Lesson::default(), 200, &mut Stream::new(1)).expect("in range");
        let counts = trials.inputs.sum_dim_intlist(0i64, false, Kind::Int64);
        for row in 0..200 {
            let (left, right) = (counts.int64_value(&[row, 0]), counts.int64_value(&[row, 1]));
            assert_ne!(left, right);
            assert_eq!(trials.targets[0].values.int64_value(&[row]), i64::from(right > left));
            assert_eq!(trials.conditions["difference"][row as usize], (right - left) as f64);
        }
    }

    #[test]
    fn the_level_is_the_delay() {
        let task = DylibExample::default();
        let trials = task.trials(&Lesson::with_levels([(200, 0)]), 3, &mut Stream::new(1)).expect("in range");
        assert_eq!(trials.time(), 30);
        let delay = trials.inputs.narrow(0, 20, 10).abs().sum(Kind::Double).double_value(&[]);
        assert_eq!(delay, 0.0);
    }

    #[test]
    fn an_impossible_rate_is_refused() {
        let registry = Registry::linked().expect("no duplicates");
        let mut problems = Problems::under("task");
        DylibExample { rate_hz: 51.0, ..DylibExample::default() }.check(&registry, &mut problems);
        let message = problems.into_result().expect_err("two pulses a step").to_string();
        assert_eq!(message, "task.rate_hz is 51, must be above 0 and at most one pulse a step");
    }
}
