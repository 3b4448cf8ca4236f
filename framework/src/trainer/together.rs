//! Members that meet after each evaluation, where a rule over all of them may end the run.

use super::session::{Ended, Session};
use super::{Ending, Trainer};
use crate::experiment::{Parts, Together};
use crate::run::RunDir;
use crate::workers::{Workers, guarded};
use crate::{Error, Result};
use std::sync::{Barrier, Mutex, PoisonError};

/// What members tell each other when they meet.
struct Board {
    /// Updates done, by member.
    updates: Vec<u64>,
    /// The metric of the last evaluation, by member.
    values: Vec<Option<f64>>,
    /// Whether a member is done, or failed.
    over: Vec<bool>,
}

/// What follows from a meeting.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    GoOn,
    Met,
    NobodyLeft,
}

impl Board {
    fn verdict(&self, rule: &Together) -> Verdict {
        let all: Option<Vec<f64>> = self.values.iter().copied().collect();
        if all.is_some_and(|values| rule.is_met(values)) {
            return Verdict::Met;
        }
        if self.over.iter().all(|over| *over) { Verdict::NobodyLeft } else { Verdict::GoOn }
    }
}

/// A member at the table of its thread.
struct Seat<'a> {
    member: usize,
    trainer: Trainer<'a>,
    ending: Option<Ending>,
}

/// Train all members, each on the thread of its turn, from one meeting to the next.
///
/// A member that meets the others does what it would do alone up to there; the meeting itself only ends training.
pub(super) fn members(session: &Session, parts: &Parts, rule: &Together) -> Vec<Result<Ended>> {
    let dirs = session.dir.members(session.experiment);
    let count = dirs.len();
    let tables = session.threads.min(count).max(1);
    let board = Mutex::new(Board { updates: vec![0; count], values: vec![None; count], over: vec![false; count] });
    let results: Mutex<Vec<Option<Result<Ended>>>> = Mutex::new((0..count).map(|_| None).collect());
    let barrier = Barrier::new(tables);
    let shared =
        Shared { session, parts, rule, dirs: &dirs, tables, board: &board, results: &results, barrier: &barrier };
    std::thread::scope(|scope| {
        for table in 0..tables {
            let shared = &shared;
            scope.spawn(move || shared.sit(table));
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lost = || Err(Error::Failed("a member's thread ended without a result".into()));
    results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
}

struct Shared<'a> {
    session: &'a Session<'a>,
    parts: &'a Parts,
    rule: &'a Together,
    dirs: &'a [RunDir],
    tables: usize,
    board: &'a Mutex<Board>,
    results: &'a Mutex<Vec<Option<Result<Ended>>>>,
    barrier: &'a Barrier,
}

impl Shared<'_> {
    fn write(&self, member: usize, change: impl Fn(&mut Board, usize)) {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner), member);
    }

    fn report(&self, member: usize, result: Result<Ended>) {
        self.write(member, |board, member| board.over[member] = true);
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[member] = Some(result);
    }

    /// The members of one thread, to their end.
    fn sit(&self, table: usize) {
        let threads = if self.tables == 1 { self.session.threads } else { 1 };
        let workers = Workers::new(threads);
        // No member computes while libtorch starts on the thread of another.
        self.barrier.wait();
        let mut seats = Vec::new();
        for member in (table..self.dirs.len()).step_by(self.tables) {
            let trainer = match &workers {
                Ok(workers) => Trainer::new(self.session, self.parts, member, self.dirs[member].clone(), workers),
                Err(error) => Err(Error::Failed(error.to_string())),
            };
            match trainer {
                Ok(trainer) => {
                    let updates = trainer.history.updates;
                    self.write(member, |board, member| board.updates[member] = updates);
                    trainer.announce();
                    seats.push(Seat { member, trainer, ending: None });
                }
                Err(error) => self.report(member, Err(error)),
            }
        }
        self.barrier.wait();
        let interval = self.session.experiment.training.updates_per_evaluation;
        let fewest = |board: &Board| board.updates.iter().copied().min().unwrap_or(0);
        let mut round = fewest(&self.board.lock().unwrap_or_else(PoisonError::into_inner)) / interval;
        loop {
            seats.retain_mut(|seat| self.advance(seat, round * interval));
            self.barrier.wait();
            let verdict = self.board.lock().unwrap_or_else(PoisonError::into_inner).verdict(self.rule);
            // Nobody writes before all have read.
            self.barrier.wait();
            if verdict != Verdict::GoOn {
                seats.into_iter().for_each(|seat| self.leave(seat, verdict));
                return;
            }
            round += 1;
        }
    }

    /// Train a member on to a meeting, and tell the others; false where it failed.
    fn advance(&self, seat: &mut Seat, until: u64) -> bool {
        if seat.ending.is_some() {
            return true;
        }
        let trainer = &mut seat.trainer;
        match guarded("training", || trainer.run_to(until)) {
            Ok(ending) => {
                seat.ending = ending;
                let evaluations = &seat.trainer.history.evaluations;
                // A member that is ahead, after an interruption, shows what it was at this point.
                let shown = evaluations.iter().rev().find(|e| e.update == until || seat.ending.is_some());
                let value = shown.and_then(|evaluation| evaluation.metric(&self.rule.metric));
                let over = seat.ending.is_some();
                self.write(seat.member, |board, member| {
                    board.values[member] = value;
                    board.over[member] = over;
                });
                true
            }
            Err(error) => {
                self.report(seat.member, Err(error));
                false
            }
        }
    }

    fn leave(&self, seat: Seat, verdict: Verdict) {
        let Seat { member, mut trainer, ending } = seat;
        let ending = match (ending, verdict) {
            (None, Verdict::Met) => trainer.finish(self.rule.words()),
            (Some(ending), _) => Ok(ending),
            (None, _) => Err(Error::Failed("a member was left behind".into())),
        };
        let ended = ending.and_then(|ending| Ok((ending, trainer.history.updates, trainer.last_evaluation()?)));
        self.report(member, ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_members_decide() {
        let rule = Together { threshold: 0.9, trim: 0.1, ..Together::default() };
        let ten = |worst: f64, others: f64| [vec![worst], vec![others; 8], vec![1.0]].concat();
        assert!(rule.is_met(ten(0.0, 0.9)), "the worst and the best do not count");
        assert!(!rule.is_met(ten(1.0, 0.88)));
        assert!(!Together { trim: 0.0, ..rule.clone() }.is_met(ten(0.0, 0.9)));
        let loss = Together { metric: "loss".into(), threshold: 0.1, trim: 0.1 };
        let losses = |one: f64, others: f64| [vec![one], vec![others; 9]].concat();
        assert!(loss.is_met(losses(5.0, 0.05)) && !loss.is_met(losses(0.0, 0.2)));
        assert!(!rule.is_met(Vec::new()));
    }

    #[test]
    fn everybody_must_have_been_judged() {
        let rule = Together::default();
        let board = |values, over| Board { updates: vec![0; 2], values, over };
        assert!(board(vec![Some(1.0), None], vec![false; 2]).verdict(&rule) == Verdict::GoOn);
        assert!(board(vec![Some(1.0), None], vec![true; 2]).verdict(&rule) == Verdict::NobodyLeft);
        assert!(board(vec![Some(1.0), Some(1.0)], vec![true, false]).verdict(&rule) == Verdict::Met);
    }
}
