//! A run as a published folder.

use super::super::timescales_checkpoint::TimescalesCheckpoint;
use super::name::Published;
use super::statistics::{self, Row};
use std::path::{Path, PathBuf};
use synfire::storage::atomic;
use synfire::storage::float::from_value;
use synfire::subject::{At, RunView};
use synfire::{Error, Format, History, Result};

/// Write the networks and evaluations of a run into a folder of the published name below `base`; returns the files.
///
/// # Errors
/// When the run has no network to write, the scheme has no name for its parts, the format no place for its parameters, or the folder
/// is there already.
pub(super) fn export(run: &RunView, number: usize, base: &Path) -> Result<Vec<PathBuf>> {
    let published = Published::of(run, number)?;
    let folder = base.join(&published.folder);
    let taken =
        folder.is_file() || folder.is_dir() && std::fs::read_dir(&folder).map_err(Error::io(&folder))?.next().is_some();
    if taken {
        return Err(Error::file(
            &folder,
            "is there already",
            "choose another place with -o, or another number with network",
        ));
    }
    let networks = networks(run, published.prefix)?;
    if networks.is_empty() {
        let problem = "has no network to export: none from before training, and none that solved a level";
        return Err(Error::file(run.dir.path(), problem, "export its last network with timescales-checkpoint"));
    }
    std::fs::create_dir_all(base).map_err(Error::io(base))?;
    let temporary = atomic::temporary_dir(&folder)?;
    let fill = || -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for (update, name) in networks {
            let network = run.network(At::Update(update))?;
            TimescalesCheckpoint::default().export(&network, &temporary.join(&name))?;
            files.push(folder.join(name));
        }
        let rows = rows(run)?;
        if !rows.is_empty() {
            statistics::write(&temporary, &rows)?;
            files.extend(["stats.json", "stats.csv"].map(|name| folder.join(name)));
        }
        atomic::replace_dir(&temporary, &folder)?;
        Ok(files)
    };
    fill().inspect_err(|_| drop(std::fs::remove_dir_all(&temporary)))
}

/// The saved networks that published code would have saved, by updates and with their names.
fn networks(run: &RunView, prefix: &str) -> Result<Vec<(u64, String)>> {
    let history = run.history();
    let there = run.checkpoints();
    let mut networks = Vec::new();
    if there.first() == Some(&0) && run.checkpoint(At::Initial)?.state.history.lessons.is_empty() {
        networks.push((0, format!("{prefix}_init")));
    }
    for (index, record) in history.lessons.iter().enumerate() {
        let next = history.lessons.get(index + 1);
        let (update, solved) = match next {
            // A restart repeats the lesson with a new network.
            Some(next) => (next.from, next.lesson != record.lesson),
            None => (history.updates, last_is_solved(run, history)?),
        };
        let levels: Vec<usize> = record.lesson.levels_of(&run.parts.spec).iter().map(|level| level.level).collect();
        let (Some(easiest), Some(hardest)) = (levels.iter().min(), levels.iter().max()) else {
            return Err(Error::Failed("published folders hold networks of a task with levels".into()));
        };
        if solved && there.contains(&update) {
            networks.push((update, format!("{prefix}_N{easiest}_N{hardest}")));
        }
    }
    Ok(networks)
}

/// Whether the curriculum would go on; without an evaluation to say so, as after an import, the network is taken as it is named.
fn last_is_solved(run: &RunView, history: &History) -> Result<bool> {
    if !history.evaluations.iter().any(|evaluation| evaluation.lesson + 1 == history.lessons.len()) {
        return Ok(true);
    }
    run.lesson_is_over()
}

/// The evaluations of the history, with the training losses of the metrics.
fn rows(run: &RunView) -> Result<Vec<Row>> {
    let metrics = run.dir.metrics()?;
    let rows = run.history().evaluations.iter().map(|evaluation| {
        let line = metrics.iter().find(|line| line["update"].as_u64() == Some(evaluation.update));
        let accuracy = evaluation.heads.iter().map(|head| head.accuracy.map(|accuracy| 100.0 * accuracy));
        let levels: Option<Vec<usize>> = evaluation.heads.iter().map(|head| head.level).collect();
        Ok(Row {
            loss: line.and_then(|line| from_value(&line["training_loss"])).unwrap_or(f64::NAN),
            accuracy: accuracy
                .collect::<Option<Vec<f64>>>()
                .ok_or_else(|| Error::Failed("an evaluation has no accuracy, which published folders record".into()))?,
            levels,
            update: Some(evaluation.update),
            trials: Some(evaluation.trials),
        })
    });
    rows.collect()
}
