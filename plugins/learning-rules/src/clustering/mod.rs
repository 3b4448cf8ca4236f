//! Groups of networks in a matrix of distances: how well they part, where they lie in the plane, and whether clusters find them.
//!
//! Distances are symmetric row-major matrices `[item, item]` with zeros on the diagonal; labels are group numbers from 0.

mod k_means;
mod mixture;
mod scaling;
mod separation;
mod silhouette;
#[cfg(test)]
mod tests;

pub use k_means::k_means;
pub use mixture::gaussian_mixture;
pub use scaling::{Embedding, classical_scaling, metric_scaling};
pub use separation::{Spread, between, centroid_ratios, purity, within_ratios};
pub use silhouette::silhouettes;

use synfire::{Error, Result};

/// Euclidean distances between rows of equal length, `[row, row]`.
///
/// A number that is missing (NaN) in either of two rows is left out and the sum is scaled up to the whole length; rows that share no
/// number are infinitely far apart. Source: scikit-learn, `nan_euclidean_distances`.
pub fn euclidean(rows: &[Vec<f64>]) -> Vec<f64> {
    let count = rows.len();
    let mut distances = vec![0.0; count * count];
    for i in 0..count {
        for j in 0..i {
            let (mut sum, mut present) = (0.0, 0usize);
            for (a, b) in rows[i].iter().zip(&rows[j]).filter(|(a, b)| !a.is_nan() && !b.is_nan()) {
                sum += (a - b) * (a - b);
                present += 1;
            }
            let all = rows[i].len().max(rows[j].len());
            let distance = match present {
                0 if all > 0 => f64::INFINITY,
                0 => 0.0,
                _ => (sum * all as f64 / present as f64).sqrt(),
            };
            distances[i * count + j] = distance;
            distances[j * count + i] = distance;
        }
    }
    distances
}

/// Rows of a square matrix.
pub fn rows(matrix: &[f64], count: usize) -> Vec<Vec<f64>> {
    matrix.chunks(count.max(1)).map(<[f64]>::to_vec).collect()
}

/// Refuse what is no matrix of distances.
///
/// # Errors
/// [`Error::Shape`] when it is not square, [`Error::Failed`] when it is not symmetric (by more than a millionth of its largest entry),
/// or has negative entries or some that are not finite.
pub fn check_distances(matrix: &[f64], count: usize) -> Result<()> {
    if count.checked_mul(count) != Some(matrix.len()) {
        let (expected, found) = (format!("[{count}, {count}]"), format!("{} numbers", matrix.len()));
        return Err(Error::Shape { what: "the matrix of distances".into(), expected, found });
    }
    let largest = matrix.iter().copied().fold(0.0, f64::max);
    for i in 0..count {
        for j in 0..=i {
            let (a, b) = (matrix[i * count + j], matrix[j * count + i]);
            let wrong = match () {
                () if !a.is_finite() || !b.is_finite() => "is not finite",
                () if a < 0.0 || b < 0.0 => "is negative",
                () if (a - b).abs() > 1e-6 * largest => "differs from its mirror image",
                () if i == j && a > 1e-6 * largest => "is not 0 on the diagonal",
                () => continue,
            };
            return Err(Error::Failed(format!("the distance at [{i}, {j}], {a}, {wrong}; give a matrix of distances")));
        }
    }
    Ok(())
}
