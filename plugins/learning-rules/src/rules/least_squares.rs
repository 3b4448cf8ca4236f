//! Least squares, one sample at a time.

use synfire::tch::{Device, Kind, Tensor};
use synfire::{Error, Result};

/// Recursive least squares: the weights that fit all samples so far, followed from sample to sample.
///
/// With rates `r`, the sample's weight `s` (1 as a rule) and `P = I / alpha` at the start, each sample gives
///
/// `g = s P r / (1 + s r' P r)`, `P <- P - g (P r)'`, and the caller does `w <- w - e g'`
///
/// with `e` the error before the update. After any number of samples `w` minimises
/// `sum_i s_i (w r_i - f_i)^2 + alpha |w - w(0)|^2`: ridge regression towards the start.
///
/// Source: Haykin 2002, "Adaptive filter theory", 4th edition, chapter 9, without forgetting.
#[derive(Debug)]
pub struct RecursiveLeastSquares {
    inverse: Tensor,
}

impl RecursiveLeastSquares {
    /// No samples yet, for rates of `units` units.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn new(units: usize, alpha: f64, kind: Kind, device: Device) -> Result<Self> {
        Ok(Self { inverse: Tensor::f_eye(units as i64, (kind, device))? / alpha })
    }

    /// Go on from a saved [`RecursiveLeastSquares::inverse`].
    ///
    /// # Errors
    /// [`Error::Shape`] when it is not square.
    pub fn restore(inverse: Tensor) -> Result<Self> {
        match inverse.size()[..] {
            [rows, columns] if rows == columns => Ok(Self { inverse }),
            _ => Err(Error::Shape {
                what: "the inverse correlation of a saved learner".into(),
                expected: "a square".into(),
                found: format!("{:?}", inverse.size()),
            }),
        }
    }

    /// `P`, `[unit, unit]`: the inverse of `sum_i s_i r_i r_i' + alpha I`.
    pub fn inverse(&self) -> &Tensor {
        &self.inverse
    }

    /// Take in one sample with rates `[unit]`; gives `g` `[unit]`.
    ///
    /// # Errors
    /// When the rates do not fit.
    pub fn gain(&mut self, rates: &Tensor, weight: f64) -> Result<Tensor> {
        if self.inverse.device() != rates.device() {
            // A restored state lies on the CPU until its network is met.
            self.inverse = self.inverse.f_to_device(rates.device())?;
        }
        let correlated = self.inverse.f_mv(rates)?;
        let divisor = rates.f_dot(&correlated)? * weight + 1.0;
        let gain = (&correlated * weight).f_div(&divisor)?;
        drop(self.inverse.f_addr_(&gain.neg(), &correlated)?);
        Ok(gain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::Stream;

    #[test]
    fn it_is_ridge_regression_towards_the_start() {
        let options = (Kind::Double, Device::Cpu);
        let mut stream = Stream::new(1);
        let (samples, units, outputs, alpha) = (40, 12, 3, 0.7);
        let rates = stream.normal_tensor(&[samples, units], options.0, options.1);
        let targets = stream.normal_tensor(&[samples, outputs], options.0, options.1);
        let weights: Vec<f64> =
            (0..samples).map(|_| if stream.bernoulli(0.3) { 0.0 } else { stream.uniform() }).collect();
        let start = stream.normal_tensor(&[outputs, units], options.0, options.1);

        let mut learned = start.copy();
        let mut squares = RecursiveLeastSquares::new(units as usize, alpha, options.0, options.1).expect("memory");
        for (i, weight) in weights.iter().enumerate() {
            let (r, f) = (rates.get(i as i64), targets.get(i as i64));
            let error = learned.mv(&r) - f;
            let gain = squares.gain(&r, *weight).expect("fits");
            drop(learned.f_addr_(&error.neg(), &gain).expect("fits"));
        }

        // (R' S R + alpha I) (w - w0)' = R' S (F - R w0')
        let weighted = &rates * Tensor::from_slice(&weights).unsqueeze(1);
        let normal = weighted.transpose(0, 1).mm(&rates) + Tensor::eye(units, options) * alpha;
        let right = weighted.transpose(0, 1).mm(&(&targets - rates.mm(&start.transpose(0, 1))));
        let solved = Tensor::linalg_solve(&normal, &right, true).transpose(0, 1) + &start;
        let gap = (&learned - solved).abs().max().double_value(&[]);
        // forty rank-one updates of a matrix with condition number near 100, in double precision
        assert!(gap < 1e-11, "{gap:e}");
        let product = normal.mm(squares.inverse()) - Tensor::eye(units, options);
        assert!(product.abs().max().double_value(&[]) < 1e-11);
    }

    #[test]
    fn a_sample_of_weight_zero_changes_nothing_and_a_damaged_state_is_refused() {
        let mut squares = RecursiveLeastSquares::new(2, 2.0, Kind::Double, Device::Cpu).expect("memory");
        let gain = squares.gain(&Tensor::from_slice(&[1.0, -3.0]), 0.0).expect("fits");
        assert_eq!(gain.abs().sum(Kind::Double).double_value(&[]), 0.0);
        assert_eq!(squares.inverse().double_value(&[0, 0]), 0.5);
        let error = RecursiveLeastSquares::restore(Tensor::from_slice(&[1.0, 2.0])).expect_err("a vector");
        assert!(error.to_string().contains("expected a square"), "{error}");
    }
}
