//! Plateaus and closed forms, exactly, with stub networks that always say the same.

use super::draw::Drawn;
use super::*;
use std::f64::consts::PI;
use synfire::cell::Mode;
use synfire::tch::Device;
use synfire::tensors::values_f64;
use synfire::{Error, Spec};

fn task(name: &str, options: &serde_json::Value) -> Box<dyn Task> {
    let registry = Registry::linked().expect("links");
    registry.build(&Spec::<dyn Task>::with(format!("ring-{name}"), options), "task").expect("in range")
}

fn evaluation() -> Lesson {
    Lesson { mode: Mode::Evaluation, ..Lesson::default() }
}

/// Trials of an evaluation with the published options, in double precision.
fn draw(name: &str, batch: usize) -> (Box<dyn Task>, Trials) {
    let published =
        serde_json::json!({ "non_match": { "answer": "as-match", "ring": "zero", "order": "first-category-first" } });
    let options = if ["dms", "dnms", "dmc", "dnmc"].contains(&name) { published } else { serde_json::json!({}) };
    let task = task(name, &options);
    let trials = task.trials(&evaluation(), batch, &mut Stream::new(2)).expect("in range");
    (task, trials.to(Device::Cpu, Kind::Double))
}

/// Outputs whose logistic is `values`.
fn saying(values: &Tensor) -> Tensor {
    values.clamp(1e-9, 1.0 - 1e-9).logit(None::<f64>)
}

fn judged(task: &dyn Task, trials: &Trials, output: Tensor) -> (f64, f64) {
    let scores = task.score(trials, &[output]).expect("fits");
    let accuracy = scores.heads[0].accuracy.as_ref().expect("has one").double_value(&[]);
    (scores.loss.double_value(&[]), accuracy)
}

/// Fixation says the first number throughout, rings their floor.
fn fixating(trials: &Trials, fixation: f64) -> Tensor {
    let values = Tensor::full_like(&trials.targets[0].values, 0.05);
    drop(values.select(-1, 0).fill_(fixation));
    saying(&values)
}

#[test]
fn a_network_that_always_fixates_has_the_published_performance() {
    for rule in &RULES {
        let (task, trials) = draw(rule.name, 50);
        let asks = trials.conditions["responds"].iter().filter(|responds| **responds == 0.0).count() as f64 / 50.0;
        assert_eq!(asks > 0.0, rule.index >= 16, "half the trials of a match ask to keep fixating");
        let share = rule.structure.fixation_share();
        let (_, found) = judged(&*task, &trials, fixating(&trials, 0.85));
        let expected = share + (1.0 - share) * asks;
        assert!((found - expected).abs() < 1e-12, "{}: {found} {expected}", rule.name);
        if rule.index >= 16 {
            // with half of the trials 11/12; five standard errors of 50 coins
            assert!((found - 11.0 / 12.0).abs() < 0.06, "{found}");
        }
    }
}

#[test]
fn a_perfect_network_has_everything_and_one_that_never_fixates_nothing_of_the_rest() {
    for rule in &RULES {
        let (task, trials) = draw(rule.name, 40);
        let (loss, found) = judged(&*task, &trials, saying(&trials.targets[0].values));
        assert!(loss < 1e-12 && (found - 1.0).abs() < 1e-12, "{}: {loss} {found}", rule.name);
        // Released throughout, but in the response all is right that asks for one.
        let values = trials.targets[0].values.copy();
        drop(values.select(-1, 0).fill_(0.05));
        let (_, found) = judged(&*task, &trials, saying(&values));
        let responds = trials.conditions["responds"].iter().sum::<f64>() / 40.0;
        let expected = (1.0 - rule.structure.fixation_share()) * responds;
        assert!((found - expected).abs() < 1e-12, "{}: {found} {expected}", rule.name);
    }
}

#[test]
fn a_response_score_of_0_97_0_95_0_94_is_0_99_where_fixation_is_perfect() {
    for (name, score) in [("go", 0.97), ("dlygo", 0.95), ("dlydm1", 0.94)] {
        let (task, trials) = draw(name, 100);
        let wrong = 100 - (score * 100.0f64).round() as i64;
        let values = trials.targets[0].values.copy();
        // Some trials go to the opposite side.
        let ring = values.narrow(-1, 1, 32).narrow(1, 0, wrong);
        ring.shallow_clone().copy_(&ring.roll([16], [-1]));
        let (_, found) = judged(&*task, &trials, saying(&values));
        assert!((found - 0.99).abs() < 1e-9, "{name}: {found}");
    }
}

#[test]
fn angles_count_within_a_tenth_of_a_turn_and_by_chance_a_fifth_of_them_do() {
    let (task, trials) = draw("go", 1000);
    let mut stream = Stream::new(9);
    let values = trials.targets[0].values.copy();
    let start = trials.conditions[RESPONSE_START][0] as i64;
    for row in 0..1000i64 {
        let says: Vec<f64> = bump(2.0 * PI * stream.uniform()).iter().map(|g| g + 0.05).collect();
        let mut ring = values.select(1, row).narrow(-1, 1, 32).narrow(0, start, 100);
        ring.copy_(&Tensor::from_slice(&says).expand([100, -1], false));
    }
    let (_, found) = judged(&*task, &trials, saying(&values));
    let response = (found - 2.0 / 3.0) * 3.0;
    // five standard errors of 1000 trials
    assert!((response - 0.2).abs() < 0.064, "{response}");
    let near = |off: f64| {
        let parts = by_rule(&trials, &saying(&turned(&trials, off))).expect("fits");
        parts[&0].1.response
    };
    assert_eq!((near(0.199 * PI), near(0.201 * PI)), (1.0, 0.0));
}

/// The targets with the response turned by an angle.
fn turned(trials: &Trials, off: f64) -> Tensor {
    let values = trials.targets[0].values.copy();
    let (time, start) = (values.size()[0], trials.conditions[RESPONSE_START][0] as i64);
    for (row, angle) in trials.conditions["angle"].iter().enumerate() {
        let says: Vec<f64> = bump(angle + off).iter().map(|g| g + 0.05).collect();
        let mut ring = values.select(1, row as i64).narrow(-1, 1, 32).narrow(0, start, time - start);
        ring.copy_(&Tensor::from_slice(&says).expand([time - start, -1], false));
    }
    values
}

#[test]
fn a_ring_that_says_the_mean_has_the_published_error() {
    let (task, trials) = draw("go", 200);
    // The mean profile over uniform angles is flat.
    let mean = trials.targets[0].values.copy();
    let start = trials.conditions[RESPONSE_START][0] as i64;
    let profile: f64 = bump(0.3).iter().map(|g| g + 0.05).sum::<f64>() / 32.0;
    drop(mean.narrow(0, start, 100).narrow(-1, 1, 32).fill_(profile));
    let (loss, _) = judged(&*task, &trials, saying(&mean));
    let exact = bump(0.3).iter().map(|g| (g + 0.05 - profile).powi(2)).sum::<f64>() / 33.0;
    assert!((exact - 0.0535).abs() < 5e-5, "{exact}");
    assert!((loss - exact).abs() < 1e-6, "{loss} {exact}");
    // Matching without a clue: fixation half way, the ring half of the mean profile (its floor is 0 where it should be silent).
    let (task, trials) = draw("dms", 200);
    let blind = trials.targets[0].values.copy();
    let start = trials.conditions[RESPONSE_START][0] as i64;
    let share = trials.conditions["responds"].iter().sum::<f64>() / 200.0;
    drop(blind.narrow(0, start, 100).select(-1, 0).fill_(0.85 - 0.8 * share));
    drop(blind.narrow(0, start, 100).narrow(-1, 1, 32).fill_(profile * share));
    let (loss, _) = judged(&*task, &trials, saying(&blind));
    let squares = bump(0.3).iter().map(|g| (g + 0.05).powi(2)).sum::<f64>();
    let exact = |p: f64| (0.64 * p * (1.0 - p) + p * squares - 32.0 * (p * profile).powi(2)) / 33.0;
    assert!((exact(0.5) - 0.0391).abs() < 5e-5, "{}", exact(0.5));
    assert!((loss - exact(share)).abs() < 1e-6, "{loss} {}", exact(share));
}

#[test]
fn windows_epochs_and_inputs_are_those_of_the_structure() {
    for (name, total, names) in [
        ("go", 300, vec!["fixation", "stimulus", "response"]),
        ("dlyanti", 500, vec!["fixation", "stimulus", "delay", "response"]),
        ("dmc", 600, vec!["fixation", "first-stimulus", "delay", "second-stimulus", "response"]),
    ] {
        let (_, trials) = draw(name, 3);
        assert_eq!(trials.time(), total);
        assert_eq!(trials.periods.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(trials.settle.as_ref().map(Tensor::size), Some(vec![200, 3, 85]));
        let weight = values_f64(&trials.targets[0].weight.as_ref().expect("windows").select(1, 0));
        let counts = |range: std::ops::Range<usize>| weight[range].iter().filter(|w| **w > 0.0).count();
        // free: 40 steps at both starts
        assert_eq!((counts(0..40), counts(40..total - 100)), (0, total - 140));
        assert_eq!((counts(total - 100..total - 60), counts(total - 60..total)), (0, 60));
        let settle = values_f64(&trials.settle.as_ref().expect("settles").select(1, 0).select(0, 5));
        assert_eq!(settle.iter().sum::<f64>(), 1.0, "the rule alone");
    }
    let (_, trials) = draw("rtgo", 5);
    let sum = |from: i64, channels: (i64, i64)| {
        trials.inputs.narrow(0, from, 100).narrow(2, channels.0, channels.1).sum(Kind::Double).double_value(&[])
    };
    assert_eq!(sum(100, (1, 64)), 0.0, "no stimulus before the response");
    assert!(sum(200, (1, 64)) > 0.0);
    assert_eq!(sum(200, (0, 1)), 500.0, "the fixation input stays on");
    let (_, trials) = draw("go", 5);
    assert_eq!(values_f64(&trials.inputs.select(0, 250)).iter().sum::<f64>(), 5.0, "the rule alone in the response");
}

#[test]
fn coarse_steps_and_jitter_are_the_published_ones() {
    // theta, steps of 0.5 s, 1 s, jitter, what is free
    let table = [
        (1, 100, 200, 20, 40),
        (2, 50, 100, 10, 20),
        (3, 33, 66, 6, 13),
        (4, 25, 50, 5, 10),
        (5, 20, 40, 4, 8),
        (6, 16, 33, 3, 6),
        (7, 14, 28, 2, 5),
        (8, 12, 25, 2, 5),
        (9, 11, 22, 2, 4),
        (10, 10, 20, 2, 4),
        (20, 5, 10, 1, 2),
        (30, 3, 6, 0, 1),
        (40, 2, 5, 0, 1),
    ];
    let ring = Ring::of(&RULES[2]);
    for (theta, short, long, jitter, free) in table {
        let dt = 5.0 * f64::from(theta);
        let still = ring.epochs(dt, Mode::Evaluation, &Stream::new(1));
        let lengths: Vec<usize> = still.epochs.iter().map(|(_, steps)| *steps).collect();
        assert_eq!((lengths, still.settle, still.free), (vec![short, short, long, short], long, free), "theta {theta}");
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..800 {
            let epochs = ring.epochs(dt, Mode::Training, &Stream::new(seed)).epochs;
            assert_eq!(epochs[3].1, short, "the response is never jittered");
            seen.insert(epochs[0].1);
        }
        let expected = if jitter == 0 { short..=short } else { short - jitter..=short + jitter - 1 };
        assert!(seen.iter().copied().eq(expected), "theta {theta}: {seen:?}");
    }
    let lesson = Lesson { dt_ms: Some(50.0), ..evaluation() };
    let trials = task("dlygo", &serde_json::json!({})).trials(&lesson, 2, &mut Stream::new(1)).expect("in range");
    assert_eq!(trials.time(), 50);
}

#[test]
fn the_published_code_is_an_option() {
    let zero = Drawn::draw(&RULES[16], &NonMatch::default(), &mut Stream::new(1).at(0));
    assert!(zero.first.len() == 1 && zero.second.len() == 1);
    let ring_of = |options: serde_json::Value| {
        let trials = task("dms", &options).trials(&evaluation(), 20, &mut Stream::new(2)).expect("in range");
        let silent = trials.conditions["responds"].iter().position(|r| *r == 0.0).expect("half of them") as i64;
        trials.targets[0].values.double_value(&[550, silent, 7])
    };
    assert!((ring_of(serde_json::json!({})) - 0.05).abs() < 1e-7);
    assert_eq!(ring_of(serde_json::json!({ "non_match": { "ring": "zero" } })), 0.0);
}

#[test]
fn wrong_options_and_lessons_are_refused() {
    let registry = Registry::linked().expect("links");
    let build = |options: serde_json::Value| registry.build(&Spec::<dyn Task>::with("ring-go", &options), "task");
    let message = |result: std::result::Result<Box<dyn Task>, Error>| result.expect_err("refused").to_string();
    let error = message(build(serde_json::json!({ "timing": { "response_ms": 200 } })));
    assert!(error.contains("task.timing.response_ms is 200, must be more than free_ms = 200"), "{error}");
    assert!(message(build(serde_json::json!({ "dt_ms": 0 }))).contains("task.dt_ms is 0"));
    assert!(message(build(serde_json::json!({ "non_match": {} }))).contains("unknown field"));
    let go = task("go", &serde_json::json!({}));
    let error = go.trials(&Lesson::with_levels([(2, 0)]), 2, &mut Stream::new(1)).expect_err("no levels").to_string();
    assert!(error.contains("'ring-go' has no difficulty"), "{error}");
    let wide = Lesson { dt_ms: Some(600.0), ..Lesson::default() };
    assert!(go.trials(&wide, 2, &mut Stream::new(1)).expect_err("too coarse").to_string().contains("600 ms"));
}
