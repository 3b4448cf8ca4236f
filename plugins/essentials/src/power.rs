//! Power spectra of signals by averaged periodograms.

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::Arc;
use synfire::{Error, Result};

/// One-sided power spectral density by Welch's method: the signal is cut into segments that overlap by half, each is freed of its
/// mean, weighted with a Hann window and transformed; the squared moduli are averaged.
///
/// The density integrates to the variance: its unit is that of the signal squared, per unit of frequency. The conventions are those
/// of `scipy.signal.welch`. Source: Welch 1967, doi:10.1109/TAU.1967.1161901.
pub struct Welch {
    transform: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    /// What squared moduli are multiplied with.
    scale: f64,
    rate: f64,
}

impl Welch {
    /// Segments of `length` points, sampled `rate` times a unit of time.
    ///
    /// # Errors
    /// [`Error::Failed`] when segments have less than two points.
    pub fn new(length: usize, rate: f64) -> Result<Self> {
        if length < 2 {
            return Err(Error::Failed(format!("a power spectrum needs segments of at least 2 steps, not {length}")));
        }
        let angle = std::f64::consts::TAU / length as f64;
        let window: Vec<f64> = (0..length).map(|k| 0.5 - 0.5 * (angle * k as f64).cos()).collect();
        let energy: f64 = window.iter().map(|w| w * w).sum();
        let transform = RealFftPlanner::new().plan_fft_forward(length);
        Ok(Self { transform, window, scale: 1.0 / (rate * energy), rate })
    }

    /// The frequencies of the density, from 0 to half the rate.
    pub fn frequencies(&self) -> Vec<f64> {
        let length = self.window.len();
        (0..=length / 2).map(|k| k as f64 * self.rate / length as f64).collect()
    }

    /// The density of a signal, one number per frequency.
    ///
    /// # Errors
    /// [`Error::Failed`] when the signal is shorter than a segment.
    pub fn density(&self, signal: &[f64]) -> Result<Vec<f64>> {
        let length = self.window.len();
        if signal.len() < length {
            let steps = signal.len();
            return Err(Error::Failed(format!("a signal of {steps} steps is shorter than a segment of {length}")));
        }
        let mut sum = vec![0.0; length / 2 + 1];
        let mut spectrum: Vec<Complex<f64>> = self.transform.make_output_vec();
        let step = length - length / 2;
        let starts = (0..=signal.len() - length).step_by(step);
        let count = starts.clone().count() as f64;
        for start in starts {
            let segment = &signal[start..start + length];
            let mean = segment.iter().sum::<f64>() / length as f64;
            let mut windowed: Vec<f64> = segment.iter().zip(&self.window).map(|(x, w)| (x - mean) * w).collect();
            self.transform
                .process(&mut windowed, &mut spectrum)
                .map_err(|error| Error::Failed(format!("the Fourier transform of {length} steps failed: {error}")))?;
            sum.iter_mut().zip(&spectrum).for_each(|(sum, value)| *sum += value.norm_sqr());
        }
        // All but frequency 0, and half the rate of an even length, stand for two frequencies.
        let last = sum.len() - 1;
        let twice = |k: usize| if k == 0 || (k == last && length.is_multiple_of(2)) { 1.0 } else { 2.0 };
        Ok(sum.into_iter().enumerate().map(|(k, value)| value * twice(k) * self.scale / count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Values of SciPy, made by `tests/fixtures/power.py`.
    #[derive(Deserialize)]
    struct Oracle {
        signal: Vec<f64>,
        rate: f64,
        length: usize,
        frequencies: Vec<f64>,
        density: Vec<f64>,
    }

    #[test]
    fn densities_are_those_of_scipy() {
        let cases: Vec<Oracle> = serde_json::from_str(include_str!("../tests/fixtures/power.json")).expect("fixture");
        for case in cases {
            let welch = Welch::new(case.length, case.rate).expect("long enough");
            let found = welch.density(&case.signal).expect("long enough");
            let close = |a: &[f64], b: &[f64]| {
                // double precision on both sides, relative to the largest value
                let scale = b.iter().copied().fold(0.0, f64::max);
                a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-12 * scale)
            };
            assert!(close(&welch.frequencies(), &case.frequencies), "{:?}", case.length);
            assert!(close(&found, &case.density), "{found:?} {:?}", case.density);
        }
    }

    #[test]
    fn the_density_integrates_to_the_variance_of_a_wave() {
        // 8 whole periods of amplitude 3 in each segment: variance 4.5
        let signal: Vec<f64> = (0..256).map(|k| 3.0 * (f64::from(k) * std::f64::consts::TAU / 8.0).sin()).collect();
        let welch = Welch::new(64, 100.0).expect("long enough");
        let density = welch.density(&signal).expect("long enough");
        let power: f64 = density.iter().sum::<f64>() * 100.0 / 64.0;
        assert!((power - 4.5).abs() < 1e-9, "{power}");
        let peak = (0..density.len()).max_by(|a, b| density[*a].total_cmp(&density[*b])).expect("not empty");
        assert!((welch.frequencies()[peak] - 12.5).abs() < 1e-12);
    }

    #[test]
    fn signals_that_are_too_short_are_refused() {
        assert!(Welch::new(1, 1.0).is_err());
        let error = Welch::new(8, 1.0).expect("long enough").density(&[0.0; 7]).expect_err("short").to_string();
        assert_eq!(error, "a signal of 7 steps is shorter than a segment of 8");
    }
}
