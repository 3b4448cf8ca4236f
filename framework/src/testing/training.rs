//! Checks by training: with parts that fit, in one go, and interrupted and resumed.

use super::Findings;
use crate::experiment::Experiment;
use crate::observer::{Observe, Silent};
use crate::registry::Slot;
use crate::run::RunDir;
use crate::storage::atomic;
use crate::trainer::Session;
use crate::{Error, Kind, Registry, Result, Spec};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// A component with its size options turned down, so that a few updates take no time.
pub fn small<T: Slot + ?Sized>(registry: &Registry, name: &str) -> Spec<T> {
    let Ok(component) = registry.find(T::KIND, name) else { return Spec::new(name) };
    let schema = component.schema();
    let mut options = serde_json::Map::new();
    let mut put = |option: &str, value: serde_json::Value| {
        if schema["properties"].get(option).is_some() {
            options.insert(option.into(), value);
        }
    };
    let sizes: &[(&str, u64)] = match T::KIND {
        Kind::Analysis => &[
            ("steps", 2000),
            ("burn_in", 20),
            ("draws", 2),
            ("trials", 4),
            ("evaluations", 1),
            ("updates_per_evaluation", 2),
        ],
        _ => &[("hidden", 8)],
    };
    for (option, size) in sizes {
        let least = schema["properties"][option]["minimum"].as_f64().unwrap_or_default() as u64;
        put(option, (*size).max(least).into());
    }
    Spec::with(name, &options.into())
}

/// A short experiment that has the component in its place, among the first parts at hand that go with it.
///
/// # Errors
/// What keeps the last combination tried from running.
pub(super) fn experiment_with(registry: &Registry, kind: Kind, name: &str) -> Result<Experiment> {
    let usual = Experiment::default();
    let choices = |slot: Kind, first: &str| -> Vec<String> {
        if slot == kind {
            return vec![name.to_string()];
        }
        let mut names: Vec<String> = registry.of_kind(slot).map(|component| component.name.to_string()).collect();
        names.sort_by_key(|name| name != first);
        // An order of learning and a way to learn that go with everything are enough; task and cell must fit.
        names.truncate(if matches!(slot, Kind::Curriculum | Kind::Rule) { 1 } else { names.len() });
        names
    };
    let rules = choices(Kind::Rule, &usual.rule.name);
    let curricula = choices(Kind::Curriculum, &usual.curriculum.name);
    let mut last = Error::Failed("no task and cell are at hand".into());
    for task in choices(Kind::Task, &usual.task.name) {
        for cell in choices(Kind::Cell, &usual.cell.name) {
            let (Some(curriculum), Some(rule)) = (curricula.first(), rules.first()) else { return Err(last) };
            let mut experiment = Experiment {
                name: "conformance".into(),
                device: "cpu".into(),
                task: small(registry, &task),
                cell: small(registry, &cell),
                curriculum: Spec::new(curriculum.clone()),
                rule: Spec::new(rule.clone()),
                ..Experiment::default()
            };
            if kind == Kind::Analysis {
                experiment.analysis = vec![small(registry, name)];
            }
            experiment.training.batch = 3;
            experiment.training.updates = 4;
            experiment.training.updates_per_evaluation = 2;
            experiment.training.evaluation_trials = 4;
            match experiment.parts(registry) {
                Ok(_) => return Ok(experiment),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let (kind, name) = (findings.component.kind, findings.component.name);
    let found = experiment_with(registry, kind, name);
    let Some(experiment) = findings.value("no parts at hand go with it; link a crate that has some", found) else {
        return;
    };
    let found = match train_in_two_ways(registry, &experiment, 2) {
        // What only the built network shows, such as shapes that a rule does not fit.
        Err(Error::Incompatible { .. }) => return,
        found => found,
    };
    if let Some(problem) = findings.value("training", found).flatten() {
        findings.fail(problem);
    }
}

/// Train in one go and in two parts, the second resumed from the first's checkpoint; says what differs, if anything does.
///
/// # Errors
/// When training fails.
pub fn train_in_two_ways(registry: &Registry, experiment: &Experiment, first: u64) -> Result<Option<String>> {
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let experiment = experiment.resolve(registry)?;
    let whole = RunDir::create(folder.path().join("whole"), &experiment)?;
    train(registry, &experiment, &whole, 1)?;
    let mut shorter = experiment.clone();
    shorter.training.updates = first;
    let parts = RunDir::create(folder.path().join("parts"), &shorter)?;
    train(registry, &shorter, &parts, 1)?;
    parts.write_experiment(&experiment)?;
    train(registry, &experiment, &parts, 2)?;
    for (a, b) in whole.members(&experiment).iter().zip(parts.members(&experiment)) {
        let last = a.checkpoints().into_iter().max().unwrap_or(0);
        let read = |dir: &RunDir| files(&dir.path().join("checkpoints").join(last.to_string()));
        let (one, two) = (read(a)?, read(&b)?);
        if one.is_empty() {
            return Ok(Some("training left no checkpoint".into()));
        }
        if let Some((name, _)) = one.iter().find(|(name, bytes)| two.get(*name) != Some(bytes)) {
            return Ok(Some(format!("after {last} updates '{name}' differs between one go and a resumed run")));
        }
    }
    Ok(None)
}

pub(super) fn train(registry: &Registry, experiment: &Experiment, dir: &RunDir, threads: usize) -> Result<()> {
    let observer: &dyn Observe = &Silent;
    let stop = AtomicBool::new(false);
    Session { experiment, registry, dir, threads, observer, stop: &stop }.train().map(drop)
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    entries
        .flatten()
        .map(|entry| Ok((entry.file_name().to_string_lossy().into_owned(), atomic::read(entry.path())?)))
        .collect()
}
