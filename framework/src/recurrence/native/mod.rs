//! Kernels for the cores of this machine: all time steps of a block of rows on one thread.
//!
//! Weights are packed once and stay in the core's own cache; each step is a product with the recurrent weights, panel by panel,
//! whose result is finished (input, non-linearity, leak) while it is still in the nearest cache. The instructions are chosen at run
//! time: AVX-512, AVX2 with FMA, or plain loops. Sums are taken in the same order whatever the number of rows beside.
//! What has faded below the smallest number of interest is set to zero at every step, so that nothing becomes subnormal.
//!
//! Source: keeping weights in a core's cache over all steps follows Zhang et al. 2018, USENIX ATC, "DeepCPU".

mod adam;
mod compare;
mod functions;
mod gated;
mod heads;
mod jobs;
mod kernels;
mod lines;
mod memory;
pub(crate) mod normals;
mod outer;
mod packed;
mod product;
mod simd;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use adam::{AdamNumbers, adam};
pub(crate) use compare::{Compared, Comparison};
pub(super) use gated::{GatedBackward, GatedForward, GatedStep};
pub use gated::{Gates, ResetGate};
pub(super) use heads::{Heads, Reading};
pub(super) use jobs::{Backward, Forward, Gradients};
pub(crate) use memory::keep_sums;
pub(crate) use memory::sum_of_squares;
pub(super) use memory::{Fresh, keep, numbers};
pub(super) use outer::{Layout, Outer};
pub(super) use simd::Real;

use super::{Activation, Placement};
use crate::workers::Workers;
use adam::{AdamJob, AdamStep};
use compare::{Everywhere, Numbers};
use lines::Lines;
use packed::Packed;
use product::Factor;
use simd::{Portable, Simd};
use std::sync::OnceLock;

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors with fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler assumes of any processor of its kind.
    Portable,
}

impl Level {
    /// The best that this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// All that this processor has, the best first.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if narrow && is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
            if narrow {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }
}

/// The recurrent step, in numbers, ready for one direction of time.
#[derive(Clone, Debug)]
pub(super) struct Step<R> {
    level: Level,
    placement: Placement,
    activation: Activation,
    weight: Packed<R>,
    /// What is multiplied beside the state: the input's weights forward, the readout's backward.
    side: Option<Packed<R>>,
    /// What every sum starts from, the bias; room for whole vectors, as below.
    start: Lines<R>,
    leak: Lines<R>,
    keep: Lines<R>,
    units: usize,
}

/// A matrix in memory: entry `(row, column)` is at `row * strides.0 + column * strides.1`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, R> {
    /// The numbers.
    pub values: &'a [R],
    /// Rows and columns.
    pub size: (usize, usize),
    /// Distances in memory of neighbouring rows and columns.
    pub strides: (usize, usize),
}

/// Numbers of units: one each, or one for all.
#[derive(Clone, Copy)]
pub(super) struct OfUnits<'a, R> {
    /// Leaks.
    pub leak: &'a [R],
    /// Their complements.
    pub keep: &'a [R],
    /// What is added in every step; may be empty.
    pub bias: &'a [R],
}

/// Numbers that are laid out by more than one thread.
const WORTH_A_THREAD: usize = 1 << 16;

/// Work on parts of so many numbers: on several threads, if there are, where they are many.
fn side_by_side<T: Send>(parts: Vec<T>, numbers: usize, workers: Option<&Workers>, work: impl Fn(T) + Sync + Send) {
    match workers.filter(|_| numbers >= WORTH_A_THREAD) {
        Some(workers) => drop(workers.map(parts, work)),
        None => parts.into_iter().for_each(work),
    }
}

/// Numbers of units from one each, or one for all, with zeros behind them: whole vectors are read at the end, too.
fn over_units<R: Real>(values: &[R], units: usize, lanes: usize) -> Lines<R> {
    let one = |unit: usize| match values {
        [only] => *only,
        several => several.get(unit).copied().unwrap_or(R::ZERO),
    };
    Lines::from_fn(units.next_multiple_of(lanes), one)
}

impl<R: Kernels> Step<R> {
    /// `weight` is `[from, to]` of the direction: sources to targets forward, the transpose backward; `side` is `[from, to]` of what
    /// is multiplied beside the state.
    pub fn new(
        level: Level,
        (placement, activation): (Placement, Activation),
        weight: Matrix<R>,
        side: Option<Matrix<R>>,
        of_units: OfUnits<R>,
        workers: Option<&Workers>,
    ) -> Self {
        let units = weight.size.1;
        let lanes = R::lanes(level);
        let widen = |values: &[R]| over_units(values, units, lanes);
        let pack = |matrix: Matrix<R>| Packed::new(matrix, lanes, workers);
        let (leak, keep, start) = (widen(of_units.leak), widen(of_units.keep), widen(of_units.bias));
        Self { level, placement, activation, weight: pack(weight), side: side.map(pack), start, leak, keep, units }
    }

    /// Numbers of a sum over rows that [`Backward`] adds to, one per unit, with room for whole vectors.
    pub fn sums(&self) -> Vec<R> {
        vec![R::ZERO; self.leak.len()]
    }

    /// Which instructions it was made for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Numbers in a row of what is multiplied beside the state.
    fn beside(&self) -> usize {
        self.side.as_ref().map_or(0, Packed::sources)
    }

    /// What is multiplied beside the state in step `t`.
    fn side<'a>(&'a self, all: Option<&'a [R]>, t: usize, rows: usize) -> Option<Factor<'a, R>> {
        let (weight, size) = (self.side.as_ref()?, rows * self.beside());
        Some(Factor { rows: &all?[t * size..][..size], weight })
    }
}

/// A kind of number that there are kernels for.
pub(super) trait Kernels: Real {
    /// Numbers in a vector.
    fn lanes(level: Level) -> usize;
    /// Rows of a tile.
    fn tile(level: Level) -> usize;
    /// All steps forward.
    fn forward(step: &Step<Self>, job: Forward<Self>);
    /// All steps backward.
    fn backward(step: &Step<Self>, job: Backward<Self>);
    /// All steps of gated units forward.
    fn gated_forward(step: &GatedStep<Self>, job: GatedForward<Self>);
    /// All steps of gated units backward.
    fn gated_backward(step: &GatedStep<Self>, job: GatedBackward<Self>);
    /// What heads say.
    fn read(heads: &Heads<Self>, job: Reading<Self>);
    /// A function in place of every number.
    fn everywhere(what: &Everywhere<Self>, numbers: Numbers<Self>);
    /// One step of an optimiser.
    fn adam(step: &AdamStep<Self>, job: AdamJob<Self>);
}

/// One function per set of instructions, and the choice between them.
macro_rules! dispatched {
    ($real:ty, $name:ident, $step:ident, $job:ident, $kernel:path, $wide:ident, $narrow:ident) => {
        fn $name(step: &$step<Self>, job: $job<Self>) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            unsafe fn $wide(step: &$step<$real>, job: $job<$real>) {
                use $kernel as kernel;
                unsafe { kernel::<simd::Avx512<$real>>(step, job) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn $narrow(step: &$step<$real>, job: $job<$real>) {
                use $kernel as kernel;
                unsafe { kernel::<simd::Avx2<$real>>(step, job) }
            }
            use $kernel as kernel;
            job.check(step);
            // A level is only made where the processor has its instructions, and lengths have been checked.
            unsafe {
                match step.level() {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => $wide(step, job),
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => $narrow(step, job),
                    Level::Portable => kernel::<Portable<$real>>(step, job),
                }
            }
        }
    };
}

macro_rules! kernels {
    ($real:ty) => {
        impl Kernels for $real {
            fn lanes(level: Level) -> usize {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => simd::Avx512::<$real>::LANES,
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => simd::Avx2::<$real>::LANES,
                    Level::Portable => Portable::<$real>::LANES,
                }
            }

            fn tile(level: Level) -> usize {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => simd::Avx512::<$real>::TILE_ROWS,
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => simd::Avx2::<$real>::TILE_ROWS,
                    Level::Portable => Portable::<$real>::TILE_ROWS,
                }
            }

            dispatched!($real, forward, Step, Forward, kernels::forward, forward_512, forward_256);
            dispatched!($real, backward, Step, Backward, kernels::backward, backward_512, backward_256);
            dispatched!(
                $real,
                gated_forward,
                GatedStep,
                GatedForward,
                gated::forward,
                gated_forward_512,
                gated_forward_256
            );
            dispatched!(
                $real,
                gated_backward,
                GatedStep,
                GatedBackward,
                gated::backward,
                gated_back_512,
                gated_back_256
            );
            dispatched!($real, read, Heads, Reading, heads::read, read_512, read_256);
            dispatched!($real, everywhere, Everywhere, Numbers, compare::everywhere, everywhere_512, everywhere_256);
            dispatched!($real, adam, AdamStep, AdamJob, adam::step, adam_512, adam_256);
        }
    };
}

kernels!(f32);
kernels!(f64);
