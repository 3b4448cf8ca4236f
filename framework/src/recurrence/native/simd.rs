//! Vectors of the processor, so that every kernel is written once.
//!
//! All methods but the products are inlined into a function that has the instructions; calling any elsewhere would be undefined, which
//! is why the trait is unsafe to use and private to the kernels.

use super::outer::{Outer, Terms};
use super::product::{self, Factor};

/// A number that kernels compute with.
pub trait Real: Copy + PartialEq + PartialOrd + std::fmt::Debug + Send + Sync + 'static {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Magnitudes below it are set to zero: products of what is left stay clear of subnormal numbers, which processors handle tens
    /// of times slower.
    const VANISHED: Self;
    /// Terms of the series of the inverse hyperbolic tangent that reach its precision up to 1/3.
    const SERIES: usize;
    /// The nearest number.
    fn from_f64(x: f64) -> Self;
    /// 2 to the power of a whole number within ±120.
    fn power_of_two(n: Self) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const VANISHED: Self = 1e-30;
    const SERIES: usize = 8;
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as Self
    }
    #[inline(always)]
    fn power_of_two(n: Self) -> Self {
        Self::from_bits(((n as i32 + 127) as u32) << 23)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const VANISHED: Self = 1e-280;
    const SERIES: usize = 17;
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn power_of_two(n: Self) -> Self {
        Self::from_bits(((n as i64 + 1023) as u64) << 52)
    }
}

/// One set of vector instructions for one kind of number.
///
/// # Safety
/// Methods may only be called where the processor has the instructions, and with pointers to as many numbers as they read or
/// write.
pub unsafe trait Simd: Copy {
    /// The kind of number.
    type Real: Real;
    /// A vector of them.
    type Vector: Copy;
    /// How many are in a vector.
    const LANES: usize;
    /// Rows of a tile that accumulates in registers.
    const TILE_ROWS: usize;

    /// The same number in every lane.
    unsafe fn splat(x: Self::Real) -> Self::Vector;
    /// `LANES` numbers.
    unsafe fn load(from: *const Self::Real) -> Self::Vector;
    /// Write `LANES` numbers.
    unsafe fn store(to: *mut Self::Real, x: Self::Vector);
    /// Have the memory there brought near, wherever it is: nothing is read or written.
    unsafe fn prefetch(place: *const Self::Real);
    /// The same number, of which the compiler knows nothing. It would compute places in the rows of a tile one from the other at every
    /// turn of a loop, on the units that multiply, instead of keeping each in a register.
    #[inline(always)]
    fn kept(number: usize) -> usize {
        number
    }
    /// Likewise the same place.
    #[inline(always)]
    fn kept_place(place: *const Self::Real) -> *const Self::Real {
        place
    }
    /// `a b + c`, rounded once where the processor can.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a + b`
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b`
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`
    unsafe fn div(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `1 / a`, within a unit in the last place.
    unsafe fn reciprocal(a: Self::Vector) -> Self::Vector;
    /// `√a`
    unsafe fn sqrt(a: Self::Vector) -> Self::Vector;
    /// The greater; `b` where one of them is NaN.
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The lesser; `b` where one of them is NaN.
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a` where `x > 0`, else `b`.
    unsafe fn where_positive(x: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `|x|`
    unsafe fn abs(x: Self::Vector) -> Self::Vector;
    /// 0 where `|x| < least`, else `x`, NaN included.
    unsafe fn flush(x: Self::Vector, least: Self::Vector) -> Self::Vector;
    /// `x` rounded to the nearest whole number, and 2 to the power of that; `x` within ±120.
    unsafe fn power_of_two(x: Self::Vector) -> (Self::Vector, Self::Vector);
    /// `exp x - 1`
    unsafe fn exp_m1(x: Self::Vector) -> Self::Vector;
    /// `exp x`
    unsafe fn exp(x: Self::Vector) -> Self::Vector;
    /// `tanh x`
    unsafe fn tanh(x: Self::Vector) -> Self::Vector;

    /// [`product::panel_product`], compiled once for all kernels.
    unsafe fn panel_product(
        rows: usize,
        main: Factor<Self::Real>,
        side: Option<Factor<Self::Real>>,
        start: &[Self::Real],
        panel: usize,
        out: &mut [Self::Real],
    );
    /// [`Outer::add`], compiled once for all kernels.
    unsafe fn add_outer(sums: &mut Outer<'_, Self::Real>, terms: Terms<Self::Real>);

    /// The first `count` numbers, from 1 to `LANES`, zeros behind them.
    #[inline(always)]
    unsafe fn load_part(from: *const Self::Real, count: usize) -> Self::Vector {
        if count >= Self::LANES {
            return unsafe { Self::load(from) };
        }
        let mut lanes = [Self::Real::ZERO; 16];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            *lane = unsafe { *from.add(i) };
        }
        unsafe { Self::load(lanes.as_ptr()) }
    }

    /// Write the first `count` numbers, from 1 to `LANES`.
    #[inline(always)]
    unsafe fn store_part(to: *mut Self::Real, x: Self::Vector, count: usize) {
        if count >= Self::LANES {
            return unsafe { Self::store(to, x) };
        }
        let mut lanes = [Self::Real::ZERO; 16];
        unsafe { Self::store(lanes.as_mut_ptr(), x) };
        for (i, lane) in lanes.iter().enumerate().take(count) {
            unsafe { *to.add(i) = *lane };
        }
    }

    /// A function of each lane.
    #[inline(always)]
    unsafe fn map(x: Self::Vector, f: impl Fn(Self::Real) -> Self::Real) -> Self::Vector {
        let mut lanes = [Self::Real::ZERO; 16];
        unsafe { Self::store(lanes.as_mut_ptr(), x) };
        for lane in lanes.iter_mut().take(Self::LANES) {
            *lane = f(*lane);
        }
        unsafe { Self::load(lanes.as_ptr()) }
    }
}

/// The products, for one set of instructions: they are most of the machine code of a kernel, and a call takes no time beside them.
macro_rules! products {
    ($real:ty $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        #[inline(never)]
        unsafe fn panel_product(
            rows: usize,
            main: Factor<$real>,
            side: Option<Factor<$real>>,
            start: &[$real],
            panel: usize,
            out: &mut [$real],
        ) {
            unsafe { product::panel_product::<Self>(rows, main, side, start, panel, out) }
        }

        $(#[target_feature(enable = $features)])?
        #[inline(never)]
        unsafe fn add_outer(sums: &mut Outer<'_, $real>, terms: Terms<$real>) {
            unsafe { sums.add::<Self>(terms) }
        }
    };
}

/// `exp x - 1` and `exp x` in single precision: with `x = n ln 2 + r`, `|r| < 0.35`, a polynomial in `r`, then scaling.
macro_rules! single_exponentials {
    () => {
        #[inline(always)]
        unsafe fn exp_m1(x: Self::Vector) -> Self::Vector {
            unsafe {
                let (scale, near) = exponential_parts::<Self>(x);
                // 2^n (1 + p) - 1, without losing p where n = 0.
                Self::fma(scale, near, Self::sub(scale, Self::splat(1.0)))
            }
        }

        #[inline(always)]
        unsafe fn exp(x: Self::Vector) -> Self::Vector {
            unsafe {
                let (scale, near) = exponential_parts::<Self>(x);
                Self::fma(scale, near, scale)
            }
        }

        #[inline(always)]
        unsafe fn tanh(x: Self::Vector) -> Self::Vector {
            unsafe { rational_tanh::<Self>(x) }
        }
    };
}

/// `x P(x^2) / Q(x^2)`, whose coefficients make the greatest relative error up to 9.02 least (2e-8; found by repeated weighted least
/// squares); from there on the result is 1 in single precision.
#[inline(always)]
unsafe fn rational_tanh<S: Simd<Real = f32>>(x: S::Vector) -> S::Vector {
    const P: [f32; 4] = [1.331_907_6e-8, 2.058_349e-5, 3.494_035_2e-3, 0.133_797_18];
    const Q: [f32; 4] = [7.762_022e-7, 3.283_094e-4, 2.587_107_6e-2, 0.467_130_33];
    unsafe {
        let (one, limit) = (S::splat(1.0), S::splat(9.02));
        // In `min` and `max` a NaN that stands second passes.
        let x = S::max(S::sub(S::splat(0.0), limit), S::min(limit, x));
        let square = S::mul(x, x);
        let (mut p, mut q) = (S::splat(P[0]), S::splat(Q[0]));
        for i in 1..4 {
            p = S::fma(p, square, S::splat(P[i]));
            q = S::fma(q, square, S::splat(Q[i]));
        }
        (p, q) = (S::fma(p, square, one), S::fma(q, square, one));
        let t = S::mul(S::mul(x, p), S::reciprocal(q));
        S::max(S::splat(-1.0), S::min(one, t))
    }
}

/// `2^n` and `exp(r) - 1`.
#[inline(always)]
unsafe fn exponential_parts<S: Simd<Real = f32>>(x: S::Vector) -> (S::Vector, S::Vector) {
    unsafe {
        // Beyond these the result is 0 or infinite for all that follows.
        let x = S::min(S::splat(80.0), S::max(S::splat(-80.0), x));
        let (n, scale) = S::power_of_two(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        // ln 2 in two parts, of which the first has few enough digits that its multiples are exact.
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        // The Taylor polynomial; what is left out is below 2e-8 of the sum.
        let mut p = S::splat(1.0 / 5040.0);
        for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
            p = S::fma(p, r, S::splat(coefficient));
        }
        (scale, S::mul(p, r))
    }
}

/// In double precision the functions of the standard library, lane by lane: a path for checks, not for speed.
macro_rules! double_exponentials {
    () => {
        #[inline(always)]
        unsafe fn exp_m1(x: Self::Vector) -> Self::Vector {
            unsafe { Self::map(x, f64::exp_m1) }
        }

        #[inline(always)]
        unsafe fn exp(x: Self::Vector) -> Self::Vector {
            unsafe { Self::map(x, f64::exp) }
        }

        #[inline(always)]
        unsafe fn tanh(x: Self::Vector) -> Self::Vector {
            unsafe { Self::map(x, f64::tanh) }
        }
    };
}

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};
