//! `synfire completions`: the completion script of a shell, with the names of all components.

use crate::args::Args as CommandLine;
use crate::output::{Answer, Program};
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use serde_json::json;
use synfire::{Kind, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire completions bash > synfire.bash
  synfire completions zsh > _synfire";

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Do it.
///
/// # Errors
/// None.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let mut command = with_names(CommandLine::command(), program);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "synfire", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": args.shell.to_string(), "script": script });
    Ok(Answer::new(script, json))
}

/// Names come from the registry. They are offered here alone: an unknown one on the command line gets an error with near names.
fn with_names(command: Command, program: &Program) -> Command {
    let names = |kind| program.registry.of_kind(kind).map(|component| component.name).collect::<Vec<_>>();
    let parts = [Kind::Task, Kind::Cell, Kind::Rule, Kind::Curriculum, Kind::Analysis];
    command.mut_subcommands(|command| {
        let subcommand = command.get_name().to_string();
        command.mut_args(|argument| {
            let id = argument.get_id().to_string();
            let format = (id == "format").then_some(Kind::Format);
            let kind = parts.into_iter().find(|kind| kind.word() == id).or(format);
            match kind {
                Some(kind) => argument.value_parser(PossibleValuesParser::new(names(kind))),
                None if id == "kind" && ["list", "describe"].contains(&subcommand.as_str()) => {
                    argument.value_parser(PossibleValuesParser::new(Kind::ALL.map(Kind::word)))
                }
                None => argument,
            }
        })
    })
}
