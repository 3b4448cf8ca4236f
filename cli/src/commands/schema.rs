//! `synfire schema`: the JSON schema of experiment files, for editors and tools.

use crate::output::{Answer, Program};
use crate::schema::of_experiments;
use synfire::Result;

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire schema
  synfire schema --json > experiment.schema.json";

/// `schema` has no arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Do it.
///
/// # Errors
/// None.
pub fn execute(_: &Args, program: &Program) -> Result<Answer> {
    let schema = of_experiments(&program.registry);
    Ok(Answer::new(serde_json::to_string_pretty(&schema).unwrap_or_default(), schema))
}
