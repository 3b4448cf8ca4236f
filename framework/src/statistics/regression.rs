//! A straight line through points.

use super::{mean, scatter, two_sided_p};

/// A line fitted by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regression {
    /// Change of y for one unit of x.
    pub slope: f64,
    /// Height at x = 0.
    pub intercept: f64,
    /// Pearson's correlation; NaN where y does not scatter.
    pub r: f64,
    /// Two-sided probability of so strong a correlation where there is none.
    pub p: f64,
    /// Standard error of the slope.
    pub slope_error: f64,
    /// Number of points.
    pub points: usize,
}

impl Regression {
    /// The height of the line.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// The line of least squares through the points (x, y).
///
/// Pairs with a value that is not finite are left out. `None` with fewer than three points, lists of unequal length, or x that do not
/// scatter.
pub fn regression(x: &[f64], y: &[f64]) -> Option<Regression> {
    if x.len() != y.len() {
        return None;
    }
    let pairs = x.iter().zip(y).filter(|(x, y)| x.is_finite() && y.is_finite());
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.map(|(x, y)| (*x, *y)).unzip();
    let (x_scatter, y_scatter) = (scatter(&x), scatter(&y));
    if x.len() < 3 || x_scatter <= 0.0 {
        return None;
    }
    let (x_mean, y_mean) = (mean(&x), mean(&y));
    let common: f64 = x.iter().zip(&y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let slope = common / x_scatter;
    let r = (common / (x_scatter * y_scatter).sqrt()).clamp(-1.0, 1.0);
    let degrees = x.len() as f64 - 2.0;
    // Two factors, since 1 - r² would lose what makes r differ from 1.
    let unexplained = (1.0 - r) * (1.0 + r);
    let t = r * (degrees / unexplained).sqrt();
    Some(Regression {
        slope,
        intercept: y_mean - slope * x_mean,
        r,
        p: two_sided_p(t, degrees).unwrap_or(f64::NAN),
        slope_error: (unexplained * y_scatter / x_scatter / degrees).sqrt(),
        points: x.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_found_exactly() {
        let line = regression(&[0.0, 1.0, 2.0, 4.0, f64::NAN], &[1.0, 3.0, 5.0, 9.0, 2.0]).expect("x scatters");
        assert_eq!((line.slope, line.intercept, line.r, line.p, line.points), (2.0, 1.0, 1.0, 0.0, 4));
        assert_eq!(line.at(3.0), 7.0);
    }

    #[test]
    fn too_little_is_nothing() {
        assert_eq!(regression(&[0.0, 1.0], &[0.0, 1.0]), None);
        assert_eq!(regression(&[1.0, 1.0, 1.0], &[0.0, 1.0, 2.0]), None);
        assert_eq!(regression(&[1.0, 2.0, 3.0], &[0.0, 1.0]), None);
        let level = regression(&[1.0, 2.0, 3.0], &[4.0, 4.0, 4.0]).expect("x scatters");
        assert!(level.slope == 0.0 && level.r.is_nan() && level.p.is_nan());
    }
}
