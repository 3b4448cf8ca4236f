//! Oracles: the equations of PyTorch's LSTM and GRU written out in double precision, and closed forms.

use super::super::fixture::gated_run;
use super::*;
use serde_json::json;
use synfire::table::{Table, Value};
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{Network, Tensors};

const UNITS: usize = 3;

fn options() -> GateTimescales {
    GateTimescales { steps: 300, burn_in: 20, trials: 7, trace_steps: 12, trace_units: 2, ..GateTimescales::default() }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Run the analysis on a run of one network for each entry of `changes`, made of fresh ones by it.
fn analyse<R>(
    options: &GateTimescales,
    cell: &serde_json::Value,
    changes: &[&dyn Fn(&mut Network)],
    look: impl FnOnce(&Findings, &Subject) -> R,
) -> R {
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(2).expect("threads");
    let folder = tempfile::tempdir().expect("temporary folder");
    let dir = gated_run(&folder.path().join("run"), cell, changes);
    let runs = RunView::open(&dir, &registry, &workers).expect("opens");
    let stream = synfire::Stream::new(3);
    let subject = Subject { runs, groups: Vec::new(), data: Default::default(), stream, workers: &workers };
    let findings = options.run(&subject).expect("runs");
    dir.save_findings("gate-timescales", &findings).expect("saves");
    look(&findings, &subject)
}

/// The symbols of each trial, `[trial][step]`.
fn symbols(options: &GateTimescales, subject: &Subject) -> Vec<Vec<f64>> {
    let run = subject.run().expect("a run");
    let lesson = run.lesson();
    let stream = subject.stream.child("simulation").at(run.member as u64);
    let plan = Plan::new(run, &lesson, &[0], options.input, options.rate, &stream).expect("bits");
    let steps = options.steps + options.burn_in;
    let trial = |trial| values_f64(&plan.drive(trial, 1, &stream).next(0, steps).expect("draws").inputs);
    (0..options.trials).map(trial).collect()
}

/// `b + W v` of one unit in one block of rows.
fn affine(parameters: &Tensors, which: &str, block: usize, unit: usize, v: &[f64]) -> f64 {
    let of = |name: &str| values_f64(parameters.get(&format!("{which}.{name}")).expect("there"));
    let row = block * UNITS + unit;
    of("bias")[row] + of("weight")[row * v.len()..].iter().zip(v).map(|(w, v)| w * v).sum::<f64>()
}

/// Mean forget gates `[trial][unit]` by PyTorch's equations.
fn lstm_by_hand(parameters: &Tensors, inputs: &[Vec<f64>], burn_in: usize) -> Vec<Vec<f64>> {
    let of_trial = |inputs: &Vec<f64>| {
        let (mut h, mut c, mut sum) = ([0.0; UNITS], [0.0; UNITS], vec![0.0; UNITS]);
        for (t, x) in inputs.iter().enumerate() {
            let before = h;
            for unit in 0..UNITS {
                let z = |block| {
                    affine(parameters, "input", block, unit, &[*x])
                        + affine(parameters, "recurrent", block, unit, &before)
                };
                let forget = sigmoid(z(1));
                c[unit] = forget * c[unit] + sigmoid(z(0)) * z(2).tanh();
                h[unit] = sigmoid(z(3)) * c[unit].tanh();
                if t >= burn_in {
                    sum[unit] += forget / (inputs.len() - burn_in) as f64;
                }
            }
        }
        sum
    };
    inputs.iter().map(of_trial).collect()
}

/// Mean update gates `[trial][unit]` by PyTorch's equations.
fn gru_by_hand(parameters: &Tensors, inputs: &[Vec<f64>], burn_in: usize) -> Vec<Vec<f64>> {
    let of_trial = |inputs: &Vec<f64>| {
        let (mut h, mut sum) = ([0.0; UNITS], vec![0.0; UNITS]);
        for (t, x) in inputs.iter().enumerate() {
            let before = h;
            for unit in 0..UNITS {
                let a = |block| affine(parameters, "input", block, unit, &[*x]);
                let u = |block| affine(parameters, "recurrent", block, unit, &before);
                let (reset, update) = (sigmoid(a(0) + u(0)), sigmoid(a(1) + u(1)));
                h[unit] = (1.0 - update) * (a(2) + reset * u(2)).tanh() + update * before[unit];
                if t >= burn_in {
                    sum[unit] += update / (inputs.len() - burn_in) as f64;
                }
            }
        }
        sum
    };
    inputs.iter().map(of_trial).collect()
}

fn value(findings: &Findings, name: &str) -> f64 {
    match findings.values.get(name) {
        Some(Value::Number(number)) => *number,
        other => panic!("{name} is {other:?}, of {:?}", findings.values),
    }
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

type ByHand = fn(&Tensors, &[Vec<f64>], usize) -> Vec<Vec<f64>>;

#[test]
fn gates_are_those_of_the_written_out_equations() {
    let cases: [(&str, &str, ByHand); 2] = [("lstm", "forget", lstm_by_hand), ("gru", "update", gru_by_hand)];
    for (cell, gate, by_hand) in cases {
        let cell = json!({ "type": cell, "hidden": UNITS });
        analyse(&options(), &cell, &[&|_| ()], |findings, subject| {
            let network = subject.runs[0].network(At::Last).expect("saved");
            let expected = by_hand(&network.parameters, &symbols(&options(), subject), options().burn_in);
            let found = &findings.arrays[&format!("{gate}_mean")];
            assert_eq!(found.shape(), [options().trials, UNITS]);
            // sums of 300 gates in double precision
            assert!(close(&found.to_f64(), &expected.concat(), 1e-12), "{found:?} {expected:?}");
            let mean = expected.concat().iter().sum::<f64>() / (UNITS * options().trials) as f64;
            assert!((value(findings, &format!("tau_{gate}")) - 1.0 / (1.0 - mean)).abs() < 1e-10);
            let unit = |u: usize| expected.iter().map(|trial| trial[u]).sum::<f64>() / options().trials as f64;
            let of_units = (0..UNITS).map(|u| 1.0 / (1.0 - unit(u))).sum::<f64>() / UNITS as f64;
            assert!((value(findings, &format!("tau_{gate}_of_units")) - of_units).abs() < 1e-10);
            // Block 1 of both biases.
            let bias = |name: &str| values_f64(network.parameters.get(name).expect("there"))[UNITS..2 * UNITS].to_vec();
            let pairs = bias("input.bias").into_iter().zip(bias("recurrent.bias"));
            let from_biases = pairs.map(|(a, b)| 1.0 / (1.0 - sigmoid(a + b))).sum::<f64>() / UNITS as f64;
            assert!((value(findings, &format!("tau_{gate}_from_biases")) - from_biases).abs() < 1e-12);
        });
    }
}

#[test]
fn an_lstm_of_biases_alone_has_their_timescale_exactly() {
    let biases = [2.0, -1.0, 0.25];
    let bare = |network: &mut Network| {
        for (name, tensor) in network.parameters.copy().iter().filter(|(name, _)| name.ends_with(".weight")) {
            network.parameters.insert(name, tensor.zeros_like());
        }
        let mut all = [0.5; 4 * UNITS];
        all[UNITS..2 * UNITS].copy_from_slice(&biases);
        network.parameters.insert("input.bias", Tensor::from_slice(&all));
        network.parameters.insert("recurrent.bias", Tensor::from_slice(&all));
    };
    let options = GateTimescales { at: serde_json::from_value(json!("milestones")).expect("a place"), ..options() };
    // Before training, and after two levels.
    analyse(&options, &json!({ "type": "lstm", "hidden": UNITS }), &[&|_| (), &|_| (), &bare], |findings, subject| {
        let gates = biases.map(|bias| sigmoid(2.0 * bias));
        let of_units = gates.iter().map(|gate| 1.0 / (1.0 - gate)).sum::<f64>() / UNITS as f64;
        let of_mean = 1.0 / (1.0 - gates.iter().sum::<f64>() / UNITS as f64);
        // sums of 300 equal gates in double precision
        assert!((value(findings, "tau_forget") - of_mean).abs() < 1e-10);
        assert!((value(findings, "tau_forget_of_units") - of_units).abs() < 1e-10);
        assert!((value(findings, "tau_forget_from_biases") - of_units).abs() < 1e-12);
        assert!(of_mean < of_units);
        let table: &Table = &findings.tables[0];
        let shown: Vec<String> =
            table.rows.iter().map(|row| format!("{} {}", row[1].exact(), row[2].exact())).collect();
        assert_eq!(shown, ["0 ", "10 2", "20 3"]);
        let figures: Vec<&str> = findings.figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(figures, ["gate-timescales-by-level", "gate-traces"]);
        assert_eq!(findings.figures[1].panels.len(), 6, "input, three gates, two states");
        assert_eq!(findings.arrays["trace_gate_forget"].shape(), [12, 2]);
        let first: Vec<f64> = symbols(&options, subject)[0][options.burn_in..][..12].to_vec();
        assert_eq!(findings.arrays["trace_input"].to_f64(), first);
        let network = subject.runs[0].network(At::Last).expect("saved");
        assert_eq!(
            values_f64(network.parameters.get("input.bias").expect("there"))[UNITS],
            2.0,
            "it is left as it was"
        );
    });
}

#[test]
fn each_layer_has_its_gate() {
    let layer = json!({ "type": "lstm", "hidden": UNITS });
    let cell = json!({ "type": "stacked", "layers": [layer, { "type": "gru", "hidden": 2 }] });
    analyse(&options(), &cell, &[&|_| ()], |findings, subject| {
        assert_eq!(findings.arrays["layer.1.forget_mean"].shape(), [options().trials, UNITS]);
        assert_eq!(findings.arrays["layer.2.update_mean"].shape(), [options().trials, 2]);
        let network = subject.runs[0].network(At::Last).expect("saved");
        let first = network
            .parameters
            .iter()
            .filter_map(|(name, t)| Some((name.strip_prefix("layer.1.")?.to_string(), t.copy())));
        let expected = lstm_by_hand(&first.collect(), &symbols(&options(), subject), options().burn_in);
        assert!(close(&findings.arrays["layer.1.forget_mean"].to_f64(), &expected.concat(), 1e-12));
        let bias = |name: &str| values_f64(network.parameters.get(name).expect("there"))[2..4].to_vec();
        let pairs = bias("layer.2.input.bias").into_iter().zip(bias("layer.2.recurrent.bias"));
        let from_biases: Vec<f64> = pairs.map(|(a, b)| sigmoid(a + b)).collect();
        assert!(close(&findings.arrays["layer.2.update_from_biases"].to_f64(), &from_biases, 1e-14));
    });
}

#[test]
fn options_out_of_range_are_named() {
    let mut problems = Problems::under("analysis");
    let options = GateTimescales { steps: 0, trials: 0, trace_units: 0, rate: Rate::Fixed(2.0), ..options() };
    options.check(&Registry::linked().expect("links"), &mut problems);
    let paths: Vec<String> = problems.into_vec().into_iter().map(|problem| problem.path).collect();
    let expected =
        ["analysis.steps", "analysis.trials", "analysis.trace_units", "analysis.trace_steps", "analysis.rate"];
    assert_eq!(paths, expected);
}
