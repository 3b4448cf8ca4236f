//! Whole folders of published networks: imported as one run with all of its checkpoints, and written by an export.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use synfire::experiment::Training;
use synfire::observer::Silent;
use synfire::run::{Analyst, RunDir, Status};
use synfire::subject::{At, RunView};
use synfire::table::Value;
use synfire::tch::Tensor;
use synfire::torch_file::{self, WriteOptions};
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Experiment, Findings, Format, Lesson, Registry, Result, Spec, Tensors};
use synfire_essentials as _;
use synfire_timescales::formats::TimescalesFolder;

/// A run of the folder, with what the format says of it.
fn import(folder: &Path, run: &Path, registry: &Registry) -> Result<RunDir> {
    let imported = TimescalesFolder::default().import(folder)?;
    let experiment = Experiment {
        device: "cpu".into(),
        task: imported.task.clone().unwrap(),
        cell: imported.cell.clone().unwrap(),
        curriculum: imported.curriculum.clone().unwrap(),
        rule: imported.rule.clone().unwrap(),
        training: imported.training.clone().unwrap(),
        ..Experiment::default()
    };
    RunDir::import(run, &experiment.resolve(registry)?, imported, registry)
}

fn findings(analysis: &str, dir: &RunDir, registry: &Registry) -> Findings {
    let workers = Workers::new(1).unwrap();
    let analyst = Analyst::new(&Spec::new(analysis), registry, &workers).unwrap();
    analyst.run(dir, dir.experiment().unwrap(), analysis).unwrap().remove(0).findings
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The tensors of a fixture, every number of `parameterlist.0` replaced.
fn with_tau(tau: f64) -> Tensors {
    let file = torch_file::read(&fixtures().join("checkpoints/cumulative_parity_network_1/rnn_N2_N4")).unwrap();
    let mut tensors = file.below("state_dict").unwrap();
    let constants = tensors.get("parameterlist.0").unwrap().full_like(tau);
    tensors.insert("parameterlist.0", constants);
    tensors
}

fn put(folder: &Path, name: &str, tensors: &Tensors) {
    torch_file::write(&folder.join(name), tensors, &WriteOptions { under: Some("state_dict") }).unwrap();
}

/// A folder with the network before training, those that solved N = 2 and N = 4, and six evaluations.
fn cumulative(base: &Path) -> PathBuf {
    let folder = base.join("cumulative_parity_network_1");
    std::fs::create_dir(&folder).unwrap();
    let untrained = fixtures().join("checkpoints/cumulative_parity_network_1/rnn_init");
    std::fs::copy(untrained, folder.join("rnn_init")).unwrap();
    put(&folder, "rnn_N2_N2", &with_tau(1.25));
    put(&folder, "rnn_N2_N4", &with_tau(1.5));
    std::fs::copy(fixtures().join("statistics/cumulative.npy"), folder.join("stats.npy")).unwrap();
    folder
}

#[test]
fn a_folder_becomes_one_run_with_all_of_its_networks() {
    let registry = Registry::linked().unwrap();
    let workers = Workers::new(1).unwrap();
    let base = tempfile::tempdir().unwrap();
    let folder = cumulative(base.path());
    let dir = import(&folder, &base.path().join("run"), &registry).unwrap();
    assert_eq!(dir.checkpoints(), [0, 600, 3000]);
    let manifest = dir.manifest().unwrap();
    assert_eq!((manifest.status, manifest.updates), (Status::Imported, 3000));
    assert!((manifest.metrics[0]["last_accuracy"] - 0.985).abs() < 1e-12);
    assert!(
        manifest.notes.iter().any(|note| note.contains("1 evaluations, up to N = 5, are later")),
        "{:?}",
        manifest.notes
    );
    assert!(!manifest.notes.iter().any(|note| note.contains("does not say its cell")), "the folder's name says it");
    let experiment = dir.experiment().unwrap();
    assert_eq!(experiment.curriculum.name, "cumulative");
    assert_eq!((experiment.training.updates_per_evaluation, experiment.training.evaluation_trials), (600, 12_800));

    let view = RunView::open(&dir, &registry, &workers).unwrap().remove(0);
    assert_eq!(view.lesson(), Lesson::with_levels([(2, 0), (3, 1), (4, 2)]));
    assert_eq!(view.lesson_at(3).unwrap(), Lesson::with_levels([(3, 1)]));
    assert_eq!(view.checkpoint(At::Update(600)).unwrap().state.history.lessons.len(), 1);
    for (update, name) in [(0, "rnn_init"), (600, "rnn_N2_N2"), (3000, "rnn_N2_N4")] {
        let network = view.network(At::Update(update)).unwrap();
        let file = torch_file::read(&folder.join(name)).unwrap().below("state_dict").unwrap();
        for (theirs, ours) in [("parameterlist.0", "time_constants"), ("modulelist.1.weight", "recurrent.weight")] {
            assert!(network.parameters.get(ours).unwrap().equal(file.get(theirs).unwrap()), "{name} {theirs}");
        }
    }

    // All evaluations are in the metrics, those of the network's past in its history.
    let metrics = dir.metrics().unwrap();
    assert_eq!(metrics.len(), 6);
    assert_eq!((&metrics[5]["levels"], &metrics[5]["lesson"]), (&json!([2, 3, 4, 5]), &json!(3)));
    assert_eq!((&metrics[0]["training_loss"], metrics[0].get("seconds")), (&json!(0.7), None));
    let curve = findings("learning-curve", &dir, &registry);
    assert_eq!(curve.values["evaluations"], Value::from(5usize));
    assert_eq!(curve.values["largest N passed"], Value::from(4usize));
    let passed: Vec<&Value> = curve.tables[1].rows.iter().map(|row| &row[0]).collect();
    assert_eq!(passed, [&Value::from(2usize), &Value::from(3usize), &Value::from(4usize)]);
    let constants = findings("time-constants", &dir, &registry);
    assert_eq!(constants.arrays["levels"].to_f64(), [-1.0, 2.0, 4.0]);
    assert_eq!(constants.tables[0].rows[1][4], Value::from(1.25));
}

#[test]
fn training_goes_on_from_the_last_network() {
    let registry = Registry::linked().unwrap();
    let base = tempfile::tempdir().unwrap();
    let folder = cumulative(base.path());
    let dir = import(&folder, &base.path().join("run"), &registry).unwrap();
    let mut experiment = dir.experiment().unwrap();
    experiment.training.updates = 3002;
    experiment.training.evaluation_trials = 64;
    let stop = AtomicBool::new(false);
    let session =
        Session { experiment: &experiment, registry: &registry, dir: &dir, threads: 1, observer: &Silent, stop: &stop };
    let outcome = session.train().unwrap();
    assert_eq!(outcome.updates, 3002);
    let workers = Workers::new(1).unwrap();
    let view = RunView::open(&dir, &registry, &workers).unwrap().remove(0);
    // The last evaluation solved N = 4, so N = 5 came next, with a head of its own.
    assert_eq!(view.lesson(), Lesson::with_levels([(2, 0), (3, 1), (4, 2), (5, 3)]));
    assert_eq!(view.history().evaluations.len(), 5, "those of the folder up to its last network");
    assert_eq!(dir.metrics().unwrap().len(), 5, "what was recorded after it is of another training");
    assert_eq!(dir.checkpoints(), [0, 600, 3000, 3002]);
}

#[test]
fn files_that_do_not_fit_are_named_and_leave_nothing() {
    let registry = Registry::linked().unwrap();
    let refusal = |change: &dyn Fn(&Path)| {
        let base = tempfile::tempdir().unwrap();
        let folder = cumulative(base.path());
        change(&folder);
        let place = base.path().join("run");
        let folder = std::fs::read_dir(base.path()).unwrap().next().unwrap().unwrap().path();
        let message = import(&folder, &place, &registry).unwrap_err().to_string();
        assert!(!place.exists(), "{message}");
        message
    };
    let cut = refusal(&|folder| {
        let file = folder.join("rnn_N2_N2");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(cut.contains("rnn_N2_N2"), "{cut}");
    let other = refusal(&|folder| {
        let mut tensors = with_tau(1.0);
        tensors.insert("parameterlist.0", Tensor::from_slice(&[2.0f32]));
        put(folder, "rnn_N2_N4", &tensors);
    });
    assert!(other.contains("rnn_N2_N4") && other.contains("'time_constants' of shape [1]"), "{other}");
    let statistics = refusal(&|folder| put(folder, "rnn_N2_N7", &with_tau(1.0)));
    assert!(statistics.contains("rnn_N2_N7") || statistics.contains("levels up to 4"), "{statistics}");
    let units = refusal(&|folder| {
        std::fs::rename(folder, folder.with_file_name("cumulative_parity_size_9_network_1")).unwrap();
    });
    assert!(units.contains("has 8 units, but its folder is named for 9"), "{units}");
    let pickled = refusal(&|folder| {
        let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../framework/tests/fixtures/storage");
        std::fs::copy(hostile.join("objects_hostile.npy"), folder.join("stats.npy")).unwrap();
    });
    assert!(pickled.contains("stats.npy") && pickled.contains("refused"), "{pickled}");
}

/// A run that passes a level at every evaluation, since nearly any accuracy is above its threshold.
fn climbing(place: &Path, curriculum: &Spec<dyn synfire::Curriculum>, updates: u64, registry: &Registry) -> RunDir {
    let experiment = Experiment {
        name: "climbing".into(),
        device: "cpu".into(),
        task: Spec::new("n-parity"),
        cell: Spec::with(
            "leaky-rnn",
            &json!({ "hidden": 6, "placement": "whole", "activation": "leaky-relu", "recurrent_bias": true,
                     "self_connections": "zeroed", "time_constants": { "low": 1.0, "high": 2.0, "trainable": true } }),
        ),
        curriculum: curriculum.clone(),
        training: Training {
            batch: 8,
            updates,
            updates_per_evaluation: 2,
            evaluation_trials: 64,
            ..Training::default()
        },
        ..Experiment::default()
    };
    let experiment = experiment.resolve(registry).unwrap();
    let dir = RunDir::create(place, &experiment).unwrap();
    let stop = AtomicBool::new(false);
    Session { experiment: &experiment, registry, dir: &dir, threads: 1, observer: &Silent, stop: &stop }
        .train()
        .unwrap();
    dir
}

fn export(dir: &RunDir, base: &Path, registry: &Registry) -> Result<Vec<String>> {
    let workers = Workers::new(1).unwrap();
    let view = RunView::open(dir, registry, &workers).unwrap().remove(0);
    let files = TimescalesFolder::default().export_run(&view, At::Last, base)?;
    Ok(files.iter().map(|file| file.strip_prefix(base).unwrap().display().to_string()).collect())
}

#[test]
fn a_run_is_written_as_a_folder_and_comes_back() {
    let registry = Registry::linked().unwrap();
    let workers = Workers::new(1).unwrap();
    let base = tempfile::tempdir().unwrap();
    let curriculum = Spec::with("cumulative", &json!({ "threshold": 0.2, "last_level": 4 }));
    let run = climbing(&base.path().join("run"), &curriculum, 100, &registry);
    let files = export(&run, &base.path().join("out"), &registry).unwrap();
    let name = "cumulative_parity_size_6_network_1";
    let expected = ["rnn_init", "rnn_N2_N2", "rnn_N2_N3", "rnn_N2_N4", "stats.json", "stats.csv"];
    assert_eq!(files, expected.map(|file| format!("{name}/{file}")));
    let again = export(&run, &base.path().join("out"), &registry).unwrap_err().to_string();
    assert!(again.contains("is there already"), "{again}");

    let back = import(&base.path().join("out").join(name), &base.path().join("back"), &registry).unwrap();
    assert_eq!(back.checkpoints(), run.checkpoints());
    let open = |dir: &RunDir| RunView::open(dir, &registry, &workers).unwrap().remove(0);
    let (before, after) = (open(&run), open(&back));
    assert_eq!(before.history().lessons, after.history().lessons);
    for update in run.checkpoints() {
        let of = |view: &RunView| view.network(At::Update(update)).unwrap().parameters;
        let (ours, theirs) = (of(&before), of(&after));
        assert_eq!(ours.len(), theirs.len(), "{update}");
        for (name, tensor) in ours.iter() {
            assert!(tensor.equal(theirs.get(name).unwrap()), "{update} {name}");
        }
    }
    for (ours, theirs) in before.history().evaluations.iter().zip(&after.history().evaluations) {
        // The folder holds percentages: a hundredfold and back, two roundings.
        assert!((ours.accuracy.unwrap() - theirs.accuracy.unwrap()).abs() < 1e-15);
        assert_eq!((ours.update, ours.lesson, ours.trials), (theirs.update, theirs.lesson, theirs.trials));
    }
    let loss = |dir: &RunDir| dir.metrics().unwrap()[2]["training_loss"].clone();
    assert_eq!(loss(&run), loss(&back));
}

#[test]
fn what_was_not_solved_is_not_written() {
    let registry = Registry::linked().unwrap();
    let base = tempfile::tempdir().unwrap();
    let curriculum = Spec::with("single-level", &json!({ "threshold": 0.999 }));
    let run = climbing(&base.path().join("run"), &curriculum, 4, &registry);
    let files = export(&run, base.path(), &registry).unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files[0].ends_with("single_parity_size_6_network_1/rnn_init"), "{files:?}");
}

/// The published networks themselves, which are not part of the project.
mod published {
    use super::*;

    fn folder(name: &str) -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/timescales").join(name);
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return None;
        }
        Some(folder)
    }

    #[test]
    fn the_single_network_has_its_levels() {
        let Some(folder) = folder("single_parity_network_1") else { return };
        let registry = Registry::linked().unwrap();
        let base = tempfile::tempdir().unwrap();
        let dir = import(&folder, &base.path().join("run"), &registry).unwrap();
        let constants = findings("time-constants", &dir, &registry);
        assert_eq!(constants.arrays["levels"].to_f64(), [5.0, 10.0]);
        // Means of the paper's networks lie between 1.4 and 1.5 there.
        for row in &constants.tables[0].rows {
            let Value::Number(mean) = row[4] else { panic!("{row:?}") };
            assert!((1.35..1.55).contains(&mean), "{row:?}");
        }
    }

    #[test]
    fn the_cumulative_network_goes_back_bit_for_bit() {
        let Some(folder) = folder("cumulative_parity_network_1") else { return };
        let registry = Registry::linked().unwrap();
        let base = tempfile::tempdir().unwrap();
        let dir = import(&folder, &base.path().join("run"), &registry).unwrap();
        let files = export(&dir, base.path(), &registry).unwrap();
        let name = "cumulative_parity_network_1";
        assert_eq!(files, ["rnn_init", "rnn_N2_N10"].map(|file| format!("{name}/{file}")));
        for file in ["rnn_init", "rnn_N2_N10"] {
            let read = |path: PathBuf| torch_file::read(&path).unwrap().tensors;
            assert!(read(folder.join(file)).same_bytes(&read(base.path().join(name).join(file))), "{file}");
        }
    }
}
