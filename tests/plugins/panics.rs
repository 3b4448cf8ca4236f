//! Panics of a plugin: an error that names it, a checkpoint to go on from, never a signal.

use super::{awkward, example};
use crate::program::{call, done};
use std::path::Path;

const SMALL: [&str; 12] = [
    "--device",
    "cpu",
    "--updates",
    "4",
    "--set",
    "training.batch=40",
    "--set",
    "training.updates_per_evaluation=2",
    "--set",
    "training.evaluation_trials=8",
    "--set",
    "cell.hidden=6",
];

/// Run with parts that panic; the exit code must be `code`, and the message contain `words`.
fn fails(folder: &Path, arguments: &[&str], code: i32, words: &str) {
    let file = awkward();
    let mut all = vec!["--plugin", file.to_str().expect("a path"), "run"];
    all.extend(arguments);
    // The awkward cell has no units of its own.
    let small = if arguments.contains(&"-c") { &SMALL[..10] } else { &SMALL[..] };
    all.extend(small);
    let call = call(folder, &all);
    assert_eq!(call.code, Some(code), "{arguments:?}\n{}{}", call.out, call.err);
    assert!(call.err.contains(words), "no '{words}' in {}", call.err);
    assert!(!call.err.contains("panicked at") && !call.err.contains("internal error"), "{}", call.err);
}

#[test]
fn a_panic_names_component_plugin_and_method() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let cases: &[(&[&str], &str)] = &[
        (
            &["-t", "awkward", "--set", "task.at=trials"],
            "task 'awkward' of awkward panicked: no trials today (in trials)",
        ),
        (&["-t", "awkward", "--set", "task.at=shape"], "task 'awkward' of awkward panicked: "),
        (&["-t", "awkward", "--set", "task.at=score"], "task 'awkward' of awkward panicked: no judge (in score)"),
        (
            &["-t", "awkward", "--set", "task.at=loop"],
            "task 'awkward' of awkward panicked: no answer to 1 heads (in next)",
        ),
        (&["-c", "awkward", "--set", "cell.at=build"], "cell 'awkward' of awkward panicked: no network (in build)"),
        (&["-r", "awkward", "--set", "rule.at=start"], "rule 'awkward' of awkward panicked: no start (in start)"),
        (&["-r", "awkward", "--set", "rule.at=update"], "rule 'awkward' of awkward panicked: no update (in update)"),
        (&["-r", "awkward", "--set", "rule.at=hook"], "rule 'awkward' of awkward panicked: hooked (in update)"),
        (
            &["-r", "awkward", "--set", "rule.at=thread"],
            "rule 'awkward' of awkward panicked: lost the thread (in update)",
        ),
        (&["-r", "awkward", "--set", "rule.at=state"], "rule 'awkward' of awkward panicked: no state (in state)"),
    ];
    for (arguments, words) in cases {
        fails(at, arguments, 1, words);
    }
    // What it may not fail to say is asked before anything is written.
    fails(
        at,
        &["-t", "awkward", "--set", "task.at=spec"],
        2,
        "task 'awkward' of awkward panicked: no idea what I am (in spec)",
    );
    fails(
        at,
        &["-c", "awkward", "--set", "cell.at=check"],
        2,
        "cell 'awkward' of awkward panicked: do not look (in check)",
    );
}

#[test]
fn a_run_that_panics_late_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let (first, second) = (awkward(), example());
    let plugins = ["--plugin", first.to_str().expect("a path"), "--plugin", second.to_str().expect("a path")];
    let mut arguments = plugins.to_vec();
    arguments.extend(["run", "-t", "dylib-example", "-c", "awkward", "-u", "dylib-example", "-o", "run"]);
    arguments.extend(["--set", "cell.at=step", "--set", "curriculum.updates=4", "--set", "curriculum.stages=2"]);
    arguments.extend(&SMALL[..10]);
    let call = call(at, &arguments);
    assert_eq!(call.code, Some(1), "{}{}", call.out, call.err);
    assert!(call.err.contains("cell 'awkward' of awkward panicked: stumbled in step 2 (in step)"), "{}", call.err);
    // Two updates were made before the factor rose; they are there, and the network can be used.
    assert!(at.join("run/checkpoints/2").is_dir());
    done(at, &["evaluate", "run", "--set", "cell.at=never", "--trials", "8"]);
    let text = std::fs::read_to_string(at.join("run/experiment.toml")).expect("readable");
    std::fs::write(at.join("run/experiment.toml"), text.replace("at = \"step\"", "at = \"never\"")).expect("writable");
    done(at, &["resume", "run"]);
    assert!(at.join("run/checkpoints/4").is_dir());
}

#[test]
fn an_analysis_that_panics_leaves_the_run_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let file = awkward();
    let mut arguments = vec!["--plugin", file.to_str().expect("a path"), "run", "-t", "awkward", "-o", "run"];
    arguments.extend(SMALL);
    done(at, &arguments);
    let call = call(at, &["analyze", "awkward", "run", "--set", "panics=true"]);
    assert_eq!(call.code, Some(1), "{}{}", call.out, call.err);
    assert!(call.err.contains("analysis 'awkward' of awkward panicked: nothing to see (in run)"), "{}", call.err);
    let found = crate::program::json(at, &["analyze", "awkward", "run"]);
    assert_eq!(found["values"]["sum"], 328_350.0, "{found}");
}
