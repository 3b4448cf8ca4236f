//! Axes of the state space along which task variables are represented, by regression.

use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::{Error, Result};

/// Orthogonal axes of some variables.
#[derive(Debug)]
pub struct Axes {
    /// Orthonormal axes `[variable, unit]`; each points to where its variable grows.
    pub axes: Tensor,
    /// Coefficients of the regression, `[variable, time, unit]`.
    pub coefficients: Tensor,
    /// Step of the largest coefficients of each variable, among the given times.
    pub peaks: Vec<usize>,
    /// Share of the variance over trials, at each time, that the variables explain together, `[time]`.
    pub explained: Tensor,
    /// Activity with mean 0 and variance 1 over trials and times for each unit, `[time, trial, unit]`; constant units are 0.
    pub standard: Tensor,
}

/// At each time every unit is regressed on the variables (and a constant); each variable's axis is the vector of its coefficients at
/// the time at which it is longest, made orthogonal to those of the variables before it.
///
/// `activity` is `[time, trial, unit]`, `variables` one column of numbers per variable, standardised here so that coefficients compare.
///
/// Source: Mante, Sussillo, Shenoy & Newsome 2013, doi:10.1038/nature12742, the targeted reduction; as used by Miconi 2017,
/// doi:10.7554/eLife.20899 (choice first).
///
/// # Errors
/// [`Error::Failed`] when a variable is constant, or one follows from the others.
pub fn axes(activity: &Tensor, variables: &[(String, Vec<f64>)]) -> Result<Axes> {
    no_grad(|| {
        let (times, trials, units) = activity.size3()?;
        let activity = activity.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        let centred = activity.f_sub(&activity.f_mean_dim(&[0i64, 1][..], true, None::<Kind>)?)?;
        let spread = centred.f_square()?.f_mean_dim(&[0i64, 1][..], true, None::<Kind>)?.f_sqrt()?;
        let still = spread.f_le(1e-12)?;
        let standard = centred.f_div(&spread.f_masked_fill(&still, 1.0)?)?.f_masked_fill(&still, 0.0)?;
        let mut columns = vec![Tensor::f_ones([trials], (Kind::Double, Device::Cpu))?];
        for (name, values) in variables {
            let column = Tensor::from_slice(values);
            let centred = column.f_sub(&column.f_mean(None::<Kind>)?)?;
            let deviation = centred.f_square()?.f_mean(None::<Kind>)?.f_sqrt()?.double_value(&[]);
            if deviation <= 0.0 {
                return Err(Error::Failed(format!(
                    "'{name}' is the same in all trials, so nothing can be regressed on it"
                )));
            }
            columns.push(centred / deviation);
        }
        let design = Tensor::f_stack(&columns, 1)?;
        let normal = design.f_transpose(0, 1)?.f_matmul(&design)?;
        let flat = standard.f_permute([1, 0, 2])?.f_reshape([trials, times * units])?;
        // Standardised columns: the smallest eigenvalue is the number of trials times what a variable has of its own.
        let least = normal.f_linalg_eigvalsh("L")?.double_value(&[0]);
        if least < 1e-8 * trials as f64 {
            let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::Failed(format!(
                "of {} one follows from the others, so their effects cannot be told apart; name fewer",
                names.join(", ")
            )));
        }
        let (solved, _) = Tensor::f_linalg_solve_ex(&normal, &design.f_transpose(0, 1)?.f_matmul(&flat)?, true, false)?;
        let fitted = design.f_matmul(&solved)?.f_reshape([trials, times, units])?;
        let whole = flat.f_reshape([trials, times, units])?;
        let about = |t: &Tensor| -> Result<Tensor> {
            let centred = t.f_sub(&t.f_mean_dim(0i64, true, None::<Kind>)?)?;
            Ok(centred.f_square()?.f_sum_dim_intlist(&[0i64, 2][..], false, Kind::Double)?)
        };
        let explained = about(&fitted)?.f_div(&about(&whole)?.f_clamp_min(1e-300)?)?;
        let count = variables.len() as i64;
        let coefficients = solved.f_narrow(0, 1, count)?.f_reshape([count, times, units])?;
        let lengths = coefficients.f_square()?.f_sum_dim_intlist(-1i64, false, Kind::Double)?;
        let peaks: Vec<usize> =
            (0..count).map(|v| lengths.get(v).argmax(None, false).int64_value(&[]) as usize).collect();
        let longest: Vec<Tensor> =
            peaks.iter().enumerate().map(|(v, at)| coefficients.get(v as i64).get(*at as i64)).collect();
        Ok(Axes { axes: orthogonal(&longest)?, coefficients, peaks, explained, standard })
    })
}

/// Gram and Schmidt in the given order, which keeps the direction of each vector.
fn orthogonal(vectors: &[Tensor]) -> Result<Tensor> {
    let mut axes: Vec<Tensor> = Vec::new();
    for vector in vectors {
        let mut rest = vector.shallow_clone();
        // Twice, since once leaves rounding errors of the size of what was removed.
        for _ in 0..2 {
            for axis in &axes {
                rest = rest.f_sub(&axis.f_mul(&rest.f_dot(axis)?)?)?;
            }
        }
        let length = rest.f_norm()?.double_value(&[]);
        axes.push(if length > 0.0 { rest / length } else { rest });
    }
    Ok(Tensor::f_stack(&axes, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::Stream;
    use synfire::tensors::values_f64;

    /// Two variables on planted directions, the second at the end only.
    #[test]
    fn planted_axes_are_found() {
        let mut stream = Stream::new(8);
        let (times, trials, units) = (6, 200, 12);
        let first = Tensor::from_slice(&(0..units).map(|u| if u < 6 { 1.0 } else { 0.0 }).collect::<Vec<f64>>());
        let second = Tensor::from_slice(&(0..units).map(|u| if u >= 6 { 1.0 } else { 0.0 }).collect::<Vec<f64>>());
        let mut draw = || (0..trials).map(|_| if stream.bernoulli(0.5) { 1.0 } else { -1.0 }).collect::<Vec<f64>>();
        let (a, b) = (draw(), draw());
        let course = |t: i64| {
            let (x, y) = (Tensor::from_slice(&a).unsqueeze(-1), Tensor::from_slice(&b).unsqueeze(-1));
            x * &first * (t as f64) + y * &second * if t == 5 { 3.0 } else { 0.0 }
        };
        let signal = Tensor::stack(&(0..times).map(course).collect::<Vec<_>>(), 0);
        let activity = signal + stream.normal_tensor(&[times, trials, units], Kind::Double, Device::Cpu) * 0.1;
        let found = axes(&activity, &[("a".into(), a), ("b".into(), b)]).expect("both vary");
        let half = 6f64.sqrt();
        for (index, planted) in [first, second].iter().enumerate() {
            let cosine = found.axes.get(index as i64).dot(planted).double_value(&[]) / half;
            assert!(cosine > 0.99, "{cosine}");
        }
        assert_eq!(found.peaks, [5, 5]);
        let between = found.axes.get(0).dot(&found.axes.get(1)).double_value(&[]);
        assert!(between.abs() < 1e-12);
        let explained = values_f64(&found.explained);
        assert!(explained[0] < 0.05 && explained[5] > 0.95, "{explained:?}");
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let activity = Stream::new(1).normal_tensor(&[2, 10, 3], Kind::Double, Device::Cpu);
        let a: Vec<f64> = (0..10).map(f64::from).collect();
        let twice = a.iter().map(|x| 2.0 * x + 1.0).collect();
        let error = axes(&activity, &[("a".into(), a), ("b".into(), twice)]).expect_err("the same").to_string();
        assert!(error.contains("of a, b one follows"), "{error}");
        let error = axes(&activity, &[("c".into(), vec![1.0; 10])]).expect_err("constant").to_string();
        assert!(error.contains("'c' is the same in all trials"), "{error}");
    }
}
