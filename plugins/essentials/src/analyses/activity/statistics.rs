//! Numbers about rates `[time, trial, unit]`.

use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Error, Result};

/// One unit over all trials and steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitStatistics {
    /// Mean rate.
    pub mean: f64,
    /// Standard deviation of the rate over trials and steps (divided by their number).
    pub deviation: f64,
    /// Least rate.
    pub least: f64,
    /// Largest rate.
    pub largest: f64,
    /// Step at which the mean over trials is largest.
    pub peak: usize,
    /// Lifetime sparseness; `None` for a unit that is always 0.
    pub sparseness: Option<f64>,
    /// Whether the rate never leaves zero.
    pub silent: bool,
}

/// Means of the two kinds of sparseness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sparseness {
    /// Over the samples of each unit, averaged over units that are ever active.
    pub lifetime: Option<f64>,
    /// Over the units at each moment, averaged over moments at which any is active.
    pub population: Option<f64>,
}

/// Everything that is said about the rates.
pub(super) struct Statistics {
    pub units: Vec<UnitStatistics>,
    /// `[time, unit]`
    pub mean_over_trials: Tensor,
    /// `[time, unit]`, standard deviation over trials.
    pub deviation_over_trials: Tensor,
    population: Option<f64>,
}

impl Statistics {
    /// Rates `[time, trial, unit]` in double precision; a modulus up to `silence` counts as zero.
    pub fn new(rates: &Tensor, silence: f64) -> Result<Self> {
        let (time, trials, units) = rates.size3()?;
        if time * trials * units == 0 {
            let found = format!("[{time}, {trials}, {units}]");
            return Err(Error::Shape {
                what: "the activity".into(),
                expected: "at least one step, trial and unit".into(),
                found,
            });
        }
        if rates.isfinite().all().int64_value(&[]) == 0 {
            return Err(Error::Failed(
                "the activity is not finite; look at an earlier checkpoint with update = N".into(),
            ));
        }
        let flat = rates.reshape([-1, units]);
        let samples = flat.size()[0];
        let mean_over_trials = rates.mean_dim(1i64, false, Kind::Double);
        let deviation_over_trials = rates.std_dim(1i64, false, false);
        let mean = flat.mean_dim(0i64, false, Kind::Double);
        let deviation = flat.std_dim(0i64, false, false);
        let columns = [&mean, &deviation, &flat.amin(0i64, false), &flat.amax(0i64, false)].map(values_f64);
        let peaks = values_f64(&mean_over_trials.argmax(0, false));
        let loudest = values_f64(&flat.abs().amax(0i64, false));
        let lifetime = sparseness(&flat, 0, samples);
        let moments = sparseness(&flat, 1, units);
        let units = (0..units as usize)
            .map(|unit| UnitStatistics {
                mean: columns[0][unit],
                deviation: columns[1][unit],
                least: columns[2][unit],
                largest: columns[3][unit],
                peak: peaks[unit] as usize,
                sparseness: lifetime[unit],
                silent: loudest[unit] <= silence,
            })
            .collect();
        Ok(Self { units, mean_over_trials, deviation_over_trials, population: mean_of(moments.into_iter().flatten()) })
    }

    /// Mean over everything.
    pub fn mean(&self) -> Option<f64> {
        mean_of(self.units.iter().map(|unit| unit.mean))
    }

    /// Standard deviation over samples, averaged over units.
    pub fn deviation(&self) -> Option<f64> {
        mean_of(self.units.iter().map(|unit| unit.deviation))
    }

    /// Standard deviation of the mean rates over units.
    pub fn spread(&self) -> Option<f64> {
        let mean = self.mean()?;
        mean_of(self.units.iter().map(|unit| (unit.mean - mean).powi(2))).map(f64::sqrt)
    }

    pub fn sparseness(&self) -> Sparseness {
        Sparseness { lifetime: mean_of(self.units.iter().filter_map(|u| u.sparseness)), population: self.population }
    }

    /// Units with the largest deviation, the largest first.
    pub fn liveliest(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        order.sort_by(|a, b| self.units[*b].deviation.total_cmp(&self.units[*a].deviation));
        order.truncate(count);
        order
    }
}

/// `(1 - mean(|r|)^2 / mean(r^2)) / (1 - 1/n)` along an axis of a matrix; `None` where all are 0.
fn sparseness(matrix: &Tensor, axis: i64, count: i64) -> Vec<Option<f64>> {
    let mean = values_f64(&matrix.abs().mean_dim(axis, false, Kind::Double));
    let square = values_f64(&matrix.square().mean_dim(axis, false, Kind::Double));
    let scale = if count > 1 { 1.0 - 1.0 / count as f64 } else { 1.0 };
    mean.iter().zip(square).map(|(m, s)| (s > 0.0).then(|| ((1.0 - m * m / s) / scale).clamp(0.0, 1.0))).collect()
}

fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_active_unit_is_sparse_and_equal_ones_are_not() {
        // two steps, two trials; unit 0 fires once, unit 1 is constant, unit 2 is silent
        let rates =
            Tensor::from_slice(&[4.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]).reshape([2, 2, 3]);
        let found = Statistics::new(&rates, 0.0).expect("finite");
        assert_eq!(found.units[0].sparseness, Some(1.0));
        assert_eq!(found.units[1].sparseness, Some(0.0));
        assert_eq!((found.units[2].sparseness, found.units[2].silent), (None, true));
        assert_eq!((found.units[0].mean, found.units[0].peak, found.units[0].largest), (1.0, 0, 4.0));
        // standard deviation of 4, 0, 0, 0: sqrt(3)
        assert!((found.units[0].deviation - 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.liveliest(2), [0, 1]);
        // at one moment rates are 4, 1, 0, at three 0, 1, 0
        let first = (1.0 - (5.0f64 / 3.0).powi(2) / (17.0 / 3.0)) / (2.0 / 3.0);
        let population = found.sparseness().population.expect("active");
        assert!((population - (first + 3.0) / 4.0).abs() < 1e-12, "{population}");
        assert!((found.mean().expect("units") - 2.0 / 3.0).abs() < 1e-12);
        assert!((found.spread().expect("units") - (2.0f64 / 9.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn nothing_and_nan_are_refused() {
        let none = Tensor::zeros([0, 2, 3], (Kind::Double, synfire::tch::Device::Cpu));
        assert!(Statistics::new(&none, 0.0).is_err());
        let bad = Tensor::from_slice(&[f64::NAN]).reshape([1, 1, 1]);
        assert!(Statistics::new(&bad, 0.0).err().expect("NaN").to_string().contains("earlier checkpoint"));
    }
}
