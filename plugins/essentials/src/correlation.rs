//! How strongly pairs of numbers belong together: correlations and straight lines through points.

/// Correlation of pairs by their values (Pearson); `None` for fewer than two pairs, or where one side does not vary.
///
/// Lists of unequal lengths are compared up to the shorter.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let moments = Moments::of(x, y)?;
    let scale = (moments.xx * moments.yy).sqrt();
    (scale > 0.0).then(|| (moments.xy / scale).clamp(-1.0, 1.0))
}

/// Correlation of pairs by their ranks (Spearman), ties having the mean of their ranks; `None` as for [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    let count = x.len().min(y.len());
    pearson(&ranks(&x[..count]), &ranks(&y[..count]))
}

/// A straight line through points, by least squares of the heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regression {
    /// Rise per unit of `x`.
    pub slope: f64,
    /// Height at `x = 0`.
    pub intercept: f64,
    /// Correlation of `x` and `y`; NaN where all heights are the same.
    pub r: f64,
    /// Number of points.
    pub points: usize,
}

impl Regression {
    /// The line through points; `None` for fewer than two, or where all stand at one `x`.
    pub fn of(x: &[f64], y: &[f64]) -> Option<Self> {
        let moments = Moments::of(x, y)?;
        let slope = (moments.xx > 0.0).then(|| moments.xy / moments.xx)?;
        let intercept = moments.y - slope * moments.x;
        Some(Self { slope, intercept, r: pearson(x, y).unwrap_or(f64::NAN), points: x.len().min(y.len()) })
    }

    /// Height at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// Means, and sums of products of deviations.
struct Moments {
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Moments {
    fn of(x: &[f64], y: &[f64]) -> Option<Self> {
        let count = x.len().min(y.len());
        if count < 2 {
            return None;
        }
        let (x, y) = (&x[..count], &y[..count]);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count as f64;
        let (mean_x, mean_y) = (mean(x), mean(y));
        let mut moments = Self { x: mean_x, y: mean_y, xx: 0.0, yy: 0.0, xy: 0.0 };
        for (x, y) in x.iter().zip(y) {
            let (dx, dy) = (x - mean_x, y - mean_y);
            moments.xx += dx * dx;
            moments.yy += dy * dy;
            moments.xy += dx * dy;
        }
        Some(moments)
    }
}

/// Rank of each value from 1; ties share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = start as f64 + (group.len() as f64 + 1.0) / 2.0;
        group.iter().for_each(|index| ranks[*index] = rank);
        start += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Values of SciPy, made by `tests/fixtures/correlation.py`.
    #[derive(Deserialize)]
    struct Oracle {
        x: Vec<f64>,
        y: Vec<f64>,
        pearson: f64,
        spearman: f64,
        slope: f64,
        intercept: f64,
    }

    #[test]
    fn correlations_and_line_are_those_of_scipy() {
        let all: Vec<Oracle> =
            serde_json::from_str(include_str!("../tests/fixtures/correlation.json")).expect("fixture");
        assert!(all.len() > 1);
        for oracle in all {
            // Sums over 40 numbers of order 1 in double precision, in another order.
            let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            close(pearson(&oracle.x, &oracle.y).expect("varies"), oracle.pearson);
            close(spearman(&oracle.x, &oracle.y).expect("varies"), oracle.spearman);
            let line = Regression::of(&oracle.x, &oracle.y).expect("varies");
            close(line.slope, oracle.slope);
            close(line.intercept, oracle.intercept);
            close(line.r, oracle.pearson);
        }
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(pearson(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
        assert_eq!(Regression::of(&[2.0, 2.0], &[1.0, 3.0]), None);
        let flat = Regression::of(&[1.0, 2.0], &[4.0, 4.0]).expect("two places");
        assert!(flat.slope == 0.0 && flat.at(9.0) == 4.0 && flat.r.is_nan());
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[1.0, 10.0, 11.0]), Some(1.0));
    }
}
