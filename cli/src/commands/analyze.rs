//! `synfire analyze`: measure something on runs, or on arrays in files.

use crate::choice::assignment;
use crate::commands::run::threads;
use crate::output::{Answer, Program};
use crate::subjects::Subjects;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use synfire::experiment::Layers;
use synfire::run::{Analysed, Analyst};
use synfire::table::Table;
use synfire::workers::Workers;
use synfire::{Experiment, Kind, Result, Spec};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire analyze learning-curve runs/parity
  synfire analyze pca runs/parity -o pca-of-parity --json
  synfire analyze time-constants runs";

/// Arguments of `analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the analysis
    #[arg(value_name = "ANALYSIS")]
    analysis: String,
    /// Run directories, folders that stand for all runs below them, or .npz files with arrays
    #[arg(value_name = "RUN", required_unless_present = "groups")]
    runs: Vec<PathBuf>,
    /// Set an option of the analysis (trials=100), or of the runs for this once (training.settle_steps=10)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// File that names groups of run directories: TOML, short = ["runs/a", "runs/b"], or one a line, short runs/a runs/b
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    /// Where findings are saved; in the run, or for several together in analyses/<ANALYSIS>, unless given
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// auto, cpu or cuda:N; as in training unless given
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Threads; as many as the machine has cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Do it.
///
/// # Errors
/// When a run cannot be read or lacks what the analysis needs, and what the analysis reports.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    program.registry.find(Kind::Analysis, &args.analysis)?;
    let (own, of_runs) = sort_options(&args.set)?;
    let workers = Workers::new(threads(args.threads))?;
    let analyst = Analyst::new(&Spec::with(args.analysis.clone(), &own), &program.registry, &workers)?;
    let subjects = Subjects {
        analysis: &args.analysis,
        paths: &args.runs,
        groups: args.groups.as_deref(),
        output: args.output.as_deref(),
        set: &of_runs,
        device: args.device.as_deref(),
    };
    let done = subjects.analyse(&analyst)?;
    answer(args, &done)
}

/// Options of the analysis, with or without `analysis.`, and those that belong to the runs.
fn sort_options(set: &[String]) -> Result<(Value, Vec<String>)> {
    let experiment = serde_json::to_value(Experiment::default()).unwrap_or_default();
    let mut own = Layers::new();
    let mut of_runs = Vec::new();
    for text in set {
        let (path, value) = assignment(text)?;
        let first = path.split('.').next().unwrap_or_default();
        if first != "analysis" && experiment.get(first).is_some() {
            of_runs.push(text.clone());
        } else {
            // Under their own table: a bare `task.rate` would be taken for the task of an experiment, and given its default type.
            own.set(&format!("analysis.{}", path.strip_prefix("analysis.").unwrap_or(&path)), value)?;
        }
    }
    Ok((own.value().get("analysis").cloned().unwrap_or_else(|| json!({})), of_runs))
}

fn answer(args: &Args, done: &[Analysed]) -> Result<Answer> {
    let values = |one: &Analysed| json!(one.findings.values);
    let files: Vec<String> = done.iter().flat_map(|one| &one.files).map(|path| path.display().to_string()).collect();
    let all: Value = match done {
        [only] => values(only),
        several => several.iter().map(|one| (one.label.clone(), values(one))).collect::<Map<_, _>>().into(),
    };
    let results: Vec<Value> = done
        .iter()
        .map(|one| {
            json!({ "label": one.label, "folder": one.folder, "values": values(one), "notes": one.findings.notes })
        })
        .collect();
    let mut json = json!({
        "analysis": args.analysis, "runs": args.runs, "values": all, "files": files, "results": results,
    });
    if let [run] = &args.runs[..] {
        json["run"] = json!(run);
    }
    let mut text = String::new();
    for one in done {
        let mut table = Table::new("values", format!("{} of {}", args.analysis, one.label), &["value", ""]);
        table.rows.extend(one.findings.values.iter().map(|(name, value)| vec![name.as_str().into(), value.clone()]));
        text += &table.to_text();
        one.findings.notes.iter().for_each(|note| text += &format!("note: {note}\n"));
        text += &format!("{} files in {}\n\n", one.files.len(), one.folder.display());
    }
    Ok(Answer::new(text, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_analysis_are_told_from_those_of_the_run() {
        let set = ["trials=5", "analysis.task.rate=0.5", "task.rate=0.1"].map(String::from);
        let (own, of_runs) = sort_options(&set).expect("paths");
        assert_eq!(own, json!({ "trials": 5, "task": { "rate": 0.5 } }));
        assert_eq!(of_runs, ["task.rate=0.1"]);
        assert_eq!(sort_options(&[]).expect("nothing").0, json!({}));
    }
}
