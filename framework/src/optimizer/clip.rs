//! Clipping of gradients by their global norm.

use crate::{Error, Result, Tensors};
use tch::Tensor;

/// Scale all gradients together so that their global norm is at most `bound`; gives the norm before clipping.
///
/// The global norm is the Euclidean norm over all entries of all tensors, taken as the norm of the tensors' norms in the order of
/// the map. The factor is `min(1, bound / (norm + 1e-6))`, in the kind of the gradients: the same as PyTorch's `clip_grad_norm_`.
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
        let Some(total) = norm(gradients)? else { return Ok(0.0) };
        let value = total.f_double_value(&[])?;
        if !value.is_finite() {
            return Ok(value);
        }
        let factor = total.f_add_scalar(1e-6)?.f_reciprocal_()?.f_mul_scalar_(bound)?;
        if factor.f_double_value(&[])? < 1.0 {
            let names: Vec<String> = gradients.names().map(str::to_string).collect();
            for name in names {
                let scaled = gradients.get(&name)?.f_mul(&factor)?;
                gradients.insert(name, scaled);
            }
        }
        Ok(value)
    })
}

/// The global norm of all entries as a scalar tensor; nothing if there are no tensors.
fn norm(gradients: &Tensors) -> Result<Option<Tensor>> {
    let mut norms = Vec::with_capacity(gradients.len());
    for (_, gradient) in gradients.iter() {
        norms.push(gradient.f_norm()?);
    }
    Ok(if norms.is_empty() { None } else { Some(Tensor::f_stack(&norms, 0)?.f_norm()?) })
}
