//! Runs made by hand, for the tests of analyses.

use synfire::curriculum::LessonRecord;
use synfire::experiment::Precision;
use synfire::run::RunDir;
use synfire::tch::Tensor;
use synfire::{Experiment, History, Lesson, Network, Registry, Spec, Tensors};

/// A run in double precision on the CPU whose only network is what `change` makes of a new one.
pub(super) fn run(
    folder: &std::path::Path,
    task: &serde_json::Value,
    cell: &serde_json::Value,
    change: impl FnOnce(&mut Network),
) -> RunDir {
    let registry = Registry::linked().expect("links");
    let mut experiment = Experiment { name: "made".into(), device: "cpu".into(), ..Experiment::default() };
    experiment.task = serde_json::from_value(task.clone()).expect("a table with a type");
    experiment.cell = serde_json::from_value(cell.clone()).expect("a table with a type");
    experiment.curriculum = Spec::new("direct");
    experiment.training.precision = Precision::Double;
    let experiment = experiment.resolve(&registry).expect("resolves");
    let dir = RunDir::create(folder, &experiment).expect("creates");
    let parts = experiment.parts(&registry).expect("fits");
    let context = parts.context(&experiment, &registry).expect("has a device");
    let mut network = parts.network(&context, 1, 0, &Lesson::default()).expect("builds");
    change(&mut network);
    let mut history = History::default();
    history.lessons.push(LessonRecord { from: 0, lesson: Lesson::default() });
    dir.save_checkpoint(&network, &Tensors::new(), &history).expect("saves");
    dir
}

/// Replace parameters by these numbers, row-major.
pub(super) fn set(network: &mut Network, parameters: &[(&str, &[f64])]) {
    for (name, values) in parameters {
        let shape = network.parameters.get(name).expect("a parameter").size();
        network.parameters.insert(*name, Tensor::from_slice(values).reshape(shape));
    }
}

/// A run whose network is one unit of a cell, with these weights from itself, from its input and to its output, and no bias.
pub(super) fn one_unit(
    folder: &std::path::Path,
    task: &serde_json::Value,
    cell: &serde_json::Value,
    [recurrent, input, output]: [f64; 3],
) -> RunDir {
    run(folder, task, cell, |network| {
        let parameters: [(&str, &[f64]); 5] = [
            ("recurrent.weight", &[recurrent]),
            ("input.weight", &[input]),
            ("input.bias", &[0.0]),
            ("head.0.weight", &[output]),
            ("head.0.bias", &[0.0]),
        ];
        set(network, &parameters);
    })
}

/// A run whose network is one unit that sums its input, `r' = r + 0.01 u`, and says it.
pub(super) fn integrator(folder: &std::path::Path, task: &serde_json::Value) -> RunDir {
    let cell = serde_json::json!({
        "type": "leaky-rnn", "hidden": 1, "activation": "identity", "time_constants": { "low": 100.0, "high": 100.0 },
    });
    one_unit(folder, task, &cell, [1.0, 1.0, 1.0])
}
