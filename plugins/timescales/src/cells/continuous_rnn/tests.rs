use super::*;
use crate::tasks::NParity;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use synfire::analysis::Analysis;
use synfire::cell::{Mode, Setting};
use synfire::observer::Silent;
use synfire::recurrence::LEAK;
use synfire::rollout::{Record, Rollout};
use synfire::run::RunDir;
use synfire::subject::{At, RunView};
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Experiment, Lesson, Spec, Subject, Task, Tensors};

fn network(cell: &dyn Cell) -> Network {
    let registry = Registry::linked().expect("links");
    let task = NParity::default().spec();
    let context = BuildContext { registry: &registry, task, device: Device::Cpu, kind: Kind::Double };
    let stream = Stream::new(5);
    let mut network = cell.build(&context, &stream.child("cell")).expect("builds");
    network.add_heads(&[0], &context, &stream).expect("heads");
    network
}

/// A lesson that shows each symbol for so many steps.
fn shown_for(steps: usize) -> Lesson {
    let mut lesson = Lesson::with_levels([(3, 0)]);
    lesson.schedule.insert("repeat".into(), steps as f64);
    lesson
}

/// Hand a rollout and trials of the lesson to `look`.
fn with_rollout<R>(lesson: &Lesson, fast: bool, look: impl FnOnce(&Rollout, &synfire::Trials) -> R) -> R {
    let (task, workers) = (NParity::default(), Workers::new(1).expect("one thread"));
    let trials = task.trials(lesson, 9, &mut Stream::new(8)).expect("draws").to(Device::Cpu, Kind::Double);
    let setting = Setting { mode: Mode::Evaluation, ..Setting::default() };
    look(&Rollout { task: &task, lesson, setting, stream: Stream::new(2), workers: &workers, fast, settle: 0 }, &trials)
}

#[test]
fn with_one_step_a_symbol_it_is_the_leaky_rnn_in_steps() {
    let continuous = ContinuousRnn { hidden: 12, ..ContinuousRnn::default() };
    let leaky = LeakyRnn {
        hidden: 12,
        placement: Placement::Drive,
        activation: Activation::LeakyRelu,
        time_constants: TimeConstants { low: 1.0, high: 2.0, trainable: true, ..TimeConstants::default() },
        recurrent_bias: true,
        self_connections: SelfConnections::Masked,
        initial_state: InitialState { high: 0.1, ..InitialState::default() },
        ..LeakyRnn::default()
    };
    let (a, b) = (network(&continuous), network(&leaky));
    assert!(a.parameters.same_bytes(&b.parameters));
    for fast in [true, false] {
        let gradient = |network: &Network, lesson: &Lesson| {
            with_rollout(lesson, fast, |rollout, trials| {
                rollout.gradient(network, trials, None, |_| true).expect("differentiable").gradients
            })
        };
        let lesson = Lesson::with_levels([(3, 0)]);
        assert!(gradient(&a, &lesson).same_bytes(&gradient(&b, &lesson)));
        assert!(!gradient(&a, &shown_for(4)).same_bytes(&gradient(&b, &shown_for(4))));
    }
    let registry = Registry::linked().expect("links");
    assert_eq!(continuous.provides(&registry), leaky.provides(&registry));
}

#[test]
fn finer_steps_converge_to_a_differential_equation() {
    let last = |integration, steps| {
        let cell = ContinuousRnn { hidden: 12, activation: Activation::Tanh, integration, ..ContinuousRnn::default() };
        let silence = Tensors::from([("activity", Tensor::zeros([9, 12], (Kind::Double, Device::Cpu)))]);
        with_rollout(&shown_for(steps), true, |rollout, trials| {
            let played = rollout.play_from(&network(&cell), trials, Record::Outputs, Some(&silence));
            played.expect("plays").last.get("activity").expect("the state").shallow_clone()
        })
    };
    let gap = |a: Tensor, b: Tensor| (a - b).abs().max().double_value(&[]);
    for integration in [Integration::Euler, Integration::Exact] {
        let gaps = [20, 40, 80].map(|steps| gap(last(integration, steps), last(integration, 2 * steps)));
        // Both rules are of first order: with half the step half the error, up to terms of a relative size of 1/20.
        for pair in gaps.windows(2) {
            let ratio = pair[0] / pair[1];
            assert!((ratio - 2.0).abs() < 0.15, "{integration:?}: {gaps:?}");
        }
    }
    let between = [40, 80].map(|steps| gap(last(Integration::Euler, steps), last(Integration::Exact, steps)));
    assert!((between[0] / between[1] - 2.0).abs() < 0.15, "one limit for both: {between:?}");
}

#[test]
fn time_constants_can_be_fixed_and_have_a_mean() {
    let fixed = SymbolTimeConstants { low: 3.0, high: 3.0, trainable: false, shared: true, mean: None };
    let fixed = network(&ContinuousRnn { hidden: 6, time_constants: fixed, ..ContinuousRnn::default() });
    assert!(!fixed.trained(&Lesson::default()).contains(&"time_constants".to_string()));
    let leak = |network: &Network, steps| {
        let setting = Setting { substeps: Some(steps), ..Setting::default() };
        let prepared = network.dynamics.prepare(&network.parameters, &setting).expect("prepares");
        values_f64(prepared.get(LEAK).expect("there"))
    };
    assert_eq!(leak(&fixed, 1), [1.0 / 3.0]);
    assert_eq!(leak(&fixed, 8), [1.0 / 24.0]);

    let mean = SymbolTimeConstants { mean: Some(0.5), ..SymbolTimeConstants::default() };
    let fast = network(&ContinuousRnn { hidden: 40, time_constants: mean, ..ContinuousRnn::default() });
    let tau = values_f64(fast.parameters.get("time_constants").expect("there"));
    // rounding of a sum of 40
    assert!((tau.iter().sum::<f64>() / 40.0 - 0.5).abs() < 1e-14);
    assert!(tau.iter().copied().fold(0.0, f64::max) / tau.iter().copied().fold(9.0, f64::min) > 1.5, "a spread");
    for (leak, tau) in leak(&fast, 10).iter().zip(&tau) {
        // two roundings
        assert!((leak - 1.0 / (10.0 * tau)).abs() < 1e-15, "shorter than a symbol, longer than a step");
    }
}

/// Train a network of 40 units on parity of two symbols that are shown for 2, 3 or 4 steps.
fn trained(folder: &Path, registry: &Registry) -> RunDir {
    let mut experiment = Experiment {
        name: "made".into(),
        device: "cpu".into(),
        task: Spec::with("n-parity", &json!({ "repeat": [2, 3, 4], "rate": 0.5 })),
        cell: Spec::with(NAME, &json!({ "hidden": 40 })),
        curriculum: Spec::with("single-level", &json!({ "last_level": 2, "threshold": 0.99 })),
        rule: Spec::with("bptt", &json!({ "optimizer": { "type": "adam", "learning_rate": 5e-3 } })),
        ..Experiment::default()
    };
    experiment.training.batch = 64;
    experiment.training.updates = 1500;
    experiment.training.updates_per_evaluation = 50;
    experiment.training.evaluation_trials = 1024;
    experiment.training.evaluation_batch = 128;
    let experiment = experiment.resolve(registry).expect("resolves");
    let dir = RunDir::create(folder.join("run"), &experiment).expect("creates");
    let stop = AtomicBool::new(false);
    let session = Session { experiment: &experiment, registry, dir: &dir, threads: 1, observer: &Silent, stop: &stop };
    session.train().expect("trains");
    dir
}

#[test]
fn what_was_learned_at_some_steps_a_symbol_works_at_others() {
    let registry = Registry::linked().expect("links");
    let folder = tempfile::tempdir().expect("temporary folder");
    let dir = trained(folder.path(), &registry);
    let workers = Workers::new(1).expect("one thread");
    let view = RunView::open(&dir, &registry, &workers).expect("opens").remove(0);
    let network = view.network(At::Last).expect("a network");
    let accuracy = |steps: Option<usize>| {
        let mut lesson = view.lesson_at(2).expect("learned");
        if let Some(steps) = steps {
            lesson.schedule.insert("repeat".into(), steps as f64);
        }
        view.evaluate(&network, &lesson, 1024, &Stream::new(6)).expect("evaluates")
    };
    assert!(accuracy(None).accuracy > Some(0.97), "{:?}", accuracy(None));
    for steps in [3, 6] {
        assert!(accuracy(Some(steps)).accuracy > Some(0.9), "{steps}: {:?}", accuracy(Some(steps)));
    }
    // The same by another option of the task instead of a schedule, as `synfire evaluate --set task.repeat=6` does.
    let mut experiment = dir.experiment().expect("reads");
    let mut options = experiment.task.options();
    options["repeat"] = json!(6);
    experiment.task = Spec::with("n-parity", &options);
    let other = RunView::open_as(&dir, experiment, &registry, &workers).expect("opens").remove(0);
    let lesson = other.lesson_at(2).expect("learned");
    let found = other.evaluate(&network, &lesson, 1024, &Stream::new(6)).expect("evaluates");
    assert_eq!(found, accuracy(Some(6)));

    // Analyses know the unit and the steps.
    let subject = Subject {
        runs: vec![view],
        groups: Vec::new(),
        data: Default::default(),
        stream: Stream::new(3),
        workers: &workers,
    };
    let constants = crate::analyses::time_constants::TimeConstants::default().run(&subject).expect("runs");
    let clamped = constants.arrays["clamped"].to_f64();
    assert!(clamped.iter().all(|tau| *tau >= 0.25), "a step is a quarter of a symbol at the shortest");
    let timescales = crate::analyses::timescales::Timescales { steps: 2000, trials: 2, ..Default::default() };
    let units = timescales.run(&subject).expect("runs").tables.remove(1);
    let column = units.columns.iter().position(|name| name == "trained_tau").expect("a column");
    let synfire::table::Value::Number(steps) = units.rows[0][column] else { panic!("no number") };
    let ratio = steps / values_f64(network.parameters.get("time_constants").expect("there"))[0];
    assert!([2.0, 3.0, 4.0].iter().any(|k| (ratio - k).abs() < 1e-5), "{ratio} steps a symbol");
}
