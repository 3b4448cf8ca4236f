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
    /// With `start = "in-degree"`: the fraction of the units of each sign from which a unit gets input at the start.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "is_half")]
    pub in_degree: f64,
}

fn is_half(value: &f64) -> bool {
    (value - 0.5).abs() < f64::EPSILON
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
    /// gain from as many units as `in_degree` says, drawn anew for each target, and 0 from the others. Unlike those that a density
    /// leaves out, connections of 0 can be learned. Needs `dale` with `signs = "clipped"`.
    InDegree,
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
/// The first units excite, the others inhibit; `signs` says how. The published network of excitatory and inhibitory units that learns by
/// reward is `signs = "clipped"`, `excitatory_fraction = 0.5`, `inhibition = 1.2`, `recurrent = { start = "in-degree", gain = 0.15 }` and
/// `activation = "saturating"` (Miconi 2017, doi:10.7554/eLife.20899, after Mastrogiuseppe & Ostojic 2017,
/// doi:10.1371/journal.pcbi.1005498).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dale {
    /// Fraction of the units that excite.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub excitatory_fraction: f64,
    /// Scale the inhibitory weights up at the start, so that excitation and inhibition of a unit cancel on average.
    pub balanced: bool,
    /// What inhibitory weights are multiplied with at the start, beside the balance.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "is_one")]
    pub inhibition: f64,
    /// How weights get their sign.
    #[serde(skip_serializing_if = "super::is_default")]
    pub signs: Signs,
}

/// How weights get the sign of their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signs {
    /// What acts is the magnitude `|W|` times the sign.
    #[default]
    Magnitude,
    /// Weights are what acts; after every update those of the wrong sign are set to 0, from where they can come back.
    Clipped,
}

fn is_one(value: &f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

impl Default for Recurrent {
    fn default() -> Self {
        Self { start: RecurrentStart::default(), gain: 1.0, density: 1.0, in_degree: 0.5 }
    }
}

impl Default for Dale {
    fn default() -> Self {
        Self { excitatory_fraction: 0.8, balanced: true, inhibition: 1.0, signs: Signs::default() }
    }
}

impl Recurrent {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(is_scale(self.gain), "gain", self.gain, "at least 0");
        let dense = self.density > 0.0 && self.density <= 1.0;
        problems.require(dense, "density", self.density, "above 0 and at most 1");
        let some = self.in_degree > 0.0 && self.in_degree <= 1.0;
        problems.require(some, "in_degree", self.in_degree, "above 0 and at most 1");
    }
}

impl Dale {
    pub(super) fn check(&self, problems: &mut Problems) {
        let fraction = self.excitatory_fraction;
        problems.require((0.0..=1.0).contains(&fraction), "excitatory_fraction", fraction, "between 0 and 1");
        problems.require(is_scale(self.inhibition), "inhibition", self.inhibition, "at least 0");
    }

    /// Number of units that excite.
    fn excitatory(&self, hidden: usize) -> usize {
        (self.excitatory_fraction * hidden as f64).round() as usize
    }

    /// What the start is multiplied with at inhibitory units: the balance, as far as there is one to keep, times `inhibition`.
    fn inhibitory_scale(&self, hidden: usize) -> f64 {
        let excitatory = self.excitatory(hidden);
        let inhibitory = hidden - excitatory;
        let balance =
            if self.balanced && excitatory > 0 && inhibitory > 0 { excitatory as f64 / inhibitory as f64 } else { 1.0 };
        balance * self.inhibition
    }

    /// Sign of each source.
    fn signs(&self, hidden: usize, like: &Tensor) -> Tensor {
        self.by_source(hidden, 1.0, -1.0, like)
    }

    /// Weights with 0 where their sign is not that of their source. The gradient passes where a weight is 0.
    fn clipped(&self, weight: &Tensor) -> Result<Tensor> {
        let signs = self.signs(weight.size()[1] as usize, weight);
        Ok(weight.f_mul(&signs)?.f_clamp_min(0.0)?.f_mul(&signs)?)
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
    let Recurrent { start, gain, density, .. } = cell.recurrent;
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
        RecurrentStart::InDegree => in_degree(cell, &mut stream).to_kind(context.kind).to_device(context.device),
    };
    if let Some(dale) = cell.dale {
        let scale = dale.inhibitory_scale(cell.hidden);
        if scale != 1.0 {
            weight = weight.f_mul(&dale.by_source(cell.hidden, 1.0, scale, &weight))?;
        }
        if dale.signs == Signs::Clipped {
            weight = weight.f_abs()?.f_mul(&dale.signs(cell.hidden, &weight))?;
        }
    }
    parameters.insert(RECURRENT_WEIGHT, weight);
    Ok(())
}

/// gain from a number of units of each sign, drawn anew for each target; `[target, source]`.
fn in_degree(cell: &LeakyRnn, stream: &mut Stream) -> Tensor {
    let Recurrent { gain, in_degree, .. } = cell.recurrent;
    let excitatory = cell.dale.map_or(cell.hidden, |dale| dale.excitatory(cell.hidden));
    let mut weights = vec![0.0; cell.hidden * cell.hidden];
    for row in weights.chunks_mut(cell.hidden.max(1)) {
        for (first, count) in [(0, excitatory), (excitatory, cell.hidden - excitatory)] {
            let sources = (in_degree * count as f64).round() as usize;
            stream.permutation(count).into_iter().take(sources).for_each(|source| row[first + source] = gain);
        }
    }
    let hidden = cell.hidden as i64;
    Tensor::from_slice(&weights).reshape([hidden, hidden])
}

/// What a parameter that a rule has changed becomes; `None` where it may be anything.
pub(super) fn bounded(cell: &LeakyRnn, name: &str, parameter: &Tensor) -> Result<Option<Tensor>> {
    match cell.dale {
        Some(dale) if dale.signs == Signs::Clipped && name == RECURRENT_WEIGHT => dale.clipped(parameter).map(Some),
        _ => Ok(None),
    }
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
        weight = match dale.signs {
            Signs::Magnitude => weight.f_abs()?.f_mul(&dale.signs(cell.hidden, &weight))?,
            Signs::Clipped => dale.clipped(&weight)?,
        };
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

#[cfg(test)]
mod tests;
