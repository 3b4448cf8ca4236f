//! Shortcuts through time: the state is mixed with earlier ones at certain steps.
//!
//! A trial is cut into pieces at these steps. Every piece begins with a linear combination of states of the pieces before it, so
//! that the loops over time need not know of shortcuts, and their adjoint is that of the pieces with a few terms handed back.

use crate::task::Period;
use std::ops::Range;

/// What is added to the state at the start of a segment, before it is mixed with the one that was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extrapolation {
    /// Nothing.
    #[default]
    None,
    /// `theta` times the increment of the segment's first step.
    First,
    /// `theta` times the increment of the last step before the segment, before it was mixed; in the first segment of a period that
    /// of its own first step.
    Last,
}

/// How the state is mixed with earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixing {
    /// Steps of a segment, counted from the borders of periods; with fewer than 2 segments are not mixed.
    pub theta: usize,
    /// Share of the state that was reached step by step.
    pub beta: f64,
    /// What is added to the state at the start of the segment.
    pub extrapolation: Extrapolation,
    /// Name of the period at whose beginnings the state is mixed with the one at its last beginning.
    pub onset: Option<String>,
}

/// A state on the way: that of a piece, some steps after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub piece: usize,
    pub step: usize,
}

/// States with their factors.
pub(crate) type Combination = Vec<(f64, Node)>;

/// Consecutive steps without a mixture in between.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    /// Its steps, counted from the start of the segment of trials it belongs to.
    pub steps: Range<usize>,
    /// What it begins with; empty for the initial state.
    pub start: Combination,
    /// The state that counts as the one after its last step.
    pub end: Combination,
}

/// Cuts trials into pieces, one segment of a closed loop after another.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    mixing: Option<Mixing>,
    /// Pieces so far.
    count: usize,
    /// What the next piece begins with.
    next: Combination,
    /// State at the last onset.
    onset: Option<Node>,
}

/// The first or the last state of a step's increment, and the other.
type Increment = (Node, Node);

impl Cutter {
    pub fn new(mixing: Option<Mixing>) -> Self {
        Self { mixing, ..Self::default() }
    }

    /// The pieces of the next `time` steps.
    pub fn cut(&mut self, time: usize, periods: &[Period]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut from = 0;
        if let Some(mixing) = self.mixing.clone() {
            let mut segment = Node { piece: self.count, step: 0 };
            let mut first: Option<Increment> = None;
            let mut last: Option<Increment> = None;
            for t in 0..time {
                let since = since_border(periods, t);
                if since == 0 {
                    if mixing.onset.as_deref().is_some_and(|name| begins(periods, t, name)) {
                        self.meet_onset(&mixing, &mut from, t, &mut pieces);
                    }
                    segment = Node { piece: self.count, step: t - from };
                    (first, last) = (None, None);
                }
                let before = Node { piece: self.count, step: t - from };
                let after = Node { step: before.step + 1, ..before };
                if first.is_none() {
                    first = match mixing.extrapolation {
                        Extrapolation::Last => last.or(Some((before, after))),
                        _ => Some((before, after)),
                    };
                }
                last = Some((before, after));
                if mixing.theta > 1 && (since + 1).is_multiple_of(mixing.theta) {
                    let skipped = 1.0 - mixing.beta;
                    let mut mixed = vec![(mixing.beta, after), (skipped, segment)];
                    if let (Some((a, b)), false) = (first, mixing.extrapolation == Extrapolation::None) {
                        let far = skipped * mixing.theta as f64;
                        mixed.extend([(far, b), (-far, a)]);
                    }
                    self.close(&mut from, t + 1, mixed, &mut pieces);
                    segment = Node { piece: self.count, step: 0 };
                    first = None;
                }
            }
        }
        if from < time {
            let end = vec![(1.0, Node { piece: self.count, step: time - from })];
            self.close(&mut from, time, end, &mut pieces);
        }
        pieces
    }

    fn close(&mut self, from: &mut usize, to: usize, end: Combination, pieces: &mut Vec<Piece>) {
        let start = std::mem::replace(&mut self.next, end.clone());
        pieces.push(Piece { steps: *from..to, start, end });
        self.count += 1;
        *from = to;
    }

    /// Mix at the beginning of the period with that name.
    fn meet_onset(&mut self, mixing: &Mixing, from: &mut usize, t: usize, pieces: &mut Vec<Piece>) {
        if let Some(onset) = self.onset {
            if *from < t {
                let end = vec![(1.0, Node { piece: self.count, step: t - *from })];
                self.close(from, t, end, pieces);
            }
            self.next.iter_mut().for_each(|(factor, _)| *factor *= mixing.beta);
            self.next.push((1.0 - mixing.beta, onset));
        }
        self.onset = Some(Node { piece: self.count, step: t - *from });
    }
}

/// Steps since the last period began, in step `t` of a segment.
pub(crate) fn since_border(periods: &[Period], t: usize) -> usize {
    let starts = periods.iter().map(|period| period.steps.start).filter(|start| *start <= t);
    t - starts.max().unwrap_or(0)
}

/// Whether a period of that name begins with step `t`.
fn begins(periods: &[Period], t: usize, name: &str) -> bool {
    periods.iter().any(|period| period.steps.start == t && period.name == name)
}

/// The name of the period that began last, in step `t` of a segment; empty before the first.
pub(crate) fn period_at(periods: &[Period], t: usize) -> &str {
    let begun = periods.iter().filter(|period| period.steps.start <= t);
    begun.max_by_key(|period| period.steps.start).map_or("", |period| &period.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(piece: usize, step: usize) -> Node {
        Node { piece, step }
    }

    #[test]
    fn nothing_is_cut_without_mixing() {
        let mut cutter = Cutter::new(None);
        let whole = cutter.cut(7, &[Period::new("a", 0, 3), Period::new("b", 3, 7)]);
        assert_eq!(whole, [Piece { steps: 0..7, start: vec![], end: vec![(1.0, node(0, 7))] }]);
        assert_eq!(cutter.cut(2, &[])[0].start, [(1.0, node(0, 7))]);
    }

    #[test]
    fn segments_restart_at_borders() {
        let mixing = Mixing { theta: 3, beta: 0.25, extrapolation: Extrapolation::Last, onset: None };
        let pieces = Cutter::new(Some(mixing)).cut(11, &[Period::new("a", 0, 4), Period::new("b", 4, 11)]);
        let steps: Vec<_> = pieces.iter().map(|piece| piece.steps.clone()).collect();
        // 0..3 is whole, 3..4 is cut short by the border and belongs to the same piece as 4..7.
        assert_eq!(steps, [0..3, 3..7, 7..10, 10..11]);
        let own = |start, a, b, end| vec![(0.25, end), (0.75, start), (2.25, b), (-2.25, a)];
        assert_eq!(pieces[0].end, own(node(0, 0), node(0, 0), node(0, 1), node(0, 3)));
        assert_eq!(pieces[1].end, own(node(1, 1), node(1, 1), node(1, 2), node(1, 4)));
        // The second segment of a period looks at the last step before it.
        assert_eq!(pieces[2].end, own(node(2, 0), node(1, 3), node(1, 4), node(2, 3)));
        assert_eq!(pieces[2].start, pieces[1].end);
    }

    #[test]
    fn onsets_mix_with_the_last_one_across_segments_of_a_closed_loop() {
        let mixing = Mixing { theta: 0, beta: 0.5, extrapolation: Extrapolation::None, onset: Some("cue".into()) };
        let mut cutter = Cutter::new(Some(mixing));
        let first = cutter.cut(4, &[Period::new("wait", 0, 1), Period::new("cue", 1, 4)]);
        assert_eq!(first.len(), 1);
        let second = cutter.cut(5, &[Period::new("wait", 0, 2), Period::new("cue", 2, 5)]);
        assert_eq!(second[1].steps, 2..5);
        assert_eq!(second[1].start, [(0.5, node(1, 2)), (0.5, node(0, 1))]);
        assert_eq!(second[0].end, [(1.0, node(1, 2))]);
    }
}
