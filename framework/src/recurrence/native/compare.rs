//! A loss, how much of it is right and its gradient in one pass over the outputs; op by op it takes a dozen passes, and autograd as
//! many again.

use super::functions::activate;
use super::memory::{Fresh, numbers};
use super::simd::Simd;
use super::{Kernels, Level, Real};
use crate::objective::{Loss, Objective};
use crate::recurrence::Activation;
use crate::{Error, Result};
use std::marker::PhantomData;
use tch::kind::Element;
use tch::{Device, Kind, Tensor};

/// Outputs `[.., output]`, what they are compared with, and the weight `[..]` of each comparison.
pub(crate) struct Comparison<'a> {
    pub objective: Objective,
    pub output: &'a Tensor,
    /// Classes `[..]` or values `[.., output]`.
    pub target: &'a Tensor,
    pub weight: Option<&'a Tensor>,
    /// What weighted sums are divided by.
    pub total: f64,
}

/// What came of a [`Comparison`].
pub(crate) struct Compared {
    pub loss: f64,
    /// The share of what is right, where there is right and wrong.
    pub right: Option<f64>,
    /// Of the loss with respect to the outputs, in their shape.
    pub gradient: Option<Tensor>,
}

impl Comparison<'_> {
    /// Compare; nothing where the numbers do not lie on a CPU or are not of one kind.
    ///
    /// # Errors
    /// [`Error::Failed`] for a class that is none of the outputs, and when there is not enough memory.
    pub fn compare(&self, differentiate: bool) -> Result<Option<Compared>> {
        let kind = self.output.kind();
        let of_target = if self.objective.loss == Loss::CrossEntropy { Kind::Int64 } else { kind };
        let here = |t: &Tensor| t.device() == Device::Cpu;
        let compared = self.output.size().split_last().map_or(0, |(_, rows)| rows.iter().product::<i64>());
        let fits = self.target.kind() == of_target
            && self.weight.is_none_or(|weight| weight.kind() == kind && weight.numel() as i64 == compared);
        if !fits || !here(self.output) || !here(self.target) || !self.weight.is_none_or(here) {
            return Ok(None);
        }
        match kind {
            Kind::Float => self.compare_in::<f32>(differentiate),
            Kind::Double => self.compare_in::<f64>(differentiate),
            _ => Ok(None),
        }
    }

    fn compare_in<R: Kernels + Element + Into<f64>>(&self, differentiate: bool) -> Result<Option<Compared>> {
        let output = self.output.detach().contiguous();
        let target = self.target.contiguous();
        let weight = self.weight.map(Tensor::contiguous);
        let width = output.size().last().copied().unwrap_or(1).max(1) as usize;
        let outputs = numbers::<R>(&output)?;
        let mut gradient = differentiate.then(|| Fresh::empty::<R>(&output.size())).transpose()?;
        let mut sweep = Sweep {
            weight: weight.as_ref().map(numbers::<R>).transpose()?.map(<[R]>::iter),
            gradient: gradient
                .as_mut()
                .map(Fresh::numbers_mut::<R>)
                .transpose()?
                .map(|all| all.chunks_exact_mut(width)),
            per_weight: 1.0 / self.total.max(1e-12),
        };
        let within = |off: f64| self.objective.tolerance.is_none_or(|tolerance| off.abs() <= tolerance);
        let values = || Ok::<_, Error>(numbers::<R>(&target)?.chunks_exact(width));
        let per_output = 1.0 / width as f64;
        let (loss, right) = match self.objective.loss {
            Loss::CrossEntropy => {
                let classes = numbers::<i64>(&target)?;
                if let Some(class) = classes.iter().find(|class| !(0..width as i64).contains(class)) {
                    let problem = format!("the task asks for class {class} of a head with {width} outputs");
                    return Err(Error::Failed(problem));
                }
                let shares = below_the_largest(outputs, width);
                let pairs = outputs.chunks_exact(width).zip(shares.chunks_exact(width)).zip(classes);
                sweep.over(pairs, |((output, shares), class), slope| {
                    cross_entropy((output, shares), *class as usize, slope)
                })
            }
            Loss::SquaredError => sweep.over(outputs.chunks_exact(width).zip(values()?), |pair, slope| {
                each(pair, slope, |x, y| {
                    let off = x - y;
                    (off * off * per_output, within(off), 2.0 * off * per_output)
                })
            }),
            Loss::LogisticSquaredError => {
                let mut logistics = outputs.to_vec();
                R::everywhere(&Everywhere::new(Function::Logistic), Numbers { values: &mut logistics });
                sweep.over(logistics.chunks_exact(width).zip(values()?), |pair, slope| {
                    each(pair, slope, |s, y| {
                        let off = s - y;
                        (off * off * per_output, within(off), 2.0 * off * s * (1.0 - s) * per_output)
                    })
                })
            }
            Loss::BinaryCrossEntropy => sweep.over(outputs.chunks_exact(width).zip(values()?), |pair, slope| {
                each(pair, slope, |x, y| {
                    // The exponential of what is negative cannot overflow.
                    let e = (-x.abs()).exp();
                    let logistic = if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
                    let loss = x.max(0.0) - x * y + e.ln_1p();
                    (loss * per_output, (x > 0.0) == (y > 0.5), (logistic - y) * per_output)
                })
            }),
        };
        let right = self.objective.has_accuracy().then_some(right);
        Ok(Some(Compared { loss, right, gradient: gradient.map(Fresh::tensor) }))
    }
}

/// What is put in the place of numbers, and by which instructions.
pub(in crate::recurrence) struct Everywhere<R> {
    level: Level,
    function: Function,
    of: PhantomData<R>,
}

#[derive(Clone, Copy)]
enum Function {
    Logistic,
    Exponential,
}

/// The numbers.
pub(in crate::recurrence) struct Numbers<'a, R> {
    values: &'a mut [R],
}

impl<R> Everywhere<R> {
    fn new(function: Function) -> Self {
        Self { level: Level::best(), function, of: PhantomData }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }
}

impl<R> Numbers<'_, R> {
    pub(super) fn check(&self, _: &Everywhere<R>) {}
}

/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn everywhere<S: Simd>(what: &Everywhere<S::Real>, numbers: Numbers<S::Real>) {
    let length = numbers.values.len();
    for at in (0..length).step_by(S::LANES) {
        let count = S::LANES.min(length - at);
        unsafe {
            let place = numbers.values.as_mut_ptr().add(at);
            let x = S::load_part(place, count);
            let y = match what.function {
                Function::Logistic => activate::<S>(Activation::Sigmoid, x),
                Function::Exponential => S::exp(x),
            };
            S::store_part(place, y, count);
        }
    }
}

/// The exponential of every output less the largest of its row.
fn below_the_largest<R: Kernels + Into<f64>>(outputs: &[R], width: usize) -> Vec<R> {
    let mut all = Vec::with_capacity(outputs.len());
    for row in outputs.chunks_exact(width) {
        let largest: f64 = row[largest(row)].into();
        all.extend(row.iter().map(|x| R::from_f64((*x).into() - largest)));
    }
    R::everywhere(&Everywhere::new(Function::Exponential), Numbers { values: &mut all });
    all
}

/// The place of the largest number: the first of equals. What is not a number counts as largest, so that it shows.
fn largest<R: Real + Into<f64>>(row: &[R]) -> usize {
    let number = |k: usize| -> f64 { row[k].into() };
    let larger = |a: usize, b: usize| number(b) > number(a) || (number(b).is_nan() && !number(a).is_nan());
    (1..row.len()).fold(0, |place, k| if larger(place, k) { k } else { place })
}

/// Walks through weights and gradient along with what is compared.
struct Sweep<'a, R> {
    weight: Option<std::slice::Iter<'a, R>>,
    gradient: Option<std::slice::ChunksExactMut<'a, R>>,
    per_weight: f64,
}

impl<R: Real + Into<f64>> Sweep<'_, R> {
    /// Weighted sums of loss and of what is right over all pairs; `one` compares one and writes its gradient, times a factor.
    fn over<T>(
        &mut self,
        pairs: impl Iterator<Item = T>,
        one: impl Fn(T, Option<(&mut [R], f64)>) -> (f64, bool),
    ) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for pair in pairs {
            let weight: f64 = self.weight.as_mut().and_then(Iterator::next).map_or(1.0, |weight| (*weight).into());
            let place = self.gradient.as_mut().and_then(Iterator::next);
            let (loss, right) = one(pair, place.map(|place| (place, weight * self.per_weight)));
            sums.0 += loss * weight;
            sums.1 += if right { weight } else { 0.0 };
        }
        (sums.0 * self.per_weight, sums.1 * self.per_weight)
    }
}

/// Numbers compared one by one: `one` gives loss, whether it is right, and slope.
fn each<R: Real + Into<f64>>(
    (found, wanted): (&[R], &[R]),
    gradient: Option<(&mut [R], f64)>,
    one: impl Fn(f64, f64) -> (f64, bool, f64),
) -> (f64, bool) {
    let (mut sum, mut all) = (0.0, true);
    let pairs = found.iter().zip(wanted).map(|(x, y)| one((*x).into(), (*y).into()));
    match gradient {
        Some((gradient, factor)) => {
            for ((loss, right, slope), place) in pairs.zip(gradient) {
                (sum, all) = (sum + loss, all & right);
                *place = R::from_f64(slope * factor);
            }
        }
        None => pairs.for_each(|(loss, right, _)| (sum, all) = (sum + loss, all & right)),
    }
    (sum, all)
}

/// A class against all others, by outputs and their [`below_the_largest`].
fn cross_entropy<R: Real + Into<f64>>(
    (output, shares): (&[R], &[R]),
    class: usize,
    gradient: Option<(&mut [R], f64)>,
) -> (f64, bool) {
    let place = largest(output);
    let (said, most): (f64, f64) = (output[class].into(), output[place].into());
    let sum: f64 = shares.iter().map(|share| -> f64 { (*share).into() }).sum();
    if let Some((gradient, factor)) = gradient {
        for (k, (share, place)) in shares.iter().zip(gradient).enumerate() {
            let share: f64 = (*share).into();
            *place = R::from_f64((share / sum - f64::from(u8::from(k == class))) * factor);
        }
    }
    (sum.ln() + most - said, place == class)
}
