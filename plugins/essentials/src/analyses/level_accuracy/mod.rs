//! How accurate the networks of a run are at each level of their task.

mod figures;
mod measure;
mod tables;

use crate::checkpoints::{Checkpoints, Stage, level_name};
use crate::levels::{self, Levels};
use crate::protocol::TaskOptions;
use measure::{Judge, Judged, Network};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synfire::analysis::{Findings, Scope};
use synfire::storage::array::Array;
use synfire::{Analysis, Component, Problems, Properties, Property, Registry, Result, Subject};

/// Accuracy of the networks of a run at each level: what they learned, what they forget, how far it carries.
///
/// Each level is answered by the head that learned it, else by the single head that the run used; where there are several heads and
/// none learned the level, by the one that their order gives, if the network has it. The column `learned` says whether the head was
/// trained on the level before (`yes`), `later` in the run, or never (`no`). All networks see the same fresh trials of a level, by
/// default as in training; `task` says otherwise, for example `{ rate = 0.5, answer = "every-step", length = 1100 }` for the running
/// accuracy over streams. `majority` is the share of the most frequent class in these trials, the accuracy of always giving one
/// answer (for parity at small even `N` above one half); it is missing where answers are no classes.
///
/// With `at = "level-ends"` the table is the forgetting matrix, and mean forgetting the accuracy at the end of a level's own training
/// less that of the last network, over all levels but the last. Levels beyond those trained show how far a solution carries.
///
/// figures `levels`: accuracy of the last network by level; `matrix`: of each network by level, where there are several
/// tables  `accuracy`: one row a network and level; `forgetting`: one row a level whose end has a network
/// arrays  `accuracy`, `learned` (0 or 1) `[network, level]`, `update`, `trained_level` (-1: none) `[network]`, `level`, `majority`
/// `[level]`
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, ICLR, arXiv:2309.12927 (test of a network at all
/// `N`, and forgetting of a single head). Differs: there all heads answer the same trials, as long as the hardest level wants;
/// `together = true` does so too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LevelAccuracy {
    /// Which networks of the run: `last`, `initial`, `milestones` (before training, end of each lesson, last), `level-ends` or a
    /// number of updates.
    pub at: Checkpoints,
    /// Levels that are tested: a list, or a range `{ from, to, step }`; absent for all that were trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    /// Trials of each level.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Ask all levels in the same trials, as several heads are trained, instead of each in trials of its own.
    pub together: bool,
    /// Options of the task that are otherwise while networks are judged.
    #[serde(skip_serializing_if = "TaskOptions::is_empty")]
    pub task: TaskOptions,
}

impl Default for LevelAccuracy {
    fn default() -> Self {
        Self { at: Checkpoints::default(), levels: None, trials: 1000, together: false, task: TaskOptions::default() }
    }
}

#[typetag::serde(name = "level-accuracy")]
impl Analysis for LevelAccuracy {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        if let Some(levels) = &self.levels {
            levels.check(problems);
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::Accuracy, Property::Difficulty]);
        if self.together {
            needs.insert(Property::SeveralHeads);
        }
        needs
    }

    fn task_options(&self) -> Map<String, Value> {
        self.task.0.clone()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = self.task.view(subject.run()?)?;
        let levels = levels::asked(self.levels.as_ref(), &view)?;
        let stream = subject.stream.child("judged");
        let judge = Judge { view: &view, levels: &levels, trials: self.trials, together: self.together, stream };
        let majority = judge.majority()?;
        let mut networks = Vec::new();
        for at in self.at.of(&view) {
            networks.push(judge.network(&Stage::load(&view, at)?)?);
        }
        let judged = Judged {
            run: view.label.clone(),
            level_name: level_name(&view),
            levels,
            majority,
            networks,
            trials: self.trials,
        };
        self.findings(&judged)
    }
}

impl LevelAccuracy {
    fn findings(&self, judged: &Judged) -> Result<Findings> {
        let mut findings = Findings::new();
        let protocol = self.task.protocol();
        findings.value("networks", judged.networks.len());
        findings.value("levels", judged.levels.len());
        findings.value("trials", self.trials);
        findings.value("protocol", protocol.as_str());
        let last = judged.last();
        findings.value("mean accuracy", last.and_then(|network| network.mean(|_| true)));
        findings
            .value("mean accuracy of learned levels", last.and_then(|network| network.mean(|answer| answer.learned())));
        findings
            .value("mean accuracy of other levels", last.and_then(|network| network.mean(|answer| !answer.learned())));
        let forgotten = judged.forgotten();
        if judged.networks.len() > 1 {
            let earlier: Vec<f64> = forgotten.iter().filter(|f| !f.last).map(|f| f.own - f.end).collect();
            let mean = (!earlier.is_empty()).then(|| earlier.iter().sum::<f64>() / earlier.len() as f64);
            findings.value("mean forgetting", mean);
            findings.value("largest forgetting", earlier.iter().copied().reduce(f64::max));
        }
        if judged.networks.iter().flat_map(|network| &network.answers).any(Option::is_none) {
            findings.note(
                "where no accuracy is given, several heads were trained and the network has none for that level"
                    .to_string(),
            );
        }
        findings.tables.push(tables::accuracy(judged));
        if judged.networks.len() > 1 && !forgotten.is_empty() {
            findings.tables.push(tables::forgetting(judged, &forgotten));
        }
        if judged.networks.len() > 1 {
            findings.figures.extend(figures::matrix(judged, &protocol));
        }
        findings.figures.extend(last.map(|last| figures::levels(judged, last, &protocol)));
        arrays(&mut findings, judged)?;
        Ok(findings)
    }
}

fn arrays(findings: &mut Findings, judged: &Judged) -> Result<()> {
    let shape = [judged.networks.len(), judged.levels.len()];
    let all = || judged.networks.iter().flat_map(|network| &network.answers);
    let accuracy: Vec<f64> = all().map(|answer| answer.as_ref().map_or(f64::NAN, |answer| answer.accuracy)).collect();
    findings.array("accuracy", Array::new(shape, accuracy)?);
    let learned: Vec<i64> = all().map(|a| i64::from(a.as_ref().is_some_and(|answer| answer.learned()))).collect();
    findings.array("learned", Array::new(shape, learned)?);
    let of = |pick: fn(&Network) -> i64| Array::from(judged.networks.iter().map(pick).collect::<Vec<_>>());
    findings.array("update", of(|network| network.update as i64));
    findings.array("trained_level", of(|network| network.level.map_or(-1, |level| level as i64)));
    findings.array("level", Array::from(judged.levels.iter().map(|level| *level as i64).collect::<Vec<_>>()));
    let majority: Vec<f64> = judged.majority.iter().map(|share| share.unwrap_or(f64::NAN)).collect();
    findings.array("majority", Array::from(majority));
    Ok(())
}

synfire::inventory::submit! { Component::analysis::<LevelAccuracy>("level-accuracy") }
