use super::super::bench::Bench;
use super::kicked::{ERRORS, MEAN};
use super::*;
use crate::tasks::DelayedNonmatch;
use synfire::tensors::values_f64;
use synfire_essentials::cells::LeakyRnn;

fn leaky(hidden: usize) -> LeakyRnn {
    serde_json::from_value(serde_json::json!({
        "hidden": hidden, "placement": "current", "input_bias": false,
        "time_constants": { "unit": "ms", "low": 30.0, "high": 30.0 },
        "recurrent": { "start": "normal", "gain": 1.5 }, "input": { "gain": 1.7 },
        "initial_state": { "low": -0.1, "high": 0.1 },
    }))
    .expect("options")
}

fn short() -> DelayedNonmatch {
    DelayedNonmatch {
        duration_ms: 60.0,
        sample_ms: [1.0, 11.0],
        test_ms: [20.0, 30.0],
        answer_ms: 20.0,
        ..DelayedNonmatch::default()
    }
}

fn rule() -> RewardHebbian {
    let perturbation = Perturbation { probability: 0.05, ..Perturbation::default() };
    RewardHebbian { warm_up: 0, perturbation, ..RewardHebbian::default() }
}

#[test]
fn outputs_are_the_rates_of_units_without_direct_input() {
    let bench = Bench::with(&leaky(20), Box::new(short()));
    let mut network = bench.network();
    bench.start(&rule(), &mut network);
    let head = values_f64(network.parameters.get("head.0.weight").expect("there"));
    assert_eq!(head.iter().filter(|w| **w != 0.0).count(), 1);
    assert_eq!((head[0], network.parameters.contains("head.0.bias")), (1.0, false));
    let input = values_f64(network.parameters.get("input.weight").expect("there"));
    assert!(input[..3].iter().all(|w| *w == 0.0) && input[3..].iter().all(|w| *w != 0.0));
    let mut direct = bench.network();
    bench.start(&RewardHebbian { direct_input: true, ..rule() }, &mut direct);
    assert!(values_f64(direct.parameters.get("input.weight").expect("there"))[0] != 0.0);
    let mut network = bench.network();
    network.drop_heads(&[0]);
    let few = rule().read_units(&mut network, 20).expect_err("twenty units").to_string();
    assert!(few.contains("needs 21 units"), "{few}");
}

/// The change of the recurrent weights by one more trial, and the same by hand: the rule as it is written, synapse by synapse.
#[test]
fn changes_are_those_of_the_rule_written_out_synapse_by_synapse() {
    type OfSynapse = fn(f64, f64) -> f64;
    let functions: [(Eligibility, OfSynapse); 5] = [
        (Eligibility::Cubic, |r, d| (r * d).powi(3)),
        (Eligibility::SignedSquare, |r, d| r * d * (r * d).abs()),
        (Eligibility::DeltaCubed, |r, d| r * d.powi(3)),
        (Eligibility::Product, |r, d| r * d),
        (Eligibility::SignedRoot, |r, d| (r * d).signum() * (r * d).abs().sqrt()),
    ];
    for (eligibility, function) in functions {
        let bench = Bench::with(&leaky(6), Box::new(short()));
        let mut network = bench.network();
        // Small enough that nothing is cut off.
        let rule = RewardHebbian { eligibility, learning_rate: 1e-4, largest_change: 1.0, ..rule() };
        let mut learner = bench.start(&rule, &mut network);
        bench.update(&mut *learner, &mut network, 1).expect("plays");
        let before = network.parameters.copy();
        let saved = learner.state().expect("copies");
        bench.update(&mut *learner, &mut network, 1).expect("learns");

        let kicks = rule.kicks([60, 1, 6], &Stream::new(11).child("perturbation"));
        assert!(kicks[..4 * 6].iter().all(|kick| *kick == 0.0) && kicks.iter().any(|kick| *kick != 0.0));
        let get = |name: &str| values_f64(before.get(name).expect("there"));
        let (j, w_in) = (get("recurrent.weight"), get("input.weight"));
        let trials = bench.trials(1);
        let (inputs, target) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        let mut mean = values_f64(saved.get(MEAN).expect("there"));
        let mut x = {
            let prepared =
                network.dynamics.prepare(&before, &synfire::cell::Setting { dt_ms: Some(1.0), ..Default::default() });
            let mut stream = Stream::new(11).child("initial").at(0);
            let state = network.dynamics.initial_state(&prepared.expect("fits"), 1, &mut stream).expect("fits");
            values_f64(state.get("activity").expect("there"))
        };
        let mut memory = [[0.0; 6]; 6];
        let mut error = 0.0;
        for t in 0..60 {
            let r: Vec<f64> = x.iter().map(|x| x.tanh()).collect();
            for i in 0..6 {
                let recurrent: f64 = (0..6).map(|k| j[i * 6 + k] * r[k]).sum();
                let external: f64 = (0..3).map(|k| w_in[i * 3 + k] * inputs[t * 3 + k]).sum();
                x[i] += (-x[i] + recurrent + external + kicks[t * 6 + i]) / 30.0;
            }
            for i in 0..6 {
                let delta = x[i] - mean[i];
                mean[i] = 0.05 * mean[i] + 0.95 * x[i];
                for k in 0..6 {
                    if t > 2 {
                        memory[i][k] += function(r[k], delta);
                    }
                }
            }
            if t >= 40 {
                error += (x[0].tanh() - target[t]).abs() / 20.0;
            }
        }
        let mean_error = values_f64(saved.get(ERRORS).expect("there"))[0];
        let found = values_f64(network.parameters.get("recurrent.weight").expect("there"));
        for i in 0..6 {
            for k in 0..6 {
                let expected = -1e-4 * mean_error * (error - mean_error) * memory[i][k];
                let change = found[i * 6 + k] - j[i * 6 + k];
                // fluctuations are kept in single precision
                assert!(
                    (change - expected).abs() < 1e-5 * expected.abs() + 1e-12,
                    "{eligibility:?}: {change} {expected}"
                );
            }
        }
    }
}

#[test]
fn node_perturbation_remembers_the_kicks_alone() {
    let bench = Bench::with(&leaky(6), Box::new(short()));
    let mut network = bench.network();
    let rare = Perturbation { probability: 0.0, ..Perturbation::default() };
    let rule = RewardHebbian { eligibility: Eligibility::NodePerturbation, perturbation: rare, ..rule() };
    let mut learner = bench.start(&rule, &mut network);
    let before = network.parameters.copy();
    for _ in 0..3 {
        bench.update(&mut *learner, &mut network, 1).expect("plays");
    }
    assert!(network.parameters.same_bytes(&before), "without kicks there is nothing to learn from");
    let kicked = RewardHebbian { perturbation: Perturbation { probability: 0.05, ..rare }, ..rule };
    let mut learner = bench.start(&kicked, &mut network);
    for _ in 0..3 {
        bench.update(&mut *learner, &mut network, 1).expect("learns");
    }
    let largest = (network.parameters.get("recurrent.weight").expect("there")
        - before.get("recurrent.weight").expect("there"))
    .abs()
    .max()
    .double_value(&[]);
    assert!(largest > 0.0 && largest <= 2.0 * 3e-4 + 1e-12, "two learning trials, each cut off: {largest}");
}

#[test]
fn means_are_kept_by_kind_of_trial_and_the_warm_up_changes_no_weight() {
    let bench = Bench::with(&leaky(12), Box::new(short()));
    let mut network = bench.network();
    let mut learner = bench.start(&RewardHebbian { warm_up: 7, ..rule() }, &mut network);
    let before = network.parameters.copy();
    bench.update(&mut *learner, &mut network, 8).expect("plays");
    // trials 0 to 7 are the warm-up; trial 8 learns
    assert!(network.parameters.same_bytes(&before));
    assert_eq!(learner.state().expect("copies").get(ERRORS).expect("there").size(), [4]);
    bench.update(&mut *learner, &mut network, 4).expect("learns");
    assert!(!network.parameters.same_bytes(&before));
    let one_kind = RewardHebbian { condition: "nothing".into(), ..rule() };
    let mut learner = bench.start(&one_kind, &mut network);
    bench.update(&mut *learner, &mut network, 8).expect("plays");
    assert_eq!(learner.state().expect("copies").get(ERRORS).expect("there").size(), [1]);
}

#[test]
fn rewards_in_real_time_lead_to_the_target() {
    // The rate of one unit should be high in the answer; the reward says at every step whether a kick helped.
    let task = crate::tasks::RandomDots {
        steps: 60,
        coherence: Some(0.3),
        answer_steps: 30,
        start_at_zero: false,
        judged: crate::tasks::Judged { error: crate::tasks::TrialError::Absolute, ..Default::default() },
        ..Default::default()
    };
    let cell = serde_json::json!({ "low": 10.0, "high": 10.0 });
    let cell = LeakyRnn { time_constants: serde_json::from_value(cell).expect("options"), ..leaky(30) };
    let bench = Bench::with(&cell, Box::new(task));
    let mut network = bench.network();
    let rule = RewardHebbian {
        eligibility: Eligibility::Product,
        reward: Reward::RealTime,
        learning_rate: 0.1,
        largest_change: 1e-2,
        perturbation: Perturbation { amplitude: 5.0, ..rule().perturbation },
        ..rule()
    };
    let mut learner = bench.start(&rule, &mut network);
    let errors: Vec<f64> = (0..400).map(|index| bench.fresh(&mut *learner, &mut network, 1, index).0).collect();
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    assert!(mean(&errors[300..]) < 0.7 * mean(&errors[..50]), "{} {}", mean(&errors[..50]), mean(&errors[300..]));
}

#[test]
fn it_goes_on_after_a_break_with_the_same_bytes() {
    let bench = Bench::with(&leaky(10), Box::new(short()));
    let mut first = bench.network();
    let mut learner = bench.start(&rule(), &mut first);
    for index in 0..3 {
        bench.fresh(&mut *learner, &mut first, 3, index);
    }
    let (saved, parameters) = (learner.state().expect("copies"), first.parameters.copy());
    bench.fresh(&mut *learner, &mut first, 3, 3);
    let mut second = bench.network();
    let mut other = bench.start(&rule(), &mut second);
    second.parameters = parameters;
    other.restore(saved).expect("its own");
    bench.fresh(&mut *other, &mut second, 3, 3);
    assert!(second.parameters.same_bytes(&first.parameters));
    assert!(other.state().expect("copies").same_bytes(&learner.state().expect("copies")));
    let mut problems = Problems::under("rule");
    RewardHebbian { error_trace: 1.0, largest_change: 0.0, ..rule() }.check(&bench.registry, &mut problems);
    let message = problems.into_result().expect_err("two").to_string();
    assert!(message.contains("rule.error_trace is 1") && message.contains("rule.largest_change is 0"), "{message}");
}
