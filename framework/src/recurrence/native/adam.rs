//! One step of Adam in one pass over memory; op by op it takes a dozen.

use super::memory::{Fresh, numbers};
use super::simd::Simd;
use super::{Kernels, Level, Real};
use crate::Result;
use tch::kind::Element;
use tch::{Device, Kind, Tensor};

/// The numbers of a step; see [`crate::optimizer::Adam`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamNumbers {
    /// Weight of the past in the running mean of the gradient.
    pub beta1: f64,
    /// Weight of the past in the running mean of the squared gradient.
    pub beta2: f64,
    /// What the root of the second moment is divided by.
    pub root_correction: f64,
    /// Added to the divisor.
    pub epsilon: f64,
    /// The step size, corrected for the first moment.
    pub rate: f64,
}

/// The same for one set of instructions.
pub(in crate::recurrence) struct AdamStep<R> {
    level: Level,
    forget: R,
    keep: R,
    add: R,
    root_correction: R,
    epsilon: R,
    rate: R,
}

impl<R: Real> AdamStep<R> {
    pub(super) fn level(&self) -> Level {
        self.level
    }
}

/// What a step reads and writes, all of one length.
pub(in crate::recurrence) struct AdamJob<'a, R> {
    pub parameter: &'a mut [R],
    pub gradient: &'a [R],
    pub first: &'a mut [R],
    pub second: &'a mut [R],
    /// The largest second moment so far, where it is the divisor.
    pub largest: Option<&'a mut [R]>,
}

impl<R: Real> AdamJob<'_, R> {
    pub(super) fn check(&self, _: &AdamStep<R>) {
        let length = self.parameter.len();
        let fits = [self.gradient.len(), self.first.len(), self.second.len()].iter().all(|other| *other == length);
        assert!(fits && self.largest.as_ref().is_none_or(|largest| largest.len() == length), "tensors of an Adam step");
    }
}

/// Take a step, if all tensors lie on a CPU without gaps; says whether it was taken.
///
/// # Errors
/// When a tensor is of another kind than the parameter.
pub(crate) fn adam(parameter: &Tensor, gradient: &Tensor, moments: &[Tensor], step: AdamNumbers) -> Result<bool> {
    let flat = |t: &Tensor| t.device() == Device::Cpu && t.is_contiguous() && t.kind() == parameter.kind();
    if !flat(parameter) || !flat(gradient) || !moments.iter().all(flat) {
        return Ok(false);
    }
    match parameter.kind() {
        Kind::Float => adam_in::<f32>(parameter, gradient, moments, step)?,
        Kind::Double => adam_in::<f64>(parameter, gradient, moments, step)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn adam_in<R: Kernels + Element>(
    parameter: &Tensor,
    gradient: &Tensor,
    moments: &[Tensor],
    step: AdamNumbers,
) -> Result<()> {
    // The optimiser owns the moments, and nothing reads the parameter while it is at work on this thread.
    let mut own: Vec<Fresh> =
        std::iter::once(parameter).chain(moments).map(|tensor| Fresh::own(tensor.detach())).collect();
    let mut places = own.iter_mut().map(Fresh::numbers_mut::<R>).collect::<Result<Vec<_>>>()?.into_iter();
    let (Some(parameter), Some(first), Some(second), largest) =
        (places.next(), places.next(), places.next(), places.next())
    else {
        unreachable!("Adam keeps two or three moments");
    };
    let number = R::from_f64;
    let packed = AdamStep {
        level: Level::best(),
        forget: number(1.0 - step.beta1),
        keep: number(step.beta2),
        add: number(1.0 - step.beta2),
        root_correction: number(step.root_correction),
        epsilon: number(step.epsilon),
        rate: number(step.rate),
    };
    R::adam(&packed, AdamJob { parameter, gradient: numbers(gradient)?, first, second, largest });
    Ok(())
}

/// # Safety
/// The processor has the instructions of `S`, and [`AdamJob::check`] has passed.
#[inline(always)]
pub(super) unsafe fn step<S: Simd>(step: &AdamStep<S::Real>, mut job: AdamJob<S::Real>)
where
    S::Real: Kernels,
{
    let length = job.parameter.len();
    for at in (0..length).step_by(S::LANES) {
        let count = S::LANES.min(length - at);
        unsafe {
            let [parameter, first, second] =
                [&mut job.parameter, &mut job.first, &mut job.second].map(|numbers| numbers.as_mut_ptr().add(at));
            let gradient = S::load_part(job.gradient.as_ptr().add(at), count);
            let before = S::load_part(first, count);
            let mean = S::fma(S::splat(step.forget), S::sub(gradient, before), before);
            S::store_part(first, mean, count);
            let added = S::mul(S::splat(step.add), S::mul(gradient, gradient));
            let mut square = S::fma(S::splat(step.keep), S::load_part(second, count), added);
            S::store_part(second, square, count);
            if let Some(largest) = &mut job.largest {
                let place = largest.as_mut_ptr().add(at);
                square = S::max(S::load_part(place, count), square);
                S::store_part(place, square, count);
            }
            let root = S::div(S::sqrt(square), S::splat(step.root_correction));
            let change = S::div(mean, S::add(root, S::splat(step.epsilon)));
            let moved = S::sub(S::load_part(parameter, count), S::mul(S::splat(step.rate), change));
            S::store_part(parameter, moved, count);
        }
    }
}
