//! The one loop over time: trials go in, outputs and gradients come out, online rules hook into each step.
//!
//! A batch is cut into blocks of [`BLOCK`] rows that are computed side by side; the cut does not depend on the number of threads,
//! and results are joined in order. Cells that describe themselves as rate networks run on the fast path
//! ([`crate::recurrence`]); all others run step by step.

mod gradient;
mod play;

pub use gradient::Gradient;
pub use play::{Moment, Played, StepHook};

use crate::cell::{Dynamics, Form, Setting};
use crate::network::{Network, Readout};
use crate::recurrence::{Folding, RateForm};
use crate::task::Trials;
use crate::workers::Workers;
use crate::{Lesson, Result, Stream, Task, Tensors};
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
    /// Steps without input before each trial, outside the gradient.
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
/// It is handed the rates after every step, `[time, rows, unit]`, of some rows of a batch and the number of trials of the whole
/// batch, and gives a 0-dimensional share that adds up over rows.
pub type RateCost<'a> = dyn Fn(&Tensor, usize) -> Result<Tensor> + Sync + 'a;

/// What a network works with under one setting: prepared once a rollout for all blocks of rows.
struct Ready {
    prepared: Tensors,
    /// Where the fast path may be taken.
    folding: Option<Folding>,
}

impl Ready {
    /// Prepare a network's parameters; with `backward` for gradients, too.
    fn new(shared: &Shared, parameters: &Tensors, backward: bool) -> Result<Self> {
        let prepared = shared.dynamics.prepare(parameters, shared.setting)?;
        let mut folding = shared.rate_form().map(|form| Folding::new(&form, &prepared)).transpose()?;
        if let Some(folding) = &mut folding {
            no_grad(|| folding.pack(backward))?;
        }
        Ok(Self { prepared, folding })
    }

    /// Handles without history for a block of rows, leaves of the block's own graph where there was a history.
    fn leaves(&self) -> Self {
        Self {
            prepared: self.prepared.map(|t| t.detach().set_requires_grad(t.requires_grad())),
            folding: self.folding.as_ref().map(Folding::leaves),
        }
    }
}

/// A block of rows on its way to a thread: handles of its own to shared tensors, since a tensor may not be shared.
struct Block {
    first: usize,
    parameters: Tensors,
    ready: Ready,
    trials: Trials,
    initial: Option<Tensors>,
}

/// What all blocks share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    dynamics: &'a dyn Dynamics,
    readout: &'a Readout,
    setting: &'a Setting,
    stream: &'a Stream,
    task: &'a dyn Task,
    fast: bool,
    settle: usize,
    batch: usize,
    /// Autograd's chain is cut at steps of a segment whose number is a multiple of it.
    window: Option<usize>,
    /// Whether autograd follows the steps, so that they must be taken one by one.
    graph: bool,
}

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
        let ready = no_grad(|| Ready::new(&shared, &network.parameters, false))?;
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
                ready: Ready { prepared, folding: None },
                trials: trials.rows(0..trials.batch()),
                initial: initial.map(Tensors::shallow_clone),
            };
            play::play_online(&shared, block, hook)
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
        let ready = with_grad(|| Ready::new(&shared, &parameters, true))?;
        let blocks = self.blocks(network, &ready, trials, None);
        let wanted = gradient::Wanted { names: &names, window, cost };
        let parts = self.workers.map(blocks, |block| gradient::gradient(&shared, block, wanted));
        let sum = Gradient::sum(parts.into_iter().collect::<Result<Vec<_>>>()?)?;
        gradient::through_preparation(&ready, &parameters, &names, sum)
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
            })
            .collect()
    }
}

fn ranges(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(size).map(move |start| start..(start + size).min(length))
}

impl Shared<'_> {
    /// The form that the fast path may take, if it may.
    fn rate_form(&self) -> Option<RateForm> {
        match self.dynamics.form(self.setting) {
            Form::Rate(form) if self.fast && self.readout.feedback.is_none() => Some(form),
            _ => None,
        }
    }

    /// The heads that the trials ask, in their order.
    fn heads(&self, trials: &Trials) -> Vec<usize> {
        trials.targets.iter().map(|target| target.head).collect()
    }

    /// Projected input plus noise of one segment.
    fn drive(&self, prepared: &Tensors, inputs: &Tensor, first: usize, segment: usize) -> Result<Tensor> {
        let projected = self.dynamics.project(prepared, inputs)?;
        let (time, rows, _) = inputs.size3()?;
        let mut stream = self.stream.child("noise").at(first as u64).at(segment as u64);
        match self.dynamics.noise(prepared, time as usize, rows as usize, &mut stream)? {
            Some(noise) => Ok(projected.f_add(&noise)?),
            None => Ok(projected),
        }
    }

    fn initial_state(&self, block: &Block) -> Result<Tensors> {
        let prepared = &block.ready.prepared;
        let state = match block.initial.as_ref().or(block.trials.initial.as_ref()) {
            Some(state) => state.shallow_clone(),
            None => {
                let mut stream = self.stream.child("initial").at(block.first as u64);
                self.dynamics.initial_state(prepared, block.trials.batch(), &mut stream)?
            }
        };
        if self.settle == 0 {
            return Ok(state);
        }
        no_grad(|| {
            let (_, rows, channels) = block.trials.inputs.size3()?;
            let options = (block.trials.inputs.kind(), block.trials.inputs.device());
            let silence = Tensor::f_zeros([self.settle as i64, rows, channels], options)?;
            // The settling noise is a segment of its own, told apart from those of the trial.
            let projected = self.drive(prepared, &silence, block.first, usize::MAX)?;
            let steps = play::Steps { shared: self, prepared, periods: &[], first_step: 0 };
            Ok(steps.run(state, &projected, Record::Outputs)?.0)
        })
    }
}
