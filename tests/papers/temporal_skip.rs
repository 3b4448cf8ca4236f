//! Shortcuts through time: the experiment files name parts that exist and fit, and a network learns a ring task.

use crate::program::json;
use std::path::{Path, PathBuf};
use synfire::experiment::Layers;

/// The folder of the experiment files.
fn experiments() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/temporal-skip/experiments")
}

#[test]
fn every_experiment_would_run_at_every_scale() {
    assert!(experiments().join("scales").is_dir());
    synfire::testing::assert_experiments(experiments());
}

#[test]
fn variations_differ_from_the_published_setting_in_what_they_say() {
    let folder = experiments();
    let read = |name: &str| Layers::read(&folder.join(format!("{name}.toml"))).unwrap().experiment().unwrap();
    let (base, reversal, matching) = (read("ring-base"), read("reversal-base"), read("match-base"));
    for (name, plain) in [
        ("ring-skip", &base),
        ("ring-skip-constant", &base),
        ("ring-aligned", &base),
        ("match-skip", &matching),
        ("match-aligned", &matching),
    ] {
        let wrapped = read(name);
        let mut inner = wrapped.cell.options()["inner"].clone();
        inner.as_object_mut().unwrap().remove("type");
        assert_eq!(inner, plain.cell.options(), "{name} wraps the plain network");
        assert_eq!((wrapped.rule.options(), &wrapped.training), (plain.rule.options(), &plain.training), "{name}");
    }
    for name in ["reversal-skip", "reversal-aligned"] {
        let wrapped = read(name);
        let mut inner = wrapped.cell.options()["inner"].clone();
        inner.as_object_mut().unwrap().remove("type");
        assert_eq!(inner, reversal.cell.options(), "{name} wraps the plain network");
        assert_eq!(wrapped.training, reversal.training, "{name}");
    }
    assert_eq!(read("reversal-coarse").training, reversal.training);
    // Four fifths of 50 units, a standard deviation of 1/50 and a learning rate of 0.1/50.
    let options = base.cell.options();
    let gain = options["recurrent"]["gain"].as_f64().unwrap();
    assert!((gain / 50f64.sqrt() - 1.0 / 50.0).abs() < 1e-12);
    assert_eq!(base.rule.options()["optimizer"]["learning_rate"].as_f64(), Some(0.1 / 50.0));
}

/// Networks of the published size learn to go to a stimulus, with steps of 25 ms for speed: untrained ones, and ones that always
/// fixate, are at most at two thirds.
#[test]
fn a_network_learns_to_go_to_a_stimulus() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let base = experiments().join("ring-base.toml");
    let arguments = [
        "run",
        base.to_str().expect("a path of text"),
        "--members",
        "2",
        "--updates",
        "800",
        "--device",
        "cpu",
        "--set",
        "task.dt_ms=25",
        "--set",
        "training.updates_per_evaluation=100",
        "--set",
        "training.together={threshold=0.9,trim=0.0}",
        "-q",
        "-o",
        "go",
    ];
    let run = json(folder.path(), &arguments);
    let stopped = run["stopped"].as_str().expect("a reason");
    assert!(stopped.contains("accuracy of the middle members of at least 0.9"), "{run}");
}
