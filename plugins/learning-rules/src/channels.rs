//! Constant inputs of interest: evidence on one channel, with the cue of its context.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::{Error, Problems, Result, TaskSpec};

/// One way of asking: a channel whose value is varied while others are held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    /// Name of the input channel that carries the evidence.
    pub vary: String,
    /// Constant values of other channels by name, such as a cue at 1; the rest are 0.
    pub hold: BTreeMap<String, f64>,
}

/// A context with channels as places.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// For tables and legends.
    pub name: String,
    /// Place of the channel that is varied.
    pub channel: usize,
    /// Values of all channels while the evidence is 0.
    pub rest: Vec<f64>,
}

impl Asked {
    /// All channels, with this evidence.
    pub fn at(&self, evidence: f64) -> Vec<f64> {
        let mut channels = self.rest.clone();
        channels[self.channel] += evidence;
        channels
    }
}

/// Whether a channel says what is asked rather than what is seen.
fn is_cue(name: &str) -> bool {
    ["cue", "context", "attend"].iter().any(|word| name.starts_with(word))
}

/// What follows the last underscore: `1` of `evidence_1`.
fn suffix(name: &str) -> Option<&str> {
    name.rsplit_once('_').map(|(_, suffix)| suffix)
}

/// The contexts of a task: those that are given, else one for each cue, a channel whose name begins with `cue`, `context` or `attend`.
/// A cue belongs to the other channel with the same ending (`context_1` to `evidence_1`), else to the one at the same place among the
/// others; it is held at 1 while that one is varied. Without cues every channel is varied by itself.
///
/// # Errors
/// [`Error::Config`] at `contexts` when a channel is not there.
pub fn contexts(given: &[Context], task: &TaskSpec) -> Result<Vec<Asked>> {
    let count = task.inputs.len();
    let place = |name: &str| {
        task.inputs.iter().position(|channel| channel == name).ok_or_else(|| {
            let remedy = format!("use one of: {}", task.inputs.join(", "));
            Error::config("contexts", format!("names '{name}', which is no channel of the task"), remedy)
        })
    };
    if !given.is_empty() {
        let asked = |context: &Context| {
            let mut rest = vec![0.0; count];
            for (name, value) in &context.hold {
                rest[place(name)?] = *value;
            }
            Ok(Asked { name: context.vary.clone(), channel: place(&context.vary)?, rest })
        };
        return given.iter().map(asked).collect();
    }
    let (cues, evidence): (Vec<usize>, Vec<usize>) = (0..count).partition(|at| is_cue(&task.inputs[*at]));
    let alone = |channel: usize| Asked { name: task.inputs[channel].clone(), channel, rest: vec![0.0; count] };
    if cues.is_empty() {
        return Ok(evidence.into_iter().map(alone).collect());
    }
    let asked = |(index, cue): (usize, &usize)| {
        let ending = suffix(&task.inputs[*cue]);
        let same = evidence.iter().find(|channel| ending.is_some() && suffix(&task.inputs[**channel]) == ending);
        let mut asked = alone(*same.or(evidence.get(index))?);
        asked.rest[*cue] = 1.0;
        Some(asked)
    };
    Ok(cues.iter().enumerate().filter_map(asked).collect())
}

/// Constant inputs under which a network is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputSet {
    /// No evidence, once in each context; without cues one input of zeros.
    #[default]
    Zero,
    /// Five values over more than the range of training: ±0.5, ±0.2 and 0 without cues, ±0.4, ±0.2 and 0 with them.
    Large,
    /// 21 values up to ±0.03 without cues, ±0.02 with them.
    Small,
    /// 11 values over the range of the small set.
    Sparse,
    /// These values of the evidence, in each context.
    Values(Vec<f64>),
    /// These inputs, one number per channel.
    Rows(Vec<Vec<f64>>),
}

/// A constant input.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticInput {
    /// Which context, counted from 0; 0 for inputs given as rows.
    pub context: usize,
    /// Its name; empty where nothing is varied.
    pub name: String,
    /// The evidence; the number of the row for inputs given as rows.
    pub value: f64,
    /// All channels.
    pub channels: Vec<f64>,
}

impl InputSet {
    /// Report values that are not finite and empty lists.
    pub fn check(&self, problems: &mut Problems) {
        let finite = match self {
            Self::Values(values) => !values.is_empty() && values.iter().all(|x| x.is_finite()),
            Self::Rows(rows) => !rows.is_empty() && rows.iter().flatten().all(|x| x.is_finite()),
            _ => true,
        };
        if !finite {
            problems.add("inputs", "is empty or has values that are not finite", "list finite numbers, or name a set");
        }
    }

    /// The values of the evidence, 0 first, then by magnitude with the positive first.
    pub fn values(&self, with_cues: bool) -> Vec<f64> {
        let around = |end: f64, steps: usize| {
            let pairs =
                (1..=steps).flat_map(|step| [end * step as f64 / steps as f64, -end * step as f64 / steps as f64]);
            [0.0].into_iter().chain(pairs).collect::<Vec<f64>>()
        };
        let small = if with_cues { 0.02 } else { 0.03 };
        match self {
            Self::Zero | Self::Rows(_) => vec![0.0],
            Self::Large if with_cues => around(0.4, 2),
            Self::Large => vec![0.0, 0.2, -0.2, 0.5, -0.5],
            Self::Small => around(small, 10),
            Self::Sparse => around(small, 5),
            Self::Values(values) => values.clone(),
        }
    }

    /// All inputs of the set, interleaved over the contexts: value by value, each in every context.
    ///
    /// # Errors
    /// When a row has not one number per channel.
    pub fn inputs(&self, contexts: &[Asked], task: &TaskSpec) -> Result<Vec<StaticInput>> {
        let count = task.inputs.len();
        if let Self::Rows(rows) = self {
            let row = |(index, row): (usize, &Vec<f64>)| match row.len() == count {
                true => Ok(StaticInput { context: 0, name: "row".into(), value: index as f64, channels: row.clone() }),
                false => {
                    let problem = format!("has a row of {} numbers; the task has {count} channels", row.len());
                    Err(Error::config("inputs", problem, "give one number per channel"))
                }
            };
            return rows.iter().enumerate().map(row).collect();
        }
        let with_cues = contexts.iter().any(|context| context.rest.iter().any(|value| *value != 0.0));
        if *self == Self::Zero && !with_cues {
            return Ok(vec![StaticInput { context: 0, name: String::new(), value: 0.0, channels: vec![0.0; count] }]);
        }
        let at = |value: f64| {
            contexts.iter().enumerate().map(move |(index, context)| StaticInput {
                context: index,
                name: context.name.clone(),
                value,
                channels: context.at(value),
            })
        };
        Ok(self.values(with_cues).into_iter().flat_map(at).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::task::{Answer, Objective};

    fn task(inputs: &[&str]) -> TaskSpec {
        TaskSpec {
            inputs: inputs.iter().map(|name| (*name).to_string()).collect(),
            outputs: 1,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    #[test]
    fn cues_are_held_while_their_evidence_is_varied() {
        let task = task(&["evidence 0", "evidence 1", "cue 0", "cue 1"]);
        let asked = contexts(&[], &task).expect("names");
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[1].at(0.3), [0.0, 0.3, 0.0, 1.0]);
        let inputs = InputSet::Small.inputs(&asked, &task).expect("fits");
        assert_eq!(inputs.len(), 42);
        // row i N + c: value by value, each in every context
        assert_eq!(inputs[2].channels, [0.002, 0.0, 1.0, 0.0]);
        assert_eq!((inputs[5].context, inputs[5].value), (1, -0.002));
        assert_eq!(InputSet::Zero.inputs(&asked, &task).expect("fits").len(), 2);
    }

    #[test]
    fn channels_that_no_cue_belongs_to_are_left_alone() {
        let asked = contexts(&[], &task(&["go", "signal_1", "signal_2", "attend_1", "attend_2"])).expect("names");
        assert_eq!(asked.iter().map(|a| a.channel).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(asked[1].at(0.5), [0.0, 0.0, 0.5, 0.0, 1.0]);
    }

    #[test]
    fn one_channel_has_the_published_sets() {
        let task = task(&["motion"]);
        let asked = contexts(&[], &task).expect("names");
        let values =
            |set: InputSet| set.inputs(&asked, &task).expect("fits").iter().map(|i| i.value).collect::<Vec<_>>();
        assert_eq!(values(InputSet::Large), [0.0, 0.2, -0.2, 0.5, -0.5]);
        assert_eq!(values(InputSet::Sparse).len(), 11);
        let small = values(InputSet::Small);
        assert_eq!((small.len(), small[0]), (21, 0.0));
        assert!((small[1] - 0.003).abs() < 1e-15 && (small[20] + 0.03).abs() < 1e-15);
    }

    #[test]
    fn contexts_may_be_given_and_must_be_there() {
        let task = task(&["a", "b"]);
        let given = Context { vary: "b".into(), hold: BTreeMap::from([("a".to_string(), 2.0)]) };
        assert_eq!(contexts(&[given], &task).expect("names")[0].at(1.0), [2.0, 1.0]);
        let wrong = Context { vary: "c".into(), ..Context::default() };
        let error = contexts(&[wrong], &task).expect_err("no such channel").to_string();
        assert!(error.contains("'c'") && error.contains("use one of: a, b"), "{error}");
        let rows = InputSet::Rows(vec![vec![1.0]]);
        assert!(rows.inputs(&[], &task).expect_err("two channels").to_string().contains("row of 1 numbers"));
    }
}
