//! Timescale of a unit from its autocorrelation: one or two decaying exponentials, chosen by an information criterion.
//!
//! Model 1 is `a p^k` and model 2 `a (c p1^k + (1 - c) p2^k)` at lags `k = 0..=fit_lag`, with `p = exp(-1 / tau)`; `a` and `c` lie in
//! `[0, 1]`, each `tau` in `[0, largest_tau_steps]`. The search runs over `p`, in which both models are polynomials: `tau = 0` is no
//! singularity, and the optimum is the same.
//!
//! Source: Khajehabdollahi et al. 2024 (see the crate's documentation). Differs: an analytic Jacobian in place of a numerical one,
//! and [`Starts::Improved`].

mod least_squares;

use crate::autocorrelation::autocorrelation;
use least_squares::{Solution, minimise};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::Problems;

/// Where the searches for the best exponentials start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Starts {
    /// At the middle of the bounds, as the paper's code does.
    ///
    /// For two exponentials that point is a saddle: both are the same. A numerical Jacobian leaves it by rounding errors, here the
    /// two timescales are set one part in a thousand apart. The search can end in a worse optimum than one exponential has.
    Compatible,
    /// At several points from fast to slow and at the best single exponential; the lowest residual counts.
    #[default]
    Improved,
}

/// What decides between one and two exponentials; `n` lags, `p` parameters, residual sum of squares `S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Criterion {
    /// Akaike: `2 p + n ln(S / n)`.
    #[default]
    Aic,
    /// Bayes: `p ln(n) + n ln(S / n)`.
    Bic,
}

/// How exponentials are fitted to an autocorrelation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FitOptions {
    /// The largest lag that is fitted, in steps.
    #[schemars(range(min = 4))]
    pub fit_lag: usize,
    /// The largest timescale that is tried, in steps.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub largest_tau_steps: f64,
    /// Where the searches start.
    pub starts: Starts,
    /// What decides between one and two exponentials.
    pub criterion: Criterion,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { fit_lag: 30, largest_tau_steps: 100.0, starts: Starts::Improved, criterion: Criterion::Aic }
    }
}

impl FitOptions {
    /// Report every option that is out of range.
    pub fn check(&self, problems: &mut Problems) {
        problems.require(
            self.fit_lag >= 4,
            "fit_lag",
            self.fit_lag,
            "at least 4, for four parameters and one lag to spare",
        );
        let largest = self.largest_tau_steps;
        problems.require(largest.is_finite() && largest > 0.0, "largest_tau_steps", largest, "greater than 0");
    }
}

/// One exponential of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Timescale in steps.
    pub tau_steps: f64,
    /// Share of the amplitude, from 0 to 1; the shares of a fit add up to 1.
    pub weight: f64,
}

/// A fitted sum of exponentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Value at lag 0.
    pub amplitude: f64,
    /// The exponentials, the slowest first.
    pub components: Vec<Component>,
    /// Sum of squared residuals over the fitted lags.
    pub residual_sum: f64,
    /// Akaike's criterion; lower is better.
    pub aic: f64,
    /// Bayes' criterion; lower is better.
    pub bic: f64,
}

impl Fit {
    fn new(amplitude: f64, mut components: Vec<Component>, residual_sum: f64, lags: usize) -> Self {
        components.sort_by(|a, b| b.tau_steps.total_cmp(&a.tau_steps));
        let (n, parameters) = (lags as f64, 2.0 * components.len() as f64);
        // Values of order 1 carry rounding errors of 1e-16 and more after a transform. Below 1e-12 a residual says nothing, and the
        // logarithm would let noise decide between two exact fits.
        let misfit = n * (residual_sum / n).max(1e-24).ln();
        Self { amplitude, components, residual_sum, aic: 2.0 * parameters + misfit, bic: parameters * n.ln() + misfit }
    }

    /// The fitted autocorrelation at a lag in steps, for drawing.
    pub fn at(&self, lag: f64) -> f64 {
        let decay = |tau: f64| if lag == 0.0 { 1.0 } else { (-lag / tau).exp() };
        self.amplitude * self.components.iter().map(|c| c.weight * decay(c.tau_steps)).sum::<f64>()
    }

    /// The criterion's value.
    pub fn score(&self, criterion: Criterion) -> f64 {
        match criterion {
            Criterion::Aic => self.aic,
            Criterion::Bic => self.bic,
        }
    }

    /// The exponential with the largest timescale, however small its weight: the unit's timescale by the paper's rule.
    pub fn slowest(&self) -> Component {
        self.components[0]
    }
}

/// What the fits say about one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timescale {
    /// The best single exponential; nothing if the search failed.
    pub single: Option<Fit>,
    /// The best two exponentials; nothing if the search failed.
    pub double: Option<Fit>,
    /// The criterion that decides.
    pub criterion: Criterion,
}

impl Timescale {
    /// The fit with the lower value of `criterion`; one that failed loses, and a tie chooses neither.
    pub fn chosen_by(&self, criterion: Criterion) -> Option<&Fit> {
        match (&self.single, &self.double) {
            (Some(single), Some(double)) => {
                let (one, two) = (single.score(criterion), double.score(criterion));
                if one < two {
                    Some(single)
                } else if two < one {
                    Some(double)
                } else {
                    None
                }
            }
            (one, two) => one.as_ref().or(two.as_ref()),
        }
    }

    /// The fit chosen by the criterion of the options.
    pub fn chosen(&self) -> Option<&Fit> {
        self.chosen_by(self.criterion)
    }

    /// The unit's timescale in steps with the weight of its exponential: the slowest of the chosen fit.
    ///
    /// A slow exponential of negligible weight can set the timescale, so read it together with the weight. An autocorrelation that
    /// falls or alternates within a step gives a value below 1; the paper leaves such units out of its means.
    pub fn tau_net(&self) -> Option<Component> {
        self.chosen().map(Fit::slowest)
    }
}

/// Fit one and two exponentials to an autocovariance at lags `0..`, one unit.
///
/// Nothing for a unit that is constant or not finite, or if there are not `fit_lag + 1` lags.
pub fn fit_timescale(autocovariance: &[f64], options: &FitOptions) -> Option<Timescale> {
    let curve = autocorrelation(autocovariance.get(..=options.fit_lag)?)?;
    let bound = decay(f64::INFINITY, options);
    let tau = |p: f64| if p >= bound { options.largest_tau_steps } else { -1.0 / p.ln() };
    let single = lowest(single_starts(options), |start| minimise(&curve, [0.0; 2], [1.0, bound], start, one));
    let double = lowest(double_starts(options, single), |start| {
        minimise(&curve, [0.0; 4], [1.0, bound, bound, 1.0], start, two)
    });
    let lags = curve.len();
    Some(Timescale {
        single: single.map(|Solution { parameters: [a, p], residual_sum }| {
            Fit::new(a, vec![Component { tau_steps: tau(p), weight: 1.0 }], residual_sum, lags)
        }),
        double: double.map(|Solution { parameters: [a, p1, p2, c], residual_sum }| {
            let first = Component { tau_steps: tau(p1), weight: c };
            Fit::new(a, vec![first, Component { tau_steps: tau(p2), weight: 1.0 - c }], residual_sum, lags)
        }),
        criterion: options.criterion,
    })
}

/// `p^k` and its derivative by `p`.
fn power(p: f64, k: i32) -> (f64, f64) {
    (p.powi(k), if k == 0 { 0.0 } else { f64::from(k) * p.powi(k - 1) })
}

fn one([a, p]: &[f64; 2], k: i32) -> (f64, [f64; 2]) {
    let (power, slope) = power(*p, k);
    (a * power, [power, a * slope])
}

fn two([a, p1, p2, c]: &[f64; 4], k: i32) -> (f64, [f64; 4]) {
    let ((first, first_slope), (second, second_slope)) = (power(*p1, k), power(*p2, k));
    let mixed = c * first + (1.0 - c) * second;
    (a * mixed, [mixed, a * c * first_slope, a * (1.0 - c) * second_slope, a * (first - second)])
}

/// The solution with the lowest residual, the earliest of equal ones.
fn lowest<const N: usize>(
    starts: Vec<[f64; N]>,
    search: impl Fn([f64; N]) -> Option<Solution<N>>,
) -> Option<Solution<N>> {
    starts.into_iter().filter_map(search).min_by(|a, b| a.residual_sum.total_cmp(&b.residual_sum))
}

fn single_starts(options: &FitOptions) -> Vec<[f64; 2]> {
    let middle = [0.5, decay(0.5 * options.largest_tau_steps, options)];
    match options.starts {
        Starts::Compatible => vec![middle],
        Starts::Improved => {
            let at = |tau: f64| [0.9, decay(tau, options)];
            vec![middle, at(0.5), at(2.0), at(8.0), at(30.0)]
        }
    }
}

fn double_starts(options: &FitOptions, single: Option<Solution<2>>) -> Vec<[f64; 4]> {
    let middle = 0.5 * options.largest_tau_steps;
    let middle = [0.5, decay(0.9995 * middle, options), decay(1.0005 * middle, options), 0.5];
    if options.starts == Starts::Compatible {
        return vec![middle];
    }
    let mut starts = vec![middle];
    for (fast, slow) in [(0.5, 5.0), (1.0, 10.0), (3.0, 30.0)] {
        for share in [0.2, 0.5, 0.8] {
            starts.push([0.9, decay(fast, options), decay(slow, options), share]);
        }
    }
    if let Some(Solution { parameters: [a, p], .. }) = single {
        // A small second exponential beside the best single one, faster or slower: two can then never do worse than one.
        starts.extend([[a, 0.5 * p, p, 0.05], [a, decay(f64::INFINITY, options), p, 0.05]]);
        starts.push([a, p, p, 1.0]);
    }
    starts
}

/// `exp(-1 / tau)`, for a timescale within the bound.
fn decay(tau: f64, options: &FitOptions) -> f64 {
    (-1.0 / tau.min(options.largest_tau_steps)).exp()
}

#[cfg(test)]
mod tests;
