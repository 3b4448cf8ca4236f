//! `synfire resume`: go on after a stop, a crash, or with a longer budget.

use crate::commands::run::{sentence, threads};
use crate::output::{Answer, Program};
use crate::signals::stop_flag;
use crate::training::{conclude, train};
use std::path::PathBuf;
use synfire::run::{RunDir, Status};
use synfire::{Error, Experiment, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire resume runs/parity
  synfire resume runs/parity --updates 400";

/// Arguments of `resume`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directory
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// A new budget, in updates from the very beginning
    #[arg(long, value_name = "N")]
    pub updates: Option<u64>,
    /// Threads; as many as the machine has cores unless given. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Go on with another device: auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

/// Do it. A run that is finished says so; analyses that are missing are made, and the report anew.
///
/// # Errors
/// When the run cannot be read, and what training reports.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let dir = RunDir::open(&args.run)?;
    let before = dir.experiment()?;
    let mut experiment = before.clone();
    let manifest = dir.manifest().ok();
    if let Some(updates) = args.updates {
        let done = dir.members(&experiment).iter().filter_map(|dir| dir.checkpoints().last().copied()).max();
        if updates < done.unwrap_or(0) {
            let problem = format!("is {updates}, but the run has made {} updates already", done.unwrap_or(0));
            return Err(Error::config("--updates", problem, "a budget counts from the very beginning"));
        }
        experiment.training.updates = updates;
    }
    if let Some(device) = &args.device {
        experiment.device.clone_from(device);
    }
    if program.registry.plugins().next().is_some() {
        // Where they are now.
        experiment.plugins = program.registry.plugins().map(|origin| origin.file.clone()).collect();
    }
    dir.require_plugins(&program.registry)?;
    experiment.parts(&program.registry)?;
    let threads = threads(args.threads);
    let finished = manifest.is_some_and(|manifest| manifest.status == Status::Finished);
    let longer = experiment.training.updates > before.training.updates;
    let intact = dir.members(&before).iter().all(RunDir::last_is_intact);
    if finished && !longer && intact {
        let mut answer = conclude(program, &dir, &before, threads, 0.0, &*stop_flag()?)?;
        answer.text = format!("it is finished already; give a longer budget with --updates\n{}", answer.text);
        return Ok(answer);
    }
    if experiment != before {
        rewrite(&dir, &experiment)?;
    }
    program.note(&format!("{}: {}", dir.path().display(), sentence(&experiment, threads)?));
    train(program, &dir, &experiment, threads)
}

/// Under the run's lock, so that a run at work keeps the experiment it was started with.
fn rewrite(dir: &RunDir, experiment: &Experiment) -> Result<()> {
    let _lock = synfire::storage::RunLock::acquire(dir.path())?;
    dir.write_experiment(experiment)
}
