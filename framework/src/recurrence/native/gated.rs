//! All steps of long short-term memories and gated recurrent units, forward and backward.
//!
//! Each unit has two to four blocks of `z = W h + V x + b`, and a panel of the product holds those with a `W` for as many units as a vector
//! has lanes, so that a step is finished while its product is in the nearest cache.

mod early;
mod equations;
mod jobs;
mod step;

pub(in crate::recurrence) use jobs::{GatedBackward, GatedForward};
pub(in crate::recurrence) use step::GatedStep;

use super::lines::Lines;
use super::outer::{TERMS, Terms};
use super::packed::{GATES, PANEL_VECTORS, Packed};
use super::product::Factor;
use super::simd::Simd;
use super::{Kernels, Real};
use crate::recurrence::Activation;
use early::OPENING;
use equations::{Equations, Memory, State, WithReset, WithoutReset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use step::Apart;

/// Which equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Blocks i, f, g, o: `c' = sigmoid(f) c + sigmoid(i) tanh(g)`, `h' = sigmoid(o) tanh(c')`.
    Memory,
    /// Gated units with a leak `l`, 1 where there is none: `h' = h + l (1 - sigmoid(z)) (n - h)`.
    Unit {
        /// Where their reset gate acts.
        reset: ResetGate,
        /// The non-linearity `f` of the candidate.
        candidate: Activation,
    },
}

/// Where a reset gate acts, and with it which blocks a unit has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResetGate {
    /// On the recurrent product of the candidate, as in PyTorch's `GRU`; blocks r, z, u, a: `n = f(a + sigmoid(r) u)`.
    #[default]
    AfterProduct,
    /// On the state that the candidate's recurrent weights see, as it was published first; blocks r, z, a, of which a sees
    /// `sigmoid(r) h` instead of `h`: `n = f(a)`.
    BeforeProduct,
    /// There is none; blocks z, a: `n = f(a)`.
    None,
}

impl Gates {
    /// Blocks of each unit whose numbers are kept.
    pub(in crate::recurrence) fn blocks(self) -> usize {
        match self {
            Self::Memory => Memory::BLOCKS,
            Self::Unit { reset: ResetGate::AfterProduct, .. } => WithReset::BLOCKS,
            Self::Unit { reset: ResetGate::None, .. } => WithoutReset::BLOCKS,
            Self::Unit { reset: ResetGate::BeforeProduct, .. } => OPENING + 1,
        }
    }

    /// Blocks in the product with `h`.
    fn stacked(self) -> usize {
        match self {
            Self::Memory => Memory::STACKED,
            Self::Unit { reset: ResetGate::AfterProduct, .. } => WithReset::STACKED,
            Self::Unit { reset: ResetGate::None, .. } => WithoutReset::STACKED,
            Self::Unit { reset: ResetGate::BeforeProduct, .. } => OPENING,
        }
    }

    /// Whether the last block sees the input alone, apart from the product with `h`.
    fn sets_apart(self) -> bool {
        matches!(self, Self::Unit { reset: ResetGate::AfterProduct, .. })
    }

    fn is_memory(self) -> bool {
        self == Self::Memory
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedForward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn forward<S: Simd>(step: &GatedStep<S::Real>, job: GatedForward<S::Real>)
where
    S::Real: Kernels,
{
    unsafe {
        match step.form {
            Gates::Memory => forward_of::<S, Memory>(step, Activation::Tanh, job),
            Gates::Unit { reset: ResetGate::AfterProduct, candidate: f } => forward_of::<S, WithReset>(step, f, job),
            Gates::Unit { reset: ResetGate::None, candidate: f } => forward_of::<S, WithoutReset>(step, f, job),
            Gates::Unit { reset: ResetGate::BeforeProduct, candidate: f } => early::forward::<S>(step, f, job),
        }
    }
}

#[inline(always)]
unsafe fn forward_of<S: Simd, E: Equations>(step: &GatedStep<S::Real>, f: Activation, mut job: GatedForward<S::Real>)
where
    S::Real: Kernels,
{
    let (rows, units, channels) = (job.rows, step.units, step.inputs.sources());
    let size = rows * units;
    let (stacked, width) = (E::STACKED * S::LANES, E::BLOCKS * S::LANES);
    let mut scratch = Lines::zeros(rows * stacked);
    let mut beside = Lines::zeros(if step.apart.is_some() { rows * S::LANES } else { 0 });
    for t in 0..job.steps {
        let (before, after) = job.hidden.split_at_mut((t + 1) * size);
        let (hidden, next) = (&before[t * size..], &mut after[..size]);
        let main = Factor { rows: hidden, weight: &step.forward };
        let side = Factor { rows: &job.inputs[t * rows * channels..][..rows * channels], weight: &step.inputs };
        for group in 0..step.groups() {
            let first = group * S::LANES;
            let count = S::LANES.min(units - first);
            unsafe {
                S::panel_product(rows, main, Some(side), &step.bias, group, &mut scratch);
                if let Some(Apart { inputs: weight, bias }) = &step.apart {
                    S::panel_product(rows, Factor { weight, ..side }, None, bias, group, &mut beside);
                }
                let leak = S::load(step.leak.as_ptr().add(first));
                for row in 0..rows {
                    let product = scratch.as_ptr().add(row * stacked);
                    let mut z = [S::splat(S::Real::ZERO); GATES];
                    for (gate, z) in z.iter_mut().enumerate().take(E::STACKED) {
                        *z = S::load(product.add(gate * S::LANES));
                    }
                    if step.apart.is_some() {
                        z[E::BLOCKS - 1] = S::load(beside.as_ptr().add(row * S::LANES));
                    }
                    let at = row * units + first;
                    if let Some(added) = job.added {
                        let added = S::load_part(added.as_ptr().add(t * size + at), count);
                        z[E::BLOCKS - 1] = S::add(z[E::BLOCKS - 1], added);
                    }
                    let h = S::load_part(hidden.as_ptr().add(at), count);
                    let cell = (!job.cell.is_empty()).then(|| job.cell.as_mut_ptr().add(t * size + at));
                    let c = cell.map_or(h, |cell| S::load_part(cell, count));
                    let (kept, reached) = E::forth::<S>(f, z, State { h, c }, leak);
                    S::store_part(next.as_mut_ptr().add(at), reached.h, count);
                    S::prefetch(next.as_ptr().wrapping_add(at + size));
                    if let Some(cell) = cell {
                        S::store_part(cell.add(size), reached.c, count);
                        S::prefetch(cell.wrapping_add(2 * size));
                    }
                    if let Some(gates) = &mut job.gates {
                        let to = gates.as_mut_ptr().add(((t * step.groups() + group) * rows + row) * width);
                        for (gate, kept) in kept.iter().enumerate().take(E::BLOCKS) {
                            S::store(to.add(gate * S::LANES), *kept);
                            // For the next step, as in the kernels of rate networks.
                            S::prefetch(to.wrapping_add(rows * step.blocks() + gate * S::LANES));
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedBackward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn backward<S: Simd>(step: &GatedStep<S::Real>, job: GatedBackward<S::Real>)
where
    S::Real: Kernels,
{
    unsafe {
        match step.form {
            Gates::Memory => backward_of::<S, Memory>(step, Activation::Tanh, job),
            Gates::Unit { reset: ResetGate::AfterProduct, candidate: f } => backward_of::<S, WithReset>(step, f, job),
            Gates::Unit { reset: ResetGate::None, candidate: f } => backward_of::<S, WithoutReset>(step, f, job),
            Gates::Unit { reset: ResetGate::BeforeProduct, candidate: f } => early::backward::<S>(step, f, job),
        }
    }
}

#[inline(always)]
unsafe fn backward_of<S: Simd, E: Equations>(step: &GatedStep<S::Real>, f: Activation, mut job: GatedBackward<S::Real>)
where
    S::Real: Kernels,
{
    let Some(turned) = &step.backward else { return };
    let (rows, units, blocks) = (job.rows, step.units, step.bias.len());
    let memory = step.form.is_memory();
    let mut scratch = Lines::zeros(rows * PANEL_VECTORS * S::LANES);
    let chunk = (TERMS / rows.max(1)).clamp(1, job.steps.max(1));
    let mut recent = Lines::zeros(chunk * rows * blocks);
    // Gradients of the block that is set apart, if one is.
    let alone = if step.apart.is_some() { rows * units } else { 0 };
    let mut recent_alone = Lines::zeros(chunk * alone);
    for t in (0..job.steps).rev() {
        let deltas = &mut recent[t % chunk * rows * blocks..][..rows * blocks];
        let apart = &mut recent_alone[t % chunk * alone..][..alone];
        unsafe { differentiate::<S, E>(step, f, t, &mut job, (&mut *deltas, apart)) };
        let cut = t > 0 && job.window.is_some_and(|window| t % window == 0);
        let side = step.said_before(job.said, t, rows);
        if cut && memory {
            job.lambda_cell.fill(S::Real::ZERO);
        }
        let main = Factor { rows: &*deltas, weight: turned };
        unsafe { pass_back::<S>(step, rows, (main, side), cut, !memory, job.lambda, &mut scratch) };
        if t % chunk == 0 {
            let count = chunk.min(job.steps - t) * rows;
            for at in (0..count).step_by(TERMS) {
                let channels = step.inputs.sources();
                let side = job.weights.inputs.map(|all| &all[(t * rows + at) * channels..]);
                let (count, main) = (TERMS.min(count - at), &job.hidden[(t * rows + at) * units..]);
                unsafe {
                    S::add_outer(&mut job.weights.sums, Terms { count, main, side, targets: &recent[at * blocks..] })
                };
                if let (Some(sums), Some(main), true) = (&mut job.later, side, alone > 0) {
                    let targets = &recent_alone[at * units..];
                    unsafe { S::add_outer(sums, Terms { count, main, side: None, targets }) };
                }
            }
        }
    }
}

/// The gradient that all blocks, and what was read, pass on to the `h` before, added to what waits in `lambda` if something does. Where
/// the chain is cut, only what was read counts.
#[inline(always)]
unsafe fn pass_back<S: Simd>(
    step: &GatedStep<S::Real>,
    rows: usize,
    (main, side): (Factor<S::Real>, Option<Factor<S::Real>>),
    cut: bool,
    waits: bool,
    lambda: &mut [S::Real],
    scratch: &mut [S::Real],
) where
    S::Real: Kernels,
{
    let (units, turned) = (step.units, main.weight);
    for panel in 0..turned.panels() {
        let (first, columns, width) = turned.columns(panel);
        unsafe {
            match (cut, side) {
                (false, side) => S::panel_product(rows, main, side, &step.silence, panel, scratch),
                (true, Some(side)) => S::panel_product(rows, side, None, &step.silence, panel, scratch),
                (true, None) => scratch.fill(S::Real::ZERO),
            }
            for row in 0..rows {
                for within in (0..columns).step_by(S::LANES) {
                    let count = S::LANES.min(columns - within);
                    let place = lambda.as_mut_ptr().add(row * units + first + within);
                    let mut passed = S::load(scratch.as_ptr().add(row * width + within));
                    if waits && !cut {
                        passed = S::add(passed, S::load_part(place, count));
                    }
                    S::store_part(place, S::flush(passed, S::splat(S::Real::VANISHED)), count);
                }
            }
        }
    }
}

/// Gradients of all blocks in one step; what goes past them to `h` waits in `lambda`, where it will be added to.
#[inline(always)]
unsafe fn differentiate<S: Simd, E: Equations>(
    step: &GatedStep<S::Real>,
    f: Activation,
    t: usize,
    job: &mut GatedBackward<S::Real>,
    (deltas, apart): (&mut [S::Real], &mut [S::Real]),
) where
    S::Real: Kernels,
{
    let (rows, units, blocks) = (job.rows, step.units, step.bias.len());
    let (size, width) = (rows * units, E::BLOCKS * S::LANES);
    let memory = !job.cell.is_empty();
    for group in 0..step.groups() {
        let first = group * S::LANES;
        let count = S::LANES.min(units - first);
        unsafe {
            let leak = S::load(step.leak.as_ptr().add(first));
            for row in 0..rows {
                let at = row * units + first;
                let from = job.gates.as_ptr().add(((t * step.groups() + group) * rows + row) * width);
                let mut gates = [S::splat(S::Real::ZERO); GATES];
                for (gate, value) in gates.iter_mut().enumerate().take(E::BLOCKS) {
                    *value = S::load(from.add(gate * S::LANES));
                }
                let place = job.lambda.as_mut_ptr().add(at);
                let h = S::load_part(job.hidden.as_ptr().add(t * size + at), count);
                let mut lambda = State { h: S::load_part(place, count), c: h };
                let mut states = [State { h, c: h }; 2];
                if memory {
                    let cells = job.cell.as_ptr().add(t * size + at);
                    (states[0].c, states[1].c) = (S::load_part(cells, count), S::load_part(cells.add(size), count));
                    lambda.c = S::load_part(job.lambda_cell.as_ptr().add(at), count);
                }
                let (delta, of_leak, passed) = E::back::<S>(f, gates, states, lambda, leak);
                if memory {
                    S::store_part(job.lambda_cell.as_mut_ptr().add(at), passed.c, count);
                } else {
                    S::store_part(place, passed.h, count);
                }
                if let Some(sums) = &mut job.leak {
                    let place = sums.as_mut_ptr().add(first);
                    S::store(place, S::add(S::load(place), of_leak));
                }
                let to = deltas.as_mut_ptr().add(row * blocks + group * E::STACKED * S::LANES);
                for (gate, delta) in delta.iter().enumerate().take(E::STACKED) {
                    S::store(to.add(gate * S::LANES), *delta);
                }
                if !apart.is_empty() {
                    S::store_part(apart.as_mut_ptr().add(at), delta[E::BLOCKS - 1], count);
                }
            }
        }
    }
}
