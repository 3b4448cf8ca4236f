//! Taking the influence away from units.

use crate::variants::with_copies;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::Setting;
use synfire::network::{FEEDBACK, head_weight};
use synfire::recurrence::RECURRENT;
use synfire::tch::{Tensor, no_grad};
use synfire::{Error, Network, Result, Tensors};

/// In which heads the column of a silenced unit is zeroed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadColumns {
    /// In every head.
    #[default]
    All,
    /// In the head with the smallest number alone.
    First,
    /// In none.
    None,
}

/// What is set to zero to silence a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Row and column of the recurrent weights.
    pub recurrent: bool,
    /// Row of the input weights, and of the feedback weights where there are any.
    pub input: bool,
    /// Biases.
    pub biases: bool,
    /// Column of heads.
    pub head_columns: HeadColumns,
}

/// Parameters with one row per unit that carry recurrent input, and which of their axes number units.
const RECURRENT_WEIGHTS: [(&str, &[i64]); 3] =
    [("recurrent.weight", &[0, 1]), ("recurrent.left", &[0]), ("recurrent.right", &[0])];
const BIASES: [&str; 2] = ["input.bias", "recurrent.bias"];
const INPUT_WEIGHT: &str = "input.weight";

impl Silence {
    /// Parameters in which `units` are silenced; those of the original are left as they are.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn apply(&self, parameters: &Tensors, units: &[usize]) -> Result<Tensors> {
        let places = self.places(parameters);
        let changed = with_copies(parameters, |name| places.iter().any(|(place, _)| place == name));
        let numbers: Vec<i64> = units.iter().map(|unit| *unit as i64).collect();
        for (name, axes) in &places {
            let mut tensor = changed.get(name)?.shallow_clone();
            let index = Tensor::f_from_slice(&numbers)?.f_to_device(tensor.device())?;
            for axis in *axes {
                let _ = tensor.f_index_fill_(*axis, &index, 0.0)?;
            }
        }
        Ok(changed)
    }

    /// Which axes of which parameters are zeroed.
    fn places(&self, parameters: &Tensors) -> Vec<(String, &'static [i64])> {
        let mut places: Vec<(String, &'static [i64])> = Vec::new();
        if self.recurrent {
            places.extend(RECURRENT_WEIGHTS.iter().map(|(name, axes)| (name.to_string(), *axes)));
        }
        if self.input {
            places.extend([INPUT_WEIGHT, FEEDBACK].map(|name| (name.to_string(), &[0][..])));
        }
        if self.biases {
            places.extend(BIASES.map(|name| (name.to_string(), &[0][..])));
        }
        let mut heads: Vec<usize> = parameters.names().filter_map(head_number).collect();
        heads.sort_unstable();
        let count = match self.head_columns {
            HeadColumns::All => heads.len(),
            HeadColumns::First => 1,
            HeadColumns::None => 0,
        };
        places.extend(heads.into_iter().take(count).map(|head| (head_weight(head), &[1][..])));
        places.retain(|(name, _)| parameters.contains(name));
        places
    }

    /// Make sure that zeroed parameters do cut a unit off in this cell, whatever the cell makes of its parameters.
    ///
    /// # Errors
    /// [`Error::Incompatible`] when a silenced unit would still act on others or be acted upon.
    pub fn verify(&self, network: &Network, setting: &Setting) -> Result<()> {
        if !self.recurrent {
            return Ok(());
        }
        let silenced = no_grad(|| network.dynamics.prepare(&self.apply(&network.parameters, &[0])?, setting))?;
        let weights = silenced.get(RECURRENT)?;
        let left =
            weights.select(0, 0).abs().max().double_value(&[]) + weights.select(1, 0).abs().max().double_value(&[]);
        match left == 0.0 {
            true => Ok(()),
            false => Err(Error::Incompatible {
                needs: "ablation needs a cell whose units can be cut off by zero weights".into(),
                because:
                    "in this one a unit with zero weights still has effective ones; use a cell with recurrent.weight"
                        .into(),
            }),
        }
    }
}

fn head_number(name: &str) -> Option<usize> {
    name.strip_prefix("head.")?.strip_suffix(".weight")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::trained::network;
    use synfire::Stream;
    use synfire::cell::Clock;
    use synfire::network::read;
    use synfire::tensors::values_f64;

    const ALL: Silence = Silence { recurrent: true, input: true, biases: true, head_columns: HeadColumns::All };

    #[test]
    fn rows_columns_and_biases_are_zeroed_in_a_copy() {
        let network = network(4);
        let before = network.parameters.copy();
        let silenced = ALL.apply(&network.parameters, &[1, 3]).expect("fits");
        assert!(network.parameters.same_bytes(&before));
        let weight = silenced.get("recurrent.weight").expect("there");
        for unit in [1, 3] {
            assert_eq!(weight.get(unit).abs().sum(None).double_value(&[]), 0.0);
            assert_eq!(weight.select(1, unit).abs().sum(None).double_value(&[]), 0.0);
            assert_eq!(silenced.get("input.bias").expect("there").double_value(&[unit]), 0.0);
            let head = silenced.get("head.1.weight").expect("there").select(1, unit);
            assert_eq!(head.abs().sum(None).double_value(&[]), 0.0);
        }
        let (old, new) = (before.get("recurrent.weight").expect("there"), weight);
        assert_eq!(old.double_value(&[0, 2]), new.double_value(&[0, 2]));
        assert_eq!(
            values_f64(before.get("time_constants").expect("there")),
            values_f64(silenced.get("time_constants").expect("there"))
        );
    }

    #[test]
    fn what_is_left_alone_stays() {
        let network = network(4);
        let readout = Silence { recurrent: false, input: false, biases: false, head_columns: HeadColumns::First };
        let silenced = readout.apply(&network.parameters, &[2]).expect("fits");
        let differing: Vec<&str> = network
            .parameters
            .iter()
            .filter(|(name, tensor)| !silenced.get(name).expect("there").equal(tensor))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(differing, ["head.0.weight"]);
    }

    /// What head 1 says after each of five steps from rest.
    fn answers(network: &Network, parameters: &Tensors) -> Vec<f64> {
        let setting = Setting::default();
        let prepared = network.dynamics.prepare(parameters, &setting).expect("prepares");
        let inputs = Tensor::from_slice(&[1.0, -1.0, 0.5, 2.0, -0.3]).reshape([5, 1, 1]);
        let projected = network.dynamics.project(&prepared, &inputs).expect("fits");
        let mut state = network.dynamics.initial_state(&prepared, 1, &mut Stream::new(1)).expect("starts");
        let mut said = Vec::new();
        for (step, input) in projected.unbind(0).iter().enumerate() {
            let clock = Clock { step, since_border: step, period: "", setting: &setting };
            state = network.dynamics.step(&clock, &prepared, &state, input, None).expect("steps");
            let rates = network.dynamics.rates(&state).expect("rates");
            said.extend(values_f64(&read(parameters, &network.readout, &[1], &rates).expect("reads")[0]));
        }
        said
    }

    #[test]
    fn a_network_with_a_silenced_unit_is_one_without_it() {
        let (whole, fewer) = (network(5), network(4));
        ALL.verify(&whole, &Setting::default()).expect("a rate network");
        let silenced = ALL.apply(&whole.parameters, &[2]).expect("fits");
        // The same weights in a network of four units, without row and column 2.
        let kept = Tensor::from_slice(&[0i64, 1, 3, 4]);
        let without = whole.parameters.iter().map(|(name, tensor)| {
            let axes = (0..tensor.dim() as i64).filter(|axis| tensor.size()[*axis as usize] == 5);
            (name.to_string(), axes.fold(tensor.shallow_clone(), |tensor, axis| tensor.index_select(axis, &kept)))
        });
        let expected = answers(&fewer, &without.collect());
        let found = answers(&whole, &silenced);
        // rounding of five steps in double precision
        found.iter().zip(&expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?} {expected:?}"));
        assert!((found[9] - answers(&whole, &whole.parameters)[9]).abs() > 1e-3);
        assert_eq!(head_number("head.12.weight"), Some(12));
        assert_eq!(head_number("head.12.bias"), None);
    }
}
