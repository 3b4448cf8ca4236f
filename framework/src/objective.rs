//! Objectives: how outputs are compared with targets.

use crate::recurrence::{Compared, Comparison};
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

impl Scores {
    /// Loss and, if all heads are judged by it, their mean accuracy.
    pub fn summary(&self) -> (f64, Option<f64>) {
        let accuracy = |head: &HeadScore| head.accuracy.as_ref().map(|a| a.double_value(&[]));
        let all: Option<Vec<f64>> = self.heads.iter().map(accuracy).collect();
        let mean = all.filter(|a| !a.is_empty()).map(|a| a.iter().sum::<f64>() / a.len() as f64);
        (self.loss.detach().double_value(&[]), mean)
    }
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
            let (loss, accuracy) = self.judge(target, output)?;
            heads.push(HeadScore { head: target.head, level: target.level, loss, accuracy });
        }
        let loss = heads.iter().map(|head| head.loss.shallow_clone()).reduce(|a, b| a + b);
        Ok(Scores { loss: loss.ok_or_else(|| Error::Failed("the trials have no target".into()))?, heads })
    }

    /// The loss of one head, which autograd can follow to the outputs, and its accuracy.
    fn judge(&self, target: &Target, output: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let comparison = Comparison {
            objective: *self,
            output,
            target: &target.values,
            weight: target.weight.as_ref(),
            total: target.total,
        };
        let Some(Compared { loss, right, gradient }) = comparison.compare(output.requires_grad())? else {
            let loss = weighted(&self.entries(target, output), target);
            return Ok((loss, self.correct(target, output).map(|correct| weighted(&correct, target))));
        };
        let number = |x: f64| Tensor::f_full([0i64; 0], x, (output.kind(), output.device()));
        let loss = match gradient {
            // The value is the loss, the slope that which was found with it.
            Some(gradient) => {
                let sloping = output.f_reshape([-1])?.f_dot(&gradient.f_reshape([-1])?)?;
                sloping.f_sub(&sloping.detach())?.f_add(&number(loss)?)?
            }
            None => number(loss)?,
        };
        Ok((loss, right.map(number).transpose()?))
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
mod tests;
