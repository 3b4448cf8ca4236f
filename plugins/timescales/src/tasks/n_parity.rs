//! The parity of the last `N` bits.

use super::bit_stream::{BitStream, Rate, Symbols};
use super::question::{Question, Repeat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::Level;
use synfire::task::Answer;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether the number of ones among the last `N` symbols of a random stream is odd.
///
/// With `M` symbols, each shown for `repeat` steps, and `N` the hardest active level, `M` is uniform in `N + 2 ..= 4 N + 1` and the
/// same in all trials of a batch; the first `M - N` symbols are distractors. Each active level `N` has a target for its own head:
///
/// inputs  `[M repeat, batch, 1]`  the symbols
/// classes `[batch]`               sum of the last `N` bits modulo 2, asked for at the last step
///
/// With `answer = "every-step"` the classes are `[M repeat, batch]`: at the last step of symbol `t` (counted from 1) the parity of
/// symbols `t - N + 1 ..= t`, with weight 0 while `t < N` or `t <= warm_up` and at the other steps of a symbol; where `length` is left
/// out, the symbols of the warm-up come on top of those drawn. The published running accuracy, over one long stream, is that of
/// `rate = 0.5`, `answer = "every-step"`, `length = 1100`, `warm_up = 100`.
///
/// With the rate drawn per trial the classes are balanced for odd `N`; for even `N` class 0 has probability 1/2 + 1/(2 (N + 1)).
///
/// Conditions: `rate` (probability of a 1), `N` (hardest level).
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927.
/// Differs: the published time-resolved labels lack the window that ends at the last symbol; these do not. From a list of `repeat`
/// each batch draws one; the published loop makes an update with each in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NParity {
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

impl Default for NParity {
    fn default() -> Self {
        Self {
            symbols: Symbols::ZeroOne,
            rate: Rate::UNIFORM,
            repeat: Repeat::Steps(1),
            answer: Answer::FinalStep,
            length: None,
            warm_up: 0,
        }
    }
}

impl NParity {
    /// What is asked.
    pub(crate) fn question(&self) -> Question {
        let Self { symbols, rate, answer, length, warm_up, .. } = *self;
        Question { symbols, rate, answer, length, warm_up }
    }

    /// The trials that show these bits, each for `repeat` steps.
    pub(crate) fn trials_of(&self, bits: &BitStream, repeat: usize, levels: &[Level]) -> Trials {
        let (parity, batch) = (bits.running_parity(), bits.batch());
        self.question().trials(bits, repeat, levels, |n, seen, trial| {
            parity[seen * batch + trial] != parity[(seen - n) * batch + trial]
        })
    }
}

#[typetag::serde(name = "n-parity")]
impl Task for NParity {
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

synfire::inventory::submit! { Component::task::<NParity>("n-parity") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Kind;
    use synfire::tensors::values_f64;

    /// Bits of trial `b`, read back from the inputs.
    fn bits(trials: &Trials, b: usize, repeat: usize) -> Vec<i64> {
        let all = values_f64(&trials.inputs);
        let batch = trials.batch();
        (0..trials.time() / repeat).map(|t| i64::from(all[t * repeat * batch + b] > 0.5)).collect()
    }

    #[test]
    fn classes_are_those_counted_by_hand() {
        let lesson = Lesson::with_levels([(2, 0), (5, 3), (6, 4)]);
        let trials = NParity::default().trials(&lesson, 64, &mut Stream::new(1)).unwrap();
        assert_eq!(trials.inputs.size(), [trials.time() as i64, 64, 1]);
        for (target, (n, head)) in trials.targets.iter().zip([(2usize, 0), (5, 3), (6, 4)]) {
            assert_eq!((target.head, target.level, target.total), (head, Some(n), 64.0));
            assert_eq!((target.values.kind(), target.values.size()), (Kind::Int64, vec![64]));
            for b in 0..64 {
                let sum: i64 = bits(&trials, b, 1).iter().rev().take(n).sum();
                assert_eq!(target.values.int64_value(&[b as i64]), sum % 2);
            }
        }
        assert!(trials.conditions["N"].iter().all(|n| *n == 6.0));
        assert!(trials.conditions["rate"].iter().all(|p| (0.0..1.0).contains(p)));
    }

    #[test]
    fn every_step_asks_for_each_window_at_the_end_of_its_last_symbol() {
        for repeat in [1usize, 3] {
            let repeated = Repeat::Steps(repeat);
            let task = NParity { answer: Answer::EveryStep, repeat: repeated, ..NParity::default() };
            let trials = task.trials(&Lesson::with_levels([(3, 0), (4, 1)]), 8, &mut Stream::new(2)).unwrap();
            let symbols = trials.time() / repeat;
            for (target, n) in trials.targets.iter().zip([3usize, 4]) {
                let weight = target.weight.as_ref().unwrap();
                assert_eq!(target.total, ((symbols - n + 1) * 8) as f64);
                for b in 0..8 {
                    let bits = bits(&trials, b, repeat);
                    for step in 0..trials.time() {
                        let seen = step / repeat + 1;
                        let asked = seen >= n && (step + 1) % repeat == 0;
                        let at = [step as i64, b as i64];
                        assert_eq!(weight.double_value(&at), f64::from(u8::from(asked)));
                        if asked {
                            let sum: i64 = bits[seen - n..seen].iter().sum();
                            assert_eq!(target.values.int64_value(&at), sum % 2, "N {n} step {step}");
                        }
                    }
                }
            }
        }
    }

    /// As the published code counts it: one stream at a rate of one half, an answer at each of 1000 steps after 100, class 1 where the
    /// second output is the greater, against the parity of running sums of the bits.
    #[test]
    fn the_running_accuracy_is_that_counted_step_by_step() {
        let task = NParity {
            rate: Rate::Fixed(0.5),
            answer: Answer::EveryStep,
            length: Some(1100),
            warm_up: 100,
            ..NParity::default()
        };
        let mut stream = Stream::new(3);
        let (batch, levels) = (4, [(2usize, 0), (30, 1)]);
        let trials = task.trials(&Lesson::with_levels(levels), batch, &mut stream).unwrap();
        let draw = |_| stream.normal_tensor(&[1100, batch as i64, 2], Kind::Float, synfire::tch::Device::Cpu);
        // Random answers are right half of the time; those of the second head are made right in 250 steps of each trial.
        let mut outputs: Vec<_> = levels.iter().map(draw).collect();
        let right = trials.targets[1].values.one_hot(2).to_kind(Kind::Float) * 100.0;
        outputs[1] = &outputs[1]
            + right
                * synfire::tch::Tensor::arange(1100, (Kind::Float, synfire::tch::Device::Cpu))
                    .lt(350.0)
                    .reshape([-1, 1, 1]);
        let scores = task.spec().objective.score(&trials, &outputs).unwrap();
        for ((output, score), (n, _)) in outputs.iter().zip(&scores.heads).zip(levels) {
            let mut correct = 0;
            for b in 0..batch {
                let mut sums = vec![0];
                bits(&trials, b, 1).iter().for_each(|bit| sums.push(sums[sums.len() - 1] + bit));
                for t in 101..=1100 {
                    let at = |class| output.double_value(&[t as i64 - 1, b as i64, class]);
                    correct += usize::from(i64::from(at(0) < at(1)) == (sums[t] - sums[t - n]) % 2);
                }
            }
            let counted = correct as f64 / (1000 * batch) as f64;
            let found = score.accuracy.as_ref().unwrap().double_value(&[]);
            // a sum of 4000 ones in single precision
            assert!((found - counted).abs() < 1e-6, "N {n}: {found} {counted}");
            // 4000 answers: five standard errors are 0.04
            let expected = if n == 30 { 0.625 } else { 0.5 };
            assert!((found - expected).abs() < 0.04, "N {n}: {found}");
        }
    }

    #[test]
    fn even_levels_favour_class_zero_as_the_closed_form_says() {
        let share = |n: usize| {
            let mut stream = Stream::new(11);
            let lesson = Lesson::with_levels([(n, 0)]);
            let (batches, size) = (20, 5000);
            let odd: i64 = (0..batches)
                .map(|_| NParity::default().trials(&lesson, size, &mut stream).unwrap())
                .map(|trials| trials.targets[0].values.sum(Kind::Int64).int64_value(&[]))
                .sum();
            1.0 - odd as f64 / (batches * size) as f64
        };
        for n in [2usize, 3, 4, 5, 30] {
            let expected = if n % 2 == 0 { 0.5 + 0.5 / (n as f64 + 1.0) } else { 0.5 };
            // 100,000 trials: five standard errors are 0.008.
            assert!((share(n) - expected).abs() < 0.008, "N {n}: {} {expected}", share(n));
        }
    }

    #[test]
    fn lengths_are_one_per_batch_and_cover_their_range_evenly() {
        let lesson = Lesson::with_levels([(3, 0), (4, 1)]);
        let mut counts = [0usize; 20];
        let mut stream = Stream::new(4);
        for _ in 0..12_000 {
            counts[NParity::default().trials(&lesson, 1, &mut stream).unwrap().time()] += 1;
        }
        // N = 4: 6 ..= 17, twelve lengths of 1000 each; five standard errors are 152.
        assert!(counts[..6].iter().chain(&counts[18..]).all(|c| *c == 0), "{counts:?}");
        assert!(counts[6..18].iter().all(|c| c.abs_diff(1000) < 152), "{counts:?}");
        let fixed = NParity { length: Some(40), repeat: Repeat::Steps(2), ..NParity::default() };
        assert_eq!(fixed.trials(&lesson, 1, &mut stream).unwrap().time(), 80);
    }

    #[test]
    fn symbols_and_rate_are_as_asked_and_nonsense_is_refused() {
        let registry = Registry::linked().unwrap();
        let build = |json| {
            registry.build(&synfire::Spec::<dyn Task>::with("n-parity", &json), "task").map_err(|e| e.to_string())
        };
        let task = build(serde_json::json!({ "symbols": "plus-minus", "rate": 1.0, "repeat": 2 })).unwrap();
        let trials = task.trials(&Lesson::default(), 3, &mut Stream::new(1)).unwrap();
        assert!(values_f64(&trials.inputs).iter().all(|x| *x == 1.0));
        assert!(values_f64(&trials.targets[0].values).iter().all(|x| *x == 0.0));
        let uniform = build(serde_json::json!({ "rate": "uniform" })).unwrap();
        assert_eq!(serde_json::to_value(&uniform).unwrap()["rate"], "uniform");
        for (options, expected) in [
            (serde_json::json!({ "rate": 1.5 }), "task.rate is 1.5"),
            (serde_json::json!({ "rate": "often" }), "\"uniform\" or a number"),
            (serde_json::json!({ "repeat": 0 }), "task.repeat is 0"),
        ] {
            let message = build(options).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        let easy = NParity::default().trials(&Lesson::with_levels([(1, 0)]), 2, &mut Stream::new(1));
        assert!(easy.unwrap_err().to_string().contains("N = 1"));
        let lesson = Lesson { dt_ms: Some(20.0), ..Lesson::default() };
        assert!(NParity::default().trials(&lesson, 2, &mut Stream::new(1)).is_err());
    }
}
