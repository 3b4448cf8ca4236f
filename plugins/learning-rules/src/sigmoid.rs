//! A sigmoid through points.

use synfire::Result;
use synfire::tch::Tensor;
use synfire::tensors::values_f64;

/// `base + height / (1 + exp(-slope (x - middle)))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoid {
    /// Difference of the two ends; positive, the sign of the slope says which way it goes.
    pub height: f64,
    /// Steepness, one over the unit of x.
    pub slope: f64,
    /// Where it is half way.
    pub middle: f64,
    /// Its lower end.
    pub base: f64,
    /// Sum of squared distances to the points.
    pub residual: f64,
}

const ROUNDS: usize = 500;

impl Sigmoid {
    /// Height of the curve.
    pub fn at(&self, x: f64) -> f64 {
        self.base + self.height * logistic(self.slope * (x - self.middle))
    }

    /// Least squares by Levenberg-Marquardt from several slopes; `None` with fewer than five finite points or x that do not scatter.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn fit(x: &[f64], y: &[f64]) -> Result<Option<Self>> {
        let points: Vec<(f64, f64)> =
            x.iter().copied().zip(y.iter().copied()).filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        let ends = |of: fn(&(f64, f64)) -> f64| {
            let values = points.iter().map(of);
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
        };
        let ((left, right), (low, high)) = (ends(|p| p.0), ends(|p| p.1));
        if points.len() < 5 || left >= right {
            return Ok(None);
        }
        let (mut sorted, width) = (points.clone(), right - left);
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let middle = sorted[sorted.len() / 2].0;
        let mut best: Option<Self> = None;
        for steepness in [1.0, 4.0, 16.0, 64.0, -4.0, -16.0] {
            let start = [(high - low).max(1e-3), steepness / width, middle, low];
            let found = improve(&points, start)?;
            if found.residual.is_finite() && best.is_none_or(|best| found.residual < best.residual) {
                best = Some(found);
            }
        }
        // The same curve with a negative height is told with a positive one.
        Ok(best.map(|fit| match fit.height < 0.0 {
            true => Self { height: -fit.height, slope: -fit.slope, base: fit.base + fit.height, ..fit },
            false => fit,
        }))
    }
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn of(numbers: [f64; 4], residual: f64) -> Sigmoid {
    let [height, slope, middle, base] = numbers;
    Sigmoid { height, slope, middle, base, residual }
}

fn cost(points: &[(f64, f64)], numbers: [f64; 4]) -> f64 {
    let curve = of(numbers, 0.0);
    points.iter().map(|(x, y)| (y - curve.at(*x)).powi(2)).sum()
}

fn improve(points: &[(f64, f64)], mut now: [f64; 4]) -> Result<Sigmoid> {
    let (mut damping, mut last) = (1e-3, cost(points, now));
    for _ in 0..ROUNDS {
        let mut normal = [0.0; 16];
        let mut right = [0.0; 4];
        for (x, y) in points {
            let share = logistic(now[1] * (x - now[2]));
            let tilt = now[0] * share * (1.0 - share);
            let slopes = [share, tilt * (x - now[2]), -tilt * now[1], 1.0];
            let gap = y - (now[3] + now[0] * share);
            for (i, a) in slopes.iter().enumerate() {
                right[i] += a * gap;
                slopes.iter().enumerate().for_each(|(j, b)| normal[4 * i + j] += a * b);
            }
        }
        (0..4).for_each(|i| normal[5 * i] += damping * (normal[5 * i] + 1e-12));
        let (matrix, right) = (Tensor::from_slice(&normal).f_reshape([4, 4])?, Tensor::from_slice(&right));
        let (step, _) = Tensor::f_linalg_solve_ex(&matrix, &right, true, false)?;
        let step = values_f64(&step);
        let tried: [f64; 4] = std::array::from_fn(|i| now[i] + step[i]);
        let after = cost(points, tried);
        if after < last {
            let done = last - after <= 1e-14 * last;
            (now, last, damping) = (tried, after, (damping / 5.0).max(1e-15));
            if done {
                break;
            }
        } else {
            damping *= 5.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    Ok(of(now, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// SciPy's `curve_fit` on the same points (`tests/fixtures/curves.py`); both end at a least square, to about the root of the
    /// precision.
    #[test]
    fn fits_agree_with_scipy() {
        let fixture: Value = serde_json::from_str(include_str!("../tests/fixtures/curves.json")).expect("JSON");
        for case in fixture["sigmoids"].as_array().expect("a list") {
            let list = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).expect("numbers") };
            let found = Sigmoid::fit(&list("x"), &list("y")).expect("solves").expect("enough points");
            for (name, value) in
                [("height", found.height), ("slope", found.slope), ("middle", found.middle), ("base", found.base)]
            {
                let expected = case[name].as_f64().expect("a number");
                assert!((value - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{name}: {value} {expected}");
            }
        }
    }

    #[test]
    fn a_sigmoid_is_found_exactly_and_too_little_is_nothing() {
        let x: Vec<f64> = (-6..=6).map(|i| 0.05 * f64::from(i)).collect();
        let curve = Sigmoid { height: 0.9, slope: -25.0, middle: 0.03, base: 0.05, residual: 0.0 };
        let y: Vec<f64> = x.iter().map(|x| curve.at(*x)).collect();
        let found = Sigmoid::fit(&x, &y).expect("solves").expect("enough points");
        assert!((found.slope + 25.0).abs() < 1e-4 && (found.middle - 0.03).abs() < 1e-6, "{found:?}");
        assert_eq!(Sigmoid::fit(&[0.0, 1.0, 2.0], &[0.0, 0.5, 1.0]).expect("solves"), None);
        assert_eq!(Sigmoid::fit(&[1.0; 6], &[0.5; 6]).expect("solves"), None);
    }
}
