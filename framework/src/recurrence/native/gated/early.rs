//! Gated units whose reset gate acts on the state that the candidate's weights see: two products in each step, one after the other.

use super::super::functions::{activate, slope};
use super::super::lines::Lines;
use super::super::outer::{TERMS, Terms};
use super::super::packed::PANEL_VECTORS;
use super::super::product::Factor;
use super::super::simd::Simd;
use super::super::{Kernels, Level, Matrix, over_units};
use super::equations::{moved, unmoved};
use super::{GatedBackward, GatedForward, GatedStep, Packed, pass_back};
use crate::recurrence::Activation;
use crate::workers::Workers;

/// Blocks in the first product, r and z.
pub(super) const OPENING: usize = 2;
/// Vectors that are kept for each group of units: r, z and the candidate.
const KEPT: usize = 3;

/// The candidate's part of a step.
#[derive(Clone, Debug)]
pub(super) struct Early<R> {
    pub weight: Packed<R>,
    pub inputs: Packed<R>,
    pub bias: Lines<R>,
    pub backward: Option<Packed<R>>,
}

impl<R: Kernels> Early<R> {
    /// `weight` is `[unit, unit]`, `input` `[input, unit]` and `bias` `[unit]`.
    pub fn new(
        level: Level,
        (weight, input, bias): (Matrix<R>, Matrix<R>, &[R]),
        backward: bool,
        workers: &Workers,
    ) -> Self {
        let (units, lanes) = (weight.size.0, R::lanes(level));
        let pack = |matrix: Matrix<R>| Packed::new(matrix, lanes, Some(workers));
        let turned = Matrix { strides: (weight.strides.1, weight.strides.0), ..weight };
        Self {
            weight: pack(weight),
            inputs: pack(input),
            bias: over_units(bias, units, lanes),
            backward: backward.then(|| pack(turned)),
        }
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedForward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn forward<S: Simd>(step: &GatedStep<S::Real>, f: Activation, mut job: GatedForward<S::Real>)
where
    S::Real: Kernels,
{
    let Some(early) = &step.early else { return };
    let (rows, units, channels) = (job.rows, step.units, step.inputs.sources());
    let (size, width) = (rows * units, KEPT * S::LANES);
    let of_step = rows * step.blocks();
    let mut scratch = Lines::zeros(rows * PANEL_VECTORS * S::LANES);
    let mut seen = Lines::<S::Real>::zeros(size);
    let mut passing = Lines::zeros(if job.gates.is_some() { 0 } else { of_step });
    for t in 0..job.steps {
        let (before, after) = job.hidden.split_at_mut((t + 1) * size);
        let (hidden, next) = (&before[t * size..], &mut after[..size]);
        let kept = match &mut job.gates {
            Some(all) => &mut all[t * of_step..][..of_step],
            None => &mut passing[..],
        };
        let inputs = &job.inputs[t * rows * channels..][..rows * channels];
        let main = Factor { rows: hidden, weight: &step.forward };
        let side = Factor { rows: inputs, weight: &step.inputs };
        for group in 0..step.groups() {
            let first = group * S::LANES;
            let count = S::LANES.min(units - first);
            unsafe {
                S::panel_product(rows, main, Some(side), &step.bias, group, &mut scratch);
                for row in 0..rows {
                    let product = scratch.as_ptr().add(row * OPENING * S::LANES);
                    let reset = activate::<S>(Activation::Sigmoid, S::load(product));
                    let stays = activate::<S>(Activation::Sigmoid, S::load(product.add(S::LANES)));
                    let to = kept.as_mut_ptr().add((group * rows + row) * width);
                    S::store(to, reset);
                    S::store(to.add(S::LANES), stays);
                    let at = row * units + first;
                    let h = S::load_part(hidden.as_ptr().add(at), count);
                    S::store_part(seen.as_mut_ptr().add(at), S::mul(reset, h), count);
                }
            }
        }
        let main = Factor { rows: &seen[..], weight: &early.weight };
        let side = Factor { rows: inputs, weight: &early.inputs };
        for panel in 0..early.weight.panels() {
            let (first, columns, across) = early.weight.columns(panel);
            unsafe {
                S::panel_product(rows, main, Some(side), &early.bias, panel, &mut scratch);
                for row in 0..rows {
                    for within in (0..columns).step_by(S::LANES) {
                        let (column, count) = (first + within, S::LANES.min(columns - within));
                        let at = row * units + column;
                        let mut z = S::load(scratch.as_ptr().add(row * across + within));
                        if let Some(added) = job.added {
                            z = S::add(z, S::load_part(added.as_ptr().add(t * size + at), count));
                        }
                        let candidate = activate::<S>(f, z);
                        let to = kept.as_mut_ptr().add((column / S::LANES * rows + row) * width);
                        S::store(to.add((KEPT - 1) * S::LANES), candidate);
                        let h = S::load_part(hidden.as_ptr().add(at), count);
                        let leak = S::load(step.leak.as_ptr().add(column));
                        let reached = moved::<S>(S::load(to.add(S::LANES)), candidate, h, leak);
                        S::store_part(next.as_mut_ptr().add(at), reached.h, count);
                        S::prefetch(next.as_ptr().wrapping_add(at + size));
                    }
                }
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedBackward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn backward<S: Simd>(step: &GatedStep<S::Real>, f: Activation, mut job: GatedBackward<S::Real>)
where
    S::Real: Kernels,
{
    let (Some(turned), Some(early)) = (&step.backward, &step.early) else { return };
    let Some(early_turned) = &early.backward else { return };
    let (rows, units, stacked) = (job.rows, step.units, step.bias.len());
    let size = rows * units;
    let mut scratch = Lines::zeros(rows * PANEL_VECTORS * S::LANES);
    let chunk = (TERMS / rows.max(1)).clamp(1, job.steps.max(1));
    // What the outer products of a few steps are taken of: gradients of both gates, of the candidate, and what it saw.
    let mut opening = Lines::zeros(chunk * rows * stacked);
    let mut candidates = Lines::zeros(chunk * size);
    let mut seen = Lines::zeros(chunk * size);
    for t in (0..job.steps).rev() {
        let place = t % chunk;
        let opening_now = &mut opening[place * rows * stacked..][..rows * stacked];
        let candidates_now = &mut candidates[place * size..][..size];
        let seen_now = &mut seen[place * size..][..size];
        unsafe { close::<S>(step, f, t, &mut job, opening_now, candidates_now) };
        for panel in 0..early_turned.panels() {
            let main = Factor { rows: &*candidates_now, weight: early_turned };
            unsafe {
                S::panel_product(rows, main, None, &step.silence, panel, &mut scratch);
                reopen::<S>(step, t, (early_turned.columns(panel), &scratch), &mut job, opening_now, seen_now);
            }
        }
        let cut = t > 0 && job.window.is_some_and(|window| t % window == 0);
        let side = step.said_before(job.said, t, rows);
        let main = Factor { rows: &*opening_now, weight: turned };
        unsafe { pass_back::<S>(step, rows, (main, side), cut, true, job.lambda, &mut scratch) };
        if t % chunk == 0 {
            let count = chunk.min(job.steps - t) * rows;
            let channels = step.inputs.sources();
            for at in (0..count).step_by(TERMS) {
                let side = job.weights.inputs.map(|all| &all[(t * rows + at) * channels..]);
                let count = TERMS.min(count - at);
                let main = &job.hidden[(t * rows + at) * units..];
                let gates = Terms { count, main, side, targets: &opening[at * stacked..] };
                let candidate = Terms { count, main: &seen[at * units..], side, targets: &candidates[at * units..] };
                unsafe {
                    S::add_outer(&mut job.weights.sums, gates);
                    if let Some(sums) = &mut job.later {
                        S::add_outer(sums, candidate);
                    }
                }
            }
        }
    }
}

/// Gradients of candidates and update gates in one step; what goes past them to `h` stays in `lambda`.
#[inline(always)]
unsafe fn close<S: Simd>(
    step: &GatedStep<S::Real>,
    f: Activation,
    t: usize,
    job: &mut GatedBackward<S::Real>,
    opening: &mut [S::Real],
    candidates: &mut [S::Real],
) where
    S::Real: Kernels,
{
    let (rows, units, stacked) = (job.rows, step.units, step.bias.len());
    let (size, width) = (rows * units, KEPT * S::LANES);
    for group in 0..step.groups() {
        let first = group * S::LANES;
        let count = S::LANES.min(units - first);
        unsafe {
            let leak = S::load(step.leak.as_ptr().add(first));
            for row in 0..rows {
                let at = row * units + first;
                let from = job.gates.as_ptr().add(((t * step.groups() + group) * rows + row) * width);
                let (stays, candidate) = (S::load(from.add(S::LANES)), S::load(from.add((KEPT - 1) * S::LANES)));
                let h = S::load_part(job.hidden.as_ptr().add(t * size + at), count);
                let place = job.lambda.as_mut_ptr().add(at);
                let (of_candidate, of_update, of_leak, passed) =
                    unmoved::<S>(f, (stays, candidate, h), S::load_part(place, count), leak);
                S::store_part(place, passed, count);
                S::store_part(candidates.as_mut_ptr().add(at), of_candidate, count);
                S::store(opening.as_mut_ptr().add(row * stacked + (group * OPENING + 1) * S::LANES), of_update);
                if let Some(sums) = &mut job.leak {
                    let place = sums.as_mut_ptr().add(first);
                    S::store(place, S::add(S::load(place), of_leak));
                }
            }
        }
    }
}

/// From the gradients of what the candidates of one panel saw: those of reset gates, and of `h` through them; and what they saw.
#[inline(always)]
unsafe fn reopen<S: Simd>(
    step: &GatedStep<S::Real>,
    t: usize,
    ((first, columns, across), product): ((usize, usize, usize), &[S::Real]),
    job: &mut GatedBackward<S::Real>,
    opening: &mut [S::Real],
    seen: &mut [S::Real],
) where
    S::Real: Kernels,
{
    let (rows, units, stacked) = (job.rows, step.units, step.bias.len());
    let (size, width) = (rows * units, KEPT * S::LANES);
    for row in 0..rows {
        for within in (0..columns).step_by(S::LANES) {
            let (column, count) = (first + within, S::LANES.min(columns - within));
            let (group, at) = (column / S::LANES, row * units + column);
            unsafe {
                let reset = S::load(job.gates.as_ptr().add(((t * step.groups() + group) * rows + row) * width));
                let h = S::load_part(job.hidden.as_ptr().add(t * size + at), count);
                let of_seen = S::load(product.as_ptr().add(row * across + within));
                let of_reset = S::mul(S::mul(of_seen, h), slope::<S>(Activation::Sigmoid, reset));
                S::store(opening.as_mut_ptr().add(row * stacked + group * OPENING * S::LANES), of_reset);
                S::store_part(seen.as_mut_ptr().add(at), S::mul(reset, h), count);
                let place = job.lambda.as_mut_ptr().add(at);
                S::store_part(place, S::fma(of_seen, reset, S::load_part(place, count)), count);
            }
        }
    }
}
