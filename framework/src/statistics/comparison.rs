//! Student's t-tests: two samples with equal or unequal variances, and pairs.

use super::{mean, scatter};
use statrs::function::beta::checked_beta_reg;

/// Outcome of a t-test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TTest {
    /// The statistic: positive where the first mean is larger; infinite where means differ without any scatter.
    pub t: f64,
    /// Degrees of freedom; no whole number in Welch's test.
    pub degrees: f64,
    /// Two-sided probability of so large a statistic where there is no difference.
    pub p: f64,
    /// Size of the effect: for two samples [`cohens_d`], for pairs the mean difference over the deviation of differences.
    pub d: f64,
}

/// Unpaired t-test of two samples whose variances are taken as equal.
///
/// `None` with fewer than two values in a sample, values that are not finite, or equal means without any scatter.
pub fn t_test(a: &[f64], b: &[f64]) -> Option<TTest> {
    enough(a, b)?;
    let (count_a, count_b) = (a.len() as f64, b.len() as f64);
    let degrees = count_a + count_b - 2.0;
    let variance = (scatter(a) + scatter(b)) / degrees;
    let error = (variance * (1.0 / count_a + 1.0 / count_b)).sqrt();
    outcome(mean(a) - mean(b), error, degrees, variance.sqrt())
}

/// Welch's unpaired t-test, which does not take the variances of the samples as equal.
///
/// `None` as [`t_test`].
pub fn welch_test(a: &[f64], b: &[f64]) -> Option<TTest> {
    enough(a, b)?;
    let (count_a, count_b) = (a.len() as f64, b.len() as f64);
    let (part_a, part_b) = (scatter(a) / (count_a - 1.0) / count_a, scatter(b) / (count_b - 1.0) / count_b);
    let all = part_a + part_b;
    // Without scatter in either sample the quotient is 0 / 0; any number of degrees gives the same answer.
    let degrees = match all > 0.0 {
        true => all * all / (part_a * part_a / (count_a - 1.0) + part_b * part_b / (count_b - 1.0)),
        false => 1.0,
    };
    let pooled = ((scatter(a) + scatter(b)) / (count_a + count_b - 2.0)).sqrt();
    outcome(mean(a) - mean(b), all.sqrt(), degrees, pooled)
}

/// Paired t-test: whether the differences `a[i] - b[i]` have mean 0.
///
/// `None` with lists of unequal length, and as [`t_test`].
pub fn paired_test(a: &[f64], b: &[f64]) -> Option<TTest> {
    enough(a, b)?;
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let count = differences.len() as f64;
    let deviation = (scatter(&differences) / (count - 1.0)).sqrt();
    outcome(mean(&differences), deviation / count.sqrt(), count - 1.0, deviation)
}

/// Cohen's d: the difference of means over the pooled standard deviation.
///
/// `None` as [`t_test`].
pub fn cohens_d(a: &[f64], b: &[f64]) -> Option<f64> {
    t_test(a, b).map(|test| test.d)
}

/// Probability that |T| is at least |t| for Student's t with so many degrees of freedom, through the incomplete beta function.
///
/// `None` for a `t` that is no number, or degrees that are not positive.
pub fn two_sided_p(t: f64, degrees: f64) -> Option<f64> {
    if t.is_nan() || !degrees.is_finite() || degrees <= 0.0 {
        return None;
    }
    let squared = t * t;
    let share = if squared.is_finite() { degrees / (degrees + squared) } else { 0.0 };
    checked_beta_reg(degrees / 2.0, 0.5, share).ok()
}

/// How many of 0.05, 1e-2, 1e-3, ..., 1e-10 exceed p.
pub fn stars(p: f64) -> usize {
    const BOUNDS: [f64; 10] = [0.05, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10];
    BOUNDS.iter().filter(|bound| p < **bound).count()
}

fn enough(a: &[f64], b: &[f64]) -> Option<()> {
    let fit = |values: &[f64]| values.len() >= 2 && values.iter().all(|value| value.is_finite());
    (fit(a) && fit(b)).then_some(())
}

fn outcome(difference: f64, error: f64, degrees: f64, deviation: f64) -> Option<TTest> {
    let t = difference / error;
    let p = two_sided_p(t, degrees)?;
    Some(TTest { t, degrees, p, d: difference / deviation })
}

#[cfg(test)]
mod tests {
    use super::super::regression;
    use super::*;
    use serde_json::Value;

    /// SciPy's answers; `statistics.py` beside the file makes it.
    fn fixture() -> Value {
        serde_json::from_str(include_str!("../../tests/fixtures/statistics.json")).expect("JSON")
    }

    fn list(value: &Value) -> Vec<f64> {
        value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
    }

    /// The beta function of the library is good to some 1e-12 where a continued fraction takes many terms.
    fn close(found: f64, expected: &Value, what: &str) {
        let expected = expected.as_f64().expect("a number");
        let gap = (found - expected).abs();
        assert!(gap <= 1e-11 * expected.abs() || gap < 1e-300, "{what}: {found:e}, not {expected:e}");
    }

    #[test]
    fn tests_of_two_samples_agree_with_scipy() {
        let fixture = fixture();
        let cases = fixture["samples"].as_array().expect("a list");
        assert!(cases.len() >= 6);
        for case in cases {
            let (a, b) = (list(&case["a"]), list(&case["b"]));
            let name = case["name"].as_str().expect("a name");
            let test = t_test(&a, &b).expect("scatters");
            close(test.t, &case["student"]["t"], name);
            close(test.p, &case["student"]["p"], name);
            close(test.degrees, &case["student"]["degrees"], name);
            close(test.d, &case["d"], name);
            let test = welch_test(&a, &b).expect("scatters");
            close(test.t, &case["welch"]["t"], name);
            close(test.p, &case["welch"]["p"], name);
            close(test.degrees, &case["welch"]["degrees"], name);
            if case["paired"].is_object() {
                let test = paired_test(&a, &b).expect("scatters");
                close(test.t, &case["paired"]["t"], name);
                close(test.p, &case["paired"]["p"], name);
            } else {
                assert_eq!(paired_test(&a, &b), None, "{name}");
            }
        }
    }

    #[test]
    fn tails_agree_with_scipy() {
        let fixture = fixture();
        for row in fixture["tails"].as_array().expect("a list") {
            let row = list(row);
            close(two_sided_p(row[0], row[1]).expect("a probability"), &row[2].into(), "tail");
        }
    }

    #[test]
    fn regressions_agree_with_scipy() {
        let fixture = fixture();
        for case in fixture["regressions"].as_array().expect("a list") {
            let found = regression(&list(&case["x"]), &list(&case["y"])).expect("x scatters");
            for (name, value) in [
                ("slope", found.slope),
                ("intercept", found.intercept),
                ("r", found.r),
                ("p", found.p),
                ("error", found.slope_error),
            ] {
                close(value, &case[name], name);
            }
        }
    }

    #[test]
    fn stars_count_the_bounds_above_p() {
        for (p, expected) in [(0.2, 0), (0.05, 0), (0.049, 1), (0.003, 2), (1e-3, 2), (9e-4, 3), (0.0, 10), (1e-10, 9)]
        {
            assert_eq!(stars(p), expected, "{p}");
        }
        assert_eq!(stars(f64::NAN), 0);
    }

    #[test]
    fn what_cannot_be_tested_is_nothing() {
        assert_eq!(t_test(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(t_test(&[1.0, f64::NAN], &[2.0, 3.0]), None);
        assert_eq!(t_test(&[1.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(paired_test(&[1.0, 2.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(two_sided_p(1.0, 0.0), None);
        for test in [t_test(&[2.0, 2.0], &[1.0, 1.0]), welch_test(&[2.0, 2.0], &[1.0, 1.0])] {
            let test = test.expect("without scatter the difference is certain");
            assert_eq!((test.t, test.p), (f64::INFINITY, 0.0));
        }
    }
}
