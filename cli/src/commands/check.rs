//! `synfire check`: would it run?

use crate::commands::run::Args as RunArgs;
use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::experiment::to_toml;
use synfire::{Error, Experiment, Problem, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire check -t n-parity -c lstm -u threshold --set cell.hidden=64
  synfire check -t flip-flop -r bptt --json";

/// As for `run`.
pub type Args = RunArgs;

/// Do it.
///
/// # Errors
/// [`Error::Config`] with every problem; with `--json` these are part of the answer, whose exit code is 2.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    match resolved(args, program) {
        Ok(experiment) => {
            let json = json!({ "ok": true, "problems": [], "experiment": experiment });
            Ok(Answer::new(to_toml(&experiment)?, json))
        }
        Err(error) if program.output.json && error.exit_code() == 2 => {
            let problems = error.into_problems("");
            let json = json!({ "ok": false, "problems": problems, "experiment": null });
            Ok(Answer { text: String::new(), json, code: 2 })
        }
        Err(error) => Err(error),
    }
}

fn resolved(args: &Args, program: &Program) -> Result<Experiment> {
    let resolved = args.choice.resolved(&program.registry);
    let taken = |path: &PathBuf| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let Some(path) = args.output.as_ref().filter(|path| path.is_file() || taken(path)) else { return resolved };
    let mut problems = resolved.err().map(|error| error.into_problems("")).unwrap_or_default();
    problems.push(Problem {
        path: "--output".into(),
        problem: format!("is {}, which is taken", path.display()),
        remedy: "choose another place".into(),
    });
    Err(Error::Config(problems))
}
