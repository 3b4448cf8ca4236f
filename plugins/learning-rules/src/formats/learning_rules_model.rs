//! Networks as the code that compared learning rules writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use synfire::format::Imported;
use synfire::storage::atomic;
use synfire::tch::{Kind, Tensor};
use synfire::torch_file::{self, WriteOptions};
use synfire::{Cell, Component, Error, Format, LearningRule, Network, Result, Spec, Task, Tensors};

/// Networks of published comparisons of learning rules: a PyTorch file `NAME.pt`, read without running it, and beside it `NAME.txt`.
///
/// | in the file | here |
/// |---|---|
/// | `weights.in` `[unit, input]` | `input.weight` |
/// | `weights.bias` `[unit, 1]` | `input.bias` |
/// | `weights.rec` `[unit, unit]` | `recurrent.weight` |
/// | `weights.out` `[output, unit]` | `head.0.weight` |
///
/// The text has a line `key : value` for each setting; used are `dt` (the step in time constants, else 0.1), `taskMean`, `taskVar` (which
/// is a standard deviation), `ReLU` and `initScale`. One input means the task `random-dots`, an even number `context-integration`.
///
/// The file does not say by which rule a network was trained, on which its equations depend; published code takes it from the first
/// letter of the name, and so does this format unless `trained_by` says it. Networks of `bptt` and `genetic` have rates 1 + tanh (or
/// rectified) and heads that read the state; those of `full-force` have tanh and heads that read the rate; those of `reward-hebbian` have
/// three clamped units and say the rate of unit 0.
///
/// Source: McMahan, Kleinman & Kao 2021, NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>; files of its published code.
/// Differs: the published reader passes the output of full-FORCE networks through the hyperbolic tangent; its sign, which decides, is
/// the same here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LearningRulesModel {
    /// By which rule the network was trained; left out, what the first letter of the file's name says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_by: Option<TrainedBy>,
}

/// The rules of the published comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainedBy {
    /// Backpropagation through time.
    Bptt,
    /// The genetic algorithm.
    Genetic,
    /// full-FORCE.
    FullForce,
    /// The reward-modulated Hebbian rule.
    RewardHebbian,
}

impl TrainedBy {
    /// By the first letter of a name.
    fn of_name(path: &Path) -> Option<Self> {
        let letter = path.file_stem()?.to_str()?.chars().next()?.to_ascii_lowercase();
        match letter {
            'b' => Some(Self::Bptt),
            'g' => Some(Self::Genetic),
            'f' => Some(Self::FullForce),
            'h' => Some(Self::RewardHebbian),
            _ => None,
        }
    }

    fn rule(self) -> Spec<dyn LearningRule> {
        match self {
            Self::Bptt => Spec::with("bptt", &json!({ "trainable": ["recurrent.weight"], "clip": "none" })),
            Self::Genetic => Spec::with("genetic", &json!({ "trainable": ["*.weight"] })),
            Self::FullForce => Spec::new("full-force"),
            Self::RewardHebbian => Spec::new("reward-hebbian"),
        }
    }
}

/// Units whose state never changes in networks of the Hebbian rule.
pub(super) fn clamped() -> serde_json::Value {
    json!([[1, 1.0], [10, 1.0], [11, -1.0]])
}

/// The head `[1, unit]` that says the rate of unit 0.
pub(super) fn first_unit(units: i64, kind: Kind) -> Result<Tensor> {
    let head = Tensor::f_zeros([1, units], (kind, synfire::tch::Device::Cpu))?;
    drop(head.f_narrow(1, 0, 1)?.f_fill_(1.0)?);
    Ok(head)
}

/// The settings in the text beside the file; none where there is no text.
fn settings(path: &Path) -> Result<BTreeMap<String, f64>> {
    let text = path.with_extension("txt");
    if !text.exists() {
        return Ok(BTreeMap::new());
    }
    let bytes = atomic::read(&text)?;
    let mut found = BTreeMap::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        // Some lines hold words, such as a date.
        if let Ok(value) = value.trim().parse() {
            found.insert(key.trim().to_string(), value);
        }
    }
    Ok(found)
}

#[typetag::serde(name = "learning-rules-model")]
impl Format for LearningRulesModel {
    fn import(&self, path: &Path) -> Result<Imported> {
        let file = torch_file::read(path)?;
        let foreign = |problem: String| Error::file(path, problem, "is it a file of another program? try 'state-dict'");
        let weights = file.below("weights").map_err(|error| foreign(error.to_string()))?;
        let get = |name: &str| weights.get(name).map_err(|error| foreign(error.to_string()));
        let (input, recurrent, out, bias) = (get("in")?, get("rec")?, get("out")?, get("bias")?);
        let (units, inputs) = match input.size()[..] {
            [units, inputs] => (units, inputs),
            _ => return Err(foreign(format!("has input weights of shape {:?}", input.size()))),
        };
        if recurrent.size() != [units, units] || bias.numel() as i64 != units || out.size().last() != Some(&units) {
            let shapes = (recurrent.size(), bias.size(), out.size());
            return Err(foreign(format!("has weights for {units} units beside others of shapes {shapes:?}")));
        }
        let mut notes = Vec::new();
        let trained_by = self.trained_by.or_else(|| TrainedBy::of_name(path)).unwrap_or_else(|| {
            notes.push(
                "Neither option nor file name says by which rule the network was trained; bptt was assumed. If it is \
                 another, import with trained_by = \"genetic\", \"full-force\" or \"reward-hebbian\"."
                    .into(),
            );
            TrainedBy::Bptt
        });
        let settings = settings(path)?;
        if settings.is_empty() {
            notes.push("There is no text with settings beside the file; published defaults were assumed.".into());
        }
        let setting = |key: &str, default: f64| settings.get(key).copied().unwrap_or(default);
        let tau = 1.0 / setting("dt", 0.1);
        let kind = recurrent.kind();
        let head = match trained_by {
            TrainedBy::RewardHebbian => first_unit(units, kind)?,
            _ => out.copy(),
        };
        let tau_tensor = Tensor::from_slice(&[tau]).to_kind(kind);
        let parameters = Tensors::from([
            ("time_constants", tau_tensor),
            ("input.weight", input.copy()),
            ("input.bias", bias.f_reshape([units])?.copy()),
            ("recurrent.weight", recurrent.copy()),
            ("head.0.weight", head),
        ]);
        let by_state = matches!(trained_by, TrainedBy::Bptt | TrainedBy::Genetic);
        let rectified = by_state && setting("ReLU", 0.0) != 0.0;
        let mut cell = json!({
            "hidden": units, "placement": "current", "activation": if rectified { "relu" } else { "tanh" },
            "time_constants": { "low": tau, "high": tau, "shared": true }, "input_bias": true, "heads": { "bias": false },
            "initial_state": { "deviation": setting("initScale", 0.3) },
        });
        if by_state {
            cell["reads"] = json!("state");
            cell["rate_offset"] = json!(if rectified { 0.0 } else { 1.0 });
        }
        if trained_by == TrainedBy::RewardHebbian {
            cell["clamped"] = clamped();
        }
        let noise = json!({ "noise_std": setting("taskVar", 0.5), "largest_mean": setting("taskMean", 0.1857) });
        let task: Option<Spec<dyn Task>> = match inputs {
            1 => Some(Spec::with("random-dots", &noise)),
            n if n % 2 == 0 => {
                let mut options = noise;
                options["contexts"] = json!(n / 2);
                Some(Spec::with("context-integration", &options))
            }
            n => {
                notes.push(format!("No published task has {n} inputs; say which it was."));
                None
            }
        };
        Ok(Imported {
            parameters,
            heads: vec![0],
            task,
            cell: Some(Spec::<dyn Cell>::with("leaky-rnn", &cell)),
            rule: Some(trained_by.rule()),
            notes,
            ..Imported::default()
        })
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        let refuse = |problem: String| {
            Error::file(path, problem, "the format holds leaky-rnn networks with one head; use 'state-dict' for others")
        };
        let parameters = &network.parameters;
        let get = |name: &str| parameters.find(name).ok_or_else(|| refuse(format!("the network has no '{name}'")));
        let (input, recurrent, head) = (get("input.weight")?, get("recurrent.weight")?, get("head.0.weight")?);
        if network.readout.heads != [0] || parameters.contains("head.0.bias") {
            return Err(refuse(format!("cannot hold the heads {:?} or their biases", network.readout.heads)));
        }
        let units = recurrent.size()[0];
        let bias = match parameters.find("input.bias") {
            Some(bias) => bias.f_reshape([units, 1])?,
            None => Tensor::f_zeros([units, 1], (recurrent.kind(), recurrent.device()))?,
        };
        let tau = parameters.find("time_constants").map_or(10.0, |tau| tau.max().double_value(&[]));
        let weights = Tensors::from([
            ("in", input.shallow_clone()),
            ("rec", recurrent.shallow_clone()),
            ("out", head.shallow_clone()),
            ("bias", bias),
        ]);
        torch_file::write(path, &weights, &WriteOptions { under: Some("weights") })?;
        let mut text = String::new();
        let outputs = head.size()[0];
        let rows =
            [("inputSize", input.size()[1] as f64), ("hiddenSize", units as f64), ("outputSize", outputs as f64)];
        for (key, value) in rows.into_iter().chain([("dt", 1.0 / tau)]) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} : {value}");
        }
        atomic::write(path.with_extension("txt"), text.as_bytes())
    }
}

synfire::inventory::submit! { Component::format::<LearningRulesModel>("learning-rules-model") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Device;
    use synfire::tensors::values_f64;

    fn saved(folder: &Path, name: &str, inputs: i64, text: Option<&str>) -> std::path::PathBuf {
        let path = folder.join(format!("{name}.pt"));
        let draw = |shape: &[i64]| synfire::Stream::new(1).normal_tensor(shape, Kind::Float, Device::Cpu);
        let weights = Tensors::from([
            ("in", draw(&[50, inputs])),
            ("rec", draw(&[50, 50])),
            ("out", draw(&[1, 50])),
            ("bias", draw(&[50, 1])),
        ]);
        torch_file::write(&path, &weights, &WriteOptions { under: Some("weights") }).expect("writes");
        if let Some(text) = text {
            std::fs::write(path.with_extension("txt"), text).expect("writes");
        }
        path
    }

    #[test]
    fn cell_task_and_rule_follow_from_name_text_and_shapes() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "dt : 0.1\ntaskVar : 0.1\ntaskMean : 0.2\nReLU : 0\ninitScale : 0.3\ntotal training time: 390 s\n";
        let genetic = saved(folder.path(), "GA_000", 1, Some(text));
        let imported = LearningRulesModel::default().import(&genetic).expect("reads");
        let (task, cell) = (imported.task.expect("one input"), imported.cell.expect("known"));
        assert_eq!((task.name.as_str(), task.options()["noise_std"].as_f64()), ("random-dots", Some(0.1)));
        assert_eq!((&cell.options()["reads"], &cell.options()["rate_offset"]), (&json!("state"), &json!(1.0)));
        assert_eq!(imported.rule.expect("by its name").name, "genetic");
        assert!(imported.notes.is_empty(), "{:?}", imported.notes);
        assert_eq!(values_f64(imported.parameters.get("time_constants").expect("there")), [10.0]);

        let hebbian = saved(folder.path(), "hebb_1", 4, None);
        let imported = LearningRulesModel::default().import(&hebbian).expect("reads");
        assert_eq!(imported.task.expect("four inputs").options()["contexts"], json!(2));
        assert_eq!(imported.cell.expect("known").options()["clamped"], clamped());
        assert_eq!(imported.notes.len(), 1, "no text");
        let head = values_f64(imported.parameters.get("head.0.weight").expect("there"));
        assert_eq!((head[0], head[1..].iter().sum::<f64>()), (1.0, 0.0));

        let unnamed = saved(folder.path(), "x", 3, Some("ReLU : 1"));
        let imported = LearningRulesModel::default().import(&unnamed).expect("reads");
        assert_eq!(imported.cell.expect("known").options()["activation"], json!("relu"));
        assert!(imported.task.is_none() && imported.notes.len() == 2, "{:?}", imported.notes);
    }

    #[test]
    fn what_was_exported_comes_back_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = saved(folder.path(), "bptt_1", 2, None);
        let format = LearningRulesModel::default();
        let imported = format.import(&path).expect("reads");
        let registry = synfire::Registry::linked().expect("no duplicates");
        let task = registry.build(imported.task.as_ref().expect("known"), "task").expect("valid");
        let cell = registry.build(imported.cell.as_ref().expect("known"), "cell").expect("valid");
        let context =
            synfire::BuildContext { registry: &registry, task: task.spec(), device: Device::Cpu, kind: Kind::Float };
        let mut network = cell.build(&context, &synfire::Stream::new(1)).expect("fits");
        network.add_heads(&[0], &context, &synfire::Stream::new(1)).expect("fits");
        let names =
            |tensors: &Tensors| tensors.iter().map(|(n, t)| (n.to_string(), t.size())).collect::<BTreeMap<_, _>>();
        assert_eq!(names(&network.parameters), names(&imported.parameters), "the cell has just these parameters");
        network.parameters = imported.parameters;
        let out = folder.path().join("bptt_2.pt");
        format.export(&network, &out).expect("fits");
        let again = format.import(&out).expect("reads");
        assert!(network.parameters.iter().all(|(name, t)| t == again.parameters.get(name).expect("there")));
        let other = folder.path().join("bptt_3.pt");
        torch_file::write(&other, &network.parameters, &WriteOptions::default()).expect("writes");
        assert!(format.import(&other).expect_err("no weights").to_string().contains("weights"));
    }
}
