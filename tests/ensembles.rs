//! Members that meet after each evaluation: each is what it would be alone, and they end together.

use crate::program::{json, small_run};
use serde_json::Value;
use std::path::Path;

/// The last evaluations of a member, by update.
fn metrics(run: &Path) -> Vec<(u64, f64)> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| (line["update"].as_u64().expect("a number"), line["loss"].as_f64().expect("a number"))).collect()
}

fn network(run: &Path, update: u64) -> Vec<u8> {
    std::fs::read(run.join("checkpoints").join(update.to_string()).join("network.safetensors")).expect("a checkpoint")
}

fn middle(mut losses: Vec<f64>) -> f64 {
    losses.sort_by(f64::total_cmp);
    losses[1]
}

#[test]
fn members_end_together_when_the_middle_of_them_has_learned() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let run = |place: &str, more: &[&str]| -> Value {
        let mut flags = vec!["--set", "training.updates_per_evaluation=10", "--set", "training.shared_trials=true"];
        flags.extend(["--updates", "60", "--seed", "5", "--members", "3", "-q", "-o", place]);
        flags.extend(more);
        json(at, &small_run(&flags))
    };
    run("apart", &[]);
    let member = |run: &str, k: usize| at.join(run).join("members").join(k.to_string());
    let all: Vec<Vec<(u64, f64)>> = (0..3).map(|k| metrics(&member("apart", k))).collect();
    assert!(all.iter().all(|evaluations| evaluations.len() == 6));
    // A threshold that the middle one passes at some evaluation before the last, whatever the numbers are.
    let middles: Vec<f64> = (0..6).map(|e| middle(all.iter().map(|evaluations| evaluations[e].1).collect())).collect();
    let threshold = middles[..5].iter().copied().fold(f64::INFINITY, f64::min) + 1e-9;
    let end = 10 * (middles.iter().position(|loss| *loss <= threshold).expect("there is one") as u64 + 1);
    assert!(end < 60);
    let rule = format!("training.together={{metric=\"loss\",threshold={threshold},trim=0.34}}");
    for (threads, place) in [("1", "one"), ("2", "two")] {
        let run = run(place, &["--set", &rule, "--threads", threads]);
        assert!(
            run["stopped"].as_str().expect("a reason").starts_with("loss of the middle members of at most"),
            "{run}"
        );
        assert_eq!(run["updates"].as_u64(), Some(end));
        for (k, alone) in all.iter().enumerate() {
            assert_eq!(metrics(&member(place, k)), alone[..end as usize / 10], "member {k} at {threads} threads");
        }
    }
    for k in 0..3 {
        assert_eq!(network(&member("one", k), end), network(&member("two", k), end));
    }
    // Resumed, they see at once that they are done.
    let again = json(at, &["resume", "two", "-q"]);
    assert_eq!(again["updates"].as_u64(), Some(end), "{again}");
}
