//! Medians and quartiles.

/// The value below which a share of the values lies, between neighbours on a line; infinite values sort last. `None` for no values.
pub(super) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    // Between equal neighbours nothing is left to find, and infinity minus infinity is nothing.
    Some(if low == high { *low } else { low + (high - low) * place.fract() })
}

/// Lower quartile, median and upper quartile.
pub(super) fn quartiles(values: &[f64]) -> Option<[f64; 3]> {
    Some([quantile(values, 0.25)?, quantile(values, 0.5)?, quantile(values, 0.75)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_neighbours_on_a_line() {
        assert_eq!(quartiles(&[4.0, 1.0, 3.0, 2.0]), Some([1.75, 2.5, 3.25]));
        assert_eq!(quartiles(&[7.0]), Some([7.0; 3]));
        assert_eq!(quartiles(&[]), None);
        let some_never = [10.0, f64::INFINITY, 20.0, f64::INFINITY, f64::INFINITY];
        assert_eq!(quartiles(&some_never), Some([20.0, f64::INFINITY, f64::INFINITY]));
    }
}
