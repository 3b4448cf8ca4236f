use super::*;
use synfire::cell::{Clock, Dynamics, Setting};
use synfire::network::Readout;
use synfire::task::{Answer, Objective, Target};
use synfire::tch::{Device, Kind};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{Lesson, Task, TaskSpec};

/// The published network, `x <- (1 - dt) x + dt (M r + drive)`, `r = tanh x`, dt a tenth of the time constant, without input.
#[derive(Debug)]
struct Chaotic {
    units: usize,
}

impl Dynamics for Chaotic {
    fn units(&self) -> usize {
        self.units
    }
    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        Ok(parameters.shallow_clone())
    }
    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        let weight = prepared.get("weight")?;
        let shape = [batch as i64, self.units as i64];
        Ok(Tensors::from([("x", stream.normal_tensor(&shape, weight.kind(), weight.device()) * 0.5)]))
    }
    fn project(&self, _: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        let (time, batch, _) = inputs.size3()?;
        Ok(Tensor::zeros([time, batch, self.units as i64], (inputs.kind(), inputs.device())))
    }
    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        _: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let x = state.get("x")?;
        let mut into = x.tanh().mm(&prepared.get("weight")?.transpose(0, 1));
        if let Some(drive) = drive {
            into += drive;
        }
        Ok(Tensors::from([("x", x * 0.9 + into * 0.1)]))
    }
    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get("x")?.tanh())
    }
}

fn network(units: usize, kind: Kind) -> Network {
    let n = units as i64;
    let mut stream = Stream::new(11);
    // gain 1.5, a tenth of the connections
    let dense = stream.normal_tensor(&[n, n], kind, Device::Cpu) * (1.5 / (0.1 * units as f64).sqrt());
    let weight = dense * stream.uniform_tensor(&[n, n], 0.0, 1.0, kind, Device::Cpu).lt(0.1).to_kind(kind);
    let parameters = Tensors::from([
        ("weight", weight),
        ("head.0.weight", stream.normal_tensor(&[1, n], kind, Device::Cpu)),
        ("head.0.bias", stream.normal_tensor(&[1], kind, Device::Cpu)),
    ]);
    let readout = Readout { heads: vec![0], ..Readout::new(1) };
    Network { parameters, dynamics: Box::new(Chaotic { units }), readout }
}

/// One period of the published sum of four sines; the weight is 1 in the last half only if asked.
#[derive(Debug, Serialize, Deserialize)]
struct Sines {
    steps: usize,
    masked: bool,
}

fn sines(step: usize, period: usize) -> f64 {
    let phase = std::f64::consts::TAU * step as f64 / period as f64;
    1.3 / 1.5 * (phase.sin() + (2.0 * phase).sin() / 2.0 + (3.0 * phase).sin() / 6.0 + (4.0 * phase).sin() / 3.0)
}

#[typetag::serde(name = "sines-for-the-test-of-force")]
impl Task for Sines {
    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["nothing".into()],
            outputs: 1,
            objective: Objective::regress(None),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }
    fn trials(&self, _: &Lesson, batch: usize, _: &mut Stream) -> Result<Trials> {
        let (time, rows) = (self.steps as i64, batch as i64);
        let values: Vec<f64> = (0..self.steps).map(|t| sines(t, self.steps)).collect();
        let values = Tensor::from_slice(&values).reshape([time, 1, 1]).expand([time, rows, 1], false).contiguous();
        let weight = self.masked.then(|| {
            let weight = Tensor::zeros([time, rows], (Kind::Double, Device::Cpu));
            drop(weight.narrow(0, time / 2, time - time / 2).fill_(1.0));
            weight
        });
        Ok(Trials {
            inputs: Tensor::zeros([time, rows, 1], (Kind::Double, Device::Cpu)),
            targets: vec![Target::new(0, None, Answer::EveryStep, values, weight)],
            answer: Answer::EveryStep,
            ..Trials::default()
        })
    }
}

struct Bench {
    task: Sines,
    workers: Workers,
    registry: Registry,
    kind: Kind,
}

impl Bench {
    fn new(steps: usize, masked: bool, kind: Kind) -> Self {
        let (workers, registry) = (Workers::new(1).expect("one"), Registry::linked().expect("no duplicates"));
        Self { task: Sines { steps, masked }, workers, registry, kind }
    }

    fn start(&self, rule: &Force, network: &mut Network) -> Box<dyn Learner> {
        let context =
            BuildContext { registry: &self.registry, task: self.task.spec(), device: Device::Cpu, kind: self.kind };
        rule.start(network, &context, &Stream::new(3)).expect("fits")
    }

    fn update(&self, learner: &mut dyn Learner, network: &mut Network, lesson: &Lesson, batch: usize) -> Result<f64> {
        let rollout = Rollout {
            task: &self.task,
            lesson,
            setting: Setting::default(),
            stream: Stream::new(4),
            workers: &self.workers,
            fast: true,
            settle: 0,
        };
        let trials = self.task.trials(lesson, batch, &mut Stream::new(5))?.to(Device::Cpu, self.kind);
        Ok(learner.update(network, trials, &rollout)?.loss)
    }
}

#[test]
fn a_chaotic_network_learns_the_sum_of_four_sines() {
    // 12 periods of 120 time constants: the published training, with 300 units instead of 1000.
    let bench = Bench::new(1200, false, Kind::Float);
    let mut network = network(300, Kind::Float);
    let mut learner = bench.start(&Force::default(), &mut network);
    let lesson = Lesson::default();
    let losses: Vec<f64> =
        (0..12).map(|_| bench.update(&mut *learner, &mut network, &lesson, 1).expect("learns")).collect();
    // The target's mean square is 0.52. An independent version of the published script with 300 units gives 1e-4 to 1e-3 in the first
    // period and, as the dynamics of so few units drift, 4e-4 to 9e-2 in the twelfth, over six networks.
    assert!(losses[0] < 3e-3, "fast from the beginning: {losses:?}");
    assert!(losses[11] < 0.1, "{losses:?}");
}

#[test]
fn outputs_and_readout_are_those_of_an_independent_version() {
    let text = include_str!("../../../tests/fixtures/force.json");
    let fixture: BTreeMap<String, Vec<f64>> = serde_json::from_str(text).expect("valid");
    let units = 30;
    let bench = Bench::new(60, false, Kind::Double);
    let mut network = network(units, Kind::Double);
    let mut learner = bench.start(&Force { alpha: 2.0, ..Force::default() }, &mut network);
    // The same closed forms as in the script.
    let table = |shape: &[i64], f: &dyn Fn(f64, f64) -> f64| {
        let columns = shape[1] as usize;
        let all: Vec<f64> = (0..units * columns).map(|i| f((i / columns) as f64, (i % columns) as f64)).collect();
        Tensor::from_slice(&all).reshape(shape)
    };
    let scale = 1.5 * (2.0 / units as f64).sqrt();
    network.parameters.insert("weight", table(&[30, 30], &|i, j| scale * (1.0 + 7.0 * i + 13.0 * j + i * j).sin()));
    network.parameters.insert(FEEDBACK, table(&[30, 1], &|i, _| (3.0 * i).cos()));
    let x = table(&[30, 1], &|i, _| 0.5 * (5.0 * i).sin()).reshape([1, 30]);
    let state = Tensors::from([(STEPS, Tensor::from(0i64)), ("last_state/x", x)]);
    learner.restore(state).expect("its own");
    let loss = bench.update(&mut *learner, &mut network, &Lesson::default(), 1).expect("learns");
    let expected: f64 =
        fixture["output"].iter().enumerate().map(|(t, z)| (z - sines(t, 60)).powi(2)).sum::<f64>() / 60.0;
    // double precision over sixty steps; the network is chaotic but slow
    assert!((loss / expected - 1.0).abs() < 1e-9, "{loss} {expected}");
    let found = values_f64(network.parameters.get("head.0.weight").expect("there"));
    assert_eq!(found.len(), fixture["readout"].len());
    for (a, b) in found.iter().zip(&fixture["readout"]) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn the_readout_is_the_ridge_regression_of_the_rates_that_were_seen() {
    // Without feedback the rates do not depend on what is learned.
    let rule = Force { alpha: 0.5, learn_every: 3, feedback: Feedback::None, ..Force::default() };
    let bench = Bench::new(60, true, Kind::Double);
    let mut network = network(20, Kind::Double);
    let mut learner = bench.start(&rule, &mut network);
    for _ in 0..2 {
        bench.update(&mut *learner, &mut network, &Lesson::default(), 1).expect("learns");
    }
    // The same trajectory by hand: 120 steps, the rates of every third one in the second half of a trial.
    let options = (Kind::Double, Device::Cpu);
    let mut state = network.dynamics.initial_state(&network.parameters, 1, &mut Stream::new(4).child("initial").at(0));
    let setting = Setting::default();
    let (mut normal, mut right) = (Tensor::eye(20, options) * 0.5, Tensor::zeros([20, 1], options));
    for t in 0..120 {
        let clock = Clock { step: t % 60, since_border: t % 60, period: "", setting: &setting };
        let silence = Tensor::zeros([1, 20], options);
        state = network.dynamics.step(&clock, &network.parameters, &state.expect("a state"), &silence, None);
        let rates = network.dynamics.rates(state.as_ref().expect("a state")).expect("rates");
        if (t + 1) % 3 == 0 && t % 60 >= 30 {
            normal += rates.transpose(0, 1).mm(&rates);
            right += rates.transpose(0, 1) * sines(t % 60, 60);
        }
    }
    let solved = Tensor::linalg_solve(&normal, &right, true).transpose(0, 1);
    let gap = (network.parameters.get("head.0.weight").expect("there") - solved).abs().max().double_value(&[]);
    assert!(gap < 1e-9, "{gap:e}");
}

#[test]
fn a_restored_learner_continues_with_the_same_bytes() {
    let bench = Bench::new(50, false, Kind::Float);
    let lesson = Lesson::default();
    // An odd number of steps between changes, so that the phase matters.
    let rule = Force { learn_every: 3, ..Force::default() };
    let mut first = network(30, Kind::Float);
    let mut learner = bench.start(&rule, &mut first);
    bench.update(&mut *learner, &mut first, &lesson, 1).expect("learns");
    let (saved, parameters) = (learner.state().expect("copies"), first.parameters.copy());
    assert!(saved.names().any(|name| name == "last_state/x"));
    let loss = bench.update(&mut *learner, &mut first, &lesson, 1).expect("learns");

    let mut second = network(30, Kind::Float);
    let mut other = bench.start(&rule, &mut second);
    second.parameters = parameters;
    other.restore(saved).expect("its own");
    assert_eq!(bench.update(&mut *other, &mut second, &lesson, 1).expect("learns"), loss);
    assert!(second.parameters.same_bytes(&first.parameters));
    assert!(other.state().expect("copies").same_bytes(&learner.state().expect("copies")));
    let foreign = Tensors::from([("first/weight", Tensor::from(1.0))]);
    assert!(other.restore(foreign).expect_err("another rule's").to_string().contains("'first/weight'"));
}

#[test]
fn it_starts_from_a_silent_readout_with_feedback_and_respects_the_lesson() {
    let bench = Bench::new(20, false, Kind::Double);
    let mut network = network(40, Kind::Double);
    let rule = Force { feedback_gain: 0.5, ..Force::default() };
    let mut learner = bench.start(&rule, &mut network);
    assert_eq!(network.names(), ["weight", "head.0.weight", "feedback.weight"]);
    assert_eq!((network.readout.bias, network.readout.feedback), (false, Some(0)));
    assert!(values_f64(network.parameters.get("head.0.weight").expect("there")).iter().all(|w| *w == 0.0));
    let feedback = values_f64(network.parameters.get(FEEDBACK).expect("there"));
    assert!(feedback.len() == 40 && feedback.iter().all(|w| w.abs() <= 0.5 && *w != 0.0));
    let frozen = Lesson { frozen: vec!["head.*".into()], ..Lesson::default() };
    let before = network.parameters.copy();
    bench.update(&mut *learner, &mut network, &frozen, 1).expect("plays");
    assert!(network.parameters.same_bytes(&before));
    bench.update(&mut *learner, &mut network, &Lesson::default(), 1).expect("learns");
    let changed: Vec<&str> = network
        .names()
        .iter()
        .zip(before.iter())
        .filter(|(n, (_, t))| network.parameters.get(n).is_ok_and(|p| p != *t))
        .map(|(_, (n, _))| n)
        .collect::<Vec<_>>();
    assert_eq!(changed, ["head.0.weight"]);
    network.drop_heads(&[0]);
    learner.refit(&network).expect("follows");
    assert!(learner.state().expect("copies").names().all(|name| !name.starts_with("inverse")));
}

#[test]
fn several_trials_at_once_and_wrong_options_are_refused() {
    let bench = Bench::new(20, false, Kind::Double);
    let mut network = network(10, Kind::Double);
    let mut learner = bench.start(&Force::default(), &mut network);
    let error = bench.update(&mut *learner, &mut network, &Lesson::default(), 2).expect_err("two trajectories");
    assert!(error.to_string().contains("expected 1 trial"), "{error}");
    let mut problems = Problems::under("rule");
    Force { alpha: 0.0, learn_every: 0, ..Force::default() }.check(&bench.registry, &mut problems);
    let message = problems.into_result().expect_err("two problems").to_string();
    assert!(message.contains("rule.alpha is 0") && message.contains("rule.learn_every is 0"), "{message}");
    let silent = Force { feedback: Feedback::None, ..Force::default() };
    assert!(!silent.needs(&bench.registry).contains(&Property::AdditiveDrive));
}

#[test]
fn with_internal_feedback_every_row_of_the_weights_learns_like_the_readout() {
    use super::super::bench::Bench;
    use synfire_essentials::cells::LeakyRnn;
    let cell: LeakyRnn = serde_json::from_value(serde_json::json!({
        "hidden": 60, "placement": "current", "input_bias": false, "time_constants": { "low": 10.0, "high": 10.0 },
        "recurrent": { "start": "normal", "gain": 1.5 }, "initial_state": { "low": -0.5, "high": 0.5 },
    }))
    .expect("options");
    let waves = crate::tasks::SumOfSines { period_steps: 240, amplitude: 0.7, ..Default::default() };
    let bench = Bench::with(&cell, Box::new(waves));
    let mut network = bench.network();
    let before = network.parameters.copy();
    let rule = Force { feedback: Feedback::Internal, ..Force::default() };
    let mut learner = bench.start(&rule, &mut network);
    assert!(network.readout.feedback.is_none() && !network.parameters.contains(FEEDBACK));
    let losses: Vec<f64> = (0..12).map(|_| bench.update(&mut *learner, &mut network, 1).expect("learns")).collect();
    let get = |parameters: &Tensors, name: &str| parameters.get(name).expect("there").shallow_clone();
    let change = get(&network.parameters, "recurrent.weight") - get(&before, "recurrent.weight");
    // the readout began at 0
    let gap = (change - get(&network.parameters, "head.0.weight")).abs().max().double_value(&[]);
    assert!(gap < 1e-10, "{gap:e}");
    // the target's mean square is 0.15
    assert!(losses[11] < 0.01, "{losses:?}");
}
