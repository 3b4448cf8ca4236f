//! Which units are silenced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::tensors::values_f64;
use synfire::{Error, Network, Problems, Result, Stream};

/// Name of the time constants among parameters.
pub(super) const TIME_CONSTANTS: &str = "time_constants";

/// Which units are silenced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Selection {
    /// All units.
    #[default]
    Each,
    /// The units with these numbers.
    Index {
        /// Their numbers, from 0.
        units: Vec<usize>,
    },
    /// Groups of units drawn by lot.
    Random {
        /// Units in a group.
        #[schemars(range(min = 1))]
        count: usize,
        /// Number of groups.
        #[schemars(range(min = 1))]
        #[serde(default = "one")]
        draws: usize,
    },
    /// Two groups: the units for which a parameter is smallest, and those for which it is largest.
    Parameter {
        /// Name of a parameter with one value per unit.
        #[serde(default = "time_constants")]
        parameter: String,
        /// Units in each group.
        #[schemars(range(min = 1))]
        count: usize,
    },
}

fn one() -> usize {
    1
}

fn time_constants() -> String {
    TIME_CONSTANTS.into()
}

/// Units that are looked at together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub label: String,
    /// Their numbers, from 0.
    pub units: Vec<usize>,
}

impl Selection {
    pub(super) fn check(&self, problems: &mut Problems) {
        match self {
            Self::Each => {}
            Self::Index { units } => problems.require(!units.is_empty(), "units", "empty", "at least one unit"),
            Self::Random { count, draws } => {
                problems.require(*count >= 1, "count", count, "at least 1");
                problems.require(*draws >= 1, "draws", draws, "at least 1");
            }
            Self::Parameter { count, .. } => problems.require(*count >= 1, "count", count, "at least 1"),
        }
    }

    /// The groups of a network.
    ///
    /// # Errors
    /// [`Error::Config`] when it lacks a unit or the parameter.
    pub fn groups(&self, network: &Network, stream: &Stream) -> Result<Vec<Group>> {
        let size = network.dynamics.units();
        let enough = |count: usize| match count <= size {
            true => Ok(()),
            false => Err(Error::config(
                "select.count",
                format_args!("is {count}"),
                format_args!("the network has {size} units"),
            )),
        };
        match self {
            Self::Each => Ok(vec![Group { label: "all".into(), units: (0..size).collect() }]),
            Self::Index { units } => {
                if let Some(unit) = units.iter().find(|unit| **unit >= size) {
                    let remedy = format!("the network has units 0 to {}", size.saturating_sub(1));
                    return Err(Error::config("select.units", format_args!("has {unit}"), remedy));
                }
                Ok(vec![Group { label: "chosen".into(), units: units.clone() }])
            }
            Self::Random { count, draws } => {
                enough(*count)?;
                let draw = |index: usize| {
                    let mut units = stream.at(index as u64).permutation(size);
                    units.truncate(*count);
                    units.sort_unstable();
                    let label = if *draws == 1 { "random".into() } else { format!("random {}", index + 1) };
                    Group { label, units }
                };
                Ok((0..*draws).map(draw).collect())
            }
            Self::Parameter { parameter, count } => {
                enough(*count)?;
                let tensor = network.parameters.find(parameter).filter(|t| t.size() == [size as i64]);
                let values = values_f64(tensor.ok_or_else(|| no_such_parameter(network, parameter))?);
                let mut order: Vec<usize> = (0..size).collect();
                order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
                let name = parameter.replace('_', " ");
                Ok(vec![
                    Group { label: format!("smallest {name}"), units: order[..*count].to_vec() },
                    Group { label: format!("largest {name}"), units: order[size - count..].to_vec() },
                ])
            }
        }
    }
}

/// The error for a parameter that has not one value per unit.
pub(super) fn no_such_parameter(network: &Network, name: &str) -> Error {
    let units = network.dynamics.units() as i64;
    let fitting: Vec<&str> = network.parameters.iter().filter(|(_, t)| t.size() == [units]).map(|(n, _)| n).collect();
    let problem = match network.parameters.find(name) {
        Some(tensor) => format!("is '{name}', which has shape {:?}, not one value per unit", tensor.size()),
        None => format!("is '{name}', which the network has not"),
    };
    Error::config("select.parameter", problem, format!("use one of: {}", fitting.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::trained::network;

    #[test]
    fn groups_follow_a_parameter() {
        let network = network(5);
        let stream = Stream::new(1);
        // time constants of the test network: 1, 3, 5, 2, 4
        let by = Selection::Parameter { parameter: "time_constants".into(), count: 2 };
        let groups = by.groups(&network, &stream).expect("fits");
        assert_eq!(groups[0], Group { label: "smallest time constants".into(), units: vec![0, 3] });
        assert_eq!(groups[1], Group { label: "largest time constants".into(), units: vec![4, 2] });
        let random = Selection::Random { count: 3, draws: 4 }.groups(&network, &stream).expect("fits");
        assert_eq!(random.len(), 4);
        assert!(random.iter().all(|group| group.units.len() == 3 && group.units.windows(2).all(|u| u[0] < u[1])));
        assert_eq!(Selection::Each.groups(&network, &stream).expect("fits")[0].units, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let network = network(5);
        let error =
            |selection: Selection| selection.groups(&network, &Stream::new(1)).expect_err("refused").to_string();
        assert_eq!(
            error(Selection::Parameter { parameter: "tau".into(), count: 1 }),
            "select.parameter is 'tau', which the network has not; use one of: time_constants, input.bias"
        );
        let error_of_count = error(Selection::Random { count: 9, draws: 1 });
        assert_eq!(error_of_count, "select.count is 9; the network has 5 units");
        assert_eq!(error(Selection::Index { units: vec![1, 5] }), "select.units has 5; the network has units 0 to 4");
    }
}
