//! `synfire runs`: what is there.

use crate::folders::below;
use crate::output::{Answer, Program};
use crate::query::{Query, compare, find};
use crate::training::mean_metrics;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use synfire::registry::near;
use synfire::run::RunDir;
use synfire::table::{Table, Value as Cell};
use synfire::{Error, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire runs
  synfire runs runs --where 'task=n-parity and status=finished' --sort=-accuracy";

/// Arguments of `runs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to look
    #[arg(value_name = "DIR", default_value = "runs")]
    place: PathBuf,
    /// Conditions on the experiment, the manifest or the last metrics, joined by `and`
    #[arg(long = "where", value_name = "EXPR")]
    condition: Option<String>,
    /// Order by the value at a path; downwards with a minus before it (--sort=-accuracy)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    sort: Option<String>,
}

/// Columns of the list.
const COLUMNS: [&str; 10] =
    ["run", "status", "updates", "accuracy", "seconds", "task", "cell", "rule", "curriculum", "seed"];

/// Do it. Directories that cannot be read are named in a warning and left out.
///
/// # Errors
/// [`Error::Config`] for a condition that cannot be read or a path that no run has; [`Error::File`] when there is no such folder.
pub fn execute(args: &Args, _: &Program) -> Result<Answer> {
    let query = args.condition.as_deref().map(Query::parse).transpose()?;
    // Before the first run there is no folder, which is no error.
    if !args.place.is_dir() && args.place != Path::new("runs") {
        return Err(Error::file(&args.place, "is not a folder", "name the folder that holds the runs"));
    }
    let mut runs = Vec::new();
    for path in below(&args.place) {
        match document(&path) {
            Ok(run) => runs.push(run),
            Err(error) => tracing::warn!("left out: {error}"),
        }
    }
    let (descending, key) = match args.sort.as_deref() {
        Some(path) => (path.starts_with('-'), Some(path.trim_start_matches('-'))),
        None => (false, None),
    };
    let asked = query.iter().flat_map(Query::paths).map(|path| ("--where", path));
    for (flag, path) in asked.chain(key.map(|key| ("--sort", key))) {
        known(&runs, flag, path)?;
    }
    if let Some(query) = &query {
        runs.retain(|run| query.holds(run));
    }
    if let Some(key) = key {
        runs.sort_by(|a, b| match (find(a, key), find(b, key)) {
            (Some(a), Some(b)) => {
                let ordering = compare(&a, &b).unwrap_or(Ordering::Equal);
                if descending { ordering.reverse() } else { ordering }
            }
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    }
    let mut table = Table::new("runs", "", &COLUMNS);
    table.rows = runs.iter().map(|run| COLUMNS.iter().map(|column| cell(run, column)).collect()).collect();
    let text = if runs.is_empty() { format!("no runs in {}", args.place.display()) } else { table.to_text() };
    Ok(Answer::new(text, runs.into()))
}

/// Experiment, manifest and last metrics of a run in one table; of equal names, the manifest's stand below `manifest`.
fn document(path: &Path) -> Result<Value> {
    let dir = RunDir::open(path)?;
    let mut run = Map::new();
    run.insert("run".into(), json!(path));
    if let Ok(Value::Object(experiment)) = serde_json::to_value(dir.experiment()?) {
        run.extend(experiment);
    }
    run.insert("status".into(), "new".into());
    if let Ok(manifest) = dir.manifest() {
        let mut whole = json!(manifest);
        for (name, value) in whole.as_object().into_iter().flatten() {
            if name == "status" || !run.contains_key(name) {
                run.insert(name.clone(), value.clone());
            }
        }
        run.extend(mean_metrics(&manifest));
        run.insert("manifest".into(), whole.take());
    }
    Ok(Value::Object(run))
}

/// A path that no run has is a slip of the fingers.
fn known(runs: &[Value], flag: &str, path: &str) -> Result<()> {
    if runs.is_empty() || runs.iter().any(|run| find(run, path).is_some()) {
        return Ok(());
    }
    let mut paths = Vec::new();
    runs.iter().for_each(|run| leaves(run, "", &mut paths));
    let close = near(path, paths.iter().map(String::as_str));
    let remedy = if close.is_empty() { String::new() } else { format!("did you mean {}?", close.join(" or ")) };
    Err(Error::config(flag, format_args!("names '{path}', which no run has"), remedy))
}

fn leaves(value: &Value, prefix: &str, paths: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        leaves(value, &format!("{path}."), paths);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
}

fn cell(run: &Value, column: &str) -> Cell {
    match find(run, column) {
        None => Cell::Missing,
        Some(value) => match (value.as_i64(), value.as_f64(), value.as_str()) {
            (Some(whole), ..) => whole.into(),
            (None, Some(number), _) => number.into(),
            (None, None, Some(text)) => text.into(),
            _ => value.to_string().into(),
        },
    }
}
