//! One trained network as it is compared: how far it got, its time constants at each level, what other analyses found on it.

use super::super::clock::time_constants;
use super::super::summary::Summary;
use super::connectivity::Connectivity;
use super::kind::Kind;
use super::saved::{self, EXPENSIVE, Saved};
use crate::curricula::exceeds;
use std::collections::BTreeMap;
use std::path::PathBuf;
use synfire::Result;
use synfire::subject::{At, RunView};
use synfire_essentials::checkpoints::{Stage, level_name, milestones};

/// Accuracy that counts as solved where the curriculum does not say it.
const THRESHOLD: f64 = 0.98;

/// Analyses that judge one level, or all of the last lesson.
const JUDGED: [&str; 2] = ["ablation", "perturbation"];

/// The time constants at one checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// The hardest level of the lesson that it ended.
    pub level: Option<usize>,
    /// One for each unit or one for all, as the parameter has them; empty where the cell has none.
    pub taus: Vec<f64>,
}

/// One evaluation and the largest level that was solved by then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Climb {
    /// Number of the evaluation, from 1.
    pub evaluation: usize,
    pub largest: usize,
}

/// One trained network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub label: String,
    /// Index into the runs of the subject; of united networks the first.
    pub run: usize,
    /// The folder that its run lies in.
    pub folder: PathBuf,
    pub kind: Kind,
    /// What levels of the task are called.
    pub level_name: String,
    /// What time constants are counted in.
    pub unit: &'static str,
    /// Checkpoints in the order of training.
    pub moments: Vec<Moment>,
    pub progress: Vec<Climb>,
    /// The largest level that was solved.
    pub reached: Option<usize>,
    /// The hardest level of the last lesson.
    pub last_level: Option<usize>,
    pub updates: u64,
    pub evaluations: usize,
    /// It came from another program: its lesson counts as solved.
    pub imported: bool,
    pub saved: Vec<Saved>,
    /// Analyses that fit the run and were not made.
    pub wanting: Vec<&'static str>,
    pub connectivity: Option<Connectivity>,
}

impl Network {
    pub fn of(run: &RunView, index: usize, notes: &mut Vec<String>) -> Result<Self> {
        let updates = match milestones(run) {
            updates if updates.is_empty() => vec![At::Last],
            updates => updates.into_iter().map(At::Update).collect(),
        };
        let mut moments = Vec::with_capacity(updates.len());
        let (mut connectivity, mut unit) = (None, "steps");
        for at in updates {
            let Stage { level, checkpoint, .. } = Stage::load(run, at)?;
            let layers = time_constants(run, &checkpoint.parameters, None);
            unit = layers.first().map_or(unit, |(clock, _)| clock.unit);
            let taus: Vec<f64> = layers.into_iter().flat_map(|(_, taus)| taus).collect();
            connectivity = Connectivity::of(&checkpoint.parameters, &taus);
            moments.push(Moment { level, taus });
        }
        let history = run.history();
        let spec = &run.parts.spec;
        let hardest = |lesson: usize| {
            let record = history.lessons.get(lesson)?;
            record.lesson.levels_of(spec).iter().map(|level| level.level).max()
        };
        let threshold = run.experiment.curriculum.options()["threshold"].as_f64().unwrap_or(THRESHOLD);
        let last_level = history.lessons.len().checked_sub(1).and_then(hardest);
        let imported = history.updates == 0 && !history.lessons.is_empty() && history.evaluations.is_empty();
        let mut reached = last_level.filter(|_| imported);
        let mut progress = Vec::new();
        for (number, evaluation) in history.evaluations.iter().enumerate() {
            if exceeds(evaluation, threshold) {
                reached = reached.max(hardest(evaluation.lesson));
            }
            progress.extend(reached.map(|largest| Climb { evaluation: number + 1, largest }));
        }
        let alone = match run.lesson().levels_of(spec)[..] {
            [only] => Some(only.level),
            _ => None,
        };
        let saved = saved::load(&run.dir, alone, notes);
        if alone.is_none()
            && saved.iter().any(|saved| saved.level.is_none() && JUDGED.contains(&saved.analysis.as_str()))
        {
            notes.push(format!(
                "{} was silenced or disturbed at all levels of its last lesson together; `--set level=N` judges one, as published.",
                run.label
            ));
        }
        let mut wanting = Vec::new();
        for (analysis, _) in EXPENSIVE {
            if saved.iter().all(|saved| saved.analysis != analysis) && saved::fits(run, analysis)? {
                wanting.push(analysis);
            }
        }
        Ok(Self {
            label: run.label.clone(),
            run: index,
            folder: run.dir.path().parent().map(PathBuf::from).unwrap_or_default(),
            kind: Kind::of(&run.experiment),
            level_name: level_name(run),
            unit,
            moments,
            progress,
            reached,
            last_level,
            updates: history.updates,
            evaluations: history.evaluations.len(),
            imported,
            saved,
            wanting,
            connectivity,
        })
    }

    /// Whether each unit has a time constant of its own that was trained.
    pub fn has_trained_taus(&self) -> bool {
        self.kind.fixed.is_none() && self.moments.iter().any(|moment| moment.taus.len() > 1)
    }

    /// The time constants at the end of each solved level, by level; of an unsolved one they are on the way.
    pub fn by_level(&self) -> BTreeMap<usize, &Moment> {
        let solved = |level: usize| self.reached.is_none_or(|reached| level <= reached);
        let all = self.moments.iter().filter(|moment| !moment.taus.is_empty());
        all.filter_map(|moment| moment.level.map(|level| (level, moment))).filter(|(level, _)| solved(*level)).collect()
    }

    /// A statistic of the time constants against the level.
    pub fn tau_course(&self, pick: fn(&Summary) -> f64) -> Vec<(f64, f64)> {
        if !self.has_trained_taus() {
            return Vec::new();
        }
        let levels = self.by_level();
        levels.into_iter().map(|(level, moment)| (level as f64, pick(&Summary::of(&moment.taus)))).collect()
    }

    /// A column of the table of network timescales against the level: `mean`, `std` or `kept`.
    pub fn timescale_course(&self, column: &str) -> Vec<(f64, f64)> {
        let names = [self.level_name.as_str(), "level"];
        let mut course: Vec<(f64, f64)> = Vec::new();
        for saved in saved::of(&self.saved, "timescales") {
            let Some(table) = saved.table("timescales", &["mean", "kept"]) else { continue };
            for [level, value] in saved::complete(table, [&names, &[column]]) {
                // An unsolved level is left out, and a later measurement of the same.
                let solved = self.reached.is_none_or(|reached| level <= reached as f64);
                if solved && course.iter().all(|(known, _)| *known != level) {
                    course.push((level, value));
                }
            }
        }
        course.sort_by(|a, b| a.0.total_cmp(&b.0));
        course
    }
}

/// Networks of one folder that were imported one by one at different levels are one network in the course of its training.
///
/// So are published networks laid out: a folder for each network, a file for each level it solved.
pub(super) fn unite(networks: Vec<Network>, notes: &mut Vec<String>) -> Vec<Network> {
    let mut families: Vec<Vec<Network>> = Vec::new();
    for network in networks {
        let kin = |family: &Vec<Network>| {
            let first = &family[0];
            let same = first.imported && network.imported && first.folder == network.folder;
            same && first.kind == network.kind
        };
        match families.iter().position(kin) {
            Some(at) => families[at].push(network),
            None => families.push(vec![network]),
        }
    }
    let mut all = Vec::new();
    for mut family in families {
        family.sort_by_key(|network| network.last_level);
        let distinct = family.windows(2).all(|pair| pair[0].last_level < pair[1].last_level);
        if family.len() == 1 || !distinct {
            all.append(&mut family);
            continue;
        }
        let names = family.iter().map(|network| network.label.as_str()).collect::<Vec<_>>().join(", ");
        let rest = family.split_off(1);
        let Some(mut first) = family.pop() else { continue };
        if let Some(name) = first.folder.file_name() {
            first.label = name.to_string_lossy().into_owned();
        }
        for network in rest {
            first.moments.extend(network.moments);
            first.saved.extend(network.saved);
            first.wanting.retain(|analysis| network.wanting.contains(analysis));
            first.reached = first.reached.max(network.reached);
            (first.last_level, first.connectivity) = (network.last_level, network.connectivity);
        }
        notes.push(format!("{names} were taken as one network, {}, at several levels.", first.label));
        all.push(first);
    }
    all.sort_by_key(|network| network.run);
    all
}
