//! Eigenvalues and singular values of small dense matrices, in a fixed order and with clear refusals.
//!
//! Matrices are row-major slices of `f64`. The algorithms are those of the faer library.

use faer::{MatRef, Side};
use std::cmp::Ordering;
use synfire::{Error, Result};

/// A complex number: real and imaginary part.
pub type Complex = (f64, f64);

/// Modulus of a complex number.
pub fn modulus((real, imaginary): Complex) -> f64 {
    real.hypot(imaginary)
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetric {
    /// Eigenvalues, the largest first.
    pub values: Vec<f64>,
    /// One unit vector per eigenvalue; its entry of largest modulus is positive (the first such entry), so that the same matrix
    /// gives the same vectors.
    pub vectors: Vec<Vec<f64>>,
}

/// Eigenvalues and eigenvectors of the symmetric matrix `[size, size]` whose lower triangle is given.
///
/// # Errors
/// [`Error::Shape`] when the matrix is not square, [`Error::Failed`] when it holds NaN or infinity.
pub fn symmetric(matrix: &[f64], size: usize) -> Result<Symmetric> {
    let matrix = view(matrix, size, size)?;
    let found = matrix.self_adjoint_eigen(Side::Lower).map_err(unconverged)?;
    let values = found.S().column_vector();
    let vectors = found.U();
    let order: Vec<usize> = (0..size).rev().collect();
    let upright = |column: usize| {
        let vector: Vec<f64> = (0..size).map(|row| vectors[(row, column)]).collect();
        let largest = vector.iter().copied().fold(0.0, |best: f64, x| if x.abs() > best.abs() { x } else { best });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        vector.into_iter().map(|x| sign * x).collect()
    };
    Ok(Symmetric {
        values: order.iter().map(|column| values[*column]).collect(),
        vectors: order.into_iter().map(upright).collect(),
    })
}

/// Eigenvalues of the matrix `[size, size]`, the largest modulus first; of a conjugate pair the one above the real axis first.
///
/// # Errors
/// As [`symmetric`].
pub fn eigenvalues(matrix: &[f64], size: usize) -> Result<Vec<Complex>> {
    let found = view(matrix, size, size)?.eigenvalues().map_err(unconverged)?;
    let mut values: Vec<Complex> = found.into_iter().map(|value| (value.re, value.im)).collect();
    values.sort_by(|a, b| descending(modulus(*a), modulus(*b)).then(descending(a.0, b.0)).then(descending(a.1, b.1)));
    Ok(values)
}

/// Eigenvalues and eigenvectors of any square matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct General {
    /// Eigenvalues, in the order of [`eigenvalues`].
    pub values: Vec<Complex>,
    /// One unit vector per eigenvalue, turned so that its entry of largest modulus is real and positive (the first such entry).
    pub vectors: Vec<Vec<Complex>>,
}

/// Eigenvalues and right eigenvectors of the matrix `[size, size]`.
///
/// # Errors
/// As [`symmetric`].
pub fn general(matrix: &[f64], size: usize) -> Result<General> {
    let found = view(matrix, size, size)?.eigen().map_err(unconverged)?;
    let (values, vectors) = (found.S().column_vector(), found.U());
    let value = |column: usize| (values[column].re, values[column].im);
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| {
        let (a, b) = (value(*a), value(*b));
        descending(modulus(a), modulus(b)).then(descending(a.0, b.0)).then(descending(a.1, b.1))
    });
    let upright = |column: usize| {
        let entries: Vec<Complex> =
            (0..size).map(|row| (vectors[(row, column)].re, vectors[(row, column)].im)).collect();
        let largest =
            entries.iter().copied().fold((0.0, 0.0), |best, x| if modulus(x) > modulus(best) { x } else { best });
        let length = entries.iter().map(|x| x.0 * x.0 + x.1 * x.1).sum::<f64>().sqrt();
        // Multiplied with the conjugate of the largest entry, that entry becomes real.
        let scale = if length > 0.0 { 1.0 / (length * modulus(largest)) } else { 0.0 };
        let turn = |(real, imaginary): Complex| {
            (scale * (real * largest.0 + imaginary * largest.1), scale * (imaginary * largest.0 - real * largest.1))
        };
        entries.into_iter().map(turn).collect()
    };
    Ok(General {
        values: order.iter().map(|column| value(*column)).collect(),
        vectors: order.into_iter().map(upright).collect(),
    })
}

/// Singular values of the matrix `[rows, columns]`, the largest first.
///
/// # Errors
/// As [`symmetric`].
pub fn singular_values(matrix: &[f64], rows: usize, columns: usize) -> Result<Vec<f64>> {
    view(matrix, rows, columns)?
        .singular_values()
        .map_err(|error| Error::Failed(format!("the singular values did not converge: {error:?}")))
}

/// Euclidean length of all entries: the Frobenius norm.
pub fn frobenius(matrix: &[f64]) -> f64 {
    matrix.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// How far a matrix is from normal, as a share of its norm: `sqrt(F^2 - sum |lambda|^2) / F` with the Frobenius norm `F`.
///
/// 0 for a normal matrix (symmetric, rotation), whose eigenvectors are orthogonal; 1 for one whose eigenvalues are all 0 (a pure
/// feed-forward chain); 0 for the zero matrix. Source: Henrici 1962, doi:10.1007/BF01386294; Trefethen & Embree 2005, chapter 48.
pub fn departure_from_normality(matrix: &[f64], eigenvalues: &[Complex]) -> f64 {
    let total: f64 = matrix.iter().map(|x| x * x).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let normal: f64 = eigenvalues.iter().map(|value| modulus(*value).powi(2)).sum();
    ((total - normal).max(0.0) / total).sqrt()
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

fn view(matrix: &[f64], rows: usize, columns: usize) -> Result<MatRef<'_, f64>> {
    if rows.checked_mul(columns) != Some(matrix.len()) {
        let (expected, found) = (format!("[{rows}, {columns}]"), format!("{} numbers", matrix.len()));
        return Err(Error::Shape { what: "the matrix".into(), expected, found });
    }
    if let Some(at) = matrix.iter().position(|x| !x.is_finite()) {
        let (row, column) = (at / columns.max(1), at % columns.max(1));
        return Err(Error::Failed(format!(
            "the matrix has {} at [{row}, {column}], so it has no eigenvalues; look at an earlier checkpoint",
            matrix[at]
        )));
    }
    Ok(MatRef::from_row_major_slice(matrix, rows, columns))
}

fn unconverged(error: faer::linalg::solvers::EvdError) -> Error {
    Error::Failed(format!("the eigenvalues did not converge: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn a_rotation_has_its_angle_as_eigenvalue_and_is_normal() {
        let angle: f64 = 0.3;
        let (sin, cos) = angle.sin_cos();
        let matrix = [0.9 * cos, -0.9 * sin, 0.9 * sin, 0.9 * cos];
        let values = eigenvalues(&matrix, 2).expect("finite");
        assert!(close(values[0].0, 0.9 * cos) && close(values[0].1, 0.9 * sin), "{values:?}");
        assert!(close(values[1].1, -0.9 * sin));
        assert!(departure_from_normality(&matrix, &values) < 1e-7);
        assert!(singular_values(&matrix, 2, 2).expect("finite").iter().all(|s| close(*s, 0.9)));
    }

    #[test]
    fn a_chain_is_not_normal_at_all_and_a_shift_converges() {
        let chain = [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0];
        let values = eigenvalues(&chain, 3).expect("finite");
        assert!(values.iter().all(|v| modulus(*v) < 1e-5), "{values:?}");
        assert!((departure_from_normality(&chain, &values) - 1.0).abs() < 1e-9);
        let mut shift = vec![0.0; 25];
        (0..5).for_each(|i| shift[5 * i + (i + 1) % 5] = 1.0);
        let values = eigenvalues(&shift, 5).expect("finite");
        assert!(values.iter().all(|v| close(modulus(*v), 1.0)));
        assert_eq!(departure_from_normality(&[0.0; 4], &[(0.0, 0.0); 2]), 0.0);
    }

    #[test]
    fn symmetric_vectors_diagonalise_and_stand_upright() {
        // eigenvalues 3 and 1 along the diagonals of the square
        let found = symmetric(&[2.0, 1.0, 1.0, 2.0], 2).expect("finite");
        let half = 0.5f64.sqrt();
        assert!(close(found.values[0], 3.0) && close(found.values[1], 1.0));
        assert!(close(found.vectors[0][0], half) && close(found.vectors[0][1], half), "{:?}", found.vectors);
        assert!(found.vectors[1].iter().copied().fold(f64::NEG_INFINITY, f64::max) > 0.7);
        assert_eq!(symmetric(&[], 0).expect("empty").values, Vec::<f64>::new());
    }

    #[test]
    fn vectors_are_turned_by_the_matrix_into_multiples() {
        // a rotation by 0.3 in the plane beside a decaying, sheared axis
        let (sin, cos) = 0.3f64.sin_cos();
        let matrix = [cos, -sin, 0.4, sin, cos, 0.0, 0.0, 0.0, 0.5];
        let found = general(&matrix, 3).expect("finite");
        assert_eq!(found.values.len(), 3);
        for ((real, imaginary), vector) in found.values.iter().zip(&found.vectors) {
            for row in 0..3 {
                let image = (0..3).fold((0.0, 0.0), |sum, column| {
                    let weight = matrix[3 * row + column];
                    (sum.0 + weight * vector[column].0, sum.1 + weight * vector[column].1)
                });
                let (a, b) = vector[row];
                assert!(close(image.0, real * a - imaginary * b) && close(image.1, real * b + imaginary * a));
            }
            assert!(close(vector.iter().map(|x| x.0 * x.0 + x.1 * x.1).sum(), 1.0));
        }
        assert!(close(found.vectors[2].iter().map(|x| x.1.abs()).sum(), 0.0), "a real eigenvalue has a real vector");
    }

    #[test]
    fn what_cannot_be_decomposed_is_refused() {
        let error = eigenvalues(&[1.0, f64::NAN, 0.0, 1.0], 2).expect_err("NaN").to_string();
        assert!(error.starts_with("the matrix has NaN at [0, 1]"), "{error}");
        let error = singular_values(&[1.0; 5], 2, 3).expect_err("five numbers").to_string();
        assert_eq!(error, "the matrix has shape 5 numbers, expected [2, 3]");
    }
}
