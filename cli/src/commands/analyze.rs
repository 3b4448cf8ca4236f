//! `synfire analyze`: measure something on runs, or on arrays in files.

use crate::choice::{assignment, overridden};
use crate::commands::run::threads;
use crate::output::{Answer, Program};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use synfire::analysis::Scope;
use synfire::experiment::Layers;
use synfire::run::{Analysed, Analyst, RunDir};
use synfire::storage::{atomic, read_npz};
use synfire::table::Table;
use synfire::workers::Workers;
use synfire::{Error, Experiment, Kind, Result, Spec};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire analyze learning-curve runs/parity
  synfire analyze pca runs/parity -o pca-of-parity --json";

/// Arguments of `analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the analysis
    #[arg(value_name = "ANALYSIS")]
    analysis: String,
    /// Run directories, or .npz files with arrays
    #[arg(value_name = "RUN", required_unless_present = "groups")]
    runs: Vec<PathBuf>,
    /// Set an option of the analysis (trials=100), or of the runs for this once (training.settle_steps=10)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// TOML file that names groups of run directories: short = ["runs/a", "runs/b"]
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    /// Where findings are saved; in the run, or for several together in analyses/<ANALYSIS>, unless given
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// auto, cpu or cuda:N; as in training unless given
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Threads; as many as the machine has cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Do it.
///
/// # Errors
/// When a run cannot be read or lacks what the analysis needs, and what the analysis reports.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    program.registry.find(Kind::Analysis, &args.analysis)?;
    let (own, of_runs) = sort_options(&args.set)?;
    let workers = Workers::new(threads(args.threads))?;
    let analyst = Analyst::new(&Spec::with(args.analysis.clone(), &own), &program.registry, &workers)?;
    let is_data = |path: &&PathBuf| path.extension().is_some_and(|end| end == "npz");
    let (data, _): (Vec<&PathBuf>, Vec<&PathBuf>) = args.runs.iter().partition(is_data);
    let done = match data.len() {
        0 => of_networks(args, &analyst, &of_runs)?,
        all if all == args.runs.len() && args.groups.is_none() => of_data(args, &analyst, &data)?,
        _ => {
            return Err(Error::config("RUN", "mixes run directories and data files", "analyse them one after another"));
        }
    };
    answer(args, &done)
}

/// Options of the analysis, with or without `analysis.`, and those that belong to the runs.
fn sort_options(set: &[String]) -> Result<(Value, Vec<String>)> {
    let experiment = serde_json::to_value(Experiment::default()).unwrap_or_default();
    let mut own = Layers::new();
    let mut of_runs = Vec::new();
    for text in set {
        let (path, value) = assignment(text)?;
        let first = path.split('.').next().unwrap_or_default();
        if first != "analysis" && experiment.get(first).is_some() {
            of_runs.push(text.clone());
        } else {
            own.set(path.strip_prefix("analysis.").unwrap_or(&path), value)?;
        }
    }
    Ok((own.value(), of_runs))
}

fn of_data(args: &Args, analyst: &Analyst, files: &[&PathBuf]) -> Result<Vec<Analysed>> {
    let place = default_place(args);
    let several = files.len() > 1;
    let stem = |path: &Path| path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    if analyst.scope() == Scope::Groups && several {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_npz(file)?.into_iter().map(|(name, array)| (format!("{}/{name}", stem(file)), array)));
        }
        return Ok(vec![analyst.data("all files", all.into_iter().collect(), 1, &place)?]);
    }
    let one = |file: &&PathBuf| {
        let place = if several { place.join(stem(file)) } else { place.clone() };
        analyst.data(&stem(file), read_npz(file)?, 1, &place)
    };
    files.iter().map(one).collect()
}

fn of_networks(args: &Args, analyst: &Analyst, set: &[String]) -> Result<Vec<Analysed>> {
    let mut groups: Vec<(String, Vec<PathBuf>)> = match &args.groups {
        Some(path) => read_groups(path)?,
        None => Vec::new(),
    };
    let grouped = |path: &PathBuf| groups.iter().any(|(_, paths)| paths.contains(path));
    let rest: Vec<PathBuf> = args.runs.iter().filter(|path| !grouped(path)).cloned().collect();
    if let (Some(file), Some(path)) = (&args.groups, rest.first()) {
        let problem = format!("does not put {} into a group", path.display());
        return Err(Error::config("--groups", problem, format!("add it to {}", file.display())));
    }
    if !rest.is_empty() {
        groups.push(("all".into(), rest));
    }
    let open = |path: &PathBuf| -> Result<_> {
        let dir = RunDir::open(path)?;
        let experiment = overridden(&dir.experiment()?, set, args.device.as_deref())?;
        Ok((dir, experiment))
    };
    if analyst.scope() == Scope::Run {
        let mut done = Vec::new();
        for (dir, experiment) in groups.iter().flat_map(|(_, paths)| paths).map(open).collect::<Result<Vec<_>>>()? {
            for view in analyst.open(&dir, experiment)? {
                let place = match &args.output {
                    // Several networks cannot share one folder.
                    Some(place) if args.runs.len() > 1 || dir.path() != view.dir.path() => {
                        place.join(view.label.replace(" #", "-"))
                    }
                    Some(place) => place.clone(),
                    None => view.dir.analysis_path(&args.analysis),
                };
                done.push(analyst.network(view, &place)?);
            }
        }
        return Ok(done);
    }
    let mut views = Vec::new();
    let mut members = Vec::new();
    for (name, paths) in &groups {
        let first = views.len();
        for path in paths {
            let (dir, experiment) = open(path)?;
            views.extend(analyst.open(&dir, experiment)?);
        }
        members.push((name.clone(), (first..views.len()).collect()));
    }
    let only = match (&args.output, &args.runs[..]) {
        (None, [run]) if args.groups.is_none() => RunDir::open(run)?.analysis_path(&args.analysis),
        _ => default_place(args),
    };
    Ok(vec![analyst.groups(views, members, &only)?])
}

fn default_place(args: &Args) -> PathBuf {
    args.output.clone().unwrap_or_else(|| Path::new("analyses").join(&args.analysis))
}

fn read_groups(path: &Path) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let text = String::from_utf8_lossy(&atomic::read(path)?).into_owned();
    let groups: BTreeMap<String, Vec<PathBuf>> = toml::from_str(&text).map_err(|error| {
        Error::config("--groups", format!("cannot be read: {error}"), "name groups as short = [\"runs/a\", \"runs/b\"]")
    })?;
    Ok(groups.into_iter().collect())
}

fn answer(args: &Args, done: &[Analysed]) -> Result<Answer> {
    let values = |one: &Analysed| json!(one.findings.values);
    let files: Vec<String> = done.iter().flat_map(|one| &one.files).map(|path| path.display().to_string()).collect();
    let all: Value = match done {
        [only] => values(only),
        several => several.iter().map(|one| (one.label.clone(), values(one))).collect::<Map<_, _>>().into(),
    };
    let results: Vec<Value> = done
        .iter()
        .map(|one| {
            json!({ "label": one.label, "folder": one.folder, "values": values(one), "notes": one.findings.notes })
        })
        .collect();
    let mut json = json!({
        "analysis": args.analysis, "runs": args.runs, "values": all, "files": files, "results": results,
    });
    if let [run] = &args.runs[..] {
        json["run"] = json!(run);
    }
    let mut text = String::new();
    for one in done {
        let mut table = Table::new("values", format!("{} of {}", args.analysis, one.label), &["value", ""]);
        table.rows.extend(one.findings.values.iter().map(|(name, value)| vec![name.as_str().into(), value.clone()]));
        text += &table.to_text();
        one.findings.notes.iter().for_each(|note| text += &format!("note: {note}\n"));
        text += &format!("{} files in {}\n\n", one.files.len(), one.folder.display());
    }
    Ok(Answer::new(text, json))
}
