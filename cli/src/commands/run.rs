//! `synfire run`: train an experiment, analyse it, write a report.

use crate::choice::Choice;
use crate::output::{Answer, Program};
use crate::training::train;
use std::path::{Path, PathBuf};
use synfire::run::RunDir;
use synfire::workers::Workers;
use synfire::{Error, Experiment, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire run -t n-parity -c leaky-rnn --set cell.hidden=64 --updates 200 -o runs/parity
  synfire run -t flip-flop -c gru -r bptt -a learning-curve -a pca --updates 200 --members 2";

/// Arguments of `run` and `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub choice: Choice,
    /// Threads; as many as the machine has cores unless given. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Settings")]
    pub threads: Option<u16>,
    /// Run directory; runs/<name>, or the next free runs/<name>-2, -3, ... unless given
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

/// How many threads to use.
pub fn threads(given: Option<u16>) -> usize {
    given.map_or_else(Workers::available, usize::from)
}

/// Do it. After a first Ctrl-C the run ends with a checkpoint and exit code 0, its status `interrupted`.
///
/// # Errors
/// [`Error::Config`] with every problem, before anything is written; what training reports.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let mut experiment = args.choice.resolved(&program.registry)?;
    let dir = match &args.output {
        Some(path) => RunDir::create(path, &experiment)?,
        None => {
            let path = free_place(Path::new("runs"), &experiment.name)?;
            experiment.name = path.file_name().map_or(experiment.name, |name| name.to_string_lossy().into_owned());
            RunDir::create(path, &experiment)?
        }
    };
    let threads = threads(args.threads);
    program.note(&format!("{}: {}", dir.path().display(), sentence(&experiment, threads)?));
    train(program, &dir, &experiment, threads)
}

/// What is about to be trained, in a line.
pub fn sentence(experiment: &Experiment, threads: usize) -> Result<String> {
    let device = match experiment.device()? {
        synfire::tch::Device::Cpu => format!("CPU with {threads} threads"),
        other => format!("{other:?}"),
    };
    let members = if experiment.members > 1 { format!("{} networks, ", experiment.members) } else { String::new() };
    Ok(format!(
        "{} on {}, curriculum {}, rule {}; {members}seed {}, at most {} updates, {device}",
        experiment.cell.name,
        experiment.task.name,
        experiment.curriculum.name,
        experiment.rule.name,
        experiment.seed,
        experiment.training.updates,
    ))
}

/// Make the first free directory of `name`, `name-2`, `name-3`, ... Two programs that start together get one each.
fn free_place(runs: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(runs).map_err(Error::io(runs))?;
    let mut number = 1u64;
    loop {
        let path = if number == 1 { runs.join(name) } else { runs.join(format!("{name}-{number}")) };
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::io(&path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_a_number() {
        let runs = std::env::temp_dir().join(format!("synfire-places-{}", std::process::id()));
        let names: Vec<String> = (0..3)
            .map(|_| free_place(&runs, "a").unwrap().file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a", "a-2", "a-3"]);
        std::fs::remove_dir_all(runs).unwrap();
    }
}
