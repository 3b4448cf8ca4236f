//! A history without its stages, as the inner curriculum sees it.

use synfire::Lesson;
use synfire::curriculum::{History, LessonRecord};

/// Name of the stage's number among the scheduled ones.
pub const STAGE: &str = "stage";

/// A lesson without what the stages added.
pub fn stripped<'a>(lesson: &Lesson, names: impl Iterator<Item = &'a String>, with_dt: bool) -> Lesson {
    let mut lesson = lesson.clone();
    for name in names {
        lesson.schedule.remove(name);
    }
    lesson.schedule.remove(STAGE);
    if with_dt {
        lesson.dt_ms = None;
    }
    lesson
}

/// The history of the inner lessons, each as long as it lasted; `None` where nothing ever happened.
pub fn inner_history(history: &History, strip: impl Fn(&Lesson) -> Lesson) -> Option<History> {
    if history.lessons.is_empty() {
        return None;
    }
    let mut lessons: Vec<LessonRecord> = Vec::new();
    let mut places = Vec::with_capacity(history.lessons.len());
    for record in &history.lessons {
        let lesson = strip(&record.lesson);
        if lessons.last().is_none_or(|last| last.lesson != lesson) {
            lessons.push(LessonRecord { from: record.from, lesson });
        }
        places.push(lessons.len() - 1);
    }
    let mut evaluations = history.evaluations.clone();
    for evaluation in &mut evaluations {
        evaluation.lesson = places.get(evaluation.lesson).copied().unwrap_or(evaluation.lesson);
    }
    Some(History { lessons, evaluations, ..shallow(history) })
}

/// All but lessons and evaluations.
fn shallow(history: &History) -> History {
    History {
        updates: history.updates,
        restarts: history.restarts,
        lessons: Vec::new(),
        evaluations: Vec::new(),
        recent: history.recent.clone(),
        tally: history.tally.clone(),
    }
}
