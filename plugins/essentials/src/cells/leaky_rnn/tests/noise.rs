//! Noise: its size, its correlation, and where it is left out.

use super::*;

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
