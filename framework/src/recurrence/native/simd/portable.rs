//! Plain arrays, for any processor.

use super::{Factor, Outer, Real, Simd, Terms, exponential_parts, product, rational_tanh};

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
            products!($real);

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
