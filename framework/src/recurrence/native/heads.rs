//! What heads say of rates.

use super::lines::Lines;
use super::packed::{PANEL_VECTORS, Packed};
use super::product::Factor;
use super::simd::Simd;
use super::{Kernels, Level, Matrix, over_units};

/// Rows that are read together: they stay near while several heads are.
const ROWS: usize = 32;

/// Heads in numbers.
#[derive(Clone, Debug)]
pub(in crate::recurrence) struct Heads<R> {
    level: Level,
    weight: Packed<R>,
    /// What every answer starts from, the bias.
    start: Lines<R>,
}

/// What is read.
pub(in crate::recurrence) struct Reading<'a, R> {
    /// `[row, unit]`
    pub rates: &'a [R],
    /// `[row, output]`
    pub said: &'a mut [R],
}

impl<R: Kernels> Heads<R> {
    /// `weight` is `[unit, output]`, `bias` `[output]` or empty.
    pub fn new(level: Level, weight: Matrix<R>, bias: &[R]) -> Self {
        let (lanes, outputs) = (R::lanes(level), weight.size.1);
        Self { level, start: over_units(bias, outputs, lanes), weight: Packed::new(weight, lanes, None) }
    }

    /// Which instructions they were made for.
    pub(super) fn level(&self) -> Level {
        self.level
    }
}

impl<R: Kernels> Reading<'_, R> {
    pub(super) fn check(&self, heads: &Heads<R>) {
        let (units, outputs) = (heads.weight.sources(), heads.weight.targets());
        assert_eq!(self.rates.len() * outputs, self.said.len() * units, "rates and answers have different lengths");
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`Reading::check`] has passed.
#[inline(always)]
pub(super) unsafe fn read<S: Simd>(heads: &Heads<S::Real>, job: Reading<S::Real>)
where
    S::Real: Kernels,
{
    let (units, outputs) = (heads.weight.sources(), heads.weight.targets());
    if units == 0 || outputs == 0 {
        return;
    }
    let mut scratch = Lines::zeros(ROWS * PANEL_VECTORS * S::LANES);
    for (rates, said) in job.rates.chunks(ROWS * units).zip(job.said.chunks_mut(ROWS * outputs)) {
        let rows = rates.len() / units;
        for panel in 0..heads.weight.panels() {
            let (first, columns, width) = heads.weight.columns(panel);
            let main = Factor { rows: rates, weight: &heads.weight };
            unsafe { S::panel_product(rows, main, None, &heads.start, panel, &mut scratch) };
            for (said, product) in said.chunks_exact_mut(outputs).zip(scratch.chunks_exact(width)) {
                said[first..first + columns].copy_from_slice(&product[..columns]);
            }
        }
    }
}
