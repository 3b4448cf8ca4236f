//! The demo: a network learns the first levels of a parity curriculum, is analysed, and a report is written.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::checkout::Checkout;
use crate::libtorch::Wanted;
use crate::process::hand_over;
use crate::setup::setup;

const EXPERIMENT: &str = "plugins/timescales/experiments/demo.toml";

/// Set up, build, run the demo experiment into a fresh run directory, and say where the report is.
///
/// # Errors
/// When set-up fails, a program cannot be started, or the run leaves no report.
pub fn demo(checkout: &Checkout, arguments: &[String]) -> Result<ExitCode, String> {
    let ready = setup(checkout, Wanted::Any)?;
    eprintln!("{ready}");
    let build = hand_over(checkout.cargo(&ready).args(["build", "--release", "-p", "synfire-cli"]))?;
    if build != ExitCode::SUCCESS {
        return Ok(build);
    }
    let run = fresh_run(&checkout.root.join("runs"));
    let code = hand_over(
        Command::new(checkout.program())
            .current_dir(&checkout.root)
            .args(["run", EXPERIMENT, "-o"])
            .arg(&run)
            .args(arguments),
    )?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let report = run.join("report.html");
    if !report.is_file() {
        return Err(format!("the run left no report at {}", report.display()));
    }
    println!("\nThe report, with its figures: {}", report.display());
    println!("Everything else of the run lies beside it. Next: README.md, \"An experiment of your own\".");
    Ok(ExitCode::SUCCESS)
}

/// `demo`, or `demo-2`, `demo-3`, ... when there was a demo before: no run is ever overwritten.
fn fresh_run(runs: &Path) -> PathBuf {
    let first = runs.join("demo");
    if !first.exists() {
        return first;
    }
    (2..=u32::MAX).map(|number| runs.join(format!("demo-{number}"))).find(|run| !run.exists()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_demo_gets_a_directory_of_its_own() {
        let runs = std::env::temp_dir().join(format!("xtask-runs-{}", std::process::id()));
        assert_eq!(fresh_run(&runs), runs.join("demo"));
        std::fs::create_dir_all(runs.join("demo")).unwrap();
        std::fs::create_dir_all(runs.join("demo-2")).unwrap();
        assert_eq!(fresh_run(&runs), runs.join("demo-3"));
        std::fs::remove_dir_all(&runs).unwrap();
    }
}
