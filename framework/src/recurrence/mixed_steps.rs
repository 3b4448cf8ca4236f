//! Numbers that remember the step before, such as noise with a memory.

use super::native::{Fresh, numbers};
use crate::{Error, Result};
use tch::kind::Element;
use tch::{Device, Kind, Tensor};

/// Mix each step of `fresh` `[time, batch, unit]` with the one before: `x_t = new fresh_t + kept x_{t-1}`, in the memory of `fresh`, to
/// which nobody else may hold a handle. The first step is mixed with `before` `[batch, unit]`, or stays as it is without one.
///
/// # Errors
/// [`Error::Shape`] when `before` has another shape than a step.
pub fn mix_steps(fresh: Tensor, before: Option<&Tensor>, (new, kept): (f64, f64)) -> Result<Tensor> {
    let (time, batch, units) = fresh.size3()?;
    if let Some(before) = before.filter(|before| before.size() != [batch, units]) {
        return Err(Error::Shape {
            what: "the step before".into(),
            expected: format!("[{batch}, {units}]"),
            found: format!("{:?}", before.size()),
        });
    }
    let on_cpu = fresh.device() == Device::Cpu && fresh.is_contiguous();
    let before = before.map(|before| before.f_to_kind(fresh.kind())?.f_contiguous()).transpose()?;
    match fresh.kind() {
        Kind::Float if on_cpu => in_memory(fresh, before.as_ref(), new as f32, kept as f32),
        Kind::Double if on_cpu => in_memory(fresh, before.as_ref(), new, kept),
        _ => {
            let mut last = before;
            for t in 0..time {
                let mut step = fresh.f_select(0, t)?;
                if let Some(last) = last {
                    drop(step.f_mul_scalar_(new)?.f_add_(&last.f_mul_scalar(kept)?)?);
                }
                last = Some(step);
            }
            Ok(fresh)
        }
    }
}

fn in_memory<R>(fresh: Tensor, before: Option<&Tensor>, new: R, kept: R) -> Result<Tensor>
where
    R: Element + Copy + std::ops::Mul<Output = R> + std::ops::Add<Output = R>,
{
    let size = fresh.select(0, 0).numel().max(1);
    let mut fresh = Fresh::own(fresh);
    let mut last: &[R] = match before {
        Some(before) => numbers(before)?,
        None => &[],
    };
    for step in fresh.numbers_mut::<R>()?.chunks_exact_mut(size) {
        step.iter_mut().zip(last).for_each(|(x, last)| *x = new * *x + kept * *last);
        last = step;
    }
    Ok(fresh.tensor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::values_f64;

    #[test]
    fn each_step_remembers_the_one_before() {
        for kind in [Kind::Float, Kind::Double] {
            let fresh = || Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).to_kind(kind).reshape([3, 2, 1]);
            // 0.5 and 0.25 are exact in either kind.
            let alone = mix_steps(fresh(), None, (0.5, 0.25)).expect("fits");
            assert_eq!(values_f64(&alone), [1.0, 2.0, 1.75, 2.5, 2.9375, 3.625]);
            let before = Tensor::from_slice(&[8.0, -8.0]).to_kind(kind).reshape([2, 1]);
            let going_on = mix_steps(fresh(), Some(&before), (0.5, 0.25)).expect("fits");
            assert_eq!(values_f64(&going_on), [2.5, -1.0, 2.125, 1.75, 3.03125, 3.4375]);
            // the general way, on memory with gaps
            let gaps = Tensor::stack(&[fresh(), fresh()], -1).select(-1, 0);
            assert!(!gaps.is_contiguous());
            assert_eq!(values_f64(&mix_steps(gaps, Some(&before), (0.5, 0.25)).expect("fits")), values_f64(&going_on));
        }
        let wrong = mix_steps(
            Tensor::zeros([1, 2, 1], (Kind::Float, Device::Cpu)),
            Some(&Tensor::zeros([3, 1], (Kind::Float, Device::Cpu))),
            (1.0, 0.0),
        );
        assert!(wrong.expect_err("refused").to_string().contains("the step before"));
    }
}
