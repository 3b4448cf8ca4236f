//! The program as a child process.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// The program with arguments, in a folder of its own and with plain output.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synfire-under-test"));
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").env_remove("SYNFIRE_LOG");
    command
}

/// What a call left behind.
pub struct Call {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Run the program to its end.
pub fn call(folder: &Path, arguments: &[&str]) -> Call {
    let Output { status, stdout, stderr } = command(folder, arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Call { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Run the program to its end and expect success.
pub fn done(folder: &Path, arguments: &[&str]) -> Call {
    let call = call(folder, arguments);
    assert_eq!(call.code, Some(0), "synfire {}\n{}\n{}", arguments.join(" "), call.out, call.err);
    call
}

/// Run the program with `--json` and read what it prints.
pub fn json(folder: &Path, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    let call = done(folder, &all);
    serde_json::from_str(&call.out).unwrap_or_else(|e| panic!("one JSON document ({e}), not:\n{}", call.out))
}

/// A small n-parity run that takes a few updates.
pub const SMALL: [&str; 16] = [
    "-t",
    "n-parity",
    "-c",
    "leaky-rnn",
    "--set",
    "cell.hidden=8",
    "--set",
    "training.batch=8",
    "--set",
    "training.updates_per_evaluation=5",
    "--set",
    "training.evaluation_trials=16",
    "--device",
    "cpu",
    "--updates",
    "10",
];

/// The arguments of a small run; what `more` says again it says alone, since contradictory flags are refused.
pub fn small_run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let path = |assignment: &str| assignment.split('=').next().map(str::to_string);
    let again = |flag: &str, value: &str| match flag {
        "--set" => more.iter().any(|m| m.contains('=') && path(m) == path(value)),
        flag => more.contains(&flag),
    };
    let mut arguments = vec!["run"];
    let kept = SMALL.chunks(2).filter(|pair| !again(pair[0], pair[1]));
    arguments.extend(kept.flatten());
    arguments.extend(more);
    arguments
}
