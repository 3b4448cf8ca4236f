//! What `run` and `resume` share: train, analyse, write the report, tell how it went.

use crate::output::{Answer, Program, error_value};
use crate::progress::Progress;
use crate::signals::stop_flag;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use synfire::run::{Analyst, Manifest, RunDir, Status};
use synfire::storage::float::to_value;
use synfire::table::Table;
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Experiment, Result};

/// Train from where the run stands; when it is finished, make its analyses and its report.
///
/// # Errors
/// When training fails. Analyses that fail are reported in the answer, whose exit code is then 1.
pub fn train(program: &Program, dir: &RunDir, experiment: &Experiment, threads: usize) -> Result<Answer> {
    let stop = stop_flag()?;
    let parts = experiment.parts(&program.registry)?;
    let level = parts.spec.difficulty.as_ref().map_or("level", |difficulty| difficulty.name.as_str());
    let progress = Progress::new(program, experiment.members, level);
    let session = Session { experiment, registry: &program.registry, dir, threads, observer: &progress, stop: &stop };
    let outcome = session.train();
    progress.clear();
    let outcome = outcome?;
    match outcome.status {
        Status::Interrupted => answer(dir, outcome.seconds, &[]),
        _ => {
            // Those made at an earlier end are of another network.
            dir.remove_analyses(experiment)?;
            conclude(program, dir, experiment, threads, outcome.seconds, &stop)
        }
    }
}

/// An analysis that was tried, for the answer.
pub struct Tried {
    name: String,
    result: Result<Vec<String>>,
}

/// Make the analyses that are missing, and the report.
///
/// # Errors
/// When the manifest cannot be read or the report not be written.
pub fn conclude(
    program: &Program,
    dir: &RunDir,
    experiment: &Experiment,
    threads: usize,
    seconds: f64,
    stop: &AtomicBool,
) -> Result<Answer> {
    let workers = Workers::new(threads)?;
    let mut tried = Vec::new();
    for (folder, spec) in dir.missing_analyses(experiment) {
        if stop.load(Ordering::Relaxed) {
            program.note(&format!("stopped before '{folder}'; `synfire resume {}` goes on", dir.path().display()));
            break;
        }
        program.note(&format!("analysis '{folder}'"));
        let made = Analyst::new(&spec, &program.registry, &workers)
            .and_then(|analyst| analyst.run(dir, experiment.clone(), &folder));
        let result = made.map(|all| all.iter().map(|one| one.folder.display().to_string()).collect());
        if let Err(error) = &result {
            program.note(&format!("analysis '{folder}' failed: {error}"));
        }
        tried.push(Tried { name: folder, result });
    }
    dir.write_report(&program.registry)?;
    answer(dir, seconds, &tried)
}

/// How a run stands.
fn answer(dir: &RunDir, seconds: f64, tried: &[Tried]) -> Result<Answer> {
    let manifest = dir.manifest()?;
    let failed = tried.iter().any(|one| one.result.is_err());
    let report = dir.report_path();
    let report = report.is_file().then(|| report.display().to_string());
    let analyses: Vec<Value> = tried
        .iter()
        .map(|one| match &one.result {
            Ok(folders) => json!({ "name": one.name, "folders": folders }),
            Err(error) => json!({ "name": one.name, "error": error_value(error) }),
        })
        .collect();
    let json = json!({
        "run": dir.path(),
        "status": manifest.status,
        "updates": manifest.updates,
        "seconds": to_value(seconds),
        "stopped": manifest.stopped,
        "metrics": mean_metrics(&manifest),
        "members": manifest.metrics,
        "analyses": analyses,
        "report": report,
    });
    let mut text = metrics_table(&manifest).to_text() + "\n";
    let stopped = manifest.stopped.as_deref().unwrap_or_default();
    let words = match manifest.status {
        Status::Interrupted => format!("interrupted after {} updates, {seconds:.1} s", manifest.updates),
        _ => format!("{} updates, {seconds:.1} s; stopped: {stopped}", manifest.updates),
    };
    text += &format!("{words}\nrun      {}\n", dir.path().display());
    if let Some(report) = report {
        text += &format!("report   {report}\n");
    }
    if manifest.status == Status::Interrupted {
        text += &format!("continue with: synfire resume {}\n", dir.path().display());
    }
    for one in tried {
        if let Err(error) = &one.result {
            text += &format!("analysis '{}' failed: {error}\n", one.name);
        }
    }
    Ok(Answer { text, json, code: u8::from(failed) })
}

/// Mean over members of each metric of the last evaluation.
pub fn mean_metrics(manifest: &Manifest) -> Map<String, Value> {
    let names = manifest.metrics.first().map(|metrics| metrics.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mean = |name: &String| {
        let all: Vec<f64> = manifest.metrics.iter().filter_map(|metrics| metrics.get(name).copied()).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    names.iter().map(|name| (name.clone(), to_value(mean(name)))).collect()
}

/// The last evaluation of each member, a row each.
fn metrics_table(manifest: &Manifest) -> Table {
    let names = manifest.metrics.first().map(|metrics| metrics.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let columns: Vec<String> = std::iter::once("member".to_string()).chain(names.iter().cloned()).collect();
    let mut table = Table::new("metrics", "", &columns);
    for (member, metrics) in manifest.metrics.iter().enumerate() {
        let cells = names.iter().map(|name| metrics.get(name).copied().into());
        table.rows.push(std::iter::once(member.into()).chain(cells).collect());
    }
    table
}
