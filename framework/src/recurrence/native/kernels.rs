//! All steps of a block of rows, forward and backward, for any set of instructions.

use super::functions::{activate, slope};
use super::product::{PANEL_VECTORS, panel_product};
use super::simd::{Real, Simd};
use super::{Kernels, Placement, Step};

/// What a forward pass reads and writes; all `[step, row, unit]` without gaps.
pub(in crate::recurrence) struct Forward<'a, R> {
    /// Rows.
    pub rows: usize,
    /// What is added in each step.
    pub input: &'a [R],
    /// States, one step more than `input`; the first is given.
    pub states: &'a mut [R],
    /// Where `f(z)` of each step goes; empty with `Whole`, whose states it is.
    pub activated: &'a mut [R],
}

/// What a backward pass reads and writes; all `[step, row, unit]` without gaps.
pub(in crate::recurrence) struct Backward<'a, R> {
    /// Rows.
    pub rows: usize,
    /// States of the forward pass.
    pub states: &'a [R],
    /// `f(z)` of each step; with `Whole` the states from the second on.
    pub activated: &'a [R],
    /// Gradient with respect to every state, one step more than `deltas`, where the loss depends on all; of the last is read nothing.
    pub direct: Option<&'a [R]>,
    /// `[row, unit]`: gradient with respect to the last state, and afterwards the first.
    pub lambda: &'a mut [R],
    /// Where gradients with respect to the added input go.
    pub deltas: &'a mut [R],
    /// Gradients of leaks, where they are learned.
    pub leak: Option<LeakSums<'a, R>>,
    /// Steps whose number is a multiple of it pass nothing on.
    pub window: Option<usize>,
}

/// Sums over steps and rows of `lambda f(z)`, and of `lambda` times the state, from [`Step::sums`].
pub(in crate::recurrence) type LeakSums<'a, R> = (&'a mut [R], &'a mut [R]);

/// The lengths are those that the kernels rely on.
macro_rules! require_lengths {
    ($($found:expr => $expected:expr),* $(,)?) => {
        $(assert_eq!($found, $expected, "a buffer of the recurrent kernels has a wrong length");)*
    };
}

impl<R: Kernels> Forward<'_, R> {
    pub(super) fn check(&self, step: &Step<R>) {
        let size = self.rows * step.units;
        let stored = if step.placement == Placement::Whole { 0 } else { self.input.len() };
        require_lengths!(
            self.input.len() % size.max(1) => 0,
            self.states.len() => self.input.len() + size,
            self.activated.len() => stored,
        );
    }
}

impl<R: Kernels> Backward<'_, R> {
    pub(super) fn check(&self, step: &Step<R>) {
        let size = self.rows * step.units;
        require_lengths!(
            self.deltas.len() % size.max(1) => 0,
            self.states.len() => self.deltas.len() + size,
            self.activated.len() => self.deltas.len(),
            self.direct.map_or(self.states.len(), <[R]>::len) => self.states.len(),
            self.lambda.len() => size,
            self.leak.as_ref().map_or(0, |(a, b)| a.len().abs_diff(step.leak.len()) + b.len().abs_diff(step.leak.len())) => 0,
        );
    }
}

/// Call `$body` for each vector of `$columns` columns from `$first` on, in each row: with the row, the column and the lanes that count.
macro_rules! each_vector {
    ($rows:expr, $first:expr, $columns:expr, $lanes:expr, |$row:ident, $column:ident, $count:ident| $body:block) => {
        for $row in 0..$rows {
            let mut within = 0;
            while within < $columns {
                let ($column, $count) = ($first + within, ($columns - within).min($lanes));
                $body
                within += $lanes;
            }
        }
    };
}

/// # Safety
/// The processor has the instructions of `S`, and [`Forward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn forward<S: Simd>(step: &Step<S::Real>, job: Forward<S::Real>)
where
    S::Real: Kernels,
{
    let (rows, units) = (job.rows, step.units);
    let size = rows * units;
    if size == 0 {
        return;
    }
    let mut scratch = vec![S::Real::ZERO; rows * PANEL_VECTORS * S::LANES];
    for (t, input) in job.input.chunks_exact(size).enumerate() {
        let (before, after) = job.states.split_at_mut((t + 1) * size);
        let (state, next) = (&before[t * size..], &mut after[..size]);
        let stored =
            if step.placement == Placement::Whole { &mut [][..] } else { &mut job.activated[t * size..][..size] };
        let (source, out) = match step.placement {
            Placement::Whole => (state, std::ptr::null_mut()),
            Placement::Drive => (state, stored.as_mut_ptr()),
            Placement::Current => {
                unsafe { activate_all::<S>(step, state, stored) };
                (&*stored, std::ptr::null_mut())
            }
        };
        for panel in 0..step.weight.panels() {
            unsafe {
                panel_product::<S>(source, rows, &step.weight, panel, &mut scratch);
                finish_forward::<S>(step, panel, rows, &scratch, (input, state), (next, out));
            }
        }
    }
}

/// `f(v)` of a whole step.
#[inline(always)]
unsafe fn activate_all<S: Simd>(step: &Step<S::Real>, state: &[S::Real], out: &mut [S::Real]) {
    each_vector!(1, 0, state.len(), S::LANES, |_row, at, count| {
        unsafe {
            let v = S::load_part(state.as_ptr().add(at), count);
            S::store_part(out.as_mut_ptr().add(at), activate::<S>(step.activation, v), count);
        }
    });
}

/// Input, non-linearity and leak of one panel.
#[inline(always)]
unsafe fn finish_forward<S: Simd>(
    step: &Step<S::Real>,
    panel: usize,
    rows: usize,
    product: &[S::Real],
    (input, state): (&[S::Real], &[S::Real]),
    (next, activated): (&mut [S::Real], *mut S::Real),
) {
    let (first, columns, width) = step.weight.columns(panel);
    let (units, f) = (step.units, step.activation);
    unsafe {
        let least = S::splat(S::Real::VANISHED);
        each_vector!(rows, first, columns, S::LANES, |row, column, count| {
            let at = row * units + column;
            let sum = S::load(product.as_ptr().add(row * width + column - first));
            let z = S::add(sum, S::load_part(input.as_ptr().add(at), count));
            let reached = match step.placement {
                Placement::Whole => activate::<S>(f, z),
                Placement::Drive => {
                    let a = activate::<S>(f, z);
                    S::store_part(activated.add(at), a, count);
                    let r = S::load_part(state.as_ptr().add(at), count);
                    S::fma(S::load(step.leak.as_ptr().add(column)), S::sub(a, r), r)
                }
                Placement::Current => {
                    let v = S::load_part(state.as_ptr().add(at), count);
                    S::fma(v, S::load(step.keep.as_ptr().add(column)), z)
                }
            };
            S::store_part(next.as_mut_ptr().add(at), S::flush(reached, least), count);
        });
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`Backward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn backward<S: Simd>(step: &Step<S::Real>, mut job: Backward<S::Real>)
where
    S::Real: Kernels,
{
    let (rows, units) = (job.rows, step.units);
    let size = rows * units;
    if size == 0 {
        return;
    }
    let mut scratch = vec![S::Real::ZERO; rows * PANEL_VECTORS * S::LANES];
    for t in (0..job.deltas.len() / size).rev() {
        let direct = job.direct.map(|all| &all[t * size..][..size]);
        let activated = &job.activated[t * size..][..size];
        let state = &job.states[t * size..][..size];
        let deltas = &mut job.deltas[t * size..][..size];
        unsafe { differentiate::<S>(step, rows, (activated, state), job.lambda, deltas, &mut job.leak) };
        if t > 0 && job.window.is_some_and(|window| t % window == 0) {
            match direct {
                Some(direct) => job.lambda.copy_from_slice(direct),
                None => job.lambda.fill(S::Real::ZERO),
            }
            continue;
        }
        for panel in 0..step.weight.panels() {
            unsafe {
                panel_product::<S>(deltas, rows, &step.weight, panel, &mut scratch);
                finish_backward::<S>(step, panel, rows, &scratch, (activated, direct), job.lambda);
            }
        }
    }
}

/// What each unit's input contributed in one step, and the gradients of leaks.
#[inline(always)]
unsafe fn differentiate<S: Simd>(
    step: &Step<S::Real>,
    rows: usize,
    (activated, state): (&[S::Real], &[S::Real]),
    lambda: &[S::Real],
    deltas: &mut [S::Real],
    leak: &mut Option<LeakSums<S::Real>>,
) {
    let (units, f) = (step.units, step.activation);
    unsafe {
        each_vector!(rows, 0, units, S::LANES, |row, column, count| {
            let at = row * units + column;
            let l = S::load_part(lambda.as_ptr().add(at), count);
            let a = S::load_part(activated.as_ptr().add(at), count);
            let delta = match step.placement {
                Placement::Whole => S::mul(slope::<S>(f, a), l),
                Placement::Drive => S::mul(S::mul(slope::<S>(f, a), S::load(step.leak.as_ptr().add(column))), l),
                Placement::Current => l,
            };
            S::store_part(deltas.as_mut_ptr().add(at), delta, count);
            if let Some((of_activated, of_state)) = leak {
                let s = S::load_part(state.as_ptr().add(at), count);
                for (sums, factor) in [(of_activated.as_mut_ptr(), a), (of_state.as_mut_ptr(), s)] {
                    let place = sums.add(column);
                    S::store(place, S::fma(l, factor, S::load(place)));
                }
            }
        });
    }
}

/// The gradient that one panel of units passes on to the step before.
#[inline(always)]
unsafe fn finish_backward<S: Simd>(
    step: &Step<S::Real>,
    panel: usize,
    rows: usize,
    product: &[S::Real],
    (activated, direct): (&[S::Real], Option<&[S::Real]>),
    lambda: &mut [S::Real],
) {
    let (first, columns, width) = step.weight.columns(panel);
    let (units, f) = (step.units, step.activation);
    unsafe {
        let least = S::splat(S::Real::VANISHED);
        each_vector!(rows, first, columns, S::LANES, |row, column, count| {
            let at = row * units + column;
            let sum = S::load(product.as_ptr().add(row * width + column - first));
            let kept = || {
                let l = S::load_part(lambda.as_ptr().add(at), count);
                S::mul(l, S::load(step.keep.as_ptr().add(column)))
            };
            let mut passed = match step.placement {
                Placement::Whole => sum,
                Placement::Drive => S::add(kept(), sum),
                Placement::Current => {
                    let a = S::load_part(activated.as_ptr().add(at), count);
                    S::fma(sum, slope::<S>(f, a), kept())
                }
            };
            if let Some(direct) = direct {
                passed = S::add(passed, S::load_part(direct.as_ptr().add(at), count));
            }
            S::store_part(lambda.as_mut_ptr().add(at), S::flush(passed, least), count);
        });
    }
}
