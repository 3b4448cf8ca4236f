//! `synfire init`: an experiment file with every option explained.

use crate::choice::Choice;
use crate::init::commented;
use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::storage::atomic;
use synfire::{Error, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire init
  synfire init -t n-parity -c lstm --set cell.hidden=64 -a learning-curve -o parity.toml";

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// File to write, which must not exist yet; stdout unless given
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
}

/// Do it.
///
/// # Errors
/// [`Error::Config`] with every problem; [`Error::File`] when the file exists.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let experiment = args.choice.resolved(&program.registry)?;
    let text = commented(&experiment, &program.registry)?;
    let json = json!({ "experiment": experiment, "toml": text, "file": args.output });
    let Some(path) = &args.output else { return Ok(Answer::new(text, json)) };
    if path.exists() {
        return Err(Error::file(path, "exists already", "choose another name, or remove it first"));
    }
    atomic::write(path, text.as_bytes())?;
    Ok(Answer::new(format!("wrote {0}; run it with: synfire run {0}", path.display()), json))
}
