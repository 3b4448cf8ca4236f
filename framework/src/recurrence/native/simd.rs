//! Vectors of the processor, so that every kernel is written once.
//!
//! All methods are inlined into a function that has the instructions; calling them elsewhere would be undefined, which is why the
//! trait is unsafe to use and private to the kernels.

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

/// Plain arrays, for processors without the instructions below.
#[derive(Clone, Copy)]
pub struct Portable<R>(std::marker::PhantomData<R>);

macro_rules! portable {
    ($real:ty, $exponentials:ident) => {
        unsafe impl Simd for Portable<$real> {
            type Real = $real;
            type Vector = [$real; 4];
            const LANES: usize = 4;
            const TILE_ROWS: usize = 4;

            #[inline(always)]
            unsafe fn splat(x: $real) -> [$real; 4] {
                [x; 4]
            }
            #[inline(always)]
            unsafe fn load(from: *const $real) -> [$real; 4] {
                unsafe { from.cast::<[$real; 4]>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store(to: *mut $real, x: [$real; 4]) {
                unsafe { to.cast::<[$real; 4]>().write_unaligned(x) }
            }
            #[inline(always)]
            unsafe fn prefetch(_: *const $real) {}
            #[inline(always)]
            unsafe fn fma(a: [$real; 4], b: [$real; 4], c: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| a[i] * b[i] + c[i])
            }
            #[inline(always)]
            unsafe fn add(a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| a[i] + b[i])
            }
            #[inline(always)]
            unsafe fn sub(a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| a[i] - b[i])
            }
            #[inline(always)]
            unsafe fn mul(a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| a[i] * b[i])
            }
            #[inline(always)]
            unsafe fn div(a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| a[i] / b[i])
            }
            #[inline(always)]
            unsafe fn reciprocal(a: [$real; 4]) -> [$real; 4] {
                a.map(<$real>::recip)
            }
            #[inline(always)]
            unsafe fn sqrt(a: [$real; 4]) -> [$real; 4] {
                a.map(<$real>::sqrt)
            }
            #[inline(always)]
            unsafe fn max(a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
            }
            #[inline(always)]
            unsafe fn min(a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
            }
            #[inline(always)]
            unsafe fn where_positive(x: [$real; 4], a: [$real; 4], b: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| if x[i] > 0.0 { a[i] } else { b[i] })
            }
            #[inline(always)]
            unsafe fn abs(x: [$real; 4]) -> [$real; 4] {
                x.map(<$real>::abs)
            }
            #[inline(always)]
            unsafe fn flush(x: [$real; 4], least: [$real; 4]) -> [$real; 4] {
                std::array::from_fn(|i| if x[i].abs() < least[i] { 0.0 } else { x[i] })
            }
            #[inline(always)]
            unsafe fn power_of_two(x: [$real; 4]) -> ([$real; 4], [$real; 4]) {
                let n = x.map(<$real>::round_ties_even);
                (n, n.map(<$real as Real>::power_of_two))
            }
            $exponentials!();
        }
    };
}

portable!(f32, single_exponentials);
portable!(f64, double_exponentials);

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Simd, exponential_parts, rational_tanh};
    use std::arch::x86_64::*;

    /// 512-bit vectors.
    #[derive(Clone, Copy)]
    pub struct Avx512<R>(std::marker::PhantomData<R>);

    /// 256-bit vectors with fused multiplication and addition.
    #[derive(Clone, Copy)]
    pub struct Avx2<R>(std::marker::PhantomData<R>);

    macro_rules! arithmetic {
        ($real:ty, $vector:ty, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $sub:ident, $mul:ident,
         $div:ident, $sqrt:ident, $max:ident, $min:ident) => {
            type Real = $real;
            type Vector = $vector;

            #[inline(always)]
            unsafe fn splat(x: $real) -> $vector {
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $real) -> $vector {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut $real, x: $vector) {
                unsafe { $store(to, x) }
            }
            #[inline(always)]
            unsafe fn prefetch(place: *const $real) {
                unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) }
            }
            #[inline(always)]
            unsafe fn fma(a: $vector, b: $vector, c: $vector) -> $vector {
                unsafe { $fma(a, b, c) }
            }
            #[inline(always)]
            unsafe fn add(a: $vector, b: $vector) -> $vector {
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn sub(a: $vector, b: $vector) -> $vector {
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: $vector, b: $vector) -> $vector {
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            unsafe fn div(a: $vector, b: $vector) -> $vector {
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            unsafe fn sqrt(a: $vector) -> $vector {
                unsafe { $sqrt(a) }
            }
            #[inline(always)]
            unsafe fn max(a: $vector, b: $vector) -> $vector {
                unsafe { $max(a, b) }
            }
            #[inline(always)]
            unsafe fn min(a: $vector, b: $vector) -> $vector {
                unsafe { $min(a, b) }
            }
        };
    }

    /// The processor's estimate, and a step of Newton's method: a division would take as long as the whole of an activation beside it.
    #[inline(always)]
    unsafe fn reciprocal_ps(a: __m512) -> __m512 {
        unsafe {
            let near = _mm512_rcp14_ps(a);
            _mm512_mul_ps(near, _mm512_fnmadd_ps(a, near, _mm512_set1_ps(2.0)))
        }
    }

    #[inline(always)]
    unsafe fn reciprocal_pd(a: __m512d) -> __m512d {
        unsafe { _mm512_div_pd(_mm512_set1_pd(1.0), a) }
    }

    macro_rules! avx512 {
        ($real:ty, $lanes:literal, $mask:ty, $load_part:ident, $store_part:ident, $compare:ident, $blend:ident, $abs:ident,
         $round:ident, $scale:ident, $reciprocal:ident, $exponentials:ident, $($names:tt)*) => {
            unsafe impl Simd for Avx512<$real> {
                const LANES: usize = $lanes;
                const TILE_ROWS: usize = 8;
                arithmetic!($real, $($names)*);

                #[inline(always)]
                unsafe fn load_part(from: *const $real, count: usize) -> Self::Vector {
                    let mask = <$mask>::MAX >> ($lanes - count);
                    unsafe { $load_part(mask, from) }
                }
                #[inline(always)]
                unsafe fn store_part(to: *mut $real, x: Self::Vector, count: usize) {
                    let mask = <$mask>::MAX >> ($lanes - count);
                    unsafe { $store_part(to, mask, x) }
                }

                #[inline(always)]
                unsafe fn where_positive(x: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                    unsafe { $blend($compare::<_CMP_GT_OQ>(x, Self::splat(0.0)), b, a) }
                }
                #[inline(always)]
                unsafe fn abs(x: Self::Vector) -> Self::Vector {
                    unsafe { $abs(x) }
                }
                #[inline(always)]
                unsafe fn flush(x: Self::Vector, least: Self::Vector) -> Self::Vector {
                    unsafe { $blend($compare::<_CMP_LT_OQ>(Self::abs(x), least), x, Self::splat(0.0)) }
                }
                #[inline(always)]
                unsafe fn reciprocal(a: Self::Vector) -> Self::Vector {
                    unsafe { $reciprocal(a) }
                }
                #[inline(always)]
                unsafe fn power_of_two(x: Self::Vector) -> (Self::Vector, Self::Vector) {
                    unsafe {
                        let n = $round::<0>(x);
                        (n, $scale(Self::splat(1.0), n))
                    }
                }
                $exponentials!();
            }
        };
    }

    avx512! {
        f32, 16, u16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps, _mm512_cmp_ps_mask, _mm512_mask_blend_ps,
        _mm512_abs_ps, _mm512_roundscale_ps, _mm512_scalef_ps, reciprocal_ps, single_exponentials, __m512, _mm512_set1_ps,
        _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps,
        _mm512_div_ps, _mm512_sqrt_ps, _mm512_max_ps, _mm512_min_ps
    }
    avx512! {
        f64, 8, u8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd, _mm512_cmp_pd_mask, _mm512_mask_blend_pd,
        _mm512_abs_pd, _mm512_roundscale_pd, _mm512_scalef_pd, reciprocal_pd, double_exponentials, __m512d, _mm512_set1_pd,
        _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd,
        _mm512_div_pd, _mm512_sqrt_pd, _mm512_max_pd, _mm512_min_pd
    }

    /// The first lanes.
    #[inline(always)]
    unsafe fn mask_ps(count: usize) -> __m256i {
        const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        unsafe { _mm256_loadu_si256(LANES.as_ptr().add(8 - count).cast()) }
    }

    #[inline(always)]
    unsafe fn mask_pd(count: usize) -> __m256i {
        const LANES: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];
        unsafe { _mm256_loadu_si256(LANES.as_ptr().add(4 - count).cast()) }
    }

    /// 2 to the power of whole numbers, put into the exponent's bits.
    #[inline(always)]
    unsafe fn power_ps(n: __m256) -> __m256 {
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        }
    }

    #[inline(always)]
    unsafe fn power_pd(n: __m256d) -> __m256d {
        unsafe {
            let wide = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(n));
            let biased = _mm256_add_epi64(wide, _mm256_set1_epi64x(1023));
            _mm256_castsi256_pd(_mm256_slli_epi64::<52>(biased))
        }
    }

    macro_rules! avx2 {
        ($real:ty, $lanes:literal, $mask:ident, $load_part:ident, $store_part:ident, $compare:ident, $blend:ident,
         $andnot:ident, $round:ident, $power:ident, $exponentials:ident, $($names:tt)*) => {
            unsafe impl Simd for Avx2<$real> {
                const LANES: usize = $lanes;
                const TILE_ROWS: usize = 4;
                arithmetic!($real, $($names)*);

                #[inline(always)]
                unsafe fn load_part(from: *const $real, count: usize) -> Self::Vector {
                    unsafe { $load_part(from, $mask(count)) }
                }
                #[inline(always)]
                unsafe fn store_part(to: *mut $real, x: Self::Vector, count: usize) {
                    unsafe { $store_part(to, $mask(count), x) }
                }

                #[inline(always)]
                unsafe fn where_positive(x: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                    unsafe { $blend(b, a, $compare::<_CMP_GT_OQ>(x, Self::splat(0.0))) }
                }
                #[inline(always)]
                unsafe fn abs(x: Self::Vector) -> Self::Vector {
                    unsafe { $andnot(Self::splat(-0.0), x) }
                }
                #[inline(always)]
                unsafe fn flush(x: Self::Vector, least: Self::Vector) -> Self::Vector {
                    unsafe { $andnot($compare::<_CMP_LT_OQ>(Self::abs(x), least), x) }
                }
                #[inline(always)]
                unsafe fn reciprocal(a: Self::Vector) -> Self::Vector {
                    unsafe { Self::div(Self::splat(1.0), a) }
                }
                #[inline(always)]
                unsafe fn power_of_two(x: Self::Vector) -> (Self::Vector, Self::Vector) {
                    unsafe {
                        let n = $round::<0>(x);
                        (n, $power(n))
                    }
                }
                $exponentials!();
            }
        };
    }

    avx2! {
        f32, 8, mask_ps, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_cmp_ps, _mm256_blendv_ps, _mm256_andnot_ps,
        _mm256_round_ps, power_ps, single_exponentials, __m256, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        _mm256_fmadd_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_sqrt_ps, _mm256_max_ps,
        _mm256_min_ps
    }
    avx2! {
        f64, 4, mask_pd, _mm256_maskload_pd, _mm256_maskstore_pd, _mm256_cmp_pd, _mm256_blendv_pd, _mm256_andnot_pd,
        _mm256_round_pd, power_pd, double_exponentials, __m256d, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd,
        _mm256_fmadd_pd, _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd, _mm256_sqrt_pd, _mm256_max_pd,
        _mm256_min_pd
    }
}
