//! Least squares with bounds, by a projected Levenberg-Marquardt method with an active set.

/// Where a search ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Solution<const N: usize> {
    pub parameters: [f64; N],
    pub residual_sum: f64,
}

/// How often the model may be evaluated before the search counts as failed.
const EVALUATIONS: usize = 2000;
/// A step that changes no parameter by more than this share of its range ends the search.
const STEP_TOLERANCE: f64 = 1e-12;
/// A first-order condition met to this accuracy, relative to the sizes of residual and derivatives, ends the search.
const GRADIENT_TOLERANCE: f64 = 1e-12;

/// A model's sum of squared residuals, half its gradient, and the product of its Jacobian with itself.
struct Linearised<const N: usize> {
    residual_sum: f64,
    gradient: [f64; N],
    curvature: [[f64; N]; N],
}

/// Minimise the sum of squares of `model(parameters)(k) - data[k]` within `lower..=upper`, from `start`.
///
/// `model` gives the value at `k` and its derivatives by the parameters. Parameters at a bound whose
/// gradient points outward are held; the damped normal equations of the others give a step, which is cut off at the bounds and
/// accepted if it lowers the sum. Nothing is returned if the evaluations run out or a value is not finite.
///
/// Source: damping and its update as in Nielsen 1999, "Damping parameter in Marquardt's method", IMM-REP-1999-05; active set as in
/// Bertsekas 1982, doi:10.1137/0320018.
pub(super) fn minimise<const N: usize>(
    data: &[f64],
    lower: [f64; N],
    upper: [f64; N],
    start: [f64; N],
    model: impl Fn(&[f64; N], i32) -> (f64, [f64; N]),
) -> Option<Solution<N>> {
    let linearise = |parameters: &[f64; N]| {
        let mut at = Linearised { residual_sum: 0.0, gradient: [0.0; N], curvature: [[0.0; N]; N] };
        for (k, data) in data.iter().enumerate() {
            let (value, derivatives) = model(parameters, k as i32);
            let residual = value - data;
            at.residual_sum += residual * residual;
            for i in 0..N {
                at.gradient[i] += derivatives[i] * residual;
                for j in 0..N {
                    at.curvature[i][j] += derivatives[i] * derivatives[j];
                }
            }
        }
        at.residual_sum.is_finite().then_some(at)
    };
    let mut parameters = start;
    let mut at = linearise(&parameters)?;
    let steepest = (0..N).map(|i| at.curvature[i][i]).fold(f64::MIN_POSITIVE, f64::max);
    let (mut damping, mut growth) = (1e-3 * steepest, 2.0);
    for _ in 1..EVALUATIONS {
        let free: [bool; N] = std::array::from_fn(|i| {
            !(parameters[i] <= lower[i] && at.gradient[i] >= 0.0 || parameters[i] >= upper[i] && at.gradient[i] <= 0.0)
        });
        let size = at.residual_sum.sqrt();
        let flat = |i: usize| at.gradient[i].abs() <= GRADIENT_TOLERANCE * size * at.curvature[i][i].sqrt();
        let done = Some(Solution { parameters, residual_sum: at.residual_sum });
        if (0..N).all(|i| !free[i] || flat(i)) {
            return done;
        }
        let step = damped_step(&at, &free, damping);
        let tried: [f64; N] = std::array::from_fn(|i| (parameters[i] + step[i]).clamp(lower[i], upper[i]));
        let step: [f64; N] = std::array::from_fn(|i| tried[i] - parameters[i]);
        let moved = |i: usize| step[i].abs() > STEP_TOLERANCE * (upper[i] - lower[i]);
        if !(0..N).any(moved) {
            return done;
        }
        let promised: f64 = -(0..N)
            .map(|i| step[i] * (2.0 * at.gradient[i] + (0..N).map(|j| at.curvature[i][j] * step[j]).sum::<f64>()))
            .sum::<f64>();
        let next = linearise(&tried)?;
        let gained = at.residual_sum - next.residual_sum;
        if gained > 0.0 {
            // A cut-off step may promise a loss and still gain: then it keeps the damping as it is.
            let ratio = if promised > 0.0 { gained / promised } else { 0.5 };
            damping *= (1.0 - (2.0 * ratio - 1.0).powi(3)).max(1.0 / 3.0);
            growth = 2.0;
            (parameters, at) = (tried, next);
        } else {
            damping *= growth;
            growth *= 2.0;
        }
    }
    None
}

/// The step of the free parameters that solves the normal equations with `damping` added to their diagonal.
fn damped_step<const N: usize>(at: &Linearised<N>, free: &[bool; N], damping: f64) -> [f64; N] {
    // A held parameter gets a row of the unit matrix and so no step.
    let mut matrix: [[f64; N]; N] = std::array::from_fn(|i| {
        std::array::from_fn(|j| match (i == j, free[i] && free[j]) {
            (true, true) => at.curvature[i][i] + damping,
            (true, false) => 1.0,
            (false, true) => at.curvature[i][j],
            (false, false) => 0.0,
        })
    });
    let mut step: [f64; N] = std::array::from_fn(|i| if free[i] { -at.gradient[i] } else { 0.0 });
    // Elimination without pivoting: the matrix is positive definite by its damping.
    for i in 0..N {
        let pivot = matrix[i];
        for row in i + 1..N {
            let factor = matrix[row][i] / pivot[i];
            matrix[row].iter_mut().zip(&pivot).skip(i).for_each(|(entry, above)| *entry -= factor * above);
            step[row] -= factor * step[i];
        }
    }
    for i in (0..N).rev() {
        let rest: f64 = (i + 1..N).map(|j| matrix[i][j] * step[j]).sum();
        step[i] = (step[i] - rest) / matrix[i][i];
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line through four points: the normal equations are exact.
    fn line([intercept, slope]: &[f64; 2], k: i32) -> (f64, [f64; 2]) {
        let x = f64::from(k);
        (intercept + slope * x, [1.0, x])
    }

    #[test]
    fn a_line_is_fitted_and_bounds_hold() {
        let data = [1.0, 2.9, 5.2, 6.9];
        let free = minimise(&data, [-9.0; 2], [9.0; 2], [0.0; 2], line).expect("converges");
        // Closed form: slope = sum (x - 1.5) y / 5 = 2, intercept = 4 - 3.
        assert!((free.parameters[0] - 1.0).abs() < 1e-9 && (free.parameters[1] - 2.0).abs() < 1e-9, "{free:?}");
        // With the slope held at 1.5 the intercept is the mean of y - 1.5 x = 4 - 2.25.
        let bounded = minimise(&data, [-9.0; 2], [9.0, 1.5], [0.0; 2], line).expect("converges");
        assert!((bounded.parameters[0] - 1.75).abs() < 1e-9 && bounded.parameters[1] == 1.5, "{bounded:?}");
    }

    #[test]
    fn a_value_that_is_not_finite_is_a_failure() {
        assert!(minimise(&[f64::NAN; 4], [-9.0; 2], [9.0; 2], [0.0; 2], line).is_none());
    }
}
