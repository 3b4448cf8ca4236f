use super::super::fixture;
use super::*;
use serde_json::json;
use synfire::workers::Workers;
use synfire::{Spec, Stream};

#[test]
fn published_numbers_and_wrong_ones() {
    let default = StepSize::default();
    assert_eq!((default.substeps.len(), default.substeps[19], default.substeps[32]), (33, 20, 200));
    let task = TaskOptions(json!({ "repeat": 3 }).as_object().cloned().expect("a table"));
    let wrong = StepSize { substeps: vec![2, 0], trials: 0, task, ..default };
    let mut problems = Problems::under("analysis");
    wrong.check(&Registry::linked().expect("links"), &mut problems);
    let error = problems.into_result().expect_err("three problems").to_string();
    assert!(error.contains("analysis.substeps is 0 for one of them, must be at least 1"), "{error}");
    assert!(error.contains("analysis.task.repeat is 3, but it is what substeps sets; leave it out"), "{error}");
    assert_eq!(error.lines().count(), 3);
    assert_eq!(trained_substeps(&json!(7)), [7]);
    assert_eq!(trained_substeps(&json!([7, 8])), [7, 8]);
    assert!(trained_substeps(&Value::Null).is_empty());
}

#[test]
fn tasks_without_symbols_are_refused_before_any_work() {
    let registry = Registry::linked().expect("links");
    let mut experiment = fixture::experiment(&json!({ "hidden": 4 }));
    experiment.analysis = vec![Spec::new("step-size")];
    assert!(experiment.check(&registry).is_empty());
    experiment.task = Spec::new("delayed-copy");
    experiment.curriculum = Spec::new("fixed-budget");
    let problems = experiment.check(&registry);
    let problem = problems.iter().find(|problem| problem.path == "analysis[0].task.repeat").expect("refused");
    assert_eq!(problem.problem, "is an unknown field ('step-size' sets it for the task 'delayed-copy')");
}

#[test]
fn every_level_is_judged_at_every_step_size() {
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let folder = tempfile::tempdir().expect("temporary folder");
    let dir = fixture::with_time_constants(&folder.path().join("run"), &[(0, &[1.0, 2.0]), (3, &[1.5, 3.0])]);
    let runs = RunView::open(&dir, &registry, &workers).expect("opens");
    let subject =
        Subject { runs, groups: Vec::new(), data: Default::default(), stream: Stream::new(1), workers: &workers };
    let options = StepSize { substeps: vec![3, 1, 3], trials: 20, steps_at_once: 10, ..StepSize::default() };
    let findings = options.run(&subject).expect("runs");
    assert_eq!(findings.tables[0].columns, ["level", "substeps", "accuracy", "trials"]);
    let first: Vec<String> = findings.tables[0].rows.iter().map(|row| row[1].exact()).collect();
    assert_eq!(first, ["1", "3"]);
    assert_eq!(findings.values["trained substeps"], "1".into());
    // The same as judging the run with that option of its task, in batches of the size that fits.
    let run = subject.run().expect("a run");
    let mut view = run.with_task(json!({ "repeat": 3 }).as_object().expect("a table")).expect("fits");
    view.experiment.training.evaluation_batch = 1;
    let network = view.network(At::Last).expect("loads");
    let stream = subject.stream.child("judged").at(3).at(2);
    let lesson = view.lesson_at(2).expect("learned");
    let expected = view.evaluate(&network, &lesson, 20, &stream).expect("judges").accuracy.expect("has one");
    assert_eq!(findings.tables[0].rows[1][2], expected.into());
    assert_eq!(view.trials(&lesson, 1, &stream).expect("draws").time() % 3, 0);
    assert!(findings.figures[0].to_svg().is_ok());
    let error = StepSize { levels: Some(Levels::List(vec![1])), ..options }.run(&subject).expect_err("too easy");
    assert!(error.to_string().starts_with("analysis.levels has 1; the task has N from 2"), "{error}");
}
