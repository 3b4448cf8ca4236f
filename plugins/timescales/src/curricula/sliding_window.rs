//! A window of levels that slides to harder ones.

use super::advance::{self, Ladder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::curriculum::{History, LessonContext, Level, Step};
use synfire::{Component, Curriculum, Problems, Properties, Property, Registry, Result, TaskSpec};

/// Which head answers a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadBinding {
    /// That of its place in the window: a head serves another level after each shift.
    #[default]
    Position,
    /// One of its own, which nothing trains any more once the window has passed.
    Level,
}

/// Train a window of levels at once, each with a head: the window slides to harder levels when the present ones are solved.
///
/// The window begins with `max(init_heads, forget_heads)` levels. At each success the `forget_heads` easiest leave it and
/// `add_heads` harder ones enter; left out, as many as leave. The levels are solved when both the mean accuracy over heads and the accuracy of the hardest level are above
/// `threshold`.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927 (multi-head sliding curriculum).
/// Differs: the published code takes a number of heads to add and ignores it, as does `add_heads` left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlidingWindow {
    /// Accuracy that must be exceeded, as a fraction.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub threshold: f64,
    /// Easiest level of the first window; left out, the task's easiest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_level: Option<usize>,
    /// Level whose solution ends training; left out, the task's hardest, or the budget ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_level: Option<usize>,
    /// Levels of the window; at least `forget_heads` are taken.
    #[schemars(range(min = 1))]
    pub init_heads: usize,
    /// Levels that leave the window at each success.
    #[schemars(range(min = 1))]
    pub forget_heads: usize,
    /// Levels that enter it at each success; left out, as many as leave, so that its width stays. More widen it, fewer narrow it
    /// down to one.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_heads: Option<usize>,
    /// Which head answers a level: `position` as published, or `level`.
    pub head_binding: HeadBinding,
}

impl Default for SlidingWindow {
    fn default() -> Self {
        Self {
            threshold: 0.98,
            first_level: None,
            last_level: None,
            init_heads: 10,
            forget_heads: 5,
            add_heads: None,
            head_binding: HeadBinding::Position,
        }
    }
}

impl SlidingWindow {
    fn width(&self) -> usize {
        self.init_heads.max(self.forget_heads)
    }

    fn added(&self) -> usize {
        self.add_heads.unwrap_or(self.forget_heads)
    }
}

#[typetag::serde(name = "sliding-window")]
impl Curriculum for SlidingWindow {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        advance::check(self.threshold, self.first_level, self.last_level, problems);
        let counts =
            [("init_heads", self.init_heads), ("forget_heads", self.forget_heads), ("add_heads", self.added())];
        for (field, value) in counts {
            problems.require((1..=1 << 16).contains(&value), field, value, "from 1 to 65536");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::Accuracy, Property::Difficulty]);
        if self.width().max(self.added()) > 1 {
            needs.insert(Property::SeveralHeads);
        }
        needs
    }

    fn next(&self, history: &History, task: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let ladder = Ladder::new(task, self.first_level, self.last_level)?;
        let window = |easiest: usize, width: usize| {
            let bound = |position: usize| {
                let level = easiest + position;
                let head = match self.head_binding {
                    HeadBinding::Position => position,
                    HeadBinding::Level => level.saturating_sub(ladder.first),
                };
                Level { level, head }
            };
            (0..width).map(bound).collect::<Vec<_>>()
        };
        let begin = || window(ladder.first, 1 + ladder.room(ladder.first, self.width() - 1));
        let advance = |levels: &[Level]| {
            let (easiest, hardest) = (levels.first()?.level, levels.last()?.level);
            let entering = ladder.room(hardest, self.added());
            // Where the last level cuts the entering ones short, as many fewer leave; the hardest always stays.
            let leaving = self.forget_heads.saturating_sub(self.added() - entering);
            let leaving = leaving.min(levels.len() + entering - 1);
            (entering > 0).then(|| window(easiest + leaving, levels.len() + entering - leaving))
        };
        Ok(ladder.next(history, task, self.threshold, begin, advance))
    }
}

synfire::inventory::submit! { Component::curriculum::<SlidingWindow>("sliding-window") }

#[cfg(test)]
mod tests {
    use super::super::advance::tests::{Training, levels};
    use super::*;

    #[test]
    fn heads_stay_at_their_places_in_the_window() {
        let curriculum =
            SlidingWindow { init_heads: 3, forget_heads: 2, last_level: Some(7), ..SlidingWindow::default() };
        let mut training = Training::new(&curriculum);
        assert_eq!(levels(&training.ask()), [(2, 0), (3, 1), (4, 2)]);
        assert_eq!(training.after(0.99), [(4, 0), (5, 1), (6, 2)]);
        assert_eq!(training.after(0.99), [(5, 0), (6, 1), (7, 2)], "the last shift is cut short");
        assert_eq!(training.after(0.99), []);
    }

    #[test]
    fn heads_may_be_bound_to_levels() {
        let curriculum = SlidingWindow {
            init_heads: 1,
            forget_heads: 2,
            head_binding: HeadBinding::Level,
            ..SlidingWindow::default()
        };
        let mut training = Training::new(&curriculum);
        assert_eq!(levels(&training.ask()), [(2, 0), (3, 1)], "the window holds what it forgets at once");
        assert_eq!(training.after(0.99), [(4, 2), (5, 3)]);
        assert_eq!(training.after(0.99), [(6, 4), (7, 5)]);
    }

    #[test]
    fn more_or_fewer_may_enter_than_leave() {
        let window = |init_heads, forget_heads, add_heads| {
            let curriculum = SlidingWindow {
                init_heads,
                forget_heads,
                add_heads: Some(add_heads),
                last_level: Some(9),
                head_binding: HeadBinding::Level,
                ..SlidingWindow::default()
            };
            let mut training = Training::new(&curriculum);
            let first = levels(&training.ask());
            std::iter::once(first)
                .chain((0..3).map(|_| training.after(0.99)))
                .map(|l| l.iter().map(|(level, _)| *level).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(window(2, 1, 2), [vec![2, 3], vec![3, 4, 5], vec![4, 5, 6, 7], vec![5, 6, 7, 8, 9]]);
        assert_eq!(window(3, 2, 1), [vec![2, 3, 4], vec![4, 5], vec![6], vec![7]]);
        assert_eq!(window(4, 1, 3), [vec![2, 3, 4, 5], vec![3, 4, 5, 6, 7, 8], vec![3, 4, 5, 6, 7, 8, 9], vec![]]);
    }

    #[test]
    fn the_published_window_is_ten_wide() {
        let curriculum = SlidingWindow::default();
        let mut training = Training::new(&curriculum);
        let first = levels(&training.ask());
        assert_eq!((first[0], first[9], first.len()), ((2, 0), (11, 9), 10));
        assert_eq!(training.after(0.99)[0], (7, 0));
    }
}
