use super::super::Skip;
use super::*;
use serde_json::{Value, json};
use synfire::cell::{Clock, Form, Mode, Setting};
use synfire::rollout::Rollout;
use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{Lesson, Task, Tensors};
// Cells to wrap.
use synfire_essentials as _;

/// Leaks of two units: time constants of 100 and 50 ms at steps of 5 ms.
const ALPHAS: [f64; 2] = [0.05, 0.1];

/// Two silent units, of which only the leak is left.
fn leaking(cell: &dyn Cell) -> Network {
    let registry = Registry::linked().expect("links");
    let task = registry.build(&Spec::<dyn Task>::new("ring-go"), "task").expect("there").spec();
    let context = BuildContext { registry: &registry, task, device: Device::Cpu, kind: Kind::Double };
    let mut network = cell.build(&context, &Stream::new(1)).expect("fits");
    network.parameters.insert("time_constants", Tensor::from_slice(&ALPHAS.map(f64::recip)));
    network.parameters.insert("recurrent.weight", Tensor::zeros([2, 2], (Kind::Double, Device::Cpu)));
    network
}

fn aligned(theta: usize, beta: f64, increment: Increment) -> DynamicsAligned {
    let inner = Spec::with("leaky-rnn", &json!({ "hidden": 2, "activation": "identity" }));
    DynamicsAligned { inner, theta, beta, increment, onset: None }
}

/// `|d r_200 / d r_0|` of both units, by autograd through the steps.
fn attenuation(cell: &DynamicsAligned) -> Vec<f64> {
    let network = leaking(cell);
    let conditions = Setting { mode: Mode::Training, dt_ms: Some(5.0), ..Setting::default() };
    let leaf = Tensor::from_slice(&[1.0, 1.0]).reshape([1, 2]).set_requires_grad(true);
    let prepared = network.dynamics.prepare(&network.parameters, &conditions).expect("complete");
    let mut state = Tensors::from([("activity", leaf.shallow_clone())]);
    let silence = Tensor::zeros([1, 2], (Kind::Double, Device::Cpu));
    for t in 0..200 {
        let clock = Clock { step: t, since_border: t, period: "", setting: &conditions };
        state = network.dynamics.step(&clock, &prepared, &state, &silence, None).expect("steps");
    }
    let last = state.get("activity").expect("there").sum(Kind::Double);
    values_f64(&Tensor::run_backward(&[last], &[leaf], false, false)[0]).iter().map(|g| g.abs()).collect()
}

#[test]
fn by_the_formula_the_gradient_of_silent_units_decays_as_published() {
    let table = [(10, [6.3e-6, 6.7e-16]), (20, [3.4e-8, 2.7e-4]), (40, [0.0157, 7.4])];
    for (theta, published) in table {
        let found = attenuation(&aligned(theta, 0.5, Increment::SegmentStart));
        for ((alpha, found), published) in ALPHAS.iter().zip(found).zip(published) {
            let far = 1.0 - theta as f64 * alpha;
            let exact = (0.5 * (1.0 - alpha).powi(theta as i32) + 0.5 * far).abs().powi(200 / theta as i32);
            // Sums that cancel lose digits: 1e-16 of numbers up to theta in 20 factors.
            assert!((found / exact - 1.0).abs() < 1e-9, "{theta}: {found} {exact}");
            // two digits are published
            assert!((found / published - 1.0).abs() < 0.02, "{theta}: {found} {published}");
        }
    }
}

#[test]
fn as_coded_the_gradient_of_silent_units_follows_its_recurrence() {
    for theta in [10, 20, 40] {
        let found = attenuation(&aligned(theta, 0.5, Increment::PreviousStep));
        for (alpha, found) in ALPHAS.iter().zip(found) {
            let (keep, steps) = (1.0 - alpha, theta as i32);
            let (mut r, mut ahead) = (1.0, -alpha);
            for _ in 0..200 / theta {
                let next = 0.5 * keep.powi(steps) * r + 0.5 * (r + theta as f64 * ahead);
                ahead = -alpha * keep.powi(steps - 1) * r;
                r = next;
            }
            assert!((found / r.abs() - 1.0).abs() < 1e-9, "{theta}: {found} {r}");
        }
    }
}

/// A task, a cell around a small rate network and a schedule, on the fast path and by autograd.
fn both_gradients(task: (&str, Value), cell: &dyn Cell, schedule: &[(&str, f64)]) -> [(f64, Tensors); 2] {
    let registry = Registry::linked().expect("links");
    let task = registry.build(&Spec::<dyn Task>::with(task.0, &task.1), "task").expect("in range");
    let context = BuildContext { registry: &registry, task: task.spec(), device: Device::Cpu, kind: Kind::Double };
    let mut network = cell.build(&context, &Stream::new(3)).expect("fits");
    network.add_heads(&[0], &context, &Stream::new(4)).expect("fits");
    let workers = Workers::new(1).expect("one");
    let schedule: std::collections::BTreeMap<String, f64> =
        schedule.iter().map(|(name, value)| ((*name).to_string(), *value)).collect();
    let lesson = Lesson { schedule: schedule.clone(), ..Lesson::default() };
    let trials = task.trials(&lesson, 34, &mut Stream::new(5)).expect("in range").to(Device::Cpu, Kind::Double);
    let setting = Setting { mode: Mode::Training, dt_ms: task.spec().dt_ms, substeps: None, schedule };
    assert!(matches!(network.dynamics.form(&setting), Form::Rate(_)), "it has an explicit adjoint");
    [true, false].map(|fast| {
        let rollout = Rollout {
            task: &*task,
            lesson: &lesson,
            setting: setting.clone(),
            stream: Stream::new(6),
            workers: &workers,
            fast,
            settle: 0,
        };
        let found = rollout.gradient(&network, &trials, None, |_| true).expect("steps");
        (found.loss, found.gradients)
    })
}

fn agree([(fast_loss, fast), (slow_loss, slow)]: [(f64, Tensors); 2], what: &str) {
    assert!((fast_loss - slow_loss).abs() < 1e-12, "{what}: {fast_loss} {slow_loss}");
    assert!(slow.len() >= 4, "{what}");
    // Some gradients, such as those of time constants, are small differences of large terms: the largest of all is the scale.
    let largest = slow.iter().map(|(_, gradient)| gradient.abs().max().double_value(&[])).fold(0.0, f64::max);
    for (name, expected) in slow.iter() {
        let gap = no_grad(|| (fast.get(name).expect("there") - expected).abs().max().double_value(&[]));
        assert!(expected.abs().max().double_value(&[]) > 0.0, "{what}: '{name}' has no gradient");
        assert!(gap <= 1e-10 * largest, "{what}: '{name}' differs by {gap:e} of {largest:e}");
    }
}

fn inner(placement: &str) -> Spec<dyn Cell> {
    let time_constants = json!({
        "unit": "ms", "low": 100.0, "high": 100.0, "trainable": true,
        "last": { "fraction": 0.2, "low": 50.0, "high": 50.0 },
    });
    let noise = json!({ "sigma": 0.1, "kind": "correlated", "correlation": 100.0 });
    let options = json!({
        "hidden": 10, "placement": placement, "activation": "softplus", "time_constants": time_constants, "noise": noise,
    });
    Spec::with("leaky-rnn", &options)
}

#[test]
fn the_explicit_adjoint_of_every_scheme_is_autograds() {
    for placement in ["drive", "whole", "current"] {
        // Steps of a tenth and a fifth of the time constants, so that no extrapolation is unstable and makes rounding errors grow.
        let timing =
            json!({ "settle_ms": 200, "fixation_ms": 300, "stimulus_ms": 300, "delay_ms": 400, "response_ms": 400 });
        let ring = || ("ring-dlygo", json!({ "dt_ms": 10.0, "timing": timing.clone() }));
        let edges: &[(usize, f64)] = if placement == "drive" { &[(1, 0.5), (2, 0.0)] } else { &[] };
        for (theta, beta) in edges.iter().copied().chain([(7, 0.3), (20, 0.8)]) {
            let skip = Skip { inner: inner(placement), theta, beta, onset: None };
            agree(both_gradients(ring(), &skip, &[]), &format!("skip {theta} {beta} {placement}"));
            for increment in [Increment::SegmentStart, Increment::PreviousStep] {
                let cell = DynamicsAligned { inner: inner(placement), theta, beta, increment, onset: None };
                agree(both_gradients(ring(), &cell, &[]), &format!("{increment:?} {theta} {beta} {placement}"));
            }
        }
        let scheduled = Skip { inner: inner(placement), theta: 3, beta: 0.9, onset: None };
        let schedule = [("theta", 5.0), ("beta", 0.25)];
        agree(both_gradients(ring(), &scheduled, &schedule), &format!("scheduled {placement}"));
    }
}

#[test]
fn the_explicit_adjoint_follows_skips_from_trial_to_trial() {
    let reversal = || ("rule-reversal", json!({ "dt_ms": 25.0 }));
    let onset = Some("stimulus".to_string());
    for theta in [0, 6] {
        let skip = Skip { inner: inner("drive"), theta, beta: 0.6, onset: onset.clone() };
        agree(both_gradients(reversal(), &skip, &[]), &format!("skip {theta}"));
        let increment = Increment::PreviousStep;
        let cell = DynamicsAligned { inner: inner("drive"), theta, beta: 0.6, increment, onset: onset.clone() };
        agree(both_gradients(reversal(), &cell, &[]), &format!("aligned {theta}"));
    }
}

#[test]
fn every_cell_can_be_wrapped() {
    let registry = Registry::linked().expect("links");
    let task = registry.build(&Spec::<dyn Task>::new("ring-go"), "task").expect("there").spec();
    let context = BuildContext { registry: &registry, task, device: Device::Cpu, kind: Kind::Double };
    for name in ["elman", "lstm", "gru", "leaky-rnn"] {
        let inner = Spec::with(name, &json!({ "hidden": 5 }));
        let cell = DynamicsAligned { inner, theta: 3, ..DynamicsAligned::default() };
        let network = cell.build(&context, &Stream::new(1)).expect("fits");
        let setting = Setting::default();
        let prepared = network.dynamics.prepare(&network.parameters, &setting).expect("complete");
        let mut state = network.dynamics.initial_state(&prepared, 2, &mut Stream::new(2)).expect("starts");
        let inputs = Stream::new(3).normal_tensor(&[4, 2, 85], Kind::Double, Device::Cpu);
        let projected = network.dynamics.project(&prepared, &inputs).expect("fits").unbind(0);
        let mut seen = vec![values_f64(&network.dynamics.rates(&state).expect("there"))];
        for (t, input) in projected.iter().enumerate() {
            let clock = Clock { step: t, since_border: t, period: "", setting: &setting };
            state = network.dynamics.step(&clock, &prepared, &state, input, None).expect("steps");
            seen.push(values_f64(&network.dynamics.rates(&state).expect("there")));
        }
        // The third step by hand from the bare cell, whose rates are a tensor of the state in all of these.
        let bare = cell.build(&context, &Stream::new(1)).expect("fits");
        let test = Setting { mode: Mode::Evaluation, ..Setting::default() };
        let mut plain = bare.dynamics.initial_state(&prepared, 2, &mut Stream::new(2)).expect("starts");
        let mut rates = vec![values_f64(&bare.dynamics.rates(&plain).expect("there"))];
        for (t, input) in projected.iter().take(3).enumerate() {
            let clock = Clock { step: t, since_border: t, period: "", setting: &test };
            plain = bare.dynamics.step(&clock, &prepared, &plain, input, None).expect("steps");
            rates.push(values_f64(&bare.dynamics.rates(&plain).expect("there")));
        }
        for (unit, found) in seen[3].iter().enumerate() {
            let far = rates[0][unit] + 3.0 * (rates[1][unit] - rates[0][unit]);
            let expected = 0.5 * rates[3][unit] + 0.5 * far;
            assert!((found - expected).abs() < 1e-12, "{name}: {found} {expected}");
        }
    }
}

#[test]
fn wrong_options_are_refused() {
    let registry = Registry::linked().expect("links");
    let problems = |cell: &DynamicsAligned| {
        let mut problems = Problems::under("cell");
        cell.check(&registry, &mut problems);
        problems.into_result().expect_err("wrong").to_string()
    };
    let nested = DynamicsAligned { inner: Spec::new("skip"), ..DynamicsAligned::default() };
    assert!(problems(&nested).contains("cell.inner mixes its state with earlier ones itself"));
    let wrong = DynamicsAligned { beta: -0.5, onset: Some(String::new()), ..DynamicsAligned::default() };
    let message = problems(&wrong);
    assert!(message.contains("cell.beta is -0.5") && message.contains("cell.onset is an empty name"), "{message}");
}
