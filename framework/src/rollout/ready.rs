//! What is made of a network once for all rows.

use super::Shared;
use crate::network;
use crate::recurrence::{Folding, GatedFolding};
use crate::task::Trials;
use crate::workers::Workers;
use crate::{Error, Result, Tensors};
use tch::{Tensor, no_grad};

/// What a network works with under one setting: prepared once a rollout for all blocks of rows.
pub(super) struct Ready {
    pub prepared: Tensors,
    /// Where the fast path may be taken.
    pub folding: Option<Folding>,
    /// Likewise for gated cells.
    pub gated: Option<GatedFolding>,
    /// The heads that the folding reads, in their order.
    pub heads: Vec<usize>,
}

impl Ready {
    /// Prepare a network's parameters for trials; with `backward` for gradients, too.
    pub fn new(shared: &Shared, parameters: &Tensors, trials: &Trials, backward: bool) -> Result<Self> {
        let prepared = shared.dynamics.prepare(parameters, shared.setting)?;
        // Later segments of a closed loop may ask other heads than the first.
        let heads = if trials.rest.is_some() { shared.readout.heads.clone() } else { shared.heads(trials) };
        let read = || network::stack_heads(parameters, shared.readout, &heads);
        let fold = |form| Folding::new(&form, &prepared, read()?);
        let mut folding = shared.rate_form().map(fold).transpose()?;
        let fold = |form| GatedFolding::new(&form, &prepared, read()?);
        let mut gated = shared.gated_form().map(fold).transpose()?.flatten();
        no_grad(|| -> Result<()> {
            folding.iter_mut().try_for_each(|folding| folding.pack(backward, shared.workers))?;
            gated.iter_mut().try_for_each(|folding| folding.pack(backward, shared.workers))
        })?;
        Ok(Self { prepared, folding, gated, heads })
    }

    /// Handles without history for a block of rows, leaves of the block's own graph where there was a history.
    pub fn leaves(&self) -> Self {
        Self {
            prepared: self.prepared.map(|t| t.detach().set_requires_grad(t.requires_grad())),
            folding: self.folding.as_ref().map(Folding::leaves),
            gated: self.gated.as_ref().map(GatedFolding::leaves),
            heads: self.heads.clone(),
        }
    }

    /// What was folded, by name.
    pub fn folded(&self) -> Tensors {
        let gated = self.gated.as_ref().map(GatedFolding::tensors);
        self.folding.as_ref().map(Folding::tensors).or(gated).unwrap_or_default()
    }

    /// Gradients of folded weights by name, from what the kernels summed.
    pub fn unpack(&self, sums: &Tensor, workers: &Workers) -> Result<Tensors> {
        match (&self.folding, &self.gated) {
            (Some(folding), _) => folding.unpack(sums, workers),
            (None, Some(folding)) => folding.unpack(sums, workers),
            (None, None) => Err(Error::Failed("gradients of a network that was not folded".into())),
        }
    }

    /// What each of `heads` says, from what all of them together do, `[.., output]`.
    pub fn split(&self, said: &Tensor, heads: &[usize]) -> Result<Vec<Tensor>> {
        let width = said.size().last().map_or(0, |all| all / self.heads.len().max(1) as i64);
        let one = |head: &usize| {
            let place = self.heads.iter().position(|known| known == head).ok_or_else(|| {
                Error::Failed(format!("the trials ask head {head} later on; at first they ask {:?}", self.heads))
            })?;
            // One head is all there is: no step for autograd.
            Ok(if self.heads.len() == 1 {
                said.shallow_clone()
            } else {
                said.f_narrow(-1, place as i64 * width, width)?
            })
        };
        heads.iter().map(one).collect()
    }
}
