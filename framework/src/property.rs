//! What parts need of each other: declared, so that a combination is refused before any work.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One thing a rule, curriculum or analysis may need and a task or cell may provide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Property {
    /// Cell: the step is differentiable by libtorch in every parameter.
    Gradient,
    /// Cell: the step takes a drive that is added to the input of each unit.
    AdditiveDrive,
    /// Cell: the step is a rate network (leak, recurrent weights, non-linearity).
    RateForm,
    /// Cell: every unit has a time constant.
    TimeConstants,
    /// Cell: units have gates that can be looked at ([`crate::cell::Dynamics::gates`]).
    Gates,
    /// Cell: heads are linear readouts of the rates that can be read, changed, added and dropped.
    LinearReadout,
    /// Task: an evaluation yields the fraction of correct answers.
    Accuracy,
    /// Task: trials have a difficulty that a curriculum can set.
    Difficulty,
    /// Task: several levels of difficulty can be asked for in one trial, each with a head of its own.
    SeveralHeads,
    /// Task: each trial has a scalar error.
    ScalarError,
    /// Task: the target can be given as a signal over time.
    TargetSignal,
    /// Task: inputs do not depend on the network's answers.
    OpenLoop,
    /// Task: times are in milliseconds, so the time step can be changed.
    TimesInMs,
}

impl Property {
    /// What it means, as a phrase that follows "needs".
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Gradient => "a cell whose step is differentiable",
            Self::AdditiveDrive => "a cell whose units take an additive drive",
            Self::RateForm => "a cell that is a rate network",
            Self::TimeConstants => "a cell whose units have time constants",
            Self::Gates => "a cell whose units have gates",
            Self::LinearReadout => "a cell with a linear readout",
            Self::Accuracy => "a task with an accuracy",
            Self::Difficulty => "a task with a difficulty axis",
            Self::SeveralHeads => "a task that can ask for several levels in one trial",
            Self::ScalarError => "a task with a scalar error per trial",
            Self::TargetSignal => "a task whose target is a signal over time",
            Self::OpenLoop => "a task whose inputs do not depend on the answers",
            Self::TimesInMs => "a task with times in milliseconds",
        }
    }

    /// Whether a cell provides it (else a task does).
    pub fn of_cell(self) -> bool {
        matches!(
            self,
            Self::Gradient
                | Self::AdditiveDrive
                | Self::RateForm
                | Self::TimeConstants
                | Self::Gates
                | Self::LinearReadout
        )
    }
}

/// A set of properties.
pub type Properties = BTreeSet<Property>;
