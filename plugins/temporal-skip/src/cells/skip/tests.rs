use super::*;
use synfire::cell::{Clock, Form, Mode, Setting};
use synfire::rollout::{Record, Rollout};
use synfire::task::{Answer, Objective, Period, Target, Trials};
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{Lesson, Property, Task, TaskSpec, Tensors};

/// Leaks of two units: time constants of 100 and 50 ms at steps of 5 ms.
const ALPHAS: [f64; 2] = [0.05, 0.1];

/// Units of which only the leak is left once they are built: `r' = (1 - alpha) r + alpha u`.
fn skip(theta: usize, beta: f64) -> Skip {
    let options = serde_json::json!({
        "hidden": 2, "placement": "drive", "activation": "identity", "input_bias": false,
        "initial_state": { "low": 1.0, "high": 1.0 },
    });
    Skip { inner: Spec::with("leaky-rnn", &options), theta, beta, onset: None }
}

fn setting(mode: Mode, schedule: &[(&str, f64)]) -> Setting {
    let schedule = schedule.iter().map(|(name, value)| ((*name).to_string(), *value)).collect();
    Setting { mode, schedule, ..Setting::default() }
}

/// The task is only there to build networks.
#[derive(Debug, Serialize, Deserialize)]
struct Idle;

#[typetag::serde(name = "idle-for-the-test-of-skip")]
impl Task for Idle {
    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["x".into()],
            outputs: 1,
            objective: Objective::regress(None),
            dt_ms: Some(5.0),
            difficulty: None,
            closed_loop: false,
        }
    }
    fn trials(&self, _: &Lesson, _: usize, _: &mut Stream) -> Result<Trials> {
        Ok(Trials::default())
    }
}

fn build(cell: &Skip) -> Network {
    let registry = Registry::linked().expect("no duplicates");
    let context = BuildContext { registry: &registry, task: Idle.spec(), device: Device::Cpu, kind: Kind::Double };
    let mut network = cell.build(&context, &Stream::new(1)).expect("fits");
    let set = |network: &mut Network, name: &str, values: &[f64], shape: &[i64]| {
        assert!(network.parameters.contains(name), "{:?}", network.names());
        network.parameters.insert(name, Tensor::from_slice(values).reshape(shape));
    };
    set(&mut network, "time_constants", &ALPHAS.map(f64::recip), &[2]);
    set(&mut network, "input.weight", &[1.0, 1.0], &[2, 1]);
    set(&mut network, "recurrent.weight", &[0.0; 4], &[2, 2]);
    network.add_heads(&[0], &context, &Stream::new(1)).expect("memory");
    network
}

/// States after every step of trials with these periods, through the rollout, on the fast path and step by step: `[time][unit]`.
fn states(cell: &Skip, setting: Setting, inputs: &[f64], borders: &[usize]) -> Vec<[f64; 2]> {
    let [fast, slow] = [true, false].map(|fast| states_on(fast, cell, setting.clone(), inputs, borders));
    assert!(fast.iter().zip(&slow).all(|(a, b)| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13)));
    fast
}

fn states_on(fast: bool, cell: &Skip, setting: Setting, inputs: &[f64], borders: &[usize]) -> Vec<[f64; 2]> {
    let network = build(cell);
    let (workers, lesson) = (Workers::new(1).expect("one"), Lesson::default());
    let rollout =
        Rollout { task: &Idle, lesson: &lesson, setting, stream: Stream::new(1), workers: &workers, fast, settle: 0 };
    let time = inputs.len();
    let ends = borders.iter().skip(1).copied().chain([time]);
    let periods = borders.iter().zip(ends).map(|(start, end)| Period::new("part", *start, end)).collect();
    let values = Tensor::zeros([time as i64, 1, 1], (Kind::Double, Device::Cpu));
    let trials = Trials {
        inputs: Tensor::from_slice(inputs).reshape([time as i64, 1, 1]),
        targets: vec![Target::new(0, None, Answer::EveryStep, values, None)],
        answer: Answer::EveryStep,
        periods,
        ..Trials::default()
    };
    let played = rollout.play(&network, &trials, Record::Rates).expect("plays");
    values_f64(&played.rates.expect("recorded")).chunks(2).map(|r| [r[0], r[1]]).collect()
}

/// The published loop for one unit, restarted at borders.
fn by_hand(alpha: f64, theta: usize, beta: f64, inputs: &[f64], borders: &[usize]) -> Vec<f64> {
    let (mut r, mut start, mut count) = (1.0, 1.0, 0);
    let mut all = Vec::new();
    for (t, input) in inputs.iter().enumerate() {
        if borders.contains(&t) {
            (start, count) = (r, 0);
        }
        r += alpha * (input - r);
        count += 1;
        if theta > 1 && count == theta {
            r = beta * r + (1.0 - beta) * start;
            (start, count) = (r, 0);
        }
        all.push(r);
    }
    all
}

#[test]
fn the_gradient_of_silent_units_decays_as_its_closed_form() {
    // (theta, beta, two published values of |d r_200 / d r_0|, with the digits given)
    let table = [
        (10, 0.5, [0.0113, 3.8e-4]),
        (20, 0.5, [0.0209, 3.1e-3]),
        (40, 0.5, [0.0572, 0.0336]),
        (1, 0.5, [3.5e-5, 7.1e-10]),
    ];
    for (theta, beta, published) in table {
        let network = build(&skip(theta, beta));
        let conditions = setting(Mode::Training, &[]);
        let leaf = Tensor::from_slice(&[1.0, 1.0]).reshape([1, 2]).set_requires_grad(true);
        let prepared = network.dynamics.prepare(&network.parameters, &conditions).expect("complete");
        let mut state = Tensors::from([("activity", leaf.shallow_clone())]);
        let silence = Tensor::zeros([1, 2], (Kind::Double, Device::Cpu));
        for t in 0..200 {
            let clock = Clock { step: t, since_border: t, period: "", setting: &conditions };
            state = network.dynamics.step(&clock, &prepared, &state, &silence, None).expect("steps");
        }
        let last = state.get("activity").expect("there").sum(Kind::Double);
        let found = values_f64(&Tensor::run_backward(&[last], &[leaf], false, false)[0]);
        for ((alpha, found), published) in ALPHAS.iter().zip(found).zip(published) {
            let power = 200 / theta as i32;
            let factor = if theta > 1 { beta * (1.0 - alpha).powi(theta as i32) + 1.0 - beta } else { 1.0 - alpha };
            let exact = factor.powi(power);
            assert!((found / exact - 1.0).abs() < 1e-11, "{theta}: {found} {exact}");
            // two or three digits are published
            assert!((found / published - 1.0).abs() < 0.02, "{theta}: {found} {published}");
        }
    }
}

#[test]
fn segments_restart_at_borders_and_cut_ones_are_not_mixed() {
    let inputs: Vec<f64> = (0..23).map(|t| (f64::from(t) * 0.7).sin()).collect();
    for borders in [vec![0], vec![0, 7, 9, 17], vec![0, 1, 2, 3, 22]] {
        let found = states(&skip(4, 0.3), setting(Mode::Training, &[]), &inputs, &borders);
        for (unit, alpha) in ALPHAS.iter().enumerate() {
            let expected = by_hand(*alpha, 4, 0.3, &inputs, &borders);
            for (t, (a, b)) in found.iter().zip(&expected).enumerate() {
                assert!((a[unit] - b).abs() < 1e-13, "step {t}: {} {b}, borders {borders:?}", a[unit]);
            }
        }
    }
}

#[test]
fn the_schedule_wins_and_evaluation_is_the_bare_cell() {
    let inputs: Vec<f64> = (0..12).map(|t| (f64::from(t) * 0.7).sin()).collect();
    let bare: Vec<f64> = by_hand(ALPHAS[0], 1, 1.0, &inputs, &[0]);
    let first = |mode, schedule: &[(&str, f64)]| -> Vec<f64> {
        states(&skip(4, 0.3), setting(mode, schedule), &inputs, &[0]).iter().map(|r| r[0]).collect()
    };
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13);
    assert!(close(&first(Mode::Evaluation, &[]), &bare));
    assert!(close(&first(Mode::Training, &[("beta", 1.0)]), &bare));
    assert!(close(&first(Mode::Training, &[("theta", 1.0)]), &bare));
    let scheduled = by_hand(ALPHAS[0], 3, 0.6, &inputs, &[0]);
    assert!(close(&first(Mode::Training, &[("theta", 3.0), ("beta", 0.6)]), &scheduled));
    assert!(!close(&scheduled, &bare));
    let network = build(&skip(4, 0.3));
    let Form::Rate(form) = network.dynamics.form(&setting(Mode::Training, &[])) else { panic!("a rate network") };
    let mixing = form.mixing.expect("mixes");
    assert_eq!((mixing.theta, mixing.beta, mixing.onset), (4, 0.3, None));
    let error = skip(4, 0.3).shortcut().active(&setting(Mode::Training, &[("beta", 1.2)])).expect_err("no share");
    assert!(error.to_string().contains("schedules beta = 1.2, must be between 0 and 1"), "{error}");
}

#[test]
fn constants_and_gates_are_those_of_the_inner_cell() {
    assert!(build(&skip(4, 0.3)).dynamics.constant("time_constants"), "fixed time constants are learned by no rule");
    let registry = Registry::linked().expect("no duplicates");
    let context = BuildContext { registry: &registry, task: Idle.spec(), device: Device::Cpu, kind: Kind::Double };
    let inner = Spec::with("lstm", &serde_json::json!({ "hidden": 3 }));
    let network = Skip { inner, ..skip(4, 0.3) }.build(&context, &Stream::new(1)).expect("fits");
    let conditions = setting(Mode::Training, &[]);
    let clock = Clock { step: 0, since_border: 0, period: "", setting: &conditions };
    let prepared = network.dynamics.prepare(&network.parameters, &conditions).expect("complete");
    let state = network.dynamics.initial_state(&prepared, 2, &mut Stream::new(1)).expect("starts");
    let input =
        network.dynamics.project(&prepared, &Tensor::ones([1, 2, 1], (Kind::Double, Device::Cpu))).expect("fits");
    let next = network.dynamics.step(&clock, &prepared, &state, &input.get(0), None).expect("steps");
    let gates = network.dynamics.gates(&clock, &prepared, &next, &input.get(0), None).expect("has gates");
    assert_eq!(gates.names().collect::<Vec<_>>(), ["input", "forget", "output"]);
    let bare =
        registry.build(&Spec::<dyn Cell>::with("lstm", &serde_json::json!({ "hidden": 3 })), "cell").expect("valid");
    let dynamics = bare.build(&context, &Stream::new(1)).expect("fits").dynamics;
    assert!(gates.same_bytes(&dynamics.gates(&clock, &prepared, &next, &input.get(0), None).expect("has gates")));
}

#[test]
fn it_provides_what_the_inner_cell_does_but_for_the_rate_form() {
    let registry = Registry::linked().expect("no duplicates");
    let mut expected = registry.build(&skip(4, 0.3).inner, "cell").expect("valid").provides(&registry);
    assert!(expected.remove(&Property::RateForm));
    assert_eq!(skip(4, 0.3).provides(&registry), expected);
    let problems = |cell: &Skip| {
        let mut problems = Problems::under("cell");
        cell.check(&registry, &mut problems);
        problems.into_result().expect_err("wrong").to_string()
    };
    let nested = Skip { inner: Spec::new("skip"), ..Skip::default() };
    assert!(problems(&nested).contains("cell.inner mixes its state with earlier ones itself"));
    let unknown = Skip { inner: Spec::new("no-such-cell"), ..Skip::default() };
    let message = problems(&unknown);
    assert!(message.contains("cell.inner is 'no-such-cell', an unknown cell"), "{message}");
    let inner = Spec::with("leaky-rnn", &serde_json::json!({ "hidden": 0 }));
    let message = problems(&Skip { inner, ..skip(4, 2.0) });
    assert!(message.contains("cell.beta is 2") && message.contains("cell.inner.hidden is 0"), "{message}");
}
