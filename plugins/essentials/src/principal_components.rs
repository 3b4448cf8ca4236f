//! Principal components of activity that may come in blocks.

use crate::eigen;
use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::{Error, Result};

/// Mean and covariance of the units, summed over blocks of activity in double precision.
///
/// Memory is one block plus `units * units` numbers. Blocks are centred on their own mean before they are joined (Chan, Golub &
/// LeVeque 1983, doi:10.1080/00031305.1983.10483115), so that large means cost no digits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Covariance {
    samples: usize,
    mean: Vec<f64>,
    /// Sum of products of deviations, row-major `[unit, unit]`.
    scatter: Vec<f64>,
}

impl Covariance {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take in activity `[.., unit]`: all axes but the last are samples.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of units changes, [`Error::Failed`] when a value is not finite.
    pub fn push(&mut self, activity: &Tensor) -> Result<()> {
        let units = activity.size().last().copied().unwrap_or(0);
        if !self.mean.is_empty() && self.mean.len() as i64 != units {
            let (expected, found) = (format!("[.., {}]", self.mean.len()), format!("{:?}", activity.size()));
            return Err(Error::Shape { what: "the activity".into(), expected, found });
        }
        if activity.numel() == 0 {
            return Ok(());
        }
        let (rows, mean, scatter) = no_grad(|| -> Result<_> {
            let block = activity.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_reshape([-1, units])?;
            let mean = block.f_mean_dim(0i64, false, None::<Kind>)?;
            let centred = block.f_sub(&mean)?;
            let scatter = centred.f_transpose(0, 1)?.f_matmul(&centred)?;
            Ok((block.size()[0] as usize, values_f64(&mean), values_f64(&scatter)))
        })?;
        if let Some(unit) = mean.iter().position(|x| !x.is_finite()) {
            return Err(Error::Failed(format!(
                "the activity of unit {unit} is not finite; look at an earlier checkpoint"
            )));
        }
        self.join(&Self { samples: rows, mean, scatter });
        Ok(())
    }

    fn join(&mut self, other: &Self) {
        if self.samples == 0 {
            *self = other.clone();
            return;
        }
        let (n, m) = (self.samples as f64, other.samples as f64);
        let gap: Vec<f64> = other.mean.iter().zip(&self.mean).map(|(b, a)| b - a).collect();
        let units = gap.len();
        let weight = n * m / (n + m);
        for (i, gap_i) in gap.iter().enumerate() {
            for (j, gap_j) in gap.iter().enumerate() {
                self.scatter[i * units + j] += other.scatter[i * units + j] + weight * gap_i * gap_j;
            }
        }
        self.mean.iter_mut().zip(&gap).for_each(|(mean, gap)| *mean += gap * m / (n + m));
        self.samples += other.samples;
    }

    /// Number of samples taken in.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Mean of each unit.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Covariance of the units, row-major `[unit, unit]`, divided by the number of samples less one.
    pub fn matrix(&self) -> Vec<f64> {
        let divisor = self.samples.saturating_sub(1).max(1) as f64;
        self.scatter.iter().map(|x| x / divisor).collect()
    }

    /// The principal components.
    ///
    /// # Errors
    /// [`Error::Failed`] when fewer than two samples were taken in.
    pub fn components(&self) -> Result<PrincipalComponents> {
        if self.samples < 2 {
            let seen = self.samples;
            return Err(Error::Failed(format!(
                "principal components need at least 2 samples of activity, there are {seen}"
            )));
        }
        let found = eigen::symmetric(&self.matrix(), self.mean.len())?;
        // Rounding leaves variances a little below zero where there is none.
        let variances = found.values.into_iter().map(|value| value.max(0.0)).collect();
        Ok(PrincipalComponents { mean: self.mean.clone(), variances, directions: found.vectors, samples: self.samples })
    }
}

/// Directions of largest variance in the space of the units.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalComponents {
    /// Mean of each unit.
    pub mean: Vec<f64>,
    /// Variance along each component, the largest first.
    pub variances: Vec<f64>,
    /// Components, unit vectors `[component][unit]`, each with its largest entry positive.
    pub directions: Vec<Vec<f64>>,
    /// Number of samples they were found in.
    pub samples: usize,
}

impl PrincipalComponents {
    /// Share of the variance along each component; zeros when there is no variance.
    pub fn shares(&self) -> Vec<f64> {
        let total: f64 = self.variances.iter().sum();
        self.variances.iter().map(|v| if total > 0.0 { v / total } else { 0.0 }).collect()
    }

    /// Running sum of [`PrincipalComponents::shares`].
    pub fn cumulative(&self) -> Vec<f64> {
        let running = self.shares().into_iter().scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        running.collect()
    }

    /// How many components are needed to reach this share of the variance (0 to 1); 0 when there is no variance.
    pub fn count_for(&self, share: f64) -> usize {
        if self.variances.iter().sum::<f64>() <= 0.0 {
            return 0;
        }
        // The running sum may end a rounding error below 1.
        self.cumulative().iter().position(|sum| *sum >= share - 1e-12).map_or(self.variances.len(), |at| at + 1)
    }

    /// `(sum of variances)^2 / sum of squared variances`: 1 for activity along one line, the number of units for a ball; 0 when
    /// there is no variance. Source: Gao et al. 2017, doi:10.1101/214262.
    pub fn participation_ratio(&self) -> f64 {
        let (sum, squares) = self.variances.iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }

    /// Activity `[.., unit]` in the coordinates of the first `count` components, `[.., count]`, in double precision on the CPU.
    ///
    /// # Errors
    /// [`Error::Shape`] when the units do not fit.
    pub fn project(&self, activity: &Tensor, count: usize) -> Result<Tensor> {
        let units = self.mean.len();
        if activity.size().last() != Some(&(units as i64)) {
            let (expected, found) = (format!("[.., {units}]"), format!("{:?}", activity.size()));
            return Err(Error::Shape { what: "the activity".into(), expected, found });
        }
        let count = count.min(self.directions.len());
        let directions =
            Tensor::f_from_slice(&self.directions[..count].concat())?.f_reshape([count as i64, units as i64])?;
        let activity = activity.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        Ok(activity.f_sub(&Tensor::f_from_slice(&self.mean)?)?.f_matmul(&directions.f_transpose(0, 1)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Values of scikit-learn, made by `tests/fixtures/principal_components.py`.
    #[derive(Deserialize)]
    struct Oracle {
        data: Vec<Vec<f64>>,
        mean: Vec<f64>,
        explained_variance: Vec<f64>,
        explained_variance_ratio: Vec<f64>,
        components: Vec<Vec<f64>>,
        projected: Vec<Vec<f64>>,
    }

    fn oracle() -> Oracle {
        serde_json::from_str(include_str!("../tests/fixtures/principal_components.json")).expect("fixture")
    }

    fn tensor(rows: &[Vec<f64>]) -> Tensor {
        Tensor::from_slice(&rows.concat()).reshape([rows.len() as i64, rows[0].len() as i64])
    }

    /// Both libraries work in double precision on numbers of order 1 to 10; their algorithms differ (SVD against eigenvalues).
    const TOLERANCE: f64 = 1e-10;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < TOLERANCE, "{a} {b}"));
    }

    #[test]
    fn components_are_those_of_scikit_learn() {
        let oracle = oracle();
        let data = tensor(&oracle.data);
        let mut covariance = Covariance::new();
        covariance.push(&data).expect("finite");
        let found = covariance.components().expect("enough");
        close(&found.mean, &oracle.mean);
        close(&found.variances, &oracle.explained_variance);
        close(&found.shares(), &oracle.explained_variance_ratio);
        found.directions.iter().zip(&oracle.components).for_each(|(a, b)| close(a, b));
        let projected = found.project(&data, 2).expect("fits");
        assert_eq!(projected.size(), [oracle.data.len() as i64, 2]);
        close(&values_f64(&projected), &oracle.projected.concat());
    }

    #[test]
    fn blocks_give_what_the_whole_gives() {
        let oracle = oracle();
        let data = tensor(&oracle.data) + 1e6;
        let (mut whole, mut blocks) = (Covariance::new(), Covariance::new());
        whole.push(&data).expect("finite");
        for (start, length) in [(0, 1), (1, 20), (21, 0), (21, 39)] {
            blocks.push(&data.narrow(0, start, length)).expect("finite");
        }
        assert_eq!(blocks.samples(), 60);
        // means of 1e6 leave about ten digits to deviations of order 1
        whole.matrix().iter().zip(blocks.matrix()).for_each(|(a, b)| assert!((a - b).abs() < 1e-8, "{a} {b}"));
    }

    #[test]
    fn dimensions_of_known_shapes() {
        let with =
            |variances: Vec<f64>| PrincipalComponents { mean: vec![], variances, directions: vec![], samples: 9 };
        let ball = with(vec![2.0; 4]);
        assert_eq!((ball.count_for(0.9), ball.participation_ratio()), (4, 4.0));
        let line = with(vec![3.0, 0.0, 0.0]);
        assert_eq!((line.count_for(0.9), line.participation_ratio()), (1, 1.0));
        // 60 + 30 % reach 90 % exactly; (6+3+1)^2 / (36+9+1)
        let uneven = with(vec![6.0, 3.0, 1.0]);
        assert_eq!(uneven.count_for(0.9), 2);
        assert!((uneven.participation_ratio() - 100.0 / 46.0).abs() < 1e-12);
        assert_eq!(uneven.count_for(1.0), 3);
        let silent = with(vec![0.0; 3]);
        assert_eq!((silent.count_for(0.9), silent.participation_ratio(), silent.shares()), (0, 0.0, vec![0.0; 3]));
    }

    #[test]
    fn bad_activity_is_refused() {
        let mut covariance = Covariance::new();
        assert!(covariance.components().expect_err("nothing").to_string().contains("at least 2 samples"));
        covariance.push(&Tensor::zeros([5, 2, 3], (Kind::Float, Device::Cpu))).expect("finite");
        let error = covariance.push(&Tensor::zeros([5, 4], (Kind::Float, Device::Cpu))).expect_err("four units");
        assert_eq!(error.to_string(), "the activity has shape [5, 4], expected [.., 3]");
        let error = covariance.push(&Tensor::from_slice(&[0.0, f64::NAN, 0.0]).reshape([1, 3])).expect_err("NaN");
        assert!(error.to_string().contains("unit 1 is not finite"));
    }
}
