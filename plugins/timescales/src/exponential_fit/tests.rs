use super::*;
use crate::autocorrelation::autocovariance;
use synfire::tch::Tensor;
use synfire::{Result, Stream};

/// Made by `tests/fixtures/exponential_fit.py` with SciPy.
#[derive(Deserialize)]
struct Case {
    name: String,
    curve: Vec<f64>,
    single: Scipy,
    double: Scipy,
    best: Scipy,
}

#[derive(Deserialize)]
struct Scipy {
    parameters: Vec<f64>,
    residual_sum: f64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../tests/fixtures/exponential_fit.json")).expect("a valid fixture")
}

fn options(starts: Starts) -> FitOptions {
    FitOptions { starts, ..FitOptions::default() }
}

fn fitted(curve: &[f64], starts: Starts) -> Timescale {
    fit_timescale(curve, &options(starts)).expect("the curve is not constant")
}

fn within(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found} is not {expected}");
}

/// SciPy stops at a relative change of 1e-8 of its cost, which leaves its timescales up to some 1e-4 from the optimum.
const SCIPY_TOLERANCE: f64 = 5e-4;

#[test]
fn one_exponential_is_that_of_scipy() {
    for case in cases() {
        for starts in [Starts::Compatible, Starts::Improved] {
            let single = fitted(&case.curve, starts).single.expect("converges");
            let [amplitude, tau] = case.single.parameters[..] else { panic!("two parameters") };
            assert!(single.residual_sum <= case.single.residual_sum * (1.0 + 1e-9), "{}: {single:?}", case.name);
            within(single.residual_sum, case.single.residual_sum, SCIPY_TOLERANCE, &case.name);
            within(single.amplitude, amplitude, SCIPY_TOLERANCE, &case.name);
            // Below 0.1 the curve is 0 at every lag but the first, whatever the timescale.
            if tau > 0.1 {
                within(single.slowest().tau_steps, tau, SCIPY_TOLERANCE, &case.name);
            } else {
                assert!(single.slowest().tau_steps < 0.1, "{}: {single:?}", case.name);
            }
        }
    }
}

/// The residual is never above SciPy's; where two exponentials are clearly better than one, they are SciPy's.
#[test]
fn two_exponentials_are_those_of_scipy() {
    for case in cases() {
        for (starts, scipy) in [(Starts::Compatible, &case.double), (Starts::Improved, &case.best)] {
            let double = fitted(&case.curve, starts).double.expect("converges");
            assert!(double.residual_sum <= scipy.residual_sum * (1.0 + 1e-9), "{} {starts:?}: {double:?}", case.name);
            if scipy.residual_sum < 0.5 * case.single.residual_sum {
                let [_, tau1, tau2, c] = scipy.parameters[..] else { panic!("four parameters") };
                let (fast, slow, weight) = if tau1 < tau2 { (tau1, tau2, 1.0 - c) } else { (tau2, tau1, c) };
                within(double.components[1].tau_steps, fast, SCIPY_TOLERANCE, &case.name);
                within(double.slowest().tau_steps, slow, SCIPY_TOLERANCE, &case.name);
                within(double.slowest().weight, weight, SCIPY_TOLERANCE, &case.name);
            }
        }
    }
}

#[test]
fn two_are_never_worse_than_one_from_several_starts() {
    for case in cases() {
        let found = fitted(&case.curve, Starts::Improved);
        let (single, double) = (found.single.expect("converges"), found.double.expect("converges"));
        assert!(double.residual_sum <= single.residual_sum, "{}", case.name);
        assert_eq!(double.components.iter().map(|c| c.weight).sum::<f64>(), 1.0, "{}", case.name);
        assert!(double.components.iter().all(|c| (0.0..=100.0).contains(&c.tau_steps)), "{}", case.name);
    }
}

#[test]
fn derivatives_agree_with_differences() {
    let at = [0.8, 0.6, 0.9, 0.3];
    for k in [0, 1, 2, 7, 30] {
        let (_, derivatives) = two(&at, k);
        for i in 0..4 {
            let moved = |by: f64| {
                let mut moved = at;
                moved[i] += by;
                two(&moved, k).0
            };
            // Central differences of step 1e-6: 1e-12 times a third derivative below 1e3, and rounding of 1e-10.
            assert!(((moved(1e-6) - moved(-1e-6)) / 2e-6 - derivatives[i]).abs() < 1e-8, "lag {k} parameter {i}");
        }
    }
}

#[test]
fn exact_curves_give_their_timescales_back() {
    let curve = |f: &dyn Fn(f64) -> f64| (0..=30).map(|k| 3.0 * f(f64::from(k))).collect::<Vec<_>>();
    let found = fitted(&curve(&|k| (-k / 7.0).exp()), Starts::Improved);
    // Both models are exact to rounding: the one with fewer parameters is chosen.
    let tau = found.tau_net().expect("no tie");
    within(tau.tau_steps, 7.0, 1e-9, "one");
    assert_eq!(tau.weight, 1.0);
    let found = fitted(&curve(&|k| 0.7 * (-k / 2.0).exp() + 0.3 * (-k / 25.0).exp()), Starts::Improved);
    let tau = found.tau_net().expect("no tie");
    // The residual is a rounding error, the timescales are as far off as the conditioning allows.
    within(tau.tau_steps, 25.0, 1e-5, "slow");
    within(tau.weight, 0.3, 1e-5, "weight");
    let chosen = found.chosen().expect("no tie");
    within(chosen.components[1].tau_steps, 2.0, 1e-5, "fast");
    within(chosen.at(10.0), 0.7 * (-5f64).exp() + 0.3 * (-0.4f64).exp(), 1e-9, "value");
    assert_eq!(chosen.at(0.0), chosen.amplitude);
}

/// First-order autoregressive processes of unit variance, summed with weights: `[time, trial, unit]`, one unit for each list.
fn simulated(units: &[&[(f64, f64)]], time: i64, trials: i64) -> Tensor {
    let mut values: Vec<f64> = Vec::with_capacity((time * trials) as usize * units.len());
    for trial in 0..trials {
        for (u, parts) in units.iter().enumerate() {
            let mut stream = Stream::new(11).at(trial as u64).at(u as u64);
            let mut states: Vec<f64> = parts.iter().map(|_| stream.normal()).collect();
            for _ in 0..time {
                for (state, (tau, _)) in states.iter_mut().zip(*parts) {
                    let phi = (-1.0 / tau).exp();
                    *state = phi * *state + (1.0 - phi * phi).sqrt() * stream.normal();
                }
                values.push(states.iter().zip(*parts).map(|(state, (_, weight))| weight.sqrt() * state).sum());
            }
        }
    }
    Tensor::from_slice(&values).reshape([trials, units.len() as i64, time]).permute([2, 0, 1])
}

#[test]
fn autoregressive_processes_have_their_timescale() -> Result<()> {
    let taus = [0.7, 3.0, 8.0, 20.0];
    let units: Vec<[(f64, f64); 1]> = taus.iter().map(|&tau| [(tau, 1.0)]).collect();
    let units: Vec<&[(f64, f64)]> = units.iter().map(|unit| &unit[..]).collect();
    let lags = autocovariance(&simulated(&units, 50_000, 8), 30)?;
    for (lags, tau) in lags.iter().zip(taus) {
        within(lags[0], 1.0, 0.05, "variance");
        for starts in [Starts::Compatible, Starts::Improved] {
            let single = fitted(lags, starts).single.expect("converges");
            // The standard error is about sqrt(2 tau / 400,000) of the timescale: 1 % at 20 steps.
            within(single.slowest().tau_steps, tau, 0.05, "timescale");
        }
    }
    Ok(())
}

#[test]
fn mixtures_have_both_timescales() -> Result<()> {
    let units: [&[(f64, f64)]; 2] = [&[(2.0, 0.5), (20.0, 0.5)], &[(1.0, 0.6), (10.0, 0.4)]];
    let lags = autocovariance(&simulated(&units, 100_000, 8), 30)?;
    for (lags, parts) in lags.iter().zip(units) {
        for starts in [Starts::Compatible, Starts::Improved] {
            let found = fitted(lags, starts);
            let double = found.double.clone().expect("converges");
            assert_eq!(found.chosen(), Some(&double));
            assert_eq!(found.chosen_by(Criterion::Bic), Some(&double));
            assert_eq!(found.tau_net(), Some(double.slowest()));
            // Standard errors of 800,000 points: about 1 % of either timescale and 0.01 of the weights.
            within(double.components[1].tau_steps, parts[0].0, 0.05, "fast");
            within(double.slowest().tau_steps, parts[1].0, 0.05, "slow");
            within(double.slowest().weight, parts[1].1, 0.05, "weight");
        }
    }
    Ok(())
}

#[test]
fn criteria_are_their_formulas_and_a_tie_chooses_neither() {
    let fit = |residual_sum: f64, tau: &[f64]| {
        let components = tau.iter().map(|&tau_steps| Component { tau_steps, weight: 1.0 / tau.len() as f64 });
        Some(Fit::new(1.0, components.collect(), residual_sum, 31))
    };
    let choose = |single: &Option<Fit>, double: &Option<Fit>, criterion| {
        let timescale = Timescale { single: single.clone(), double: double.clone(), criterion };
        timescale.tau_net().map(|component| component.tau_steps)
    };
    let (single, double) = (fit(0.31, &[5.0]), fit(0.31 / 1.15, &[3.0, 9.0]));
    let (one, two) = (single.clone().expect("there"), double.clone().expect("there"));
    within(one.aic, 4.0 + 31.0 * 0.01f64.ln(), 1e-14, "2 p + n ln(S / n)");
    within(two.bic, 4.0 * 31f64.ln() + 31.0 * (0.01 / 1.15f64).ln(), 1e-14, "p ln n + n ln(S / n)");
    // Two more parameters cost 4 by Akaike and 6.9 by Bayes; 31 ln 1.15 = 4.3 lies between.
    assert_eq!(choose(&single, &double, Criterion::Aic), Some(9.0));
    assert_eq!(choose(&single, &double, Criterion::Bic), Some(5.0));
    assert_eq!(choose(&single, &None, Criterion::Aic), Some(5.0));
    assert_eq!(choose(&None, &double, Criterion::Aic), Some(9.0));
    assert_eq!(choose(&None, &None, Criterion::Aic), None);
    assert_eq!(choose(&single, &single, Criterion::Aic), None);
}

#[test]
fn units_without_a_timescale_give_nothing() {
    let options = FitOptions::default();
    assert_eq!(fit_timescale(&[0.0; 31], &options), None);
    assert_eq!(fit_timescale(&[f64::NAN; 31], &options), None);
    assert_eq!(fit_timescale(&[1.0; 30], &options), None);
}

#[test]
fn options_out_of_range_are_named() {
    let mut problems = Problems::under("analysis");
    FitOptions { fit_lag: 3, largest_tau_steps: -1.0, ..FitOptions::default() }.check(&mut problems);
    assert_eq!(
        problems.into_result().expect_err("two problems").to_string(),
        "analysis.fit_lag is 3, must be at least 4, for four parameters and one lag to spare\n\
         analysis.largest_tau_steps is -1, must be greater than 0"
    );
}
