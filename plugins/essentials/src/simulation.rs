//! Long simulations of a network: groups of trials side by side, stretch by stretch, the state carried on.

use crate::drive::{Drive, Plan};
use std::ops::Range;
use synfire::rollout::Rollout;
use synfire::subject::RunView;
use synfire::tch::Device;
use synfire::workers::guarded;
use synfire::{Error, Lesson, Network, Result, Stream, Tensors, Trials};

/// Trials that one thread simulates together on a CPU. More read the weights less often, fewer give work to more threads. The
/// number is fixed, so that results do not depend on the number of threads.
const ROWS: usize = 5;
/// Numbers in the activity of one stretch.
const STRETCH: usize = 5_000_000;
/// Most steps of a stretch.
const LONGEST: usize = 100_000;

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Steps that count.
    pub steps: usize,
    /// Steps before them.
    pub burn_in: usize,
}

/// Trials that run together, with a network, a rollout and an input of their own.
pub struct Group<'a> {
    /// The number of its first trial.
    pub first: usize,
    /// The network of its own.
    pub network: Network,
    /// Where its inputs come from.
    pub drive: Drive<'a>,
    rollout: Rollout<'a>,
    stream: Stream,
}

/// A stretch that is to be played.
pub struct Stretch<'a> {
    /// How it is played.
    pub rollout: &'a Rollout<'a>,
    /// The network of the group.
    pub network: &'a mut Network,
    /// Its input.
    pub trials: &'a Trials,
    /// The state it begins with, where it is not the first.
    pub initial: Option<&'a Tensors>,
    /// Its steps that count.
    pub counted: Range<usize>,
}

/// The trials of a simulation in groups, for as many threads as there are.
///
/// # Errors
/// When the network does not fit the cell.
pub fn groups<'a>(
    run: &'a RunView,
    network: &Network,
    lesson: &'a Lesson,
    plan: &'a Plan,
    trials: usize,
    stream: &Stream,
) -> Result<Vec<Group<'a>>> {
    // A GPU is filled by all trials at once.
    let rows = if run.device()? == Device::Cpu { ROWS } else { trials.max(1) };
    let group = |first: usize| {
        let network = run.with_parameters(network, network.parameters.shallow_clone())?;
        let drive = plan.drive(first, rows.min(trials - first), stream);
        let stream = stream.child("group").at(first as u64);
        Ok(Group { first, network, drive, rollout: run.rollout(lesson, &stream), stream })
    };
    (0..trials).step_by(rows).map(group).collect()
}

impl Group<'_> {
    /// Steps of a stretch, at least `least`.
    pub fn stretch(&self, least: usize) -> usize {
        let numbers = (self.drive.rows() * self.network.dynamics.units()).max(1);
        (STRETCH / numbers).clamp(least.clamp(1, LONGEST), LONGEST)
    }

    /// Let `play` go through the simulation in stretches of `stretch` steps; it gives back the state after each.
    ///
    /// # Errors
    /// What task, cell and `play` report.
    pub fn run(
        &mut self,
        length: Length,
        stretch: usize,
        mut play: impl FnMut(Stretch) -> Result<Tensors>,
    ) -> Result<()> {
        let end = length.burn_in + length.steps;
        let mut state: Option<Tensors> = None;
        let mut done = 0;
        for index in 0u64.. {
            let trials = self.drive.next(index, stretch.min(end - done))?;
            let time = trials.inputs.size3()?.0 as usize;
            if time == 0 {
                return Err(Error::Failed("the task draws trials without a step".into()));
            }
            // Noise of its own for each stretch; the network settles before the first only.
            self.rollout.stream = self.stream.at(index);
            if index > 0 {
                self.rollout.settle = 0;
            }
            let counted = length.burn_in.saturating_sub(done).min(time)..(end - done).min(time);
            let (rollout, network) = (&self.rollout, &mut self.network);
            let stretch = Stretch { rollout, network, trials: &trials, initial: state.as_ref(), counted };
            state = Some(guarded("cell", || play(stretch))?);
            done += time;
            if done >= end {
                break;
            }
        }
        Ok(())
    }
}
