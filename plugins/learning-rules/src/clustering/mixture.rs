//! Clusters as a mixture of Gaussians.

use super::k_means;
use synfire::Stream;

const ROUNDS: usize = 200;
/// Share of the mean variance of the columns that no variance falls below.
const FLOOR: f64 = 1e-3;

/// One Gaussian with a variance for each column.
struct Gaussian {
    weight: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

/// The most probable Gaussian (from 0) of each row, of `k` with independent columns, fitted by expectation and maximisation from the
/// clusters of [`k_means`].
///
/// Source: Dempster, Laird & Rubin 1977, doi:10.1111/j.2517-6161.1977.tb01600.x. With as many columns as rows, as in the rows of a
/// matrix of distances, full covariances could not be estimated.
pub fn gaussian_mixture(rows: &[Vec<f64>], k: usize, beginnings: usize, stream: &Stream) -> Vec<usize> {
    let k = k.min(rows.len());
    let width = rows.first().map_or(0, Vec::len);
    if k == 0 || width == 0 {
        return vec![0; rows.len()];
    }
    let start = k_means(rows, k, beginnings, stream);
    let mut shares: Vec<Vec<f64>> =
        start.iter().map(|label| (0..k).map(|index| f64::from(u8::from(index == *label))).collect()).collect();
    let floor = {
        let whole = fit(rows, &vec![vec![1.0]; rows.len()], 1, 0.0);
        let variance = whole.first().map_or(0.0, |all| all.variance.iter().sum::<f64>() / width as f64);
        (FLOOR * variance).max(f64::MIN_POSITIVE)
    };
    let mut last = f64::NEG_INFINITY;
    for _ in 0..ROUNDS {
        let parts = fit(rows, &shares, k, floor);
        let mut likelihood = 0.0;
        for (row, share) in rows.iter().zip(&mut shares) {
            let logs: Vec<f64> = parts.iter().map(|part| part.log_density(row)).collect();
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
            likelihood += largest + sum.ln();
            share.iter_mut().zip(&logs).for_each(|(share, log)| *share = (log - largest).exp() / sum);
        }
        if (likelihood - last).abs() <= 1e-9 * likelihood.abs() {
            break;
        }
        last = likelihood;
    }
    let largest = |share: &Vec<f64>| {
        share.iter().enumerate().fold(0, |best, (index, value)| if *value > share[best] { index } else { best })
    };
    shares.iter().map(largest).collect()
}

fn fit(rows: &[Vec<f64>], shares: &[Vec<f64>], k: usize, floor: f64) -> Vec<Gaussian> {
    let width = rows.first().map_or(0, Vec::len);
    let part = |index: usize| {
        let total: f64 = shares.iter().map(|share| share[index]).sum::<f64>().max(1e-12);
        let average = |of: &dyn Fn(&Vec<f64>, usize) -> f64, at: usize| {
            rows.iter().zip(shares).map(|(row, share)| share[index] * of(row, at)).sum::<f64>() / total
        };
        let mean: Vec<f64> = (0..width).map(|at| average(&|row, at| row[at], at)).collect();
        let variance = (0..width).map(|at| average(&|row, at| (row[at] - mean[at]).powi(2), at).max(floor)).collect();
        Gaussian { weight: total / rows.len() as f64, variance, mean }
    };
    (0..k).map(part).collect()
}

impl Gaussian {
    fn log_density(&self, row: &[f64]) -> f64 {
        let each = row.iter().zip(&self.mean).zip(&self.variance);
        self.weight.ln() - 0.5 * each.map(|((x, mean), v)| (x - mean).powi(2) / v + v.ln()).sum::<f64>()
    }
}
