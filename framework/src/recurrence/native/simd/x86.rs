//! The vectors of x86-64 processors.

use super::{Factor, Outer, Simd, Terms, exponential_parts, product, rational_tanh};
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
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
        }
        #[inline(always)]
        fn kept(mut number: usize) -> usize {
            // No instruction at all.
            unsafe { std::arch::asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags)) };
            number
        }
        #[inline(always)]
        #[expect(clippy::pointers_in_nomem_asm_block, reason = "nothing at all is done, to memory neither")]
        fn kept_place(mut place: *const $real) -> *const $real {
            unsafe { std::arch::asm!("/* {0} */", inout(reg) place, options(pure, nomem, nostack, preserves_flags)) };
            place
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
            products!($real, "avx512f,avx2,fma");

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
                unsafe { $blend($compare::<_CMP_NLT_UQ>(Self::abs(x), least), Self::splat(0.0), x) }
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
            products!($real, "avx2,fma");

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
