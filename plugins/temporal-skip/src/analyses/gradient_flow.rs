//! How far back a gradient reaches.

use super::attenuation::{Scheme, attenuation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::cell::{Clock, Mode, Setting};
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule};
use synfire::network::{first_not_finite, read};
use synfire::recurrence::LEAK;
use synfire::rollout::Rollout;
use synfire::subject::{At, RunView};
use synfire::table::Table;
use synfire::task::{Answer, Period, Trials};
use synfire::tch::{Kind, Tensor, no_grad, with_grad};
use synfire::tensors::values_f64;
use synfire::workers::guarded;
use synfire::{
    Analysis, Component, Error, Lesson, Network, Problems, Properties, Property, Registry, Result, Stream, Subject,
    Tensors,
};

/// The size of the loss's gradient with respect to the state at every step of a trial, step by step and with shortcuts.
///
/// The network before training and the trained one are unrolled step by step, as in an evaluation, and with the shortcuts of their
/// cell at `theta` and `beta`. With `r_t` the state (all its tensors) after step `t`, the curve is the mean over trials of the norm
/// of `dL / dr_t`, times the number of trials; where a period begins a line is drawn. The norm of the gradient with respect to each
/// parameter stands in a table. Trials are drawn as in an evaluation, one step of the task at a time, without the fast path.
///
/// For rate networks another table says how a gradient fades over `duration` steps along the leak of silent units: a closed form,
/// for the units of longest and of shortest time constant.
///
/// figures `flow`: a curve for each network and unrolling
/// tables  `parameters`: norms of gradients; `silent_units`: closed forms
/// arrays  `norm` `[unrolling, time]`
///
/// Source: the argument of Soo, Goudar & Wang 2023, doi:10.1101/2023.10.10.561588, that skips keep gradients from vanishing; it has
/// no such figure. Norms of gradients over time: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GradientFlow {
    /// Segment of the shortcuts, in steps.
    #[schemars(range(min = 1))]
    pub theta: usize,
    /// Share of the stepwise path.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Steps over which a gradient fades in the closed forms.
    #[schemars(range(min = 1))]
    pub duration: usize,
}

impl Default for GradientFlow {
    fn default() -> Self {
        Self { theta: 20, beta: 0.5, trials: 20, duration: 200 }
    }
}

/// The network at the end of training, and the unrolling that is not step by step.
const TRAINED: &str = "trained";
const WITH_SHORTCUTS: &str = "with shortcuts";

/// What was found of one network under one unrolling.
struct Flow {
    network: &'static str,
    unrolling: &'static str,
    norms: Vec<f64>,
    parameters: Vec<(String, f64)>,
}

#[typetag::serde(name = "gradient-flow")]
impl Analysis for GradientFlow {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.theta >= 1, "theta", self.theta, "at least 1");
        problems.require((0.0..=1.0).contains(&self.beta), "beta", self.beta, "between 0 and 1");
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(self.duration >= 1, "duration", self.duration, "at least 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::OpenLoop])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let run = subject.run()?;
        let mut lesson = Lesson { dt_ms: None, ..run.lesson() };
        lesson.schedule.insert("theta".into(), self.theta as f64);
        lesson.schedule.insert("beta".into(), self.beta);
        let stream = subject.stream.child("flow");
        let trials = run.trials(&lesson, self.trials, &stream)?;
        let mut flows = Vec::new();
        for (name, at) in [("before training", At::Initial), (TRAINED, At::Last)] {
            let network = match run.network(at) {
                Ok(network) => network,
                // Some runs, such as imported ones, have no first checkpoint.
                Err(_) if at == At::Initial => continue,
                Err(error) => return Err(error),
            };
            let heads = lesson.heads(&run.parts.spec);
            if heads.iter().any(|head| !network.readout.heads.contains(head)) {
                continue;
            }
            for (unrolling, mode) in [("step by step", Mode::Evaluation), (WITH_SHORTCUTS, Mode::Training)] {
                let setting = run.parts.setting(&lesson, mode);
                let mut flow = guarded("cell", || follow(run, &network, &trials, &lesson, &setting, &stream))?;
                (flow.network, flow.unrolling) = (name, unrolling);
                // A cell without shortcuts says the same twice.
                if flows.last().is_none_or(|last: &Flow| last.network != name || last.norms != flow.norms) {
                    flows.push(flow);
                }
            }
        }
        let mut findings = self.findings(&flows, &trials, &run.label)?;
        if let Some(table) = self.silent_units(run, &lesson, &stream)? {
            findings.tables.push(table);
        }
        Ok(findings)
    }
}

/// One rollout with all states kept, and the gradients with respect to them.
fn follow(
    run: &RunView,
    network: &Network,
    trials: &Trials,
    lesson: &Lesson,
    setting: &Setting,
    stream: &Stream,
) -> Result<Flow> {
    let setting = Setting { substeps: trials.substeps, ..setting.clone() };
    let dynamics = &*network.dynamics;
    let trained = network.trained(lesson);
    let leaf = |name: &str, t: &Tensor| t.detach().copy().set_requires_grad(trained.iter().any(|n| n == name));
    let parameters: Tensors = network.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
    let rollout = Rollout {
        task: &*run.parts.task,
        lesson,
        setting: setting.clone(),
        stream: stream.child("network"),
        workers: run.workers,
        fast: false,
        settle: run.experiment.training.settle_steps,
    };
    with_grad(|| {
        let prepared = dynamics.prepare(&parameters, &setting)?;
        let mut random = stream.child("noise");
        let mut before: Option<Tensor> = None;
        let mut drive = |inputs: &Tensor| -> Result<Vec<Tensor>> {
            let projected = dynamics.project(&prepared, inputs)?;
            let (time, batch, _) = inputs.size3()?;
            let noise = dynamics.noise(&prepared, time as usize, batch as usize, before.as_ref(), &mut random)?;
            let Some(noise) = noise else { return Ok(projected.unbind(0)) };
            before = noise.size().first().filter(|time| **time > 0).map(|time| noise.detach().select(0, time - 1));
            Ok(projected.f_add(&noise)?.unbind(0))
        };
        let mut state = dynamics.initial_state(&prepared, trials.batch(), &mut stream.child("initial"))?;
        if let Some(settle) = &trials.settle {
            for (t, input) in drive(settle)?.iter().enumerate() {
                let clock = Clock { step: t, since_border: t, period: "", setting: &setting };
                state = no_grad(|| dynamics.step(&clock, &prepared, &state, input, None))?;
            }
        }
        let mut states: Vec<Vec<Tensor>> = Vec::with_capacity(trials.time());
        let mut rates = Vec::with_capacity(trials.time());
        for (t, input) in drive(&trials.inputs)?.iter().enumerate() {
            let begun = trials.periods.iter().filter(|p| p.steps.start <= t).max_by_key(|p| p.steps.start);
            let start = begun.map_or(0, |period| period.steps.start);
            let period = begun.map_or("", |period| &period.name);
            let clock = Clock { step: t, since_border: t - start, period, setting: &setting };
            state = dynamics.step(&clock, &prepared, &state, input, None)?;
            // What shortcuts keep beside the state is the state of earlier steps.
            let own = state.iter().filter(|(name, x)| !name.starts_with("skip.") && x.is_floating_point());
            states.push(own.map(|(_, x)| x.shallow_clone()).collect());
            rates.push(dynamics.rates(&state)?);
        }
        let rates = match trials.answer {
            Answer::FinalStep => rates.pop().ok_or_else(|| Error::Failed("trials without steps".into()))?,
            Answer::EveryStep => Tensor::f_stack(&rates, 0)?,
        };
        let heads: Vec<usize> = trials.targets.iter().map(|target| target.head).collect();
        let outputs = read(&parameters, &network.readout, &heads, &rates)?;
        let loss = rollout.task.score(trials, &outputs)?.loss;
        let leaves = trained.iter().map(|name| parameters.get(name).map(Tensor::shallow_clone));
        let leaves = leaves.collect::<Result<Vec<_>>>()?;
        let asked: Vec<Tensor> = states.iter().flatten().chain(&leaves).map(Tensor::shallow_clone).collect();
        let found = Tensor::f_run_backward(&[loss], &asked, false, false)?;
        no_grad(|| summary(&states, &trained, found, trials.batch()))
    })
}

fn summary(states: &[Vec<Tensor>], trained: &[String], found: Vec<Tensor>, batch: usize) -> Result<Flow> {
    let mut found = found.into_iter();
    let mut norms = Vec::with_capacity(states.len());
    for of_step in states {
        let mut squares: Option<Tensor> = None;
        for _ in of_step {
            let Some(gradient) = found.next().filter(Tensor::defined) else { continue };
            let square = gradient.to_kind(Kind::Double).square();
            let rows = square.f_reshape([square.size()[0], -1])?.f_sum_dim_intlist(1i64, false, None::<Kind>)?;
            squares = Some(squares.map_or(rows.shallow_clone(), |sum| sum + rows));
        }
        let mean = squares.map_or(0.0, |squares| squares.sqrt().mean(Kind::Double).double_value(&[]));
        norms.push(mean * batch as f64);
    }
    let gradients: Tensors = trained.iter().cloned().zip(found).filter(|(_, gradient)| gradient.defined()).collect();
    if let Some(name) = first_not_finite(&gradients) {
        return Err(Error::Failed(format!("the gradient of '{name}' is not finite")));
    }
    let norm = |(name, gradient): (&str, &Tensor)| (name.to_string(), gradient.norm().double_value(&[]));
    Ok(Flow { network: "", unrolling: "", norms, parameters: gradients.iter().map(norm).collect() })
}

impl GradientFlow {
    fn findings(&self, flows: &[Flow], trials: &Trials, label: &str) -> Result<Findings> {
        let mut findings = Findings::new();
        let columns = ["network", "unrolling", "parameter", "norm of the gradient"];
        let mut table = Table::new("parameters", "Norms of gradients, parameter by parameter", &columns);
        for flow in flows {
            let (first, last) = (flow.norms.first().copied(), flow.norms.last().copied());
            let ratio = first.zip(last).filter(|(_, last)| *last > 0.0).map(|(first, last)| first / last);
            findings.value(format!("first over last norm, {}, {}", flow.network, flow.unrolling), ratio);
            for (name, norm) in &flow.parameters {
                table.push((flow.network, flow.unrolling, name, *norm));
            }
        }
        findings.tables.push(table);
        let shortcuts = flows.iter().any(|flow| flow.unrolling == WITH_SHORTCUTS);
        if !shortcuts {
            findings.note("the cell has no shortcuts; use skip or dynamics-aligned around it");
        }
        let rows: Vec<Vec<f64>> = flows.iter().map(|flow| flow.norms.clone()).collect();
        findings.array("norm", synfire::storage::array::Array::from_rows(&rows)?);
        let mut panel = Panel::new("").x("step").y(Axis::new("norm of dL / dr").log()).marks(borders(&trials.periods));
        for flow in flows {
            let steps: Vec<usize> = (1..=flow.norms.len()).collect();
            let mut line = Line::new(steps, &flow.norms).colour(Colour::palette(usize::from(flow.network == TRAINED)));
            if flow.unrolling == WITH_SHORTCUTS {
                line = line.dashed();
            }
            panel = panel.mark(line.label(format!("{}, {}", flow.network, flow.unrolling)));
        }
        let mut caption =
            format!("Mean over {} trials of the norm of the loss's gradient with respect to the state.", self.trials);
        if shortcuts {
            caption += &format!(
                " Dashed curves: with shortcuts, theta {}, beta {}; they peak where a segment begins, since what the shortcut \
                 carries passes through that state and by the steps that follow.",
                self.theta, self.beta
            );
        }
        findings
            .figures
            .push(Figure::new("flow", format!("Gradients over time: {label}")).panel(panel).caption(caption));
        Ok(findings)
    }

    /// Closed forms for the slowest and the fastest unit, for cells that have a leak.
    fn silent_units(&self, run: &RunView, lesson: &Lesson, stream: &Stream) -> Result<Option<Table>> {
        let network = run.network(At::Last)?;
        let setting = Setting { mode: Mode::Evaluation, ..run.setting(lesson, stream)? };
        let prepared = no_grad(|| network.dynamics.prepare(&network.parameters, &setting))?;
        let Some(leak) = prepared.find(LEAK) else { return Ok(None) };
        let leaks = values_f64(leak);
        let ends = [leaks.iter().copied().reduce(f64::min), leaks.iter().copied().reduce(f64::max)];
        let (theta, beta) = (self.theta, self.beta);
        let schemes = [
            Scheme::Base,
            Scheme::Coarse { theta },
            Scheme::Skip { theta, beta },
            Scheme::SegmentStart { theta, beta },
            Scheme::PreviousStep { theta, beta },
        ];
        let title = format!("How a gradient fades over {} steps along the leak of silent units", self.duration);
        let mut table = Table::new("silent_units", title, &["unrolling", "slowest unit", "fastest unit"]);
        for scheme in schemes {
            let [slow, fast] = ends.map(|leak| leak.map(|leak| attenuation(scheme, leak, self.duration)));
            table.push((scheme.label(), slow, fast));
        }
        Ok(Some(table))
    }
}

fn borders(periods: &[Period]) -> Vec<Rule> {
    let starts = periods.iter().map(|period| period.steps.start).filter(|start| *start > 0);
    starts.map(|start| Rule::vertical(start as f64)).collect()
}

synfire::inventory::submit! { Component::analysis::<GradientFlow>("gradient-flow") }
