//! Wrong input: one clear message that names the field, the right exit code, nothing lost, no panic.

use crate::program::{call, done, small_run};
use std::path::Path;

/// Run and expect a refusal that contains all of `words`.
fn refused(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let call = call(folder, arguments);
    let what = format!("synfire {}\n{}\n{}", arguments.join(" "), call.out, call.err);
    assert_eq!(call.code, Some(code), "{what}");
    for word in words {
        assert!(call.err.contains(word), "no '{word}' in the message of\n{what}");
    }
    assert!(!call.err.contains("panicked at") && !call.err.contains("RUST_BACKTRACE"), "{what}");
}

#[test]
fn names_values_and_flags_are_refused_with_code_2() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let table: &[(&[&str], &[&str])] = &[
        (&["run", "-t", "n-partiy"], &["unknown task", "n-parity"]),
        (&["run", "-c", "lsmt"], &["unknown cell", "lstm"]),
        (&["run", "-r", "bpt"], &["unknown rule", "bptt"]),
        (&["run", "-u", "comulative"], &["unknown curriculum", "cumulative"]),
        (&["run", "-a", "pac"], &["unknown analysis", "pca"]),
        (&["describe", "task", "n-partiy"], &["unknown task", "n-parity"]),
        (&["run", "--set", "cell.hiden=3"], &["cell", "hiden", "hidden"]),
        (&["run", "--set", "sed=3"], &["sed", "seed"]),
        (&["run", "--set", "cell.hidden=many"], &["cell.hidden"]),
        (&["run", "--set", "cell.hidden=-3"], &["cell.hidden", "-3"]),
        (&["run", "--set", "cell.hidden=0"], &["cell.hidden is 0", "at least 1"]),
        (&["run", "--set", "training.batch=0"], &["training.batch is 0", "at least 1"]),
        (&["run", "--set", "rule.optimizer.learning_rate=-1"], &["rule.optimizer", "learning_rate", "-1"]),
        (&["run", "--set", "cell.hidden"], &["PATH=VALUE"]),
        (&["run", "--device", "gpu"], &["device", "gpu", "cuda:N"]),
        (&["run", "--device", "cuda:99"], &["device", "cuda:99"]),
        (&["run", "--members", "0"], &["members", "0"]),
        (&["run", "--seed", "-1"], &["seed"]),
        (&["run", "nowhere.toml"], &["nowhere.toml"]),
        (&["list", "tusk"], &["tusk"]),
        (&["frobnicate"], &["frobnicate"]),
        (&["run", "-t", "flip-flop", "-u", "cumulative"], &["cumulative", "flip-flop", "n-parity"]),
        (&["run", "-t", "two-armed-bandit", "-r", "force"], &["force", "two-armed-bandit"]),
    ];
    for (arguments, words) in table {
        let code = if arguments.contains(&"nowhere.toml") { call(at, arguments).code.unwrap_or(-1) } else { 2 };
        assert!(code == 1 || code == 2, "{arguments:?}");
        refused(at, arguments, code, words);
    }
    let left: Vec<_> = std::fs::read_dir(at).expect("folder").flatten().map(|e| e.file_name()).collect();
    assert!(left.is_empty(), "a refused run left {left:?}");
}

#[test]
fn all_problems_come_at_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let arguments = ["check", "--set", "cell.hidden=0", "--set", "training.batch=0", "--seed", "9007199254740992"];
    refused(folder.path(), &arguments, 2, &["cell.hidden", "training.batch", "seed"]);
    let out = call(folder.path(), &[&arguments[..], &["--json"]].concat()).out;
    let document: serde_json::Value = serde_json::from_str(&out).expect("one JSON document");
    assert_eq!(document["ok"], false);
    assert_eq!(document["problems"].as_array().map(Vec::len), Some(3), "{document}");
}

#[test]
fn errors_are_one_json_document_when_asked() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let call = call(folder.path(), &["run", "-t", "n-partiy", "--json"]);
    assert_eq!(call.code, Some(2));
    let document: serde_json::Value = serde_json::from_str(&call.out).expect("one JSON document");
    assert!(document["error"]["message"].as_str().is_some_and(|m| m.contains("n-parity")), "{document}");
}

#[test]
fn missing_damaged_and_foreign_files_are_refused_with_code_1_and_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    done(at, &small_run(&["-o", "run", "-q"]));
    refused(at, &["evaluate", "nowhere"], 1, &["nowhere"]);
    refused(at, &["resume", "nowhere"], 1, &["nowhere"]);
    std::fs::create_dir(at.join("empty")).expect("a folder");
    refused(at, &["evaluate", "empty"], 1, &["empty", "experiment.toml"]);
    refused(at, &small_run(&["-o", "run"]), 1, &["run", "resume"]);

    // A damaged last checkpoint: the one before is used; with none intact the run is refused and untouched.
    let last = at.join("run/checkpoints/10/network.safetensors");
    let good = std::fs::read(&last).expect("a checkpoint");
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&last, &bad).expect("writable");
    done(at, &["resume", "run", "-q"]);
    assert!(std::fs::read(&last).expect("made again") == good, "the damaged checkpoint was not made again");
    for update in ["0", "5", "10"] {
        let file = at.join("run/checkpoints").join(update).join("network.safetensors");
        let length = std::fs::metadata(&file).expect("a file").len();
        std::fs::OpenOptions::new().write(true).open(&file).expect("a file").set_len(length / 2).expect("cut");
    }
    refused(at, &["evaluate", "run"], 1, &["network.safetensors"]);
    refused(at, &["resume", "run"], 1, &["network.safetensors"]);
    assert!(at.join("run/checkpoints/10").is_dir());

    std::fs::write(at.join("notes.txt"), "not a network").expect("writable");
    refused(at, &["import", "notes.txt", "--as", "timescales-checkpoint", "-o", "imported"], 1, &["notes.txt"]);
    refused(at, &["import", "notes.txt", "--as", "no-such-format", "-o", "imported"], 2, &["unknown format"]);
    assert!(!at.join("imported").exists());

    std::fs::write(at.join("run/experiment.toml"), "seed = ").expect("writable");
    refused(at, &["evaluate", "run"], 1, &["experiment.toml"]);
    std::fs::write(at.join("bad.toml"), "seed = \n").expect("writable");
    refused(at, &["run", "bad.toml"], 2, &["TOML"]);
}
