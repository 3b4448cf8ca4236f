//! Decisions: one number for each trial that the output should have at its end, and how the answer is judged.

use super::trial::Sheet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Objective, Scores, Target};
use synfire::tch::{Kind, Tensor};
use synfire::{Problems, Result, Trials};

/// The scalar error of a trial, for rules that learn from one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrialError {
    /// Mean square of output minus target over the judged steps.
    #[default]
    Squared,
    /// Mean absolute difference of output and target over the judged steps.
    Absolute,
}

/// When an answer counts as correct.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be \"sign\", \"sign-or-zero\", or a largest mean distance such as 1.0")]
pub enum Correct {
    /// When the mean absolute difference of output and target over the judged steps is smaller than this.
    Within(f64),
    /// By the sign of the last output.
    BySign(Sign),
}

/// How the sign of the last output is compared with the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// They must be the same and neither may be 0.
    Sign,
    /// They must not be opposite: an output or a target of 0 counts as correct, as published code counted.
    SignOrZero,
}

/// What of an output is the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// The output itself.
    #[default]
    Linear,
    /// Its hyperbolic tangent. Rules that follow a target over time still let the output itself follow it, as published full-FORCE does.
    Tanh,
}

/// How a decision is judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Judged {
    /// The scalar error of a trial.
    pub error: TrialError,
    /// When an answer is correct: `sign`, `sign-or-zero`, or a largest mean distance from the target.
    pub correct: Correct,
    /// What of the output is compared with the target, for loss, error and correctness.
    #[serde(skip_serializing_if = "is_linear")]
    pub output: Output,
}

fn is_linear(output: &Output) -> bool {
    *output == Output::Linear
}

impl Default for Judged {
    fn default() -> Self {
        Self { error: TrialError::Squared, correct: Correct::BySign(Sign::Sign), output: Output::Linear }
    }
}

impl Judged {
    /// By the mean distance over the judged steps, which must be below `distance`.
    pub(super) fn by_distance(distance: f64) -> Self {
        Self { error: TrialError::Absolute, correct: Correct::Within(distance), output: Output::Linear }
    }

    pub(super) fn check(self, problems: &mut Problems) {
        if let Correct::Within(distance) = self.correct {
            let positive = distance.is_finite() && distance > 0.0;
            problems.inside("judged", |p| p.require(positive, "correct", distance, "greater than 0"));
        }
    }

    /// What the tasks state of their outputs; the tolerance only says that there is right and wrong.
    pub(super) fn objective() -> Objective {
        Objective::regress(Some(1.0))
    }

    /// The answers that the outputs stand for.
    fn answers(self, outputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let answer = |output: &Tensor| match self.output {
            Output::Linear => Ok(output.shallow_clone()),
            Output::Tanh => Ok(output.f_tanh()?),
        };
        outputs.iter().map(answer).collect()
    }

    /// Judge the outputs.
    pub(super) fn score(self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        let outputs = self.answers(outputs)?;
        let mut scores = Self::objective().score(trials, &outputs)?;
        for ((head, target), output) in scores.heads.iter_mut().zip(&trials.targets).zip(&outputs) {
            head.accuracy = Some(self.accuracy(target, &output.detach())?);
        }
        Ok(scores)
    }

    /// This share of the fraction of correct trials; all trials of a batch have the same number of judged steps.
    fn accuracy(self, target: &Target, output: &Tensor) -> Result<Tensor> {
        let weight = weight_of(target, output);
        let judged_steps = weight.f_sum_dim_intlist(0i64, false, None::<Kind>)?;
        let correct = match self.correct {
            Correct::Within(distance) => distances(target, output, &weight)?.f_lt(distance)?,
            Correct::BySign(sign) => {
                let last = output.size()[0] - 1;
                let product = output.f_get(last)?.f_mul(&target.values.f_get(last)?)?;
                let same = match sign {
                    Sign::Sign => product.f_gt(0.0)?,
                    Sign::SignOrZero => product.f_ge(0.0)?,
                };
                same.f_all_dim(-1, false)?
            }
        };
        // Each trial has its judged steps over the total of all trials as its share.
        let share = judged_steps.f_div_scalar(target.total.max(1e-12))?;
        Ok(correct.f_to_kind(output.kind())?.f_mul(&share)?.f_sum(None::<Kind>)?)
    }

    /// One error per trial `[batch]`.
    pub(super) fn errors(self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        let outputs = self.answers(outputs)?;
        // It also refuses outputs that do not fit.
        let squared = Self::objective().errors(trials, &outputs)?;
        if self.error == TrialError::Squared {
            return Ok(squared);
        }
        let mut sum = squared.f_zeros_like()?;
        for (target, output) in trials.targets.iter().zip(&outputs) {
            sum += distances(target, output, &weight_of(target, output))?;
        }
        Ok(sum)
    }
}

fn weight_of(target: &Target, output: &Tensor) -> Tensor {
    match &target.weight {
        Some(weight) => weight.shallow_clone(),
        None => Tensor::ones(&output.size()[..2], (output.kind(), output.device())),
    }
}

/// Mean absolute difference of output and target over the judged steps, `[batch]`.
fn distances(target: &Target, output: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let distance = output.f_sub(&target.values)?.f_abs()?.f_mean_dim(-1i64, false, None::<Kind>)?;
    let sum = distance.f_mul(weight)?.f_sum_dim_intlist(0i64, false, None::<Kind>)?;
    Ok(sum.f_div(&weight.f_sum_dim_intlist(0i64, false, None::<Kind>)?.f_clamp_min(1e-12)?)?)
}

/// At which steps a decision is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Steps of the trial.
    pub time: usize,
    /// Steps at the end at which the output should be the decision.
    pub answer: usize,
    /// Steps at the start at which it should be 0; they are judged.
    pub silent: usize,
}

impl Window {
    /// The target of head 0: 0 in the silent steps and the trial's number afterwards, with weight 1 at the judged steps.
    pub(super) fn target(self, decisions: &[f64]) -> Target {
        let Self { time, answer, silent } = self;
        let batch = decisions.len();
        let (mut values, mut weight) = (Sheet::new(time, batch, 1), Sheet::new(time, batch, 1));
        for step in 0..time {
            let judged = step < silent || step + answer >= time;
            for (row, decision) in decisions.iter().enumerate() {
                if step >= silent {
                    values.set(step, row, 0, *decision);
                }
                if judged {
                    weight.set(step, row, 0, 1.0);
                }
            }
        }
        Target::new(0, None, Answer::EveryStep, values.tensor(), Some(weight.flat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(window: Window, decisions: &[f64]) -> Trials {
        let (time, batch) = (window.time as i64, decisions.len() as i64);
        let inputs = Tensor::zeros([time, batch, 1], (Kind::Float, synfire::tch::Device::Cpu));
        Trials { inputs, targets: vec![window.target(decisions)], answer: Answer::EveryStep, ..Trials::default() }
    }

    #[test]
    fn loss_errors_and_accuracy_are_those_of_hand() {
        let window = Window { time: 4, answer: 2, silent: 1 };
        let trials = trials(window, &[1.0, -1.0, 1.0]);
        // time by trial; steps 0, 2 and 3 are judged against 0, s and s
        let outputs = [0.5, 0.0, 0.0, 9.0, 9.0, 9.0, 1.0, 1.0, 2.0, 0.5, 0.5, 0.0];
        let output = [Tensor::from_slice(&outputs.map(|x| x as f32)).reshape([4, 3, 1])];
        let judged = Judged::default();
        let scores = judged.score(&trials, &output).expect("fits");
        // squares: 0.25 + 0 + 0.25, 0 + 4 + 2.25, 0 + 1 + 1
        assert!((scores.loss.double_value(&[]) - (0.5 + 6.25 + 2.0) / 9.0).abs() < 1e-6);
        let accuracy = |judged: Judged| {
            let scores = judged.score(&trials, &output).expect("fits");
            scores.heads[0].accuracy.as_ref().map(|a| a.double_value(&[])).expect("a decision")
        };
        // the last trial ends at exactly 0
        assert!((accuracy(judged) - 1.0 / 3.0).abs() < 1e-6);
        let legacy = Judged { correct: Correct::BySign(Sign::SignOrZero), ..judged };
        assert!((accuracy(legacy) - 2.0 / 3.0).abs() < 1e-6);
        // absolute: (0.5 + 0 + 0.5) / 3, (0 + 2 + 1.5) / 3, (0 + 1 + 1) / 3
        let absolute = Judged::by_distance(0.5);
        let errors = synfire::tensors::values_f64(&absolute.errors(&trials, &output).expect("fits"));
        for (found, expected) in errors.iter().zip([1.0 / 3.0, 3.5 / 3.0, 2.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-6, "{errors:?}");
        }
        assert!((accuracy(absolute) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn an_answer_through_the_hyperbolic_tangent_is_judged_as_one() {
        let trials = trials(Window { time: 1, answer: 1, silent: 0 }, &[1.0, -1.0]);
        let output = [Tensor::from_slice(&[0.5, 2.0]).to_kind(Kind::Float).reshape([1, 2, 1])];
        let judged = Judged { output: Output::Tanh, ..Judged::by_distance(0.6) };
        let (right, wrong) = (1.0 - 0.5f64.tanh(), 1.0 + 2.0f64.tanh());
        let errors = synfire::tensors::values_f64(&judged.errors(&trials, &output).expect("fits"));
        assert!((errors[0] - right).abs() < 1e-6 && (errors[1] - wrong).abs() < 1e-6, "{errors:?}");
        let scores = judged.score(&trials, &output).expect("fits");
        assert!((scores.loss.double_value(&[]) - (right * right + wrong * wrong) / 2.0).abs() < 1e-6);
        assert_eq!(scores.heads[0].accuracy.as_ref().map(|a| a.double_value(&[])), Some(0.5));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut problems = Problems::under("task");
        Judged::by_distance(0.0).check(&mut problems);
        assert!(problems.into_result().expect_err("one").to_string().contains("task.judged.correct is 0"));
        let words: Result<Judged, _> = serde_json::from_str(r#"{ "correct": "roughly" }"#);
        assert!(words.expect_err("no such word").to_string().contains("sign-or-zero"));
        let window = Window { time: 4, answer: 2, silent: 0 };
        let wrong = [Tensor::zeros([4, 1, 2], (Kind::Float, synfire::tch::Device::Cpu))];
        assert!(Judged::default().errors(&trials(window, &[1.0]), &wrong).is_err());
    }
}
