//! `synfire plugin check`: can it be used?

use crate::output::Answer;
use serde_json::json;
use std::path::PathBuf;
use synfire::Result;
use synfire::plugin::inspect;

/// Arguments of `plugin check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The library of the plugin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Do it: read the file, run nothing.
///
/// # Errors
/// [`synfire::Error::Plugin`] with everything that differs.
pub fn execute(args: &Args) -> Result<Answer> {
    let identity = inspect(&args.file)?;
    let author = if identity.author.is_empty() { String::new() } else { format!(" by {}", identity.author) };
    let text = format!("{} {}{author} can be used with this program", identity.name, identity.version);
    Ok(Answer::new(text, json!({ "ok": true, "file": args.file, "plugin": identity })))
}
