//! Components of a plugin among those of the program: listed, trained, resumed, missed.

use super::{awkward, example};
use crate::program::{call, done, json};
use serde_json::Value;
use std::path::Path;

const SMALL: [&str; 8] = [
    "--device",
    "cpu",
    "--set",
    "training.batch=8",
    "--set",
    "training.updates_per_evaluation=2",
    "--set",
    "training.evaluation_trials=8",
];

fn run<'a>(plugin: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--plugin", plugin, "run", "-q"];
    arguments.extend(SMALL);
    arguments.extend(more);
    arguments
}

fn read(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON")
}

#[test]
fn it_is_listed_described_and_checked_with_its_origin() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let file = example();
    let plugin = file.to_str().expect("a path");
    for kind in ["task", "cell", "curriculum", "rule", "analysis"] {
        let listed = json(at, &["list", kind, "--plugin", plugin]);
        let mine = listed.as_array().expect("a list").iter().find(|c| c["name"] == "dylib-example").expect("listed");
        assert_eq!((&mine["plugin"]["name"], &mine["crate"]), (&"dylib-example".into(), &"dylib-example".into()));
        let linked = listed.as_array().expect("a list").iter().find(|c| c["name"] != "dylib-example").expect("others");
        assert!(linked["plugin"].is_null());
        let described = done(at, &["--plugin", plugin, "describe", kind, "dylib-example"]).out;
        assert!(described.contains("(plugin dylib-example 0.1.0: /"), "{described}");
        assert!(call(at, &["describe", kind, "dylib-example"]).code == Some(2));
    }
    assert!(done(at, &["--plugin", plugin, "list"]).out.contains("plugin dylib-example 0.1.0"));
    assert!(done(at, &["plugin", "check", plugin]).out.contains("dylib-example 0.1.0 by the synfire authors"));
    assert!(done(at, &["--plugin", plugin, "plugin", "list"]).out.contains("curriculum 'dylib-example'"));
    assert!(done(at, &["plugin", "list"]).out.contains("no plugin is loaded"));
    let own = json(at, &["plugin", "fingerprint"]);
    for field in ["rustc", "target", "panic", "framework", "libtorch", "build", "layout", "abi", "size"] {
        assert!(own[field].as_str().is_some_and(|value| !value.is_empty()), "{field}: {own}");
    }
    assert_eq!(json(at, &["plugin", "check", plugin])["plugin"]["build"], own["build"]);
}

#[test]
fn each_kind_works_with_the_programs_own() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let file = example();
    let mine = "dylib-example";
    let inner = "cell.inner={ type = \"dylib-example\", hidden = 5 }";
    let combinations: &[&[&str]] = &[
        &["-t", mine, "-c", "leaky-rnn", "--set", "cell.hidden=6", "-a", "learning-curve"],
        &["-t", "sine-wave", "-c", mine, "--set", "cell.hidden=6", "-a", "activity"],
        &["-t", "n-parity", "-c", "lstm", "--set", "cell.hidden=6", "-r", mine],
        &[
            "-t",
            "n-parity",
            "-u",
            mine,
            "--set",
            "cell.hidden=6",
            "--set",
            "curriculum.inner={ type = \"cumulative\" }",
        ],
        &["-t", "flip-flop", "-c", "elman", "--set", "cell.hidden=6", "-a", mine],
        &["-t", mine, "-c", mine, "-u", mine, "-r", mine, "-a", mine, "--members", "2", "--threads", "2"],
        &["-t", mine, "-c", "skip", "--set", inner],
    ];
    for (index, parts) in combinations.iter().enumerate() {
        let place = format!("run-{index}");
        let mut arguments = run(file.to_str().expect("a path"), parts);
        arguments.extend(["--updates", "4", "-o", &place]);
        done(at, &arguments);
        assert!(at.join(&place).join("report.html").is_file(), "{parts:?}");
    }
}

#[test]
fn a_run_resumes_with_its_plugin_and_names_it_where_it_is_gone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let mine = at.join("mine.so");
    std::fs::copy(example(), &mine).expect("writable");
    let plugin = mine.to_str().expect("a path");
    let parts = ["-t", "dylib-example", "-c", "dylib-example", "-r", "dylib-example", "-u", "dylib-example"];
    let with = |more: &[&'static str]| {
        let mut arguments = run(plugin, &parts);
        arguments.extend(more);
        done(at, &arguments);
    };
    with(&["--updates", "8", "-o", "whole"]);
    with(&["--updates", "4", "-o", "parts"]);

    let manifest = read(at.join("parts/manifest.json"));
    let place = mine.canonicalize().expect("there");
    assert_eq!(manifest["plugins"][0]["file"], place.to_str().expect("a path"));
    assert_eq!(
        (&manifest["plugins"][0]["name"], &manifest["plugins"][0]["version"]),
        (&"dylib-example".into(), &"0.1.0".into())
    );
    let task = manifest["parts"].as_array().expect("parts").iter().find(|part| part["kind"] == "task").expect("a task");
    assert_eq!(task["plugin"], "dylib-example");
    let inner = manifest["parts"].as_array().expect("parts").iter().find(|part| part["name"] == "fixed-budget");
    assert!(inner.expect("the curriculum inside").get("plugin").is_none());
    assert_eq!(read(at.join("parts/checkpoints/4/state.json"))["plugins"], manifest["plugins"]);

    // The run itself says which plugin it needs.
    done(at, &["resume", "parts", "--updates", "8", "-q"]);
    let bytes = |run: &str, file: &str| std::fs::read(at.join(run).join("checkpoints/8").join(file)).expect("readable");
    for file in ["network.safetensors", "learner.safetensors"] {
        assert!(bytes("whole", file) == bytes("parts", file), "{file}");
    }
    done(at, &["evaluate", "parts", "--trials", "8"]);

    // Elsewhere now.
    let moved = at.join("moved.so");
    std::fs::rename(&mine, &moved).expect("a new place");
    for arguments in [&["resume", "parts", "--updates", "10"][..], &["evaluate", "parts"], &["report", "parts"]] {
        let call = call(at, arguments);
        assert_eq!(call.code, Some(3), "{arguments:?}\n{}{}", call.out, call.err);
        for part in [
            "'dylib-example' 0.1.0",
            "task 'dylib-example'",
            "rule 'dylib-example'",
            plugin,
            "not there any more",
            "--plugin FILE",
        ] {
            assert!(call.err.contains(part), "no '{part}' in {}", call.err);
        }
    }
    // What only looks at files still works.
    assert!(done(at, &["runs", "."]).out.contains("parts"));
    done(at, &["resume", "parts", "--updates", "10", "-q", "--plugin", moved.to_str().expect("a path")]);
    let text = std::fs::read_to_string(at.join("parts/experiment.toml")).expect("readable");
    assert!(text.contains("moved.so") && !text.contains("mine.so"), "{text}");
    done(at, &["resume", "parts", "--updates", "12", "-q"]);

    // Another plugin does not help.
    let other = awkward();
    std::fs::remove_file(&moved).expect("ours");
    let call = call(at, &["evaluate", "parts", "--plugin", other.to_str().expect("a path")]);
    assert_eq!(call.code, Some(3), "{}", call.err);
}

#[test]
fn an_experiment_file_names_its_plugins_from_its_own_folder() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    std::fs::create_dir(at.join("inner")).expect("writable");
    std::fs::copy(example(), at.join("inner/lib.so")).expect("writable");
    let text = "plugins = [\"lib.so\"]\n[task]\ntype = \"dylib-example\"\nrate_hz = 20.0\n[training]\nupdates = 2\n";
    std::fs::write(at.join("inner/mine.toml"), text).expect("writable");
    let checked = json(at, &["check", "inner/mine.toml"]);
    assert_eq!(checked["experiment"]["task"]["rate_hz"], 20.0);
    assert!(checked["experiment"]["plugins"][0].as_str().expect("a path").ends_with("inner/lib.so"));
    std::fs::write(at.join("over.toml"), "extends = \"inner/mine.toml\"\nseed = 5\n").expect("writable");
    assert_eq!(json(at, &["check", "over.toml"])["experiment"]["seed"], 5);
    std::fs::remove_file(at.join("inner/lib.so")).expect("ours");
    let call = call(at, &["check", "inner/mine.toml"]);
    assert_eq!(call.code, Some(3));
    assert!(call.err.contains("lib.so cannot be read"), "{}", call.err);
}

#[test]
fn its_log_lines_stand_under_the_programs_spans() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = awkward();
    let plugin = file.to_str().expect("a path");
    let mut arguments = run(plugin, &["-t", "awkward", "-r", "awkward", "--updates", "2", "-o", "run"]);
    arguments.retain(|argument| *argument != "-q");
    arguments.push("-v");
    let said = done(folder.path(), &arguments).err;
    let line = said.lines().find(|line| line.contains("an update in a plugin")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("INFO training{member=0}: an update in a plugin batch=8"), "{line}");
    assert!(said.contains("plugin 'awkward' 0.3.0 brings task 'awkward'"), "{said}");
    // Without -v it is quiet.
    let quiet = run(plugin, &["-t", "awkward", "-r", "awkward", "--updates", "2", "-o", "again"]);
    assert!(!done(folder.path(), &quiet).err.contains("an update in a plugin"));
}
