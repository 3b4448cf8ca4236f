//! `synfire report`: the page of a run, or of several side by side.

use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::Result;
use synfire::run::{RunDir, report};
use synfire::storage::atomic;

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire report runs/parity
  synfire report runs/parity runs/parity -o side-by-side.html";

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directories
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// File to write; report.html in the run, or for several in this directory, unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Do it.
///
/// # Errors
/// When a run cannot be read or the page not be written.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let runs: Vec<RunDir> = args.runs.iter().map(RunDir::open).collect::<Result<_>>()?;
    let path = match (&args.output, &runs[..]) {
        (Some(path), _) => path.clone(),
        (None, [run]) => run.report_path(),
        (None, _) => PathBuf::from("report.html"),
    };
    atomic::write(&path, report(&runs, &program.registry)?.to_html()?.as_bytes())?;
    Ok(Answer::new(format!("wrote {}", path.display()), json!({ "runs": args.runs, "report": path })))
}
