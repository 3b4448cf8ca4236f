//! What gated units do in one step, and its way back, on vectors of units.

use super::super::functions::{activate, slope};
use super::super::packed::GATES;
use super::super::simd::{Real, Simd};
use crate::recurrence::Activation;

/// One step of a kind of units, on vectors of units; blocks that it does not have are left out.
pub(super) trait Equations {
    /// Blocks of each unit.
    const BLOCKS: usize;
    /// The first so many of them see `h`; the last may not.
    const STACKED: usize = Self::BLOCKS;

    /// What is kept of the blocks, and what `h` and `c` become.
    unsafe fn forth<S: Simd>(
        f: Activation,
        z: [S::Vector; GATES],
        state: State<S>,
        leak: S::Vector,
    ) -> ([S::Vector; GATES], State<S>);

    /// Gradients of the blocks, of the leak, and what passes on to `h` and `c` past the blocks, from those of the new `h` and `c`.
    unsafe fn back<S: Simd>(
        f: Activation,
        kept: [S::Vector; GATES],
        states: [State<S>; 2],
        lambda: State<S>,
        leak: S::Vector,
    ) -> ([S::Vector; GATES], S::Vector, State<S>);
}

/// `h`, and of memories `c`.
#[derive(Clone, Copy)]
pub(super) struct State<S: Simd> {
    pub h: S::Vector,
    pub c: S::Vector,
}

/// Blocks i, f, g, o.
pub(super) struct Memory;
/// Blocks r, z, u, a.
pub(super) struct WithReset;
/// Blocks z, a.
pub(super) struct WithoutReset;

impl Equations for Memory {
    const BLOCKS: usize = 4;

    #[inline(always)]
    unsafe fn forth<S: Simd>(
        _: Activation,
        z: [S::Vector; GATES],
        before: State<S>,
        _: S::Vector,
    ) -> ([S::Vector; GATES], State<S>) {
        unsafe {
            let input = activate::<S>(Activation::Sigmoid, z[0]);
            let forget = activate::<S>(Activation::Sigmoid, z[1]);
            let candidate = activate::<S>(Activation::Tanh, z[2]);
            let output = activate::<S>(Activation::Sigmoid, z[3]);
            let least = S::splat(S::Real::VANISHED);
            let c = S::flush(S::fma(forget, before.c, S::mul(input, candidate)), least);
            let h = S::flush(S::mul(output, S::tanh(c)), least);
            ([input, forget, candidate, output], State { h, c })
        }
    }

    #[inline(always)]
    unsafe fn back<S: Simd>(
        _: Activation,
        [input, forget, candidate, output]: [S::Vector; GATES],
        [before, after]: [State<S>; 2],
        lambda: State<S>,
        _: S::Vector,
    ) -> ([S::Vector; GATES], S::Vector, State<S>) {
        unsafe {
            let through = |gate: S::Vector| slope::<S>(Activation::Sigmoid, gate);
            let shown = S::tanh(after.c);
            let of_cell = S::fma(S::mul(lambda.h, output), slope::<S>(Activation::Tanh, shown), lambda.c);
            let delta = [
                S::mul(S::mul(of_cell, candidate), through(input)),
                S::mul(S::mul(of_cell, before.c), through(forget)),
                S::mul(S::mul(of_cell, input), slope::<S>(Activation::Tanh, candidate)),
                S::mul(S::mul(lambda.h, shown), through(output)),
            ];
            let nothing = S::splat(S::Real::ZERO);
            let c = S::flush(S::mul(of_cell, forget), S::splat(S::Real::VANISHED));
            (delta, nothing, State { h: nothing, c })
        }
    }
}

/// `h'` from the update gate and the candidate.
#[inline(always)]
pub(super) unsafe fn moved<S: Simd>(kept: S::Vector, candidate: S::Vector, h: S::Vector, leak: S::Vector) -> State<S> {
    unsafe {
        let share = S::mul(leak, S::sub(S::splat(S::Real::ONE), kept));
        let h = S::fma(share, S::sub(candidate, h), h);
        State { h: S::flush(h, S::splat(S::Real::VANISHED)), c: h }
    }
}

/// The way back through that and the candidate's non-linearity: gradients of the candidate's input, of the update gate's and of the
/// leak, and what passes on to `h`.
#[inline(always)]
pub(super) unsafe fn unmoved<S: Simd>(
    f: Activation,
    (kept, candidate, h): (S::Vector, S::Vector, S::Vector),
    lambda: S::Vector,
    leak: S::Vector,
) -> (S::Vector, S::Vector, S::Vector, S::Vector) {
    unsafe {
        let open = S::sub(S::splat(S::Real::ONE), kept);
        let moving = S::mul(lambda, S::mul(leak, open));
        let away = S::mul(lambda, S::sub(candidate, h));
        let of_update = S::mul(S::mul(leak, away), slope::<S>(Activation::Sigmoid, kept));
        let negative = S::sub(S::splat(S::Real::ZERO), of_update);
        (S::mul(moving, slope::<S>(f, candidate)), negative, S::mul(away, open), S::sub(lambda, moving))
    }
}

impl Equations for WithReset {
    const BLOCKS: usize = 4;
    const STACKED: usize = 3;

    #[inline(always)]
    unsafe fn forth<S: Simd>(
        f: Activation,
        z: [S::Vector; GATES],
        State { h, .. }: State<S>,
        leak: S::Vector,
    ) -> ([S::Vector; GATES], State<S>) {
        unsafe {
            let reset = activate::<S>(Activation::Sigmoid, z[0]);
            let kept = activate::<S>(Activation::Sigmoid, z[1]);
            let candidate = activate::<S>(f, S::fma(reset, z[2], z[3]));
            ([reset, kept, z[2], candidate], moved::<S>(kept, candidate, h, leak))
        }
    }

    #[inline(always)]
    unsafe fn back<S: Simd>(
        f: Activation,
        [reset, kept, recurrent, candidate]: [S::Vector; GATES],
        [before, _]: [State<S>; 2],
        lambda: State<S>,
        leak: S::Vector,
    ) -> ([S::Vector; GATES], S::Vector, State<S>) {
        unsafe {
            let (of_candidate, of_update, of_leak, passed) =
                unmoved::<S>(f, (kept, candidate, before.h), lambda.h, leak);
            let of_reset = S::mul(S::mul(of_candidate, recurrent), slope::<S>(Activation::Sigmoid, reset));
            let delta = [of_reset, of_update, S::mul(of_candidate, reset), of_candidate];
            (delta, of_leak, State { h: passed, c: passed })
        }
    }
}

impl Equations for WithoutReset {
    const BLOCKS: usize = 2;

    #[inline(always)]
    unsafe fn forth<S: Simd>(
        f: Activation,
        z: [S::Vector; GATES],
        State { h, .. }: State<S>,
        leak: S::Vector,
    ) -> ([S::Vector; GATES], State<S>) {
        unsafe {
            let kept = activate::<S>(Activation::Sigmoid, z[0]);
            let candidate = activate::<S>(f, z[1]);
            ([kept, candidate, kept, candidate], moved::<S>(kept, candidate, h, leak))
        }
    }

    #[inline(always)]
    unsafe fn back<S: Simd>(
        f: Activation,
        [kept, candidate, ..]: [S::Vector; GATES],
        [before, _]: [State<S>; 2],
        lambda: State<S>,
        leak: S::Vector,
    ) -> ([S::Vector; GATES], S::Vector, State<S>) {
        unsafe {
            let (of_candidate, of_update, of_leak, passed) =
                unmoved::<S>(f, (kept, candidate, before.h), lambda.h, leak);
            let delta = [of_update, of_candidate, of_update, of_candidate];
            (delta, of_leak, State { h: passed, c: passed })
        }
    }
}
