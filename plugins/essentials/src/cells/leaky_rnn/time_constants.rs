//! Time constants of units, and the leaks they give.

use super::populations::LastUnits;
use super::{TIME_CONSTANTS, check_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::Setting;
use synfire::tch::{Kind, Tensor};
use synfire::{BuildContext, Error, Problems, Properties, Property, Result, Stream};

/// How fast units forget.
///
/// Each starts uniform in `[low, high)`, or that times a factor that gives all the wanted mean; the default is five steps, the usual
/// dt/tau = 0.2. What acts is `max(tau, least)`, and with `integration = "euler"` at least one step. The gradient passes that bound
/// where `tau` is not below it, so a time constant that learning pushes below acts as the bound and stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeConstants {
    /// What `low`, `high`, `mean`, `least` and the parameter itself are counted in.
    pub unit: Unit,
    /// Least value at the start.
    #[schemars(range(min = 0.0))]
    pub low: f64,
    /// Greatest value at the start; where it is equal to `low`, all start there.
    #[schemars(range(min = 0.0))]
    pub high: f64,
    /// Mean over units at the start: what was drawn is multiplied by this over its own mean. Left out, it stays as drawn.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Whether they are learned.
    pub trainable: bool,
    /// Whether all units have the same one.
    pub shared: bool,
    /// Smallest value that acts, whatever the parameter says. With `unit = "symbols"` give 0 for units that may be as fast as a
    /// step, where a symbol has several.
    #[schemars(range(min = 0.0))]
    pub least: f64,
    /// The last units, where they have time constants of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastUnits>,
}

/// What time is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Steps of the task: `dt = 1`, whatever a step lasts.
    #[default]
    Steps,
    /// Milliseconds: `dt` is the task's, or the lesson's where that is coarser. Needs a task with times in ms.
    Ms,
    /// Symbols of the task, each shown for `k` steps: `dt = 1/k`, with the `k` of the trials being played; 1 where the steps of a
    /// task are not symbols. With Euler steps `alpha = 1 / max(k tau, 1)`.
    Symbols,
}

/// How a time constant becomes the leak of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Integration {
    /// `alpha = dt / tau`: the Euler step.
    #[default]
    Euler,
    /// `alpha = 1 - exp(-dt / tau)`: exact while the input of the unit is constant over the step.
    Exact,
}

impl Default for TimeConstants {
    fn default() -> Self {
        Self {
            unit: Unit::Steps,
            low: 5.0,
            high: 5.0,
            mean: None,
            trainable: false,
            shared: false,
            least: 1.0,
            last: None,
        }
    }
}

impl TimeConstants {
    /// What a cell with these needs of a task.
    pub(in crate::cells) fn needs(&self) -> Properties {
        match self.unit {
            Unit::Steps | Unit::Symbols => Properties::new(),
            Unit::Ms => Properties::from([Property::TimesInMs]),
        }
    }

    pub(in crate::cells) fn check(&self, problems: &mut Problems) {
        check_range(self.low, self.high, problems);
        problems.require(self.low > 0.0, "low", self.low, "above 0");
        if let Some(mean) = self.mean {
            problems.require(mean.is_finite() && mean > 0.0, "mean", mean, "above 0");
        }
        if let Some(last) = &self.last {
            problems.inside("last", |p| last.check(p));
            if self.shared || self.mean.is_some() {
                let remedy = "leave shared and mean out, or last";
                problems.add("last", "cannot be combined with shared or mean", remedy);
            }
        }
        problems.require(self.least.is_finite() && self.least >= 0.0, "least", self.least, "at least 0");
    }

    /// Refuse time constants that are all shorter than a step of the task.
    pub(in crate::cells) fn fits(&self, integration: Integration, dt_ms: Option<f64>) -> Result<()> {
        if self.unit == Unit::Symbols {
            // How long a step is beside a symbol, each batch says anew.
            return Ok(());
        }
        let step = self.step(&Setting { dt_ms, ..Setting::default() })?;
        // The factor to the wanted mean is at most that over the least value.
        let (field, longest) = match self.mean {
            Some(mean) => ("cell.time_constants.mean", mean * self.high / self.low),
            None => ("cell.time_constants.high", self.high),
        };
        if integration == Integration::Euler && longest < step {
            let unit = if self.unit == Unit::Ms { " ms" } else { "" };
            return Err(Error::config(
                field,
                format_args!(
                    "is {}{unit}, shorter than a step of {step}{unit}, so no unit would remember",
                    self.mean.unwrap_or(self.high)
                ),
                "raise it, shorten the task's step, or use integration = \"exact\"",
            ));
        }
        Ok(())
    }

    /// Duration of a step in the unit.
    pub(in crate::cells) fn step(&self, setting: &Setting) -> Result<f64> {
        match (self.unit, setting.dt_ms) {
            (Unit::Steps, _) => Ok(1.0),
            (Unit::Symbols, _) => Ok(1.0 / steps_of_a_symbol(setting)),
            (Unit::Ms, Some(dt_ms)) => Ok(dt_ms),
            (Unit::Ms, None) => Err(Error::config(
                "cell.time_constants.unit",
                "is ms, but the steps of the task are symbols without duration",
                "use unit = \"steps\", or a task with times in ms",
            )),
        }
    }

    pub(in crate::cells) fn draw(&self, hidden: usize, context: &BuildContext, stream: &Stream) -> Tensor {
        let count = if self.shared { 1 } else { hidden as i64 };
        let mut stream = stream.child(TIME_CONSTANTS);
        let tau = stream.uniform_tensor(&[count], self.low, self.high, context.kind, context.device);
        if let Some(last) = &self.last {
            last.overwrite(&tau, context, &stream);
        }
        match self.mean {
            Some(mean) => &tau * (mean / tau.mean(Kind::Double).double_value(&[])),
            None => tau,
        }
    }

    /// The leak of each time constant, differentiable in those that are learned.
    pub(in crate::cells) fn leak(&self, tau: &Tensor, integration: Integration, setting: &Setting) -> Result<Tensor> {
        let tau = if self.trainable { tau.shallow_clone() } else { tau.detach() };
        let (tau, step, least) = match self.unit {
            // Counted in steps, so that the leak at the bound is 1 without a rounding error.
            Unit::Symbols => {
                let steps = steps_of_a_symbol(setting);
                (tau.f_mul_scalar(steps)?, 1.0, self.least * steps)
            }
            Unit::Steps | Unit::Ms => (tau, self.step(setting)?, self.least),
        };
        Ok(match integration {
            Integration::Euler => tau.f_clamp_min(least.max(step))?.f_reciprocal()? * step,
            Integration::Exact => {
                // A bound of 0 would let the exponent become infinite and its gradient undefined.
                let bounded = tau.f_clamp_min(least.max(1e-6 * step))?;
                (bounded.f_reciprocal()? * -step).f_expm1()?.f_neg()?
            }
        })
    }
}

fn steps_of_a_symbol(setting: &Setting) -> f64 {
    setting.substeps.unwrap_or(1).max(1) as f64
}
