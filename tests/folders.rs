//! A folder of runs in place of runs.

use crate::program::{call, done, json, small_run};

#[test]
fn a_folder_stands_for_the_runs_below_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    done(at, &small_run(&["-o", "runs/b", "-q", "--set", "cell.time_constants.trainable=true"]));
    done(at, &small_run(&["-o", "runs/nested/c", "-q", "-u", "cumulative", "--members", "2"]));
    done(at, &small_run(&["-o", "runs/a", "-q", "-c", "gru"]));

    // All runs, by name; findings of an analysis of one network lie in each.
    let curves = json(at, &["analyze", "learning-curve", "runs"]);
    let labels: Vec<&str> =
        curves["results"].as_array().expect("a list").iter().filter_map(|one| one["label"].as_str()).collect();
    assert_eq!(labels.first().copied(), Some("a"), "{labels:?}");
    assert!(labels.contains(&"b"), "{labels:?}");

    // A GRU has no rate form: found in a folder, it is left out with a word; named itself, it is refused.
    let typed =
        ["analyze", "ablation", "runs", "--set", "trials=8", "--set", "select.by=parameter", "--set", "select.count=2"];
    let ablated = json(at, &typed);
    let results = ablated["results"].as_array().expect("a list").len();
    assert_eq!(results, 3, "b and the two members of c: {ablated}");
    assert!(at.join("runs/nested/c/members/1/analyses/ablation/findings.json").is_file());
    let warned = call(at, &typed);
    assert!(warned.code == Some(0) && warned.err.contains("a was left out"), "{}", warned.err);
    assert_eq!(call(at, &["analyze", "ablation", "runs/a"]).code, Some(2));

    let compared = json(at, &["analyze", "curriculum-comparison", "runs", "-o", "comparison"]);
    assert_eq!(compared["values"]["networks"], 4);
    assert_eq!(
        compared["values"]["groups"], 3,
        "fixed-budget and cumulative with trained and fixed time constants, fixed-budget with the GRU"
    );
    assert!(at.join("comparison/networks.csv").is_file() && at.join("comparison/ablation.svg").is_file());

    let report = json(at, &["report", "runs"]);
    assert_eq!(report["runs"], serde_json::json!(["runs/a", "runs/b", "runs/nested/c"]));
    assert!(at.join("report.html").is_file());
    assert_eq!(json(at, &["runs", "runs"]).as_array().map(Vec::len), Some(3));
}

#[test]
fn groups_may_be_folders() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    for (seed, place) in [("1", "slow/one"), ("2", "slow/two"), ("3", "fast/one")] {
        done(at, &small_run(&["-o", place, "-q", "--seed", seed]));
    }
    std::fs::write(at.join("groups.toml"), "slow = [\"slow\"]\nfast = [\"fast\"]\n").expect("writes");
    let found = json(at, &["analyze", "curriculum-comparison", "slow", "--groups", "groups.toml", "-o", "out"]);
    assert_eq!((found["values"]["networks"].as_u64(), found["values"]["groups"].as_u64()), (Some(3), Some(2)));
    std::fs::write(at.join("groups.toml"), "fast = [\"fast\"]\n").expect("writes");
    let refused = call(at, &["analyze", "curriculum-comparison", "slow", "--groups", "groups.toml"]);
    assert!(refused.code == Some(2) && refused.err.contains("slow/one"), "{}", refused.err);
}

#[test]
fn a_folder_without_runs_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir_all(folder.path().join("empty/deeper")).expect("makes a folder");
    for arguments in [&["analyze", "learning-curve", "empty"][..], &["report", "empty"]] {
        let refused = call(folder.path(), arguments);
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(refused.err.contains("empty") && refused.err.contains("holds none"), "{}", refused.err);
    }
}
