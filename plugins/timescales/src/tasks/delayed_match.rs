//! Whether the first and the last of the last `N` symbols are the same.

use super::bit_stream::{BitStream, Rate, Symbols};
use super::question::{Question, Repeat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::Level;
use synfire::task::Answer;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether the present symbol of a random stream is the one that was shown `N - 1` symbols ago.
///
/// Streams and lengths are those of `n-parity`, with a rate of one half. Each active level `N` has a target for its own head:
///
/// inputs  `[M repeat, batch, 1]`  the symbols
/// classes `[batch]`               1 where symbol `M - N + 1` (counted from 1) is symbol `M`, asked for at the last step
///
/// With `answer = "every-step"` the classes are `[M repeat, batch]`: at the last step of symbol `t` 1 where symbol `t - N + 1` is
/// symbol `t`, with weight 0 while `t < N` or `t <= warm_up` and at the other steps of a symbol. At a rate of one half the classes
/// are balanced.
///
/// Conditions: `rate` (probability of a 1), `N` (hardest level).
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelayedMatch {
    /// How bits are shown: `zero-one` or `plus-minus`.
    pub symbols: Symbols,
    /// Probability of a 1: `uniform` draws one for each trial, a number fixes it.
    pub rate: Rate,
    /// Steps for which each symbol is shown, or a list of which each batch draws one; a lesson's schedule of `repeat` comes first.
    pub repeat: Repeat,
    /// When heads answer: `final-step` or `every-step`.
    pub answer: Answer,
    /// Number of symbols of every trial; left out, it is drawn for each batch.
    #[schemars(range(min = 2, max = 16777216))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Symbols at the start after which answers count, for `answer = "every-step"`.
    #[schemars(range(max = 16777216))]
    pub warm_up: usize,
}

impl Default for DelayedMatch {
    fn default() -> Self {
        Self {
            symbols: Symbols::ZeroOne,
            rate: Rate::Fixed(0.5),
            repeat: Repeat::Steps(1),
            answer: Answer::FinalStep,
            length: None,
            warm_up: 0,
        }
    }
}

impl DelayedMatch {
    /// What is asked.
    pub(crate) fn question(&self) -> Question {
        let Self { symbols, rate, answer, length, warm_up, .. } = *self;
        Question { symbols, rate, answer, length, warm_up }
    }

    /// The trials that show these bits, each for `repeat` steps.
    pub(crate) fn trials_of(&self, bits: &BitStream, repeat: usize, levels: &[Level]) -> Trials {
        let same = |n: usize, seen: usize, trial: usize| bits.at(seen - n)[trial] == bits.at(seen - 1)[trial];
        self.question().trials(bits, repeat, levels, same)
    }
}

#[typetag::serde(name = "delayed-match")]
impl Task for DelayedMatch {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.question().check(problems);
        self.repeat.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        self.question().spec()
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let question = self.question();
        let levels = question.levels(lesson)?;
        let bits = question.draw(&levels, batch, stream);
        let repeat = self.repeat.draw(lesson, stream)?;
        Ok(self.trials_of(&bits, repeat, &levels))
    }
}

synfire::inventory::submit! { Component::task::<DelayedMatch>("delayed-match") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Kind;

    #[test]
    fn classes_compare_the_ends_of_the_window() {
        let task = DelayedMatch { answer: Answer::EveryStep, ..DelayedMatch::default() };
        let trials = task.trials(&Lesson::with_levels([(2, 0), (4, 2)]), 16, &mut Stream::new(6)).unwrap();
        for (target, n) in trials.targets.iter().zip([2i64, 4]) {
            let weight = target.weight.as_ref().unwrap();
            for step in 0..trials.time() as i64 {
                for b in 0..16 {
                    assert_eq!(weight.double_value(&[step, b]) == 1.0, step + 1 >= n);
                    if step + 1 >= n {
                        let same = trials.inputs.double_value(&[step, b, 0])
                            == trials.inputs.double_value(&[step + 1 - n, b, 0]);
                        assert_eq!(target.values.int64_value(&[step, b]), i64::from(same));
                    }
                }
            }
        }
        // The same bits asked at the final step alone.
        let last =
            DelayedMatch::default().trials(&Lesson::with_levels([(2, 0), (4, 2)]), 16, &mut Stream::new(6)).unwrap();
        for (a, b) in last.targets.iter().zip(&trials.targets) {
            assert_eq!(a.values, b.values.select(0, trials.time() as i64 - 1));
        }
    }

    #[test]
    fn classes_are_balanced() {
        let mut stream = Stream::new(8);
        for n in [2usize, 7] {
            let trials = DelayedMatch::default().trials(&Lesson::with_levels([(n, 0)]), 40_000, &mut stream).unwrap();
            let share = trials.targets[0].values.sum(Kind::Int64).int64_value(&[]) as f64 / 40_000.0;
            // Five standard errors of a half are 0.0125.
            assert!((share - 0.5).abs() < 0.0125, "N {n}: {share}");
        }
    }
}
