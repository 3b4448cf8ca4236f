//! `synfire cite`: the publications behind what was used.

use crate::choice::Choice;
use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::run::{Part, RunDir};
use synfire::{Experiment, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire cite
  synfire cite runs/parity";

/// Arguments of `cite`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directory or experiment file; every component unless given
    #[arg(value_name = "RUN|EXPERIMENT")]
    pub of: Option<PathBuf>,
}

/// Do it.
///
/// # Errors
/// When the run or file cannot be read or names an unknown component.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let parts = match &args.of {
        Some(path) => used(path, program)?,
        None => program.registry.iter().map(|component| Part::of(component, &program.registry)).collect(),
    };
    let mut text = String::new();
    let mut done: Vec<&str> = Vec::new();
    for part in &parts {
        // Some parts say why they have none.
        if part.source.is_empty() || part.source.starts_with("none") || done.contains(&part.source.as_str()) {
            continue;
        }
        done.push(&part.source);
        let users = parts.iter().filter(|other| other.source == part.source);
        let users: Vec<String> = users.map(|part| format!("{} {}", part.kind, part.name)).collect();
        text += &format!("{}\n  for {}\n", part.source, users.join(", "));
    }
    Ok(Answer::new(text, json!(parts)))
}

/// The parts of a run, analyses made later included, or of an experiment file.
fn used(path: &PathBuf, program: &Program) -> Result<Vec<Part>> {
    if !path.is_dir() {
        let choice = Choice { experiment: vec![path.clone()], ..Choice::default() };
        return choice.experiment()?.components(&program.registry);
    }
    let run = RunDir::open(path)?;
    let experiment = run.experiment()?;
    let analysis = run.made_analyses(&experiment);
    Experiment { analysis, ..experiment }.components(&program.registry)
}
