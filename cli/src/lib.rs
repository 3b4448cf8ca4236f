//! The program around the framework: parse, run one command, print one answer or one error.
//!
//! Exit codes: 0 done, also when a run was interrupted and can be resumed; 1 the work failed, or a run directory or data file is
//! missing, damaged or foreign; 2 bad usage or configuration; 3 a plugin was refused.

mod args;
mod bench;
mod choice;
mod commands;
mod folders;
mod init;
mod levels;
mod libtorch;
mod linked;
mod output;
mod plugins;
mod progress;
mod query;
mod schema;
mod signals;
mod subjects;
mod training;
mod wrap;

use args::Args;
use clap::Parser;
use indicatif::MultiProgress;
use output::{Output, Program};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use synfire::{Error, Registry};

/// Run the program with the arguments of the process.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os().collect()))
}

fn run(arguments: Vec<OsString>) -> u8 {
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return usage(&error, &arguments),
    };
    let bars = MultiProgress::new();
    output::start_logs(&args, &bars);
    // A component's panic becomes one error that names it; the details are for -vv.
    std::panic::set_hook(Box::new(|panic| tracing::debug!("{panic}")));
    let output = Output { json: args.json, quiet: args.quiet };
    let work = || {
        let mut registry = Registry::linked()?;
        plugins::load(&args, &arguments, &mut registry)?;
        let program = Program { registry, output, bars };
        args.command.execute(&program)
    };
    let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_string()));
        let first = text.as_deref().and_then(|text| text.lines().next()).unwrap_or("no message");
        Err(Error::Failed(format!("internal error: {first}; run again with -vv for details and report it")))
    });
    match answer {
        Ok(answer) => {
            output.answer(&answer);
            answer.code
        }
        Err(error) => {
            output.error(&error);
            error.exit_code() as u8
        }
    }
}

/// Help and version go to stdout; everything else is bad usage, as JSON where that was asked for.
fn usage(error: &clap::Error, arguments: &[OsString]) -> u8 {
    if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
        output::usage_json(&error.render().to_string());
        return 2;
    }
    // A reader that went away is no error.
    let _ = error.print();
    if error.use_stderr() { 2 } else { 0 }
}
