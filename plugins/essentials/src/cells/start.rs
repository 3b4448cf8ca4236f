//! Values that weights start from.

use synfire::tch::{Device, Kind, Tensor};
use synfire::{BuildContext, Result, Stream};

/// Uniform in ±`bound`.
pub(super) fn uniform(shape: &[i64], bound: f64, context: &BuildContext, stream: &mut Stream) -> Tensor {
    stream.uniform_tensor(shape, -bound, bound, context.kind, context.device)
}

/// Normal with mean 0 and the given standard deviation.
pub(super) fn normal(shape: &[i64], deviation: f64, context: &BuildContext, stream: &mut Stream) -> Tensor {
    stream.normal_tensor(shape, context.kind, context.device) * deviation
}

/// A square orthogonal matrix times `gain`, uniform over all of them (Haar measure).
///
/// Source: the sign correction that makes the factor of a QR decomposition uniform is in Mezzadri 2007, arXiv:math-ph/0609050.
///
/// # Errors
/// When libtorch has no LAPACK.
pub(super) fn orthogonal(size: i64, gain: f64, context: &BuildContext, stream: &mut Stream) -> Result<Tensor> {
    let draw = stream.normal_tensor(&[size, size], Kind::Double, Device::Cpu);
    let (q, r) = Tensor::f_linalg_qr(&draw, "reduced")?;
    let signs = r.f_diagonal(0, 0, 1)?.sign();
    Ok((q.f_mul(&signs)? * gain).to_kind(context.kind).to_device(context.device).contiguous())
}
