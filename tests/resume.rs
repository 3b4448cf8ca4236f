//! Killed at any moment and resumed, a run ends with the bytes of one that was not; the same at any number of threads.

use crate::program::{command, done, small_run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use synfire::Stream;

const LONG: [&str; 12] = [
    "--updates",
    "120",
    "--set",
    "training.updates_per_evaluation=20",
    "--set",
    "training.updates_per_checkpoint=6",
    "-u",
    "cumulative",
    "--set",
    "curriculum.threshold=0.4",
    "-q",
    "--seed=5",
];

/// Every byte that matters of a run: checkpoints after the last update, and metrics without the seconds.
fn bytes(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    if run.join("members").is_dir() {
        folders = std::fs::read_dir(run.join("members")).expect("members").flatten().map(|e| e.path()).collect();
    }
    for folder in folders {
        let numbers = std::fs::read_dir(folder.join("checkpoints")).expect("checkpoints").flatten();
        let last = numbers.filter_map(|e| e.file_name().to_str()?.parse::<u64>().ok()).max().expect("a checkpoint");
        for file in std::fs::read_dir(folder.join("checkpoints").join(last.to_string())).expect("files").flatten() {
            let name = file.path().strip_prefix(run).expect("inside").to_path_buf();
            all.insert(name, std::fs::read(file.path()).expect("readable"));
        }
        let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
        let lines: Vec<Value> = metrics
            .lines()
            .map(|line| {
                let mut line: Value = serde_json::from_str(line).expect("JSON");
                line.as_object_mut().expect("an object").remove("seconds");
                line
            })
            .collect();
        let name = folder.join("metrics.jsonl").strip_prefix(run).expect("inside").to_path_buf();
        all.insert(name, serde_json::to_vec(&lines).expect("JSON"));
    }
    all
}

fn compare(expected: &Path, found: &Path) {
    let (expected, found) = (bytes(expected), bytes(found));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    let differing: Vec<_> = expected.iter().filter(|(name, bytes)| found[*name] != **bytes).collect();
    // All of them, and what is in those that are text: the checksums alone would not say where to look.
    let text = |name: &Path, bytes: &[u8]| match name.extension() {
        Some(extension) if extension != "safetensors" => String::from_utf8_lossy(bytes).into_owned(),
        _ => format!("{} bytes", bytes.len()),
    };
    let told: Vec<String> = differing
        .iter()
        .map(|(name, bytes)| {
            format!("{}\n{}\nis now\n{}", name.display(), text(name, bytes), text(name, &found[*name]))
        })
        .collect();
    assert!(told.is_empty(), "these differ:\n{}", told.join("\n"));
}

/// Kill the program at `kills` moments spread over its work, resuming each time, then let it end.
fn kill_and_resume(members: &str, kills: usize) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let arguments = |place: &'static str| {
        let mut arguments = small_run(&LONG);
        arguments.extend(["--members", members, "-o", place]);
        arguments
    };
    let began = Instant::now();
    done(at, &arguments("whole"));
    let whole = began.elapsed();
    let mut stream = Stream::new(1).child("kills");
    let mut killed = 0;
    for _ in 0..kills * 3 {
        let going_on = at.join("parts/experiment.toml").is_file();
        let mut child = if going_on {
            command(at, &["resume", "parts", "-q"])
        } else {
            // Killed before the run directory was complete: it is begun again.
            std::fs::remove_dir_all(at.join("parts")).ok();
            command(at, &arguments("parts"))
        };
        let mut child =
            child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("starts");
        // Anywhere between the first moment and just after the time a whole run takes; most fall into the work itself.
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * stream.uniform()));
        if child.try_wait().expect("a child").is_none() {
            child.kill().expect("SIGKILL");
            killed += 1;
        }
        child.wait().expect("ended");
        if killed == kills {
            break;
        }
        let over = std::fs::read_to_string(at.join("parts/manifest.json")).is_ok_and(|m| m.contains("\"finished\""));
        if over {
            // All of the work is done; the rest of the moments fall into a new run.
            compare(&at.join("whole"), &at.join("parts"));
            std::fs::remove_dir_all(at.join("parts")).expect("a folder of ours");
        }
    }
    assert_eq!(killed, kills, "the program was too quick to be killed");
    if at.join("parts/experiment.toml").is_file() {
        done(at, &["resume", "parts", "-q"]);
    } else {
        std::fs::remove_dir_all(at.join("parts")).ok();
        done(at, &arguments("parts"));
    }
    compare(&at.join("whole"), &at.join("parts"));
}

#[test]
fn a_run_killed_at_twenty_moments_ends_with_the_same_bytes() {
    kill_and_resume("1", 20);
}

#[test]
fn three_members_killed_at_twenty_moments_end_with_the_same_bytes() {
    kill_and_resume("3", 20);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (threads, place) in [("1", "one"), ("2", "two")] {
        // More than one block of rows, so that two threads have something to share.
        let sizes = ["--set", "training.batch=200", "--set", "training.evaluation_trials=200"];
        done(folder.path(), &small_run(&[&sizes[..], &["--threads", threads, "-o", place, "-q"]].concat()));
    }
    compare(&folder.path().join("one"), &folder.path().join("two"));
}

#[test]
fn a_member_is_the_run_of_its_seed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    done(folder.path(), &small_run(&["--members", "3", "--seed", "7", "-o", "several", "-q"]));
    done(folder.path(), &small_run(&["--seed", "9", "-o", "alone", "-q"]));
    let read = |path: &str| std::fs::read(folder.path().join(path)).expect("a checkpoint");
    let file = "checkpoints/10/network.safetensors";
    assert!(read(&format!("several/members/2/{file}")) == read(&format!("alone/{file}")));
    assert!(read(&format!("several/members/1/{file}")) != read(&format!("alone/{file}")));
}

#[test]
fn a_signal_ends_a_run_with_a_checkpoint_and_a_longer_budget_continues_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let child = command(at, &small_run(&["--updates", "1000000", "-o", "run"]))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let began = Instant::now();
    // Old checkpoints make room for new ones, so none is waited for by its number.
    let reached = || {
        let entries = std::fs::read_dir(at.join("run/checkpoints")).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse::<u64>().ok()).max().unwrap_or(0)
    };
    while reached() < 5 {
        assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint after a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    let signalled = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(signalled.expect("kill is there").success());
    let output = child.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("synfire resume run"), "{:?} {said}", output.status);
    let manifest = std::fs::read_to_string(at.join("run/manifest.json")).expect("a manifest");
    assert!(manifest.contains("\"interrupted\""), "{manifest}");
    let longer = (reached() + 5).to_string();
    done(at, &["resume", "run", "--updates", &longer, "-q"]);
    assert!(at.join("run/checkpoints").join(longer).is_dir());
}
