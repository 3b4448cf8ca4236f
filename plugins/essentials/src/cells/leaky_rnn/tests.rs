use super::*;
use crate::cells::testing::{self, Bench, Probe, assert_close};
use synfire::Lesson;
use synfire::cell::{Mode, Setting};
use synfire::recurrence::RECURRENT;
use synfire::task::Answer;
use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::workers::Workers;

fn small() -> LeakyRnn {
    let time_constants = TimeConstants { low: 1.5, high: 4.0, trainable: true, ..TimeConstants::default() };
    LeakyRnn {
        hidden: 6,
        time_constants,
        initial_state: InitialState { high: 0.5, ..Default::default() },
        ..LeakyRnn::default()
    }
}

/// The published cell of growing memory tasks.
fn published(placement: Placement) -> LeakyRnn {
    LeakyRnn {
        hidden: 4,
        placement,
        activation: Activation::LeakyRelu,
        time_constants: TimeConstants { low: 1.0, high: 2.0, trainable: true, ..TimeConstants::default() },
        self_connections: SelfConnections::Zeroed,
        recurrent_bias: true,
        initial_state: InitialState { high: 0.1, ..InitialState::default() },
        ..LeakyRnn::default()
    }
}

const PLACEMENTS: [Placement; 3] = [Placement::Drive, Placement::Whole, Placement::Current];
const ACTIVATIONS: [Activation; 9] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::Retanh,
    Activation::PowerLaw,
    Activation::Saturating,
    Activation::Identity,
];

/// Every option away from its default at least once.
fn variants() -> Vec<LeakyRnn> {
    let tau = small().time_constants;
    let noise = Noise { sigma: 0.2, ..Noise::default() };
    let with = |change: &dyn Fn(&mut LeakyRnn)| {
        let mut cell = small();
        change(&mut cell);
        cell
    };
    vec![
        with(&|_| {}),
        with(&|c| c.time_constants = TimeConstants::default()),
        with(&|c| c.time_constants.shared = true),
        with(&|c| c.time_constants = TimeConstants { low: 1.0, high: 1.0, shared: true, ..TimeConstants::default() }),
        with(&|c| c.time_constants = TimeConstants { low: 0.5, high: 2.0, ..tau }),
        with(&|c| c.time_constants = TimeConstants { unit: Unit::Ms, low: 15.0, high: 100.0, ..tau }),
        with(&|c| c.time_constants = TimeConstants { unit: Unit::Symbols, low: 0.2, high: 0.6, least: 0.0, ..tau }),
        with(&|c| {
            c.time_constants = TimeConstants { unit: Unit::Symbols, least: 0.0, mean: Some(0.4), ..tau };
            c.integration = Integration::Exact;
            c.noise = Noise { kind: NoiseKind::Correlated, ..noise };
        }),
        with(&|c| c.integration = Integration::Exact),
        with(&|c| c.input = Input { start: InputStart::Normal, gain: 2.0, ..Input::default() }),
        with(&|c| c.input_bias = false),
        with(&|c| c.recurrent_bias = true),
        with(&|c| {
            c.recurrent = Recurrent { start: RecurrentStart::Normal, gain: 1.2, density: 0.5, ..Recurrent::default() }
        }),
        with(&|c| c.recurrent.start = RecurrentStart::Orthogonal),
        with(&|c| c.recurrent.start = RecurrentStart::Identity),
        with(&|c| c.self_connections = SelfConnections::Masked),
        with(&|c| c.self_connections = SelfConnections::Zeroed),
        with(&|c| c.dale = Some(Dale::default())),
        with(&|c| c.dale = Some(Dale { signs: Signs::Clipped, inhibition: 1.2, ..Dale::default() })),
        with(&|c| c.rank = Some(2)),
        with(&|c| c.noise = noise),
        with(&|c| c.noise = Noise { kind: NoiseKind::Continuous, ..noise }),
        with(&|c| c.noise = Noise { kind: NoiseKind::Correlated, ..noise }),
        with(&|c| c.initial_state.trainable = true),
        with(&|c| {
            c.dale = Some(Dale::default());
            c.recurrent.density = 0.7;
            c.self_connections = SelfConnections::Masked;
            c.initial_state.trainable = true;
            c.noise = noise;
        }),
    ]
}

#[test]
fn the_explicit_adjoint_is_the_gradient_whatever_the_options() {
    for placement in PLACEMENTS {
        for (i, variant) in variants().into_iter().enumerate() {
            let activation = [Activation::Tanh, Activation::LeakyRelu, Activation::Softplus][i % 3];
            let cell = LeakyRnn { placement, activation, ..variant };
            let probes = Probe::kinds();
            testing::adjoint_is_autograd(&cell, &probes[i % probes.len()], 3, None);
            testing::adjoint_is_autograd(&cell, &probes[(i + 1) % probes.len()], 3, Some(2));
        }
        for activation in ACTIVATIONS {
            testing::adjoint_is_autograd(&LeakyRnn { placement, activation, ..small() }, &Probe::default(), 2, None);
        }
    }
}

#[test]
fn the_explicit_adjoint_is_the_gradient_for_one_row_two_blocks_and_one_step() {
    for placement in PLACEMENTS {
        let cell = LeakyRnn { placement, ..small() };
        for probe in Probe::kinds() {
            for batch in [1, 67] {
                testing::adjoint_is_autograd(&cell, &probe, batch, None);
            }
            testing::adjoint_is_autograd(&cell, &Probe { time: 1, ..probe.clone() }, 2, None);
            testing::adjoint_is_autograd(&cell, &Probe { time: 13, ..probe }, 2, Some(5));
        }
    }
}

#[test]
fn states_that_are_computed_again_give_the_same_gradients() {
    for placement in PLACEMENTS {
        for cell in [small(), LeakyRnn { noise: Noise { sigma: 0.2, ..Noise::default() }, ..small() }] {
            let cell = LeakyRnn { placement, ..cell };
            for probe in Probe::kinds() {
                for (time, window) in [(13, None), (13, Some(2)), (4, Some(3)), (1, None)] {
                    let probe = Probe { time, ..probe.clone() };
                    let network = testing::network(&cell, &probe);
                    let kept = Bench::new(&probe).gradient(&network, 3, window);
                    let workers = Workers::new(1).expect("one thread").with_state_memory(0);
                    let again = Bench { workers, ..Bench::new(&probe) }.gradient(&network, 3, window);
                    // Sums over steps in another order.
                    assert!((again.loss - kept.loss).abs() < 1e-12);
                    assert_close(&again.gradients, &kept.gradients, 1e-12, "states computed again");
                }
            }
        }
    }
}

#[test]
fn gradients_meet_finite_differences() {
    for placement in PLACEMENTS {
        for variant in variants() {
            // The bound of a time constant and the straight-through diagonal are not derivatives of the loss.
            let smooth = variant.self_connections != SelfConnections::Zeroed;
            let activation = Activation::Softplus;
            if smooth {
                let answer = if variant.rank.is_some() { Answer::FinalStep } else { Answer::EveryStep };
                let probe = Probe { answer, ..Probe::default() };
                testing::gradient_meets_differences(&LeakyRnn { placement, activation, ..variant }, &probe);
            }
        }
    }
}

#[test]
fn states_and_gradients_of_the_published_cells_are_those_of_pytorch() {
    testing::meets_pytorch("leaky-whole", &published(Placement::Whole));
    testing::meets_pytorch("leaky-drive", &published(Placement::Drive));
}

#[test]
fn frozen_parameters_get_no_gradient_and_change_no_other() {
    let cell = LeakyRnn { recurrent: Recurrent { density: 0.5, ..Recurrent::default() }, ..small() };
    let network = testing::network(&cell, &Probe::default());
    let all = Bench::new(&Probe::default()).gradient(&network, 3, None).gradients;
    assert!(!all.contains("recurrent.mask") && all.contains("time_constants"));
    for fast in [true, false] {
        let frozen = vec!["time_constants".to_string(), "recurrent.weight".to_string(), "head.1.*".to_string()];
        let lesson = Lesson { frozen, ..Lesson::default() };
        let some = Bench { lesson, fast, ..Bench::new(&Probe::default()) }.gradient(&network, 3, None).gradients;
        let expected = ["input.weight", "input.bias", "head.0.weight", "head.0.bias"];
        assert_eq!(some.names().collect::<Vec<_>>(), expected);
        let expected = expected.iter().map(|n| (n.to_string(), all.get(n).expect("trained").shallow_clone()));
        assert_close(&some, &expected.collect(), 1e-12, "frozen");
    }
    let fixed = LeakyRnn { time_constants: TimeConstants::default(), ..small() };
    let network = testing::network(&fixed, &Probe::default());
    assert!(!network.trained(&Lesson::default()).contains(&"time_constants".to_string()));
}

#[test]
fn drive_and_whole_are_one_when_units_remember_nothing() {
    let cell = |placement| LeakyRnn {
        placement,
        time_constants: TimeConstants { low: 1.0, high: 1.0, ..TimeConstants::default() },
        ..small()
    };
    for fast in [true, false] {
        let gradient = |placement| {
            let network = testing::network(&cell(placement), &Probe::default());
            Bench { fast, ..Bench::new(&Probe::default()) }.gradient(&network, 4, None).gradients
        };
        // rounding: (1 - 1) r + 1 z against z
        assert_close(&gradient(Placement::Drive), &gradient(Placement::Whole), 1e-12, "tau = 1");
    }
}

#[test]
fn leaks_follow_the_time_constants_and_gradients_stop_at_the_bound() {
    let tau = Tensor::from_slice(&[0.5, 1.0, 4.0]).set_requires_grad(true);
    let steps = TimeConstants { trainable: true, ..TimeConstants::default() };
    let leak = steps.leak(&tau, Integration::Euler, &Setting::default()).expect("steps");
    assert_eq!(values_f64(&leak), [1.0, 1.0, 0.25]);
    leak.sum(None::<Kind>).backward();
    assert_eq!(values_f64(&tau.grad()), [0.0, -1.0, -1.0 / 16.0]);
    let ms = TimeConstants { unit: Unit::Ms, ..steps };
    let tau_ms = Tensor::from_slice(&[5.0, 20.0, 100.0]);
    let setting = Setting { dt_ms: Some(20.0), ..Setting::default() };
    assert_eq!(values_f64(&ms.leak(&tau_ms, Integration::Euler, &setting).expect("ms")), [1.0, 1.0, 0.2]);
    let exact = values_f64(&ms.leak(&tau_ms, Integration::Exact, &setting).expect("ms"));
    for (found, tau) in exact.iter().zip([5.0f64, 20.0, 100.0]) {
        assert!((found - (1.0 - (-20.0 / tau).exp())).abs() < 1e-15);
    }
    assert!(
        ms.leak(&tau_ms, Integration::Euler, &Setting::default())
            .expect_err("no duration")
            .to_string()
            .contains("symbols")
    );
}

#[test]
fn time_constants_in_symbols_are_as_many_steps_as_the_trials_show_each() {
    let symbols = TimeConstants { unit: Unit::Symbols, least: 0.0, trainable: true, ..TimeConstants::default() };
    let shown = |steps| Setting { substeps: Some(steps), ..Setting::default() };
    for (integration, k) in
        [(Integration::Euler, 1), (Integration::Euler, 7), (Integration::Exact, 1), (Integration::Exact, 7)]
    {
        let start = [0.05, 1.0 / 7.0, 0.5, 1.3, 4.0];
        let tau = Tensor::from_slice(&start).set_requires_grad(true);
        let leak = symbols.leak(&tau, integration, &shown(k)).expect("symbols");
        leak.sum(None::<Kind>).backward();
        let (leak, slope, k) = (values_f64(&leak), values_f64(&tau.grad()), k as f64);
        for (i, tau) in start.into_iter().enumerate() {
            let (expected, derivative) = match integration {
                // The gradient passes the bound from there on.
                Integration::Euler if k * tau < 1.0 => (1.0, 0.0),
                Integration::Euler => (1.0 / (k * tau), -1.0 / (k * tau * tau)),
                Integration::Exact => {
                    let kept = (-1.0 / (k * tau)).exp();
                    (1.0 - kept, -kept / (k * tau * tau))
                }
            };
            // a few roundings in double precision
            assert!((leak[i] - expected).abs() < 1e-14, "{integration:?} {k} {tau}: {} {expected}", leak[i]);
            let gap = (slope[i] - derivative).abs();
            assert!(gap <= 1e-12 * derivative.abs().max(1.0), "{integration:?} {k} {tau}: {} {derivative}", slope[i]);
        }
    }
    let bounded = TimeConstants { least: 0.5, ..symbols };
    let tau = Tensor::from_slice(&[0.2, 0.8]);
    let leak = values_f64(&bounded.leak(&tau, Integration::Euler, &shown(4)).expect("symbols"));
    assert!((leak[0] - 0.5).abs() < 1e-15 && (leak[1] - 1.0 / 3.2).abs() < 1e-15, "{leak:?}");
    // Too short for a symbol but not for its steps, which the task does not know beforehand.
    let fast = TimeConstants { low: 0.1, high: 0.5, ..symbols };
    fast.fits(Integration::Euler, None).expect("each batch says how long its steps are");
}

#[test]
fn a_symbol_of_one_step_is_a_step() {
    let of = |unit, integration, probe: &Probe| {
        let tau = TimeConstants { unit, low: 0.7, high: 3.0, trainable: true, ..TimeConstants::default() };
        let noise = Noise { sigma: 0.1, kind: NoiseKind::Correlated, ..Noise::default() };
        let network = testing::network(&LeakyRnn { time_constants: tau, integration, noise, ..small() }, probe);
        Bench::new(probe).gradient(&network, 5, None).gradients
    };
    for integration in [Integration::Euler, Integration::Exact] {
        let steps = of(Unit::Steps, integration, &Probe::default());
        for substeps in [None, Some(1)] {
            assert!(of(Unit::Symbols, integration, &Probe { substeps, ..Probe::default() }).same_bytes(&steps));
        }
        let three = Probe { substeps: Some(3), ..Probe::default() };
        assert!(!of(Unit::Symbols, integration, &three).same_bytes(&steps));
        assert!(of(Unit::Steps, integration, &three).same_bytes(&steps), "steps are steps");
    }
}

#[test]
fn the_rollout_hands_on_the_steps_of_a_symbol_in_every_segment_and_block() {
    // Time constants of 6 and 18 steps, written in steps and in symbols of 3.
    let cell = |unit, low: f64, high: f64| LeakyRnn {
        time_constants: TimeConstants { unit, low, high, least: 0.0, ..TimeConstants::default() },
        ..small()
    };
    for segments in [1, 3] {
        let probe = Probe { segments, substeps: Some(3), ..Probe::default() };
        let network = testing::network(&cell(Unit::Steps, 6.0, 18.0), &probe);
        let mut other = testing::network(&cell(Unit::Symbols, 2.0, 6.0), &probe);
        let tau = network.parameters.get("time_constants").expect("there") / 3.0;
        other.parameters.insert("time_constants", tau);
        for fast in [true, false] {
            let bench = Bench { fast, ..Bench::new(&probe) };
            let play = |network| {
                let played = bench.rollout().play(network, &bench.trials(70), synfire::rollout::Record::Rates);
                played.expect("plays")
            };
            let (a, b) = (play(&network), play(&other));
            assert_eq!((a.trials.substeps, b.trials.substeps), (Some(3), Some(3)));
            let gap = (a.rates.expect("recorded") - b.rates.expect("recorded")).abs().max().double_value(&[]);
            // rounding of tau / 3 * 3
            assert!(gap < 1e-13, "{segments} segments: {gap:e}");
        }
        let found = Bench::new(&probe).gradient(&other, 70, None).gradients;
        assert_close(&found, &Bench::new(&probe).gradient(&network, 70, None).gradients, 1e-12, "in symbols");
    }
}

#[test]
fn time_constants_start_with_the_mean_that_is_asked_for() {
    let starts = |mean, shared| {
        let time_constants = TimeConstants { low: 1.0, high: 2.0, mean, shared, ..TimeConstants::default() };
        let network = testing::network(&LeakyRnn { hidden: 50, time_constants, ..small() }, &Probe::default());
        values_f64(network.parameters.get("time_constants").expect("there"))
    };
    let (drawn, scaled) = (starts(None, false), starts(Some(0.75), false));
    let mean = drawn.iter().sum::<f64>() / 50.0;
    for (tau, scaled) in drawn.iter().zip(&scaled) {
        // two roundings
        assert!((scaled - tau * 0.75 / mean).abs() < 1e-15 * 4.0, "{tau} {scaled}");
    }
    assert!((scaled.iter().sum::<f64>() / 50.0 - 0.75).abs() < 1e-14);
    assert!((starts(Some(4.0), true)[0] - 4.0).abs() < 1e-14);
    let text = testing::problems(&LeakyRnn {
        time_constants: TimeConstants { mean: Some(0.0), ..TimeConstants::default() },
        ..LeakyRnn::default()
    });
    assert_eq!(text, "cell.time_constants.mean is 0, must be above 0");
    let short = TimeConstants { unit: Unit::Ms, low: 50.0, high: 90.0, mean: Some(5.0), ..TimeConstants::default() };
    let text = short.fits(Integration::Euler, Some(20.0)).expect_err("at most 9 ms in steps of 20").to_string();
    assert!(text.starts_with("cell.time_constants.mean is 5 ms, shorter than a step of 20 ms"), "{text}");
}

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

/// Linear units without recurrence, which noise alone drives.
fn noisy(noise: Noise, tau: f64, integration: Integration) -> LeakyRnn {
    LeakyRnn {
        hidden: 50,
        activation: Activation::Identity,
        time_constants: TimeConstants { low: tau, high: tau, least: 0.0, ..TimeConstants::default() },
        integration,
        input: Input { gain: 0.0, ..Input::default() },
        input_bias: false,
        recurrent: Recurrent { gain: 0.0, ..Recurrent::default() },
        noise,
        ..LeakyRnn::default()
    }
}

/// Variance and covariance from step to step of such units.
fn stationary(noise: Noise, tau: f64, integration: Integration) -> (f64, f64) {
    let probe = Probe { time: 1100, ..Probe::default() };
    let (bench, network) = (Bench::new(&probe), testing::network(&noisy(noise, tau, integration), &probe));
    let played = bench.rollout().play(&network, &bench.trials(8), synfire::rollout::Record::Rates).expect("plays");
    let rates = played.rates.expect("recorded").narrow(0, 100, 1000);
    let mean = |t: Tensor| t.mean(None::<Kind>).double_value(&[]);
    (mean(rates.square()), mean(rates.narrow(0, 0, 999) * rates.narrow(0, 1, 999)))
}

#[test]
fn noise_has_the_size_and_the_correlation_it_says() {
    let noise = |kind, correlation| Noise { sigma: 0.3, kind, correlation, ..Noise::default() };
    // x' = (1 - a) x + a s xi has the variance a s^2 / (2 - a); 400000 correlated samples are good to about 1 %
    let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 0.04, "{found} {expected}");
    let (variance, next) = stationary(noise(NoiseKind::PerStep, 1.0), 5.0, Integration::Euler);
    close(variance, 0.2 * 0.09 / 1.8);
    close(next, 0.8 * 0.2 * 0.09 / 1.8);
    for tau in [5.0, 10.0] {
        let (variance, _) = stationary(noise(NoiseKind::Continuous, 1.0), tau, Integration::Euler);
        close(variance, 2.0 * 0.09 / (2.0 - 1.0 / tau));
    }
    // leak 1: the state is the noise, an autoregressive process of order 1
    let (variance, next) = stationary(noise(NoiseKind::Correlated, 4.0), 1.0, Integration::Euler);
    close(variance, 0.09 * 0.5 / (1.0 - 0.75 * 0.75));
    close(next, 0.75 * 0.09 * 0.5 / (1.0 - 0.75 * 0.75));
    // nearly leak 1 (1 - exp(-50)), so the same holds of the exact process, with variance sigma^2
    let (variance, next) = stationary(noise(NoiseKind::Correlated, 4.0), 0.02, Integration::Exact);
    close(variance, 0.09);
    close(next, 0.09 * (-0.25f64).exp());
    // exact noise in a cell of Euler steps, one of which forgets everything
    let (variance, next) = stationary(noise(NoiseKind::ExactlyCorrelated, 4.0), 1.0, Integration::Euler);
    close(variance, 0.09);
    close(next, 0.09 * (-0.25f64).exp());
}

/// Noise of the last step of a stretch and of the first of the next, over many rows: the process does not notice the border, while
/// white noise and one that begins anew do not know of each other.
#[test]
fn correlated_noise_goes_on_from_one_stretch_to_the_next() {
    let probe = Probe::default();
    let across = |kind, goes_on: bool| {
        let noise = Noise { sigma: 0.3, kind, correlation: 4.0, ..Noise::default() };
        let cell = LeakyRnn { hidden: 50, noise, ..LeakyRnn::default() };
        let network = testing::network(&cell, &probe);
        let prepared = network.dynamics.prepare(&network.parameters, &Setting::default()).expect("complete");
        let mut stream = Stream::new(3);
        let mut draw = |time, before: Option<&Tensor>| {
            network.dynamics.noise(&prepared, time, 400, before, &mut stream).expect("prepared").expect("noise")
        };
        let last = draw(5, None).select(0, 4);
        let first = draw(3, goes_on.then_some(&last)).select(0, 0);
        (&last * &first).mean(Kind::Double).double_value(&[]) / last.square().mean(Kind::Double).double_value(&[])
    };
    // an autoregressive process keeps 1 - 1/4, or exp(-1/4); a coefficient of 20000 pairs is good to 0.007
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 0.035, "{found} {expected}");
    close(across(NoiseKind::Correlated, true), 0.75);
    close(across(NoiseKind::ExactlyCorrelated, true), (-0.25f64).exp());
    close(across(NoiseKind::Correlated, false), 0.0);
    close(across(NoiseKind::PerStep, true), 0.0);
    // With a leak of 1 the state is the noise: it goes on from settling to trial, and from segment to segment.
    let noise = Noise { sigma: 0.3, kind: NoiseKind::Correlated, correlation: 4.0, ..Noise::default() };
    let mut bench = Bench::new(&probe);
    bench.settle = 3;
    let network = testing::network(&noisy(noise, 1.0, Integration::Euler), &probe);
    let traced = bench.rollout().trace(&network, &bench.trials(400), None).expect("open loop");
    let states = traced.states.get(ACTIVITY).expect("recorded");
    let (last, first) = (states.select(0, 0), states.select(0, 1));
    let mean = |t: Tensor| t.mean(None::<Kind>).double_value(&[]);
    close(mean(&last * &first) / mean(last.square()), 0.75);
    let closed = Probe { segments: 2, ..probe };
    let (mut bench, network) = (Bench::new(&closed), testing::network(&noisy(noise, 1.0, Integration::Euler), &closed));
    for fast in [true, false] {
        bench.fast = fast;
        let played =
            bench.rollout().play(&network, &bench.trials(400), synfire::rollout::Record::Rates).expect("plays");
        let rates = played.rates.expect("recorded");
        let (last, first) = (rates.select(0, closed.time - 1), rates.select(0, closed.time));
        close(mean(&last * &first) / mean(last.square()), 0.75);
    }
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
fn noise_can_be_left_out_of_evaluations() {
    let noise = Noise { sigma: 0.5, in_evaluation: false, ..Noise::default() };
    let quiet = testing::network(&small(), &Probe::default());
    let noisy = testing::network(&LeakyRnn { noise, ..small() }, &Probe::default());
    let rates = |network, mode| {
        let bench = Bench { mode, ..Bench::new(&Probe::default()) };
        let played = bench.rollout().play(network, &bench.trials(3), synfire::rollout::Record::Rates);
        values_f64(&played.expect("plays").rates.expect("recorded"))
    };
    assert_eq!(rates(&noisy, Mode::Evaluation), rates(&quiet, Mode::Evaluation));
    assert_ne!(rates(&noisy, Mode::Training), rates(&quiet, Mode::Training));
}

#[test]
fn bytes_depend_on_the_seed_and_not_on_the_threads() {
    let noise = Noise { sigma: 0.1, ..Noise::default() };
    let cell = LeakyRnn { hidden: 40, noise, ..small() };
    for placement in PLACEMENTS {
        testing::bytes_depend_on_the_seed_alone(&LeakyRnn { placement, ..cell.clone() });
    }
    let network = testing::network(&cell, &Probe::default());
    let gradient = |seed| Bench { seed, ..Bench::new(&Probe::default()) }.gradient(&network, 3, None).gradients;
    assert!(gradient(1).same_bytes(&gradient(1)));
    assert!(!gradient(1).same_bytes(&gradient(2)));
}

#[test]
fn a_drive_adds_to_the_input_of_units() {
    for placement in PLACEMENTS {
        testing::drive_is_an_input_bias(&LeakyRnn { placement, ..small() }, 0);
    }
}

#[test]
fn parameters_come_in_the_stated_order() {
    let cell = LeakyRnn {
        recurrent: Recurrent { density: 0.9, ..Recurrent::default() },
        recurrent_bias: true,
        initial_state: InitialState { trainable: true, ..InitialState::default() },
        ..small()
    };
    let names = testing::network(&cell, &Probe::default()).names();
    let expected = "time_constants input.weight input.bias recurrent.weight recurrent.bias recurrent.mask initial_state \
                    head.0.weight head.0.bias head.1.weight head.1.bias";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn options_out_of_range_are_refused_all_at_once() {
    let cell = LeakyRnn {
        hidden: 3,
        time_constants: TimeConstants { low: 4.0, high: 2.0, ..TimeConstants::default() },
        recurrent: Recurrent { density: 0.0, ..Recurrent::default() },
        rank: Some(4),
        dale: Some(Dale { excitatory_fraction: 1.2, ..Dale::default() }),
        ..LeakyRnn::default()
    };
    let text = testing::problems(&cell);
    let expected = [
        "cell.time_constants.high is 2, must be at least low = 4",
        "cell.recurrent.density is 0, must be above 0 and at most 1",
        "cell.dale.excitatory_fraction is 1.2, must be between 0 and 1",
        "cell.rank cannot be combined with dale; signs by source need full rank; leave one out",
        "cell.rank is 4, must be between 1 and hidden = 3",
    ];
    assert_eq!(text, expected.join("\n"));
    let short = TimeConstants { unit: Unit::Ms, ..TimeConstants::default() };
    let text = short.fits(Integration::Euler, Some(20.0)).expect_err("5 ms in steps of 20").to_string();
    assert!(text.starts_with("cell.time_constants.high is 5 ms, shorter than a step of 20 ms"), "{text}");
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

#[test]
fn a_trace_is_the_network_step_by_step_with_its_drive() {
    let probe = Probe { segments: 1, answer: Answer::EveryStep, ..Probe::default() };
    for placement in PLACEMENTS {
        let cell = LeakyRnn { placement, ..small() };
        let (bench, network) = (Bench::new(&probe), testing::network(&cell, &probe));
        // More rows than a block has.
        let trials = bench.trials(40);
        let shape = [trials.time() as i64, 40, 6];
        let drive = Stream::new(8).normal_tensor(&shape, Kind::Double, Device::Cpu);
        let fast = bench.rollout().trace(&network, &trials, Some(&drive)).expect("plays");
        let mut slow = bench.rollout();
        slow.fast = false;
        let slow = slow.trace(&network, &trials, Some(&drive)).expect("plays");
        assert_close(&fast.states, &slow.states, 1e-12, "states");
        assert!((&fast.outputs[0] - &slow.outputs[0]).abs().max().double_value(&[]) < 1e-12);
        assert!((&fast.input - &slow.input).abs().max().double_value(&[]) < 1e-12);
        let silent = bench.rollout().trace(&network, &trials, None).expect("plays");
        let played = bench.rollout().play(&network, &trials, synfire::rollout::Record::Outputs).expect("plays");
        // Products of other shapes: the last digits.
        assert!((&silent.outputs[0] - &played.outputs[0]).abs().max().double_value(&[]) < 1e-12);
        assert!((&fast.outputs[0] - &silent.outputs[0]).abs().max().double_value(&[]) > 1e-3);
    }
    let closed = Probe { segments: 3, ..Probe::default() };
    let (bench, network) = (Bench::new(&closed), testing::network(&small(), &closed));
    let error = bench.rollout().trace(&network, &bench.trials(2), None).expect_err("closed");
    assert!(error.to_string().contains("open-loop"), "{error}");
}
