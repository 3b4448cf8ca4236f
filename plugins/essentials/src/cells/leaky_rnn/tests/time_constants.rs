//! Time constants and symbols of several steps.

use super::*;

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
