//! What was played, and blocks of it joined.

use crate::task::{Answer, Target, Trials};
use crate::{Error, Result, Tensors};
use tch::Tensor;

/// What a rollout gives.
#[derive(Debug)]
pub struct Played {
    /// The trials as they happened: for closed loops all segments joined.
    pub trials: Trials,
    /// One tensor per target: `[batch, output]` for answers at the final step, else `[time, batch, output]`.
    pub outputs: Vec<Tensor>,
    /// Rates after every step, `[time, batch, unit]`, if they were recorded.
    pub rates: Option<Tensor>,
    /// The state after the last step.
    pub last: Tensors,
}

impl Played {
    /// Join blocks of rows in order.
    pub(super) fn join(mut parts: Vec<Self>) -> Result<Self> {
        if parts.len() == 1 {
            return parts.pop().ok_or_else(|| Error::Failed("no rows".into()));
        }
        let first = parts.first().ok_or_else(|| Error::Failed("a batch without trials".into()))?;
        let answer = first.trials.answer;
        let axis = i64::from(answer == Answer::EveryStep);
        let cat = |pick: &dyn Fn(&Self) -> Tensor, axis: i64| -> Result<Tensor> {
            Ok(Tensor::f_cat(&parts.iter().map(pick).collect::<Vec<_>>(), axis)?)
        };
        let mut targets = Vec::new();
        let mut outputs = Vec::new();
        for (h, target) in first.trials.targets.iter().enumerate() {
            let weight = match &target.weight {
                Some(_) => {
                    let part =
                        |p: &Self| p.trials.targets[h].weight.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone);
                    Some(cat(&part, axis)?)
                }
                None => None,
            };
            let values = cat(&|p: &Self| p.trials.targets[h].values.shallow_clone(), axis)?;
            targets.push(Target { head: target.head, level: target.level, values, weight, total: target.total });
            outputs.push(cat(&|p: &Self| p.outputs[h].shallow_clone(), axis)?);
        }
        let mut conditions = first.trials.conditions.clone();
        for part in &parts[1..] {
            for (name, column) in &mut conditions {
                column.extend(part.trials.conditions.get(name).into_iter().flatten());
            }
        }
        let rates = match &first.rates {
            Some(_) => Some(cat(&|p: &Self| p.rates.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone), 1)?),
            None => None,
        };
        let last = join_states(&first.last, parts.iter().map(|p| Some(&p.last)))?;
        let initial = match &first.trials.initial {
            Some(states) => Some(join_states(states, parts.iter().map(|p| p.trials.initial.as_ref()))?),
            None => None,
        };
        let trials = Trials {
            inputs: cat(&|p: &Self| p.trials.inputs.shallow_clone(), 1)?,
            targets,
            answer,
            periods: first.trials.periods.clone(),
            substeps: first.trials.substeps,
            settle: match &first.trials.settle {
                Some(_) => {
                    let part = |p: &Self| p.trials.settle.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone);
                    Some(cat(&part, 1)?)
                }
                None => None,
            },
            hints: match &first.trials.hints {
                Some(_) => {
                    let part = |p: &Self| p.trials.hints.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone);
                    Some(cat(&part, 1)?)
                }
                None => None,
            },
            conditions,
            initial,
            rest: None,
        };
        Ok(Self { trials, outputs, rates, last })
    }
}

/// The states of all blocks of rows, by the names of the first.
fn join_states<'a>(first: &Tensors, parts: impl Iterator<Item = Option<&'a Tensors>> + Clone) -> Result<Tensors> {
    let mut joined = Tensors::new();
    for name in first.names() {
        let states = parts.clone().flatten().map(|states| states.get(name)).collect::<Result<Vec<_>>>()?;
        joined.insert(name, Tensor::f_cat(&states, 0)?);
    }
    Ok(joined)
}
