//! Clipping of gradients by their global norm.

use crate::recurrence::sum_of_squares;
use crate::{Error, Result, Tensors};

/// Scale all gradients together so that their global norm is at most `bound`; gives the norm before clipping.
///
/// The global norm is the Euclidean norm over all entries of all tensors, with sums in double precision in the order of the map. The
/// factor is `min(1, bound / (norm + 1e-6))`, the same as PyTorch's `clip_grad_norm_`.
/// A norm that is NaN or infinite is returned as it is and nothing is scaled: the caller reports it.
///
/// Scaled gradients are new tensors, since automatic differentiation may hand out one tensor for two parameters.
///
/// Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.
///
/// # Errors
/// [`Error::Failed`] if the bound is not greater than 0; [`Error::Torch`] where libtorch refuses, for example tensors on several
/// devices.
pub fn clip_global_norm(gradients: &mut Tensors, bound: f64) -> Result<f64> {
    if bound.is_nan() || bound <= 0.0 {
        return Err(Error::Failed(format!("the bound of the gradient norm is {bound}, must be greater than 0")));
    }
    tch::no_grad(|| {
        let norm = norm(gradients)?;
        let factor = bound / (norm + 1e-6);
        if norm.is_finite() && factor < 1.0 {
            let names: Vec<String> = gradients.names().map(str::to_string).collect();
            for name in names {
                let scaled = gradients.get(&name)?.f_mul_scalar(factor)?;
                gradients.insert(name, scaled);
            }
        }
        Ok(norm)
    })
}

/// The global norm of all entries; 0 if there are none.
fn norm(gradients: &Tensors) -> Result<f64> {
    let mut squares = 0.0;
    for (_, gradient) in gradients.iter() {
        squares += match sum_of_squares(gradient)? {
            Some(sum) => sum,
            None => gradient.f_norm()?.f_double_value(&[])?.powi(2),
        };
    }
    Ok(squares.sqrt())
}
