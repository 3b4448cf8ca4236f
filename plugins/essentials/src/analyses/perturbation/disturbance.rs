//! Kinds of disturbance and their strengths.

use crate::variants::with_copies;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::tch::{Kind, Tensor};
use synfire::{Error, Result, Stream, Tensors};

/// What is disturbed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// Normal noise on the recurrent weights, its norm a multiple of theirs.
    RecurrentNormalized,
    /// Normal noise on each recurrent weight.
    RecurrentAdditive,
    /// Each recurrent weight grows by a random factor.
    RecurrentMultiplicative,
    /// Normal noise on the time constants, its norm a multiple of theirs.
    TimeConstantsNormalized,
    /// The same, without signs: time constants only grow.
    TimeConstantsAbsolute,
    /// Normal noise on each time constant.
    TimeConstantsAdditive,
    /// Each time constant grows by a random factor.
    TimeConstantsMultiplicative,
}

/// Strengths at equal ratios.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strengths {
    /// The smallest.
    #[schemars(range(min = 0.0))]
    pub lowest: f64,
    /// The largest.
    #[schemars(range(min = 0.0))]
    pub highest: f64,
    /// How many there are.
    #[schemars(range(min = 1))]
    pub count: usize,
}

impl Strengths {
    /// The strengths, the smallest first.
    pub fn values(self) -> Vec<f64> {
        let last = self.count.saturating_sub(1).max(1) as f64;
        let ratio = self.highest / self.lowest;
        (0..self.count).map(|k| self.lowest * ratio.powf(k as f64 / last)).collect()
    }
}

/// How noise becomes a change of a parameter.
#[derive(Clone, Copy, PartialEq)]
enum Noise {
    Normalized,
    Absolute,
    Additive,
    Multiplicative,
}

impl Disturbance {
    /// Whether it disturbs the time constants, not the recurrent weights.
    pub(super) fn of_time_constants(self) -> bool {
        !self.parts().0
    }

    fn parts(self) -> (bool, Noise) {
        match self {
            Self::RecurrentNormalized => (true, Noise::Normalized),
            Self::RecurrentAdditive => (true, Noise::Additive),
            Self::RecurrentMultiplicative => (true, Noise::Multiplicative),
            Self::TimeConstantsNormalized => (false, Noise::Normalized),
            Self::TimeConstantsAbsolute => (false, Noise::Absolute),
            Self::TimeConstantsAdditive => (false, Noise::Additive),
            Self::TimeConstantsMultiplicative => (false, Noise::Multiplicative),
        }
    }

    /// The name as it is written in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::RecurrentNormalized => "recurrent-normalized",
            Self::RecurrentAdditive => "recurrent-additive",
            Self::RecurrentMultiplicative => "recurrent-multiplicative",
            Self::TimeConstantsNormalized => "time-constants-normalized",
            Self::TimeConstantsAbsolute => "time-constants-absolute",
            Self::TimeConstantsAdditive => "time-constants-additive",
            Self::TimeConstantsMultiplicative => "time-constants-multiplicative",
        }
    }

    /// The published range.
    pub(super) fn strengths(self) -> Strengths {
        match self.parts().0 {
            true => Strengths { lowest: 1e-2, highest: 1e1, count: 10 },
            false => Strengths { lowest: 1e-3, highest: 1e1, count: 13 },
        }
    }

    fn disturbs(self, name: &str) -> bool {
        match self.parts().0 {
            true => ["recurrent.weight", "recurrent.left", "recurrent.right"].contains(&name),
            false => name == "time_constants",
        }
    }

    /// Disturbed parameters; those of the original are left as they are.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is nothing to disturb.
    pub fn apply(self, parameters: &Tensors, strength: f64, stream: &Stream) -> Result<Tensors> {
        let mut changed = with_copies(parameters, |_| false);
        let mut any = false;
        for (name, tensor) in parameters.iter().filter(|(name, _)| self.disturbs(name)) {
            let mut stream = stream.child(name);
            let (shape, kind, device) = (tensor.size(), tensor.kind(), tensor.device());
            let noisy = match self.parts().1 {
                Noise::Multiplicative => {
                    tensor.f_mul(&(stream.uniform_tensor(&shape, 0.0, 1.0, kind, device) * strength + 1.0))?
                }
                Noise::Additive => tensor.f_add(&(stream.normal_tensor(&shape, kind, device) * strength))?,
                noise => {
                    let drawn = stream.normal_tensor(&shape, kind, device);
                    let drawn = if noise == Noise::Absolute { drawn.abs() } else { drawn };
                    let norm = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
                    tensor.f_add(&(&drawn * (strength * norm(tensor) / norm(&drawn).max(f64::MIN_POSITIVE))))?
                }
            };
            changed.insert(name, noisy);
            any = true;
        }
        match any {
            true => Ok(changed),
            false => Err(Error::Failed(format!("the network has no parameter that '{}' could disturb", self.name()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::trained::network;
    use synfire::tensors::values_f64;

    #[test]
    fn strengths_stand_at_equal_ratios() {
        // numpy.geomspace(1e-2, 1e1, 10)[[0, 1, 4, 9]]
        let found = Disturbance::RecurrentNormalized.strengths().values();
        for (index, expected) in [(0, 0.01), (1, 0.021544346900318832), (4, 0.2154434690031884), (9, 10.0)] {
            assert!((found[index] / expected - 1.0f64).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(Strengths { lowest: 0.5, highest: 0.5, count: 1 }.values(), [0.5]);
    }

    #[test]
    fn normalised_noise_has_the_norm_that_was_asked_for() {
        let network = network(6);
        let before = network.parameters.copy();
        for kind in [Disturbance::RecurrentNormalized, Disturbance::TimeConstantsAbsolute] {
            let changed = kind.apply(&network.parameters, 0.3, &Stream::new(4)).expect("applies");
            for (name, old) in before.iter() {
                let gap = changed.get(name).expect("there") - old;
                let share = (gap.norm() / old.norm()).double_value(&[]);
                let expected = if kind.disturbs(name) { 0.3 } else { 0.0 };
                // biases and heads may be zero at the start; parameters are in double precision here
                assert!(share.is_nan() || (share - expected).abs() < 1e-7, "{name}: {share}");
            }
        }
        assert!(network.parameters.same_bytes(&before));
    }

    #[test]
    fn some_kinds_only_enlarge() {
        let network = network(6);
        let old = values_f64(network.parameters.get("time_constants").expect("there"));
        for kind in [Disturbance::TimeConstantsAbsolute, Disturbance::TimeConstantsMultiplicative] {
            let changed = kind.apply(&network.parameters, 0.5, &Stream::new(4)).expect("applies");
            let new = values_f64(changed.get("time_constants").expect("there"));
            assert!(old.iter().zip(&new).all(|(a, b)| b >= a), "{old:?} {new:?}");
            let other = kind.apply(&network.parameters, 0.5, &Stream::new(5)).expect("applies");
            assert_ne!(new, values_f64(other.get("time_constants").expect("there")));
        }
        let error = Disturbance::RecurrentAdditive.apply(&Tensors::new(), 1.0, &Stream::new(1)).expect_err("nothing");
        assert_eq!(error.to_string(), "the network has no parameter that 'recurrent-additive' could disturb");
    }
}
