use super::*;
use synfire::Stream;
use synfire::tch::{Device, Kind};

/// The definition, term by term.
fn by_definition(x: &[f64], max_lag: usize) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (0..=max_lag)
        .map(|k| {
            let terms = x.iter().zip(&x[k..]).map(|(a, b)| (a - mean) * (b - mean));
            terms.sum::<f64>() / (x.len() - k) as f64
        })
        .collect()
}

fn column(activity: &Tensor, trial: i64, unit: i64) -> Vec<f64> {
    values_f64(&activity.select(2, unit).select(1, trial))
}

fn expected(activity: &Tensor, max_lag: usize) -> Vec<Vec<f64>> {
    let (_, trials, units) = activity.size3().expect("three axes");
    let mean = |unit| {
        let each: Vec<_> = (0..trials).map(|trial| by_definition(&column(activity, trial, unit), max_lag)).collect();
        (0..=max_lag).map(|k| each.iter().map(|lags| lags[k]).sum::<f64>() / trials as f64).collect()
    };
    (0..units).map(mean).collect()
}

fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((a - b).abs() < tolerance, "{a} is not {b}");
    }
    assert!(found.iter().zip(expected).all(|(a, b)| a.len() == b.len()));
}

#[test]
fn agrees_with_the_definition_however_it_is_cut() -> Result<()> {
    // A mean of 50 beside a deviation of 1 shows whether the mean is taken out without loss.
    let activity = Stream::new(3).normal_tensor(&[61, 2, 3], Kind::Double, Device::Cpu) + 50.0;
    let expected = expected(&activity, 12);
    // Rounding: 61 products of size 1 about a mean of 50.
    assert_close(&autocovariance(&activity, 12)?, &expected, 1e-12);
    for block in [1, 5, 12, 13, 40] {
        let mut sum = Autocovariance::new(12);
        let mut start = 0;
        while start < 61 {
            let length = block.min(61 - start);
            sum.push(&activity.narrow(0, start, length))?;
            start += length;
        }
        // Blocks of one step guess the mean from one value: the products are then of size 10.
        assert_close(&sum.finish()?, &expected, 1e-11);
    }
    Ok(())
}

#[test]
fn constant_and_broken_units_leave_the_others_alone() -> Result<()> {
    let activity = Stream::new(4).normal_tensor(&[40, 1, 3], Kind::Float, Device::Cpu);
    let _ = activity.select(2, 0).fill_(0.1);
    let _ = activity.select(2, 2).select(0, 7).fill_(f64::NAN);
    let lags = autocovariance(&activity, 5)?;
    assert_eq!(lags[0], [0.0; 6]);
    assert_eq!(autocorrelation(&lags[0]), None);
    assert_eq!(autocorrelation(&lags[2]), None);
    let normalised = autocorrelation(&lags[1]).expect("noise has variance");
    assert_eq!(normalised[0], 1.0);
    assert_close(&lags[1..2], &expected(&activity.narrow(2, 1, 1), 5), 1e-14);
    assert_eq!(autocorrelation(&[]), None);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let tensor = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let error = autocovariance(&tensor(&[5, 2]), 3).expect_err("two axes");
    assert_eq!(error.to_string(), "the activity has shape [5, 2], expected [time, trial, unit]");
    let mut sum = Autocovariance::new(8);
    sum.push(&tensor(&[5, 2, 3]))?;
    let error = sum.push(&tensor(&[5, 3, 2])).expect_err("other trials");
    assert_eq!(error.to_string(), "the activity has shape [5, 3, 2], expected [time, 2, 3]");
    let error = sum.finish().expect_err("too short");
    assert!(error.to_string().starts_with("the activity has 5 time steps, must be longer than the largest lag, 8"));
    assert!(Autocovariance::new(0).finish().is_err());
    Ok(())
}

#[test]
fn lengths_have_small_prime_factors() {
    assert_eq!([1, 2, 7, 14, 100_701].map(fast_length), [2, 2, 8, 16, 101_250]);
}
