//! Units that differ from the others: those that receive the input, those that are read, those of another speed.

use super::is_scale;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::network::{HeadStart, Readout};
use synfire::tch::Tensor;
use synfire::{BuildContext, Problems, Stream};

/// A stretch of the units, as fractions of their number: the first of them at `from`, the one after the last at `to`, both rounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Where it begins.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub from: f64,
    /// Where it ends.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub to: f64,
}

impl Span {
    pub(super) fn check(&self, hidden: usize, problems: &mut Problems) {
        problems.require((0.0..=1.0).contains(&self.from), "from", self.from, "between 0 and 1");
        problems.require((0.0..=1.0).contains(&self.to), "to", self.to, "between 0 and 1");
        let (from, to) = self.units(hidden);
        problems.require(to > from, "to", self.to, &format!("more than from = {}, by a unit or more", self.from));
    }

    /// The first unit, and the one after the last.
    pub(super) fn units(&self, hidden: usize) -> (usize, usize) {
        let place = |fraction: f64| (fraction * hidden as f64).round().clamp(0.0, hidden as f64) as usize;
        (place(self.from), place(self.to))
    }

    /// 1 for its units and 0 for the others, `[hidden, 1]`.
    pub(super) fn mask(&self, hidden: usize, like: &Tensor) -> Tensor {
        let (from, to) = self.units(hidden);
        let values: Vec<f64> = (0..hidden).map(|unit| f64::from(u8::from((from..to).contains(&unit)))).collect();
        Tensor::from_slice(&values).to_kind(like.kind()).to_device(like.device()).unsqueeze(1)
    }
}

/// The last units of a network, which have time constants of their own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastUnits {
    /// How many they are, as a fraction of all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fraction: f64,
    /// Least time constant at the start.
    #[schemars(range(min = 0.0))]
    pub low: f64,
    /// Greatest time constant at the start.
    #[schemars(range(min = 0.0))]
    pub high: f64,
}

impl LastUnits {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require((0.0..=1.0).contains(&self.fraction), "fraction", self.fraction, "between 0 and 1");
        super::check_range(self.low, self.high, problems);
        problems.require(self.low > 0.0, "low", self.low, "above 0");
    }

    /// Put their time constants in the place of what was drawn for them, `[hidden]`.
    pub(super) fn overwrite(&self, tau: &Tensor, context: &BuildContext, stream: &Stream) {
        let count = tau.numel() as i64;
        let last = (self.fraction * count as f64).round().clamp(0.0, count as f64) as i64;
        let own = stream.child("last").uniform_tensor(&[last], self.low, self.high, context.kind, context.device);
        tau.narrow(0, count - last, last).copy_(&own);
    }
}

/// What heads read, and what their weights start from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Heads {
    /// The units that are read; left out, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Span>,
    /// Standard deviation of normal weights at the start; left out, they are uniform in ±1/√units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub deviation: Option<f64>,
    /// Whether heads have a bias; it starts at 0 where the weights are normal.
    pub bias: bool,
}

impl Default for Heads {
    fn default() -> Self {
        Self { units: None, deviation: None, bias: true }
    }
}

impl Heads {
    pub(super) fn check(&self, hidden: usize, problems: &mut Problems) {
        if let Some(units) = &self.units {
            problems.inside("units", |p| units.check(hidden, p));
        }
        if let Some(deviation) = self.deviation {
            problems.require(is_scale(deviation), "deviation", deviation, "at least 0");
        }
    }

    pub(super) fn readout(&self, hidden: usize, outputs: usize) -> Readout {
        Readout {
            bias: self.bias,
            units: self.units.map(|units| units.units(hidden)),
            start: self.deviation.map_or(HeadStart::FanInUniform, HeadStart::Normal),
            ..Readout::new(outputs)
        }
    }
}
