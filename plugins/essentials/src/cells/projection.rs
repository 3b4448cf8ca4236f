//! What the cells share: names and draws of a layer's weights, and the input of all steps through them as one product.

use super::start;
use synfire::tch::Tensor;
use synfire::{BuildContext, Error, Result, Stream, Tensors};

/// Name of the input weights `[projected, input]`, among parameters and prepared tensors.
pub(super) const INPUT_WEIGHT: &str = synfire::recurrence::INPUT;
/// Name of the input biases `[projected]`, among parameters.
pub(super) const INPUT_BIAS: &str = "input.bias";
/// Name of the recurrent weights, among parameters.
pub(super) const RECURRENT_WEIGHT: &str = "recurrent.weight";
/// Name of the recurrent biases, among parameters.
pub(super) const RECURRENT_BIAS: &str = "recurrent.bias";
/// Name of the sum of all biases that act outside the recurrent product `[projected]`, among prepared tensors.
pub(super) const BIAS: &str = synfire::recurrence::BIAS;

/// `[time, batch, input]` to `[time, batch, projected]` with the prepared input weights and, if there is one, the bias.
///
/// # Errors
/// [`Error::Shape`] when the number of input channels differs.
pub(super) fn project(prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
    let weight = prepared.get(INPUT_WEIGHT)?;
    let (found, channels) = (inputs.size(), weight.size()[1]);
    if found.len() != 3 || found[2] != channels {
        return Err(Error::Shape {
            what: "input of the network".into(),
            expected: format!("[time, batch, {channels}]"),
            found: format!("{found:?}"),
        });
    }
    Ok(inputs.f_linear(weight, prepared.find(BIAS))?)
}

/// The sum of two biases.
///
/// # Errors
/// When shapes differ.
pub(super) fn add_biases(input: &Tensor, recurrent: &Tensor) -> Result<Tensor> {
    Ok(input.f_add(recurrent)?)
}

/// Weights and biases of a layer with `blocks` gates: `input.weight`, `recurrent.weight`, `input.bias`, `recurrent.bias`, all
/// uniform in ±1/√hidden.
pub(super) fn draw_layer(hidden: usize, blocks: usize, context: &BuildContext, stream: &Stream) -> Tensors {
    let (rows, units, inputs) = ((blocks * hidden) as i64, hidden as i64, context.task.inputs.len() as i64);
    let bound = 1.0 / (hidden.max(1) as f64).sqrt();
    let draw = |name: &str, shape: &[i64]| start::uniform(shape, bound, context, &mut stream.child(name));
    Tensors::from([
        (INPUT_WEIGHT, draw(INPUT_WEIGHT, &[rows, inputs])),
        (RECURRENT_WEIGHT, draw(RECURRENT_WEIGHT, &[rows, units])),
        (INPUT_BIAS, draw(INPUT_BIAS, &[rows])),
        (RECURRENT_BIAS, draw(RECURRENT_BIAS, &[rows])),
    ])
}

/// State tensors `[batch, unit]` of zeros, like the prepared input weights.
///
/// # Errors
/// When a prepared tensor is missing.
pub(super) fn silent_state(names: &[&str], hidden: usize, prepared: &Tensors, batch: usize) -> Result<Tensors> {
    let like = prepared.get(INPUT_WEIGHT)?;
    let zeros = || Tensor::f_zeros([batch as i64, hidden as i64], (like.kind(), like.device()));
    names.iter().map(|name| Ok((name.to_string(), zeros()?))).collect()
}
