use super::*;

#[test]
fn other_levels_keep_the_conditions_and_not_what_is_trained() {
    let lesson = Lesson {
        levels: vec![Level { level: 3, head: 1 }],
        tasks: vec!["go".into()],
        schedule: BTreeMap::from([("repeat".into(), 4.0)]),
        trainable: vec!["head.*".into()],
        frozen: vec!["input.*".into()],
        drop_heads: vec![0],
        dt_ms: Some(10.0),
        ..Lesson::default()
    };
    let other = lesson.at_levels([(5, 2)]);
    let expected =
        Lesson { tasks: lesson.tasks, schedule: lesson.schedule, dt_ms: lesson.dt_ms, ..Lesson::with_levels([(5, 2)]) };
    assert_eq!(other, expected);
}

#[test]
fn frozen_wins_over_trainable() {
    let lesson = Lesson { trainable: vec!["head.*".into()], frozen: vec!["head.0.*".into()], ..Lesson::default() };
    assert!(lesson.trains("head.1.weight"));
    assert!(!lesson.trains("head.0.weight"));
    assert!(!lesson.trains("recurrent.weight"));
    assert!(Lesson::default().trains("anything"));
}
