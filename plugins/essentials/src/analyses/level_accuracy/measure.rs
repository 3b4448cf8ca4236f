//! Networks judged level by level.

use crate::checkpoints::Stage;
use crate::levels::{self, Learned};
use std::collections::BTreeMap;
use synfire::subject::RunView;
use synfire::task::Target;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Lesson, Result, Stream};

/// What networks are judged on.
pub(super) struct Judge<'a> {
    pub view: &'a RunView<'a>,
    pub levels: &'a [usize],
    pub trials: usize,
    pub together: bool,
    pub stream: Stream,
}

/// How one level was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answered {
    pub head: usize,
    pub learned: Learned,
    pub accuracy: f64,
}

impl Answered {
    /// Whether the head was trained on the level before.
    pub fn learned(&self) -> bool {
        self.learned == Learned::Yes
    }
}

/// One network of the run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub update: u64,
    /// The hardest level of its last lesson.
    pub level: Option<usize>,
    /// Level by level; nothing where no head answers.
    pub answers: Vec<Option<Answered>>,
}

impl Network {
    /// Mean accuracy over the answered levels that `wanted` accepts.
    pub fn mean(&self, wanted: impl Fn(&Answered) -> bool) -> Option<f64> {
        let all: Vec<f64> = self.answers.iter().flatten().filter(|a| wanted(a)).map(|a| a.accuracy).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }
}

/// All networks of a run.
pub(super) struct Judged {
    pub run: String,
    pub level_name: String,
    pub levels: Vec<usize>,
    /// Share of the most frequent class in the trials of each level.
    pub majority: Vec<Option<f64>>,
    /// In the order of training.
    pub networks: Vec<Network>,
    pub trials: usize,
}

/// What became of one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forgotten {
    pub level: usize,
    /// Updates at the end of its own training.
    pub update: u64,
    /// Accuracy then.
    pub own: f64,
    /// Accuracy of the last network.
    pub end: f64,
    /// Whether its own network is the last one.
    pub last: bool,
}

impl Judged {
    /// The last network.
    pub fn last(&self) -> Option<&Network> {
        self.networks.last()
    }

    /// The last network that was trained on each level, by level.
    pub fn by_trained_level(&self) -> BTreeMap<usize, &Network> {
        self.networks.iter().filter_map(|network| network.level.map(|level| (level, network))).collect()
    }

    /// The levels that have a network from the end of their own training.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        let Some(last) = self.last() else { return Vec::new() };
        let place = |level: usize| self.levels.iter().position(|l| *l == level);
        let of = |(level, network): (usize, &Network)| {
            let index = place(level)?;
            let (own, end) = (network.answers[index]?, last.answers[index]?);
            let last = network.update == last.update;
            Some(Forgotten { level, update: network.update, own: own.accuracy, end: end.accuracy, last })
        };
        self.by_trained_level().into_iter().filter_map(of).collect()
    }
}

impl Judge<'_> {
    /// Judge one network.
    pub fn network(&self, stage: &Stage) -> Result<Network> {
        let network = stage.network(self.view)?;
        let (run, own) = (self.view.history(), &stage.checkpoint.state.history);
        let heads: Vec<Option<(usize, Learned)>> = self
            .levels
            .iter()
            .map(|level| levels::answering(*level, &self.view.parts.spec, run, own, &network.readout))
            .collect();
        let judge = |pairs: &[(usize, usize)], stream: &Stream| -> Result<Vec<f64>> {
            let results = self.view.evaluate(&network, &self.lesson(pairs), self.trials, stream)?;
            Ok(results.heads.iter().map(|head| head.accuracy.unwrap_or(f64::NAN)).collect())
        };
        let accuracies: Vec<f64> = if self.together {
            // Levels without a head are asked of any, so that all networks see the same trials.
            let any = network.readout.heads.first().copied().unwrap_or_default();
            let pairs =
                self.levels.iter().zip(&heads).map(|(level, head)| (*level, head.map_or(any, |(head, _)| head)));
            judge(&pairs.collect::<Vec<_>>(), &self.stream.child("together"))?
        } else {
            let mut found = Vec::with_capacity(heads.len());
            for (level, head) in self.levels.iter().zip(&heads) {
                match head {
                    Some((head, _)) => found.extend(judge(&[(*level, *head)], &self.own_stream(*level))?),
                    None => found.push(f64::NAN),
                }
            }
            found
        };
        let answers = heads.into_iter().zip(accuracies).map(|(found, accuracy)| {
            let (head, learned) = found?;
            Some(Answered { head, learned, accuracy })
        });
        Ok(Network { update: stage.update, level: stage.level, answers: answers.collect() })
    }

    fn lesson(&self, pairs: &[(usize, usize)]) -> Lesson {
        self.view.lesson().at_levels(pairs.iter().copied())
    }

    fn own_stream(&self, level: usize) -> Stream {
        self.stream.child("level").at(level as u64)
    }

    /// Share of the most frequent class in the trials that networks are judged on, level by level.
    ///
    /// The trials are drawn once more, as an evaluation draws them; which head answers does not change them. Where trials depend on
    /// answers there is no such share.
    pub fn majority(&self) -> Result<Vec<Option<f64>>> {
        if self.view.parts.spec.closed_loop {
            return Ok(vec![None; self.levels.len()]);
        }
        if self.together {
            let pairs: Vec<(usize, usize)> = self.levels.iter().map(|level| (*level, 0)).collect();
            return self.shares(&self.lesson(&pairs), &self.stream.child("together"));
        }
        let mut all = Vec::with_capacity(self.levels.len());
        for level in self.levels {
            all.extend(self.shares(&self.lesson(&[(*level, 0)]), &self.own_stream(*level))?);
        }
        Ok(all)
    }

    /// Target by target.
    fn shares(&self, lesson: &Lesson, stream: &Stream) -> Result<Vec<Option<f64>>> {
        let batch = self.view.experiment.training.evaluation_batch.max(1);
        let mut counts: Vec<Option<Vec<f64>>> = vec![Some(Vec::new()); lesson.levels.len()];
        for (index, done) in (0..self.trials).step_by(batch).enumerate() {
            let trials = self.view.trials(lesson, batch.min(self.trials - done), &stream.at(index as u64))?;
            for (count, target) in counts.iter_mut().zip(&trials.targets) {
                *count = match (count.take(), classes(target)?) {
                    (Some(sum), Some(more)) => Some(add(sum, &more)),
                    _ => None,
                };
            }
        }
        let share = |counts: Option<Vec<f64>>| {
            let counts = counts?;
            let total: f64 = counts.iter().sum();
            (total > 0.0).then(|| counts.iter().copied().fold(0.0, f64::max) / total)
        };
        Ok(counts.into_iter().map(share).collect())
    }
}

/// Weight of each class among the answers that are asked for; `None` where they are no classes.
fn classes(target: &Target) -> Result<Option<Vec<f64>>> {
    if target.values.kind() != Kind::Int64 {
        return Ok(None);
    }
    let values = target.values.f_reshape([-1])?;
    let weight = match &target.weight {
        Some(weight) => weight.f_to_kind(Kind::Double)?.f_reshape([-1])?,
        None => values.f_ones_like()?.f_to_kind(Kind::Double)?,
    };
    Ok(Some(values_f64(&Tensor::f_bincount(&values, Some(weight), 0)?)))
}

fn add(mut sum: Vec<f64>, more: &[f64]) -> Vec<f64> {
    sum.resize(sum.len().max(more.len()), 0.0);
    sum.iter_mut().zip(more).for_each(|(sum, count)| *sum += count);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::task::Answer;

    #[test]
    fn classes_are_counted_by_weight() {
        let values = Tensor::from_slice(&[0i64, 1, 1, 2, 1, 0]).reshape([3, 2]);
        let weight = Tensor::from_slice(&[0f32, 1.0, 1.0, 1.0, 0.0, 1.0]).reshape([3, 2]);
        let target = |weight| Target::new(0, Some(2), Answer::EveryStep, values.shallow_clone(), weight);
        assert_eq!(classes(&target(None)).expect("counts"), Some(vec![2.0, 3.0, 1.0]));
        assert_eq!(classes(&target(Some(weight))).expect("counts"), Some(vec![1.0, 2.0, 1.0]));
        let values = Target::new(0, None, Answer::FinalStep, Tensor::from_slice(&[0.5f32]), None);
        assert_eq!(classes(&values).expect("no classes"), None);
        assert_eq!(add(vec![1.0], &[1.0, 2.0]), [2.0, 2.0]);
    }

    #[test]
    fn forgetting_is_counted_from_the_end_of_each_level() {
        let answered = |accuracy| Some(Answered { head: 0, learned: Learned::Yes, accuracy });
        let network = |update, level, accuracies: [f64; 2]| Network {
            update,
            level,
            answers: accuracies.into_iter().map(answered).collect(),
        };
        let judged = Judged {
            run: String::new(),
            level_name: "N".into(),
            levels: vec![2, 3],
            majority: vec![None; 2],
            networks: vec![
                network(0, None, [0.5, 0.5]),
                network(5, Some(2), [1.0, 0.5]),
                network(9, Some(3), [0.6, 0.9]),
            ],
            trials: 1,
        };
        let found = judged.forgotten();
        assert_eq!(found[0], Forgotten { level: 2, update: 5, own: 1.0, end: 0.6, last: false });
        assert_eq!(found[1], Forgotten { level: 3, update: 9, own: 0.9, end: 0.9, last: true });
        assert_eq!(judged.last().and_then(|network| network.mean(|_| true)), Some(0.75));
    }
}
