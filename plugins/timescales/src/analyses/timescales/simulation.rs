//! Long simulations of a network, stretch by stretch, of which the autocovariance alone is kept.

use super::drive::{Drive, Plan};
use crate::autocorrelation::Autocovariance;
use synfire::rollout::{Record, Rollout};
use synfire::subject::RunView;
use synfire::tch::{Device, Kind, Tensor};
use synfire::workers::guarded;
use synfire::{Error, Lesson, Network, Result, Stream, Tensors};

/// Trials that one thread simulates together on a CPU. More read the weights less often, fewer give work to more threads. The
/// number is fixed, so that results do not depend on the number of threads.
const ROWS: usize = 5;
/// Numbers in the activity of one stretch.
const STRETCH: usize = 5_000_000;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// Steps that count.
    pub steps: usize,
    /// Steps before them.
    pub burn_in: usize,
    /// Trials.
    pub trials: usize,
    /// Largest lag of the autocovariance.
    pub max_lag: usize,
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
    length: Length,
    stream: &Stream,
) -> Result<Simulated> {
    // A GPU is filled by all trials at once.
    let rows = if run.device()? == Device::Cpu { ROWS } else { length.trials };
    let group = |first: usize| -> Result<Group> {
        let network = run.with_parameters(network, network.parameters.shallow_clone())?;
        let drive = plan.drive(first, rows.min(length.trials - first), stream);
        let stream = stream.child("group").at(first as u64);
        Ok(Group { network, rollout: run.rollout(lesson, &stream), stream, drive })
    };
    let groups = (0..length.trials).step_by(rows).map(group).collect::<Result<Vec<_>>>()?;
    let parts = run.workers.map(groups, |group| group.run(length));
    let mut sum: Option<Simulated> = None;
    for part in parts {
        let part = part?;
        sum = Some(match sum {
            None => part,
            Some(sum) => sum.plus(part),
        });
    }
    let sum = sum.ok_or_else(|| Error::config("analysis.trials", "is 0, must be at least 1", ""))?;
    Ok(sum.over(length.trials as f64))
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

/// Trials that run together, with a network, a rollout and an input of their own.
struct Group<'a> {
    network: Network,
    rollout: Rollout<'a>,
    stream: Stream,
    drive: Drive<'a>,
}

impl Group<'_> {
    /// The sums of the autocovariances over the group's trials.
    fn run(mut self, length: Length) -> Result<Simulated> {
        let rows = self.drive.rows();
        let stretch =
            (STRETCH / (rows * self.network.dynamics.units()).max(1)).clamp(10 * length.max_lag.max(1), 100_000);
        let (mut units, mut population) = (Autocovariance::new(length.max_lag), Autocovariance::new(length.max_lag));
        let mut push = |waiting: &mut Vec<Tensor>| -> Result<()> {
            let activity = if let [one] = &waiting[..] { one.shallow_clone() } else { Tensor::f_cat(waiting, 0)? };
            waiting.clear();
            units.push(&activity)?;
            population.push(&activity.f_sum_dim_intlist(&[2i64][..], true, Kind::Double)?)
        };
        let end = length.burn_in + length.steps;
        let mut state: Option<Tensors> = None;
        let (mut done, mut gathered) = (0, 0);
        let mut waiting: Vec<Tensor> = Vec::new();
        for index in 0u64.. {
            let trials = self.drive.next(index, stretch.min(end - done))?;
            // Noise of its own for each stretch; the network settles before the first only.
            self.rollout.stream = self.stream.at(index);
            if index > 0 {
                self.rollout.settle = 0;
            }
            let (rollout, network) = (&self.rollout, &self.network);
            let played = guarded("cell", || rollout.play_from(network, &trials, Record::Rates, state.as_ref()))?;
            let rates = played.rates.ok_or_else(|| Error::Failed("a rollout kept no rates".into()))?;
            state = Some(played.last);
            let time = rates.size3()?.0 as usize;
            if time == 0 {
                return Err(Error::Failed("the task draws trials without a step".into()));
            }
            let (from, to) = (length.burn_in.saturating_sub(done).min(time), (end - done).min(time));
            if to > from {
                waiting.push(rates.narrow(0, from as i64, (to - from) as i64));
                gathered += to - from;
            }
            done += time;
            if !waiting.is_empty() && (gathered >= stretch || done >= end) {
                push(&mut waiting)?;
                gathered = 0;
            }
            if done >= end {
                break;
            }
        }
        let sum = Simulated {
            units: units.finish()?,
            population: population.finish()?.swap_remove(0),
            ones: self.drive.ones(),
        };
        Ok(sum.over(1.0 / rows as f64))
    }
}
