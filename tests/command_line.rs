//! The commands as users type them.

use crate::program::{call, done, json, small_run};
use serde_json::Value;

#[test]
fn combinations_that_no_file_prepares_run_as_typed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let typed: &[&[&str]] = &[
        &[
            "-t",
            "n-parity",
            "-c",
            "lstm",
            "-u",
            "cumulative",
            "-r",
            "bptt",
            "--set",
            "cell.hidden=64",
            "-a",
            "learning-curve",
            "-a",
            "pca",
        ],
        &["-t", "flip-flop", "-c", "gru", "-u", "threshold", "-a", "activity"],
        &["-t", "delayed-match", "-c", "elman", "-u", "sliding-window", "-a", "spectrum"],
        &["-t", "sine-wave", "-c", "leaky-rnn", "-u", "fixed-budget", "-r", "force"],
        &[
            "-t",
            "n-parity",
            "-c",
            "skip",
            "-u",
            "single-level",
            "--set",
            "cell.inner.type=lstm",
            "-a",
            "learning-curve",
        ],
        &["-t", "delayed-copy", "-c", "leaky-rnn", "-u", "direct", "-a", "learning-curve", "--members", "2"],
        &["-t", "two-armed-bandit", "-c", "gru", "-u", "fixed-budget", "-a", "learning-curve"],
    ];
    for (i, arguments) in typed.iter().enumerate() {
        let place = format!("run-{i}");
        let mut all = vec!["run"];
        all.extend(*arguments);
        all.extend([
            "--updates",
            "4",
            "--set",
            "training.updates_per_evaluation=2",
            "--set",
            "training.evaluation_trials=32",
        ]);
        all.extend(["--device", "cpu", "-q", "-o", &place]);
        done(at, &all);
        let report = std::fs::read_to_string(at.join(&place).join("report.html")).expect("a report");
        assert!(report.contains("<html") && !report.contains("<script src") && !report.contains("<link"), "{place}");
        assert!(at.join(&place).join("experiment.toml").is_file());
    }
}

#[test]
fn the_resolved_experiment_run_again_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    done(at, &small_run(&["-o", "first", "-q"]));
    done(at, &["run", "first/experiment.toml", "-o", "second", "-q"]);
    let read =
        |run: &str| std::fs::read(at.join(run).join("checkpoints/10/network.safetensors")).expect("a checkpoint");
    assert!(read("first") == read("second"));
}

#[test]
fn json_of_every_command_has_the_promised_fields() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let run = json(at, &small_run(&["-o", "run"]));
    for field in ["run", "updates", "seconds", "stopped", "metrics"] {
        assert!(run.get(field).is_some(), "run --json has no {field}: {run}");
    }
    assert_eq!(run["updates"], 10);
    let listed = json(at, &["list", "task"]);
    let first = &listed.as_array().expect("an array")[0];
    for field in ["kind", "name", "summary", "crate", "source", "plugin"] {
        assert!(first.get(field).is_some(), "list --json has no {field}: {first}");
    }
    let described = json(at, &["describe", "cell", "leaky-rnn"]);
    for field in ["kind", "name", "schema", "defaults", "needs", "provides", "source"] {
        assert!(described.get(field).is_some(), "describe --json has no {field}");
    }
    let checked = json(at, &["check", "-t", "flip-flop"]);
    assert_eq!(checked["ok"], true);
    assert_eq!(checked["experiment"]["task"]["type"], "flip-flop");
    let evaluated = json(at, &["evaluate", "run", "--trials", "40"]);
    let result = &evaluated["results"].as_array().expect("an array")[0];
    assert_eq!(result["trials"], 40);
    assert!(result["loss"].is_number() && result["accuracy"].is_number() && result.get("level").is_some(), "{result}");
    let analysed = json(at, &["analyze", "learning-curve", "run"]);
    for field in ["analysis", "values", "files"] {
        assert!(analysed.get(field).is_some(), "analyze --json has no {field}: {analysed}");
    }
    for arguments in
        [&["runs", "."][..], &["cite", "run"], &["report", "run"], &["doctor"], &["schema"], &["resume", "run"]]
    {
        let document = json(at, arguments);
        assert!(document.is_object() || document.is_array(), "{arguments:?}");
    }
}

#[test]
fn a_template_is_an_experiment() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    done(at, &["init", "-t", "delayed-match", "-c", "gru", "-u", "cumulative", "-o", "mine.toml"]);
    let text = std::fs::read_to_string(at.join("mine.toml")).expect("a template");
    assert!(
        text.lines().filter(|line| line.trim_start().starts_with('#')).count() > 20,
        "the template has few comments"
    );
    let from_file: Value = json(at, &["check", "mine.toml"]);
    let from_flags = json(at, &["check", "-t", "delayed-match", "-c", "gru", "-u", "cumulative"]);
    assert_eq!(from_file["experiment"], from_flags["experiment"]);
}

#[test]
fn help_of_every_command_ends_with_examples() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let commands = [
        "run",
        "resume",
        "check",
        "list",
        "describe",
        "schema",
        "init",
        "cite",
        "evaluate",
        "analyze",
        "report",
        "runs",
        "import",
        "export",
        "completions",
        "doctor",
        "plugin",
    ];
    for command in commands {
        let help = done(folder.path(), &[command, "--help"]).out;
        let examples = help.lines().filter(|line| line.trim_start().starts_with("synfire ")).count();
        assert!(examples >= 2, "{command} --help shows {examples} examples:\n{help}");
    }
    assert_eq!(call(folder.path(), &["--version"]).code, Some(0));
}

#[test]
fn what_is_exported_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    done(at, &small_run(&["-o", "run", "-q"]));
    for format in ["safetensors", "npz", "state-dict"] {
        let (file, back) = (format!("network.{format}"), format!("back-{format}"));
        done(at, &["export", "run", "--as", format, "-o", &file]);
        let arguments = [
            "import",
            &file,
            "--as",
            format,
            "-t",
            "n-parity",
            "-c",
            "leaky-rnn",
            "--set",
            "cell.hidden=8",
            "-o",
            &back,
        ];
        done(at, &arguments);
        let again = format!("again.{format}");
        done(at, &["export", &back, "--as", format, "-o", &again]);
        let read = |name: &str| std::fs::read(at.join(name)).expect("a file");
        let (first, second) = (read(&file), read(&again));
        // PyTorch's container holds its own name; its tensors are compared through the reader.
        if format == "state-dict" {
            let tensors = |name: &str| synfire::torch_file::read(&at.join(name)).expect("a state dict").tensors;
            assert!(tensors(&file).same_bytes(&tensors(&again)), "{format}");
        } else {
            assert!(first == second, "{format}");
        }
        done(at, &["evaluate", &back, "--trials", "8"]);
    }
}
