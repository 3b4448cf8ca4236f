//! The one loop over updates: lesson, trials, update, evaluation, checkpoint, stop.

use crate::cell::{BuildContext, Mode, Setting};
use crate::curriculum::{Evaluation, History, Lesson, LessonRecord, Step, UpdateRecord};
use crate::evaluate::Evaluator;
use crate::experiment::Parts;
use crate::network::Network;
use crate::observer::Observe;
use crate::rollout::Rollout;
use crate::rule::Learner;
use crate::run::{Checkpoint, RunDir};
use crate::workers::{Workers, guarded};
use crate::{Error, Experiment, Registry, Result, Stream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

mod log;
mod session;
mod together;

use log::Log;
pub(crate) use log::write_past;
pub use session::{Outcome, Session};

/// Why a member stopped.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The curriculum or the budget ended it.
    Finished(String),
    /// It was asked to stop; it can go on.
    Interrupted,
}

/// The training of one member.
struct Trainer<'a> {
    member: usize,
    experiment: &'a Experiment,
    parts: &'a Parts,
    context: BuildContext<'a>,
    registry: &'a Registry,
    dir: RunDir,
    workers: &'a Workers,
    observer: &'a dyn Observe,
    stop: &'a AtomicBool,
    root: Stream,
    trial_root: Stream,
    network: Network,
    learner: Box<dyn Learner>,
    history: History,
    log: Log,
    /// How many of the last updates the curriculum wants to see.
    memory: usize,
}

impl<'a> Trainer<'a> {
    /// Begin anew, or continue from the last intact checkpoint.
    fn new(session: &Session<'a>, parts: &'a Parts, member: usize, dir: RunDir, workers: &'a Workers) -> Result<Self> {
        let experiment = session.experiment;
        let context = parts.context(experiment, session.registry)?;
        let seed = experiment.member_seed(member);
        let root = Stream::new(seed);
        let trial_seed = if experiment.training.shared_trials { experiment.seed } else { seed };
        let checkpoint = match dir.checkpoints().is_empty() {
            true => None,
            false => Some(dir.load_last_checkpoint(context.device)?),
        };
        let history = checkpoint.as_ref().map(|c| c.state.history.clone()).unwrap_or_default();
        let (mut network, mut learner) = begin(parts, &context, seed, history.restarts)?;
        if let Some(Checkpoint { parameters, learner: saved, state }) = checkpoint {
            network = parts.network_from(&context, parameters, state.readout)?;
            if saved.is_empty() {
                // An imported network has no learner yet: the rule starts on it, and adds what must outlive training.
                let stream = Parts::initial_stream(seed, state.history.restarts).child("rule");
                learner = parts.rule.start(&mut network, &context, &stream)?;
            }
            learner.refit(&network)?;
            if !saved.is_empty() {
                learner.restore(saved)?;
            }
        }
        let log = Log::open(&dir, history.updates)?;
        Ok(Self {
            member,
            experiment,
            parts,
            context,
            registry: session.registry,
            dir,
            workers,
            observer: session.observer,
            stop: session.stop,
            trial_root: Stream::new(trial_seed),
            root,
            network,
            learner,
            history,
            log,
            memory: parts.curriculum.memory(session.registry),
        })
    }

    /// Say that training begins.
    fn announce(&self) {
        self.observer.start(self.member, self.history.updates, self.experiment.training.updates);
    }

    /// Train until the curriculum, the budget or a signal ends it.
    fn run(&mut self) -> Result<Ending> {
        self.announce();
        loop {
            if let Some(ending) = self.turn()? {
                return Ok(ending);
            }
        }
    }

    /// Train until this many updates are done, and judged where they are to be, or until it ends.
    fn run_to(&mut self, updates: u64) -> Result<Option<Ending>> {
        while self.history.updates < updates {
            if let Some(ending) = self.turn()? {
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    /// What comes next: an update with what belongs to it, a restart, or the end.
    fn turn(&mut self) -> Result<Option<Ending>> {
        let training = &self.experiment.training;
        match self.next()? {
            Step::Stop { reason } => return self.finish(reason).map(Some),
            Step::Restart { reason } => self.restart(&reason)?,
            Step::Lesson(lesson) => {
                if self.history.lesson() != Some(&lesson) {
                    self.begin_lesson(lesson)?;
                }
                if self.history.updates >= training.updates {
                    let reason = format!("budget of {} updates", training.updates);
                    return self.finish(reason).map(Some);
                }
                if self.stop.load(Ordering::Relaxed) {
                    self.save()?;
                    return Ok(Some(Ending::Interrupted));
                }
                self.update()?;
                if self.history.updates.is_multiple_of(training.updates_per_evaluation) {
                    self.evaluate()?;
                }
                if self.history.updates.is_multiple_of(training.checkpoint_interval()) {
                    self.save()?;
                }
            }
        }
        Ok(None)
    }

    fn next(&self) -> Result<Step> {
        self.parts.next(&self.history, self.experiment.member_seed(self.member), self.registry)
    }

    fn begin_lesson(&mut self, lesson: Lesson) -> Result<()> {
        // What solved the last lesson, or has not learned anything yet, is kept.
        let stream = Parts::initial_stream(self.experiment.member_seed(self.member), self.history.restarts);
        if self.history.lessons.is_empty() {
            self.fit_heads(&lesson, &stream)?;
            self.save()?;
        } else {
            self.save()?;
            self.fit_heads(&lesson, &stream)?;
        }
        self.observer.lesson(self.member, &lesson);
        self.history.lessons.push(LessonRecord { from: self.history.updates, lesson });
        Ok(())
    }

    fn fit_heads(&mut self, lesson: &Lesson, stream: &Stream) -> Result<()> {
        self.network.drop_heads(&lesson.drop_heads);
        self.network.add_heads(&lesson.heads(&self.parts.spec), &self.context, stream)?;
        self.learner.refit(&self.network)
    }

    fn restart(&mut self, reason: &str) -> Result<()> {
        tracing::info!(member = self.member, updates = self.history.updates, reason, "beginning again");
        self.history.restarts += 1;
        self.history.recent.clear();
        let seed = self.experiment.member_seed(self.member);
        (self.network, self.learner) = begin(self.parts, &self.context, seed, self.history.restarts)?;
        if let Some(lesson) = self.history.lesson().cloned() {
            self.fit_heads(&lesson, &Parts::initial_stream(seed, self.history.restarts))?;
            self.history.lessons.push(LessonRecord { from: self.history.updates, lesson });
        }
        Ok(())
    }

    fn update(&mut self) -> Result<()> {
        let began = Instant::now();
        let lesson = self.history.lesson().cloned().unwrap_or_default();
        let index = self.history.updates;
        let batch = self.parts.rule.batch().unwrap_or(self.experiment.training.batch);
        let task = &*self.parts.task;
        let mut stream = self.trial_root.child("trials").at(index);
        let asked = Lesson { update: index, ..lesson.clone() };
        let trials =
            guarded(&format!("task '{}'", self.experiment.task.name), || task.trials(&asked, batch, &mut stream))?;
        let trials = trials.to(self.context.device, self.context.kind);
        let rollout = Rollout {
            task,
            lesson: &lesson,
            setting: self.parts.setting(&lesson, Mode::Training),
            stream: self.root.child("network").at(index),
            workers: self.workers,
            fast: self.experiment.training.fast,
            settle: self.experiment.training.settle_steps,
        };
        let learner = &mut self.learner;
        let network = &mut self.network;
        let report =
            guarded(&format!("rule '{}'", self.experiment.rule.name), || learner.update(network, trials, &rollout))
                .map_err(|error| match error {
                    // A learner does not know how many updates there were.
                    Error::NotFinite { what, .. } => not_finite(what, index + 1, network, &rollout.setting),
                    other => other,
                })?;
        self.network.bound()?;
        self.history.updates += 1;
        let update = self.history.updates;
        if !report.loss.is_finite() {
            return Err(not_finite("the loss".into(), update, &self.network, &rollout.setting));
        }
        let record = UpdateRecord { update, loss: report.loss, accuracy: report.accuracy };
        self.observer.update(self.member, &record);
        self.history.tally.add(report.loss, report.accuracy, report.gradient_norm);
        let memory = self.memory;
        if memory > 0 {
            if self.history.recent.len() == memory {
                self.history.recent.pop_front();
            }
            self.history.recent.push_back(record);
        }
        self.log.spend(began.elapsed());
        Ok(())
    }

    /// Judge the present network; the stream depends on nothing but the update, if on that.
    fn judge(&self) -> Result<Evaluation> {
        // Coarse steps are a device of training; what counts is the network at the task's own step.
        let lesson = Lesson { dt_ms: None, ..self.history.lesson().cloned().unwrap_or_default() };
        let evaluator = Evaluator {
            parts: self.parts,
            training: &self.experiment.training,
            workers: self.workers,
            mode: Mode::Evaluation,
            from: None,
        };
        let training = &self.experiment.training;
        let at = if training.same_evaluation_trials { 0 } else { self.history.updates };
        let stream = self.trial_root.child("evaluation").at(at);
        let results = evaluator.run(&self.network, &lesson, self.experiment.training.evaluation_trials, &stream)?;
        if let Some(what) = crate::network::first_not_finite(&self.network.parameters) {
            let setting = self.parts.setting(&lesson, Mode::Training);
            return Err(not_finite(format!("parameter '{what}'"), self.history.updates, &self.network, &setting));
        }
        Ok(Evaluation {
            update: self.history.updates,
            lesson: self.history.lessons.len().saturating_sub(1),
            trials: results.trials,
            loss: results.loss,
            accuracy: results.accuracy,
            heads: results.heads,
        })
    }

    fn evaluate(&mut self) -> Result<()> {
        let evaluation = self.judge()?;
        let lesson = self.history.lesson().cloned().unwrap_or_default();
        self.observer.evaluation(self.member, &evaluation, &lesson);
        let tally = std::mem::take(&mut self.history.tally);
        self.log.evaluation(&evaluation, &lesson, &tally)?;
        self.history.evaluations.push(evaluation);
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        self.log.flush()?;
        let plugins = self.registry.plugins().cloned().collect();
        self.dir.save_checkpoint_with(&self.network, &self.learner.state()?, &self.history, plugins)
    }

    fn finish(&mut self, reason: String) -> Result<Ending> {
        self.save()?;
        self.observer.stop(self.member, self.history.updates, &reason);
        Ok(Ending::Finished(reason))
    }

    /// The last evaluation; made now, outside the history, if training ended between two.
    fn last_evaluation(&self) -> Result<Evaluation> {
        match self.history.evaluations.last().filter(|e| e.update == self.history.updates) {
            Some(evaluation) => Ok(evaluation.clone()),
            None => self.judge(),
        }
    }
}

/// The error of a quantity that is not finite, with what the cell knows about it.
fn not_finite(what: String, update: u64, network: &Network, setting: &Setting) -> Error {
    Error::NotFinite { what, update, caution: network.dynamics.caution(setting) }
}

/// A new network and its learner.
fn begin(parts: &Parts, context: &BuildContext, seed: u64, restart: u64) -> Result<(Network, Box<dyn Learner>)> {
    let stream = Parts::initial_stream(seed, restart);
    let mut network = parts.cell.build(context, &stream.child("cell"))?;
    // Heads of the default lesson, so that a rule that wires them back finds them.
    network.add_heads(&[0], context, &stream)?;
    let learner = parts.rule.start(&mut network, context, &stream.child("rule"))?;
    Ok((network, learner))
}
