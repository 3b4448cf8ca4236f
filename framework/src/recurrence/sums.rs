//! The sums that are the gradients of weights, as the kernels leave them.

use super::Folding;
use super::by_kernels::InPacked;
use super::native::{Fresh, Kernels, Layout, Level, Outer, numbers};
use crate::workers::Workers;
use crate::{Result, Tensors};
use tch::kind::Element;
use tch::{Kind, Tensor};

/// How [`super::SUMS`] lie in memory: those of weights, input weights and bias, and behind them those of heads, as far as they are learned.
pub(super) struct Layouts([Option<Layout>; 2]);

impl Layouts {
    /// Numbers of all sums.
    pub fn numbers(&self) -> usize {
        self.0.iter().flatten().map(Layout::numbers).sum()
    }

    /// Sums in memory that holds as many numbers.
    pub fn outer<R: Kernels>(self, mut sums: &mut [R]) -> [Option<Outer<'_, R>>; 2] {
        self.0.map(|layout| {
            let layout = layout?;
            let (own, behind) = std::mem::take(&mut sums).split_at_mut(layout.numbers());
            sums = behind;
            Some(Outer::new(layout, own))
        })
    }
}

impl Folding {
    /// Whether the kernels sum the gradients of heads.
    pub(super) fn sums_heads(&self) -> bool {
        self.has_kernels() && !self.reads_state && self.readout.as_ref().is_some_and(Tensor::requires_grad)
    }

    pub(super) fn layouts<R: InPacked>(&self) -> Layouts {
        let level = self.packed.as_deref().and_then(R::of).map_or_else(Level::best, |steps| steps.level());
        let first = |t: &Option<Tensor>| t.as_ref().map_or(0, |t| t.size()[0] as usize);
        let units = self.weight.size()[0] as usize;
        let weights = || Layout::of::<R>(level, (units, first(&self.input), units));
        let heads = || Layout::of::<R>(level, (units, 0, first(&self.readout)));
        Layouts([self.needs_weights().then(weights), self.sums_heads().then(heads)])
    }

    /// Gradients by the names of [`Folding::tensors`], from [`super::SUMS`].
    ///
    /// # Errors
    /// When there is not enough memory.
    pub(crate) fn unpack(&self, sums: &Tensor, workers: &Workers) -> Result<Tensors> {
        match self.weight.kind() {
            Kind::Double => self.unpack_in::<f64>(sums, workers),
            _ => self.unpack_in::<f32>(sums, workers),
        }
    }

    fn unpack_in<R: InPacked>(&self, sums: &Tensor, workers: &Workers) -> Result<Tensors> {
        let Layouts([weights, heads]) = self.layouts::<R>();
        let (mut sums, mut gradients) = (numbers::<R>(sums)?, Tensors::new());
        let mut by_targets = |layout: Layout| -> Result<[Tensor; 3]> {
            let (own, behind) = sums.split_at(layout.numbers());
            sums = behind;
            unpacked(&layout, own, workers)
        };
        // By targets, while weights are folded by sources.
        if let Some(layout) = weights {
            let [weight, input, bias] = by_targets(layout)?;
            gradients.insert("weight", weight.f_transpose(0, 1)?);
            if self.input.is_some() {
                gradients.insert("input", input.f_transpose(0, 1)?);
            }
            if self.bias.is_some() {
                gradients.insert("bias", bias);
            }
        }
        if let Some(layout) = heads {
            let [readout, _, bias] = by_targets(layout)?;
            gradients.insert("readout", readout);
            if self.readout_bias.is_some() {
                gradients.insert("readout_bias", bias);
            }
        }
        Ok(gradients)
    }
}

/// Sums over the main sources and over those beside, `[target, source]` each, and over the ones.
fn unpacked<R: Kernels + Element>(layout: &Layout, sums: &[R], workers: &Workers) -> Result<[Tensor; 3]> {
    let [main, side, targets] = layout.size().map(|size| size as i64);
    let mut main = Fresh::empty::<R>(&[targets, main])?;
    let mut side = Fresh::empty::<R>(&[targets, side])?;
    let mut ones = Fresh::empty::<R>(&[targets])?;
    layout.by_targets(sums, [main.numbers_mut()?, side.numbers_mut()?, ones.numbers_mut()?], workers);
    Ok([main, side, ones].map(Fresh::tensor))
}
