//! The `[training]` table.

use crate::Problems;
use crate::curriculum::Evaluation;
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
    /// Whether all evaluations of a member have the same trials; else each has fresh ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same_evaluation_trials: bool,
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
    /// Mebibytes that the states of a batch may take in an update. Where they would take more, most are computed a second time on
    /// the way back instead of being kept, which takes about a third longer. Only the fast path of rate networks can do so.
    pub state_memory_mib: u64,
    /// Precision of parameters and states.
    pub precision: Precision,
    /// A criterion over all members, who then meet after each evaluation and end together when it is met. Left out, each member
    /// trains for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub together: Option<Together>,
}

/// When members that train side by side have learned enough: a mean over those in the middle.
///
/// Up to the evaluation that ends the run every member is what it would be alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Together {
    /// Number of an evaluation: `accuracy`, `loss`, `last_accuracy`, `last_loss`, `least_accuracy`.
    pub metric: String,
    /// Value that the mean must reach: at least it for accuracies, at most it for losses.
    pub threshold: f64,
    /// Fraction of the members that is left out at either end, rounded down.
    #[schemars(range(min = 0.0, max = 0.49))]
    pub trim: f64,
}

impl Default for Together {
    fn default() -> Self {
        Self { metric: "accuracy".into(), threshold: 0.99, trim: 0.1 }
    }
}

impl Together {
    /// Whether less is better.
    pub(crate) fn by_loss(&self) -> bool {
        self.metric.ends_with("loss")
    }

    /// Whether the mean of the middle of these values reaches the threshold.
    pub(crate) fn is_met(&self, mut values: Vec<f64>) -> bool {
        values.sort_by(f64::total_cmp);
        let out = (self.trim * values.len() as f64 + 1e-9).floor() as usize;
        let middle = values.get(out..values.len().saturating_sub(out)).unwrap_or_default();
        let mean = middle.iter().sum::<f64>() / middle.len() as f64;
        // The mean of nothing is not a number, which reaches nothing.
        if self.by_loss() { mean <= self.threshold } else { mean >= self.threshold }
    }

    /// The criterion in words, for the reason of a stop.
    pub(crate) fn words(&self) -> String {
        let direction = if self.by_loss() { "at most" } else { "at least" };
        format!("{} of the middle members of {direction} {}", self.metric.replace('_', " "), self.threshold)
    }

    fn check(&self, problems: &mut Problems) {
        let known = Evaluation::METRICS.contains(&self.metric.as_str());
        problems.require(known, "metric", &self.metric, &format!("one of {}", Evaluation::METRICS.join(", ")));
        problems.require(self.threshold.is_finite(), "threshold", self.threshold, "finite");
        problems.require((0.0..0.5).contains(&self.trim), "trim", self.trim, "at least 0 and below 0.5");
    }
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
            same_evaluation_trials: false,
            evaluation_batch: 512,
            updates_per_checkpoint: 0,
            settle_steps: 0,
            shared_trials: false,
            fast: true,
            state_memory_mib: 2048,
            precision: Precision::Single,
            together: None,
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
        if let Some(together) = &self.together {
            problems.inside("together", |p| together.check(p));
        }
    }

    /// Updates between checkpoints.
    pub fn checkpoint_interval(&self) -> u64 {
        if self.updates_per_checkpoint == 0 { self.updates_per_evaluation } else { self.updates_per_checkpoint }
    }
}
