//! Checks of cells.

use super::Findings;
use super::reference::{AnyTask, STEPS};
use crate::cell::{BuildContext, Clock, Mode, Setting};
use crate::network::Network;
use crate::registry::Slot;
use crate::rollout::{Record, Rollout};
use crate::task::{Task, Trials};
use crate::tensors::values_f64;
use crate::workers::Workers;
use crate::{Cell, Lesson, Property, Registry, Result, Spec, Stream, Tensors};
use tch::{Device, Kind, Tensor, no_grad};

const UNITS: u64 = 6;
const ROWS: usize = 70; // more than one block

struct Bench<'a> {
    cell: Box<dyn Cell>,
    context: BuildContext<'a>,
    workers: Workers,
    setting: Setting,
    lesson: Lesson,
}

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let mut options = serde_json::Map::new();
    if findings.component.schema()["properties"].get("hidden").is_some() {
        options.insert("hidden".into(), UNITS.into());
    }
    let spec: Spec<dyn Cell> = Spec::with(findings.component.name, &options.into());
    let Some(cell) = findings.value("with six units it is refused", registry.build(&spec, "cell")) else { return };
    let provides = Slot::provides(&*cell, registry);
    let Some(workers) = findings.value("threads", Workers::new(1)) else { return };
    let context = BuildContext { registry, task: AnyTask {}.spec(), device: Device::Cpu, kind: Kind::Double };
    let setting = Setting { mode: Mode::Training, dt_ms: Some(10.0), ..Setting::default() };
    let bench = Bench { cell, context, workers, setting, lesson: Lesson::default() };
    let Some(network) = findings.value("it cannot be built", bench.network(1)) else { return };
    match (bench.network(1), bench.network(2)) {
        (Ok(same), Ok(other)) => {
            findings.require(network.parameters.same_bytes(&same.parameters), "the same stream builds another network");
            findings.require(!network.parameters.same_bytes(&other.parameters), "another seed builds the same network");
        }
        _ => findings.fail("it cannot be built a second time"),
    }
    if let Some(problem) = findings.value("forward", bench.forward(&network)).flatten() {
        findings.fail(problem);
    }
    if let Some(problem) = findings.value("rows", bench.rows_alone(&network)).flatten() {
        findings.fail(problem);
    }
    if let Some(problem) = findings.value("drive", bench.drive(&network, &provides)).flatten() {
        findings.fail(problem);
    }
    if provides.contains(&Property::Gradient)
        && let Some(problem) = findings.value("gradient", bench.gradient(&network)).flatten()
    {
        findings.fail(problem);
    }
}

impl Bench<'_> {
    fn network(&self, seed: u64) -> Result<Network> {
        let stream = Stream::new(seed);
        let mut network = self.cell.build(&self.context, &stream.child("cell"))?;
        network.add_heads(&[0], &self.context, &stream)?;
        Ok(network)
    }

    fn rollout(&self, fast: bool) -> Rollout<'_> {
        Rollout {
            task: &AnyTask {},
            lesson: &self.lesson,
            setting: self.setting.clone(),
            stream: Stream::new(11),
            workers: &self.workers,
            fast,
            settle: 0,
        }
    }

    fn trials(&self, rows: usize) -> Result<Trials> {
        AnyTask {}.trials(&self.lesson, rows, &mut Stream::new(3))
    }

    fn forward(&self, network: &Network) -> Result<Option<String>> {
        let trials = self.trials(ROWS)?;
        let fast = self.rollout(true).play(network, &trials, Record::Rates)?;
        let slow = self.rollout(false).play(network, &trials, Record::Rates)?;
        let expected = [STEPS, ROWS as i64, network.dynamics.units() as i64];
        let (Some(a), Some(b)) = (fast.rates, slow.rates) else { return Ok(Some("no rates were recorded".into())) };
        if a.size() != expected {
            return Ok(Some(format!("rates have shape {:?}, expected {expected:?}", a.size())));
        }
        if a.isfinite().all().int64_value(&[]) == 0 {
            return Ok(Some("rates are not finite".into()));
        }
        let gap = (&a - &b).abs().max().double_value(&[]);
        // rounding of seven steps in double precision
        Ok((gap > 1e-10).then(|| format!("the fast path differs from step by step by {gap:e}")))
    }

    /// Rows do not see each other: some rows alone give what they give among others, from the same states and without noise.
    fn rows_alone(&self, network: &Network) -> Result<Option<String>> {
        let trials = self.trials(9)?;
        let prepared = network.dynamics.prepare(&network.parameters, &self.setting)?;
        if network.dynamics.noise(&prepared, 1, 1, None, &mut Stream::new(1))?.is_some() {
            return Ok(None);
        }
        let states = no_grad(|| network.dynamics.initial_state(&prepared, 9, &mut Stream::new(4)))?;
        let some: Tensors = states.iter().map(|(n, t)| (n.to_string(), t.narrow(0, 2, 3))).collect();
        let whole = self.rollout(true).play_from(network, &trials, Record::Outputs, Some(&states))?;
        let alone = self.rollout(true).play_from(network, &trials.rows(2..5), Record::Outputs, Some(&some))?;
        let gap = (whole.outputs[0].narrow(1, 2, 3) - &alone.outputs[0]).abs().max().double_value(&[]);
        Ok((gap > 1e-10).then(|| format!("rows played alone differ by {gap:e} from the same rows in a batch")))
    }

    fn drive(&self, network: &Network, provides: &crate::Properties) -> Result<Option<String>> {
        let prepared = network.dynamics.prepare(&network.parameters, &self.setting)?;
        let state = network.dynamics.initial_state(&prepared, 2, &mut Stream::new(4))?;
        let input = network.dynamics.project(&prepared, &self.trials(2)?.inputs)?.select(0, 0);
        let units = network.dynamics.units() as i64;
        let drive = Tensor::ones([2, units], (Kind::Double, Device::Cpu)) * 0.3;
        let clock = Clock { step: 0, since_border: 0, period: "", setting: &self.setting };
        let step = |drive: Option<&Tensor>| network.dynamics.step(&clock, &prepared, &state, &input, drive);
        let driven = step(Some(&drive));
        if !provides.contains(&Property::AdditiveDrive) {
            return Ok(driven.is_ok().then(|| "it takes a drive but does not provide additive-drive".into()));
        }
        let (driven, plain) = (driven?, step(None)?);
        let gap = (network.dynamics.rates(&driven)? - network.dynamics.rates(&plain)?).abs().max().double_value(&[]);
        Ok((gap == 0.0).then(|| "it provides additive-drive but a drive changes nothing".into()))
    }

    /// The gradient on the fast path, by autograd, and by central differences at a few entries of each parameter.
    fn gradient(&self, network: &Network) -> Result<Option<String>> {
        let trials = self.trials(ROWS)?;
        let fast = self.rollout(true).gradient(network, &trials, None, |_| true)?.gradients;
        let slow = self.rollout(false).gradient(network, &trials, None, |_| true)?.gradients;
        for (name, expected) in slow.iter() {
            let Some(found) = fast.find(name) else {
                return Ok(Some(format!("the fast path gives no gradient of '{name}'")));
            };
            let scale = expected.abs().max().double_value(&[]).max(1e-6);
            let gap = (found - expected).abs().max().double_value(&[]) / scale;
            if gap > 1e-10 {
                return Ok(Some(format!("the fast path's gradient of '{name}' is off by {gap:e}")));
            }
        }
        let loss = |parameters: &Tensors| -> Result<f64> {
            let network = Network {
                parameters: parameters.shallow_clone(),
                dynamics: self.network(1)?.dynamics,
                readout: network.readout.clone(),
            };
            Ok(self.rollout(false).gradient(&network, &trials, None, |_| true)?.loss)
        };
        for (name, gradient) in slow.iter() {
            let exact = values_f64(gradient);
            for index in [0, exact.len() / 2, exact.len() - 1] {
                let h = 1e-5;
                let shifted = |by: f64| -> Result<f64> {
                    let parameters = network.parameters.copy();
                    let flat = parameters.get(name)?.view([-1]);
                    let mut entry = flat.get(index as i64);
                    drop(entry.f_add_scalar_(by)?);
                    loss(&parameters)
                };
                let numeric = (shifted(h)? - shifted(-h)?) / (2.0 * h);
                // central differences at h = 1e-5: truncation about h^2, rounding about 1e-16 / h
                if (numeric - exact[index]).abs() > 1e-6 * exact[index].abs().max(1.0) {
                    return Ok(Some(format!(
                        "the gradient of '{name}'[{index}] is {}, central differences give {numeric}",
                        exact[index]
                    )));
                }
            }
        }
        Ok(None)
    }
}
