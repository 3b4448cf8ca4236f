//! `synfire import`: a run from a network of another program.

use crate::choice::{Choice, format_with};
use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::experiment::Layers;
use synfire::run::RunDir;
use synfire::workers::guarded;
use synfire::{Error, Format, Result};

/// Two that work as typed, after those of `run` and `export`.
pub const EXAMPLES: &str = "Examples (after `synfire export runs/parity --as npz -o parity.npz`):
  synfire import parity.npz --as npz -t n-parity -c leaky-rnn --set cell.hidden=64 -o runs/imported
  synfire describe format npz";

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read, or folder for a format of whole runs
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the format
    #[arg(long = "as", value_name = "FORMAT")]
    format: String,
    /// Task of the network, where the file does not say it
    #[arg(short, long, value_name = "NAME")]
    task: Option<String>,
    /// Cell of the network, where the file does not say it
    #[arg(short, long, value_name = "NAME")]
    cell: Option<String>,
    /// Curriculum with which it would be trained further
    #[arg(short = 'u', long, value_name = "NAME")]
    curriculum: Option<String>,
    /// Rule with which it would be trained further
    #[arg(short, long, value_name = "NAME")]
    rule: Option<String>,
    /// Set an option of the experiment (cell.hidden=200) or of the format (format.NAME=VALUE)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Run directory to make
    #[arg(short, long, value_name = "RUN")]
    output: PathBuf,
}

/// Do it.
///
/// # Errors
/// When the file cannot be read, or network and experiment do not fit.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let for_format = |text: &&String| text.trim_start().starts_with("format.");
    let (own, set): (Vec<&String>, Vec<&String>) = args.set.iter().partition(for_format);
    let spec = format_with(&args.format, &own.into_iter().cloned().collect::<Vec<_>>())?;
    let format = program.registry.build::<dyn Format>(&spec, "format")?;
    let imported = guarded(&format!("format '{}'", args.format), || format.import(&args.file))?;

    let mut layers = Layers::new();
    let said = |spec: Option<serde_json::Result<serde_json::Value>>| spec.and_then(serde_json::Result::ok);
    let task = said(imported.task.as_ref().map(serde_json::to_value));
    if task.is_none() && args.task.is_none() && !set.iter().any(|text| text.starts_with("task.type")) {
        let remedy = "name it with -t; `synfire list tasks` shows them";
        return Err(Error::config("task", "is not said by the file", remedy));
    }
    let cell = said(imported.cell.as_ref().map(serde_json::to_value));
    let curriculum = said(imported.curriculum.as_ref().map(serde_json::to_value));
    let rule = said(imported.rule.as_ref().map(serde_json::to_value));
    let training = said(imported.training.as_ref().map(serde_json::to_value));
    let parts = [("task", task), ("cell", cell), ("curriculum", curriculum), ("rule", rule), ("training", training)];
    for (path, value) in parts {
        if let Some(value) = value {
            layers.set(path, value)?;
        }
    }
    let choice = Choice {
        task: args.task.clone(),
        cell: args.cell.clone(),
        curriculum: args.curriculum.clone(),
        rule: args.rule.clone(),
        set: set.into_iter().cloned().collect(),
        ..Choice::default()
    };
    let name = args.output.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    // A name given with --set wins.
    layers.set("name", name.into())?;
    let experiment = choice.resolved_over(layers, &program.registry)?;
    let notes = imported.notes.clone();
    let run = RunDir::import(&args.output, &experiment, imported, &program.registry)?;
    let mut text = format!("made {} from {}\n", run.path().display(), args.file.display());
    notes.iter().for_each(|note| text += &format!("note: {note}\n"));
    let json = json!({ "run": run.path(), "file": args.file, "format": args.format, "notes": notes, "experiment": experiment });
    Ok(Answer::new(text, json))
}
