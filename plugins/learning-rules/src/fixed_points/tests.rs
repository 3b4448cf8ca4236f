//! Planted networks, whose fixed points are known.

use super::*;
use serde_json::json;
use synfire::cell::Setting;
use synfire::task::{Answer, Objective};
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{BuildContext, Cell, Network, Registry, Spec, Stream, TaskSpec};

/// A network with one input channel and these numbers for its parameters, row-major.
fn network(cell: &serde_json::Value, parameters: &[(&str, &[f64])]) -> Network {
    let registry = Registry::linked().expect("links");
    let task = TaskSpec {
        inputs: vec!["input".into()],
        outputs: 1,
        objective: Objective::classify(Answer::FinalStep),
        dt_ms: None,
        difficulty: None,
        closed_loop: false,
    };
    let context = BuildContext { registry: &registry, task, device: Device::Cpu, kind: Kind::Double };
    let spec: Spec<dyn Cell> = serde_json::from_value(cell.clone()).expect("a table with a type");
    let cell = registry.build(&spec, "cell").expect("builds");
    let mut network = cell.build(&context, &Stream::new(5)).expect("builds");
    network.add_heads(&[0], &context, &Stream::new(6)).expect("adds");
    for (name, values) in parameters {
        let shape = network.parameters.get(name).expect("a parameter").size();
        network.parameters.insert(*name, Tensor::from_slice(values).reshape(shape));
    }
    network
}

fn diagonal(values: &[f64]) -> Vec<f64> {
    let mut matrix = vec![0.0; values.len() * values.len()];
    values.iter().enumerate().for_each(|(at, value)| matrix[at * (values.len() + 1)] = *value);
    matrix
}

/// Units without connections, `r' = 0.8 r + 0.2 tanh(w r + b)`.
fn alone(weights: &[f64], biases: &[f64], placement: &str) -> Network {
    let cell = json!({ "type": "leaky-rnn", "hidden": weights.len(), "placement": placement,
        "time_constants": { "low": 5.0, "high": 5.0 } });
    network(&cell, &[("recurrent.weight", &diagonal(weights)), ("input.bias", biases)])
}

fn starts(count: i64, size: usize, spread: f64) -> Tensor {
    Stream::new(1).uniform_tensor(&[count, size as i64], -spread, spread, Kind::Double, Device::Cpu)
}

fn found(network: &Network, count: i64, search: Search) -> Found {
    let setting = Setting::default();
    let system = System::new(network, &setting, 1).expect("a map");
    let workers = Workers::new(1).expect("a thread");
    search.run(&system, &starts(count, system.size(), 5.0), &workers).expect("searches")
}

/// The positive solution of r = tanh(2 r), by bisection.
fn upper_root() -> f64 {
    let (mut low, mut high) = (0.1f64, 1.0f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if (2.0 * middle).tanh() > middle { low = middle } else { high = middle }
    }
    low
}

#[test]
fn independent_bistable_units_have_three_to_the_power_of_their_number() {
    let root = upper_root();
    for placement in ["drive", "current"] {
        for units in [2usize, 3] {
            let found = found(&alone(&vec![2.0; units], &vec![0.0; units], placement), 400, Search::default());
            assert_eq!(found.points.len(), 3usize.pow(units as u32), "{placement}, {units} units");
            assert!(found.slow.is_empty());
            // A current v has v = 2 tanh(v), so it is twice the rate.
            let root = if placement == "current" { 2.0 * root } else { root };
            for point in &found.points {
                assert!(point.residual < 1e-10, "{}", point.residual);
                let zeros = point.state.iter().filter(|x| x.abs() < 1e-9).count();
                assert!(
                    point.state.iter().all(|x| x.abs() < 1e-9 || (x.abs() - root).abs() < 1e-9),
                    "{:?}",
                    point.state
                );
                assert_eq!(point.unstable(), zeros, "each unit at 0 leads away");
                let slope = if placement == "current" { 1.0 - (root / 2.0).powi(2) } else { 1.0 - root * root };
                for (real, imaginary) in &point.multipliers {
                    let expected = if *real > 1.0 { 0.8 + 0.2 * 2.0 } else { 0.8 + 0.2 * 2.0 * slope };
                    assert!((real - expected).abs() < 1e-9 && *imaginary == 0.0);
                }
            }
            assert_eq!(found.of(Stability::Attractor).count(), 2usize.pow(units as u32));
            assert_eq!(found.of(Stability::Repeller).count(), 1);
        }
    }
}

/// Beyond the fold of r = tanh(1.5 r + b), at b = 0.2076, two zeros have met and gone; what is left is slow, not still.
#[test]
fn a_ghost_is_a_slow_point_and_no_fixed_point() {
    let found = found(&alone(&[1.5, 2.0], &[0.2126, 0.0], "drive"), 200, Search::default());
    assert_eq!(found.points.len(), 3, "{:?}", found.points);
    assert!(found.points.iter().all(|point| point.state[0] > 0.5), "where the ghost is there is no zero");
    assert_eq!(found.slow.len(), 3, "{:?}", found.slow);
    for slow in &found.slow {
        assert!((slow.state[0] + 0.577).abs() < 0.02, "{:?}", slow.state);
        // the gap between tanh and the diagonal at the fold is (1 - r²) 0.005, of which a step is a fifth
        assert!((slow.speed - 0.2 * 0.005 * 2.0 / 3.0).abs() < 2e-5, "{}", slow.speed);
    }
    let before = self::found(&alone(&[1.5, 2.0], &[0.2026, 0.0], "drive"), 200, Search::default());
    assert_eq!(before.points.len(), 9, "before the fold both of the pair are there");
    let none = self::found(
        &alone(&[1.5, 2.0], &[0.2126, 0.0], "drive"),
        200,
        Search { slow_speed: 1e-6, ..Search::default() },
    );
    assert!(none.slow.is_empty() && none.lost > 0);
}

#[test]
fn closed_forms_agree_with_autograd_and_with_differences() {
    let setting = Setting::default();
    for placement in ["drive", "whole", "current"] {
        for activation in ["tanh", "sigmoid", "softplus"] {
            let cell = json!({ "type": "leaky-rnn", "hidden": 6, "placement": placement, "activation": activation,
                "time_constants": { "low": 2.0, "high": 9.0 } });
            let network = network(&cell, &[]);
            let system = System::new(&network, &setting, 1).expect("a map").under(&[0.7]).expect("one channel");
            let reduced = system.clamped(&[(1, 0.3), (4, -0.2)]).expect("four are left");
            for system in [system, reduced] {
                let states = starts(5, system.size(), 1.0);
                let closed = values_f64(&system.jacobian(&states).expect("a matrix"));
                let automatic = values_f64(&system.jacobian_by_autograd(&states).expect("a matrix"));
                closed
                    .iter()
                    .zip(&automatic)
                    .for_each(|(a, b)| assert!((a - b).abs() < 1e-13, "{placement} {activation}"));
                differences_agree(&system, &states, &closed);
            }
        }
    }
}

/// Central differences of 1e-6 are good to 1e-9 in double precision.
fn differences_agree(system: &System, states: &Tensor, jacobian: &[f64]) {
    let size = system.size();
    for column in 0..size {
        let mut shift = vec![0.0; size];
        shift[column] = 1e-6;
        let shift = Tensor::from_slice(&shift);
        let ahead = system.next(&(states + &shift)).expect("steps");
        let behind = system.next(&(states - &shift)).expect("steps");
        let slopes = values_f64(&((ahead - behind) / 2e-6));
        for (at, slope) in slopes.iter().enumerate() {
            let (row, target) = (at / size, at % size);
            let found = jacobian[(row * size + target) * size + column];
            assert!((found - slope).abs() < 1e-8, "{found} {slope}");
        }
    }
}

#[test]
fn gated_cells_are_searched_through_autograd() {
    for cell in ["gru", "lstm"] {
        let network = network(&json!({ "type": cell, "hidden": 4 }), &[]);
        let setting = Setting::default();
        let system = System::new(&network, &setting, 1).expect("a map").under(&[0.4]).expect("one channel");
        let states = starts(4, system.size(), 1.0);
        differences_agree(&system, &states, &values_f64(&system.jacobian(&states).expect("a matrix")));
        let workers = Workers::new(1).expect("a thread");
        let found = Search::default().run(&system, &starts(32, system.size(), 1.0), &workers).expect("searches");
        assert!(!found.points.is_empty(), "{cell}: small weights leave one attractor");
        for point in &found.points {
            // Iterating the network from the point stays there.
            let state = Tensor::from_slice(&point.state).reshape([1, -1]);
            let later = (0..20).fold(state.copy(), |x, _| system.next(&x).expect("steps"));
            let moved = values_f64(&(later - state)).into_iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            assert!(moved < 1e-7, "{cell}: {moved}");
        }
    }
}

#[test]
fn clamped_units_leave_a_smaller_system_with_their_values_as_constants() {
    // x = tanh(2 x + 1.5 y), with y held at 0.4 instead of following anything: b = 0.6 leaves one zero, without y there are three.
    let cell = json!({ "type": "leaky-rnn", "hidden": 2, "time_constants": { "low": 10.0, "high": 10.0 } });
    let network = network(&cell, &[("recurrent.weight", &[2.0, 1.5, 0.0, 2.0]), ("input.bias", &[0.0, 0.0])]);
    let setting = Setting::default();
    let workers = Workers::new(1).expect("a thread");
    let system = System::new(&network, &setting, 1).expect("a map");
    for (held, expected) in [(0.0, 3), (0.4, 1)] {
        let reduced = system.clamped(&[(1, held)]).expect("one is left");
        assert_eq!((reduced.size(), reduced.state_size()), (1, 2));
        let found = Search::default().run(&reduced, &starts(100, 1, 5.0), &workers).expect("searches");
        assert_eq!(found.points.len(), expected, "{held}");
        for point in &found.points {
            let x = point.state[0];
            assert!((x - (2.0 * x + 1.5 * held).tanh()).abs() < 1e-9);
            let whole = reduced.whole(&Tensor::from_slice(&[x]).reshape([1, 1])).expect("fits");
            assert_eq!(values_f64(&whole), [x, held]);
        }
    }
    let error = system.clamped(&[(2, 0.0)]).err().expect("two units").to_string();
    assert!(error.contains("names 2; the state has 2 numbers"), "{error}");
    assert!(system.clamped(&[(0, 0.0), (1, 0.0)]).err().expect("none left").to_string().contains("holds every unit"));
}

#[test]
fn units_that_never_change_are_clamped_to_where_they_begin() {
    let cell = json!({ "type": "leaky-rnn", "hidden": 2, "time_constants": { "low": 10.0, "high": 20.0 },
        "initial_state": { "low": 0.4, "high": 0.4 } });
    let parameters: [(&str, &[f64]); 3] = [
        ("recurrent.weight", &[2.0, 1.5, 0.0, 2.0]),
        ("input.bias", &[0.0, 0.0]),
        ("time_constants", &[10.0, f64::INFINITY]),
    ];
    let network = network(&cell, &parameters);
    let setting = Setting::default();
    let system = System::new(&network, &setting, 1).expect("a map");
    assert_eq!((system.size(), system.leak()), (1, Some(0.1)));
    let workers = Workers::new(1).expect("a thread");
    let found = Search::default().run(&system, &starts(50, 1, 5.0), &workers).expect("searches");
    assert_eq!(found.points.len(), 1, "x = tanh(2 x + 0.6)");
    let other = system.clamped(&[(1, 0.0)]).expect("one is left");
    assert_eq!(Search::default().run(&other, &starts(50, 1, 5.0), &workers).expect("searches").points.len(), 3);
}

#[test]
fn feedback_belongs_to_the_map() {
    // x = tanh(0 x + f w x): the loop through the head makes it bistable.
    let cell = json!({ "type": "leaky-rnn", "hidden": 1, "time_constants": { "low": 4.0, "high": 4.0 } });
    let mut network = network(
        &cell,
        &[("recurrent.weight", &[0.0]), ("input.bias", &[0.0]), ("head.0.weight", &[4.0]), ("head.0.bias", &[0.0])],
    );
    network.parameters.insert("feedback.weight", Tensor::from_slice(&[0.5]).reshape([1, 1]));
    network.readout.feedback = Some(0);
    let found = found(&network, 60, Search::default());
    assert_eq!(found.points.len(), 3);
    let root = upper_root();
    assert!(found.points.iter().all(|point| point.state[0].abs() < 1e-9 || (point.state[0].abs() - root).abs() < 1e-9));
}

#[test]
fn unstable_directions_point_along_the_loose_unit() {
    let network = alone(&[2.0, 0.5, 0.5], &[0.0; 3], "drive");
    let setting = Setting::default();
    let system = System::new(&network, &setting, 1).expect("a map");
    let found = found(&network, 50, Search::default());
    let saddle = found.of(Stability::Saddle).next().expect("the origin");
    let directions = unstable_directions(&system, saddle).expect("vectors");
    assert_eq!(directions.len(), 1);
    directions[0].iter().zip([1.0, 0.0, 0.0]).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
    // (multiplier - 1) / leak is the eigenvalue of -1 + w
    assert!((saddle.growth(system.leak().expect("one leak")) - 1.0).abs() < 1e-9);
}
