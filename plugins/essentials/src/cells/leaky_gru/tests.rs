use super::*;
use crate::cells::testing::{self, Bench, Probe};
use crate::cells::{Gru, leaky_rnn::NoiseKind};
use synfire::rollout::Record;
use synfire::tensors::values_f64;

const RESETS: [ResetGate; 3] = [ResetGate::AfterProduct, ResetGate::BeforeProduct, ResetGate::None];

fn times(low: f64, high: f64, trainable: bool) -> TimeConstants {
    TimeConstants { low, high, trainable, ..TimeConstants::default() }
}

#[test]
fn the_explicit_adjoint_is_the_gradient() {
    for reset in RESETS {
        for (activation, probe) in [Activation::Tanh, Activation::Softplus, Activation::LeakyRelu, Activation::Relu]
            .into_iter()
            .zip(Probe::kinds())
        {
            let cell = LeakyGru { hidden: 7, activation, reset, ..LeakyGru::default() };
            testing::adjoint_is_autograd(&cell, &probe, 67, None);
            let learned = LeakyGru { time_constants: times(2.0, 6.0, true), ..cell.clone() };
            testing::adjoint_is_autograd(&learned, &Probe { time: 13, ..probe.clone() }, 2, Some(5));
            let noise = Noise { sigma: 0.3, kind: NoiseKind::Continuous, ..Noise::default() };
            testing::adjoint_is_autograd(&LeakyGru { noise, ..cell }, &probe, 5, None);
            let shared = TimeConstants { shared: true, ..times(2.0, 6.0, true) };
            testing::adjoint_is_autograd(&LeakyGru { time_constants: shared, ..learned }, &probe, 40, None);
        }
    }
}

#[test]
fn gradients_meet_finite_differences() {
    for reset in RESETS {
        let cell = LeakyGru { hidden: 5, reset, time_constants: times(2.0, 6.0, true), ..LeakyGru::default() };
        for probe in Probe::kinds() {
            testing::gradient_meets_differences(&cell, &probe);
        }
    }
}

#[test]
fn bytes_depend_on_the_seed_and_not_on_the_threads() {
    let noise = Noise { sigma: 0.1, ..Noise::default() };
    testing::bytes_depend_on_the_seed_alone(&LeakyGru { hidden: 20, noise, ..LeakyGru::default() });
}

#[test]
fn a_drive_adds_to_the_input_of_the_candidate() {
    for reset in RESETS {
        let block = if reset == ResetGate::None { 1 } else { 2 };
        testing::drive_is_an_input_bias(&LeakyGru { hidden: 4, reset, ..LeakyGru::default() }, block);
    }
}

/// Without a leak it is the gated recurrent unit, whose update gate keeps what ours gives up; that one is checked against PyTorch.
#[test]
fn without_a_leak_it_is_a_gated_recurrent_unit() {
    let probe = Probe::default();
    let mut ours = testing::network(
        &LeakyGru { hidden: 6, time_constants: times(1.0, 1.0, false), ..LeakyGru::default() },
        &probe,
    );
    let other = testing::network(&Gru { hidden: 6 }, &probe);
    for (name, value) in other.parameters.iter() {
        let value = value.copy();
        if name.starts_with("input.") || name.starts_with("recurrent.") {
            drop(value.narrow(0, 6, 6).neg_());
        }
        ours.parameters.insert(name, value);
    }
    for fast in [true, false] {
        let bench = Bench { fast, ..Bench::new(&probe) };
        let play = |network| bench.rollout().play(network, &bench.trials(5), Record::Rates).expect("plays");
        let gap = (play(&ours).rates.expect("kept") - play(&other).rates.expect("kept")).abs().max();
        // some tens of operations in double precision
        assert!(gap.double_value(&[]) < 1e-13, "fast {fast}: {gap:?}");
    }
}

#[test]
fn the_step_is_made_of_its_gates() {
    for reset in RESETS {
        // h' = (1 - alpha u) h + alpha u c from a state of 0.4, without input; tau = 4 steps.
        let cell = LeakyGru { hidden: 5, reset, time_constants: times(4.0, 4.0, false), ..LeakyGru::default() };
        let [state, next, gates, prepared] = testing::step_and_gates(&cell, |state| {
            state.insert(HIDDEN, state.get(HIDDEN).expect("there") * 0.0 + 0.4);
        });
        let before = state.get(HIDDEN).expect("there");
        let (weight, bias) = (prepared.get(RECURRENT_WEIGHT).expect("there"), prepared.get(BIAS).expect("there"));
        let last = if reset == ResetGate::None { 5 } else { 10 };
        let (weight, bias) = (weight.narrow(1, last, 5), bias.narrow(0, last, 5));
        let candidate = match reset {
            ResetGate::None => before.matmul(&weight) + bias,
            ResetGate::BeforeProduct => (gates.get(RESET_GATE).expect("a gate") * before).matmul(&weight) + bias,
            ResetGate::AfterProduct => {
                let from_units = before.matmul(&weight) + prepared.get(CANDIDATE_BIAS).expect("there");
                gates.get(RESET_GATE).expect("a gate") * from_units + bias
            }
        }
        .tanh();
        let open: Tensor = gates.get(UPDATE_GATE).expect("a gate") * 0.25;
        let expected = before + &open * (candidate - before);
        let gap = (next.get(HIDDEN).expect("there") - expected).abs().max().double_value(&[]);
        // a few operations in double precision
        assert!(gap < 1e-14, "{reset:?}: {gap}");
    }
}

#[test]
fn weights_start_where_they_should() {
    let cell = LeakyGru { hidden: 40, weights: WeightStart::GlorotUniform, gate_bias: 1.0, ..LeakyGru::default() };
    let network = testing::network(&cell, &Probe::default());
    let rows = |name: &str, from: i64, count: i64| {
        values_f64(&network.parameters.get(name).expect("there").narrow(0, from, count).reshape([-1]))
    };
    // 3 channels and 40 units in; 80 gates, or 40 candidates, out.
    for (from, count, bound) in [(0, 80, (6.0f64 / 123.0).sqrt()), (80, 40, (6.0f64 / 83.0).sqrt())] {
        for name in [INPUT_WEIGHT, RECURRENT_WEIGHT] {
            let largest = rows(name, from, count).into_iter().map(f64::abs).fold(0.0, f64::max);
            assert!(largest <= bound && largest > 0.9 * bound, "{name}: {largest} of {bound}");
        }
    }
    assert!(rows(INPUT_BIAS, 0, 80).iter().all(|b| *b == 1.0) && rows(INPUT_BIAS, 80, 40).iter().all(|b| *b == 0.0));
    assert!(rows(RECURRENT_BIAS, 0, 120).iter().all(|b| *b == 0.0));
}

#[test]
fn wrong_options_are_named() {
    let wrong = LeakyGru { hidden: 0, gate_bias: f64::NAN, ..LeakyGru::default() };
    let problems = testing::problems(&wrong);
    for field in ["hidden", "gate_bias"] {
        assert!(problems.contains(field), "{problems}");
    }
}
