//! `synfire doctor`: what was found on this machine, what is wrong, how to mend it.

use crate::libtorch::loaded_libtorch;
use crate::output::{Answer, Program};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use synfire::tch::{Cuda, utils};
use synfire::workers::Workers;
use synfire::{Kind, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire doctor
  synfire doctor --json";

/// `doctor` has no arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The libtorch that the binding is made for.
const LIBTORCH: &str = "2.13.0";

/// What was found, and what is wrong with it.
#[derive(Default)]
struct Findings {
    lines: Vec<(&'static str, String)>,
    problems: Vec<(String, String)>,
}

impl Findings {
    fn found(&mut self, what: &'static str, text: impl Into<String>) {
        self.lines.push((what, text.into()));
    }

    fn wrong(&mut self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push((problem.into(), remedy.into()));
    }
}

/// Do it. The exit code is 1 when something is wrong.
///
/// # Errors
/// None.
pub fn execute(_: &Args, program: &Program) -> Result<Answer> {
    let mut findings = Findings::default();
    findings.found("synfire", env!("CARGO_PKG_VERSION"));
    let torch = libtorch(&mut findings);
    let gpus = devices(&mut findings);
    synfire::workers::one_torch_thread();
    let (cores, torch_threads) = (Workers::available(), utils::get_num_threads());
    findings.found("threads", format!("{cores} of ours (--threads N), {torch_threads} of libtorch each"));
    if torch_threads != 1 {
        findings.wrong(
            "libtorch keeps several threads of its own, so results may differ in the last bits",
            "set OMP_NUM_THREADS=1",
        );
    }
    let counts: serde_json::Map<String, Value> = Kind::ALL
        .map(|kind| (kind.word().to_string(), program.registry.of_kind(kind).count().into()))
        .into_iter()
        .collect();
    let words: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    findings.found("components", words.join(", "));
    let plugins: Vec<String> = program.registry.plugins().map(|o| format!("{} {}", o.name, o.version)).collect();
    let none = "none is loaded; --plugin FILE loads one".to_string();
    findings.found("plugins", if plugins.is_empty() { none } else { plugins.join(", ") });
    for kind in [Kind::Task, Kind::Cell, Kind::Curriculum, Kind::Rule] {
        if program.registry.of_kind(kind).next().is_none() {
            findings.wrong(
                format!("there is no {kind}"),
                "the program was built without its plugin crates: build it again",
            );
        }
    }
    let terminal = std::io::stderr().is_terminal();
    let shown = if terminal { "progress bars" } else { "stderr is no terminal: plain lines instead of progress bars" };
    findings.found("terminal", shown);
    let writable = writable(Path::new("runs"));
    match &writable {
        Ok(()) => findings.found("runs", "runs/ can be written here"),
        Err(error) => {
            findings.wrong(format!("runs/ cannot be written here: {error}"), "change folder, or name a place with -o")
        }
    }
    let problems: Vec<Value> =
        findings.problems.iter().map(|(problem, remedy)| json!({ "problem": problem, "remedy": remedy })).collect();
    let json = json!({
        "ok": problems.is_empty(), "problems": problems, "synfire": env!("CARGO_PKG_VERSION"),
        "libtorch": { "version": torch.version, "expected": LIBTORCH, "path": torch.path, "cuda": utils::has_cuda() },
        "gpus": gpus, "threads": cores, "libtorch_threads": torch_threads, "components": counts,
        "plugins": program.registry.plugins().collect::<Vec<_>>(),
        "terminal": terminal, "runs_writable": writable.is_ok(),
    });
    let width = findings.lines.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    let mut text = String::new();
    findings.lines.iter().for_each(|(what, found)| text += &format!("{what:width$}  {found}\n"));
    findings.problems.iter().for_each(|(problem, remedy)| text += &format!("wrong: {problem}\n       {remedy}\n"));
    text += if findings.problems.is_empty() { "nothing is wrong\n" } else { "" };
    Ok(Answer { text, json, code: u8::from(!findings.problems.is_empty()) })
}

/// The libtorch in use.
struct Torch {
    version: Option<String>,
    path: Option<PathBuf>,
}

fn libtorch(findings: &mut Findings) -> Torch {
    let path = loaded_libtorch();
    let version = path.as_deref().and_then(version_of);
    let place = path.as_ref().map_or("an unknown place".to_string(), |path| path.display().to_string());
    findings.found("libtorch", format!("{} in {place}", version.as_deref().unwrap_or("of unknown version")));
    if let Some(number) = version.as_deref().filter(|number| *number != LIBTORCH) {
        findings.wrong(
            format!("libtorch is {number}, the program was made for {LIBTORCH}"),
            "run `cargo xtask setup`, then build again; unset LIBTORCH if it leads elsewhere",
        );
    }
    Torch { version, path }
}

/// What the headers of a libtorch say.
fn version_of(folder: &Path) -> Option<String> {
    let header = folder.parent()?.join("include/torch/headeronly/version.h");
    let text = std::fs::read_to_string(header).ok()?;
    let number = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("#define TORCH_VERSION_{name} ")))?;
        line.split_whitespace().last()?.parse::<u32>().ok()
    };
    Some(format!("{}.{}.{}", number("MAJOR")?, number("MINOR")?, number("PATCH")?))
}

fn devices(findings: &mut Findings) -> i64 {
    let (built, usable, count) = (utils::has_cuda(), Cuda::is_available(), Cuda::device_count());
    let driver = Path::new("/proc/driver/nvidia/version").exists();
    let text = match (usable, count) {
        (true, count) => format!("CPU and {count} GPUs (--device cuda:0)"),
        (false, _) => "CPU; no usable GPU".to_string(),
    };
    findings.found("devices", text);
    if driver && !usable {
        let remedy = match built {
            true => "the driver may be older than this libtorch needs: `nvidia-smi` shows its version",
            false => "this libtorch is for CPUs: run `cargo xtask setup --cuda` and build again",
        };
        findings.wrong("there is an NVIDIA driver, but no GPU is usable", remedy);
    }
    if usable { count } else { 0 }
}

/// Try to write in a folder, which need not exist, without leaving a trace.
fn writable(folder: &Path) -> std::io::Result<()> {
    let existed = folder.is_dir();
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    if !existed {
        // Only if it is still empty.
        let _ = std::fs::remove_dir(folder);
    }
    written
}
