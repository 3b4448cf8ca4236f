//! Mean, spread and range of a list of numbers.

/// What is reported of a list of numbers; NaN where it is empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub mean: f64,
    /// Population standard deviation: divided by the count.
    pub std: f64,
    pub min: f64,
    pub max: f64,
    pub median: f64,
}

impl Summary {
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self {
            mean,
            std: variance.sqrt(),
            min: at(0),
            max: at(last),
            median: (at(last / 2) + at(last.div_ceil(2))) / 2.0,
        }
    }
}

/// Share of the values for which `condition` holds; NaN where there is none.
pub(super) fn share(values: &[f64], condition: impl Fn(f64) -> bool) -> f64 {
    values.iter().filter(|value| condition(**value)).count() as f64 / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lists() {
        // Deviations from 5 are -3, -1, -1, -1, 0, 0, 2, 4: squares 32 over 8.
        let list = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(Summary::of(&list), Summary { mean: 5.0, std: 2.0, min: 2.0, max: 9.0, median: 4.5 });
        assert_eq!(Summary::of(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(share(&list, |value| value <= 4.0), 0.5);
        assert!(Summary::of(&[]).mean.is_nan() && Summary::of(&[]).median.is_nan());
    }
}
