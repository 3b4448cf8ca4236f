//! Networks whose timescales are known, and networks that were trained.

use super::super::fixture::{experiment, gated_run};
use super::*;
use serde_json::json;
use std::sync::atomic::AtomicBool;
use synfire::observer::Silent;
use synfire::run::RunDir;
use synfire::table::Table;
use synfire::tch::{Device, Kind, Tensor};
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Experiment, Network, Spec, Stream};

/// Train a network for a few updates at each level and give it to `look`.
fn trained<R>(experiment: &Experiment, threads: usize, look: impl FnOnce(&RunDir, &Subject) -> R) -> R {
    let registry = Registry::linked().expect("links");
    let folder = tempfile::tempdir().expect("temporary folder");
    let experiment = experiment.resolve(&registry).expect("resolves");
    let dir = RunDir::create(folder.path().join("run"), &experiment).expect("creates");
    let stop = AtomicBool::new(false);
    let session =
        Session { experiment: &experiment, registry: &registry, dir: &dir, threads: 1, observer: &Silent, stop: &stop };
    session.train().expect("trains");
    let workers = Workers::new(threads).expect("threads");
    let runs = RunView::open(&dir, &registry, &workers).expect("opens");
    let subject =
        Subject { runs, groups: Vec::new(), data: Default::default(), stream: Stream::new(3), workers: &workers };
    look(&dir, &subject)
}

/// An experiment that goes through levels 2, 3 and 4 with two updates each, whatever is learned.
fn hasty(cell: &serde_json::Value) -> Experiment {
    let mut experiment = experiment(cell);
    experiment.curriculum = Spec::with("single-level", &json!({ "last_level": 4, "threshold": 0.0 }));
    experiment.training.batch = 16;
    experiment.training.updates = 20;
    experiment.training.updates_per_evaluation = 2;
    experiment.training.evaluation_trials = 16;
    experiment
}

fn table<'a>(findings: &'a Findings, name: &str) -> &'a Table {
    findings.tables.iter().find(|table| table.name == name).expect("there is such a table")
}

#[test]
fn leaky_units_in_noise_have_the_timescale_of_their_leak() {
    let cell = json!({
        "hidden": 12, "activation": "identity", "recurrent": { "gain": 0.0 }, "input": { "gain": 0.0 },
        "time_constants": { "low": 2.0, "high": 12.0 }, "noise": { "sigma": 1.0 },
    });
    let options = Timescales { steps: 40_000, trials: 7, input: Input::Silence, ..Timescales::default() };
    trained(&hasty(&cell), 2, |_, subject| {
        let findings = options.run(subject).expect("runs");
        let units = table(&findings, "units");
        let place = |name| units.columns.iter().position(|column| column == name).expect("column");
        let (single, trained) = (place("tau_single"), place("trained_tau"));
        for row in &units.rows {
            let (synfire::table::Value::Number(found), synfire::table::Value::Number(tau)) =
                (&row[single], &row[trained])
            else {
                panic!("not fitted: {row:?}")
            };
            // An Euler step keeps 1 - 1/tau of the state, which decays with -1/ln(1 - 1/tau). 280 000 points: deviations of at
            // most tau sqrt(2 tau / n), 1 %.
            let expected = -1.0 / (1.0 - 1.0 / tau).ln();
            assert!((found / expected - 1.0).abs() < 0.05, "{tau}: {found}, expected {expected}");
        }
        assert_eq!(findings.values["kept"], 12.0.into());
    });
}

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    let cell = json!({ "hidden": 9, "time_constants": { "low": 1.0, "high": 2.0, "trainable": true } });
    for input in [Input::Bits, Input::Task] {
        let options = Timescales { steps: 2000, max_lag: 40, input, ..Timescales::default() };
        let csv = |threads| {
            trained(&hasty(&cell), threads, |_, subject| {
                let findings = options.run(subject).expect("runs");
                findings.tables.iter().map(|table| table.to_csv().expect("writes")).collect::<Vec<_>>()
            })
        };
        assert_eq!(csv(1), csv(3));
    }
}

#[test]
fn a_trained_run_is_measured_at_each_milestone() {
    let cell = json!({ "hidden": 20, "time_constants": { "low": 1.0, "high": 2.0, "trainable": true } });
    let at = Checkpoints::Named(NamedCheckpoints::Milestones);
    let options = Timescales { steps: 2000, trials: 2, at, rate: Rate::Fixed(0.5), ..Timescales::default() };
    trained(&hasty(&cell), 1, |dir, subject| {
        let findings = options.run(subject).expect("runs");
        let networks = table(&findings, "timescales");
        let shown: Vec<String> =
            networks.rows.iter().map(|row| format!("{} {}", row[1].exact(), row[2].exact())).collect();
        assert_eq!(shown, ["0 ", "2 2", "4 3", "6 4"]);
        assert_eq!(table(&findings, "units").rows.len(), 4 * 20);
        assert_eq!(findings.values["mean_rate_of_ones"], 0.5.into());
        let names: Vec<&str> = findings.figures.iter().map(|figure| figure.name.as_str()).collect();
        let expected =
            ["timescales-by-level", "autocorrelation", "timescale-distribution", "timescales-against-trained"];
        assert_eq!(names, expected);
        dir.save_findings("timescales", &findings).expect("saves");
        let read = Findings::load(&dir.analysis_path("timescales")).expect("reads");
        assert_eq!(read.tables.len(), 2);
    });
}

#[test]
fn bits_need_a_task_with_bits() {
    let mut experiment = hasty(&json!({ "hidden": 5 }));
    experiment.task = Spec::with("n-parity", &json!({ "repeat": 3, "symbols": "plus-minus" }));
    let options = Timescales { steps: 600, trials: 1, ..Timescales::default() };
    trained(&experiment, 1, |_, subject| {
        let run = subject.run().expect("a run");
        let lesson = run.lesson();
        let plan = Plan::new(run, &lesson, &[0], Input::Bits, Rate::Fixed(0.5), &subject.stream).expect("two values");
        let inputs = plan.drive(0, 1, &subject.stream).next(0, 300).expect("draws").inputs;
        let values = synfire::tensors::values_f64(&inputs);
        assert!(values.chunks(3).all(|symbol| symbol == [1.0; 3] || symbol == [-1.0; 3]));
        let ones = values.iter().filter(|value| **value > 0.0).count();
        // 100 symbols: four standard deviations are 20.
        assert!((90..=210).contains(&ones), "{ones}");
        assert!(options.run(subject).is_ok());
    });
}

#[test]
fn any_tensor_of_the_state_can_be_measured() {
    // With an open forget gate of sigmoid(2 b) and no other weights than those of the input, the cell state of a unit is an
    // autoregressive process driven by bits: its autocorrelation at lag k is f^k, with a timescale of -1 / ln f.
    let taus = [3.0f64, 8.0];
    let change = |network: &mut Network| {
        let forget = taus.map(|tau| (-1.0 / tau).exp()).map(|f| (f / (1.0 - f)).ln());
        let row = |values: [f64; 2], block: usize| {
            let mut all = [0.0; 8];
            all[2 * block..2 * block + 2].copy_from_slice(&values);
            Tensor::from_slice(&all)
        };
        network.parameters.insert("input.weight", row([0.3, 0.3], 2).reshape([8, 1]));
        network.parameters.insert("recurrent.weight", Tensor::zeros([8, 2], (Kind::Double, Device::Cpu)));
        network.parameters.insert("input.bias", row(forget, 1));
        network.parameters.insert("recurrent.bias", row([0.0, 0.0], 1));
    };
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(2).expect("threads");
    let folder = tempfile::tempdir().expect("temporary folder");
    let dir = gated_run(&folder.path().join("run"), &json!({ "type": "lstm", "hidden": 2 }), &[&change]);
    let runs = RunView::open(&dir, &registry, &workers).expect("opens");
    let subject =
        Subject { runs, groups: Vec::new(), data: Default::default(), stream: Stream::new(3), workers: &workers };
    let options = Timescales { steps: 8000, trials: 6, rate: Rate::Fixed(0.5), ..Timescales::default() };
    let of = |signal: &str| Timescales { signal: signal.into(), ..options.clone() }.run(&subject);
    let findings = of("cell").expect("runs");
    assert_eq!(findings.values["signal"], "cell".into());
    let units = table(&findings, "units");
    let single = units.columns.iter().position(|column| column == "tau_single").expect("column");
    for (row, tau) in units.rows.iter().zip(taus) {
        let synfire::table::Value::Number(found) = row[single] else { panic!("not fitted: {row:?}") };
        // 48 000 points: deviations of at most tau sqrt(2 tau / n), 2 %.
        assert!((found / tau - 1.0).abs() < 0.08, "{tau}: {found}");
    }
    // A state that is also the rate gives the same numbers, step by step and at once.
    let (hidden, rates) = (of("hidden").expect("runs"), of("rates").expect("runs"));
    assert_eq!(hidden.arrays["autocorrelation"], rates.arrays["autocorrelation"]);
    assert_ne!(hidden.arrays["autocorrelation"], findings.arrays["autocorrelation"]);
    let refused = of("cells").expect_err("no such tensor").to_string();
    assert_eq!(
        refused,
        "analysis.signal is 'cells', which is no tensor of the cell's state; use one of: rates, hidden, cell"
    );
}
