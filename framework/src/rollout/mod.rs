//! The one loop over time: trials go in, outputs and gradients come out, online rules hook into each step.
//!
//! A batch is cut into blocks of [`BLOCK`] rows that are computed side by side; the cut does not depend on the number of threads,
//! and results are joined in order. Cells that describe themselves as rate networks run on the fast path
//! ([`crate::recurrence`]); all others run step by step.

mod adjoint;
mod answers;
mod course;
mod gated;
mod gradient;
mod online;
mod play;
mod played;
mod ready;
mod segments;
mod shared;
mod trace;

pub use gradient::Gradient;
pub use online::{Moment, StepHook};
pub use played::Played;
pub use trace::Traced;

use ready::Ready;
use shared::{Block, Shared};

use crate::cell::Setting;
use crate::network::Network;
use crate::task::Trials;
use crate::workers::Workers;
use crate::{Lesson, Result, Stream, Task, Tensors};
use std::cell::RefCell;
use std::ops::Range;
use tch::{Device, Tensor, no_grad, with_grad};

/// Rows of a batch that are computed together.
pub const BLOCK: usize = 32;

/// How trials are played: the conditions, the random numbers and the threads.
pub struct Rollout<'a> {
    /// Judges the outputs.
    pub task: &'a dyn Task,
    /// What is trained at present, for the parameters that may change.
    pub lesson: &'a Lesson,
    /// The conditions; the steps of a symbol are those of the trials, whatever it says.
    pub setting: Setting,
    /// Initial states and noise come from here; one stream per update or evaluation batch.
    pub stream: Stream,
    /// Threads.
    pub workers: &'a Workers,
    /// Whether the fast path may be taken.
    pub fast: bool,
    /// Steps without input before each trial, and before what the trials themselves settle with, outside the gradient.
    pub settle: usize,
}

/// What is kept of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// Outputs and the last state.
    #[default]
    Outputs,
    /// The rates of every step too.
    Rates,
}

/// A cost of the rates that is added to the task's loss, such as a penalty on activity.
///
/// It is handed the rates after every step, `[time, rows, unit]`, of some rows of a batch, the trials of these rows as they happened
/// and the number of trials of the whole batch, and gives a 0-dimensional share that adds up over rows.
pub type RateCost<'a> = dyn Fn(&Tensor, &Trials, usize) -> Result<Tensor> + Sync + 'a;

impl Rollout<'_> {
    /// Play trials from their initial states or fresh ones, without gradients.
    ///
    /// # Errors
    /// When shapes do not fit or a closed loop fails.
    pub fn play(&self, network: &Network, trials: &Trials, record: Record) -> Result<Played> {
        self.play_from(network, trials, record, None)
    }

    /// Play trials from given states `[batch, ..]` (or those of [`Rollout::play`]), without gradients.
    ///
    /// # Errors
    /// As [`Rollout::play`].
    pub fn play_from(
        &self,
        network: &Network,
        trials: &Trials,
        record: Record,
        initial: Option<&Tensors>,
    ) -> Result<Played> {
        let setting = self.setting_of(trials);
        let shared = self.shared(network, trials, &setting);
        let ready = no_grad(|| Ready::new(&shared, &network.parameters, trials, false))?;
        let blocks = self.blocks(network, &ready, trials, initial);
        let played = self.workers.map(blocks, |block| no_grad(|| play::play(&shared, block, record)));
        Played::join(played.into_iter().collect::<Result<Vec<_>>>()?)
    }

    /// Play trials step by step as one block, with a hook before and after each step that may drive units and change parameters.
    ///
    /// # Errors
    /// When shapes do not fit or the hook fails.
    pub fn online(
        &self,
        network: &mut Network,
        trials: &Trials,
        initial: Option<&Tensors>,
        hook: &mut dyn StepHook,
    ) -> Result<Played> {
        let setting = self.setting_of(trials);
        let shared = self.shared(network, trials, &setting);
        let (played, parameters) = no_grad(|| {
            let prepared = shared.dynamics.prepare(&network.parameters, shared.setting)?;
            let block = Block {
                first: 0,
                parameters: network.parameters.shallow_clone(),
                ready: Ready { prepared, folding: None, gated: None, heads: Vec::new() },
                trials: trials.rows(0..trials.batch()),
                initial: initial.map(Tensors::shallow_clone),
                noise: RefCell::default(),
            };
            online::play_online(&shared, block, hook)
        })?;
        network.parameters = parameters;
        Ok(played)
    }

    /// The gradient of the task's loss with respect to those of [`Network::trained`] that `wanted` accepts. With a window, no
    /// gradient crosses a step whose number is a multiple of it.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn gradient(
        &self,
        network: &Network,
        trials: &Trials,
        window: Option<usize>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Gradient> {
        self.gradient_with_cost(network, trials, window, wanted, None)
    }

    /// As [`Rollout::gradient`], of the task's loss plus a cost of the rates; the reported loss is the task's alone.
    ///
    /// # Errors
    /// When shapes do not fit or the cost fails.
    pub fn gradient_with_cost(
        &self,
        network: &Network,
        trials: &Trials,
        window: Option<usize>,
        wanted: impl Fn(&str) -> bool,
        cost: Option<&RateCost>,
    ) -> Result<Gradient> {
        let mut names = network.trained(self.lesson);
        names.retain(|name| wanted(name));
        let setting = self.setting_of(trials);
        let shared = self.shared(network, trials, &setting);
        let leaf = |name: &str, t: &Tensor| t.detach().set_requires_grad(names.iter().any(|n| n == name));
        let parameters: Tensors = network.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
        let ready = with_grad(|| Ready::new(&shared, &parameters, trials, true))?;
        let blocks = self.blocks(network, &ready, trials, None);
        let wanted = gradient::Wanted { names: &names, window, cost };
        let parts = self.workers.map(blocks, |block| gradient::gradient(&shared, block, wanted));
        let sum = Gradient::sum(parts.into_iter().collect::<Result<Vec<_>>>()?, self.workers)?;
        gradient::through_preparation(&ready, &parameters, &names, sum, self.workers)
    }

    /// The conditions under which these trials are played.
    fn setting_of(&self, trials: &Trials) -> Setting {
        Setting { substeps: trials.substeps, ..self.setting.clone() }
    }

    fn shared<'b>(&'b self, network: &'b Network, trials: &Trials, setting: &'b Setting) -> Shared<'b> {
        Shared {
            dynamics: &*network.dynamics,
            readout: &network.readout,
            setting,
            stream: &self.stream,
            task: self.task,
            fast: self.fast,
            settle: self.settle,
            batch: trials.batch(),
            workers: self.workers,
            window: None,
            graph: false,
        }
    }

    fn blocks(&self, network: &Network, ready: &Ready, trials: &Trials, initial: Option<&Tensors>) -> Vec<Block> {
        // A GPU is filled by one large block; the cores of a CPU by several.
        let on_cpu = trials.inputs.device() == Device::Cpu;
        let size = if on_cpu { BLOCK } else { trials.batch().max(1) };
        ranges(trials.batch(), size)
            .map(|rows| Block {
                first: rows.start,
                parameters: network.parameters.shallow_clone(),
                ready: ready.leaves(),
                initial: initial.map(|state| state.map(|t| t.narrow(0, rows.start as i64, rows.len() as i64))),
                trials: trials.rows(rows),
                noise: RefCell::default(),
            })
            .collect()
    }
}

fn ranges(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(size).map(move |start| start..(start + size).min(length))
}
