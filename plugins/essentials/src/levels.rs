//! Levels that analyses are asked about, and the heads that answer them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use synfire::network::Readout;
use synfire::subject::RunView;
use synfire::task::Difficulty;
use synfire::{Error, History, Problems, Result, TaskSpec};

/// Levels of a task: a list such as `[2, 5, 10]`, or a range such as `{ from = 2, to = 99 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of levels, or a range { from, to }")]
pub enum Levels {
    /// These.
    List(Vec<usize>),
    /// From one to another.
    Range(LevelRange),
}

/// Levels at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelRange {
    /// The easiest.
    pub from: usize,
    /// The hardest; not reached where the step leaps over it.
    pub to: usize,
    /// From each to the next.
    #[schemars(range(min = 1))]
    #[serde(default = "one")]
    pub step: usize,
}

fn one() -> usize {
    1
}

impl Levels {
    /// Report an empty list or range.
    pub fn check(&self, problems: &mut Problems) {
        match self {
            Self::List(list) => problems.require(!list.is_empty(), "levels", "empty", "at least one level"),
            Self::Range(LevelRange { from, to, step }) => problems.inside("levels", |p| {
                p.require(to >= from, "to", to, &format!("at least from = {from}"));
                p.require(*step >= 1, "step", step, "at least 1");
            }),
        }
    }

    /// The levels, ascending, each once.
    pub fn values(&self) -> Vec<usize> {
        let all: BTreeSet<usize> = match self {
            Self::List(list) => list.iter().copied().collect(),
            Self::Range(LevelRange { from, to, step }) => (*from..=*to).step_by((*step).max(1)).collect(),
        };
        all.into_iter().collect()
    }
}

/// The levels that are asked for, or those that the run was trained on, ascending.
///
/// # Errors
/// [`Error::Config`] for a level that the task does not have, [`Error::Incompatible`] when it has none.
pub fn asked(levels: Option<&Levels>, run: &RunView) -> Result<Vec<usize>> {
    let spec = &run.parts.spec;
    let Some(Difficulty { name, lowest, highest, default, .. }) = &spec.difficulty else {
        let because = format!("the task '{}' has no levels", run.experiment.task.name);
        return Err(Error::Incompatible { needs: "accuracy by level".into(), because });
    };
    let all = match levels {
        Some(levels) => levels.values(),
        None => {
            let trained: BTreeSet<usize> = pairs(run.history(), spec).into_iter().map(|(level, _)| level).collect();
            if trained.is_empty() { vec![*default] } else { trained.into_iter().collect() }
        }
    };
    let outside = |level: &&usize| *level < lowest || highest.is_some_and(|highest| **level > highest);
    match all.iter().find(outside) {
        None => Ok(all),
        Some(level) => {
            let end = highest.map_or("without limit".to_string(), |highest| format!("to {highest}"));
            let problem = format!("has {level}; the task has {name} from {lowest} {end}");
            Err(Error::config("analysis.levels", problem, "choose among those"))
        }
    }
}

/// Whether a head was trained on a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Up to this network.
    Yes,
    /// Later in the run.
    Later,
    /// Never.
    No,
}

impl Learned {
    /// `yes`, `later` or `no`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Later => "later",
            Self::No => "no",
        }
    }
}

/// The head that answers a level in a network of a run, and whether it learned the level.
///
/// It is the one that was trained on the level up to then, or else later in the run. For a level that was never trained it is the
/// only head that training used; where it used several, the one that their order gives (head `i` for level `first + i`). `None` where
/// the network has no such head.
pub fn answering(
    level: usize,
    spec: &TaskSpec,
    run: &History,
    network: &History,
    readout: &Readout,
) -> Option<(usize, Learned)> {
    let of =
        |history: &History| pairs(history, spec).into_iter().rev().find(|(l, _)| *l == level).map(|(_, head)| head);
    let there = |head: &usize| readout.heads.contains(head);
    if let Some(head) = of(network) {
        return Some((head, Learned::Yes)).filter(|(head, _)| there(head));
    }
    if let Some(head) = of(run) {
        return Some((head, Learned::Later)).filter(|(head, _)| there(head));
    }
    let pairs = pairs(run, spec);
    let used: BTreeSet<usize> = pairs.iter().map(|(_, head)| *head).collect();
    let head = match used.len() {
        0 => Some(readout.heads.first().copied()?).filter(|_| readout.heads.len() == 1),
        1 => used.first().copied(),
        _ => {
            let offset = |(level, head): &(usize, usize)| *level as i64 - *head as i64;
            let first = offset(&pairs[0]);
            let ordered = pairs.iter().all(|pair| offset(pair) == first);
            if ordered { usize::try_from(level as i64 - first).ok() } else { None }
        }
    };
    head.filter(there).map(|head| (head, Learned::No))
}

/// Levels and heads in the order in which they were trained.
fn pairs(history: &History, spec: &TaskSpec) -> Vec<(usize, usize)> {
    let lessons = history.lessons.iter();
    lessons.flat_map(|record| record.lesson.levels_of(spec)).map(|level| (level.level, level.head)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use synfire::Lesson;
    use synfire::curriculum::LessonRecord;
    use synfire::task::{Answer, Objective};

    fn spec() -> TaskSpec {
        let difficulty = Difficulty { name: "N".into(), lowest: 2, highest: None, default: 2, several_at_once: true };
        TaskSpec {
            inputs: vec!["input".into()],
            outputs: 2,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: None,
            difficulty: Some(difficulty),
            closed_loop: false,
        }
    }

    fn history(lessons: &[&[(usize, usize)]]) -> History {
        let record =
            |levels: &&[(usize, usize)]| LessonRecord { from: 0, lesson: Lesson::with_levels(levels.iter().copied()) };
        History { lessons: lessons.iter().map(record).collect(), ..History::default() }
    }

    fn heads(heads: &[usize]) -> Readout {
        Readout { heads: heads.to_vec(), ..Readout::new(2) }
    }

    #[test]
    fn levels_read_as_list_or_range() {
        let read = |value| serde_json::from_value::<Levels>(value);
        assert_eq!(read(json!([5, 2, 5])).expect("a list").values(), [2, 5]);
        assert_eq!(read(json!({ "from": 2, "to": 9, "step": 3 })).expect("a range").values(), [2, 5, 8]);
        assert!(read(json!("all")).expect_err("a word").to_string().contains("a list of levels, or a range"));
        assert!(read(json!({ "from": 2, "too": 9 })).is_err());
        let mut problems = Problems::under("analysis");
        read(json!({ "from": 4, "to": 2, "step": 0 })).expect("a range").check(&mut problems);
        let error = problems.into_result().expect_err("two problems").to_string();
        assert!(error.contains("analysis.levels.to is 2, must be at least from = 4"), "{error}");
        assert!(error.contains("analysis.levels.step is 0"), "{error}");
    }

    #[test]
    fn a_single_head_answers_every_level() {
        let (run, early) = (history(&[&[(2, 0)], &[(3, 0)], &[(4, 0)]]), history(&[&[(2, 0)]]));
        let answer = |level, readout: &[usize]| answering(level, &spec(), &run, &early, &heads(readout));
        assert_eq!(answer(2, &[0]), Some((0, Learned::Yes)));
        assert_eq!(answer(4, &[0]), Some((0, Learned::Later)));
        assert_eq!(answer(9, &[0]), Some((0, Learned::No)));
        assert_eq!(answer(9, &[0, 1, 2]), Some((0, Learned::No)), "published files have a hundred heads");
    }

    #[test]
    fn several_heads_answer_what_they_learned_or_what_their_order_gives() {
        let run = history(&[&[(2, 0)], &[(2, 0), (3, 1)], &[(2, 0), (3, 1), (4, 2)]]);
        let early = history(&[&[(2, 0)]]);
        let answer = |level, readout: &[usize]| answering(level, &spec(), &run, &early, &heads(readout));
        assert_eq!(answer(4, &[0, 1, 2]), Some((2, Learned::Later)));
        assert_eq!(answer(4, &[0, 1]), None, "the head is made later");
        assert_eq!(answer(7, &[0, 1, 2, 3, 4, 5]), Some((5, Learned::No)));
        assert_eq!(answer(7, &[0, 1, 2]), None);
        assert_eq!(answer(7, &[0]), None, "an early network has one head, but not for this level");
        let shuffled = history(&[&[(2, 1), (3, 0)]]);
        assert_eq!(answering(4, &spec(), &shuffled, &shuffled, &heads(&[0, 1, 2])), None);
        let untrained = |readout: &[usize]| answering(4, &spec(), &history(&[]), &history(&[]), &heads(readout));
        assert_eq!((untrained(&[3]), untrained(&[0, 1])), (Some((3, Learned::No)), None));
    }
}
