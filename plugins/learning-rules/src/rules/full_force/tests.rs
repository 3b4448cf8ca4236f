use super::super::bench::Bench;
use super::*;
use crate::tasks::{RandomDots, ReadySetGo, SumOfSines};
use synfire::recurrence::Placement;
use synfire::tch::{Device, Kind};
use synfire_essentials::cells::LeakyRnn;

fn cell(hidden: usize) -> serde_json::Value {
    serde_json::json!({
        "type": "leaky-rnn", "hidden": hidden, "placement": "current",
        "time_constants": { "low": 10.0, "high": 10.0 },
        "input": { "gain": 1.7 }, "input_bias": false,
        "initial_state": { "low": -1.0, "high": 1.0 },
    })
}

fn leaky(hidden: usize) -> LeakyRnn {
    let mut options = cell(hidden);
    drop(options.as_object_mut().expect("a table").remove("type"));
    serde_json::from_value(options).expect("options")
}

fn waves() -> SumOfSines {
    SumOfSines { period_steps: 120, amplitude: 1.0, ..SumOfSines::default() }
}

#[test]
fn forced_trials_change_nothing_and_bring_the_pupil_onto_the_teacher() {
    let bench = Bench::with(&leaky(40), Box::new(waves()));
    let mut network = bench.network();
    let rule = FullForce { forced_trials: 2, ..FullForce::default() };
    let mut learner = bench.start(&rule, &mut network);
    let silent = |network: &Network, name: &str| {
        network.parameters.get(name).expect("there").abs().max().double_value(&[]) == 0.0
    };
    assert!(silent(&network, "recurrent.weight") && silent(&network, "head.0.weight"));
    assert!(!network.parameters.contains("head.0.bias"));
    for _ in 0..2 {
        bench.update(&mut *learner, &mut network, 1).expect("plays");
        assert!(silent(&network, "recurrent.weight") && silent(&network, "head.0.weight"));
    }
    // Leaky units forget where they began: after 240 steps of ten both networks have had the same input.
    let state = learner.state().expect("copies");
    let gap = state.get("last_state/activity").expect("there") - state.get("teacher_state/activity").expect("there");
    // e^-24 times the distance of two initial states
    assert!(gap.abs().max().double_value(&[]) < 1e-9, "{gap}");
    bench.update(&mut *learner, &mut network, 1).expect("learns");
    assert!(!silent(&network, "recurrent.weight") && !silent(&network, "head.0.weight"));
}

#[test]
fn the_recurrent_weights_are_the_ridge_regression_of_the_teachers_drives() {
    // One trial of learning at every step from zero; the rates are the network's own, so they are recomputed from the weights found.
    let bench = Bench::with(&leaky(15), Box::new(SumOfSines { period_steps: 40, ..waves() }));
    let mut network = bench.network();
    let rule = FullForce { forced_trials: 1, learn_every: 1, alpha: 0.7, ..FullForce::default() };
    let mut learner = bench.start(&rule, &mut network);
    bench.update(&mut *learner, &mut network, 1).expect("plays");
    let before = learner.state().expect("copies");
    bench.update(&mut *learner, &mut network, 1).expect("learns");
    let after = learner.state().expect("copies");

    // An independent version: plain matrices, and the inverse computed by solving at every step.
    let get = |state: &Tensors, name: &str| state.get(name).expect("there").to_kind(Kind::Double);
    let (jd, uf) = (get(&before, "teacher/recurrent"), get(&before, "teacher/signal"));
    let mut xd = get(&before, "teacher_state/activity").squeeze();
    let mut x = get(&before, "last_state/activity").squeeze();
    let f: Vec<f64> = synfire::tensors::values_f64(&bench.trials(1).targets[0].values);
    let told = |t: usize| &uf.squeeze_dim(1) * f[t.min(39)];
    let options = (Kind::Double, Device::Cpu);
    let (mut j, mut w) = (Tensor::zeros([15, 15], options), Tensor::zeros([1, 15], options));
    let mut correlation = Tensor::eye(15, options) * 0.7;
    for (t, signal) in f.iter().enumerate().take(40) {
        xd = &xd * 0.9 + (jd.mv(&xd.tanh()) + told(t)) * 0.1;
        x = &x * 0.9 + j.mv(&x.tanh()) * 0.1;
        let r = x.tanh();
        correlation += r.outer(&r);
        let gain = Tensor::linalg_solve(&correlation, &r, true);
        let wanted = jd.mv(&xd.tanh()) + told(t + 1);
        let errors = (j.mv(&r) - wanted, w.mv(&r) - *signal);
        j -= errors.0.outer(&gain);
        w -= errors.1.outer(&gain);
    }
    let gap = |name: &str, by_hand: &Tensor| {
        (network.parameters.get(name).expect("there") - by_hand).abs().max().double_value(&[])
    };
    // double precision through forty steps of a network that amplifies
    assert!(gap("recurrent.weight", &j) < 1e-9, "{:e}", gap("recurrent.weight", &j));
    assert!(gap("head.0.weight", &w) < 1e-9, "{:e}", gap("head.0.weight", &w));
    let inverse = (get(&after, "inverse").matmul(&correlation) - Tensor::eye(15, options)).abs().max();
    assert!(inverse.double_value(&[]) < 1e-9, "{inverse}");
}

#[test]
fn it_learns_a_periodic_signal_and_keeps_on_generating_it() {
    let bench = Bench::with(&leaky(80), Box::new(waves()));
    let mut network = bench.network();
    let rule = FullForce { forced_trials: 3, ..FullForce::default() };
    let mut learner = bench.start(&rule, &mut network);
    for _ in 0..60 {
        bench.update(&mut *learner, &mut network, 1).expect("learns");
    }
    // Learning stops; what was learned stays.
    let mut frozen = Bench::with(&leaky(80), Box::new(waves()));
    frozen.lesson.frozen = vec!["*".into()];
    let weights = network.parameters.copy();
    let losses: Vec<f64> = (0..10).map(|_| frozen.update(&mut *learner, &mut network, 1).expect("plays")).collect();
    assert!(network.parameters.same_bytes(&weights));
    // The target's mean square is 0.31; ten whole periods without learning.
    assert!(losses.iter().all(|loss| *loss < 0.01), "{losses:?}");
}

#[test]
fn only_the_leading_modes_are_learned_where_that_is_asked() {
    let bench = Bench::with(&leaky(30), Box::new(waves()));
    let mut network = bench.network();
    let rule = FullForce { forced_trials: 2, modes: Some(4), ..FullForce::default() };
    let mut learner = bench.start(&rule, &mut network);
    for _ in 0..4 {
        bench.update(&mut *learner, &mut network, 1).expect("learns");
    }
    let weights = network.parameters.get("recurrent.weight").expect("there");
    let (_, values, _) = weights.svd(true, true);
    let values = synfire::tensors::values_f64(&values);
    assert!(values[3] > 1e-3 && values[4] < 1e-9 * values[0], "{values:?}");
}

#[test]
fn the_mode_for_decisions_and_hints_run_and_go_on_after_a_break() {
    let dots = RandomDots { steps: 60, answer_steps: 40, noise_std: 0.1, ..RandomDots::default() };
    let decisions = FullForce {
        alpha: 100.0,
        input: InputWeights::Own,
        hint: Hint::Target,
        target_gain: 1.0,
        signals: Distribution::Normal,
        signal_gain: 0.5,
        learn_every: 1,
        forced_trials: 0,
        continue_state: false,
        ..FullForce::default()
    };
    let quick = ReadySetGo { dt_ms: 10.0, longest_ms: 200.0, pause_mean_ms: 50.0, ..ReadySetGo::default() };
    let hinted = FullForce { forced_trials: 1, ..FullForce::default() };
    let cases: [(Box<dyn synfire::Task>, FullForce, usize); 2] =
        [(Box::new(dots), decisions, 2), (Box::new(quick), hinted, 1)];
    for (task, rule, hints) in cases {
        let bench = Bench::with(&leaky(20), task);
        let mut first = bench.network();
        let mut learner = bench.start(&rule, &mut first);
        for index in 0..3 {
            bench.fresh(&mut *learner, &mut first, 1, index);
        }
        let (saved, parameters) = (learner.state().expect("copies"), first.parameters.copy());
        assert_eq!(saved.get("teacher/hint").expect("it was told").size(), [20, 1], "{hints}");
        assert_eq!(saved.contains("teacher/input"), rule.input == InputWeights::Own);
        assert_eq!(saved.contains("last_state/activity"), rule.continue_state);
        bench.fresh(&mut *learner, &mut first, 1, 3);
        let mut second = bench.network();
        let mut other = bench.start(&rule, &mut second);
        second.parameters = parameters;
        other.restore(saved).expect("its own");
        bench.fresh(&mut *other, &mut second, 1, 3);
        assert!(second.parameters.same_bytes(&first.parameters));
        assert!(other.state().expect("copies").same_bytes(&learner.state().expect("copies")));
        let foreign = Tensors::from([("inverse/0", Tensor::from(1.0))]);
        assert!(other.restore(foreign).expect_err("another rule's").to_string().contains("'inverse/0'"));
    }
}

#[test]
fn what_cannot_work_is_refused_in_words() {
    let bench = Bench::with(&leaky(10), Box::new(waves()));
    let mut problems = Problems::under("rule");
    FullForce { forced_trials: 0, modes: Some(3), alpha: 0.0, ..FullForce::default() }
        .check(&bench.registry, &mut problems);
    let message = problems.into_result().expect_err("two").to_string();
    assert!(message.contains("rule.forced_trials is 0") && message.contains("rule.alpha is 0"), "{message}");
    let mut network = bench.network();
    let mut learner = bench.start(&FullForce::default(), &mut network);
    let error = bench.update(&mut *learner, &mut network, 2).expect_err("two trajectories");
    assert!(error.to_string().contains("expected 1 trial"), "{error}");
    let drive = LeakyRnn { placement: Placement::Drive, ..leaky(10) };
    let works = Bench::with(&drive, Box::new(waves()));
    let mut network = works.network();
    let mut learner = works.start(&FullForce::default(), &mut network);
    works.update(&mut *learner, &mut network, 1).expect("any rate network will do");
    let low_rank = LeakyRnn { rank: Some(2), ..leaky(10) };
    let bench = Bench::with(&low_rank, Box::new(waves()));
    let mut network = bench.network();
    let context = synfire::BuildContext {
        registry: &bench.registry,
        task: bench.task.spec(),
        device: Device::Cpu,
        kind: Kind::Double,
    };
    let error = FullForce::default().start(&mut network, &context, &Stream::new(1)).err().expect("a product");
    assert!(error.to_string().contains("free recurrent weights"), "{error}");
}
