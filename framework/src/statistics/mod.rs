//! Tests of significance and linear regression, with exact p-values.
//!
//! ```
//! use synfire::statistics::{stars, t_test};
//! let test = t_test(&[1.1, 0.9, 1.0, 1.2], &[1.6, 1.5, 1.7, 1.4]).expect("values that scatter");
//! assert!((test.p - 0.001547).abs() < 1e-6 && stars(test.p) == 2);
//! ```

mod comparison;
mod regression;

pub use comparison::{TTest, cohens_d, paired_test, stars, t_test, two_sided_p, welch_test};
pub use regression::{Regression, regression};

/// Mean of a list; NaN where it is empty.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sum of squared distances from the mean.
fn scatter(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre).powi(2)).sum()
}
