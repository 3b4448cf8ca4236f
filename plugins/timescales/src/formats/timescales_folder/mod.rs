//! Whole folders as the code of the timescales paper writes them, one a network.

mod course;
mod export;
mod listing;
mod name;
mod statistics;

use super::published_name::Order;
use super::timescales_checkpoint::{PublishedCell, TimescalesCheckpoint};
use crate::cells::CONTINUOUS_RNN;
use course::{Course, Reading};
use listing::Listing;
use name::FolderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use synfire::experiment::Training;
use synfire::format::{Imported, Past, Stage};
use synfire::subject::{At, RunView};
use synfire::{Component, Curriculum, Error, Format, Network, Problems, Registry, Result, Spec};

/// Whole trainings of the timescales paper: a folder a network, named by what was trained, with a file for each solved level.
///
/// | in the folder | here |
/// |---|---|
/// | `rnn_init` | the checkpoint before the first update |
/// | `rnn_N2_N5` and so on, as `timescales-checkpoint` reads them | a checkpoint at the end of the lesson on levels 2 to 5 |
/// | `stats.npy`: a pickled dictionary of `loss` and of `accuracy` in percent, one a head | evaluations, in history and metrics |
///
/// Import reads the folder as one run, so that analyses over training look at all of its networks. Curriculum, task, number of
/// units, non-linearity and time constants come from the folder's name (`sliding_10_5_dms_size_200_mod_tanh_T_2.0_network_1`), rule
/// and training settings are the published ones; `-t`, `-c`, `-u`, `-r` and `--set` win. The pickle is read by a machine that knows
/// NumPy's numbers and arrays alone and runs nothing. It does not say levels and updates: they follow from the published rule (a
/// lesson is over when the mean and the last accuracy exceed 98 %) and from `updates_per_evaluation`. Without it, each network is
/// put one evaluation interval after the one before. Losses of evaluations are not recorded; the training loss is in the metrics.
/// Evaluations after the last network are in the metrics alone. A folder may lack networks.
///
/// Export makes such a folder below the given one: every network that solved its levels, the untrained one, and the evaluations as
/// `stats.json` and `stats.csv`, with the levels (`N`), updates and trials of each. No pickle is written beside the networks
/// themselves. Published networks have 100 heads from the start; exported ones have those that were needed so far. Import reads `stats.json` where there is no `stats.npy`.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927; folders of its published code.
/// Differs: networks of one level at a time are found under their own names (`rnn_N5_N5`), which the published scripts for
/// ablation and perturbation miss; the number of units is in the name for every cell; LSTMs of one level are named for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimescalesFolder {
    /// Which of the published cells the files belong to; left out, what the folder's name says, else `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<PublishedCell>,
    /// Level that training began with; left out, the easiest of a network where heads were added, else 2.
    #[schemars(range(min = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_level: Option<usize>,
    /// Updates between two evaluations; left out, 600 for each number of repetitions that was trained, 300 for LSTMs.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates_per_evaluation: Option<u64>,
    /// Number of the network in the name of an exported folder; left out, that of the member, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<usize>,
}

/// Evaluations after which published training ends.
const EVALUATIONS: u64 = 1000;
/// Published batches of an evaluation.
const TEST_BATCHES: usize = 50;

#[typetag::serde(name = "timescales-folder")]
impl Format for TimescalesFolder {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        if let Some(level) = self.first_level {
            problems.require((2..1 << 16).contains(&level), "first_level", level, "from 2 to 65535");
        }
        if let Some(updates) = self.updates_per_evaluation {
            let fits = (1..1 << 30).contains(&updates);
            problems.require(fits, "updates_per_evaluation", updates, "at least 1 and below 2^30");
        }
    }

    fn import(&self, path: &Path) -> Result<Imported> {
        if path.is_file() {
            let remedy = "give the folder it lies in, or read it alone with timescales-checkpoint";
            return Err(Error::file(path, "is a file, not a folder", remedy));
        }
        // A name behind a dot or a link is the real one.
        let folder = path.canonicalize().map_err(Error::io(path))?;
        let name = FolderName::of(&folder);
        let listing = Listing::of(&folder, &name)?;
        self.read(&folder, &name, &listing)
    }

    fn export(&self, _: &Network, path: &Path) -> Result<()> {
        Err(Error::file(
            path,
            "is a folder of a whole run, not of one network",
            "use timescales-checkpoint for one network",
        ))
    }

    fn export_run(&self, run: &RunView, at: At, path: &Path) -> Result<Vec<PathBuf>> {
        if at != At::Last {
            let remedy = "leave it out, or use timescales-checkpoint for one network";
            return Err(Error::config("--at", "is set, but the format writes all networks of a run", remedy));
        }
        export::export(run, self.network.unwrap_or(run.member + 1), path)
    }
}

synfire::inventory::submit! { Component::format::<TimescalesFolder>("timescales-folder") }

impl TimescalesFolder {
    fn read(&self, folder: &Path, name: &FolderName, listing: &Listing) -> Result<Imported> {
        let order = listing.order(name);
        let lstm = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lstm"));
        let all: Vec<&PathBuf> =
            listing.untrained.iter().chain(listing.solved.iter().map(|solved| &solved.path)).collect();
        let lstm = all.iter().any(|path| lstm(path));
        let batch = if lstm { 64 } else { 256 };
        let interval = if lstm { 300 } else { 600 * name.repetitions() };
        let reading = Reading {
            order,
            direct: name.direct,
            first_level: self.first_level.unwrap_or(match listing.solved.first() {
                Some(only) if name.direct => only.hardest,
                Some(first) if order == Order::Cumulative => first.easiest,
                _ => 2,
            }),
            interval: self.updates_per_evaluation.unwrap_or(interval),
            trials: TEST_BATCHES * batch * name.repetitions() as usize,
        };
        let mut notes = Vec::new();
        let course = match &listing.statistics {
            Some(path) => {
                let rows = statistics::read(path)?;
                Course::told(&rows, &listing.solved, reading).map_err(|problem| {
                    let remedy = "set first_level, or take the file away to read the networks alone";
                    Error::file(path, problem, remedy)
                })?
            }
            None => {
                notes.push(format!(
                    "The folder has no stats.npy, so nobody knows when its networks were saved; each was put {} updates after the \
                     one before.",
                    reading.interval
                ));
                Course::assumed(&listing.solved, reading)
            }
        };
        let mut stages = self.stages(name, listing, &course, &mut notes)?;
        let Some(mut last) = stages.pop() else {
            return Err(Error::file(folder, "holds no network", ""));
        };
        let beyond = course.evaluations.iter().filter(|judged| judged.evaluation.update > last.stage.history.updates);
        if let Some(end) = beyond.clone().next_back() {
            let hardest = end.lesson.levels.iter().map(|level| level.level).max().unwrap_or_default();
            notes.push(format!(
                "{} evaluations, up to N = {hardest}, are later than the last network; they are in the metrics alone.",
                beyond.count()
            ));
        }
        if listing.untrained.is_none() {
            notes.push("The folder has no network from before training.".into());
        }
        notes.push("Rule and training settings are those of the published code; no file says them.".into());
        let cell = last.imported.cell.take().map(|cell| with_time_constants(&cell, name));
        let evaluations = course.evaluations.clone();
        Ok(Imported {
            curriculum: curriculum(name, order, &course).or(last.imported.curriculum),
            task: last.imported.task,
            cell,
            rule: Some(rule(lstm)),
            training: Some(Training {
                batch,
                updates: (EVALUATIONS * reading.interval).max(last.stage.history.updates),
                updates_per_evaluation: reading.interval,
                evaluation_trials: reading.trials,
                evaluation_batch: batch,
                ..Training::default()
            }),
            parameters: last.stage.parameters,
            heads: last.stage.heads,
            lesson: None,
            notes,
            past: Past {
                stages: stages.into_iter().map(|one| one.stage).collect(),
                history: last.stage.history,
                evaluations,
            },
        })
    }

    /// The networks of all files, in order; notes of the files are added once each.
    fn stages(
        &self,
        name: &FolderName,
        listing: &Listing,
        course: &Course,
        notes: &mut Vec<String>,
    ) -> Result<Vec<OneFile>> {
        let said = match (&name.published.order, &name.published.modified, &name.published.repetitions) {
            (Some(_), _, Some(_)) => Some(PublishedCell::Continuous),
            (Some(_), None, None) => Some(PublishedCell::Default),
            _ => None,
        };
        let format = TimescalesCheckpoint { cell: self.cell.or(said) };
        let untrained = listing.untrained.iter().map(|path| (path, synfire::History::default()));
        let solved = listing.solved.iter().enumerate().map(|(index, solved)| (&solved.path, course.history(index)));
        let mut stages: Vec<OneFile> = Vec::new();
        for (path, history) in untrained.chain(solved) {
            let mut imported = format.import(path)?;
            let (parameters, heads) = (std::mem::take(&mut imported.parameters), std::mem::take(&mut imported.heads));
            if let Some(first) = stages.first() {
                same_shapes(path, &parameters, first)?;
            }
            let units = imported.cell.as_ref().and_then(|cell| cell.options()["hidden"].as_u64());
            if let (Some(said), Some(units)) = (name.units, units)
                && said as u64 != units
            {
                let problem = format_args!("has {units} units, but its folder is named for {said}");
                return Err(Error::file(path, problem, "was the folder renamed?"));
            }
            for note in std::mem::take(&mut imported.notes) {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            let stage = Stage { origin: path.clone(), history, parameters, heads };
            stages.push(OneFile { imported, stage });
        }
        Ok(stages)
    }
}

/// What a file said, its tensors taken out.
struct OneFile {
    imported: Imported,
    stage: Stage,
}

/// Refuse a network whose tensors are not those of the first; heads may be added.
fn same_shapes(path: &Path, parameters: &synfire::Tensors, first: &OneFile) -> Result<()> {
    let before = &first.stage.parameters;
    let own = |name: &&str| !name.starts_with("head.");
    let origin = first.stage.origin.file_name().unwrap_or_default().to_string_lossy();
    let shape =
        |tensor: Option<&synfire::tch::Tensor>| tensor.map_or_else(|| "none".into(), |t| format!("{:?}", t.size()));
    for name in before.names().chain(parameters.names()).filter(own) {
        let (here, there) = (shape(parameters.find(name)), shape(before.find(name)));
        if here != there {
            let problem = format_args!("has '{name}' of shape {here}, while '{origin}' has {there}");
            return Err(Error::file(path, problem, "is it of another network?"));
        }
    }
    Ok(())
}

/// The cell as the folder's name says it was made: time constants from `T_2.0` up to one more, scaled to a mean of `tau0.5`.
fn with_time_constants(cell: &Spec<dyn synfire::Cell>, name: &FolderName) -> Spec<dyn synfire::Cell> {
    let mut options = cell.options();
    if let Some(constants) = options.get_mut("time_constants").filter(|constants| constants["trainable"] == true) {
        if let Some(tau) = name.tau {
            constants["low"] = tau.into();
            constants["high"] = (tau + 1.0).into();
        }
        if let Some(mean) = name.mean_tau.filter(|_| cell.name == CONTINUOUS_RNN) {
            constants["mean"] = mean.into();
        }
    }
    Spec::with(cell.name.clone(), &options)
}

/// The curriculum as far as the evaluations say more than the names.
fn curriculum(name: &FolderName, order: Order, course: &Course) -> Option<Spec<dyn Curriculum>> {
    let lessons: Vec<Vec<usize>> =
        course.lessons.iter().map(|record| record.lesson.levels.iter().map(|level| level.level).collect()).collect();
    let first = lessons.first()?;
    if name.direct {
        return Some(Spec::with("direct", &json!({ "levels": first })));
    }
    let begun = match order {
        // Without evaluations the first network need not be that of the first level.
        Order::Single | Order::Sliding { .. } if course.evaluations.is_empty() => 2,
        _ => *first.first()?,
    };
    let mut options = match order {
        Order::Single => json!({}),
        Order::Cumulative if course.evaluations.is_empty() => json!({}),
        Order::Cumulative => {
            let added = lessons.get(1).map_or(1, |second| second.len().saturating_sub(first.len()).max(1));
            json!({ "init_heads": first.len(), "add_heads": added })
        }
        Order::Sliding { heads, forget } => json!({ "init_heads": heads, "forget_heads": forget }),
    };
    if begun != 2 {
        options["first_level"] = begun.into();
    }
    Some(Spec::with(
        match order {
            Order::Single => "single-level",
            Order::Cumulative => "cumulative",
            Order::Sliding { .. } => "sliding-window",
        },
        &options,
    ))
}

/// The published rule.
fn rule(lstm: bool) -> Spec<dyn synfire::LearningRule> {
    let optimizer = match lstm {
        true => json!({ "type": "adam", "learning_rate": 0.001 }),
        false => json!({ "type": "sgd", "learning_rate": 0.05, "momentum": 0.1, "nesterov": true }),
    };
    Spec::with("bptt", &json!({ "clip": 2.0, "optimizer": optimizer }))
}
