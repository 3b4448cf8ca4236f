//! Tasks: what goes into a network, what should come out, and how the answer is judged.

use crate::property::{Properties, Property};
use crate::{Error, Lesson, Problems, Registry, Result, Stream, Tensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use tch::{Kind, Tensor};

pub use crate::objective::{Answer, HeadScore, Loss, Objective, Scores};

/// What a network is asked to do: it draws trials and judges outputs.
///
/// The struct that implements it is its options. The trainer calls [`Task::trials`] once an update and once a batch of an
/// evaluation; everything random comes from the stream it is handed, so a batch is a pure function of lesson, size and stream.
#[typetag::serde(tag = "type")]
pub trait Task: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// What the trials look like; asked once, before any work.
    fn spec(&self) -> TaskSpec;

    /// Draw `batch` trials of the lesson.
    ///
    /// # Errors
    /// [`Error::Config`] when the lesson asks for what the task does not have (a level out of range, a time step).
    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials>;

    /// Judge the outputs, one tensor per target of the trials.
    ///
    /// Every part of the result must add up over disjoint rows of a batch, since rows are computed side by side.
    ///
    /// # Errors
    /// [`Error::Shape`] when outputs and targets do not fit.
    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        self.spec().objective.score(trials, outputs)
    }

    /// One error per trial `[batch]`, for rules that learn from a scalar. Default: the objective's loss per trial.
    ///
    /// # Errors
    /// [`Error::Shape`] when outputs and targets do not fit.
    fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        self.spec().objective.errors(trials, outputs)
    }

    /// What it provides to rules, curricula and analyses. Default: derived from [`Task::spec`].
    fn provides(&self, registry: &Registry) -> Properties {
        let _ = registry;
        self.spec().properties()
    }
}

/// What the trials of a task look like.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Names of the input channels, in order.
    pub inputs: Vec<String>,
    /// Width of every head: classes for a classification, channels otherwise.
    pub outputs: usize,
    /// What the outputs are compared with, and when.
    pub objective: Objective,
    /// Duration of one step; `None` when steps are symbols without duration.
    pub dt_ms: Option<f64>,
    /// What makes it harder, if a curriculum can set it.
    pub difficulty: Option<Difficulty>,
    /// Whether later inputs depend on the network's answers.
    pub closed_loop: bool,
}

impl TaskSpec {
    /// Stands in for the spec of a task that failed to say it: no channels, no outputs.
    pub(crate) fn nothing() -> Self {
        Self {
            inputs: Vec::new(),
            outputs: 0,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    /// The properties that follow from the spec.
    pub fn properties(&self) -> Properties {
        let mut properties = Properties::from([Property::ScalarError, Property::TargetSignal]);
        if self.objective.has_accuracy() {
            properties.insert(Property::Accuracy);
        }
        if let Some(difficulty) = &self.difficulty {
            properties.insert(Property::Difficulty);
            if difficulty.several_at_once {
                properties.insert(Property::SeveralHeads);
            }
        }
        properties.insert(if self.closed_loop { Property::ScalarError } else { Property::OpenLoop });
        if self.dt_ms.is_some() {
            properties.insert(Property::TimesInMs);
        }
        properties
    }
}

/// The axis along which a task gets harder; a level is a whole number on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difficulty {
    /// What a level counts, for example `N` or `delay_ms`.
    pub name: String,
    /// The easiest level.
    pub lowest: usize,
    /// The hardest level, if there is one.
    pub highest: Option<usize>,
    /// The level of a run whose curriculum sets none.
    pub default: usize,
    /// Whether one trial can carry targets of several levels, each for a head of its own.
    pub several_at_once: bool,
}

impl Difficulty {
    /// Refuse levels outside the axis.
    ///
    /// # Errors
    /// [`Error::Config`] at `curriculum` naming the level and the range.
    pub fn require(&self, level: usize) -> Result<()> {
        let below = level < self.lowest;
        if below || self.highest.is_some_and(|highest| level > highest) {
            let highest = self.highest.map_or("without limit".to_string(), |h| format!("to {h}"));
            return Err(Error::config(
                "curriculum",
                format_args!("asks for level {} = {level}; the task has {} {highest}", self.name, self.lowest),
                "change the curriculum's levels",
            ));
        }
        Ok(())
    }
}

/// A named stretch of time within a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// For example `fixation`, `stimulus`, `delay`, `response`.
    pub name: String,
    /// Steps from the first to the one after the last.
    pub steps: Range<usize>,
}

impl Period {
    /// A period from `start` up to, not including, `end`.
    pub fn new(name: impl Into<String>, start: usize, end: usize) -> Self {
        Self { name: name.into(), steps: start..end }
    }
}

/// What one head should say.
#[derive(Debug)]
pub struct Target {
    /// Number of the head that answers.
    pub head: usize,
    /// Level of difficulty it belongs to, where the task has one.
    pub level: Option<usize>,
    /// Classes as `i64` (`[batch]` for an answer at the final step, `[time, batch]` at every step) or values
    /// (`[batch, output]` or `[time, batch, output]`).
    pub values: Tensor,
    /// Weight of each entry, `[batch]` or `[time, batch]`; `None` means 1 everywhere. 0 masks an entry out.
    pub weight: Option<Tensor>,
    /// Sum of the weights over the whole batch, kept when rows are taken out, so that losses of rows add up.
    pub total: f64,
}

impl Target {
    /// A target with its total weight. `values` and `weight` as described at the fields.
    pub fn new(head: usize, level: Option<usize>, answer: Answer, values: Tensor, weight: Option<Tensor>) -> Self {
        let steps = match answer {
            Answer::FinalStep => values.size().first().copied().unwrap_or(0),
            Answer::EveryStep => values.size().iter().take(2).product(),
        };
        let total = weight.as_ref().map_or(steps as f64, |w| w.sum(Kind::Double).double_value(&[]));
        Self { head, level, values, weight, total }
    }

    fn rows(&self, rows: &Range<usize>, axis: i64) -> Self {
        let narrow = |t: &Tensor| t.narrow(axis, rows.start as i64, rows.len() as i64);
        Self {
            head: self.head,
            level: self.level,
            values: narrow(&self.values),
            weight: self.weight.as_ref().map(narrow),
            total: self.total,
        }
    }
}

/// A batch of trials.
#[derive(Debug, Default)]
pub struct Trials {
    /// `[time, batch, input]`; for closed-loop trials the first segment.
    pub inputs: Tensor,
    /// One per head in use; for closed-loop trials those of the first segment.
    pub targets: Vec<Target>,
    /// When heads answer.
    pub answer: Answer,
    /// Named stretches of time; their borders are where skips restart.
    pub periods: Vec<Period>,
    /// Steps in which each symbol is shown; `None` where steps are not symbols. Cells whose time constants count symbols read it
    /// from their [`crate::cell::Setting`].
    pub substeps: Option<usize>,
    /// Input before the first step, `[time, batch, input]`, that is played outside the gradient and without an answer.
    pub settle: Option<Tensor>,
    /// Signals that would help a network to find the targets, `[time, batch, hint]`, for rules that can use them; no network sees
    /// them at its input.
    pub hints: Option<Tensor>,
    /// One column per named factor of the design, one row per trial; for psychometrics and analyses. The column `trial_type` numbers
    /// the kinds of trials that rules with a memory of past errors should keep apart.
    pub conditions: BTreeMap<String, Vec<f64>>,
    /// The states that the trials start from, each `[batch, ..]`; `None` for those that the cell draws.
    pub initial: Option<Tensors>,
    /// The rest of the trials, where it depends on the answers.
    pub rest: Option<Box<dyn ClosedLoop>>,
}

impl Trials {
    /// Number of steps of the first segment.
    pub fn time(&self) -> usize {
        self.inputs.size().first().map_or(0, |t| *t as usize)
    }

    /// Number of trials.
    pub fn batch(&self) -> usize {
        self.inputs.size().get(1).map_or(0, |b| *b as usize)
    }

    /// The trials of some rows, as a batch of their own; total weights stay those of the whole batch.
    pub fn rows(&self, rows: Range<usize>) -> Self {
        let axis = i64::from(self.answer == Answer::EveryStep);
        Self {
            inputs: self.inputs.narrow(1, rows.start as i64, rows.len() as i64).contiguous(),
            targets: self.targets.iter().map(|t| t.rows(&rows, axis)).collect(),
            answer: self.answer,
            periods: self.periods.clone(),
            substeps: self.substeps,
            settle: self.settle.as_ref().map(|s| s.narrow(1, rows.start as i64, rows.len() as i64).contiguous()),
            hints: self.hints.as_ref().map(|h| h.narrow(1, rows.start as i64, rows.len() as i64).contiguous()),
            conditions: self.conditions.iter().map(|(k, v)| (k.clone(), v[rows.clone()].to_vec())).collect(),
            initial: self
                .initial
                .as_ref()
                .map(|states| states.map(|state| state.narrow(0, rows.start as i64, rows.len() as i64))),
            rest: self.rest.as_ref().map(|rest| rest.begin(rows)),
        }
    }

    /// On another device and, where floating, in another kind.
    pub fn to(mut self, device: tch::Device, kind: Kind) -> Self {
        let move_to = |t: &Tensor| {
            let t = t.to_device(device);
            if t.is_floating_point() { t.to_kind(kind) } else { t }
        };
        self.inputs = move_to(&self.inputs);
        self.settle = self.settle.as_ref().map(move_to);
        self.initial = self.initial.as_ref().map(|states| states.to(device, kind));
        self.hints = self.hints.as_ref().map(move_to);
        for target in &mut self.targets {
            target.values = move_to(&target.values);
            target.weight = target.weight.as_ref().map(move_to);
        }
        self
    }
}

/// What comes next in a closed-loop trial.
#[derive(Debug)]
pub struct Segment {
    /// `[time, batch, input]`.
    pub inputs: Tensor,
    /// Targets of these steps, for the same heads in the same order as the first segment's; totals are those of these rows.
    pub targets: Vec<Target>,
    /// Named stretches, counted from the segment's first step.
    pub periods: Vec<Period>,
}

/// The part of a batch of trials that depends on the network's answers.
///
/// The rollout plays the first segment, hands the outputs to [`ClosedLoop::next`], plays what it gets, and so on. Answers are
/// taken as they are: no gradient flows through the environment.
pub trait ClosedLoop: Debug + Send {
    /// The same trials once more from their beginning, for these rows only: for a second rollout in one update, for blocks of
    /// rows, for recomputation.
    fn begin(&self, rows: Range<usize>) -> Box<dyn ClosedLoop>;

    /// The segment that follows `outputs` (one tensor `[time, batch, output]` per head, of the segment just played), or `None`
    /// at the end of the trials.
    ///
    /// # Errors
    /// [`Error::Shape`] when the outputs do not fit.
    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>>;
}
