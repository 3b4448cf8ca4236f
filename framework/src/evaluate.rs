//! Evaluation: a rollout without a rule, from fresh initial states, on fresh trials.

use crate::cell::Mode;
use crate::curriculum::HeadResult;
use crate::experiment::{Parts, Training};
use crate::network::Network;
use crate::rollout::{Record, Rollout};
use crate::workers::{Workers, guarded};
use crate::{Error, Lesson, Result, Stream, Tensors};

/// How an evaluation is made.
pub struct Evaluator<'a> {
    /// Task and conditions.
    pub parts: &'a Parts,
    /// Batch size, settling, fast path.
    pub training: &'a Training,
    /// Threads.
    pub workers: &'a Workers,
    /// Bare cell, or with the wrappers that training has.
    pub mode: Mode,
    /// State to begin from instead of a fresh one; its one row is used for every trial.
    pub from: Option<Tensors>,
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// Number of trials.
    pub trials: usize,
    /// Sum over heads of their mean loss.
    pub loss: f64,
    /// Mean over heads of the fraction of correct answers.
    pub accuracy: Option<f64>,
    /// Head by head, in the order of the trials' targets.
    pub heads: Vec<HeadResult>,
}

impl Evaluator<'_> {
    /// Judge `network` on `trials` fresh trials of a lesson, drawn from `stream`.
    ///
    /// # Errors
    /// When the lesson asks for heads that the network lacks, or a part fails.
    pub fn run(&self, network: &Network, lesson: &Lesson, trials: usize, stream: &Stream) -> Result<Results> {
        let lesson = &Lesson { mode: self.mode, ..lesson.clone() };
        let mut results: Option<Results> = None;
        let mut done = 0;
        for index in 0.. {
            if done >= trials {
                break;
            }
            let size = self.training.evaluation_batch.min(trials - done);
            let part = self.batch(network, lesson, size, &stream.at(index))?;
            results = Some(match results {
                None => part,
                Some(sum) => sum.plus(part)?,
            });
            done += size;
        }
        results.ok_or_else(|| Error::config("trials", "is 0, must be at least 1", ""))
    }

    fn batch(&self, network: &Network, lesson: &Lesson, size: usize, stream: &Stream) -> Result<Results> {
        let device = network.parameters.iter().next().map_or(tch::Device::Cpu, |(_, t)| t.device());
        let mut trial_stream = stream.child("trials");
        let drawn = guarded("task", || self.parts.task.trials(lesson, size, &mut trial_stream))?;
        let drawn = drawn.to(device, self.training.precision.kind());
        let rollout = Rollout {
            task: &*self.parts.task,
            lesson,
            setting: self.parts.setting(lesson, self.mode),
            stream: stream.child("network"),
            workers: self.workers,
            fast: self.training.fast,
            settle: self.training.settle_steps,
        };
        let initial = self.from.as_ref().map(|state| {
            state.map(|row| {
                let mut shape = row.size();
                shape[0] = size as i64;
                row.narrow(0, 0, 1).expand(&shape, false).contiguous()
            })
        });
        let played = guarded("cell", || rollout.play_from(network, &drawn, Record::Outputs, initial.as_ref()))?;
        let scores = guarded("task", || self.parts.task.score(&played.trials, &played.outputs))?;
        let heads: Vec<HeadResult> = scores
            .heads
            .iter()
            .map(|head| HeadResult {
                head: head.head,
                level: head.level,
                loss: head.loss.double_value(&[]),
                accuracy: head.accuracy.as_ref().map(|a| a.double_value(&[]).min(1.0)),
            })
            .collect();
        Ok(Results { trials: size, loss: scores.loss.double_value(&[]), accuracy: mean_accuracy(&heads), heads })
    }
}

fn mean_accuracy(heads: &[HeadResult]) -> Option<f64> {
    let all: Option<Vec<f64>> = heads.iter().map(|head| head.accuracy).collect();
    all.filter(|a| !a.is_empty()).map(|a| a.iter().sum::<f64>() / a.len() as f64)
}

impl Results {
    /// Two batches as one, weighted by their trials.
    fn plus(self, other: Self) -> Result<Self> {
        if self.heads.len() != other.heads.len() {
            return Err(Error::Failed("two batches of one evaluation asked different heads".into()));
        }
        let total = (self.trials + other.trials) as f64;
        let (a, b) = (self.trials as f64 / total, other.trials as f64 / total);
        let heads: Vec<HeadResult> = self
            .heads
            .into_iter()
            .zip(other.heads)
            .map(|(x, y)| HeadResult {
                head: x.head,
                level: x.level,
                loss: a * x.loss + b * y.loss,
                accuracy: x.accuracy.zip(y.accuracy).map(|(x, y)| a * x + b * y),
            })
            .collect();
        let loss = a * self.loss + b * other.loss;
        Ok(Self { trials: self.trials + other.trials, loss, accuracy: mean_accuracy(&heads), heads })
    }
}
