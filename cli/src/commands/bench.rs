//! `synfire bench`: how fast it is here, each time against an alternative in the same run.

use crate::bench::{Bench, Measured, all};
use crate::commands::run::threads;
use crate::output::{Answer, Program};
use serde_json::Value;
use std::time::Duration;
use synfire::table::Table;
use synfire::workers::Workers;
use synfire::{Error, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire bench simulation --seconds 1
  synfire bench rate-network --json";

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which benchmark; all unless given
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Seconds for each comparison
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Threads; as many as the machine has cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Do it.
///
/// # Errors
/// For an unknown name, and what a benchmark reports.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let cases = all();
    let chosen: Vec<_> =
        cases.iter().filter(|case| args.name.as_deref().is_none_or(|name| name == case.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
        let name = args.name.as_deref().unwrap_or_default();
        let remedy = format!("there are: {}", names.join(", "));
        return Err(Error::config("NAME", format_args!("is '{name}', an unknown benchmark"), remedy));
    }
    if !(args.seconds.is_finite() && (0.0..=3600.0).contains(&args.seconds)) {
        return Err(Error::config("--seconds", format_args!("is {}", args.seconds), "give a number from 0 to 3600"));
    }
    let workers = Workers::new(threads(args.threads))?;
    let budget = Duration::from_secs_f64(args.seconds);
    let bench = Bench { registry: &program.registry, workers: &workers, budget };
    let mut measured = Vec::new();
    for case in chosen {
        program.note(&format!("{}: {}", case.name, case.summary));
        measured.extend((case.run)(&bench)?);
    }
    let json: Vec<Value> = measured.iter().map(Measured::json).collect();
    Ok(Answer::new(table(&measured, workers.threads()), json.into()))
}

fn table(measured: &[Measured], threads: usize) -> String {
    let columns = ["benchmark", "shape", "ours ms", "alternative", "its ms", "ratio", "GFLOP/s", "of GEMM", "rate"];
    let mut table = Table::new("bench", format!("Medians with {threads} threads; ratio: times faster"), &columns);
    let number = |x: Option<f64>, digits: usize| x.map_or(String::new(), |x| format!("{x:.digits$}"));
    for one in measured {
        let alternative = one.alternative.as_ref();
        table.rows.push(
            [
                one.name.to_string(),
                one.shape.clone(),
                format!("{:.3}", one.ours_ms),
                alternative.map_or(String::new(), |(name, _)| name.clone()),
                number(alternative.map(|(_, ms)| *ms), 3),
                number(one.ratio(), 2),
                number(one.gflops, 1),
                number(one.share.map(|share| 100.0 * share), 0) + if one.share.is_some() { " %" } else { "" },
                one.rate.map_or(String::new(), |(value, unit)| format!("{value:.0} {unit}")),
            ]
            .map(Into::into)
            .to_vec(),
        );
    }
    table.to_text()
}
