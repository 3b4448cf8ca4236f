//! Gradients of the weights of gated units, from what the kernels summed.

use super::{GatedFolding, Packed};
use crate::recurrence::native::{Fresh, GatedStep, Kernels, numbers};
use crate::workers::Workers;
use crate::{Error, Result, Tensors};
use tch::Tensor;
use tch::kind::Element;

impl GatedFolding {
    /// Gradients with respect to weights, input weights and bias, from what the kernels summed.
    ///
    /// # Errors
    /// When it was not packed.
    pub(crate) fn unpack(&self, sums: &Tensor, workers: &Workers) -> Result<Tensors> {
        match self.packed.as_deref() {
            Some(Packed::Double(step)) => self.unpack_in(step, sums, workers),
            Some(Packed::Single(step)) => self.unpack_in(step, sums, workers),
            None => Err(Error::Failed("a gated network that was not packed".into())),
        }
    }

    fn unpack_in<R: Kernels + Element>(
        &self,
        step: &GatedStep<R>,
        sums: &Tensor,
        workers: &Workers,
    ) -> Result<Tensors> {
        // By targets, while these are folded by sources.
        let turned = |t: &Tensor| Fresh::empty::<R>(&[t.size()[1], t.size()[0]]);
        let (mut weight, mut input) = (turned(&self.weight)?, turned(&self.input)?);
        let mut bias = Fresh::empty::<R>(&self.bias.size())?;
        let places = [weight.numbers_mut()?, input.numbers_mut()?, bias.numbers_mut()?];
        step.gradients(numbers(sums)?, places, workers);
        let [weight, input] = [weight, input].map(|fresh| fresh.tensor().transpose(0, 1));
        Ok(Tensors::from([("weight", weight), ("input", input), ("bias", bias.tensor())]))
    }
}
