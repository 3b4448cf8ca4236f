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
mod play;
mod trace;

pub use gradient::Gradient;
pub use play::{Moment, Played, StepHook};
pub use trace::Traced;

use crate::cell::{Dynamics, Form, Setting};
use crate::network::{self, Network, Readout};
use crate::recurrence::{Folded, Folding, GatedFolding, GatedForm, RateForm};
use crate::task::Trials;
use crate::workers::Workers;
use crate::{Error, Lesson, Result, Stream, Task, Tensors};
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

/// What a network works with under one setting: prepared once a rollout for all blocks of rows.
struct Ready {
    prepared: Tensors,
    /// Where the fast path may be taken.
    folding: Option<Folding>,
    /// Likewise for gated cells.
    gated: Option<GatedFolding>,
    /// The heads that the folding reads, in their order.
    heads: Vec<usize>,
}

impl Ready {
    /// Prepare a network's parameters for trials; with `backward` for gradients, too.
    fn new(shared: &Shared, parameters: &Tensors, trials: &Trials, backward: bool) -> Result<Self> {
        let prepared = shared.dynamics.prepare(parameters, shared.setting)?;
        // Later segments of a closed loop may ask other heads than the first.
        let heads = if trials.rest.is_some() { shared.readout.heads.clone() } else { shared.heads(trials) };
        let read = || network::stack_heads(parameters, shared.readout, &heads);
        let fold = |form| Folding::new(&form, &prepared, read()?);
        let mut folding = shared.rate_form().map(fold).transpose()?;
        let fold = |form| GatedFolding::new(&form, &prepared, read()?);
        let mut gated = shared.gated_form().map(fold).transpose()?.flatten();
        no_grad(|| -> Result<()> {
            folding.iter_mut().try_for_each(|folding| folding.pack(backward))?;
            gated.iter_mut().try_for_each(|folding| folding.pack(backward))
        })?;
        Ok(Self { prepared, folding, gated, heads })
    }

    /// Handles without history for a block of rows, leaves of the block's own graph where there was a history.
    fn leaves(&self) -> Self {
        Self {
            prepared: self.prepared.map(|t| t.detach().set_requires_grad(t.requires_grad())),
            folding: self.folding.as_ref().map(Folding::leaves),
            gated: self.gated.as_ref().map(GatedFolding::leaves),
            heads: self.heads.clone(),
        }
    }

    /// What was folded, by name.
    fn folded(&self) -> Tensors {
        let gated = self.gated.as_ref().map(GatedFolding::tensors);
        self.folding.as_ref().map(Folding::tensors).or(gated).unwrap_or_default()
    }

    /// What each of `heads` says, from what all of them together do, `[.., output]`.
    fn split(&self, said: &Tensor, heads: &[usize]) -> Result<Vec<Tensor>> {
        let width = said.size().last().map_or(0, |all| all / self.heads.len().max(1) as i64);
        let one = |head: &usize| {
            let place = self.heads.iter().position(|known| known == head).ok_or_else(|| {
                Error::Failed(format!("the trials ask head {head} later on; at first they ask {:?}", self.heads))
            })?;
            Ok(said.f_narrow(-1, place as i64 * width, width)?)
        };
        heads.iter().map(one).collect()
    }
}

/// A block of rows on its way to a thread: handles of its own to shared tensors, since a tensor may not be shared.
struct Block {
    first: usize,
    parameters: Tensors,
    ready: Ready,
    trials: Trials,
    initial: Option<Tensors>,
    /// The noise of the last step so far, `[rows, projected]`: noise with a memory goes on from segment to segment.
    noise: RefCell<Option<Tensor>>,
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
    /// Bytes that the states of a batch may take.
    state_memory: u64,
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
        let ready = with_grad(|| Ready::new(&shared, &parameters, trials, true))?;
        let blocks = self.blocks(network, &ready, trials, None);
        let wanted = gradient::Wanted { names: &names, window, cost };
        let parts = self.workers.map(blocks, |block| gradient::gradient(&shared, block, wanted));
        let sum = Gradient::sum(parts.into_iter().collect::<Result<Vec<_>>>()?, self.workers)?;
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
            state_memory: self.workers.state_memory(),
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

impl Shared<'_> {
    /// The form that the fast path may take, if it may.
    fn rate_form(&self) -> Option<RateForm> {
        match self.dynamics.form(self.setting) {
            Form::Rate(form) if self.fast && self.readout.feedback.is_none() => Some(form),
            _ => None,
        }
    }

    /// The form of a gated cell that the fast path may take, if it may.
    fn gated_form(&self) -> Option<GatedForm> {
        match self.dynamics.form(self.setting) {
            Form::Gated(form) if self.fast && self.readout.feedback.is_none() => Some(form),
            _ => None,
        }
    }

    /// The heads that the trials ask, in their order.
    fn heads(&self, trials: &Trials) -> Vec<usize> {
        trials.targets.iter().map(|target| target.head).collect()
    }

    /// Projected input plus noise of one segment.
    fn drive(&self, block: &Block, inputs: &Tensor, segment: usize) -> Result<Tensor> {
        let projected = self.dynamics.project(&block.ready.prepared, inputs)?;
        match self.noise(block, inputs, segment)? {
            Some(noise) => Ok(projected.f_add(&noise)?),
            None => Ok(projected),
        }
    }

    /// The noise of one segment, if there is any; segments must be asked for in their order.
    fn noise(&self, block: &Block, inputs: &Tensor, segment: usize) -> Result<Option<Tensor>> {
        let (time, rows, _) = inputs.size3()?;
        let mut stream = self.stream.child("noise").at(block.first as u64).at(segment as u64);
        let mut last = block.noise.borrow_mut();
        let (time, rows) = (time as usize, rows as usize);
        let noise = self.dynamics.noise(&block.ready.prepared, time, rows, last.as_ref(), &mut stream)?;
        if let Some(noise) = noise.as_ref().filter(|_| time > 0) {
            *last = Some(noise.detach().f_select(0, time as i64 - 1)?.copy());
        }
        Ok(noise)
    }

    /// One segment for the fast path.
    fn fold(
        &self,
        form: &RateForm,
        folding: &Folding,
        block: &Block,
        inputs: &Tensor,
        segment: usize,
    ) -> Result<Folded> {
        if form.linear_input {
            Folded::new(folding, Some(inputs), self.noise(block, inputs, segment)?.as_ref())
        } else {
            Folded::new(folding, None, Some(&self.drive(block, inputs, segment)?))
        }
    }

    /// The state before the first step, after settling if there is any.
    fn initial_state(&self, block: &Block) -> Result<Tensors> {
        let prepared = &block.ready.prepared;
        let state = match block.initial.as_ref().or(block.trials.initial.as_ref()) {
            Some(state) => state.shallow_clone(),
            None => {
                let mut stream = self.stream.child("initial").at(block.first as u64);
                self.dynamics.initial_state(prepared, block.trials.batch(), &mut stream)?
            }
        };
        let own = block.trials.settle.as_ref().map(Tensor::shallow_clone);
        if self.settle == 0 && own.is_none() {
            return Ok(state);
        }
        no_grad(|| {
            let (_, rows, channels) = block.trials.inputs.size3()?;
            let options = (block.trials.inputs.kind(), block.trials.inputs.device());
            let silence = Tensor::f_zeros([self.settle as i64, rows, channels], options)?;
            let inputs = own.map_or(Ok(silence.shallow_clone()), |own| Tensor::f_cat(&[&silence, &own], 0))?;
            let next = play::Next { inputs: &inputs, periods: &[], index: play::SETTLING, first_step: 0, heads: &[] };
            let shared = Shared { graph: false, ..*self };
            Ok(play::advance(&shared, block, state, &next, Record::Outputs)?.0)
        })
    }
}
