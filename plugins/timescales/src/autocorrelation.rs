//! Autocovariance of many signals by FFT, block by block over time.
//!
//! Source: the timescale analysis of Khajehabdollahi et al. 2024 (see the crate's documentation). Differs: lag `k` is divided by
//! `n - k` and not by `n - 1 - k`, and the mean over trials is taken once and not twice.

use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::Arc;
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire::{Error, Result};

/// Autocovariance of every unit, averaged over trials, of an activity that lies in memory as a whole.
///
/// activity `[time, trial, unit]`, any kind and device; result: for each unit the lags `0..=max_lag`.
/// See [`Autocovariance`], which also takes an activity in blocks, for the definition and the errors.
///
/// # Errors
/// [`Error::Shape`] if the activity has not three axes; [`Error::Failed`] if it is not longer than `max_lag`.
pub fn autocovariance(activity: &Tensor, max_lag: usize) -> Result<Vec<Vec<f64>>> {
    let mut sum = Autocovariance::new(max_lag);
    sum.push(activity)?;
    sum.finish()
}

/// An autocovariance divided by its value at lag 0, or nothing for a constant, empty or not finite signal.
pub fn autocorrelation(autocovariance: &[f64]) -> Option<Vec<f64>> {
    let variance = *autocovariance.first()?;
    let usable = variance > 0.0 && autocovariance.iter().all(|value| value.is_finite());
    usable.then(|| autocovariance.iter().map(|value| value / variance).collect())
}

/// Autocovariance of every unit, averaged over trials, of an activity that comes in blocks of time.
///
/// For a signal `x` of `n` points with mean `m`, lag `k` is `sum over t of (x(t) - m) (x(t+k) - m)`, divided by the `n - k` terms
/// of the sum: the mean is that of the whole trial, known only at the end. Memory is that of one block plus some `max_lag` numbers
/// per signal; how the activity is cut into blocks changes the result by rounding only. A constant signal gives exact zeros, a
/// signal with a value that is not finite gives NaN. Units run in parallel; the result does not depend on the number of threads.
///
/// The population's autocovariance is that of the one-unit activity `activity.sum over units`, pushed into another one.
pub struct Autocovariance {
    max_lag: usize,
    units: usize,
    /// Trial by trial, units within.
    signals: Vec<Signal>,
    length: usize,
    planner: RealFftPlanner<f64>,
}

impl Autocovariance {
    /// Nothing seen yet; lags `0..=max_lag` are wanted.
    pub fn new(max_lag: usize) -> Self {
        Self { max_lag, units: 0, signals: Vec::new(), length: 0, planner: RealFftPlanner::new() }
    }

    /// The next stretch of time: `[time, trial, unit]`, with the trials and units of the first block.
    ///
    /// # Errors
    /// [`Error::Shape`] if the block does not fit.
    pub fn push(&mut self, block: &Tensor) -> Result<()> {
        let shape = block.size();
        let expected = match (self.signals.len(), shape.as_slice()) {
            (0, [_, _, _]) => None,
            (0, _) => Some("[time, trial, unit]".to_string()),
            (n, [_, trials, units]) if *units as usize == self.units && (trials * units) as usize == n => None,
            (n, _) => Some(format!("[time, {}, {}]", n / self.units, self.units)),
        };
        if let Some(expected) = expected {
            let found = format!("{shape:?}");
            return Err(Error::Shape { what: "the activity".into(), expected, found });
        }
        let [time, trials, units] = [shape[0], shape[1], shape[2]].map(|size| size as usize);
        if time * trials * units == 0 {
            return Ok(());
        }
        if self.signals.is_empty() {
            self.units = units;
            self.signals = (0..trials * units).map(|_| Signal::new(self.max_lag)).collect();
        }
        let correlator = Correlator::new(&mut self.planner, time, self.max_lag);
        for (trial, signals) in self.signals.chunks_mut(units).enumerate() {
            let values = values_f64(&block.select(1, trial as i64).transpose(0, 1));
            signals.par_iter_mut().zip(values.par_chunks(time)).try_for_each_init(
                || correlator.buffers(),
                |buffers, (signal, x)| signal.push(x, &correlator, buffers),
            )?;
        }
        self.length += time;
        Ok(())
    }

    /// For each unit the autocovariance at lags `0..=max_lag`, averaged over trials.
    ///
    /// # Errors
    /// [`Error::Failed`] if the activity is not longer than `max_lag`.
    pub fn finish(&self) -> Result<Vec<Vec<f64>>> {
        let (n, max_lag) = (self.length, self.max_lag);
        if n <= max_lag {
            return Err(Error::Failed(format!(
                "the activity has {n} time steps, must be longer than the largest lag, {max_lag}; simulate longer"
            )));
        }
        let trials = (self.signals.len() / self.units) as f64;
        let mut mean = vec![vec![0.0; max_lag + 1]; self.units];
        for (i, signal) in self.signals.iter().enumerate() {
            for (sum, value) in mean[i % self.units].iter_mut().zip(signal.autocovariance(n)) {
                *sum += value / trials;
            }
        }
        Ok(mean)
    }
}

/// Transforms long enough that lags up to the largest do not wrap around.
struct Correlator {
    length: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

/// Space for one correlation, one for each thread.
struct Buffers {
    real: Vec<f64>,
    all: Vec<Complex<f64>>,
    new: Vec<Complex<f64>>,
}

impl Correlator {
    fn new(planner: &mut RealFftPlanner<f64>, time: usize, max_lag: usize) -> Self {
        let length = fast_length(time + max_lag);
        Self { length, forward: planner.plan_fft_forward(length), inverse: planner.plan_fft_inverse(length) }
    }

    fn buffers(&self) -> Buffers {
        Buffers {
            real: self.forward.make_input_vec(),
            all: self.forward.make_output_vec(),
            new: self.forward.make_output_vec(),
        }
    }

    /// Add to `products[k]` the sum over `j` in `new` of `x(j) x(j - k)`, where `x` is `old` followed by `new`.
    fn correlate(&self, old: &[f64], new: &[f64], products: &mut [f64], buffers: &mut Buffers) -> Result<()> {
        let Buffers { real, all, new: of_new } = buffers;
        let failed = |error: realfft::FftError| Error::Failed(format!("the Fourier transform failed: {error}"));
        real.fill(0.0);
        real[..old.len()].copy_from_slice(old);
        real[old.len()..old.len() + new.len()].copy_from_slice(new);
        self.forward.process(real, all).map_err(failed)?;
        if old.is_empty() {
            of_new.copy_from_slice(all);
        } else {
            real.fill(0.0);
            real[old.len()..old.len() + new.len()].copy_from_slice(new);
            self.forward.process(real, of_new).map_err(failed)?;
        }
        for (a, b) in of_new.iter_mut().zip(all.iter()) {
            *a *= b.conj();
        }
        self.inverse.process(of_new, real).map_err(failed)?;
        for (product, value) in products.iter_mut().zip(real.iter()) {
            *product += value / self.length as f64;
        }
        Ok(())
    }
}

/// The least even length of at least `least` with no prime factor above 5, for which transforms are fast.
fn fast_length(least: usize) -> usize {
    let smooth = |mut n: usize| {
        for p in [2, 3, 5] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    let mut half = least.div_ceil(2).max(1);
    while !smooth(half) {
        half += 1;
    }
    2 * half
}

/// What is kept of one unit in one trial. All values are counted from `shift`, a guess of the mean, so that products stay small.
struct Signal {
    first: Option<f64>,
    shift: f64,
    sum: f64,
    constant: bool,
    finite: bool,
    /// The first `max_lag` values.
    head: Vec<f64>,
    /// The last `max_lag` values.
    tail: Vec<f64>,
    /// For each lag the sum of products about the shift.
    products: Vec<f64>,
}

impl Signal {
    fn new(max_lag: usize) -> Self {
        Self {
            first: None,
            shift: 0.0,
            sum: 0.0,
            constant: true,
            finite: true,
            head: Vec::with_capacity(max_lag),
            tail: Vec::with_capacity(max_lag),
            products: vec![0.0; max_lag + 1],
        }
    }

    fn push(&mut self, values: &[f64], correlator: &Correlator, buffers: &mut Buffers) -> Result<()> {
        self.finite &= values.iter().all(|value| value.is_finite());
        if !self.finite {
            return Ok(());
        }
        let first = *self.first.get_or_insert_with(|| {
            self.shift = values.iter().sum::<f64>() / values.len() as f64;
            values[0]
        });
        self.constant &= values.iter().all(|&value| value == first);
        let shifted: Vec<f64> = values.iter().map(|value| value - self.shift).collect();
        self.sum += shifted.iter().sum::<f64>();
        correlator.correlate(&self.tail, &shifted, &mut self.products, buffers)?;
        let max_lag = self.products.len() - 1;
        self.head.extend(shifted.iter().take(max_lag - self.head.len()));
        self.tail.extend(&shifted[shifted.len().saturating_sub(max_lag)..]);
        self.tail.drain(..self.tail.len().saturating_sub(max_lag));
        Ok(())
    }

    /// The sums of products, moved from the shift to the mean: of `(x - m)(y - m)` over pairs `k` apart, where the first factors
    /// are all values but the last `k`, and the second ones all but the first `k`.
    fn autocovariance(&self, n: usize) -> Vec<f64> {
        if !self.finite {
            return vec![f64::NAN; self.products.len()];
        }
        if self.constant {
            return vec![0.0; self.products.len()];
        }
        let mean = self.sum / n as f64;
        let (mut first_factors, mut second_factors) = (self.sum, self.sum);
        let mut lags = Vec::with_capacity(self.products.len());
        for (lag, product) in self.products.iter().enumerate() {
            if lag > 0 {
                first_factors -= self.tail[self.tail.len() - lag];
                second_factors -= self.head[lag - 1];
            }
            let pairs = (n - lag) as f64;
            lags.push((product - mean * (first_factors + second_factors)) / pairs + mean * mean);
        }
        lags
    }
}

#[cfg(test)]
mod tests;
