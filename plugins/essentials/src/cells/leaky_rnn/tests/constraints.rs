//! Masked and signed weights, clamped units and populations.

use super::*;

#[test]
fn a_zeroed_diagonal_gets_the_gradient_at_zero_and_a_masked_one_none() {
    let gradient = |self_connections, clear: bool| {
        let network = testing::network(&LeakyRnn { self_connections, ..small() }, &Probe::default());
        if clear {
            let mut weight = network.parameters.get("recurrent.weight").expect("there").shallow_clone();
            drop(no_grad(|| weight.fill_diagonal_(0.0, false)));
        }
        Bench::new(&Probe::default()).gradient(&network, 3, None).gradients
    };
    let expected = gradient(SelfConnections::Allowed, true);
    assert_close(&gradient(SelfConnections::Zeroed, false), &expected, 1e-13, "zeroed");
    let masked = gradient(SelfConnections::Masked, false);
    let weight = masked.get("recurrent.weight").expect("there");
    assert_eq!(values_f64(&weight.diagonal(0, 0, 1)), [0.0; 6]);
    assert_eq!(values_f64(&expected.get("recurrent.weight").expect("there").triu(1)), values_f64(&weight.triu(1)));
}

fn recurrent_of(cell: &LeakyRnn) -> Tensor {
    let network = testing::network(cell, &Probe::default());
    let setting = Setting { dt_ms: Some(20.0), ..Setting::default() };
    network.dynamics.prepare(&network.parameters, &setting).expect("prepares").get(RECURRENT).expect("there").copy()
}

#[test]
fn constraints_hold_for_the_effective_weights() {
    let hidden = 200;
    let normal = Recurrent { start: RecurrentStart::Normal, gain: 1.5, density: 0.25, ..Recurrent::default() };
    let sparse = recurrent_of(&LeakyRnn { hidden, recurrent: normal, ..LeakyRnn::default() });
    let fraction = sparse.ne(0.0).to_kind(Kind::Double).mean(None::<Kind>).double_value(&[]);
    // four standard errors: sqrt(0.25 0.75 / 40000)
    assert!((fraction - 0.25).abs() < 0.009, "{fraction}");
    // N density sigma^2 = gain^2; the sum of squares of 10000 normals is good to 1.4 %, four of them
    let norm = sparse.square().sum(None::<Kind>).double_value(&[]) / hidden as f64;
    assert!((norm / (1.5 * 1.5) - 1.0).abs() < 0.06, "{norm}");

    let dale = Some(Dale { excitatory_fraction: 0.75, ..Dale::default() });
    let signed = recurrent_of(&LeakyRnn { hidden, dale, ..LeakyRnn::default() });
    assert!(signed.narrow(1, 0, 150).ge(0.0).all().int64_value(&[]) == 1);
    assert!(signed.narrow(1, 150, 50).le(0.0).all().int64_value(&[]) == 1);
    // the mean of 200 rows, each a sum of 200 terms of size at most 0.2
    let total = signed.sum(None::<Kind>).double_value(&[]) / signed.abs().sum(None::<Kind>).double_value(&[]);
    assert!(total.abs() < 0.02, "{total}");

    let low = recurrent_of(&LeakyRnn { hidden: 30, rank: Some(3), ..LeakyRnn::default() });
    assert_eq!(low.linalg_matrix_rank(1e-10, false).int64_value(&[]), 3);

    let orthogonal = Recurrent { start: RecurrentStart::Orthogonal, gain: 0.7, ..Recurrent::default() };
    let weight = recurrent_of(&LeakyRnn { hidden: 30, recurrent: orthogonal, ..LeakyRnn::default() });
    let gap = weight.matmul(&weight.tr()) - Tensor::eye(30, (Kind::Double, Device::Cpu)) * 0.49;
    assert!(gap.abs().max().double_value(&[]) < 1e-13);
}

/// The layout of published networks: two fifths receive the input, the next two are read, the last fifth is faster.
#[test]
fn populations_receive_are_read_and_leak_by_themselves() {
    let span = |from, to| Some(Span { from, to });
    let cell = LeakyRnn {
        hidden: 10,
        time_constants: TimeConstants {
            low: 20.0,
            high: 20.0,
            last: Some(LastUnits { fraction: 0.2, low: 10.0, high: 10.0 }),
            ..TimeConstants::default()
        },
        input: Input { start: InputStart::UnitNormal, bias_deviation: 1.0, units: span(0.0, 0.4), ..Input::default() },
        heads: Heads { units: span(0.4, 0.8), deviation: Some(1.0), bias: false },
        ..LeakyRnn::default()
    };
    let probe = Probe::default();
    let (bench, mut network) = (Bench::new(&probe), testing::network(&cell, &probe));
    assert!(!network.names().contains(&"head.0.bias".to_string()));
    let tau = values_f64(network.parameters.get("time_constants").expect("there"));
    assert_eq!(tau, [[20.0; 8].as_slice(), &[10.0; 2]].concat());
    let lively = |t: &Tensor, axis: i64| -> Vec<bool> {
        let sums = t.abs().sum_dim_intlist(axis, false, None::<Kind>);
        values_f64(&sums).iter().map(|sum| *sum > 0.0).collect()
    };
    let units = |range: std::ops::Range<usize>| -> Vec<bool> { (0..10).map(|unit| range.contains(&unit)).collect() };
    // What the others have is neither used nor learned, even where it is not 0.
    for name in ["input.weight", "head.0.weight"] {
        let (axis, own) = if name == "input.weight" { (1, units(0..4)) } else { (0, units(4..8)) };
        let weight = network.parameters.get(name).expect("there").copy();
        assert_eq!(lively(&weight, axis), own, "{name}");
        let before = bench.rollout().play(&network, &bench.trials(3), synfire::rollout::Record::Rates).expect("plays");
        let shifted = Tensor::from_slice(&own.iter().map(|own| f64::from(u8::from(!own))).collect::<Vec<_>>());
        let shifted = if axis == 1 { shifted.unsqueeze(1) } else { shifted };
        network.parameters.insert(name, &weight + shifted);
        let after = bench.rollout().play(&network, &bench.trials(3), synfire::rollout::Record::Rates).expect("plays");
        assert_eq!(values_f64(&before.outputs[0]), values_f64(&after.outputs[0]));
        let gradient = bench.gradient(&network, 3, None).gradients;
        assert_eq!(lively(gradient.get(name).expect("there"), axis), own, "{name}");
    }
    assert!(!cell.provides(&synfire::Registry::linked().expect("links")).contains(&Property::LinearReadout));
    let wrong = LeakyRnn { heads: Heads { units: span(0.41, 0.44), ..Heads::default() }, ..cell };
    assert!(testing::problems(&wrong).contains("cell.heads.units.to is 0.44"), "{}", testing::problems(&wrong));
}

#[test]
fn clamped_units_offsets_and_heads_that_read_states_are_what_they_say() {
    for placement in [Placement::Drive, Placement::Current] {
        let cell = LeakyRnn {
            placement,
            rate_offset: 1.0,
            reads: Reads::State,
            clamped: vec![(1, 1.0), (4, -0.5)],
            initial_state: InitialState { deviation: 0.3, ..InitialState::default() },
            ..small()
        };
        for probe in Probe::kinds() {
            testing::adjoint_is_autograd(&cell, &probe, 3, None);
        }
        let probe = Probe { segments: 1, ..Probe::default() };
        let (bench, network) = (Bench::new(&probe), testing::network(&cell, &probe));
        let traced = bench.rollout().trace(&network, &bench.trials(40), None).expect("plays");
        let states = traced.states.get(ACTIVITY).expect("there");
        let (time, unit) = (states.size()[0], |i: i64| states.select(2, i));
        assert!(values_f64(&unit(1)).iter().all(|v| *v == 1.0) && values_f64(&unit(4)).iter().all(|v| *v == -0.5));
        assert!(values_f64(&unit(0).get(time - 1)) != values_f64(&unit(0).get(0)));
        // 160 normal numbers of the free units: five standard errors of a standard deviation
        let first = Tensor::cat(&[0, 2, 3, 5].map(|i| unit(i).get(0)), 0);
        assert!((first.std(true).double_value(&[]) - 0.3).abs() < 5.0 * 0.3 / 320f64.sqrt(), "{first}");
        // Without the offset, with the sum of the incoming weights as a bias more.
        let plain = LeakyRnn { rate_offset: 0.0, ..cell.clone() };
        let mut biased = testing::network(&plain, &probe);
        biased.parameters = network.parameters.copy();
        let sums =
            network.parameters.get("recurrent.weight").expect("there").sum_dim_intlist(1i64, false, None::<Kind>);
        let bias = network.parameters.get("input.bias").expect("there") + sums;
        biased.parameters.insert("input.bias", bias);
        let again = bench.rollout().trace(&biased, &bench.trials(40), None).expect("plays");
        let gap = (again.states.get(ACTIVITY).expect("there") - states).abs().max().double_value(&[]);
        assert!(gap < 1e-12, "{gap:e}");
        // What heads read are the states themselves.
        let read = network.dynamics.rates(&traced.states).expect("there");
        assert_eq!(values_f64(&read), values_f64(states));
    }
    let text = testing::problems(&LeakyRnn { clamped: vec![(6, 1.0)], ..small() });
    assert!(text.contains("cell.clamped[0] is [6, 1]"), "{text}");
    let text = testing::problems(&LeakyRnn { clamped: vec![(2, 1.0)], ..small() });
    assert!(text.is_empty() || small().placement == Placement::Whole, "{text}");
}
