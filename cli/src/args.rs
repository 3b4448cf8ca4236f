//! The command line: global flags, and one variant for each command.

use crate::commands::{
    analyze, bench, check, cite, completions, describe, doctor, evaluate, export, import, init, list, plugin, report,
    resume, run, runs, schema,
};
use crate::output::{Answer, Program};
use clap::{ArgAction, Parser, Subcommand};
use std::path::PathBuf;
use synfire::Result;

/// Train recurrent neural networks on cognitive and memory tasks, and take them apart.
///
/// Any task, cell, curriculum, learning rule and analysis can be combined; `synfire list` shows them, `synfire describe` explains
/// them, `synfire check` says whether a combination works before any work is done.
#[derive(Debug, Parser)]
#[command(name = "synfire", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Args {
    /// Print one JSON document on stdout and nothing else there
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Say more: -v what is done, -vv everything (or set SYNFIRE_LOG)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// Load an external plugin; may be given several times. Experiment files name theirs as plugins = ["FILE"]
    #[arg(long = "plugin", global = true, value_name = "FILE", help_heading = "Plugins")]
    pub plugin: Vec<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  synfire list
  synfire run -t n-parity -c leaky-rnn -a learning-curve --updates 300";

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident($module:ident);)*) => {
        /// The commands.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$doc])* #[command(after_help = $module::EXAMPLES)] $variant($module::Args),)*
        }

        impl Command {
            /// Do it.
            pub fn execute(&self, program: &Program) -> Result<Answer> {
                match self {
                    $(Self::$variant(args) => $module::execute(args, program),)*
                }
            }
        }
    };
}

commands! {
    /// Train an experiment, analyse it, write a report
    Run(run);
    /// Continue a run after a stop, a crash, or with a longer budget
    Resume(resume);
    /// Say whether an experiment would run: print it in full, or every problem at once
    Check(check);
    /// List components
    List(list);
    /// Explain a component: manual, options, what it needs and provides
    Describe(describe);
    /// Print the JSON schema of experiment files
    Schema(schema);
    /// Write an experiment file with every option explained
    Init(init);
    /// Print the publications behind a run, an experiment, or everything
    Cite(cite);
    /// Test the networks of a run on fresh trials
    Evaluate(evaluate);
    /// Measure something on runs, or on arrays in .npz files
    Analyze(analyze);
    /// Write report.html anew; several runs side by side
    Report(report);
    /// List the runs below a directory
    Runs(runs);
    /// Make a run from a network of another program
    Import(import);
    /// Write the network of a run to a file for another program
    Export(export);
    /// Measure the speed of this program on this machine, against alternatives
    Bench(bench);
    /// Print the completion script of a shell
    Completions(completions);
    /// Make, check and list external plugins
    Plugin(plugin);
    /// Say what was found on this machine, what is wrong, and how to mend it
    Doctor(doctor);
}
