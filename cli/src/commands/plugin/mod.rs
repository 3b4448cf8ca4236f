//! `synfire plugin`: what writers and users of external plugins need.

mod check;
mod fingerprint;
mod list;
mod new;
mod template;

use crate::output::{Answer, Program};
use synfire::Result;

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire plugin fingerprint
  synfire plugin new two-sides --kind task";

/// Arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write a crate for a plugin, with an example component of each kind that is asked for
    New(new::Args),
    /// Say whether a plugin can be used with this program, without running any of it
    Check(check::Args),
    /// Print what a plugin must have been built by and from
    Fingerprint,
    /// List the plugins that --plugin loads, and what they bring
    List,
}

/// Do it.
///
/// # Errors
/// [`synfire::Error::Plugin`] for a plugin that is refused; of `new`, a place that is taken or a name that cannot be used.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    match &args.action {
        Action::New(args) => new::execute(args),
        Action::Check(args) => check::execute(args),
        Action::Fingerprint => Ok(fingerprint::execute()),
        Action::List => Ok(list::execute(program)),
    }
}
