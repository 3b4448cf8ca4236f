//! Gates of a running network.

use indexmap::IndexMap;
use std::ops::Range;
use synfire::cell::Clock;
use synfire::network::{feed_back, read};
use synfire::rollout::{Moment, StepHook};
use synfire::subject::RunView;
use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::{Error, Lesson, Network, Result, Stream, Tensors};
use synfire_essentials::simulation::{Group, Length, Stretch};

/// Names of the gates that say which share of its state a unit keeps.
const KEEPING: [&str; 2] = ["forget", "update"];

/// Whether a gate keeps the state; those of layers have a prefix.
fn keeps(gate: &str) -> bool {
    gate.rsplit('.').next().is_some_and(|name| KEEPING.contains(&name))
}

/// What some steps of the first trial looked like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Traces {
    /// `[step][channel]`
    pub input: Vec<Vec<f64>>,
    /// By `gate NAME` or `state NAME`, `[step][unit]`.
    pub series: IndexMap<String, Vec<Vec<f64>>>,
}

/// What was seen of a group of trials.
pub(super) struct Watched {
    /// Of each gate that keeps the state, its mean over time `[trial, unit]`.
    pub means: Tensors,
    /// The probability of ones in each trial, where bits were drawn.
    pub ones: Vec<f64>,
    /// Empty but for the group of the first trial.
    pub traces: Traces,
}

/// Run a group of trials; `twin` is the group's network once more.
///
/// # Errors
/// What the cell reports, and when none of its gates keeps the state.
pub(super) fn watch(
    mut group: Group,
    twin: &Network,
    length: Length,
    (trace_steps, trace_units): (usize, usize),
) -> Result<Watched> {
    let stretch = group.stretch(1);
    let mut watcher = Watcher {
        network: twin,
        prepared: Tensors::new(),
        counted: 0..0,
        sums: Tensors::new(),
        traces: Traces::default(),
        trace_steps: if group.first == 0 { trace_steps } else { 0 },
        trace_units,
    };
    group.run(length, stretch, |Stretch { rollout, network, trials, initial, counted }| {
        watcher.counted = counted;
        Ok(rollout.online(network, trials, initial, &mut watcher)?.last)
    })?;
    if watcher.sums.is_empty() {
        return Err(Error::Incompatible {
            needs: "gate-timescales needs a gate that keeps the state of its unit".into(),
            because: "the cell has none called 'forget' or 'update'; use lstm or gru".into(),
        });
    }
    let means = watcher.sums.map(|sum| sum / length.steps as f64);
    Ok(Watched { means, ones: group.drive.ones(), traces: watcher.traces })
}

/// Adds up gates step by step.
struct Watcher<'a> {
    network: &'a Network,
    /// Anew for each stretch, since trials of a task can differ in their conditions.
    prepared: Tensors,
    /// Steps of the stretch that count.
    counted: Range<usize>,
    /// `[trial, unit]` in double precision.
    sums: Tensors,
    traces: Traces,
    trace_steps: usize,
    trace_units: usize,
}

impl Watcher<'_> {
    fn traces_now(&self, step: usize) -> bool {
        self.counted.contains(&step) && self.traces.input.len() < self.trace_steps
    }

    /// Put a step of the first trial behind a series.
    fn keep(&mut self, name: String, tensor: &Tensor) -> Result<()> {
        let row = tensor.f_select(0, 0)?;
        let units = row.size()[0].min(self.trace_units as i64);
        self.traces.series.entry(name).or_default().push(values_f64(&row.f_narrow(0, 0, units)?));
        Ok(())
    }
}

impl StepHook for Watcher<'_> {
    fn before(&mut self, moment: &Moment, parameters: &Tensors, state: &Tensors) -> Result<Option<Tensor>> {
        let step = moment.clock.step;
        let (dynamics, readout) = (&*self.network.dynamics, &self.network.readout);
        if step == 0 {
            self.prepared = dynamics.prepare(parameters, moment.clock.setting)?;
        }
        if !self.counted.contains(&step) {
            return Ok(None);
        }
        // What the rollout feeds back will act in this step.
        let drive = match readout.feedback {
            None => None,
            Some(head) => {
                let said = read(parameters, readout, &[head], &dynamics.rates(state)?)?;
                said.first().map(|said| feed_back(parameters, said)).transpose()?
            }
        };
        let gates = dynamics.gates(&moment.clock, &self.prepared, state, &moment.projected, drive.as_ref())?;
        for (name, gate) in gates.iter().filter(|(name, _)| keeps(name)) {
            let gate = gate.f_to_kind(Kind::Double)?;
            let sum = match self.sums.find(name) {
                Some(sum) => sum.f_add(&gate)?,
                None => gate,
            };
            self.sums.insert(name, sum);
        }
        if self.traces_now(step) {
            for (name, gate) in gates.iter() {
                self.keep(format!("gate {name}"), gate)?;
            }
        }
        Ok(None)
    }

    fn after(&mut self, moment: &Moment, _: &mut Tensors, state: &Tensors, _: &Tensor, _: &[Tensor]) -> Result<()> {
        if self.traces_now(moment.clock.step) {
            for (name, tensor) in state.iter().filter(|(_, tensor)| tensor.dim() == 2) {
                self.keep(format!("state {name}"), tensor)?;
            }
            self.traces.input.push(values_f64(&moment.input.f_select(0, 0)?));
        }
        Ok(())
    }
}

/// The gates that keep the state, `[unit]`, in a copy of the network whose weights are zero, so that biases alone are left.
///
/// # Errors
/// What the cell reports.
pub(super) fn gates_of_biases(
    network: &Network,
    run: &RunView,
    lesson: &Lesson,
    stream: &Stream,
) -> Result<IndexMap<String, Vec<f64>>> {
    let setting = run.setting(lesson, &stream.child("setting"))?;
    let parameters: Tensors = network
        .parameters
        .to(Device::Cpu, Kind::Double)
        .iter()
        .map(|(name, tensor)| {
            let zero = name.ends_with(".weight");
            (name.to_string(), if zero { tensor.zeros_like() } else { tensor.shallow_clone() })
        })
        .collect();
    no_grad(|| {
        let dynamics = &network.dynamics;
        let prepared = dynamics.prepare(&parameters, &setting)?;
        let state = dynamics.initial_state(&prepared, 1, &mut Stream::new(0))?;
        let channels = run.parts.spec.inputs.len() as i64;
        let silence = Tensor::f_zeros([1, 1, channels], (Kind::Double, Device::Cpu))?;
        let projected = dynamics.project(&prepared, &silence)?.f_select(0, 0)?;
        let clock = Clock { step: 0, since_border: 0, period: "", setting: &setting };
        let gates = dynamics.gates(&clock, &prepared, &state, &projected, None)?;
        let kept = gates.iter().filter(|(name, _)| keeps(name));
        Ok(kept.map(|(name, gate)| (name.to_string(), values_f64(gate))).collect())
    })
}
