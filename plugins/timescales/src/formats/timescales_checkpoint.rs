//! Checkpoints as the code of the timescales paper writes them.

use super::published_name::{Order, PublishedName};
use crate::cells::CONTINUOUS_RNN;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use synfire::format::Imported;
use synfire::network::{head_bias, head_weight};
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
/// Any number of units and heads, one layer. Every number is kept, bit for bit, and written back so. The file does not say which
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

const KEY: &str = "state_dict";
const FOREIGN: &str = "use the format 'state-dict' for other PyTorch files";

/// Names in the file and names here, of what is not a head.
const LEAKY: [(&str, &str); 5] = [
    ("parameterlist.0", "time_constants"),
    ("modulelist.0.weight", "input.weight"),
    ("modulelist.0.bias", "input.bias"),
    ("modulelist.1.weight", "recurrent.weight"),
    ("modulelist.1.bias", "recurrent.bias"),
];
const LSTM: [(&str, &str); 4] = [
    ("lstm.weight_ih_l0", "input.weight"),
    ("lstm.weight_hh_l0", "recurrent.weight"),
    ("lstm.bias_ih_l0", "input.bias"),
    ("lstm.bias_hh_l0", "recurrent.bias"),
];

/// How the tensors of a file are named, and how many units it has.
struct Layout {
    names: &'static [(&'static str, &'static str)],
    /// Number of `modulelist` entries before the first head.
    before_heads: usize,
    lstm: bool,
}

const LEAKY_LAYOUT: Layout = Layout { names: &LEAKY, before_heads: 2, lstm: false };
const LSTM_LAYOUT: Layout = Layout { names: &LSTM, before_heads: 0, lstm: true };

impl Layout {
    fn head(&self, head: usize) -> [(String, String); 2] {
        let module = head + self.before_heads;
        [
            (format!("modulelist.{module}.weight"), head_weight(head)),
            (format!("modulelist.{module}.bias"), head_bias(head)),
        ]
    }

    /// All names for a number of heads, in the order of the file.
    fn all(&self, heads: usize) -> impl Iterator<Item = (String, String)> {
        let fixed = self.names.iter().map(|(file, ours)| ((*file).to_string(), (*ours).to_string()));
        fixed.chain((0..heads).flat_map(|head| self.head(head)))
    }
}

/// The tensors of a file under our names, with units and heads.
struct Read {
    parameters: Tensors,
    units: i64,
    heads: usize,
    lstm: bool,
}

fn read(path: &Path) -> Result<Read> {
    let file = torch_file::read(path)?;
    let found = file.below(KEY).map_err(|error| Error::file(path, error, FOREIGN))?;
    let layout = if found.contains("lstm.weight_ih_l0") { LSTM_LAYOUT } else { LEAKY_LAYOUT };
    if found.contains("parameterlist.1") {
        let problem = "has several layers (it holds 'parameterlist.1')";
        return Err(Error::file(path, problem, "only networks of one layer can be read"));
    }
    let heads = (0..).take_while(|head| found.contains(&layout.head(*head)[0].0)).count();
    let names: Vec<(String, String)> = layout.all(heads).collect();
    if let Some((missing, _)) = names.iter().find(|(name, _)| !found.contains(name)) {
        return Err(Error::file(path, format_args!("lacks the tensor '{KEY}.{missing}'"), FOREIGN));
    }
    if heads == 0 {
        return Err(Error::file(path, format_args!("lacks a head '{}'", layout.head(0)[0].0), FOREIGN));
    }
    let known = |name: &str| names.iter().any(|(known, _)| known == name);
    if let Some(extra) = found.names().find(|name| !known(name)) {
        return Err(Error::file(path, format_args!("has the unknown tensor '{KEY}.{extra}'"), FOREIGN));
    }
    let mut parameters = Tensors::new();
    for (name, ours) in names {
        parameters.insert(ours, found.get(&name)?.shallow_clone());
    }
    let units = shapes(path, &found, &layout, heads)?;
    Ok(Read { parameters, units, heads, lstm: layout.lstm })
}

/// Refuse shapes that contradict each other; returns the number of units.
fn shapes(path: &Path, found: &Tensors, layout: &Layout, heads: usize) -> Result<i64> {
    let size = |name: &str| found.get(name).map(Tensor::size);
    let (input, recurrent) = if layout.lstm { (LSTM[0].0, LSTM[1].0) } else { (LEAKY[1].0, LEAKY[3].0) };
    let units = size(recurrent)?.last().copied().unwrap_or(0);
    let rows = if layout.lstm { 4 * units } else { units };
    let inputs = size(input)?.last().copied().unwrap_or(0);
    let outputs = size(&layout.head(0)[0].0)?.first().copied().unwrap_or(0);
    for (name, ours) in layout.all(heads) {
        let tensor = found.get(&name)?;
        let size = tensor.size();
        let expected = match (&ours[..], size.as_slice()) {
            ("time_constants", [1]) => vec![1],
            ("time_constants", _) => vec![units],
            ("input.weight", _) => vec![rows, inputs],
            ("recurrent.weight", _) => vec![rows, units],
            ("input.bias" | "recurrent.bias", _) => vec![rows],
            (ours, _) if ours.ends_with(".weight") => vec![outputs, units],
            _ => vec![outputs],
        };
        if size != expected || size.contains(&0) || !tensor.is_floating_point() {
            let problem = format_args!(
                "has '{KEY}.{name}' of shape {size:?}, kind {:?}, expected {expected:?} floats",
                tensor.kind()
            );
            return Err(Error::file(path, problem, FOREIGN));
        }
    }
    Ok(units)
}

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
        let tau = read.parameters.get("time_constants")?;
        let (low, high) = (tau.min().double_value(&[]), tau.max().double_value(&[]));
        // One number for all units is how the published code keeps a fixed time constant.
        let shared = tau.size() == [1] && read.units > 1;
        let time_constants = match shared {
            true => json!({ "low": low, "high": high, "trainable": false, "shared": true }),
            false => json!({ "low": 1.0, "high": 2.0, "trainable": true, "shared": false }),
        };
        let mut options = json!({
            "hidden": read.units, "placement": placement, "activation": activation, "time_constants": time_constants,
            "self_connections": "zeroed", "initial_state": { "low": 0.0, "high": 0.1 },
        });
        if cell == PublishedCell::Continuous {
            return Ok(Spec::with(CONTINUOUS_RNN, &options));
        }
        let more = [("input_bias", json!(true)), ("recurrent_bias", json!(true))];
        more.into_iter().for_each(|(option, value)| options[option] = value);
        let more = [("unit", json!("steps")), ("least", json!(1.0))];
        more.into_iter().for_each(|(option, value)| options["time_constants"][option] = value);
        Ok(Spec::with("leaky-rnn", &options))
    }
}

#[typetag::serde(name = "timescales-checkpoint")]
impl Format for TimescalesCheckpoint {
    fn import(&self, path: &Path) -> Result<Imported> {
        let read = read(path)?;
        let name = PublishedName::of(path);
        let mut notes = Vec::new();
        let cell = match read.lstm {
            true => Spec::with("lstm", &json!({ "hidden": read.units })),
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
        match (name.steps(), &cell.name[..]) {
            (Some(steps), _) => {
                let mut options = task.options();
                options["repeat"] = json!(steps);
                task = Spec::with(task.name.clone(), &options);
            }
            (None, CONTINUOUS_RNN) => {
                notes.push(
                    "The folder's name does not say for how many steps symbols were shown; set task.repeat.".into(),
                );
            }
            (None, _) => {}
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
        })
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        let parameters = &network.parameters;
        let layout = if parameters.contains("time_constants") { LEAKY_LAYOUT } else { LSTM_LAYOUT };
        let units = network.dynamics.units() as i64;
        let heads = &network.readout.heads;
        if heads.is_empty() || heads.iter().enumerate().any(|(place, head)| place != *head) {
            let problem = format_args!("can hold heads 0, 1, 2, ... without gaps; the network has {heads:?}");
            return Err(Error::file(path, problem, "use the format 'state-dict'"));
        }
        let refuse = |what: String| {
            Error::file(
                path,
                what,
                "the format holds leaky-rnn, continuous-rnn and lstm networks; use 'state-dict' for others",
            )
        };
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
        let recurrent = tensors.get(layout.names[if layout.lstm { 1 } else { 3 }].0)?.size();
        let expected = if layout.lstm { [4 * units, units] } else { [units, units] };
        if recurrent != expected {
            return Err(refuse(format!("the recurrent weights have shape {recurrent:?}, not {expected:?}")));
        }
        // The published code reads single precision.
        let tensors = tensors.map(|tensor| tensor.to_kind(Kind::Float));
        torch_file::write(path, &tensors, &WriteOptions { under: Some(KEY) })
    }
}

synfire::inventory::submit! { Component::format::<TimescalesCheckpoint>("timescales-checkpoint") }

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use synfire::tensors::values_f32;

    /// Networks made by make_checkpoints.py in the same folder.
    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
    }

    fn expected() -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
    }

    #[test]
    fn every_tensor_is_the_one_that_pytorch_wrote() {
        let expected = expected();
        for (name, network) in expected["networks"].as_object().unwrap() {
            let imported = TimescalesCheckpoint::default().import(&fixture(name)).unwrap();
            let tensors = network["tensors"].as_object().unwrap();
            assert_eq!(imported.parameters.len(), tensors.len(), "{name}");
            let layout = if name.starts_with("lstm") { LSTM_LAYOUT } else { LEAKY_LAYOUT };
            for (theirs, ours) in layout.all(imported.heads.len()) {
                let tensor = imported.parameters.get(&ours).unwrap();
                assert_eq!(json!(tensor.size()), tensors[&theirs]["shape"], "{name} {theirs}");
                let values: Vec<f32> = serde_json::from_value(tensors[&theirs]["values"].clone()).unwrap();
                assert_eq!(values_f32(tensor), values, "{name} {theirs}");
            }
        }
    }

    #[test]
    fn names_and_shapes_say_task_cell_and_curriculum() {
        let import = |name: &str| TimescalesCheckpoint::default().import(&fixture(name)).unwrap();
        let cumulative = import("cumulative_parity_network_1/rnn_N2_N4");
        assert_eq!(cumulative.lesson, Some(synfire::Lesson::with_levels([(2, 0), (3, 1), (4, 2)])));
        assert_eq!(cumulative.heads, [0, 1, 2, 3]);
        let cell = cumulative.cell.unwrap();
        assert_eq!((&cell.name[..], &cell.options()["hidden"]), ("leaky-rnn", &json!(8)));
        assert_eq!(cell.options()["placement"], "whole");
        assert!(cumulative.notes[0].contains("does not say its cell"));
        assert_eq!(import("cumulative_parity_network_1/rnn_init").lesson, None);

        let modified = import("single_dms_mod_tanh_network_1/rnn_N5_N5");
        assert_eq!((&modified.task.unwrap().name[..], modified.notes.len()), ("delayed-match", 0));
        let options = modified.cell.unwrap().options();
        assert_eq!((&options["placement"], &options["activation"]), (&json!("drive"), &json!("tanh")));

        // The same file under the name of a network in continuous time.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cumulative_parity_duplicates[7, 8, 9, 10]_network_99/rnn_N2_N4");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::copy(fixture("cumulative_parity_network_1/rnn_N2_N4"), &path).unwrap();
        let continuous = TimescalesCheckpoint::default().import(&path).unwrap();
        let registry = synfire::Registry::linked().unwrap();
        let cell = continuous.cell.unwrap();
        assert_eq!((&cell.name[..], &cell.options()["hidden"]), ("continuous-rnn", &json!(8)));
        assert!(registry.build(&cell, "cell").is_ok());
        let task = continuous.task.unwrap();
        assert_eq!(task.options()["repeat"], json!([7, 8, 9, 10]));
        assert!(registry.build(&task, "task").is_ok());
        assert!(continuous.notes[0].contains("continuous time was assumed"), "{:?}", continuous.notes);
        let told = TimescalesCheckpoint { cell: Some(PublishedCell::Continuous) };
        let told = told.import(&fixture("sliding_2_1_parity_T_2.0_network_1/rnn_N3_N4")).unwrap();
        let constants = &told.cell.unwrap().options()["time_constants"];
        assert_eq!(*constants, json!({ "low": 2.5, "high": 2.5, "trainable": false, "shared": true }));
        assert!(told.notes[0].contains("set task.repeat"));

        let fixed = import("sliding_2_1_parity_T_2.0_network_1/rnn_N3_N4");
        let options = fixed.cell.unwrap().options();
        assert_eq!(options["time_constants"]["low"], 2.5);
        assert_eq!(
            (&options["time_constants"]["shared"], &options["time_constants"]["trainable"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(fixed.curriculum.unwrap().options(), json!({ "init_heads": 2, "forget_heads": 1 }));
        assert_eq!(fixed.lesson, Some(synfire::Lesson::with_levels([(3, 0), (4, 1)])));

        let lstm = import("lstm_cumulative_network_1/lstm_N2_N3");
        assert_eq!(lstm.cell.unwrap().name, "lstm");
        assert_eq!(lstm.task.unwrap().options(), json!({ "symbols": "plus-minus", "rate": 0.5 }));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rnn.pt");
        let whole = || torch_file::read(&fixture("cumulative_parity_network_1/rnn_init")).unwrap().below(KEY).unwrap();
        let refusal = |change: &dyn Fn(&mut Tensors)| {
            let mut tensors = whole();
            change(&mut tensors);
            torch_file::write(&path, &tensors, &WriteOptions { under: Some(KEY) }).unwrap();
            TimescalesCheckpoint::default().import(&path).unwrap_err().to_string()
        };
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, synfire::tch::Device::Cpu));
        let lacks = refusal(&|t| drop(t.remove("modulelist.1.bias")));
        assert!(lacks.contains("lacks the tensor 'state_dict.modulelist.1.bias'"), "{lacks}");
        let gap = refusal(&|t| drop(t.remove("modulelist.3.weight")));
        assert!(gap.contains("unknown tensor 'state_dict.modulelist.3.bias'"), "{gap}");
        let layers = refusal(&|t| t.insert("parameterlist.1", zeros(&[8])));
        assert!(layers.contains("several layers"), "{layers}");
        let shape = refusal(&|t| t.insert("modulelist.4.weight", zeros(&[2, 7])));
        assert!(shape.contains("'state_dict.modulelist.4.weight' of shape [2, 7]"), "{shape}");
        let integers = refusal(&|t| t.insert("parameterlist.0", zeros(&[8]).to_kind(Kind::Int64)));
        assert!(integers.contains("Int64"), "{integers}");
        torch_file::write(&path, &whole(), &WriteOptions { under: None }).unwrap();
        let bare = TimescalesCheckpoint::default().import(&path).unwrap_err().to_string();
        assert!(bare.contains("'state-dict'"), "{bare}");
        let renamed = folder.path().join("rnn_N2_N40");
        torch_file::write(&renamed, &whole(), &WriteOptions { under: Some(KEY) }).unwrap();
        let heads = TimescalesCheckpoint::default().import(&renamed).unwrap_err().to_string();
        assert!(heads.contains("has 4 heads"), "{heads}");
    }
}
