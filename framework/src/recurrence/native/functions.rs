//! Non-linearities and their slopes, a vector at a time.

use super::super::activation::{CEILING, LEAK, THRESHOLD};
use super::simd::{Real, Simd};
use crate::recurrence::Activation;

#[inline(always)]
unsafe fn constant<S: Simd>(x: f64) -> S::Vector {
    unsafe { S::splat(S::Real::from_f64(x)) }
}

/// `f(z)`
#[inline(always)]
pub(super) unsafe fn activate<S: Simd>(f: Activation, z: S::Vector) -> S::Vector {
    unsafe {
        let zero = constant::<S>(0.0);
        match f {
            Activation::Tanh => S::tanh(z),
            Activation::Relu => S::max(zero, z),
            Activation::LeakyRelu => S::where_positive(z, z, S::mul(z, constant::<S>(LEAK))),
            Activation::Sigmoid => {
                let one = constant::<S>(1.0);
                S::reciprocal(S::add(one, S::exp(S::sub(zero, z))))
            }
            Activation::Softplus => S::add(S::max(zero, z), ln_1p_exp::<S>(S::sub(zero, S::abs(z)))),
            Activation::Retanh => S::max(zero, S::tanh(z)),
            Activation::PowerLaw => {
                let above = S::max(zero, z);
                S::mul(above, above)
            }
            Activation::Saturating => S::min(constant::<S>(CEILING), S::max(zero, S::add(z, constant::<S>(THRESHOLD)))),
            Activation::Identity => z,
        }
    }
}

/// `f'(z)` from `a = f(z)`
#[inline(always)]
pub(super) unsafe fn slope<S: Simd>(f: Activation, a: S::Vector) -> S::Vector {
    unsafe {
        let (zero, one) = (constant::<S>(0.0), constant::<S>(1.0));
        let of_tanh = || S::sub(one, S::mul(a, a));
        match f {
            Activation::Tanh => of_tanh(),
            Activation::Relu => S::where_positive(a, one, zero),
            Activation::LeakyRelu => S::where_positive(a, one, constant::<S>(LEAK)),
            Activation::Sigmoid => S::mul(a, S::sub(one, a)),
            Activation::Softplus => S::sub(zero, S::exp_m1(S::sub(zero, a))),
            Activation::Retanh => S::where_positive(a, of_tanh(), zero),
            Activation::PowerLaw => S::mul(S::sqrt(a), constant::<S>(2.0)),
            Activation::Saturating => {
                let below = S::where_positive(S::sub(constant::<S>(CEILING), a), one, zero);
                S::where_positive(a, below, zero)
            }
            Activation::Identity => one,
        }
    }
}

/// `ln(1 + exp x)` for `x <= 0`: with `y = exp x`, twice the series of `artanh(y / (2 + y))`.
#[inline(always)]
unsafe fn ln_1p_exp<S: Simd>(x: S::Vector) -> S::Vector {
    unsafe {
        let y = S::exp(x);
        let s = S::div(y, S::add(y, constant::<S>(2.0)));
        let square = S::mul(s, s);
        let mut sum = constant::<S>(0.0);
        for k in (0..S::Real::SERIES).rev() {
            sum = S::fma(sum, square, constant::<S>(2.0 / (2 * k + 1) as f64));
        }
        S::mul(sum, s)
    }
}
