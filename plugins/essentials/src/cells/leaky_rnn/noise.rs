//! Noise in the input of units.

use super::{Integration, TimeConstants, is_scale};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Mode, Setting};
use synfire::recurrence::mix_steps;
use synfire::tch::{Kind, Tensor};
use synfire::{Problems, Result, Stream, Tensors};

/// Name of the noise's standard deviation, `[unit]` or `[1]`, among prepared tensors.
const DEVIATION: &str = "noise.deviation";
/// Names of what is kept of the last step's noise and how much new noise comes in, `[1]`, among prepared tensors.
const KEPT: &str = "noise.kept";
const FRESH: &str = "noise.fresh";

/// Noise in the input of every unit, inside the non-linearity where that stands on the drive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Its size; 0 for none.
    #[schemars(range(min = 0.0))]
    pub sigma: f64,
    /// What `sigma` means and how the noise of one step goes with that of the next.
    pub kind: NoiseKind,
    /// Time constant of correlated noise, in the unit of the cell's time constants.
    #[schemars(range(min = 0.0))]
    pub correlation: f64,
    /// Whether it acts in evaluations too, not only in training.
    pub in_evaluation: bool,
}

/// How noise is scaled and correlated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// White, with standard deviation `sigma` in each step.
    #[default]
    PerStep,
    /// White in continuous time: standard deviation `sqrt(2 / alpha) sigma` in each step, so that the fluctuation of the state does
    /// not depend on the step. Source: Yang et al. 2019, doi:10.1038/s41593-018-0310-2, methods.
    Continuous,
    /// An Ornstein-Uhlenbeck process of size `sigma` for each unit, `eta' = (1 - a) eta + sqrt(2 a) xi` with `a = dt / correlation`;
    /// with `integration = "exact"` `eta' = exp(-a) eta + sqrt(1 - exp(-2 a)) xi`, whose variance does not depend on the step. It
    /// starts from a standard normal where the network starts, before settling, and goes on to the end of the trial.
    Correlated,
    /// As `correlated`, with the exact process whatever the integration of the cell.
    ExactlyCorrelated,
}

impl Default for Noise {
    fn default() -> Self {
        Self { sigma: 0.0, kind: NoiseKind::default(), correlation: 5.0, in_evaluation: true }
    }
}

impl Noise {
    pub(in crate::cells) fn check(&self, problems: &mut Problems) {
        problems.require(is_scale(self.sigma), "sigma", self.sigma, "at least 0");
        let positive = self.correlation.is_finite() && self.correlation > 0.0;
        problems.require(positive, "correlation", self.correlation, "above 0");
    }

    /// Prepare what [`draw`] works with; nothing where there is no noise.
    pub(in crate::cells) fn prepare(
        &self,
        (time_constants, integration): (&TimeConstants, Integration),
        setting: &Setting,
        leak: &Tensor,
        prepared: &mut Tensors,
    ) -> Result<()> {
        if self.sigma == 0.0 || (setting.mode == Mode::Evaluation && !self.in_evaluation) {
            return Ok(());
        }
        let number = |x: f64| Tensor::from_slice(&[x]).to_kind(leak.kind()).to_device(leak.device());
        let deviation = match self.kind {
            NoiseKind::Continuous => (leak.f_reciprocal()? * 2.0).f_sqrt()? * self.sigma,
            _ => number(self.sigma),
        };
        prepared.insert(DEVIATION, deviation);
        let exact = match self.kind {
            NoiseKind::Correlated => Some(integration == Integration::Exact),
            NoiseKind::ExactlyCorrelated => Some(true),
            NoiseKind::PerStep | NoiseKind::Continuous => None,
        };
        if let Some(exact) = exact {
            let a = time_constants.step(setting)? / self.correlation;
            let (kept, fresh) = match exact {
                false => (1.0 - a, (2.0 * a).sqrt()),
                true => ((-a).exp(), (-(-2.0 * a).exp_m1()).sqrt()),
            };
            prepared.insert(KEPT, number(kept));
            prepared.insert(FRESH, number(fresh));
        }
        Ok(())
    }
}

/// The noise of all steps, `[time, batch, unit]`, or none; `before`, `[batch, unit]`, is that of the step before the first.
pub(in crate::cells) fn draw(
    prepared: &Tensors,
    shape: [i64; 3],
    (kind, device): (Kind, synfire::tch::Device),
    before: Option<&Tensor>,
    stream: &mut Stream,
) -> Result<Option<Tensor>> {
    let Some(deviation) = prepared.find(DEVIATION) else { return Ok(None) };
    let mut white = stream.normal_tensor(&shape, kind, device);
    if let (Some(kept), Some(fresh)) = (prepared.find(KEPT), prepared.find(FRESH)) {
        // The very first step is a draw from the standard normal.
        let before = before.map(|noise| noise.f_div(deviation)).transpose()?;
        white = mix_steps(white, before.as_ref(), (fresh.f_double_value(&[0])?, kept.f_double_value(&[0])?))?;
    }
    Ok(Some(white.f_mul(deviation)?))
}
