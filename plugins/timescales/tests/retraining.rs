//! Further training of a small network: what it learns, and that nothing else depends on it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::json;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use synfire::experiment::Training;
use synfire::figure::Mark;
use synfire::observer::Silent;
use synfire::run::{Analyst, RunDir};
use synfire::storage::Array;
use synfire::subject::{RunView, Subject};
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Analysis, Experiment, Findings, Registry, Spec, Stream};
use synfire_essentials as _;
use synfire_timescales as _;

/// A network that learned parity of two bits.
fn trained(place: &Path, registry: &Registry) -> RunDir {
    let experiment = Experiment {
        name: "two".into(),
        device: "cpu".into(),
        task: Spec::with("n-parity", &json!({ "rate": 0.5, "symbols": "plus-minus" })),
        cell: Spec::with("leaky-rnn", &json!({ "hidden": 24, "time_constants": { "low": 1.0, "high": 2.0 } })),
        curriculum: Spec::with("single-level", &json!({ "threshold": 0.97, "last_level": 2 })),
        rule: Spec::with("bptt", &json!({ "optimizer": { "type": "adam", "learning_rate": 0.01 } })),
        training: Training {
            batch: 64,
            updates: 1000,
            updates_per_evaluation: 50,
            evaluation_trials: 512,
            ..Training::default()
        },
        ..Experiment::default()
    };
    let experiment = experiment.resolve(registry).unwrap();
    let dir = RunDir::create(place, &experiment).unwrap();
    let stop = AtomicBool::new(false);
    Session { experiment: &experiment, registry, dir: &dir, threads: 2, observer: &Silent, stop: &stop }
        .train()
        .unwrap();
    dir
}

fn retrained(dir: &RunDir, options: &serde_json::Value, threads: usize, registry: &Registry) -> Findings {
    let workers = Workers::new(threads).unwrap();
    let analyst = Analyst::new(&Spec::with("retraining", options), registry, &workers).unwrap();
    analyst.run(dir, dir.experiment().unwrap(), "retraining").unwrap().remove(0).findings
}

/// Names and bytes of every file below a folder, but those of analyses.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("analyses") => {}
                true => waiting.push(path),
                false => all.push((path.display().to_string(), std::fs::read(&path).unwrap())),
            }
        }
    }
    all.sort();
    all
}

#[test]
fn copies_learn_other_levels_and_the_run_stays_as_it_is() {
    let registry = Registry::linked().unwrap();
    let base = tempfile::tempdir().unwrap();
    let dir = trained(&base.path().join("run"), &registry);
    let before = files(dir.path());
    let options = json!({ "levels": [2, 3], "evaluations": 6, "updates_per_evaluation": 50, "trials": 512 });
    let findings = retrained(&dir, &options, 1, &registry);
    let accuracy = &findings.arrays["accuracy"];
    assert_eq!(accuracy.shape(), [2, 6]);
    let values = accuracy.to_f64();
    // 512 trials: the standard error at one half is 0.022.
    assert!(values[5] > 0.95, "it keeps its own level: {values:?}");
    assert!(values[11] > 0.75 && values[11] > values[6].min(0.7), "it learns N = 3: {values:?}");
    assert_eq!(findings.arrays["level"], Array::from(vec![2i64, 3]));
    assert_eq!(findings.arrays["update"], Array::from(vec![50i64, 100, 150, 200, 250, 300]));
    assert_eq!(findings.tables[0].columns[..2], ["from N", "N"]);
    let relative = findings.arrays["relative"].to_f64();
    let synfire::table::Value::Number(base_accuracy) = findings.values["accuracy"] else { panic!("no accuracy") };
    assert!((relative[11] - (values[11] - 0.5) / (base_accuracy - 0.5)).abs() < 1e-12);

    let saved = |name: &str| std::fs::read(dir.analysis_path("retraining").join(name)).unwrap();
    let first = (saved("arrays.npz"), saved("findings.json"));
    retrained(&dir, &options, 2, &registry);
    assert!(first == (saved("arrays.npz"), saved("findings.json")), "as many bytes with two threads");
    assert!(before == files(dir.path()), "the run is as it was");

    // What was saved is what a comparison of curricula draws.
    let comparison = registry.build(&Spec::<dyn Analysis>::new("curriculum-comparison"), "analysis").unwrap();
    let workers = Workers::new(1).unwrap();
    let runs = RunView::open(&dir, &registry, &workers).unwrap();
    let subject =
        Subject { runs, groups: Vec::new(), data: Default::default(), stream: Stream::new(1), workers: &workers };
    let compared = comparison.run(&subject).unwrap();
    let robustness = compared.figures.iter().find(|figure| figure.name == "robustness").expect("a figure");
    let [panel] = &robustness.panels[..] else { panic!("retraining alone") };
    let Mark::Line(line) = &panel.marks[0] else { panic!("a line first") };
    assert_eq!((&line.x[..], &line.y[..]), (&[2.0, 3.0][..], &[relative[5], relative[11]][..]));

    // A level does not depend on the others, and a new head starts from nothing.
    let alone = json!({ "levels": [3], "evaluations": 6, "updates_per_evaluation": 50, "trials": 512 });
    assert_eq!(retrained(&dir, &alone, 2, &registry).arrays["accuracy"].to_f64(), values[6..]);
    let new = json!({ "levels": [2], "evaluations": 1, "updates_per_evaluation": 1, "head": "new", "level": 2 });
    let new = retrained(&dir, &new, 1, &registry).arrays["accuracy"].to_f64();
    assert!(new[0] < 0.9, "after one update: {new:?}");
}
