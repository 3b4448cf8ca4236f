//! All steps of a block of rows, forward and backward, for any set of instructions.

use super::functions::{activate, slope};
use super::jobs::{Backward, Forward, LeakSums};
use super::lines::Lines;
use super::outer::TERMS;
use super::packed::PANEL_VECTORS;
use super::product::Factor;
use super::simd::{Real, Simd};
use super::steps::{sum, sum_heads};
use super::{Kernels, Placement, Step};

/// Call `$body` for each vector of `$columns` columns from `$first` on, in each row: with the row, the column and the lanes that count.
/// Where all do, the compiler knows.
macro_rules! each_vector {
    ($rows:expr, $first:expr, $columns:expr, $lanes:expr, |$row:ident, $column:ident, $count:ident| $body:block) => {
        for $row in 0..$rows {
            let mut within = 0;
            while within + $lanes <= $columns {
                let ($column, $count) = ($first + within, $lanes);
                $body
                within += $lanes;
            }
            if within < $columns {
                let ($column, $count) = ($first + within, $columns - within);
                $body
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
    let keeps = job.keeps;
    let mut scratch = Lines::zeros(rows * PANEL_VECTORS * S::LANES);
    for t in 0..job.steps {
        let input = job.input.map(|all| &all[t * size..][..size]);
        let (state, next) = if keeps {
            let (before, after) = job.states.split_at_mut((t + 1) * size);
            (&before[t * size..], &mut after[..size])
        } else {
            let (even, odd) = job.states.split_at_mut(size);
            if t % 2 == 0 { (&*even, odd) } else { (&*odd, even) }
        };
        let (source, out) = match step.placement {
            Placement::Whole => (state, std::ptr::null_mut()),
            Placement::Drive if keeps => (state, job.activated[t * size..][..size].as_mut_ptr()),
            Placement::Drive => (state, std::ptr::null_mut()),
            Placement::Current => {
                let stored = &mut job.activated[if keeps { t * size } else { 0 }..][..size];
                unsafe { activate_all::<S>(step, state, stored) };
                (&*stored, std::ptr::null_mut())
            }
        };
        let side = step.side(job.side, t, rows);
        for panel in 0..step.weight.panels() {
            let main = Factor { rows: source, weight: &step.weight };
            unsafe {
                S::panel_product(rows, main, side, &step.start, panel, &mut scratch);
                finish_forward::<S>(step, panel, rows, &scratch, (input, state), (next, out));
            }
        }
    }
    if keeps && step.placement == Placement::Current {
        let last = job.steps * size;
        unsafe { activate_all::<S>(step, &job.states[last..], &mut job.activated[last..]) };
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

/// Input, non-linearity and leak of one panel. What is written a step later is brought near meanwhile: panels cut rows into pieces that
/// the processor does not foresee, and stores would wait for memory.
#[inline(always)]
unsafe fn finish_forward<S: Simd>(
    step: &Step<S::Real>,
    panel: usize,
    rows: usize,
    product: &[S::Real],
    (input, state): (Option<&[S::Real]>, &[S::Real]),
    (next, activated): (&mut [S::Real], *mut S::Real),
) {
    let (first, columns, width) = step.weight.columns(panel);
    let (units, f) = (step.units, step.activation);
    unsafe {
        let least = S::splat(S::Real::VANISHED);
        each_vector!(rows, first, columns, S::LANES, |row, column, count| {
            let at = row * units + column;
            let mut z = S::load(product.as_ptr().add(row * width + column - first));
            if let Some(input) = input {
                z = S::add(z, S::load_part(input.as_ptr().add(at), count));
            }
            let reached = match step.placement {
                Placement::Whole => activate::<S>(f, z),
                Placement::Drive => {
                    // Read before anything is written: places a multiple of 4096 bytes apart would be taken for one.
                    let r = S::load_part(state.as_ptr().add(at), count);
                    let a = activate::<S>(f, z);
                    if !activated.is_null() {
                        S::store_part(activated.add(at), a, count);
                        S::prefetch(activated.wrapping_add(at + rows * units));
                    }
                    S::fma(S::load(step.leak.as_ptr().add(column)), S::sub(a, r), r)
                }
                Placement::Current => {
                    let v = S::load_part(state.as_ptr().add(at), count);
                    S::fma(v, S::load(step.keep.as_ptr().add(column)), z)
                }
            };
            S::store_part(next.as_mut_ptr().add(at), S::flush(reached, least), count);
            S::prefetch(next.as_ptr().wrapping_add(at + rows * units));
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
    let mut scratch = Lines::zeros(rows * PANEL_VECTORS * S::LANES);
    // As many steps as fill the terms of an outer product; without a place for all, theirs are kept only until they are summed.
    let chunk = (TERMS / rows).clamp(1, job.steps.max(1));
    let mut recent = Lines::zeros(if job.deltas.is_some() { 0 } else { chunk * size });
    let spoken = job.spoken(step);
    let said_after = |t: usize| step.side(job.said, (t + spoken).checked_sub(job.steps)?, rows);
    if let Some(side) = job.steps.checked_sub(1).and_then(said_after) {
        let (activated, all) =
            (&job.activated[job.activated.len() - size..], Lines::from_fn(step.keep.len(), |_| S::Real::ONE));
        for panel in 0..step.weight.panels() {
            unsafe {
                S::panel_product(rows, side, None, &step.start, panel, &mut scratch);
                finish_backward::<S>(step, panel, rows, &scratch, (activated, Some(&all)), None, job.lambda);
            }
        }
    }
    for t in (0..job.steps).rev() {
        let direct = job.direct.map(|all| &all[t * size..][..size]);
        let activated = &job.activated[t * size..][..size];
        let state = &job.states[t * size..][..size];
        let deltas = match &mut job.deltas {
            Some(all) => &mut all[t * size..][..size],
            None => &mut recent[t % chunk * size..][..size],
        };
        unsafe { differentiate::<S>(step, rows, (activated, state), job.lambda, deltas, &mut job.leak) };
        // What was read from a state reaches it through the weights beside; nothing was read before the first step.
        let side = t.checked_sub(1).and_then(said_after);
        let cut = t > 0 && job.window.is_some_and(|window| t % window == 0);
        let kept = (step.placement != Placement::Whole && !cut).then_some(&step.keep[..]);
        for panel in 0..step.weight.panels() {
            let main = (!cut).then_some(Factor { rows: &*deltas, weight: &step.weight });
            unsafe {
                match (main, side) {
                    (Some(main), side) => S::panel_product(rows, main, side, &step.start, panel, &mut scratch),
                    (None, Some(side)) => S::panel_product(rows, side, None, &step.start, panel, &mut scratch),
                    (None, None) => scratch.fill(S::Real::ZERO),
                }
                finish_backward::<S>(step, panel, rows, &scratch, (activated, kept), direct, job.lambda);
            }
        }
        if t % chunk > 0 {
            continue;
        }
        let steps = chunk.min(job.steps - t);
        let sources = if step.placement == Placement::Current { job.activated } else { job.states };
        if let Some(gradients) = job.weights.as_mut() {
            let deltas = match &job.deltas {
                Some(all) => &all[t * size..],
                None => &recent[..],
            };
            unsafe { sum::<S>(gradients, (t * rows, steps * rows), units, sources, deltas) };
        }
        if let (Some(sums), Some(said)) = (&mut job.heads, job.said) {
            // The last state is read, too; of the first nothing is.
            let end = if t + steps == job.steps { job.steps + 1 } else { t + steps };
            let first = t.max(job.steps + 1 - spoken);
            let targets = first * rows..end.max(first) * rows;
            let said = &said[(first + spoken - job.steps - 1) * rows * step.beside()..];
            unsafe { sum_heads::<S>(sums, targets, (units, step.beside()), sources, said) };
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
            // Of the step before, which comes next.
            S::prefetch(activated.as_ptr().wrapping_add(at).wrapping_sub(rows * units));
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

/// The gradient that reaches one panel of units of a state: the product, what is `kept` of the gradient that is there, if anything is,
/// and what comes from outside.
#[inline(always)]
unsafe fn finish_backward<S: Simd>(
    step: &Step<S::Real>,
    panel: usize,
    rows: usize,
    product: &[S::Real],
    (activated, kept): (&[S::Real], Option<&[S::Real]>),
    direct: Option<&[S::Real]>,
    lambda: &mut [S::Real],
) {
    let (first, columns, width) = step.weight.columns(panel);
    let (units, f) = (step.units, step.activation);
    unsafe {
        let least = S::splat(S::Real::VANISHED);
        each_vector!(rows, first, columns, S::LANES, |row, column, count| {
            let at = row * units + column;
            let mut passed = S::load(product.as_ptr().add(row * width + column - first));
            if step.placement == Placement::Current {
                let a = S::load_part(activated.as_ptr().add(at), count);
                passed = S::mul(passed, slope::<S>(f, a));
            }
            if let Some(kept) = kept {
                let l = S::load_part(lambda.as_ptr().add(at), count);
                passed = S::fma(l, S::load(kept.as_ptr().add(column)), passed);
            }
            if let Some(direct) = direct {
                passed = S::add(passed, S::load_part(direct.as_ptr().add(at), count));
            }
            S::store_part(lambda.as_mut_ptr().add(at), S::flush(passed, least), count);
        });
    }
}
