//! Recurrent weights: what they start from, and the constraints that make the effective weights of them.

use super::super::projection::RECURRENT_WEIGHT;
use super::{LeakyRnn, is_scale, start};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::tch::Tensor;
use synfire::{BuildContext, Problems, Result, Stream, Tensors};

/// Name of the mask of a sparse network: 1 for a connection, 0 for none; a constant.
pub(super) const MASK: &str = "recurrent.mask";
const LEFT: &str = "recurrent.left";
const RIGHT: &str = "recurrent.right";

/// Recurrent weights at the start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recurrent {
    /// Their distribution. With a rank both factors are normal with standard deviation √gain instead, and the weights are their
    /// product over `hidden`.
    pub start: RecurrentStart,
    /// What they are multiplied with at the start; with normal weights about the spectral radius.
    #[schemars(range(min = 0.0))]
    pub gain: f64,
    /// Fraction of the connections that exist, each drawn by itself when the network is built and kept for good.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub density: f64,
}

/// The distribution that recurrent weights start from; N is `hidden`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecurrentStart {
    /// Uniform in ±gain/√(N density), as PyTorch's linear layers.
    #[default]
    FanInUniform,
    /// Normal with standard deviation gain/√(N density).
    Normal,
    /// A random orthogonal matrix times gain.
    Orthogonal,
    /// The identity times gain.
    Identity,
}

/// Whether units act on themselves through a recurrent weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelfConnections {
    /// They may.
    #[default]
    Allowed,
    /// They do not; the diagonal of the weights is 0 and gets no gradient.
    Masked,
    /// They do not, but the diagonal still gets the gradient that it would have at 0, which counts in the gradient's norm: so does
    /// published code that overwrites the diagonal before each rollout.
    Zeroed,
}

/// Dale's principle: a unit has the same sign at all its targets.
///
/// The effective weight is `|W|` times the sign of its source: the first units excite, the others inhibit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dale {
    /// Fraction of the units that excite.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub excitatory_fraction: f64,
    /// Scale the inhibitory weights up at the start, so that excitation and inhibition of a unit cancel on average.
    pub balanced: bool,
}

impl Default for Recurrent {
    fn default() -> Self {
        Self { start: RecurrentStart::default(), gain: 1.0, density: 1.0 }
    }
}

impl Default for Dale {
    fn default() -> Self {
        Self { excitatory_fraction: 0.8, balanced: true }
    }
}

impl Recurrent {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(is_scale(self.gain), "gain", self.gain, "at least 0");
        let dense = self.density > 0.0 && self.density <= 1.0;
        problems.require(dense, "density", self.density, "above 0 and at most 1");
    }
}

impl Dale {
    pub(super) fn check(&self, problems: &mut Problems) {
        let fraction = self.excitatory_fraction;
        problems.require((0.0..=1.0).contains(&fraction), "excitatory_fraction", fraction, "between 0 and 1");
    }

    /// Number of units that excite.
    fn excitatory(&self, hidden: usize) -> usize {
        (self.excitatory_fraction * hidden as f64).round() as usize
    }

    /// One number per source: `excite` for the first units, `inhibit` for the others.
    fn by_source(&self, hidden: usize, excite: f64, inhibit: f64, like: &Tensor) -> Tensor {
        let excitatory = self.excitatory(hidden);
        let values: Vec<f64> = (0..hidden).map(|unit| if unit < excitatory { excite } else { inhibit }).collect();
        Tensor::from_slice(&values).to_kind(like.kind()).to_device(like.device())
    }
}

/// Draw the recurrent weights of a new network.
pub(super) fn draw(cell: &LeakyRnn, context: &BuildContext, stream: &Stream, parameters: &mut Tensors) -> Result<()> {
    let Recurrent { start, gain, density } = cell.recurrent;
    let hidden = cell.hidden as i64;
    if let Some(rank) = cell.rank {
        for name in [LEFT, RIGHT] {
            let shape = [hidden, rank as i64];
            parameters.insert(name, start::normal(&shape, gain.sqrt(), context, &mut stream.child(name)));
        }
        return Ok(());
    }
    let scale = gain / (cell.hidden as f64 * density).sqrt();
    let mut stream = stream.child(RECURRENT_WEIGHT);
    let mut weight = match start {
        RecurrentStart::FanInUniform => start::uniform(&[hidden, hidden], scale, context, &mut stream),
        RecurrentStart::Normal => start::normal(&[hidden, hidden], scale, context, &mut stream),
        RecurrentStart::Orthogonal => start::orthogonal(hidden, gain, context, &mut stream)?,
        RecurrentStart::Identity => Tensor::f_eye(hidden, context.options())? * gain,
    };
    if let Some(dale) = cell.dale.filter(|dale| dale.balanced) {
        let excitatory = dale.excitatory(cell.hidden);
        let inhibitory = cell.hidden - excitatory;
        if excitatory > 0 && inhibitory > 0 {
            let ratio = excitatory as f64 / inhibitory as f64;
            weight = weight.f_mul(&dale.by_source(cell.hidden, 1.0, ratio, &weight))?;
        }
    }
    parameters.insert(RECURRENT_WEIGHT, weight);
    Ok(())
}

/// Draw which connections a sparse network has.
pub(super) fn draw_mask(cell: &LeakyRnn, context: &BuildContext, stream: &Stream, parameters: &mut Tensors) {
    if cell.recurrent.density < 1.0 {
        let hidden = cell.hidden as i64;
        let draw =
            stream.child(MASK).uniform_tensor(&[hidden, hidden], 0.0, 1.0, synfire::tch::Kind::Double, context.device);
        parameters.insert(MASK, draw.lt(cell.recurrent.density).to_kind(context.kind));
    }
}

/// The weights that act, `[target, source]`, differentiable in the parameters.
pub(super) fn effective(cell: &LeakyRnn, parameters: &Tensors) -> Result<Tensor> {
    let mut weight = match cell.rank {
        Some(_) => {
            let product = parameters.get(LEFT)?.f_matmul(&parameters.get(RIGHT)?.f_transpose(0, 1)?)?;
            product * (1.0 / cell.hidden as f64)
        }
        None => parameters.get(RECURRENT_WEIGHT)?.shallow_clone(),
    };
    if let Some(dale) = &cell.dale {
        weight = weight.f_abs()?.f_mul(&dale.by_source(cell.hidden, 1.0, -1.0, &weight))?;
    }
    if let Some(mask) = parameters.find(MASK) {
        weight = weight.f_mul(&mask.detach())?;
    }
    // The diagonal is taken off: with its gradient, so that none is left, or without, so that all of it is.
    let diagonal = match cell.self_connections {
        SelfConnections::Allowed => return Ok(weight),
        SelfConnections::Masked => weight.f_diagonal(0, 0, 1)?,
        SelfConnections::Zeroed => weight.detach().f_diagonal(0, 0, 1)?,
    };
    Ok(weight.f_sub(&diagonal.f_diag_embed(0, 0, 1)?)?)
}
