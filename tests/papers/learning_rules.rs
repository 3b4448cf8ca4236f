//! Learning rules compared: the dynamics of trained networks, and networks side by side.

use crate::program::{done, json};
use std::path::Path;

/// Two bits held by 24 units, learned in some seconds.
fn train(folder: &Path, seed: u64, place: &str) {
    let seed = format!("seed={seed}");
    let settings = [
        "task.type=flip-flop",
        "task.bits=2",
        "task.duration_ms=600",
        "task.pulse_rate_hz=8",
        "task.pulse_at_start=true",
        "cell.type=leaky-rnn",
        "cell.hidden=24",
        "cell.time_constants.low=4",
        "cell.time_constants.high=4",
        "rule.type=bptt",
        "rule.optimizer.learning_rate=0.01",
        "curriculum.type=direct",
        "training.batch=64",
        "training.updates=400",
        "training.updates_per_evaluation=200",
        "training.evaluation_trials=128",
        &seed,
    ];
    let mut arguments = vec!["run", "-o", place];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    done(folder, &arguments);
}

#[test]
fn a_trained_memory_has_an_attractor_for_each_of_its_states() {
    let folder = tempfile::tempdir().expect("temporary folder");
    train(folder.path(), 1, "memory");
    let found = json(folder.path(), &["analyze", "fixed-points", "memory", "--set", "survey.starts=200"]);
    let value = |name: &str| found["values"][name].as_f64().unwrap_or_else(|| panic!("{name} in {found}"));
    assert_eq!(value("attractors"), 4.0, "{found}");
    // Between any two attractors lies a border, and on it at least one point that is left in some direction.
    assert!(value("saddles") + value("repellers") >= 3.0, "{found}");
    assert!(value("largest residual") < 1e-10);
    assert!(value("leading rate of attractors at input 0") < 0.0);
    let points =
        std::fs::read_to_string(folder.path().join("memory/analyses/fixed-points/fixed_points.csv")).expect("a table");
    let outputs: Vec<f64> = points
        .lines()
        .filter(|line| line.contains(",attractor,"))
        .map(|line| line.split(',').nth(8).and_then(|x| x.parse().ok()).expect("an output"))
        .collect();
    assert_eq!(
        outputs.iter().filter(|y| (**y - 1.0).abs() < 0.3).count(),
        2,
        "the first bit is up in two: {outputs:?}"
    );
    assert_eq!(outputs.iter().filter(|y| (**y + 1.0).abs() < 0.3).count(), 2, "and down in two: {outputs:?}");
}

#[test]
fn folders_of_runs_are_compared_in_one_line() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let small = [
        "task.type=flip-flop",
        "task.bits=1",
        "task.duration_ms=200",
        "cell.type=leaky-rnn",
        "cell.hidden=6",
        "training.updates=2",
    ];
    for (place, rule, seed) in
        [("runs/a", "bptt", 1), ("runs/b", "bptt", 2), ("runs/c", "force", 3), ("runs/d", "force", 4)]
    {
        let (rule, seed) = (format!("rule.type={rule}"), format!("seed={seed}"));
        let mut arguments = vec!["run", "-o", place];
        small.iter().chain([&rule.as_str(), &seed.as_str()]).for_each(|setting| arguments.extend(["--set", setting]));
        done(folder.path(), &arguments);
    }
    for analysis in ["attractor-topology", "svcca"] {
        let found = json(folder.path(), &["analyze", analysis, "runs"]);
        assert_eq!(found["values"]["groups"], 2, "grouped by rule: {found}");
        assert!(found["values"]["silhouette"].is_number(), "{found}");
        assert!(folder.path().join("analyses").join(analysis).join("scaling.svg").is_file());
    }
    std::fs::write(folder.path().join("groups.txt"), "odd runs/a runs/c\neven runs/b runs/d\n").expect("writes");
    let found = json(folder.path(), &["analyze", "svcca", "--groups", "groups.txt", "-o", "by-line"]);
    assert_eq!(found["results"][0]["label"], "odd, even");
    assert!(folder.path().join("by-line/distances.svg").is_file());
}
