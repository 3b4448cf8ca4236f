//! A small task, and what the tests of all cells compare.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use synfire::cell::{Clock, Mode, Setting};
use synfire::network::Network;
use synfire::rollout::{Gradient, Record, Rollout};
use synfire::task::{Answer, ClosedLoop, Loss, Objective, Segment, Target};
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{BuildContext, Cell, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Tensors, Trials};

const INPUTS: i64 = 3;
const OUTPUTS: i64 = 2;
const HEADS: [usize; 2] = [0, 1];

/// Random numbers in, random answers out, for two heads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Steps of a trial, or of each segment.
    pub time: i64,
    /// When heads answer; classes at the final step, values with random weights at every step.
    pub answer: Answer,
    /// Segments whose input depends on the last answer.
    pub segments: usize,
    /// What the trials say of their symbols.
    pub substeps: Option<usize>,
}

impl Default for Probe {
    fn default() -> Self {
        Self { time: 7, answer: Answer::EveryStep, segments: 1, substeps: Some(4) }
    }
}

impl Probe {
    /// Both ways of answering, open and closed loop.
    pub fn kinds() -> Vec<Self> {
        let answers = [Answer::EveryStep, Answer::FinalStep];
        answers
            .into_iter()
            .flat_map(|answer| [1, 3].map(|segments| Self { time: 5, answer, segments, ..Self::default() }))
            .collect()
    }

    fn targets(&self, batch: i64, stream: &mut Stream) -> Vec<Target> {
        let target = |head: &usize| match self.answer {
            Answer::FinalStep => {
                let classes: Vec<i64> = (0..batch).map(|_| stream.below(OUTPUTS as u64) as i64).collect();
                Target::new(*head, None, self.answer, Tensor::from_slice(&classes), None)
            }
            Answer::EveryStep => {
                let values = stream.normal_tensor(&[self.time, batch, OUTPUTS], Kind::Double, Device::Cpu);
                let weight = stream.uniform_tensor(&[self.time, batch], 0.0, 2.0, Kind::Double, Device::Cpu);
                Target::new(*head, None, self.answer, values, Some(weight))
            }
        };
        HEADS.iter().map(target).collect()
    }
}

#[typetag::serde(name = "cells-probe")]
impl Task for Probe {
    fn spec(&self) -> TaskSpec {
        let loss = match self.answer {
            Answer::FinalStep => Loss::CrossEntropy,
            Answer::EveryStep => Loss::SquaredError,
        };
        TaskSpec {
            inputs: (0..INPUTS).map(|channel| format!("channel {channel}")).collect(),
            outputs: OUTPUTS as usize,
            objective: Objective { loss, answer: self.answer, tolerance: None },
            dt_ms: Some(20.0),
            difficulty: None,
            closed_loop: self.segments > 1,
        }
    }

    fn trials(&self, _: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let batch = batch as i64;
        let draw = |stream: &mut Stream| stream.normal_tensor(&[self.time, batch, INPUTS], Kind::Double, Device::Cpu);
        let (inputs, targets) = (draw(stream), self.targets(batch, stream));
        let rest = (1..self.segments).map(|_| (draw(stream), self.targets(batch, stream))).collect::<Vec<_>>();
        let rest: Option<Box<dyn ClosedLoop>> =
            if rest.is_empty() { None } else { Some(Box::new(Answering { rest, next: 0, answer: self.answer })) };
        let (answer, substeps) = (self.answer, self.substeps);
        Ok(Trials { inputs, targets, answer, rest, substeps, ..Trials::default() })
    }
}

/// Segments whose input is drawn beforehand, plus what the first head said last.
#[derive(Debug)]
struct Answering {
    rest: Vec<(Tensor, Vec<Target>)>,
    next: usize,
    answer: Answer,
}

impl ClosedLoop for Answering {
    fn begin(&self, rows: Range<usize>) -> Box<dyn ClosedLoop> {
        let rest = self.rest.iter().map(|(inputs, targets)| {
            let copies = targets.iter().map(|t| Target {
                head: t.head,
                level: t.level,
                values: t.values.shallow_clone(),
                weight: t.weight.as_ref().map(Tensor::shallow_clone),
                total: t.total,
            });
            let whole = Trials {
                inputs: inputs.shallow_clone(),
                targets: copies.collect(),
                answer: self.answer,
                ..Trials::default()
            };
            // Later segments give the totals of their own rows.
            let part = whole.rows(rows.clone());
            let own = |t: Target| Target::new(t.head, t.level, self.answer, t.values, t.weight);
            (part.inputs, part.targets.into_iter().map(own).collect())
        });
        Box::new(Self { rest: rest.collect(), next: 0, answer: self.answer })
    }

    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>> {
        let Some((inputs, targets)) = self.rest.get_mut(self.next) else { return Ok(None) };
        self.next += 1;
        let said = outputs[0].select(0, outputs[0].size()[0] - 1).narrow(-1, 0, 1);
        Ok(Some(Segment { inputs: &*inputs + said, targets: std::mem::take(targets), periods: Vec::new() }))
    }
}

/// A network with two heads, in double precision unless the task says otherwise.
pub fn network(cell: &dyn Cell, probe: &Probe) -> Network {
    network_of_kind(cell, probe, Kind::Double, 1)
}

fn network_of_kind(cell: &dyn Cell, probe: &Probe, kind: Kind, seed: u64) -> Network {
    let registry = Registry::linked().expect("names differ");
    let context = BuildContext { registry: &registry, task: probe.spec(), device: Device::Cpu, kind };
    let stream = Stream::new(seed);
    let mut network = cell.build(&context, &stream.child("cell")).expect("builds");
    network.add_heads(&HEADS, &context, &stream).expect("heads");
    network
}

/// Everything a rollout needs, with defaults for tests.
pub struct Bench {
    pub probe: Probe,
    pub lesson: Lesson,
    pub workers: Workers,
    pub fast: bool,
    pub seed: u64,
    pub mode: Mode,
    pub settle: usize,
}

impl Bench {
    pub fn new(probe: &Probe) -> Self {
        Self {
            probe: probe.clone(),
            lesson: Lesson::default(),
            workers: Workers::new(1).expect("one thread"),
            fast: true,
            seed: 5,
            mode: Mode::Training,
            settle: 0,
        }
    }

    pub fn rollout(&self) -> Rollout<'_> {
        Rollout {
            task: &self.probe,
            lesson: &self.lesson,
            setting: Setting { mode: self.mode, dt_ms: self.probe.spec().dt_ms, ..Setting::default() },
            stream: Stream::new(self.seed),
            workers: &self.workers,
            fast: self.fast,
            settle: self.settle,
        }
    }

    pub fn trials(&self, batch: usize) -> Trials {
        self.probe.trials(&self.lesson, batch, &mut Stream::new(77)).expect("trials")
    }

    pub fn gradient(&self, network: &Network, batch: usize, window: Option<usize>) -> Gradient {
        self.rollout().gradient(network, &self.trials(batch), window, |_| true).expect("gradient")
    }
}

fn largest(tensor: &Tensor) -> f64 {
    if tensor.numel() == 0 { 0.0 } else { tensor.abs().max().double_value(&[]) }
}

/// Compare tensor by tensor, relative to the largest entry where that is above 1; a tensor that is missing counts as zeros.
pub fn assert_close(found: &Tensors, expected: &Tensors, tolerance: f64, what: &str) {
    for (name, found) in found.iter() {
        assert!(expected.contains(name) || largest(found) == 0.0, "{what}: there should be no '{name}'");
    }
    for (name, expected) in expected.iter() {
        let gap = match found.find(name) {
            Some(found) => largest(&(found - expected)),
            None => largest(expected),
        };
        assert!(gap <= tolerance * largest(expected).max(1.0), "{what}: '{name}' is off by {gap:e}");
    }
}

/// The fast path gives the outputs and gradients of autograd through single steps.
pub fn adjoint_is_autograd(cell: &dyn Cell, probe: &Probe, batch: usize, window: Option<usize>) {
    let what = format!("{cell:?} on {probe:?}, batch {batch}, window {window:?}");
    let network = network(cell, probe);
    for settle in [0, 2] {
        let bench = Bench { settle, ..Bench::new(probe) };
        let slow = Bench { settle, fast: false, ..Bench::new(probe) };
        let (a, b) = (bench.gradient(&network, batch, window), slow.gradient(&network, batch, window));
        // rounding of some tens of steps in double precision
        assert!((a.loss - b.loss).abs() <= 1e-12 * b.loss.abs().max(1.0), "{what}: loss {} and {}", a.loss, b.loss);
        assert_close(&a.gradients, &b.gradients, 1e-10, &what);
        let play = |bench: &Bench| {
            let played = bench.rollout().play(&network, &bench.trials(batch), Record::Rates).expect("plays");
            let mut all = Tensors::from([("rates", played.rates.expect("recorded"))]);
            all.insert("output", Tensor::cat(&played.outputs, -1));
            played.last.iter().for_each(|(name, t)| all.insert(name, t.shallow_clone()));
            all
        };
        assert_close(&play(&bench), &play(&slow), 1e-12, &what);
    }
}

/// In single precision, a gradient that fades to nothing over the trial is the same as by autograd: what the fast path sets to zero
/// on the way was too small to show.
pub fn vanishing_gradient_is_autograd(cell: &dyn Cell) {
    let probe = Probe { time: 250, answer: Answer::FinalStep, ..Probe::default() };
    let network = network_of_kind(cell, &probe, Kind::Float, 1);
    let gradient = |fast| {
        let bench = Bench { fast, ..Bench::new(&probe) };
        let trials = bench.trials(4).to(Device::Cpu, Kind::Float);
        bench.rollout().gradient(&network, &trials, None, |_| true).expect("gradient").gradients
    };
    // rounding of sums over the few last steps that count, in single precision
    assert_close(&gradient(true), &gradient(false), 1e-6, "vanishing gradient");
}

/// Twenty entries of the gradient of two blocks of rows against central differences of the loss.
pub fn gradient_meets_differences(cell: &dyn Cell, probe: &Probe) {
    if probe.segments > 1 {
        // The answers are taken as they are, so the loss also changes in a way that the gradient leaves out.
        return;
    }
    let (bench, mut network) = (Bench::new(probe), network(cell, probe));
    let gradient = bench.gradient(&network, 67, None);
    let mut stream = Stream::new(9);
    let names: Vec<&str> = gradient.gradients.names().collect();
    for draw in 0..20 {
        let name = names[if draw < names.len() { draw } else { stream.below(names.len() as u64) as usize }];
        let analytic = values_f64(gradient.gradients.get(name).expect("listed"));
        let entry = stream.below(analytic.len() as u64) as usize;
        let original = network.parameters.get(name).expect("a parameter").copy();
        let mut loss_at = |shift: f64| {
            let moved = original.copy();
            drop(moved.view([-1]).get(entry as i64).f_add_scalar_(shift).expect("in range"));
            network.parameters.insert(name, moved);
            bench.gradient(&network, 67, None).loss
        };
        let h = 1e-5;
        let numeric = (loss_at(h) - loss_at(-h)) / (2.0 * h);
        network.parameters.insert(name, original);
        // central differences: truncation about h^2, rounding about 1e-16 / h
        let gap = (numeric - analytic[entry]).abs();
        assert!(gap < 1e-6, "{cell:?}: '{name}'[{entry}] is {}, differences give {numeric}", analytic[entry]);
    }
}

/// What heads say without the states, in several stretches of a trial and in segments, is what they say of the states; and networks
/// that are judged side by side are judged as each alone.
pub fn heads_are_heard_without_states(cell: &dyn Cell) {
    for probe in Probe::kinds() {
        let probe = Probe { time: 400, ..probe };
        let (network, bench) = (network(cell, &probe), Bench::new(&probe));
        let (rollout, trials) = (bench.rollout(), bench.trials(70));
        let play = |record| rollout.play(&network, &trials, record).expect("plays");
        let (heard, kept) = (play(Record::Outputs), play(Record::Rates));
        assert!(heard.rates.is_none() && kept.rates.is_some());
        for (a, b) in heard.outputs.iter().zip(&kept.outputs) {
            // Sums over units in another order.
            assert!((a - b).abs().max().double_value(&[]) < 1e-13, "{probe:?}");
        }
        assert_close(&heard.last, &kept.last, 1e-13, "the last state");
        if probe.segments > 1 {
            // Weights of later segments are drawn here, and those of a block stand for all.
            continue;
        }
        let other = Network { parameters: network.parameters.map(|t| t * 0.9), ..self::network(cell, &probe) };
        let members = [network.parameters.shallow_clone(), other.parameters.shallow_clone()];
        let judged = rollout.judge_each(&network, &members, &trials).expect("plays");
        for (network, (loss, _)) in [&network, &other].into_iter().zip(judged) {
            let played = rollout.play(network, &trials, Record::Outputs).expect("plays");
            let alone = rollout.task.score(&played.trials, &played.outputs).expect("fits").summary().0;
            assert!((loss - alone).abs() < 1e-12 * alone.abs(), "{probe:?}: {loss} {alone}");
        }
    }
}

/// The same seed gives the same bytes with one thread and with two, and another seed gives others.
pub fn bytes_depend_on_the_seed_alone(cell: &dyn Cell) {
    let probe = Probe::default();
    let trials = |bench: &Bench| bench.trials(150).to(Device::Cpu, Kind::Float);
    let network = network_of_kind(cell, &probe, Kind::Float, 1);
    let one = Bench::new(&probe);
    let two = Bench { workers: Workers::new(2).expect("two threads"), ..Bench::new(&probe) };
    let gradient =
        |bench: &Bench| bench.rollout().gradient(&network, &trials(bench), None, |_| true).expect("gradient").gradients;
    assert!(gradient(&one).same_bytes(&gradient(&two)), "{cell:?}: threads change the bytes");
    assert!(network.parameters.same_bytes(&network_of_kind(cell, &probe, Kind::Float, 1).parameters), "{cell:?}");
    assert!(!network.parameters.same_bytes(&network_of_kind(cell, &probe, Kind::Float, 2).parameters), "{cell:?}");
}

/// A drive to the units does what a bias on block `block` of the projected input does.
pub fn drive_is_an_input_bias(cell: &dyn Cell, block: i64) {
    let (probe, mut stream) = (Probe::default(), Stream::new(3));
    let network = network(cell, &probe);
    let units = network.dynamics.units() as i64;
    let setting = Setting::default();
    let clock = Clock { step: 0, since_border: 0, period: "", setting: &setting };
    let prepared = network.dynamics.prepare(&network.parameters, &setting).expect("prepares");
    let fresh = network.dynamics.initial_state(&prepared, 5, &mut stream).expect("state");
    let state = fresh.map(|t| t + stream.normal_tensor(&t.size(), Kind::Double, Device::Cpu));
    let inputs = stream.normal_tensor(&[1, 5, INPUTS], Kind::Double, Device::Cpu);
    let projected = network.dynamics.project(&prepared, &inputs).expect("projects").select(0, 0);
    let drive = stream.normal_tensor(&[5, units], Kind::Double, Device::Cpu);
    let biased = projected.copy();
    drop(biased.narrow(1, block * units, units).f_add_(&drive).expect("fits"));
    let step = |projected: &Tensor, drive: Option<&Tensor>| {
        network.dynamics.step(&clock, &prepared, &state, projected, drive).expect("steps")
    };
    // one step in double precision
    assert_close(&step(&projected, Some(&drive)), &step(&biased, None), 1e-14, "drive");
    assert!(!step(&projected, Some(&drive)).same_bytes(&step(&projected, None)));
}

/// One step without input from a state that `change` makes of the initial one: that state, the next one, the gates of the step,
/// and what was prepared.
pub fn step_and_gates(cell: &dyn Cell, change: impl Fn(&mut Tensors)) -> [Tensors; 4] {
    let (probe, setting) = (Probe::default(), Setting::default());
    let Network { parameters, dynamics, .. } = network(cell, &probe);
    let clock = Clock { step: 0, since_border: 0, period: "", setting: &setting };
    let prepared = dynamics.prepare(&parameters, &setting).expect("prepares");
    let mut state = dynamics.initial_state(&prepared, 2, &mut Stream::new(3)).expect("state");
    change(&mut state);
    let silence = Tensor::zeros([1, 2, INPUTS], (Kind::Double, Device::Cpu));
    let projected = dynamics.project(&prepared, &silence).expect("projects").select(0, 0);
    let next = dynamics.step(&clock, &prepared, &state, &projected, None).expect("steps");
    let gates = dynamics.gates(&clock, &prepared, &state, &projected, None).expect("gates");
    [state, next, gates, prepared]
}

/// The problems that a cell reports of its options.
pub fn problems(cell: &dyn Cell) -> String {
    let mut problems = Problems::under("cell");
    cell.check(&Registry::linked().expect("names differ"), &mut problems);
    problems.into_result().map_or_else(|error| error.to_string(), |()| String::new())
}

/// States and gradients of one case of `tests/fixtures/cells.json`, made by `cells.py` with PyTorch. The loss is the sum of
/// the rates of all steps times given numbers.
pub fn meets_pytorch(case: &str, cell: &dyn Cell) {
    let text = include_str!("../../tests/fixtures/cells.json");
    let cases: serde_json::Value = serde_json::from_str(text).expect("the fixture is JSON");
    let tensor = |value: &serde_json::Value| {
        let numbers = |key: &str| value[key].as_array().expect("an array").clone();
        let shape: Vec<i64> = numbers("shape").iter().map(|x| x.as_i64().expect("whole")).collect();
        let values: Vec<f64> = numbers("values").iter().map(|x| x.as_f64().expect("a number")).collect();
        Tensor::from_slice(&values).reshape(shape)
    };
    let map = |key: &str| -> Tensors {
        let entries = cases[case][key].as_object().expect("a map of tensors");
        entries.iter().map(|(name, value)| (name.clone(), tensor(value))).collect()
    };
    let dynamics = network(cell, &Probe::default()).dynamics;
    let given = map("given");
    let parameters = map("parameters").map(|t| t.set_requires_grad(true));
    let setting = Setting::default();
    let prepared = dynamics.prepare(&parameters, &setting).expect("prepares");
    let inputs = given.get("inputs").expect("inputs");
    let mut state = dynamics.initial_state(&prepared, inputs.size()[1] as usize, &mut Stream::new(1)).expect("state");
    if let Some(initial) = given.find("initial") {
        state = state.map(|_| initial.shallow_clone());
    }
    let mut rates = Vec::new();
    for (step, projected) in dynamics.project(&prepared, inputs).expect("projects").unbind(0).iter().enumerate() {
        let clock = Clock { step, since_border: step, period: "", setting: &setting };
        state = dynamics.step(&clock, &prepared, &state, projected, None).expect("steps");
        rates.push(dynamics.rates(&state).expect("rates"));
    }
    let rates = Tensor::stack(&rates, 0);
    let loss = (&rates * given.get("factors").expect("factors")).sum(None::<Kind>);
    loss.backward();
    let mut found: Tensors = state.iter().map(|(name, t)| (format!("last {name}"), t.detach())).collect();
    found.insert("rates", rates.detach());
    // both in double precision: rounding over a few steps
    assert_close(&found, &map("expected"), 1e-13, case);
    let gradients = parameters.iter().map(|(name, t)| (name.to_string(), t.grad())).collect();
    assert_close(&gradients, &map("gradients"), 1e-13, case);
}
