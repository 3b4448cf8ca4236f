//! Runs made by hand, for the tests of analyses.

use serde_json::json;
use synfire::curriculum::LessonRecord;
use synfire::experiment::Precision;
use synfire::run::RunDir;
use synfire::tch::Tensor;
use synfire::{Experiment, History, Lesson, Network, Registry, Spec, Tensors};

/// Parity with a leaky-rnn of these options, on the CPU.
pub(crate) fn experiment(cell: &serde_json::Value) -> Experiment {
    // Naming a component of the crate links it and its neighbours into the test.
    let _ = synfire_essentials::cells::LeakyRnn::default();
    Experiment {
        name: "made".into(),
        device: "cpu".into(),
        task: Spec::new("n-parity"),
        cell: Spec::with("leaky-rnn", cell),
        curriculum: Spec::with("single-level", &json!({ "last_level": 4 })),
        ..Experiment::default()
    }
}

/// A run whose network had these time constants after these updates, at the end of lessons on these levels; one more checkpoint
/// than lessons, the first from before training.
pub(crate) fn with_time_constants(folder: &std::path::Path, stages: &[(u64, &[f32])]) -> RunDir {
    let registry = Registry::linked().expect("links");
    let hidden = stages[0].1.len();
    let experiment = experiment(&json!({ "hidden": hidden, "time_constants": { "trainable": true } }));
    let experiment = experiment.resolve(&registry).expect("resolves");
    let dir = RunDir::create(folder, &experiment).expect("creates");
    let parts = experiment.parts(&registry).expect("fits");
    let context = parts.context(&experiment, &registry).expect("has a device");
    let mut history = History::default();
    for (index, (update, constants)) in stages.iter().enumerate() {
        history.updates = *update;
        let mut network = parts.network(&context, 1, 0, &Lesson::with_levels([(2, 0)])).expect("builds");
        network.parameters.insert("time_constants", Tensor::from_slice(constants));
        dir.save_checkpoint(&network, &Tensors::new(), &history).expect("saves");
        history.lessons.push(LessonRecord { from: *update, lesson: Lesson::with_levels([(2 + index, 0)]) });
    }
    dir
}

/// A run of a gated cell in double precision, with symbols `plus-minus`: a network for each of `changes`, the first from before
/// training and ten updates between them, at the end of lessons on levels 2, 3, ..
pub(super) fn gated_run(
    folder: &std::path::Path,
    cell: &serde_json::Value,
    changes: &[&dyn Fn(&mut Network)],
) -> RunDir {
    let registry = Registry::linked().expect("links");
    let mut experiment = experiment(&json!({}));
    experiment.cell = serde_json::from_value(cell.clone()).expect("a table with a type");
    experiment.task = Spec::with("n-parity", &json!({ "symbols": "plus-minus" }));
    experiment.training.precision = Precision::Double;
    let experiment = experiment.resolve(&registry).expect("resolves");
    let dir = RunDir::create(folder, &experiment).expect("creates");
    let parts = experiment.parts(&registry).expect("fits");
    let context = parts.context(&experiment, &registry).expect("has a device");
    let mut history = History::default();
    for (index, change) in changes.iter().enumerate() {
        history.updates = 10 * index as u64;
        let mut network = parts.network(&context, 1, 0, &Lesson::with_levels([(2, 0)])).expect("builds");
        change(&mut network);
        dir.save_checkpoint(&network, &Tensors::new(), &history).expect("saves");
        history.lessons.push(LessonRecord { from: history.updates, lesson: Lesson::with_levels([(2 + index, 0)]) });
    }
    dir
}
