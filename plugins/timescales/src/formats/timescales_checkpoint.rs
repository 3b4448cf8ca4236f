//! Checkpoints as the code of the timescales paper writes them.

mod layout;

use super::published_name::{Order, PublishedName};
use crate::cells::CONTINUOUS_RNN;
use layout::{KEY, Layout, Read, read, units};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use synfire::format::Imported;
use synfire::tch::{Kind, Tensor};
use synfire::torch_file::{self, WriteOptions};
use synfire::{Component, Error, Format, Network, Result, Spec, Tensors};

/// Networks of the timescales paper: PyTorch files that hold `{"state_dict": ...}`, read without running them.
///
/// | in the file | here |
/// |---|---|
/// | `parameterlist.0` `[unit]`, or `[1]` where it was fixed | `time_constants` |
/// | `modulelist.0.weight` `[unit, input]`, `.bias` | `input.weight`, `input.bias` |
/// | `modulelist.1.weight` `[unit, unit]`, `.bias` | `recurrent.weight`, `recurrent.bias` |
/// | `modulelist.{2 + i}.weight` `[output, unit]`, `.bias` | `head.{i}.weight`, `head.{i}.bias` |
///
/// The files of LSTMs have `lstm.weight_ih_l0`, `lstm.weight_hh_l0`, `lstm.bias_ih_l0`, `lstm.bias_hh_l0`, which become
/// `input.weight`, `recurrent.weight`, `input.bias` and `recurrent.bias`, and heads from `modulelist.0` on.
///
/// Files of `L` layers of the leaky cell become the cell `stacked`, with `layer.1.`, `layer.2.`, .. before the names of each: they
/// have `parameterlist.0` to `parameterlist.{L - 1}`, and in `modulelist` the input of the first layer, the recurrent weights of
/// each layer, the weights from each layer to the next, and the heads of the last one.
///
/// Any number of units, heads and layers. Every number is kept, bit for bit, and written back so. The file does not say which
/// cell it belongs to, nor task and curriculum: those come from the names of the file and its folder where they follow the
/// published scheme (`single_parity_network_1/rnn_N5_N5`), and what is assumed is noted.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927; files of its published code.
/// Differs: the published reader ignores missing and unknown tensors; this one refuses them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimescalesCheckpoint {
    /// Which of the published cells the file belongs to; left out, what the folder's name says, else `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<PublishedCell>,
}

/// The published cells, which share one file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedCell {
    /// The non-linearity around everything, the leak included.
    Default,
    /// The non-linearity on the drive only.
    Modified,
    /// The modified cell in continuous time, with time constants in symbols: `continuous-rnn`.
    Continuous,
}

/// What to do with networks that the format cannot hold.
const OTHERS: &str = "the format holds leaky-rnn, continuous-rnn and lstm networks, and layers of the first two whose last one is read; use 'state-dict' for \
                      others";

impl TimescalesCheckpoint {
    fn leaky_cell(
        &self,
        read: &Read,
        name: &PublishedName,
        notes: &mut Vec<String>,
    ) -> Result<Spec<dyn synfire::Cell>> {
        let cell = match (self.cell, &name.repetitions, &name.modified) {
            (Some(cell), ..) => cell,
            (None, Some(repetitions), _) => {
                notes.push(format!(
                    "The folder's name says that symbols were repeated ({repetitions}), so the cell in continuous time was \
                     assumed. If it is another, import with cell = \"default\" or \"modified\"."
                ));
                PublishedCell::Continuous
            }
            (None, None, Some(_)) => PublishedCell::Modified,
            (None, None, None) => {
                notes.push(
                    "The file does not say its cell; the paper's default was assumed (the non-linearity around everything). \
                     If it is the modified one, import with cell = \"modified\"."
                        .into(),
                );
                PublishedCell::Default
            }
        };
        let (placement, activation) = match (cell, name.modified.as_deref()) {
            (PublishedCell::Default, _) => ("whole", "leaky-relu"),
            (_, Some("relu")) => ("drive", "relu"),
            (_, Some("tanh")) => ("drive", "tanh"),
            (_, Some("sigmoid")) => ("drive", "sigmoid"),
            _ => ("drive", "leaky-relu"),
        };
        let layer = |prefix: &str, units: i64| -> Result<Spec<dyn synfire::Cell>> {
            let tau = read.parameters.get(&format!("{prefix}time_constants"))?;
            Ok(leaky_layer(cell, placement, activation, tau, units))
        };
        if let [units] = read.units[..] {
            return layer("", units);
        }
        notes.push(
            "The published code adds the projected input of the task to every layer; here it drives the first layer alone.".into(),
        );
        let layers = read.units.iter().enumerate().map(|(index, units)| layer(&layout::prefix(index), *units));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        Ok(Spec::with("stacked", &json!({ "layers": layers, "read": "last" })))
    }
}

/// A layer of the published cells.
fn leaky_layer(
    cell: PublishedCell,
    placement: &str,
    activation: &str,
    tau: &Tensor,
    units: i64,
) -> Spec<dyn synfire::Cell> {
    let (low, high) = (tau.min().double_value(&[]), tau.max().double_value(&[]));
    // One number for all units is how the published code keeps a fixed time constant.
    let shared = tau.size() == [1] && units > 1;
    let time_constants = match shared {
        true => json!({ "low": low, "high": high, "trainable": false, "shared": true }),
        false => json!({ "low": 1.0, "high": 2.0, "trainable": true, "shared": false }),
    };
    let mut options = json!({
        "hidden": units, "placement": placement, "activation": activation, "time_constants": time_constants,
        "self_connections": "zeroed", "initial_state": { "low": 0.0, "high": 0.1 },
    });
    if cell == PublishedCell::Continuous {
        return Spec::with(CONTINUOUS_RNN, &options);
    }
    let more = [("input_bias", json!(true)), ("recurrent_bias", json!(true))];
    more.into_iter().for_each(|(option, value)| options[option] = value);
    let more = [("unit", json!("steps")), ("least", json!(1.0))];
    more.into_iter().for_each(|(option, value)| options["time_constants"][option] = value);
    Spec::with("leaky-rnn", &options)
}

#[typetag::serde(name = "timescales-checkpoint")]
impl Format for TimescalesCheckpoint {
    fn import(&self, path: &Path) -> Result<Imported> {
        let read = read(path)?;
        let name = PublishedName::of(path);
        let mut notes = Vec::new();
        let cell = match read.lstm {
            true => Spec::with("lstm", &json!({ "hidden": read.units[0] })),
            false => self.leaky_cell(&read, &name, &mut notes)?,
        };
        let lesson = name.lesson();
        let order = name.order.unwrap_or_else(|| {
            notes.push(
                "The folder's name does not say the curriculum; heads were taken as one per level, in order.".into(),
            );
            if lesson.as_ref().is_some_and(|l| l.levels.len() > 1) { Order::Cumulative } else { Order::Single }
        });
        let curriculum = match order {
            Order::Single => Spec::new("single-level"),
            Order::Cumulative => match name.levels {
                Some((first, _)) if first > 2 => Spec::with("cumulative", &json!({ "first_level": first })),
                _ => Spec::new("cumulative"),
            },
            Order::Sliding { heads, forget } => {
                Spec::with("sliding-window", &json!({ "init_heads": heads, "forget_heads": forget }))
            }
        };
        let symbols = if read.lstm { "plus-minus" } else { "zero-one" };
        let mut task = match name.task.as_deref() {
            Some("dms") => Spec::with("delayed-match", &json!({ "symbols": symbols })),
            Some(_) if read.lstm => Spec::with("n-parity", &json!({ "symbols": symbols, "rate": 0.5 })),
            Some(_) => Spec::new("n-parity"),
            None => {
                notes.push("The folder's name does not say the task; parity was assumed.".into());
                Spec::new("n-parity")
            }
        };
        let continuous = cell.name == CONTINUOUS_RNN || cell.options()["layers"][0]["type"] == CONTINUOUS_RNN;
        match name.steps() {
            Some(steps) => {
                let mut options = task.options();
                options["repeat"] = json!(steps);
                task = Spec::with(task.name.clone(), &options);
            }
            None if continuous => {
                notes.push(
                    "The folder's name does not say for how many steps symbols were shown; set task.repeat.".into(),
                );
            }
            None => {}
        }
        if let Some(head) = lesson.iter().flat_map(|l| &l.levels).map(|l| l.head).find(|head| *head >= read.heads) {
            let problem = format_args!("is named for levels up to head {head}, but has {} heads", read.heads);
            return Err(Error::file(path, problem, "was it renamed? give it the name it was published with"));
        }
        Ok(Imported {
            parameters: read.parameters,
            heads: (0..read.heads).collect(),
            task: Some(task),
            cell: Some(cell),
            curriculum: Some(curriculum),
            lesson,
            notes,
            ..Imported::default()
        })
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        let parameters = &network.parameters;
        let layout = Layout::of_network(parameters);
        let heads = &network.readout.heads;
        if heads.is_empty() || heads.iter().enumerate().any(|(place, head)| place != *head) {
            let problem = format_args!("can hold heads 0, 1, 2, ... without gaps; the network has {heads:?}");
            return Err(Error::file(path, problem, "use the format 'state-dict'"));
        }
        let refuse = |what: String| Error::file(path, what, OTHERS);
        let mut tensors = Tensors::new();
        for (name, ours) in layout.all(heads.len()) {
            let tensor = match parameters.find(&ours) {
                Some(tensor) => tensor.shallow_clone(),
                None if ours.ends_with(".bias") => {
                    // A bias that the network does not have acts as zeros.
                    let weight = ours.replace(".bias", ".weight");
                    let like =
                        parameters.find(&weight).ok_or_else(|| refuse(format!("the network has no '{weight}'")))?;
                    Tensor::f_zeros([like.size()[0]], (like.kind(), like.device()))?
                }
                None => return Err(refuse(format!("the network has no '{ours}'"))),
            };
            tensors.insert(name, tensor);
        }
        let known: Vec<String> = layout.all(heads.len()).map(|(_, ours)| ours).collect();
        if let Some(extra) = parameters.names().find(|name| !known.iter().any(|known| known == name)) {
            return Err(refuse(format!("the format has no place for '{extra}'")));
        }
        units(path, &tensors, &layout, heads.len(), OTHERS)?;
        // The published code reads single precision.
        let tensors = tensors.map(|tensor| tensor.to_kind(Kind::Float));
        torch_file::write(path, &tensors, &WriteOptions { under: Some(KEY) })
    }
}

synfire::inventory::submit! { Component::format::<TimescalesCheckpoint>("timescales-checkpoint") }

#[cfg(test)]
mod tests;
