//! The time constants of one network over its training, and of several by level.

use super::super::clock::{PARAMETER, most_substeps, time_constants};
use super::super::summary::Summary;
use std::collections::BTreeMap;
use synfire::subject::{At, RunView};
use synfire::{Error, Result};
use synfire_essentials::checkpoints::{Stage, level_name, milestones};

/// The time constants of a network at one checkpoint.
pub(super) struct Constants {
    pub update: u64,
    pub level: Option<usize>,
    /// The parameter as it is, one for each unit or a single one for all; layer by layer where there are several.
    pub raw: Vec<f64>,
    /// The least value that acts of each, in the unit of the cell.
    pub bounds: Vec<f64>,
    /// `steps`, `ms` or `symbols`.
    pub unit: &'static str,
}

impl Constants {
    fn of(run: &RunView, at: At, substeps: Option<usize>) -> Result<Self> {
        let Stage { update, level, checkpoint } = Stage::load(run, at)?;
        let layers = time_constants(run, &checkpoint.parameters, substeps);
        let Some(unit) = layers.first().map(|(clock, _)| clock.unit) else {
            return Err(Error::Incompatible {
                needs: format!("the parameter '{PARAMETER}'"),
                because: format!("the networks of {} do not have it; use a cell with time constants", run.label),
            });
        };
        if layers.iter().any(|(clock, _)| clock.unit != unit) {
            return Err(Error::Incompatible {
                needs: "time constants in one unit".into(),
                because: format!("layers of {} count time in different units; give all the same unit", run.label),
            });
        }
        let bounds = layers.iter().flat_map(|(clock, raw)| vec![clock.bound; raw.len()]).collect();
        let raw = layers.into_iter().flat_map(|(_, raw)| raw).collect();
        Ok(Self { update, level, raw, bounds, unit })
    }

    /// The values as the cell uses them.
    pub fn clamped(&self) -> Vec<f64> {
        self.raw.iter().zip(&self.bounds).map(|(tau, bound)| tau.max(*bound)).collect()
    }

    pub fn raw_summary(&self) -> Summary {
        Summary::of(&self.raw)
    }

    pub fn clamped_summary(&self) -> Summary {
        Summary::of(&self.clamped())
    }

    /// Share of units at or below the bound.
    pub fn frozen(&self) -> f64 {
        let frozen = self.raw.iter().zip(&self.bounds).filter(|(tau, bound)| tau <= bound).count();
        frozen as f64 / self.raw.len() as f64
    }
}

/// The time constants of one network over its training.
pub(super) struct Course {
    pub label: String,
    /// What levels of the task are called.
    pub level_name: String,
    /// `steps`, `ms` or `symbols`.
    pub unit: &'static str,
    /// In the order of updates; never empty.
    pub stages: Vec<Constants>,
}

impl Course {
    pub fn of(run: &RunView) -> Result<Self> {
        let substeps = most_substeps(run)?;
        let stages: Vec<Constants> = match &milestones(run)[..] {
            [] => vec![Constants::of(run, At::Last, substeps)?],
            updates => updates.iter().map(|u| Constants::of(run, At::Update(*u), substeps)).collect::<Result<_>>()?,
        };
        Ok(Self { label: run.label.clone(), level_name: level_name(run), unit: stages[0].unit, stages })
    }

    pub fn first(&self) -> &Constants {
        &self.stages[0]
    }

    pub fn last(&self) -> &Constants {
        &self.stages[self.stages.len() - 1]
    }

    /// Whether some checkpoint was made after training on a level.
    pub fn has_levels(&self) -> bool {
        self.stages.iter().any(|stage| stage.level.is_some())
    }

    /// The last checkpoint of each level, by level.
    pub fn by_level(&self) -> BTreeMap<usize, &Constants> {
        self.stages.iter().filter_map(|stage| stage.level.map(|level| (level, stage))).collect()
    }

    /// The level at which the mean is lowest: where a curriculum that lengthens time constants begins to. Nothing
    /// where there are not several levels.
    pub fn lowest_mean(&self) -> Option<usize> {
        let levels = self.by_level();
        if levels.len() < 2 {
            return None;
        }
        let means = levels.into_iter().map(|(level, stage)| (level, stage.raw_summary().mean));
        means.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(level, _)| level)
    }
}

/// The networks of a group that reached a level.
pub(super) struct AtLevel {
    pub level: usize,
    /// Over units, one a network.
    pub summaries: Vec<Summary>,
}

impl AtLevel {
    /// Over networks, of their means over units.
    pub fn means(&self) -> Summary {
        Summary::of(&self.summaries.iter().map(|summary| summary.mean).collect::<Vec<_>>())
    }

    /// Over networks, of their standard deviations over units.
    pub fn stds(&self) -> Summary {
        Summary::of(&self.summaries.iter().map(|summary| summary.std).collect::<Vec<_>>())
    }
}

/// The networks of a group by the levels they reached, ascending.
pub(super) fn by_level(courses: &[Course], members: &[usize]) -> Vec<AtLevel> {
    let mut levels: BTreeMap<usize, Vec<Summary>> = BTreeMap::new();
    for course in members.iter().filter_map(|member| courses.get(*member)) {
        for (level, stage) in course.by_level() {
            levels.entry(level).or_default().push(stage.raw_summary());
        }
    }
    levels.into_iter().map(|(level, summaries)| AtLevel { level, summaries }).collect()
}
