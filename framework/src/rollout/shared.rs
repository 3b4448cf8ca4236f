//! What blocks of rows share, and how each begins and is driven.

use super::segments::{Next, SETTLING};
use super::{Ready, Record, play};
use crate::cell::{Dynamics, Form, Setting};
use crate::network::Readout;
use crate::recurrence::{Folded, Folding, GatedForm, RateForm};
use crate::task::Trials;
use crate::workers::Workers;
use crate::{Result, Stream, Task, Tensors};
use std::cell::RefCell;
use tch::{Tensor, no_grad};

/// A block of rows on its way to a thread: handles of its own to shared tensors, since a tensor may not be shared.
pub(super) struct Block {
    pub first: usize,
    pub parameters: Tensors,
    pub ready: Ready,
    pub trials: Trials,
    pub initial: Option<Tensors>,
    /// The noise of the last step so far, `[rows, projected]`: noise with a memory goes on from segment to segment.
    pub noise: RefCell<Option<Tensor>>,
}

/// What all blocks share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub dynamics: &'a dyn Dynamics,
    pub readout: &'a Readout,
    pub setting: &'a Setting,
    pub stream: &'a Stream,
    pub task: &'a dyn Task,
    pub fast: bool,
    pub settle: usize,
    pub batch: usize,
    pub workers: &'a Workers,
    /// Autograd's chain is cut at steps of a segment whose number is a multiple of it.
    pub window: Option<usize>,
    /// Whether autograd follows the steps, so that they must be taken one by one.
    pub graph: bool,
}

impl Shared<'_> {
    /// The form that the fast path may take, if it may.
    pub fn rate_form(&self) -> Option<RateForm> {
        match self.dynamics.form(self.setting) {
            Form::Rate(form) if self.fast && self.readout.feedback.is_none() => Some(form),
            _ => None,
        }
    }

    /// The form of a gated cell that the fast path may take, if it may.
    pub fn gated_form(&self) -> Option<GatedForm> {
        match self.dynamics.form(self.setting) {
            Form::Gated(form) if self.fast && self.readout.feedback.is_none() => Some(form),
            _ => None,
        }
    }

    /// The heads that the trials ask, in their order.
    pub fn heads(&self, trials: &Trials) -> Vec<usize> {
        trials.targets.iter().map(|target| target.head).collect()
    }

    /// Projected input plus noise of one segment.
    pub fn drive(&self, block: &Block, inputs: &Tensor, segment: usize) -> Result<Tensor> {
        let projected = self.dynamics.project(&block.ready.prepared, inputs)?;
        match self.noise(block, inputs, segment)? {
            Some(noise) => Ok(projected.f_add(&noise)?),
            None => Ok(projected),
        }
    }

    /// The noise of one segment, if there is any; segments must be asked for in their order.
    pub fn noise(&self, block: &Block, inputs: &Tensor, segment: usize) -> Result<Option<Tensor>> {
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
    pub fn fold(
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
    pub fn initial_state(&self, block: &Block) -> Result<Tensors> {
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
            let next = Next { inputs: &inputs, periods: &[], index: SETTLING, first_step: 0, heads: &[] };
            let shared = Shared { graph: false, ..*self };
            Ok(play::advance(&shared, block, state, &next, Record::Outputs)?.0)
        })
    }
}
