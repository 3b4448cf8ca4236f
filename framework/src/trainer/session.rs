//! A run: all its members, side by side, with manifest, lock and analyses.

use super::{Ending, Trainer};
use crate::curriculum::Evaluation;
use crate::experiment::Parts;
use crate::observer::Observe;
use crate::run::{Manifest, RunDir, Status};
use crate::storage::RunLock;
use crate::workers::Workers;
use crate::{Error, Experiment, Registry, Result};
use indexmap::IndexMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Instant;

/// What a run is trained with.
pub struct Session<'a> {
    /// The resolved experiment.
    pub experiment: &'a Experiment,
    /// All components.
    pub registry: &'a Registry,
    /// Its directory.
    pub dir: &'a RunDir,
    /// Number of threads.
    pub threads: usize,
    /// Who watches.
    pub observer: &'a dyn Observe,
    /// Set from outside to end the run at the next update.
    pub stop: &'a AtomicBool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Finished or interrupted.
    pub status: Status,
    /// Why, in words.
    pub stopped: String,
    /// Updates of the member that got furthest.
    pub updates: u64,
    /// Seconds of this stretch of work.
    pub seconds: f64,
    /// Last evaluation of each member.
    pub evaluations: Vec<Evaluation>,
}

pub(super) type Ended = (Ending, u64, Evaluation);

impl Session<'_> {
    /// Train all members from where they stand to their end, or until the stop flag is set.
    ///
    /// # Errors
    /// The first member's error; members that did not fail have their checkpoints.
    pub fn train(&self) -> Result<Outcome> {
        let _lock = RunLock::acquire(self.dir.path())?;
        self.dir.remove_leftovers(self.experiment)?;
        self.dir.require_plugins(self.registry)?;
        let began = Instant::now();
        let mut manifest = match self.dir.manifest() {
            Ok(manifest) => Manifest {
                status: Status::Running,
                stopped: None,
                threads: self.threads,
                device: self.experiment.device_name()?,
                plugins: self.registry.plugins().cloned().collect(),
                ..manifest
            },
            Err(_) => Manifest::new(self.experiment, self.registry, self.threads)?,
        };
        self.dir.write_manifest(&manifest)?;
        let parts = self.experiment.parts(self.registry)?;
        let ended = match &self.experiment.training.together {
            Some(rule) => super::together::members(self, &parts, rule),
            None => self.members(&parts),
        };
        let seconds = began.elapsed().as_secs_f64();
        let ended = match ended.into_iter().collect::<Result<Vec<_>>>() {
            Ok(ended) => ended,
            Err(error) => {
                manifest.end(Status::Failed, error.to_string(), seconds);
                self.dir.write_manifest(&manifest)?;
                return Err(error);
            }
        };
        let interrupted = ended.iter().any(|(ending, ..)| *ending == Ending::Interrupted);
        let status = if interrupted { Status::Interrupted } else { Status::Finished };
        let stopped = if interrupted { "interrupted".to_string() } else { reasons(&ended) };
        let evaluations: Vec<Evaluation> = ended.iter().map(|(_, _, evaluation)| evaluation.clone()).collect();
        manifest.updates = ended.iter().map(|(_, updates, _)| *updates).max().unwrap_or(0);
        manifest.metrics = evaluations.iter().map(metrics).collect();
        manifest.end(status, stopped.clone(), seconds);
        self.dir.write_manifest(&manifest)?;
        Ok(Outcome { status, stopped, updates: manifest.updates, seconds, evaluations })
    }

    /// One network per thread; with a single member its rows share the threads.
    fn members(&self, parts: &Parts) -> Vec<Result<Ended>> {
        let dirs = self.dir.members(self.experiment);
        let count = dirs.len();
        let side_by_side = self.threads.min(count).max(1);
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<Result<Ended>>>> = Mutex::new((0..count).map(|_| None).collect());
        let ready = Barrier::new(side_by_side);
        let work = || {
            let memory = self.experiment.training.state_memory_mib.saturating_mul(1 << 20);
            let workers = Workers::new(if side_by_side == 1 { self.threads } else { 1 });
            let workers = workers.map(|workers| workers.with_state_memory(memory));
            // No member computes while libtorch starts on the thread of another.
            ready.wait();
            loop {
                let member = next.fetch_add(1, Ordering::Relaxed);
                if member >= count {
                    return;
                }
                let ended = match &workers {
                    Ok(workers) => self.member(parts, member, &dirs[member], workers),
                    Err(error) => Err(Error::Failed(error.to_string())),
                };
                if let Ok(mut results) = results.lock() {
                    results[member] = Some(ended);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..side_by_side {
                scope.spawn(work);
            }
        });
        let results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let lost = || Err(Error::Failed("a member's thread ended without a result".into()));
        results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    fn member(&self, parts: &Parts, member: usize, dir: &RunDir, workers: &Workers) -> Result<Ended> {
        let _span = tracing::info_span!("training", member).entered();
        let mut trainer = Trainer::new(self, parts, member, dir.clone(), workers)?;
        let ending = trainer.run()?;
        Ok((ending, trainer.history.updates, trainer.last_evaluation()?))
    }
}

/// The reasons of all members, each once.
fn reasons(ended: &[Ended]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for (ending, ..) in ended {
        if let Ending::Finished(reason) = ending
            && !words.contains(&reason.as_str())
        {
            words.push(reason);
        }
    }
    words.join("; ")
}

/// An evaluation as named numbers.
pub(super) fn metrics(evaluation: &Evaluation) -> IndexMap<String, f64> {
    let named = Evaluation::METRICS.iter().filter_map(|name| evaluation.metric(name).map(|v| ((*name).to_string(), v)));
    named.collect()
}
