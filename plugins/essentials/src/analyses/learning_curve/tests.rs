use super::*;
use serde_json::json;
use synfire::Lesson;
use synfire::table::Value as Cell;

fn evaluation(update: u64, lesson: usize, accuracies: &[f64]) -> Evaluation {
    let heads = accuracies
        .iter()
        .enumerate()
        .map(|(head, accuracy)| HeadResult { head, level: Some(head + 2), loss: 0.5, accuracy: Some(*accuracy) })
        .collect();
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    Evaluation { update, lesson, trials: 10, loss: 0.5, accuracy: Some(mean), heads }
}

fn record(from: u64, levels: &[usize]) -> LessonRecord {
    LessonRecord { from, lesson: Lesson::with_levels(levels.iter().map(|level| (*level, level - 2))) }
}

fn run() -> (Vec<Point>, Vec<LessonSummary>) {
    let evaluations = [
        evaluation(10, 0, &[0.7]),
        evaluation(20, 0, &[0.99]),
        evaluation(30, 1, &[0.9, 0.6]),
        evaluation(40, 2, &[0.5]),
    ];
    let metrics = [
        json!({"update": 10, "lesson": 0, "seconds": 1.0, "training_loss": 0.6}),
        json!({"update": 20, "lesson": 0, "seconds": 2.5, "training_loss": 0.4}),
        json!({"update": 30, "lesson": 1, "seconds": 4.0}),
    ];
    let points = points(&evaluations, &metrics);
    let lessons = lessons(&[record(0, &[2]), record(20, &[2, 3]), record(30, &[2, 3])], &points, 45, false);
    (points, lessons)
}

#[test]
fn lessons_have_their_updates_and_seconds() {
    let (points, lessons) = run();
    assert_eq!(points[1].training_loss, Some(0.4));
    assert_eq!(points[3].seconds, None);
    let summary: Vec<_> = lessons.iter().map(|l| (l.hardest, l.from, l.until, l.passed, l.seconds)).collect();
    // the second lesson was begun again, so it was not passed; the last evaluation has no metrics
    let expected =
        [(Some(2), 0, 20, true, Some(2.5)), (Some(3), 20, 30, false, Some(1.5)), (Some(3), 30, 45, false, None)];
    assert_eq!(summary, expected);
    let table = lesson_table(&lessons, Some("N"));
    assert_eq!(table.columns[0], "N");
    assert_eq!(table.rows[0][3], Cell::Integer(20));
    assert_eq!(evaluation_table(&points, &lessons).rows[2][7], Cell::Number(0.6));
}

#[test]
fn the_lesson_that_ends_the_curriculum_was_passed() {
    let (points, _) = run();
    assert!(lessons(&[record(0, &[2])], &points, 20, true)[0].passed);
    assert!(!lessons(&[record(0, &[2])], &points, 20, false)[0].passed);
}

#[test]
fn levels_rise_in_steps() {
    let (_, lessons) = run();
    let line = staircase(&lessons);
    assert_eq!(line.x, [0.0, 20.0, 20.0, 30.0, 30.0, 45.0]);
    assert_eq!(line.y, [2.0, 2.0, 3.0, 3.0, 3.0, 3.0]);
    assert_eq!(borders(&lessons).len(), 2);
}

#[test]
fn a_threshold_out_of_range_is_refused() {
    let mut problems = Problems::under("analysis");
    let registry = Registry::linked().expect("registry");
    LearningCurve { threshold: Some(98.0), ..LearningCurve::default() }.check(&registry, &mut problems);
    let error = problems.into_result().expect_err("percent").to_string();
    assert_eq!(error, "analysis.threshold is 98, must be between 0 and 1");
}
