//! The tensors of a rate network, folded for its placement once an update.

use super::by_kernels::Packed;
use super::native::Level;
use super::{Activation, BIAS, INPUT, LEAK, Placement, RECURRENT, RateForm, Read};
use crate::workers::Workers;
use crate::{Result, Tensors};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// The tensors of a network, folded for its placement; they carry autograd history when the prepared tensors do.
pub struct Folding {
    pub(super) placement: Placement,
    pub(super) activation: Activation,
    pub(super) reads_state: bool,
    /// `[source, target]`: what the state (or rate) is multiplied with from the right.
    pub(super) weight: Tensor,
    /// Leak and its complement, `[unit]` or `[1]`; used by `Drive` and `Current`.
    pub(super) leak: Tensor,
    pub(super) keep: Tensor,
    /// `[input, unit]` and `[unit]`, where the input is linear.
    pub(super) input: Option<Tensor>,
    pub(super) bias: Option<Tensor>,
    /// `[output, unit]` and `[output]`, where heads are read.
    pub(super) readout: Option<Tensor>,
    pub(super) readout_bias: Option<Tensor>,
    /// For the kernels, shared by all blocks of rows.
    pub(super) packed: Option<Arc<Packed>>,
}

/// Whether a leak is the constant 1, so that nothing is kept from the last state (Elman networks).
pub(super) fn without_memory(leak: &Tensor) -> bool {
    leak.numel() == 1 && !leak.requires_grad() && leak.double_value(&[0]) == 1.0
}

impl Folding {
    /// Fold prepared tensors; `read` is what heads say of the rates.
    ///
    /// # Errors
    /// When a prepared tensor is missing or shapes do not fit.
    pub fn new(form: &RateForm, prepared: &Tensors, read: Option<Read>) -> Result<Self> {
        let weight = prepared.get(RECURRENT)?.f_transpose(0, 1)?;
        let leak = prepared.get(LEAK)?.shallow_clone();
        let keep = leak.neg() + 1.0;
        let mut placement = form.placement;
        if placement == Placement::Drive && without_memory(&leak) {
            // r' = f(W r + x) is the cheaper loop.
            placement = Placement::Whole;
        }
        let scaled = placement != Placement::Drive && !without_memory(&leak);
        let scale = |t: Tensor| if scaled { t.f_mul(&leak) } else { Ok(t) };
        let mut weight = scale(weight)?;
        if placement == Placement::Whole && scaled {
            let units = weight.size()[0];
            weight = weight.f_add(&keep.f_expand([units], false)?.diag(0))?;
        }
        let (mut input, mut bias) = (None, None);
        if form.linear_input {
            input = Some(scale(prepared.get(INPUT)?.f_transpose(0, 1)?)?);
            bias = prepared.find(BIAS).map(|bias| scale(bias.shallow_clone())).transpose()?;
        }
        let (readout, readout_bias) = read.map_or((None, None), |read| (Some(read.weight), read.bias));
        let (activation, reads_state) = (form.activation, form.reads_state);
        let packed = None;
        Ok(Self { placement, activation, reads_state, weight, leak, keep, input, bias, readout, readout_bias, packed })
    }

    /// Lay the numbers out for the kernels, where there are any for them; for the way back, too, if it will be gone.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn pack(&mut self, backward: bool, workers: &Workers) -> Result<()> {
        let pack = || self.packed(Level::best(), backward, workers);
        self.packed = self.has_kernels().then(pack).transpose()?.map(Arc::new);
        Ok(())
    }

    /// Handles without history, of which those that had one are leaves of a graph to come.
    pub fn leaves(&self) -> Self {
        self.map(|t| t.detach().set_requires_grad(t.requires_grad()))
    }

    /// New handles to the same tensors.
    pub(crate) fn handles(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    pub(super) fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            placement: self.placement,
            activation: self.activation,
            reads_state: self.reads_state,
            weight: f(&self.weight),
            leak: f(&self.leak),
            keep: f(&self.keep),
            input: self.input.as_ref().map(&f),
            bias: self.bias.as_ref().map(&f),
            readout: self.readout.as_ref().map(&f),
            readout_bias: self.readout_bias.as_ref().map(&f),
            packed: self.packed.clone(),
        }
    }

    /// Its tensors: `weight`, `leak`, `keep`, and those of `input`, `bias`, `readout`, `readout_bias` that there are.
    pub fn tensors(&self) -> Tensors {
        let always = [("weight", Some(&self.weight)), ("leak", Some(&self.leak)), ("keep", Some(&self.keep))];
        let others = [
            ("input", self.input.as_ref()),
            ("bias", self.bias.as_ref()),
            ("readout", self.readout.as_ref()),
            ("readout_bias", self.readout_bias.as_ref()),
        ];
        let all = always.into_iter().chain(others);
        all.filter_map(|(name, tensor)| Some((name.to_string(), tensor?.shallow_clone()))).collect()
    }

    /// Whether the native kernels can do it: on a CPU, in a precision that they have.
    pub(super) fn has_kernels(&self) -> bool {
        self.weight.device() == Device::Cpu && matches!(self.weight.kind(), Kind::Float | Kind::Double)
    }

    /// Whether the leak is learned and stands in the step itself.
    pub(super) fn needs_leak(&self) -> bool {
        self.placement != Placement::Whole && self.leak.requires_grad()
    }

    /// Whether any of the weights in the loop is learned.
    pub(super) fn needs_weights(&self) -> bool {
        let learned = |t: &Option<Tensor>| t.as_ref().is_some_and(Tensor::requires_grad);
        self.weight.requires_grad() || learned(&self.input) || learned(&self.bias)
    }
}
