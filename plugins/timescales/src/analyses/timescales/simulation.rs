//! Long simulations of a network, stretch by stretch, of which the autocovariance alone is kept.

use super::signal::Signal;
use crate::autocorrelation::Autocovariance;
use synfire::subject::RunView;
use synfire::tch::{Kind, Tensor};
use synfire::{Error, Lesson, Network, Result, Stream};
use synfire_essentials::drive::Plan;
use synfire_essentials::simulation::{Group, Length, groups};

/// What is measured of a simulation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement<'a> {
    pub length: Length,
    pub trials: usize,
    /// Largest lag of the autocovariance.
    pub max_lag: usize,
    pub signal: Signal<'a>,
}

/// What a simulation leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Simulated {
    /// For each unit the autocovariance at lags `0..=max_lag`, averaged over trials.
    pub units: Vec<Vec<f64>>,
    /// The same for the sum over units.
    pub population: Vec<f64>,
    /// The probability of ones in each trial, where bits were drawn.
    pub ones: Vec<f64>,
}

/// Simulate a network of a run, in groups of trials side by side.
///
/// # Errors
/// When task or cell fail.
pub(super) fn simulate(
    run: &RunView,
    network: &Network,
    lesson: &Lesson,
    plan: &Plan,
    measurement: Measurement,
    stream: &Stream,
) -> Result<Simulated> {
    let groups = groups(run, network, lesson, plan, measurement.trials, stream)?;
    let parts = run.workers.map(groups, |group| covariances(group, measurement));
    let mut sum: Option<Simulated> = None;
    for part in parts {
        let part = part?;
        sum = Some(match sum {
            None => part,
            Some(sum) => sum.plus(part),
        });
    }
    let sum = sum.ok_or_else(|| Error::config("analysis.trials", "is 0, must be at least 1", ""))?;
    Ok(sum.over(measurement.trials as f64))
}

impl Simulated {
    fn plus(mut self, other: Self) -> Self {
        for (sum, lags) in
            self.units.iter_mut().chain([&mut self.population]).zip(other.units.iter().chain([&other.population]))
        {
            for (sum, value) in sum.iter_mut().zip(lags) {
                *sum += value;
            }
        }
        self.ones.extend(other.ones);
        self
    }

    fn over(mut self, count: f64) -> Self {
        for value in self.units.iter_mut().flatten().chain(&mut self.population) {
            *value /= count;
        }
        self
    }
}

/// The sums of the autocovariances over the trials of a group.
fn covariances(mut group: Group, measurement: Measurement) -> Result<Simulated> {
    let Measurement { length, max_lag, signal, .. } = measurement;
    let stretch = group.stretch(10 * max_lag.max(1));
    let (mut units, mut population) = (Autocovariance::new(max_lag), Autocovariance::new(max_lag));
    let mut push = |waiting: &mut Vec<Tensor>| -> Result<()> {
        let activity = if let [one] = &waiting[..] { one.shallow_clone() } else { Tensor::f_cat(waiting, 0)? };
        waiting.clear();
        units.push(&activity)?;
        population.push(&activity.f_sum_dim_intlist(&[2i64][..], true, Kind::Double)?)
    };
    let (mut waiting, mut gathered) = (Vec::new(), 0);
    group.run(length, stretch, |played| {
        let counted = played.counted.clone();
        let (activity, last) = signal.play(played)?;
        if !counted.is_empty() {
            waiting.push(activity.f_narrow(0, counted.start as i64, counted.len() as i64)?);
            gathered += counted.len();
        }
        if gathered >= stretch {
            push(&mut waiting)?;
            gathered = 0;
        }
        Ok(last)
    })?;
    if !waiting.is_empty() {
        push(&mut waiting)?;
    }
    let sum =
        Simulated { units: units.finish()?, population: population.finish()?.swap_remove(0), ones: group.drive.ones() };
    Ok(sum.over(1.0 / group.drive.rows() as f64))
}
