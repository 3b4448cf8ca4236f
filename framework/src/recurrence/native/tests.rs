//! Kernels against the standard library and against the same loops in tensor operations.

use super::functions::{activate, slope};
use super::simd::{Real, Simd};
use super::*;
use crate::Stream;
use crate::recurrence::activation::ALL;
use crate::recurrence::folded::Weights;
use crate::recurrence::{Folded, Folding, RateForm, Read, Upstream};
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
                // Four units in the last place; below 1e-30 nothing is asked for.
                let allowed = 4.0 * f64::from(f32::EPSILON) * exact.abs() + 1e-30;
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

/// What a step is made of.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// Steps, rows, units.
    shape: (i64, i64, i64),
    /// How many leaks there are, and whether they are learned.
    leaks: i64,
    learned: bool,
    /// Channels, where the input is linear, and whether something is added to it.
    channels: Option<i64>,
    added: bool,
    /// Outputs of the heads.
    outputs: i64,
    kind: Kind,
}

impl Made {
    fn new(shape: (i64, i64, i64), kind: Kind) -> Self {
        Self { shape, leaks: 1, learned: true, channels: None, added: true, outputs: 3, kind }
    }

    /// With random numbers.
    fn folded(self, form: &RateForm) -> Folded {
        let (time, rows, units) = self.shape;
        let mut stream = Stream::new(9).child("kernels").at(units as u64);
        let mut draw =
            |shape: &[i64], low: f64, high: f64| stream.uniform_tensor(shape, low, high, self.kind, Device::Cpu);
        let scale = 1.5 / (units as f64).sqrt();
        let mut prepared = Tensors::from([
            (crate::recurrence::RECURRENT, draw(&[units, units], -scale, scale).set_requires_grad(true)),
            (crate::recurrence::LEAK, draw(&[self.leaks], 0.2, 0.9).set_requires_grad(self.learned)),
        ]);
        let mut inputs = None;
        if let Some(channels) = self.channels {
            prepared.insert(crate::recurrence::INPUT, draw(&[units, channels], -0.5, 0.5));
            prepared.insert(crate::recurrence::BIAS, draw(&[units], -0.3, 0.3));
            inputs = Some(draw(&[time, rows, channels], -1.0, 1.0));
        }
        let added = self.added.then(|| draw(&[time, rows, units], -0.8, 0.8));
        let heads = [&[self.outputs, units][..], &[self.outputs]].map(|shape| draw(shape, -scale, scale));
        let [weight, bias] = heads.map(|t| t.set_requires_grad(true));
        let read = Read { weight, bias: Some(bias) };
        let form = RateForm { linear_input: self.channels.is_some(), ..form.clone() };
        let folding = Folding::new(&form, &prepared, Some(read)).expect("complete").leaves();
        let mut folded = Folded::new(&folding, inputs.as_ref(), added.as_ref()).expect("shapes fit");
        // Wanted, as where noise depends on what is learned.
        folded.added = folded.added.map(|added| added.detach().set_requires_grad(true));
        folded
    }
}

/// What the loss depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Final,
    Every,
    Said,
    SaidAtTheEnd,
    All,
}

impl Loss {
    fn upstream(self, made: Made) -> Upstream {
        let (time, rows, units) = made.shape;
        let mut stream = Stream::new(4).child("upstream");
        let mut draw = |shape: &[i64]| stream.uniform_tensor(shape, 0.1, 1.0, made.kind, Device::Cpu);
        let (last, every) = (draw(&[rows, units]), draw(&[time + 1, rows, units]));
        let (said, once) = (draw(&[time, rows, made.outputs]), draw(&[1, rows, made.outputs]));
        match self {
            Self::Final => Upstream { last: Some(last), ..Upstream::default() },
            Self::Every => Upstream { every: Some(every), ..Upstream::default() },
            Self::Said => Upstream { said: Some(said), ..Upstream::default() },
            Self::SaidAtTheEnd => Upstream { said: Some(once), ..Upstream::default() },
            Self::All => Upstream { last: Some(last), every: Some(every), said: Some(said) },
        }
    }
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
fn gap(form: &RateForm, made: Made, window: Option<usize>, loss: Loss) -> f64 {
    let mut folded = made.folded(form);
    let (time, rows, units) = made.shape;
    let mut stream = Stream::new(5).child("initial");
    let initial = stream.uniform_tensor(&[rows, units], 0.1, 1.0, made.kind, Device::Cpu);
    let upstream = loss.upstream(made);
    let workers = Workers::new(2).expect("threads");
    tch::no_grad(|| {
        let expected = folded.forward_by_tensors(&initial).expect("forward");
        let swept = folded.backward_by_tensors(&expected, &upstream, window).expect("backward");
        let mut worst = 0f64;
        for level in Level::available() {
            folded.folding.packed = Some(Arc::new(folded.folding.packed(level, true, &workers).expect("packs")));
            let found = folded.forward_by_kernels(&initial).expect("forward");
            let last = folded.last_by_kernels(&initial).expect("forward");
            assert!(last.equal(&found.states.select(0, time)), "{level:?} {form:?} {made:?}");
            // The same forward pass for both, so that only the backward pass is compared.
            let back = folded.backward_by_kernels(&expected, &upstream, window).expect("backward");
            let mut pairs = vec![
                (found.states, expected.states.shallow_clone()),
                (found.activated, expected.activated.shallow_clone()),
                (back.initial, swept.initial.shallow_clone()),
            ];
            assert_eq!(back.leak.is_some(), swept.leak.is_some());
            if let (Some((a, b)), Some((c, d))) = (back.leak, &swept.leak) {
                pairs.extend([(a, c.shallow_clone()), (b, d.shallow_clone())]);
            }
            assert_eq!(back.deltas.is_some(), made.added);
            if let (Some(a), Some(b)) = (back.deltas, &swept.deltas) {
                pairs.push((a, b.shallow_clone()));
            }
            let (Some(Weights::Summed(sums)), Some(Weights::Apart(weight, input, bias))) =
                (back.weights, &swept.weights)
            else {
                panic!("{level:?} {form:?} {made:?}: weights are learned");
            };
            let counted = pairs.len();
            let mut weights = folded.folding.unpack(&sums, &workers).expect("laid out");
            pairs.push((weights.remove("weight").expect("there"), weight.shallow_clone()));
            for (name, expected) in [("input", input), ("bias", bias)] {
                pairs.extend(weights.remove(name).map(|found| (found, expected.shallow_clone())));
            }
            let (said, readout) = (upstream.said.as_ref(), folded.folding.readout.as_ref().expect("heads"));
            let first = time - said.map_or(time, |said| said.size()[0]);
            let rates = folded.rates(&expected, first).expect("rates");
            let answers = rates.linear(readout, folded.folding.readout_bias.as_ref());
            pairs.push((folded.read(&expected, first).expect("reads"), answers.shallow_clone()));
            let said = said.map_or(answers.zeros_like(), Tensor::shallow_clone).reshape([-1, made.outputs]);
            let of_weight = said.transpose(0, 1).mm(&rates.reshape([-1, units]));
            pairs.push((weights.remove("readout").expect("there"), of_weight));
            pairs.push((
                weights.remove("readout_bias").expect("there"),
                said.sum_dim_intlist(0i64, false, None::<Kind>),
            ));
            assert_eq!(weights.names().count(), 0);
            assert_eq!(pairs.len() - counted, if made.channels.is_some() { 6 } else { 4 });
            for (found, expected) in &pairs {
                let gap = largest_gap(found, expected);
                assert!(gap.is_finite(), "{level:?} {form:?} {made:?}");
                worst = worst.max(gap);
            }
        }
        worst
    })
}

const PLACEMENTS: [Placement; 3] = [Placement::Drive, Placement::Whole, Placement::Current];

fn form(placement: Placement, activation: Activation) -> RateForm {
    RateForm { placement, activation, state: "r".into(), linear_input: false, mixing: None, reads_state: false }
}

#[test]
fn both_passes_equal_tensor_operations_for_every_form() {
    for placement in PLACEMENTS {
        for activation in ALL {
            let form = form(placement, activation);
            for leaks in [1, 7] {
                for loss in [Loss::Final, Loss::Every, Loss::Said, Loss::SaidAtTheEnd, Loss::All] {
                    let channels = (loss != Loss::Every).then_some(2);
                    let added = channels.is_none() || loss == Loss::All;
                    let made = Made { leaks, channels, added, ..Made::new((5, 3, 7), Kind::Double) };
                    // Sums in another order: rounding of double precision, grown over a few steps.
                    let gap = gap(&form, made, None, loss);
                    assert!(gap < 1e-12, "{form:?} {made:?} {loss:?}: {gap}");
                }
            }
        }
    }
}

#[test]
fn odd_sizes_windows_and_both_upstreams_agree() {
    let shapes = [(1, 1, 1), (4, 1, 7), (3, 65, 50), (7, 13, 130), (2, 9, 97)];
    for shape in shapes {
        for placement in PLACEMENTS {
            for (window, loss) in
                [(None, Loss::Every), (Some(3), Loss::All), (Some(2), Loss::Final), (Some(1), Loss::Said)]
            {
                let form = form(placement, Activation::Tanh);
                let made = Made { channels: Some(17), ..Made::new(shape, Kind::Double) };
                let double = gap(&form, Made { leaks: shape.2, ..made }, window, loss);
                assert!(double < 1e-11, "{form:?} {shape:?} {window:?}: {double}");
                let single = gap(&form, Made { kind: Kind::Float, ..made }, window, loss);
                assert!(single < 2e-5, "{form:?} {shape:?} {window:?}: {single}");
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_the_rows_beside_them() {
    let form = form(Placement::Drive, Activation::Tanh);
    let made = Made { channels: Some(2), ..Made::new((6, 11, 33), Kind::Float) };
    let zeros = |rows: i64| Tensor::zeros([rows, 33], (Kind::Float, Device::Cpu));
    let all = made.folded(&form);
    let run = all.forward(&zeros(11)).expect("forward");
    for row in [0, 7, 10] {
        let part = |t: &Option<Tensor>| t.as_ref().map(|t| t.narrow(1, row, 1).contiguous());
        let one = Folded::new(&all.folding, part(&all.inputs).as_ref(), part(&all.added).as_ref()).expect("fits");
        let alone = one.forward(&zeros(1)).expect("forward");
        assert!(alone.states.equal(&run.states.narrow(1, row, 1)), "row {row}");
    }
}

#[test]
fn what_fades_becomes_zero_before_it_is_subnormal() {
    let form = form(Placement::Drive, Activation::Identity);
    let mut folded = Made::new((3000, 2, 5), Kind::Float).folded(&form);
    folded.added = folded.added.map(|added| added.zeros_like());
    folded.folding.weight = folded.folding.weight.zeros_like();
    let run = folded.forward(&Tensor::ones([2, 5], (Kind::Float, Device::Cpu))).expect("forward");
    let values = values_f64(&run.states);
    assert!(values.iter().all(|x| *x == 0.0 || x.abs() >= f64::from(f32::VANISHED)));
    assert_eq!(values.last(), Some(&0.0));
}
