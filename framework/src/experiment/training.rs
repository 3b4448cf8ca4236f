//! The `[training]` table.

use crate::Problems;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes, budgets and how often to look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Trials per update. A rule that learns from one trial at a time takes one.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Updates after which training ends, whatever the curriculum says.
    #[schemars(range(min = 1))]
    pub updates: u64,
    /// Updates between evaluations.
    #[schemars(range(min = 1))]
    pub updates_per_evaluation: u64,
    /// Trials of an evaluation.
    #[schemars(range(min = 1))]
    pub evaluation_trials: usize,
    /// Trials of an evaluation that are played together.
    #[schemars(range(min = 1))]
    pub evaluation_batch: usize,
    /// Updates between checkpoints; 0 for one at every evaluation. One is also made at the start, whenever a lesson is over, and at
    /// the end; those are kept, of the others the last two.
    pub updates_per_checkpoint: u64,
    /// Steps without input before each trial, outside the gradient.
    pub settle_steps: usize,
    /// Whether all members see the same trials (they always have their own networks).
    pub shared_trials: bool,
    /// Whether the fast path is taken where a cell has one.
    pub fast: bool,
    /// Precision of parameters and states.
    pub precision: Precision,
}

/// Floating-point precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Single,
    /// 64 bits.
    Double,
}

impl Precision {
    /// The tensor kind.
    pub fn kind(self) -> tch::Kind {
        match self {
            Self::Single => tch::Kind::Float,
            Self::Double => tch::Kind::Double,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            batch: 128,
            updates: 20_000,
            updates_per_evaluation: 100,
            evaluation_trials: 1024,
            evaluation_batch: 512,
            updates_per_checkpoint: 0,
            settle_steps: 0,
            shared_trials: false,
            fast: true,
            precision: Precision::Single,
        }
    }
}

impl Training {
    pub(super) fn check(&self, problems: &mut Problems) {
        let counts = [
            ("batch", self.batch as u64),
            ("updates", self.updates),
            ("updates_per_evaluation", self.updates_per_evaluation),
            ("evaluation_trials", self.evaluation_trials as u64),
            ("evaluation_batch", self.evaluation_batch as u64),
        ];
        for (field, value) in counts {
            problems.require(value >= 1, field, value, "at least 1");
            problems.require(value < 1 << 40, field, value, "below 2^40");
        }
    }

    /// Updates between checkpoints.
    pub fn checkpoint_interval(&self) -> u64 {
        if self.updates_per_checkpoint == 0 { self.updates_per_evaluation } else { self.updates_per_checkpoint }
    }
}
