//! Kernels against the standard library and against the same loops in tensor operations.

use super::functions::{activate, slope};
use super::simd::{Real, Simd};
use super::*;
use crate::Stream;
use crate::recurrence::activation::ALL;
use crate::recurrence::{Folded, Folding, RateForm, Upstream};
use crate::tensors::{Tensors, values_f64};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Calls a generic function for a level and a kind of number, with the instructions switched on.
macro_rules! at_level {
    ($level:expr, $real:ty, $function:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn wide(f: impl FnOnce()) {
            f()
        }
        match $level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { wide(|| $function::<simd::Avx512<$real>>($($argument),*)) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { wide(|| $function::<simd::Avx2<$real>>($($argument),*)) },
            Level::Portable => $function::<Portable<$real>>($($argument),*),
        }
    }};
}

#[inline(always)]
fn apply<S: Simd>(f: Activation, from: &[S::Real], to: &mut [S::Real], slopes: &mut [S::Real]) {
    for start in (0..from.len()).step_by(S::LANES) {
        let count = S::LANES.min(from.len() - start);
        unsafe {
            let a = activate::<S>(f, S::load_part(from.as_ptr().add(start), count));
            S::store_part(to.as_mut_ptr().add(start), a, count);
            S::store_part(slopes.as_mut_ptr().add(start), slope::<S>(f, a), count);
        }
    }
}

#[test]
fn single_precision_functions_are_within_a_few_units_in_the_last_place() {
    let mut points: Vec<f32> = (-4000..=4000).map(|i| i as f32 * 0.005).collect();
    points.extend((-60..60).map(|e| 1.37f32 * 2f32.powi(e / 2 - 20)).flat_map(|x| [x, -x]));
    for level in Level::available() {
        for f in ALL {
            let (mut found, mut slopes) = (vec![0f32; points.len()], vec![0f32; points.len()]);
            at_level!(level, f32, apply(f, &points, &mut found, &mut slopes));
            for ((x, a), slope) in points.iter().zip(&found).zip(&slopes) {
                let exact = f.scalar(f64::from(*x));
                // Five units in the last place; below 1e-30 nothing is asked for.
                let allowed = 5.0 * f64::from(f32::EPSILON) / 2.0 * exact.abs() + 1e-30;
                assert!((f64::from(*a) - exact).abs() <= allowed, "{level:?} {f:?} at {x}: {a} for {exact}");
                let from_value = values_f64(&f.slope(&Tensor::from_slice(&[f64::from(*a)])))[0];
                // Slopes like 1 - a^2 cancel, so they are good to the precision of 1.
                assert!((f64::from(*slope) - from_value).abs() < 5e-7 * (1.0 + from_value), "{level:?} {f:?} at {x}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so_and_infinities_saturate() {
    let points = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
    for level in Level::available() {
        for f in ALL {
            let (mut found, mut slopes) = ([0f32; 5], [0f32; 5]);
            at_level!(level, f32, apply(f, &points, &mut found, &mut slopes));
            assert!(found[0].is_nan(), "{level:?} {f:?}: {found:?}");
            let expected: Vec<f32> = points.iter().map(|x| f.scalar(f64::from(*x)) as f32).collect();
            for (a, exact) in found.iter().zip(&expected).skip(1) {
                let near = (a - exact).abs() <= 1e-6 * exact.abs() + 1e-30;
                assert!(a == exact || near, "{level:?} {f:?}: {found:?} for {expected:?}");
            }
        }
    }
}

/// What a step is made of, with random numbers.
fn folded(form: &RateForm, (time, rows, units): (i64, i64, i64), leaks: i64, kind: Kind, learned: bool) -> Folded {
    let mut stream = Stream::new(9).child("kernels").at(units as u64);
    let mut draw = |shape: &[i64], low: f64, high: f64| stream.uniform_tensor(shape, low, high, kind, Device::Cpu);
    let scale = 1.5 / (units as f64).sqrt();
    let prepared = Tensors::from([
        (crate::recurrence::RECURRENT, draw(&[units, units], -scale, scale)),
        (crate::recurrence::LEAK, draw(&[leaks], 0.2, 0.9).set_requires_grad(learned)),
    ]);
    let folding = Folding::new(form, &prepared).expect("complete").leaves();
    Folded::new(&folding, &draw(&[time, rows, units], -0.8, 0.8)).expect("shapes fit")
}

fn largest_gap(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    if a.numel() == 0 {
        return 0.0;
    }
    let scale = b.abs().max().double_value(&[]).max(1e-3);
    (a - b).abs().max().double_value(&[]) / scale
}

/// Forward and backward at every level, against tensor operations; the largest relative gap of any result.
fn gap(form: &RateForm, shape: (i64, i64, i64), leaks: i64, kind: Kind, window: Option<usize>, every: bool) -> f64 {
    let mut folded = folded(form, shape, leaks, kind, true);
    let (time, rows, units) = shape;
    let mut stream = Stream::new(4).child("upstream");
    let mut draw = |shape: &[i64]| stream.uniform_tensor(shape, 0.1, 1.0, kind, Device::Cpu);
    let initial = draw(&[rows, units]);
    let upstream =
        if every { Upstream::Every(draw(&[time + 1, rows, units])) } else { Upstream::Final(draw(&[rows, units])) };
    tch::no_grad(|| {
        let expected = folded.forward_by_tensors(&initial).expect("forward");
        let swept = folded.backward_by_tensors(&expected, &upstream, window).expect("backward");
        let mut worst = 0f64;
        for level in Level::available() {
            folded.folding.packed = Some(Arc::new(folded.folding.packed(level, true).expect("packs")));
            let found = folded.forward_by_kernels(&initial).expect("forward");
            // The same forward pass for both, so that only the backward pass is compared.
            let back = folded.backward_by_kernels(&expected, &upstream, window).expect("backward");
            let mut pairs = vec![
                (found.states, expected.states.shallow_clone()),
                (found.activated, expected.activated.shallow_clone()),
                (back.deltas, swept.deltas.shallow_clone()),
                (back.initial, swept.initial.shallow_clone()),
            ];
            assert_eq!(back.leak.is_some(), swept.leak.is_some());
            if let (Some((a, b)), Some((c, d))) = (back.leak, &swept.leak) {
                pairs.extend([(a, c.shallow_clone()), (b, d.shallow_clone())]);
            }
            for (found, expected) in &pairs {
                let gap = largest_gap(found, expected);
                assert!(gap.is_finite(), "{level:?} {form:?} {shape:?}");
                worst = worst.max(gap);
            }
        }
        worst
    })
}

const PLACEMENTS: [Placement; 3] = [Placement::Drive, Placement::Whole, Placement::Current];

fn form(placement: Placement, activation: Activation) -> RateForm {
    RateForm { placement, activation, state: "r".into() }
}

#[test]
fn both_passes_equal_tensor_operations_for_every_form() {
    for placement in PLACEMENTS {
        for activation in ALL {
            let form = form(placement, activation);
            for leaks in [1, 7] {
                // Sums in another order: rounding of double precision, grown over a few steps.
                let gap = gap(&form, (5, 3, 7), leaks, Kind::Double, None, leaks == 1);
                assert!(gap < 1e-12, "{form:?}: {gap}");
            }
        }
    }
}

#[test]
fn odd_sizes_windows_and_both_upstreams_agree() {
    let shapes = [(1, 1, 1), (4, 1, 7), (3, 65, 50), (7, 13, 130), (2, 9, 97)];
    for shape in shapes {
        for placement in PLACEMENTS {
            for (window, every) in [(None, true), (Some(3), true), (Some(2), false), (Some(1), true)] {
                let form = form(placement, Activation::Tanh);
                let double = gap(&form, shape, shape.2, Kind::Double, window, every);
                assert!(double < 1e-11, "{form:?} {shape:?} {window:?}: {double}");
                let single = gap(&form, shape, 1, Kind::Float, window, every);
                assert!(single < 2e-5, "{form:?} {shape:?} {window:?}: {single}");
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_the_rows_beside_them() {
    let (time, units) = (6, 33);
    let form = form(Placement::Drive, Activation::Tanh);
    let all = folded(&form, (time, 11, units), 1, Kind::Float, false);
    let run = all.forward(&Tensor::zeros([11, units], (Kind::Float, Device::Cpu))).expect("forward");
    for row in [0, 7, 10] {
        let mut one = folded(&form, (time, 11, units), 1, Kind::Float, false);
        one.input = one.input.narrow(1, row, 1).contiguous();
        let alone = one.forward(&Tensor::zeros([1, units], (Kind::Float, Device::Cpu))).expect("forward");
        assert!(alone.states.equal(&run.states.narrow(1, row, 1)), "row {row}");
    }
}

#[test]
fn what_fades_becomes_zero_before_it_is_subnormal() {
    let form = form(Placement::Drive, Activation::Identity);
    let mut folded = folded(&form, (3000, 2, 5), 1, Kind::Float, false);
    folded.input = folded.input.zeros_like();
    folded.folding.weight = folded.folding.weight.zeros_like();
    let run = folded.forward(&Tensor::ones([2, 5], (Kind::Float, Device::Cpu))).expect("forward");
    let values = values_f64(&run.states);
    assert!(values.iter().all(|x| *x == 0.0 || x.abs() >= f64::from(f32::VANISHED)));
    assert_eq!(values.last(), Some(&0.0));
}
