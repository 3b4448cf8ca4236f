//! `synfire report`: the page of a run, or of several side by side.

use crate::folders::{expand, paths};
use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::Result;
use synfire::run::{RunDir, report};
use synfire::storage::atomic;

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire report runs/parity
  synfire report runs -o side-by-side.html";

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directories; a folder stands for all runs below it
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
    let named = expand(&args.runs)?;
    let runs: Vec<RunDir> = named.iter().map(|run| RunDir::open(&run.path)).collect::<Result<_>>()?;
    let path = match (&args.output, &named[..], &runs[..]) {
        (Some(path), ..) => path.clone(),
        (None, [named], [run]) if !named.found => run.report_path(),
        _ => PathBuf::from("report.html"),
    };
    atomic::write(&path, report(&runs, &program.registry)?.to_html()?.as_bytes())?;
    Ok(Answer::new(format!("wrote {}", path.display()), json!({ "runs": paths(&named), "report": path })))
}
