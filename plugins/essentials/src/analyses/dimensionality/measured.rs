//! The dimension of one network in each trial.

use crate::principal_components::Covariance;
use crate::variants::mean_and_deviation;
use synfire::Result;

/// What was found in one trial.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trial {
    /// Probability of ones, where bits were drawn.
    pub rate: Option<f64>,
    /// Components that reach the share, counted from 1; 0 where the activity is constant.
    pub dimension: usize,
    pub participation_ratio: f64,
    /// Variance along each component, the largest first.
    pub variances: Vec<f64>,
    /// Running share of the variance.
    pub cumulative: Vec<f64>,
    pub samples: usize,
}

impl Trial {
    pub fn of(covariance: &Covariance, threshold: f64) -> Result<Self> {
        let found = covariance.components()?;
        Ok(Self {
            rate: None,
            dimension: found.count_for(threshold),
            participation_ratio: found.participation_ratio(),
            cumulative: found.cumulative(),
            variances: found.variances,
            samples: found.samples,
        })
    }

    /// The index of the last component that is needed, as the published code has it; nothing where the activity is constant.
    pub fn published_index(&self) -> Option<usize> {
        self.dimension.checked_sub(1)
    }
}

/// Mean and deviation over trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OverTrials {
    pub mean: f64,
    pub deviation: f64,
}

/// One network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub update: Option<u64>,
    /// The hardest level it was trained on.
    pub level: Option<usize>,
    pub trials: Vec<Trial>,
}

impl Measured {
    pub fn units(&self) -> usize {
        self.trials.first().map_or(0, |trial| trial.variances.len())
    }

    pub fn dimension(&self) -> OverTrials {
        self.over(|trial| Some(trial.dimension as f64))
    }

    pub fn ratio(&self) -> OverTrials {
        self.over(|trial| Some(trial.participation_ratio))
    }

    /// The rates of ones, where bits were drawn.
    pub fn rate(&self) -> Option<OverTrials> {
        Some(self.over(|trial| trial.rate)).filter(|rate| rate.mean.is_finite())
    }

    fn over(&self, pick: impl Fn(&Trial) -> Option<f64>) -> OverTrials {
        let values: Vec<f64> = self.trials.iter().filter_map(pick).collect();
        let (mean, deviation) = mean_and_deviation(&values).unwrap_or((f64::NAN, f64::NAN));
        OverTrials { mean, deviation }
    }
}
