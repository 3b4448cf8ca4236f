//! Files made by PyTorch, and files that do not fit.

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
        let layout = Layout::of_network(&imported.parameters);
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

    let layers = import("cumulative_parity_size_8_5_network_1/rnn_N2_N3");
    let cell = layers.cell.unwrap();
    let options = cell.options();
    assert_eq!((&cell.name[..], &options["layers"][1]["type"]), ("stacked", &json!("leaky-rnn")));
    assert_eq!([0, 1].map(|layer| options["layers"][layer]["hidden"].clone()), [8, 5].map(|units| json!(units)));
    assert!(layers.notes.iter().any(|note| note.contains("first layer alone")));

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
    // With a second time constant the file claims two layers: a third and fourth module before the heads.
    let layers = refusal(&|t| t.insert("parameterlist.1", zeros(&[8])));
    assert!(layers.contains("'state_dict.modulelist.2.weight' of shape [2, 8]"), "{layers}");
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

#[test]
fn networks_without_a_place_in_the_format_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rnn");
    let registry = synfire::Registry::linked().unwrap();
    let refusal = |cell: serde_json::Value| {
        let cell: Spec<dyn synfire::Cell> = serde_json::from_value(cell).unwrap();
        let experiment = synfire::Experiment { device: "cpu".into(), cell, ..synfire::Experiment::default() };
        let parts = experiment.parts(&registry).unwrap();
        let context = parts.context(&experiment, &registry).unwrap();
        let network = parts.network(&context, 1, 0, &synfire::Lesson::with_levels([(2, 0)])).unwrap();
        TimescalesCheckpoint::default()
            .export(&network, &path)
            .map_or_else(|error| error.to_string(), |()| String::new())
    };
    let leaky = json!({ "type": "leaky-rnn", "hidden": 4 });
    let layers = json!([leaky, leaky]);
    assert_eq!(refusal(json!({ "type": "stacked", "layers": layers })), "", "a missing bias is written as zeros");
    assert_eq!(TimescalesCheckpoint::default().import(&path).unwrap().parameters.len(), 12);
    assert_eq!(refusal(json!({ "type": "stacked", "layers": [leaky] })), "", "one layer is the cell itself");
    assert_eq!(TimescalesCheckpoint::default().import(&path).unwrap().cell.unwrap().name, "leaky-rnn");
    let all = refusal(json!({ "type": "stacked", "layers": layers, "read": "all" }));
    assert!(all.contains("whose last one is read") && all.contains("[2, 8]"), "{all}");
    let mixed = refusal(json!({ "type": "stacked", "layers": [leaky, { "type": "lstm", "hidden": 4 }] }));
    assert!(mixed.contains("no place for 'layer.2.input.weight'"), "{mixed}");
    let gru = refusal(json!({ "type": "gru", "hidden": 4 }));
    assert!(gru.contains("of shape [12, 1]"), "{gru}");
}
