use super::*;
use serde_json::json;
use synfire::Stream;
use synfire::curriculum::{HeadResult, LessonRecord};
use synfire::task::{Answer, Difficulty, Objective};
// Curricula to stand inside.
use synfire_essentials as _;

fn task() -> TaskSpec {
    let difficulty = Difficulty { name: "N".into(), lowest: 2, highest: Some(10), default: 2, several_at_once: true };
    TaskSpec {
        inputs: vec!["x".into()],
        outputs: 2,
        objective: Objective::classify(Answer::FinalStep),
        dt_ms: Some(5.0),
        difficulty: Some(difficulty),
        closed_loop: false,
    }
}

fn staged(options: serde_json::Value) -> Box<dyn Curriculum> {
    let registry = Registry::linked().expect("links");
    registry.build(&Spec::<dyn Curriculum>::with("staged", &options), "curriculum").expect("in range")
}

fn ask(curriculum: &dyn Curriculum, history: &History) -> Step {
    let registry = Registry::linked().expect("links");
    let context = LessonContext { registry: &registry, stream: Stream::new(1) };
    curriculum.next(history, &task(), &context).expect("in range")
}

/// Take the next lesson, do ten updates and an evaluation with this accuracy; gives the lesson, or the reason to stop.
fn round(curriculum: &dyn Curriculum, history: &mut History, accuracy: f64) -> std::result::Result<Lesson, String> {
    let lesson = match ask(curriculum, history) {
        Step::Lesson(lesson) => lesson,
        Step::Stop { reason } => return Err(reason),
        Step::Restart { .. } => panic!("no restart"),
    };
    if history.lesson() != Some(&lesson) {
        history.lessons.push(LessonRecord { from: history.updates, lesson: lesson.clone() });
    }
    history.updates += 10;
    let heads = vec![HeadResult { head: 0, level: None, loss: 1.0 - accuracy, accuracy: Some(accuracy) }];
    let (update, place) = (history.updates, history.lessons.len() - 1);
    let loss = 1.0 - accuracy;
    history.evaluations.push(Evaluation { update, lesson: place, trials: 9, loss, accuracy: Some(accuracy), heads });
    Ok(lesson)
}

#[test]
fn lines_are_the_published_ones() {
    let betas = |from, stages| {
        let line = Course::Line(Line { from, to: 1.0, least: None });
        (0..stages).map(|k| (line.value(k, stages) * 1e6).round() / 1e6).collect::<Vec<_>>()
    };
    assert_eq!(betas(0.0, 11), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);
    assert_eq!(betas(0.5, 2), [0.5, 1.0]);
    assert_eq!(betas(0.2, 1), [1.0], "one stage is the plain network");
    let steps = |stages| {
        let line = Course::Line(Line { from: 50.0, to: 0.0, least: Some(5.0) });
        (0..stages).map(|k| line.value(k, stages)).collect::<Vec<_>>()
    };
    assert_eq!(steps(2), [50.0, 5.0]);
    assert_eq!(steps(6), [50.0, 40.0, 30.0, 20.0, 10.0, 5.0]);
    assert_eq!(steps(11), [50.0, 45.0, 40.0, 35.0, 30.0, 25.0, 20.0, 15.0, 10.0, 5.0, 5.0]);
}

#[test]
fn stages_end_after_their_updates_and_the_last_goes_on() {
    let options = json!({ "stages": 3, "updates_per_stage": 20, "schedule": { "beta": { "from": 0.2, "to": 1 }, "dt_ms": [50, 25, 5] } });
    let curriculum = staged(options);
    let mut history = History::default();
    let mut seen = Vec::new();
    for _ in 0..8 {
        let lesson = round(&*curriculum, &mut history, 0.5).expect("a fixed budget never stops");
        seen.push((lesson.schedule[STAGE], (lesson.schedule["beta"] * 10.0).round(), lesson.dt_ms));
    }
    let (a, b, c) = ((0.0, 2.0, Some(50.0)), (1.0, 6.0, Some(25.0)), (2.0, 10.0, Some(5.0)));
    assert_eq!(seen, [a, a, b, b, c, c, c, c]);
    assert_eq!(history.lessons.len(), 3);
    assert!(curriculum.needs(&Registry::linked().expect("links")).contains(&Property::TimesInMs));
}

#[test]
fn stages_may_end_by_performance() {
    let options = json!({
        "stages": 3, "updates_per_stage": 50, "threshold": 0.9, "patience": 2, "schedule": { "theta": [10, 5, 1] },
    });
    let curriculum = staged(options);
    let mut history = History::default();
    let accuracies = [0.95, 0.5, 0.95, 0.95, 0.95, 0.5, 0.5, 0.5, 0.5, 0.5];
    let thetas: Vec<f64> = accuracies
        .iter()
        .map(|accuracy| round(&*curriculum, &mut history, *accuracy).expect("goes on").schedule["theta"])
        .collect();
    // Two in a row after the fourth round; then five rounds are spent. One that passed in the first stage does not count in the second.
    assert_eq!(thetas, [10.0, 10.0, 10.0, 10.0, 5.0, 5.0, 5.0, 5.0, 5.0, 1.0]);
}

#[test]
fn the_inner_curriculum_ends_training_in_any_stage_and_sees_no_stages() {
    let inner = json!({ "type": "threshold", "threshold": 0.99, "patience": 2 });
    let options =
        json!({ "stages": 5, "updates_per_stage": 10, "inner": inner, "schedule": { "beta": { "from": 0, "to": 1 } } });
    let curriculum = staged(options);
    let mut history = History::default();
    for accuracy in [0.5, 0.995, 0.995] {
        round(&*curriculum, &mut history, accuracy).expect("goes on");
    }
    let reason = round(&*curriculum, &mut history, 1.0).expect_err("twice in a row, in two stages");
    assert!(reason.contains("0.99"), "{reason}");
    // A level that may last 30 updates lasts 30, whatever the stages do.
    let inner = json!({ "type": "threshold", "first_level": 3, "last_level": 4, "max_updates_per_level": 30 });
    for (again, expected) in [(false, [0.0, 1.0, 2.0, 2.0, 2.0, 2.0]), (true, [0.0, 1.0, 2.0, 0.0, 1.0, 2.0])] {
        let options = json!({
            "stages": 3, "updates_per_stage": 10, "inner": inner, "again_with_lessons": again, "schedule": { "beta": [0, 0.5, 1] },
        });
        let curriculum = staged(options);
        let mut history = History::default();
        let lessons: Vec<Lesson> = (0..6).map(|_| round(&*curriculum, &mut history, 0.5).expect("goes on")).collect();
        let levels: Vec<usize> = lessons.iter().map(|lesson| lesson.levels[0].level).collect();
        assert_eq!(levels, [3, 3, 3, 4, 4, 4]);
        assert_eq!(lessons.iter().map(|lesson| lesson.schedule[STAGE]).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn wrong_options_are_refused_all_at_once() {
    let registry = Registry::linked().expect("links");
    let options = json!({
        "stages": 3, "metric": "speed", "schedule": { "theta": [1, 2], "dt_ms": [1, 0, 1] },
        "inner": { "type": "threshold", "step": 0 },
    });
    let result = registry.build(&Spec::<dyn Curriculum>::with("staged", &options), "curriculum");
    let message = result.expect_err("refused").to_string();
    for part in [
        "curriculum.metric is speed",
        "curriculum.schedule.theta has 2 values for 3 stages",
        "curriculum.schedule.dt_ms has the value 0",
        "curriculum.inner.step is 0",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let nested = json!({ "inner": { "type": "staged" } });
    let result = registry.build(&Spec::<dyn Curriculum>::with("staged", &nested), "curriculum");
    assert!(result.expect_err("nested").to_string().contains("curriculum.inner is staged itself"));
}
