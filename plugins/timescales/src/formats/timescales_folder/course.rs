//! From files and evaluations to a training: which levels were trained when, and after how many updates each network was saved.

use super::super::published_name::Order;
use super::listing::Solved;
use super::statistics::Row;
use synfire::curriculum::{Evaluation, HeadResult, LessonRecord, Level};
use synfire::format::Judged;
use synfire::{History, Lesson};

/// Accuracy in percent that the mean over heads and the last head must exceed.
const THRESHOLD: f64 = 98.0;

/// How a training is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// The order of levels.
    pub order: Order,
    /// One level without a curriculum.
    pub direct: bool,
    /// The level it began with.
    pub first_level: usize,
    /// Updates between evaluations, where the statistics do not say them.
    pub interval: u64,
    /// Trials of an evaluation, where the statistics do not say them.
    pub trials: usize,
}

/// A training: lessons, evaluations, and where the networks stand.
#[derive(Debug, PartialEq)]
pub(super) struct Course {
    /// The lessons in order, with the updates at which they began.
    pub lessons: Vec<LessonRecord>,
    /// All evaluations.
    pub evaluations: Vec<Judged>,
    /// For each network, the index of the lesson that it solved and the updates it took.
    pub networks: Vec<(usize, u64)>,
}

impl Course {
    /// One evaluation interval a network, for folders without statistics.
    pub fn assumed(solved: &[Solved], reading: Reading) -> Self {
        let from = |index: usize| index as u64 * reading.interval;
        let lesson =
            |(index, solved): (usize, &Solved)| LessonRecord { from: from(index), lesson: reading.lesson(solved) };
        Self {
            lessons: solved.iter().enumerate().map(lesson).collect(),
            evaluations: Vec::new(),
            networks: (0..solved.len()).map(|index| (index, from(index + 1))).collect(),
        }
    }

    /// What the evaluations tell.
    ///
    /// # Errors
    /// The contradiction between them, or with a network, in words.
    pub fn told(rows: &[Row], solved: &[Solved], reading: Reading) -> Result<Self, String> {
        let levels = reading.levels(rows)?;
        let mut course = Self { lessons: Vec::new(), evaluations: Vec::new(), networks: Vec::new() };
        let (mut update, mut ends) = (0, Vec::new());
        for (index, (row, levels)) in rows.iter().zip(&levels).enumerate() {
            if course.lessons.last().is_none_or(|record| record.lesson.levels != *levels) {
                ends.extend((!course.lessons.is_empty()).then_some(update));
                let lesson = Lesson { levels: levels.clone(), ..Lesson::default() };
                course.lessons.push(LessonRecord { from: update, lesson });
            }
            let before = update;
            update = row.update.unwrap_or(update + reading.interval);
            if update <= before {
                return Err(format!(
                    "evaluation {} was made after {update} updates, no later than the one before",
                    index + 1
                ));
            }
            course.evaluations.push(reading.judged(row, levels, update, course.lessons.len() - 1));
        }
        let hardest = |record: &LessonRecord| record.lesson.levels.iter().map(|level| level.level).max();
        // Whether the last lesson was solved shows in its accuracy, or in a network that is there for it.
        let last = course.lessons.last().and_then(hardest);
        if rows.last().is_some_and(success) || solved.iter().any(|solved| Some(solved.hardest) == last) {
            ends.push(update);
        }
        for Solved { easiest, hardest: wanted, path } in solved {
            let found = course.lessons.iter().position(|record| hardest(record) == Some(*wanted));
            let found = found.and_then(|index| Some((index, *ends.get(index)?)));
            let Some(found) = found else {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let reached = ends.len().checked_sub(1).and_then(|index| hardest(&course.lessons[index]));
                let reached = reached.map_or_else(|| "nothing".into(), |level| format!("levels up to {level}"));
                return Err(format!("tells of no success at level {wanted}, which '{file}' solved, but of {reached}"));
            };
            let first = course.lessons[found.0].lesson.levels.first().map(|level| level.level);
            if !matches!(reading.order, Order::Single) && first != Some(*easiest) {
                let first = first.unwrap_or_default();
                return Err(format!(
                    "tells of levels {first} to {wanted}, but a network is named for {easiest} to {wanted}"
                ));
            }
            course.networks.push(found);
        }
        Ok(course)
    }

    /// What had happened when a network was saved.
    pub fn history(&self, network: usize) -> History {
        let Some(&(lesson, updates)) = self.networks.get(network) else { return History::default() };
        let evaluations = self.evaluations.iter().map(|judged| &judged.evaluation);
        History {
            updates,
            lessons: self.lessons[..=lesson].to_vec(),
            evaluations: evaluations.filter(|evaluation| evaluation.update <= updates).cloned().collect(),
            ..History::default()
        }
    }
}

/// Both the mean and the last accuracy exceed the threshold.
fn success(row: &Row) -> bool {
    let mean = row.accuracy.iter().sum::<f64>() / row.accuracy.len() as f64;
    mean > THRESHOLD && row.accuracy.last().is_some_and(|last| *last > THRESHOLD)
}

impl Reading {
    /// The lesson that a network solved. One level at a time is answered by head 0, else heads go by place.
    pub fn lesson(&self, solved: &Solved) -> Lesson {
        match self.order {
            Order::Single => Lesson::with_levels([(solved.hardest, 0)]),
            _ => Lesson { levels: window(solved.easiest, solved.hardest + 1 - solved.easiest), ..Lesson::default() },
        }
    }

    /// The levels of each evaluation: as the file says, or as the curriculum would have gone on.
    fn levels(&self, rows: &[Row]) -> Result<Vec<Vec<Level>>, String> {
        let mut all: Vec<Vec<Level>> = Vec::with_capacity(rows.len());
        let mut easiest = self.first_level;
        for (index, row) in rows.iter().enumerate() {
            if let Some(levels) = &row.levels {
                let heads = levels.iter().enumerate().map(|(head, level)| Level { level: *level, head });
                all.push(heads.collect());
                continue;
            }
            let heads = row.accuracy.len();
            let before = index.checked_sub(1).map(|before| &rows[before]);
            let solved_before = before.is_some_and(success) && !self.direct;
            let expected = match (before.map(|before| before.accuracy.len()), self.order) {
                (_, Order::Single) => heads == 1,
                (None, _) => true,
                (Some(before), Order::Cumulative) => {
                    if solved_before {
                        heads > before
                    } else {
                        heads == before
                    }
                }
                (Some(before), Order::Sliding { .. }) => heads == before,
            };
            if !expected {
                return Err(format!(
                    "has {heads} heads in evaluation {}, which does not follow from the one before",
                    index + 1
                ));
            }
            match self.order {
                Order::Single if solved_before => easiest += 1,
                Order::Sliding { forget, .. } if solved_before => easiest += forget,
                _ => {}
            }
            all.push(window(easiest, heads));
        }
        Ok(all)
    }

    fn judged(&self, row: &Row, levels: &[Level], update: u64, lesson: usize) -> Judged {
        let fractions: Vec<f64> = row.accuracy.iter().map(|percent| percent / 100.0).collect();
        let heads = levels.iter().zip(&fractions).map(|(level, accuracy)| HeadResult {
            head: level.head,
            level: Some(level.level),
            loss: f64::NAN,
            accuracy: Some(*accuracy),
        });
        let evaluation = Evaluation {
            update,
            lesson,
            trials: row.trials.unwrap_or(self.trials),
            // The file has the loss of training alone.
            loss: f64::NAN,
            accuracy: Some(fractions.iter().sum::<f64>() / fractions.len() as f64),
            heads: heads.collect(),
        };
        let lesson = Lesson { levels: levels.to_vec(), ..Lesson::default() };
        Judged { evaluation, lesson, training_loss: Some(row.loss) }
    }
}

/// So many levels from the easiest on, each with the head at its place.
fn window(easiest: usize, count: usize) -> Vec<Level> {
    (0..count).map(|place| Level { level: easiest + place, head: place }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::statistics::{read, tests::fixture};
    use super::*;

    fn reading(order: Order) -> Reading {
        Reading { order, direct: false, first_level: 2, interval: 600, trials: 12_800 }
    }

    fn solved(levels: &[(usize, usize)]) -> Vec<Solved> {
        let one = |&(easiest, hardest): &(usize, usize)| Solved {
            path: format!("rnn_N{easiest}_N{hardest}").into(),
            easiest,
            hardest,
        };
        levels.iter().map(one).collect()
    }

    fn rows(name: &str) -> Vec<Row> {
        read(&fixture(&format!("{name}.npy"))).unwrap()
    }

    fn lessons(course: &Course) -> Vec<(u64, Vec<(usize, usize)>)> {
        let pairs = |record: &LessonRecord| record.lesson.levels.iter().map(|l| (l.level, l.head)).collect();
        course.lessons.iter().map(|record| (record.from, pairs(record))).collect()
    }

    #[test]
    fn one_level_at_a_time_goes_on_after_each_success() {
        // One network is not there; the evaluations tell of its level all the same.
        let course = Course::told(&rows("single"), &solved(&[(2, 2), (4, 4)]), reading(Order::Single)).unwrap();
        let expected = [(0, vec![(2, 0)]), (1200, vec![(3, 0)]), (1800, vec![(4, 0)]), (3000, vec![(5, 0)])];
        assert_eq!(lessons(&course), expected);
        assert_eq!(course.networks, [(0, 1200), (2, 3000)]);
        let history = course.history(1);
        assert_eq!((history.updates, history.lessons.len(), history.evaluations.len()), (3000, 3, 5));
        assert_eq!((history.evaluations[2].lesson, history.evaluations[2].accuracy), (1, Some(0.9825)));
        assert!(history.evaluations[2].loss.is_nan());
        assert_eq!(course.evaluations[1].training_loss, Some(0.35));
        let wrong = Course::told(&rows("single"), &solved(&[(9, 9)]), reading(Order::Single)).unwrap_err();
        assert!(wrong.contains("no success at level 9, which 'rnn_N9_N9' solved, but of levels up to 4"), "{wrong}");
    }

    #[test]
    fn heads_are_added_where_mean_and_last_exceed_the_threshold() {
        let course = Course::told(&rows("cumulative"), &solved(&[(2, 2), (2, 4)]), reading(Order::Cumulative)).unwrap();
        assert_eq!(course.lessons.iter().map(|record| record.from).collect::<Vec<_>>(), [0, 600, 2400, 3000]);
        assert_eq!(lessons(&course)[2].1, [(2, 0), (3, 1), (4, 2)]);
        assert_eq!(course.networks, [(0, 600), (2, 3000)]);
        let mut cut = rows("cumulative");
        cut.remove(3);
        let gap = Course::told(&cut, &[], reading(Order::Cumulative)).unwrap_err();
        assert!(gap.contains("3 heads in evaluation 4"), "{gap}");
        let shifted = Reading { first_level: 5, ..reading(Order::Cumulative) };
        let shifted = Course::told(&rows("cumulative"), &solved(&[(5, 7)]), shifted).unwrap();
        assert_eq!(lessons(&shifted)[0].1, [(5, 0)]);
    }

    #[test]
    fn windows_slide_and_heads_go_by_place() {
        let order = Order::Sliding { heads: 3, forget: 1 };
        let course = Course::told(&rows("sliding"), &solved(&[(2, 4), (3, 5)]), reading(order)).unwrap();
        assert_eq!(lessons(&course)[1], (1200, vec![(3, 0), (4, 1), (5, 2)]));
        assert_eq!(course.networks, [(0, 1200), (1, 1800)]);
    }

    #[test]
    fn what_the_file_says_needs_no_threshold() {
        let row = |update: u64, level: usize| Row {
            loss: 0.5,
            accuracy: vec![70.0],
            levels: Some(vec![level]),
            update: Some(update),
            trials: Some(64),
        };
        let told = [row(10, 2), row(20, 2), row(30, 3)];
        let course = Course::told(&told, &solved(&[(2, 2), (3, 3)]), reading(Order::Single)).unwrap();
        assert_eq!(course.networks, [(0, 20), (1, 30)]);
        assert_eq!(course.evaluations[0].evaluation.trials, 64);
        assert!(Course::told(&[row(10, 2), row(10, 2)], &[], reading(Order::Single)).is_err());
    }

    #[test]
    fn without_evaluations_each_network_takes_an_interval() {
        let course = Course::assumed(&solved(&[(5, 5), (10, 10)]), reading(Order::Single));
        assert_eq!(lessons(&course), [(0, vec![(5, 0)]), (600, vec![(10, 0)])]);
        assert_eq!(course.history(1).updates, 1200);
        assert_eq!(course.history(2), History::default());
    }
}
