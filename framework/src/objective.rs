//! Objectives: how outputs are compared with targets.

use crate::task::{Target, Trials};
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

/// What outputs are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Classes: cross-entropy of the softmax over the outputs.
    CrossEntropy,
    /// Values: squared error, averaged over the outputs.
    SquaredError,
    /// Values between 0 and 1: squared error of the logistic of the outputs, averaged over the outputs.
    LogisticSquaredError,
    /// Independent binary outputs: cross-entropy of the logistic of each, averaged over the outputs.
    BinaryCrossEntropy,
}

/// When heads answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// After the last step.
    #[default]
    FinalStep,
    /// At every step, weighted by the target's weight.
    EveryStep,
}

/// What outputs are compared with, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The comparison.
    pub loss: Loss,
    /// When heads answer.
    pub answer: Answer,
    /// For values: an answer is correct when every output is within this distance of its target.
    pub tolerance: Option<f64>,
}

/// The judgement of one head; the parts add up over rows.
#[derive(Debug)]
pub struct HeadScore {
    /// Number of the head.
    pub head: usize,
    /// Its level, where the task has one.
    pub level: Option<usize>,
    /// This share of the mean loss of the head; 0-dimensional.
    pub loss: Tensor,
    /// This share of the fraction of correct answers; 0-dimensional. `None` where there is no right or wrong.
    pub accuracy: Option<Tensor>,
}

/// The judgement of a batch, or of some of its rows.
#[derive(Debug)]
pub struct Scores {
    /// What is minimised: the sum over heads of their mean loss; 0-dimensional, differentiable.
    pub loss: Tensor,
    /// Head by head.
    pub heads: Vec<HeadScore>,
}

impl Objective {
    /// A classification answered at the final step.
    pub const fn classify(answer: Answer) -> Self {
        Self { loss: Loss::CrossEntropy, answer, tolerance: None }
    }

    /// A regression at every step; with a tolerance, answers within it count as correct.
    pub const fn regress(tolerance: Option<f64>) -> Self {
        Self { loss: Loss::SquaredError, answer: Answer::EveryStep, tolerance }
    }

    /// Whether an accuracy comes with the scores.
    pub fn has_accuracy(&self) -> bool {
        match self.loss {
            Loss::CrossEntropy | Loss::BinaryCrossEntropy => true,
            Loss::SquaredError | Loss::LogisticSquaredError => self.tolerance.is_some(),
        }
    }

    /// Judge outputs, one tensor per target: `[batch, output]` for answers at the final step, else `[time, batch, output]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when outputs and targets do not fit.
    pub fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        self.fits(trials, outputs)?;
        let mut heads = Vec::with_capacity(outputs.len());
        for (target, output) in trials.targets.iter().zip(outputs) {
            let loss = weighted(&self.entries(target, output), target);
            let accuracy = self.correct(target, output).map(|correct| weighted(&correct, target));
            heads.push(HeadScore { head: target.head, level: target.level, loss, accuracy });
        }
        let loss = heads.iter().map(|head| head.loss.shallow_clone()).reduce(|a, b| a + b);
        Ok(Scores { loss: loss.ok_or_else(|| Error::Failed("the trials have no target".into()))?, heads })
    }

    /// The mean loss of each trial over its weighted steps, summed over heads: `[batch]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when outputs and targets do not fit.
    pub fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        self.fits(trials, outputs)?;
        let per_trial = trials.targets.iter().zip(outputs).map(|(target, output)| {
            let entries = self.entries(target, output);
            let (sum, weight) = match &target.weight {
                Some(weight) => (&entries * weight, weight.shallow_clone()),
                None => (entries.shallow_clone(), entries.ones_like()),
            };
            if self.answer == Answer::EveryStep {
                let over_time = |t: Tensor| t.sum_dim_intlist(0i64, false, None::<Kind>);
                over_time(sum) / over_time(weight).clamp_min(1e-12)
            } else {
                sum
            }
        });
        per_trial.reduce(|a, b| a + b).ok_or_else(|| Error::Failed("the trials have no target".into()))
    }

    /// The target of one head as a signal over time `[time, batch, output]` and its weight `[time, batch]`, for rules that follow a
    /// signal. Classes become +1 for the right output and -1 for the others, values that the logistic of an output is compared with
    /// what has them as its logistic; an answer at the final step has weight there alone.
    pub fn signal(&self, trials: &Trials, target: &Target, outputs: usize) -> (Tensor, Tensor) {
        let (time, batch) = (trials.time() as i64, trials.batch() as i64);
        let (kind, device) = (trials.inputs.kind(), trials.inputs.device());
        let values = match self.loss {
            Loss::CrossEntropy => target.values.one_hot(outputs as i64).to_kind(kind) * 2.0 - 1.0,
            Loss::BinaryCrossEntropy => &target.values * 2.0 - 1.0,
            Loss::SquaredError => target.values.shallow_clone(),
            // Where the logistic of the signal is the value; 0 and 1 themselves are out of reach.
            Loss::LogisticSquaredError => target.values.clamp(1e-3, 1.0 - 1e-3).logit(None::<f64>),
        };
        match self.answer {
            Answer::EveryStep => {
                let weight = target.weight.as_ref().map(Tensor::shallow_clone);
                (values, weight.unwrap_or_else(|| Tensor::ones([time, batch], (kind, device))))
            }
            Answer::FinalStep => {
                let weight = Tensor::zeros([time, batch], (kind, device));
                let mut last = weight.select(0, time - 1);
                match &target.weight {
                    Some(w) => last.copy_(w),
                    None => drop(last.fill_(1.0)),
                }
                (values.unsqueeze(0).expand([time, batch, outputs as i64], false), weight)
            }
        }
    }

    /// Loss of every entry, `[batch]` or `[time, batch]`.
    fn entries(&self, target: &Target, output: &Tensor) -> Tensor {
        match self.loss {
            Loss::CrossEntropy => {
                let classes = output.size().last().copied().unwrap_or(1);
                output
                    .reshape([-1, classes])
                    .cross_entropy_loss::<Tensor>(&target.values.reshape([-1]), None, Reduction::None, -100, 0.0)
                    .reshape(target.values.size())
            }
            Loss::SquaredError => (output - &target.values).square().mean_dim(-1i64, false, None::<Kind>),
            Loss::LogisticSquaredError => {
                (output.sigmoid() - &target.values).square().mean_dim(-1i64, false, None::<Kind>)
            }
            Loss::BinaryCrossEntropy => output
                .binary_cross_entropy_with_logits::<Tensor>(&target.values, None, None, Reduction::None)
                .mean_dim(-1i64, false, None::<Kind>),
        }
    }

    /// 1 where the answer is right, `[batch]` or `[time, batch]`.
    fn correct(&self, target: &Target, output: &Tensor) -> Option<Tensor> {
        let output = output.detach();
        let right = match (self.loss, self.tolerance) {
            (Loss::CrossEntropy, _) => output.argmax(-1, false).eq_tensor(&target.values),
            (Loss::BinaryCrossEntropy, _) => output.gt(0.0).eq_tensor(&target.values.gt(0.5)).all_dim(-1, false),
            (Loss::SquaredError, Some(tolerance)) => (&output - &target.values).abs().le(tolerance).all_dim(-1, false),
            (Loss::LogisticSquaredError, Some(tolerance)) => {
                (&output.sigmoid() - &target.values).abs().le(tolerance).all_dim(-1, false)
            }
            (Loss::SquaredError | Loss::LogisticSquaredError, None) => return None,
        };
        Some(right.to_kind(output.kind()))
    }

    fn fits(&self, trials: &Trials, outputs: &[Tensor]) -> Result<()> {
        if trials.targets.len() != outputs.len() {
            return Err(Error::Shape {
                what: "list of outputs".into(),
                expected: format!("{} heads", trials.targets.len()),
                found: format!("{} heads", outputs.len()),
            });
        }
        for (target, output) in trials.targets.iter().zip(outputs) {
            let mut expected = target.values.size();
            let mut found = output.size();
            if self.loss == Loss::CrossEntropy {
                found.pop();
            }
            if expected != found {
                expected = target.values.size();
                return Err(Error::Shape {
                    what: format!("output of head {}", target.head),
                    expected: format!("{expected:?}"),
                    found: format!("{found:?}"),
                });
            }
        }
        Ok(())
    }
}

/// Sum of entries times weight, over the total weight of the whole batch.
fn weighted(entries: &Tensor, target: &Target) -> Tensor {
    let sum = match &target.weight {
        Some(weight) => (entries * weight).sum(None::<Kind>),
        None => entries.sum(None::<Kind>),
    };
    sum / target.total.max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(time: i64) -> Trials {
        let inputs = Tensor::zeros([time, 4, 1], (Kind::Double, tch::Device::Cpu));
        let classes = Tensor::from_slice(&[0i64, 1, 1, 0]);
        let targets = vec![Target::new(0, Some(2), Answer::FinalStep, classes, None)];
        Trials { inputs, targets, ..Trials::default() }
    }

    #[test]
    fn scores_of_rows_add_up_to_the_score_of_the_batch() {
        let objective = Objective::classify(Answer::FinalStep);
        let trials = classified(3);
        let output = Tensor::from_slice(&[2.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.2]).reshape([4, 2]);
        let whole = objective.score(&trials, &[output.shallow_clone()]).expect("fits");
        let parts = [0..1, 1..4].map(|rows: std::ops::Range<usize>| {
            let output = output.narrow(0, rows.start as i64, rows.len() as i64);
            objective.score(&trials.rows(rows), &[output]).expect("fits")
        });
        let sum: f64 = parts.iter().map(|p| p.loss.double_value(&[])).sum();
        assert!((sum - whole.loss.double_value(&[])).abs() < 1e-15);
        // by hand: -ln softmax of (2,0)->0, (0,1)->1, (1,0)->1, (0.5,0.2)->0
        let by_hand = [2.0f64, 1.0, -1.0, 0.3].map(|gap| (1.0 + (-gap).exp()).ln()).iter().sum::<f64>() / 4.0;
        assert!((sum - by_hand).abs() < 1e-12, "{sum} {by_hand}");
        let accuracy = whole.heads[0].accuracy.as_ref().expect("classes").double_value(&[]);
        assert!((accuracy - 0.75).abs() < 1e-15);
    }

    #[test]
    fn masked_regression_counts_weighted_steps_only() {
        let objective = Objective::regress(Some(0.1));
        let inputs = Tensor::zeros([2, 1, 1], (Kind::Double, tch::Device::Cpu));
        let values = Tensor::from_slice(&[1.0, 1.0]).reshape([2, 1, 1]);
        let weight = Tensor::from_slice(&[0.0, 1.0]).reshape([2, 1]);
        let targets = vec![Target::new(0, None, Answer::EveryStep, values, Some(weight))];
        let trials = Trials { inputs, targets, answer: Answer::EveryStep, ..Trials::default() };
        let output = Tensor::from_slice(&[9.0, 0.5]).reshape([2, 1, 1]);
        let scores = objective.score(&trials, &[output.shallow_clone()]).expect("fits");
        assert!((scores.loss.double_value(&[]) - 0.25).abs() < 1e-15);
        assert!((objective.errors(&trials, &[output]).expect("fits").double_value(&[0]) - 0.25).abs() < 1e-12);
        let wrong = objective.score(&trials, &[Tensor::zeros([2, 1, 3], (Kind::Double, tch::Device::Cpu))]);
        assert!(wrong.expect_err("three outputs for one").to_string().contains("output of head 0"));
    }

    #[test]
    fn the_logistic_of_an_output_is_compared_and_its_signal_is_the_inverse() {
        let objective = Objective { loss: Loss::LogisticSquaredError, answer: Answer::EveryStep, tolerance: None };
        let inputs = Tensor::zeros([1, 1, 1], (Kind::Double, tch::Device::Cpu));
        let values = Tensor::from_slice(&[0.85, 0.05]).reshape([1, 1, 2]);
        let targets = vec![Target::new(0, None, Answer::EveryStep, values, None)];
        let trials = Trials { inputs, targets, answer: Answer::EveryStep, ..Trials::default() };
        let (signal, _) = objective.signal(&trials, &trials.targets[0], 2);
        assert!((signal.double_value(&[0, 0, 0]) - (0.85f64 / 0.15).ln()).abs() < 1e-12);
        let perfect = objective.score(&trials, &[signal]).expect("fits");
        assert!(perfect.loss.double_value(&[]) < 1e-30 && perfect.heads[0].accuracy.is_none());
        let zero = objective.score(&trials, &[Tensor::zeros([1, 1, 2], (Kind::Double, tch::Device::Cpu))]);
        // (0.35^2 + 0.45^2) / 2
        assert!((zero.expect("fits").loss.double_value(&[]) - 0.1625).abs() < 1e-12);
    }

    #[test]
    fn classes_at_the_final_step_become_a_signal_there() {
        let objective = Objective::classify(Answer::FinalStep);
        let trials = classified(3);
        let (signal, weight) = objective.signal(&trials, &trials.targets[0], 2);
        assert_eq!(signal.size(), [3, 4, 2]);
        assert_eq!(signal.double_value(&[2, 1, 1]), 1.0);
        assert_eq!(signal.double_value(&[2, 1, 0]), -1.0);
        assert_eq!(weight.sum(Kind::Double).double_value(&[]), 4.0);
        assert_eq!(weight.double_value(&[1, 0]), 0.0);
    }
}
