//! The fast path for gated units on a CPU: all steps of a block of rows forward, and their explicit adjoint backward.
//!
//! Elsewhere, and where the memory of the native kernels is of no use, gated cells run step by step under autograd, which is what
//! these kernels are checked against.

use super::by_kernels::{matrix, without_gaps};
use super::native::{
    Fresh, GatedBackward, GatedForward, GatedStep, Gates, Gradients, Kernels, Layout, Level, Matrix, Outer, ResetGate,
    keep, numbers,
};
use super::{BIAS, INPUT, LEAK, Read, SUMS, Upstream};
use crate::workers::Workers;
use crate::{Error, Result, Tensors};
use std::sync::Arc;
use tch::kind::Element;
use tch::{Device, Kind, Tensor, no_grad};

/// Name of the recurrent weights `[unit, blocks * unit]` among the prepared tensors of a gated cell.
pub const GATED_RECURRENT: &str = "recurrent.weight";
/// Name of the recurrent bias `[unit]` of the candidate among the prepared tensors of a cell with a reset gate.
pub const CANDIDATE_BIAS: &str = "candidate.bias";

/// The description by which a gated cell hands its loop over time to the fast path.
///
/// The prepared tensors must hold [`GATED_RECURRENT`], [`INPUT`] `[blocks * unit, input]` and [`BIAS`] `[blocks * unit]`: with a long
/// short-term memory four blocks i, f, g, o; with a reset gate three blocks r, z, n, and [`CANDIDATE_BIAS`] where it acts after the
/// product; without one two, z and n.
/// Where they hold a [`super::LEAK`] `[unit]` or `[1]`, gated units move by that share alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedForm {
    /// Which equations.
    pub gates: Gates,
    /// Name of the state tensor that heads read.
    pub hidden: String,
    /// Name of the state tensor of a memory.
    pub cell: Option<String>,
}

enum Packed {
    Single(GatedStep<f32>),
    Double(GatedStep<f64>),
}

/// The tensors of a gated network as blocks of each unit; they carry autograd history when the prepared tensors do.
pub struct GatedFolding {
    gates: Gates,
    /// `[unit, blocks * unit]`
    weight: Tensor,
    /// `[input, blocks * unit]`
    input: Tensor,
    /// `[blocks * unit]`
    bias: Tensor,
    /// `[unit]` or `[1]`
    leak: Tensor,
    /// `[output, unit]` and `[output]`, where heads are read.
    readout: Option<Tensor>,
    readout_bias: Option<Tensor>,
    packed: Option<Arc<Packed>>,
}

/// What a forward pass leaves for the backward pass.
pub struct GatedRun {
    /// `h` of every step, `[time + 1, batch, unit]`, the initial one first.
    pub hidden: Tensor,
    /// `c` likewise, of memories.
    pub cell: Option<Tensor>,
    gates: Option<Tensor>,
    memory: Vec<Tensor>,
}

impl GatedRun {
    /// Give its memory to the next forward pass on this thread. Nobody may hold on to states of it.
    pub fn recycle(self) {
        keep(self.memory);
    }
}

/// Gradients with respect to the folded tensors, and to the initial `h` and `c`.
pub struct GatedAdjoint {
    /// By the names of [`GatedFolding::tensors`]; those of weights, input weights and bias together as [`SUMS`].
    pub folded: Tensors,
    /// With respect to the initial `h`, `[batch, unit]`.
    pub hidden: Tensor,
    /// With respect to the initial `c`, of memories.
    pub cell: Option<Tensor>,
}

impl GatedFolding {
    /// Fold prepared tensors; `None` where there are no kernels for them.
    ///
    /// # Errors
    /// When a prepared tensor is missing or shapes do not fit.
    pub fn new(form: &GatedForm, prepared: &Tensors, read: Option<Read>) -> Result<Option<Self>> {
        let weight = prepared.get(GATED_RECURRENT)?;
        if weight.device() != Device::Cpu || !matches!(weight.kind(), Kind::Float | Kind::Double) {
            return Ok(None);
        }
        let (input, bias) = (prepared.get(INPUT)?.f_transpose(0, 1)?, prepared.get(BIAS)?);
        let (weight, input, bias) = match form.gates {
            Gates::Unit { reset: ResetGate::AfterProduct, .. } => {
                // The candidate's recurrent part and its input are apart: r, z, u without input, a of the input alone.
                let units = weight.size()[0];
                let apart = |t: &Tensor, u: Tensor, axis: i64| -> Result<Tensor> {
                    let gates = t.f_narrow(axis, 0, 2 * units)?;
                    Ok(Tensor::f_cat(&[gates, u, t.f_narrow(axis, 2 * units, units)?], axis)?)
                };
                let nothing = input.f_narrow(1, 0, units)?.zeros_like();
                let bias = apart(bias, prepared.get(CANDIDATE_BIAS)?.shallow_clone(), 0)?;
                (weight.shallow_clone(), apart(&input, nothing, 1)?, bias)
            }
            _ => (weight.shallow_clone(), input, bias.shallow_clone()),
        };
        let (readout, readout_bias) = read.map_or((None, None), |read| (Some(read.weight), read.bias));
        let leak = match prepared.find(LEAK) {
            Some(leak) => leak.shallow_clone(),
            None => bias.f_ones_like()?.f_narrow(0, 0, 1)?,
        };
        Ok(Some(Self { gates: form.gates, weight, input, bias, leak, readout, readout_bias, packed: None }))
    }

    /// Lay the numbers out for the kernels; for the way back, too, if it will be gone.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn pack(&mut self, backward: bool, workers: &Workers) -> Result<()> {
        self.packed = Some(Arc::new(match self.weight.kind() {
            Kind::Double => Packed::Double(self.step(Level::best(), backward, workers)?),
            _ => Packed::Single(self.step(Level::best(), backward, workers)?),
        }));
        Ok(())
    }

    fn step<R: Kernels + Element>(&self, level: Level, backward: bool, workers: &Workers) -> Result<GatedStep<R>> {
        let (weight, input) = (without_gaps(&self.weight)?, without_gaps(&self.input)?);
        let bias = self.bias.detach().contiguous();
        let readout = self.readout.as_ref().map(without_gaps).transpose()?;
        let readout = readout.as_ref().map(|readout| matrix::<R>(readout, false)).transpose()?;
        let leak = self.leak.detach().contiguous();
        let tensors: (Matrix<R>, Matrix<R>, &[R], &[R]) =
            (matrix(&weight, false)?, matrix(&input, false)?, numbers(&bias)?, numbers(&leak)?);
        Ok(GatedStep::new(level, self.gates, tensors, backward.then_some(readout), workers))
    }

    /// Handles without history, of which those that had one are leaves of a graph to come.
    pub fn leaves(&self) -> Self {
        let leaf = |t: &Tensor| t.detach().set_requires_grad(t.requires_grad());
        Self {
            gates: self.gates,
            weight: leaf(&self.weight),
            input: leaf(&self.input),
            bias: leaf(&self.bias),
            leak: leaf(&self.leak),
            readout: self.readout.as_ref().map(leaf),
            readout_bias: self.readout_bias.as_ref().map(leaf),
            packed: self.packed.clone(),
        }
    }

    /// Its tensors: `weight`, `input`, `bias`, `leak`, and those of `readout`, `readout_bias` that there are.
    pub fn tensors(&self) -> Tensors {
        let all = [
            ("weight", Some(&self.weight)),
            ("input", Some(&self.input)),
            ("bias", Some(&self.bias)),
            ("leak", Some(&self.leak)),
            ("readout", self.readout.as_ref()),
            ("readout_bias", self.readout_bias.as_ref()),
        ];
        all.into_iter().filter_map(|(name, t)| Some((name.to_string(), t?.shallow_clone()))).collect()
    }

    /// Run all steps of `inputs` `[time, batch, input]` from `h` and `c` `[batch, unit]`, outside autograd; with `keep` for the way
    /// back. What is `added` `[time, batch, unit]` goes into the candidate of gated units.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(
        &self,
        (inputs, added): (&Tensor, Option<&Tensor>),
        state: (&Tensor, Option<&Tensor>),
        keep: bool,
    ) -> Result<GatedRun> {
        no_grad(|| match self.packed.as_deref() {
            Some(Packed::Double(step)) => self.forward_in(step, (inputs, added), state, keep),
            Some(Packed::Single(step)) => self.forward_in(step, (inputs, added), state, keep),
            None => Err(Error::Failed("a gated network that was not packed".into())),
        })
    }

    fn forward_in<R: Kernels + Element>(
        &self,
        step: &GatedStep<R>,
        (inputs, added): (&Tensor, Option<&Tensor>),
        (hidden, cell): (&Tensor, Option<&Tensor>),
        keep: bool,
    ) -> Result<GatedRun> {
        let (time, batch, channels) = inputs.size3()?;
        let units = self.weight.size()[0];
        let fits = |t: &Tensor| t.size() == [batch, units];
        if channels != self.input.size()[0] || !fits(hidden) || !cell.is_none_or(fits) {
            return Err(Error::Shape {
                what: "input or initial state of the network".into(),
                expected: format!("[time, batch, {}] and [batch, {units}]", self.input.size()[0]),
                found: format!("{:?} and {:?}", inputs.size(), hidden.size()),
            });
        }
        let inputs = inputs.detach().contiguous();
        let added = added.map(|added| added.detach().contiguous());
        let mut memory = Vec::new();
        let mut place = |shape: &[i64]| -> Result<Fresh> {
            let (fresh, all) = Fresh::reused::<R>(shape)?;
            memory.push(all);
            Ok(fresh)
        };
        let mut begin = |initial: &Tensor| -> Result<Fresh> {
            let mut states = place(&[time + 1, batch, units])?;
            let initial = initial.detach().contiguous();
            let first = numbers::<R>(&initial)?;
            states.numbers_mut()?[..first.len()].copy_from_slice(first);
            Ok(states)
        };
        let mut hidden = begin(hidden)?;
        let mut cell = cell.map(&mut begin).transpose()?;
        let mut gates = if keep { Some(place(&[time, batch, step.blocks() as i64])?) } else { None };
        let job = GatedForward {
            rows: batch as usize,
            steps: time as usize,
            inputs: numbers(&inputs)?,
            added: added.as_ref().map(numbers).transpose()?,
            hidden: hidden.numbers_mut()?,
            cell: cell.as_mut().map(Fresh::numbers_mut).transpose()?.unwrap_or(&mut []),
            gates: gates.as_mut().map(Fresh::numbers_mut).transpose()?,
        };
        R::gated_forward(step, job);
        let (cell, gates) = (cell.map(Fresh::tensor), gates.map(Fresh::tensor));
        Ok(GatedRun { hidden: hidden.tensor(), cell, gates, memory })
    }

    /// What heads say after some steps, from `first` on, `[step, batch, output]`; outside autograd.
    ///
    /// # Errors
    /// When there is no readout.
    pub fn read(&self, run: &GatedRun, first: i64) -> Result<Tensor> {
        let weight = self.readout.as_ref().ok_or_else(|| Error::Failed("a network without heads".into()))?;
        no_grad(|| {
            let rates = run.hidden.f_narrow(0, first + 1, run.hidden.size()[0] - 1 - first)?;
            Ok(rates.f_linear(weight, self.readout_bias.as_ref())?)
        })
    }

    /// The adjoint of all steps, from what heads say and what comes from later: `last` of `upstream`, and of `c` `last_cell`.
    ///
    /// # Errors
    /// When shapes do not fit, or the loss depends on the states themselves.
    pub fn backward(
        &self,
        run: &GatedRun,
        inputs: &Tensor,
        (upstream, last_cell): (&Upstream, Option<&Tensor>),
        window: Option<usize>,
    ) -> Result<GatedAdjoint> {
        no_grad(|| match self.packed.as_deref() {
            Some(Packed::Double(step)) => self.backward_in(step, run, inputs, (upstream, last_cell), window),
            Some(Packed::Single(step)) => self.backward_in(step, run, inputs, (upstream, last_cell), window),
            None => Err(Error::Failed("a gated network that was not packed".into())),
        })
    }

    fn backward_in<R: Kernels + Element>(
        &self,
        step: &GatedStep<R>,
        run: &GatedRun,
        inputs: &Tensor,
        (upstream, last_cell): (&Upstream, Option<&Tensor>),
        window: Option<usize>,
    ) -> Result<GatedAdjoint> {
        let (time, batch, _) = inputs.size3()?;
        let units = self.weight.size()[0];
        let options = (R::KIND, Device::Cpu);
        let copy_or_zero = |t: Option<&Tensor>| match t {
            Some(t) => Ok(t.copy()),
            None => Tensor::f_zeros([batch, units], options),
        };
        let mut at_the_end = copy_or_zero(upstream.last.as_ref())?;
        let said = upstream.said.as_ref();
        if let (Some(said), Some(weight)) = (said, &self.readout) {
            drop(at_the_end.f_add_(&said.select(0, said.size()[0] - 1).f_mm(weight)?)?);
        }
        let mut lambda = Fresh::own(at_the_end);
        let mut lambda_cell = run.cell.as_ref().map(|_| copy_or_zero(last_cell)).transpose()?.map(Fresh::own);
        let every = said.filter(|said| said.size()[0] == time).map(Tensor::contiguous);
        let inputs = inputs.detach().contiguous();
        let gates = run.gates.as_ref().ok_or_else(|| Error::Failed("a run that kept no gates".into()))?;
        let (layout, later) = step.layouts();
        let count = layout.numbers();
        let mut sums = Fresh::sums::<R>(count + later.as_ref().map_or(0, Layout::numbers))?;
        let (places, behind) = sums.numbers_mut()?.split_at_mut(count);
        let mut of_leak = self.leak.requires_grad().then(|| step.sums());
        let cells = run.cell.as_ref().map(numbers).transpose()?.unwrap_or(&[]);
        let job = GatedBackward {
            rows: batch as usize,
            steps: time as usize,
            hidden: numbers(&run.hidden)?,
            cell: cells,
            gates: numbers(gates)?,
            said: every.as_ref().map(numbers).transpose()?,
            lambda: lambda.numbers_mut()?,
            lambda_cell: lambda_cell.as_mut().map(Fresh::numbers_mut).transpose()?.unwrap_or(&mut []),
            weights: Gradients { inputs: Some(numbers(&inputs)?), sums: Outer::new(layout, places) },
            later: later.map(|layout| Outer::new(layout, behind)),
            leak: of_leak.as_deref_mut(),
            window,
        };
        R::gated_backward(step, job);
        let mut folded = Tensors::from([(SUMS, sums.tensor())]);
        if let Some(sums) = of_leak {
            let each = Tensor::from_slice(&sums).f_narrow(0, 0, units)?;
            let shared = self.leak.size() == [1];
            folded.insert("leak", if shared { each.f_sum(None::<Kind>)?.f_view([1])? } else { each });
        }
        if let (Some(said), Some(weight)) = (said, &self.readout)
            && weight.requires_grad()
        {
            let steps = said.size()[0];
            let rates = run.hidden.f_narrow(0, time + 1 - steps, steps)?.f_reshape([-1, units])?;
            let said = said.f_reshape([-1, weight.size()[0]])?;
            folded.insert("readout", said.f_transpose(0, 1)?.f_mm(&rates)?);
            folded.insert("readout_bias", said.f_sum_dim_intlist(0i64, false, None::<Kind>)?);
        }
        Ok(GatedAdjoint { folded, hidden: lambda.tensor(), cell: lambda_cell.map(Fresh::tensor) })
    }
}

mod sums;
#[cfg(test)]
mod tests;
