//! Checks of rules, and of anything that trains: in one go, and interrupted and resumed.

use super::Findings;
use crate::experiment::Experiment;
use crate::observer::{Observe, Silent};
use crate::registry::Slot;
use crate::run::RunDir;
use crate::storage::atomic;
use crate::trainer::Session;
use crate::{Cell, Error, Kind, LearningRule, Registry, Result, Spec, Task};
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
        put(option, (*size).into());
    }
    Spec::with(name, &options.into())
}

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let name = findings.component.name;
    let spec: Spec<dyn LearningRule> = Spec::new(name);
    let Ok(rule) = registry.build(&spec, "rule") else { return };
    let needs = Slot::needs(&*rule, registry);
    let fitting = |kind: Kind, name: &str| match kind {
        Kind::Task => registry.build(&small::<dyn Task>(registry, name), "task").is_ok_and(|task| {
            needs.iter().filter(|n| !n.of_cell()).all(|n| Slot::provides(&*task, registry).contains(n))
        }),
        _ => registry.build(&small::<dyn Cell>(registry, name), "cell").is_ok_and(|cell| {
            needs.iter().filter(|n| n.of_cell()).all(|n| Slot::provides(&*cell, registry).contains(n))
        }),
    };
    let task = registry.of_kind(Kind::Task).find(|c| fitting(Kind::Task, c.name));
    let cell = registry.of_kind(Kind::Cell).find(|c| fitting(Kind::Cell, c.name));
    let (Some(task), Some(cell)) = (task, cell) else {
        // A crate that brings a rule alone is checked where tasks and cells are linked.
        return;
    };
    let Some(curriculum) = registry.of_kind(Kind::Curriculum).find(|c| c.name == "fixed-budget") else { return };
    let mut experiment = Experiment {
        name: "conformance".into(),
        device: "cpu".into(),
        task: small(registry, task.name),
        cell: small(registry, cell.name),
        curriculum: Spec::new(curriculum.name),
        rule: spec,
        ..Experiment::default()
    };
    experiment.training.batch = 3;
    experiment.training.updates = 4;
    experiment.training.updates_per_evaluation = 2;
    experiment.training.evaluation_trials = 4;
    if let Some(problem) = findings.value("training", train_in_two_ways(registry, &experiment, 2)).flatten() {
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

fn train(registry: &Registry, experiment: &Experiment, dir: &RunDir, threads: usize) -> Result<()> {
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
