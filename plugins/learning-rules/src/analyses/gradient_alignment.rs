//! Which way learning rules would change a network, against the exact gradient.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::cell::Mode;
use synfire::experiment::Parts;
use synfire::figure::{Axis, Bars, Colour, Figure, Line, Panel, Rule};
use synfire::rollout::Rollout;
use synfire::statistics::mean;
use synfire::storage::array::Array;
use synfire::subject::{At, RunView};
use synfire::table::Table;
use synfire::tch::{Kind as TensorKind, Tensor, no_grad};
use synfire::workers::guarded;
use synfire::{
    Analysis, Component, Error, Experiment, Kind, LearningRule, Network, Problems, Properties, Property, Registry,
    Result, Spec, Stream, Subject, Tensors,
};

/// Alignment of learning rules with the exact gradient, on one network over its training.
///
/// At every checkpoint each rule starts anew on the run's network and is given `warm_up` and then `updates` batches. After every batch
/// the network is put back, so that all changes `d` belong to the same network; what the rule itself remembers (traces, moments, inverse
/// correlations, a population) goes on. The alignment is the cosine of the angle between `d` and minus the exact gradient `g` of the
/// task's loss on the same trials, over all numbers that the rule changed: 1 downhill, 0 across, -1 uphill. `single` is its mean over
/// batches, `mean` the alignment of the summed changes with the summed gradients, in which the noise of a rule averages out. `cover` is the
/// share of the gradient's squared length that lies in what the rule changes. Without `rules` all that fit task and cell are asked, with
/// their default options, the run's own with its options.
///
/// figures `course`: both alignments against updates, a line a rule; `by_parameter`: by parameter at the last checkpoint
/// tables  `alignment`: one row a checkpoint and rule; `parameters`: one row a rule and parameter
/// arrays  `updates` `[checkpoint]`, `single`, `mean` `[rule, checkpoint]` in the order of the value `rules`
///
/// Source: the comparison of rules with node perturbation and backpropagation in Miconi 2017, doi:10.7554/eLife.20899, on whole networks
/// and all of their weights instead of one synapse; alignment as in Lillicrap et al. 2016, doi:10.1038/ncomms13276.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GradientAlignment {
    /// The rules; empty for all that fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Spec<dyn LearningRule>>,
    /// Checkpoints that are looked at, spread evenly over those of the run; the first and last are among them.
    #[schemars(range(min = 1))]
    pub checkpoints: usize,
    /// Batches over which changes are compared.
    #[schemars(range(min = 1))]
    pub updates: usize,
    /// Batches before, for rules whose traces must settle.
    pub warm_up: usize,
    /// Trials of a batch, for rules that take any number; absent for that of the run.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
}

impl Default for GradientAlignment {
    fn default() -> Self {
        Self { rules: Vec::new(), checkpoints: 5, updates: 20, warm_up: 0, batch: None }
    }
}

/// How one rule compares at one checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
struct Compared {
    single: f64,
    mean: f64,
    cover: f64,
    /// Batches after which nothing had changed.
    idle: usize,
    /// Parameter, alignment of the sums, share of the squared length of the summed change.
    parameters: Vec<(String, f64, f64)>,
}

#[typetag::serde(name = "gradient-alignment")]
impl Analysis for GradientAlignment {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        problems.require(self.checkpoints >= 1, "checkpoints", self.checkpoints, "at least 1");
        problems.require(self.updates >= 1, "updates", self.updates, "at least 1");
        if let Some(batch) = self.batch {
            problems.require(batch >= 1, "batch", batch, "at least 1");
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if let Err(error) = registry.build(rule, "") {
                problems.inside(&format!("rules[{index}]"), |inner| {
                    for found in error.into_problems("") {
                        inner.add(found.path.trim_start_matches('.'), found.problem, found.remedy);
                    }
                });
            }
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let mut findings = Findings::new();
        let rules = self.fitting(view, &mut findings)?;
        let updates = chosen(&view.checkpoints(), self.checkpoints);
        if rules.is_empty() || updates.is_empty() {
            return Err(Error::Failed("no rule fits the run's task and cell, or it has no checkpoint".into()));
        }
        let mut all: Vec<Vec<Compared>> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for (name, parts) in &rules {
            let at = |update: &u64| self.compare(view, parts, *update, &subject.stream.child(name));
            match updates.iter().map(at).collect::<Result<Vec<_>>>() {
                Ok(compared) => {
                    all.push(compared);
                    names.push(name);
                }
                // Some see only in the network itself that they do not fit.
                Err(error @ Error::Incompatible { .. }) if self.rules.is_empty() => {
                    findings.note(format!("{name} was left out: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        findings.value("rules", names.join(", "));
        for (name, own) in names.iter().zip(&all) {
            if let Some(last) = own.last() {
                findings.value(format!("{name}: mean"), finite(last.mean));
                findings.value(format!("{name}: single"), finite(last.single));
            }
            if own.iter().all(|compared| compared.idle == self.updates) {
                findings
                    .note(format!("{name} changed nothing in {} batches; it may need a longer warm_up", self.updates));
            }
        }
        findings.tables = tables(&names, &updates, &all);
        let grid =
            |of: fn(&Compared) -> f64| all.iter().map(|own| own.iter().map(of).collect()).collect::<Vec<Vec<f64>>>();
        findings.array("updates", Array::from(updates.iter().map(|update| *update as i64).collect::<Vec<_>>()));
        findings.array("single", Array::from_rows(&grid(|compared| compared.single))?);
        findings.array("mean", Array::from_rows(&grid(|compared| compared.mean))?);
        findings.figures = figures(&names, &updates, &all, &view.label);
        Ok(findings)
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// So many of the checkpoints, the first and last among them.
fn chosen(all: &[u64], count: usize) -> Vec<u64> {
    match (all.len(), count) {
        (0, _) => Vec::new(),
        (available, count) if count >= available => all.to_vec(),
        (available, 1) => vec![all[available - 1]],
        (available, count) => (0..count).map(|index| all[index * (available - 1) / (count - 1)]).collect(),
    }
}

impl GradientAlignment {
    /// The rules by name, with the parts of the run in which each stands in for the run's own.
    fn fitting(&self, view: &RunView, findings: &mut Findings) -> Result<Vec<(String, Parts)>> {
        let registry = view.context()?.registry;
        let own = &view.experiment.rule;
        let specs: Vec<Spec<dyn LearningRule>> = match self.rules.is_empty() {
            false => self.rules.clone(),
            true => registry
                .of_kind(Kind::Rule)
                .map(|component| if component.name == own.name { own.clone() } else { Spec::new(component.name) })
                .collect(),
        };
        let mut fitting: Vec<(String, Parts)> = Vec::new();
        for spec in specs {
            let experiment = Experiment { rule: spec.clone(), ..view.experiment.clone() };
            match experiment.parts(registry) {
                Ok(parts) => {
                    let again = fitting.iter().filter(|(name, _)| name.split(" #").next() == Some(&spec.name)).count();
                    let name = if again > 0 { format!("{} #{}", spec.name, again + 1) } else { spec.name.clone() };
                    fitting.push((name, parts));
                }
                Err(error) if self.rules.is_empty() => {
                    let reason = error.to_string();
                    findings.note(format!("{} was left out: {}", spec.name, reason.lines().next().unwrap_or_default()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(fitting)
    }

    fn compare(&self, view: &RunView, parts: &Parts, update: u64, stream: &Stream) -> Result<Compared> {
        let mut network = view.network(At::Update(update))?;
        let context = view.context()?;
        let mut learner = guarded("rule", || parts.rule.start(&mut network, &context, &stream.child("rule")))?;
        // What the rule added, such as feedback weights, is there before the first update.
        let before = network.parameters.copy();
        let batch = parts.rule.batch().or(self.batch).unwrap_or(view.experiment.training.batch);
        let lesson = view.lesson();
        let mut sums = Sums::default();
        for index in 0..self.warm_up + self.updates {
            let stream = stream.child("batches").at(index as u64);
            let rollout = Rollout {
                task: &*parts.task,
                lesson: &lesson,
                setting: parts.setting(&lesson, Mode::Training),
                stream: stream.child("network"),
                workers: view.workers,
                fast: view.experiment.training.fast,
                settle: view.experiment.training.settle_steps,
            };
            if index >= self.warm_up {
                let exact = rollout.gradient(&network, &view.trials(&lesson, batch, &stream)?, None, |_| true)?;
                sums.gradient = Some(exact.gradients);
            }
            let trials = view.trials(&lesson, batch, &stream)?;
            guarded("rule", || learner.update(&mut network, trials, &rollout))?;
            sums.take(&before, &network)?;
            network.parameters = before.copy();
        }
        sums.compared()
    }
}

/// Changes and gradients, and their sums.
#[derive(Default)]
struct Sums {
    /// Of the batch at hand; none in the warm-up.
    gradient: Option<Tensors>,
    changes: Tensors,
    gradients: Tensors,
    single: Vec<f64>,
    idle: usize,
}

impl Sums {
    fn take(&mut self, before: &Tensors, network: &Network) -> Result<()> {
        let Some(gradient) = self.gradient.take() else { return Ok(()) };
        no_grad(|| {
            let (mut along, mut change_square, mut gradient_square) = (0.0, 0.0, 0.0);
            for (name, slope) in gradient.iter() {
                let (Some(old), Some(new)) = (before.find(name), network.parameters.find(name)) else { continue };
                let change = new.f_sub(old)?.f_to_kind(TensorKind::Double)?;
                let slope = slope.f_to_kind(TensorKind::Double)?;
                let square = dot(&change, &change);
                if square > 0.0 {
                    along -= dot(&change, &slope);
                    change_square += square;
                    gradient_square += dot(&slope, &slope);
                }
                add(&mut self.changes, name, change)?;
                add(&mut self.gradients, name, slope)?;
            }
            match change_square > 0.0 {
                true => self.single.push(cosine(along, change_square, gradient_square)),
                false => self.idle += 1,
            }
            Ok(())
        })
    }

    fn compared(self) -> Result<Compared> {
        let (mut along, mut changed, mut sloped, mut whole) = (0.0, 0.0, 0.0, 0.0);
        let mut parameters = Vec::new();
        for (name, change) in self.changes.iter() {
            let slope = self.gradients.get(name)?;
            let (own, square, steep) = (-dot(change, slope), dot(change, change), dot(slope, slope));
            whole += steep;
            if square > 0.0 {
                along += own;
                changed += square;
                sloped += steep;
                parameters.push((name.to_string(), cosine(own, square, steep), square));
            }
        }
        parameters.iter_mut().for_each(|(_, _, share)| *share /= changed);
        Ok(Compared {
            single: mean(&self.single),
            mean: cosine(along, changed, sloped),
            cover: if whole > 0.0 { sloped / whole } else { f64::NAN },
            idle: self.idle,
            parameters,
        })
    }
}

fn add(sums: &mut Tensors, name: &str, more: Tensor) -> Result<()> {
    let sum = match sums.find(name) {
        Some(sum) => sum.f_add(&more)?,
        None => more,
    };
    sums.insert(name, sum);
    Ok(())
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum(TensorKind::Double).double_value(&[])
}

fn cosine(along: f64, a: f64, b: f64) -> f64 {
    if a > 0.0 && b > 0.0 { along / (a * b).sqrt() } else { f64::NAN }
}

fn tables(names: &[&str], updates: &[u64], all: &[Vec<Compared>]) -> Vec<Table> {
    let columns = ["update", "rule", "single", "mean", "cover", "batches without a change"];
    let mut alignment = Table::new("alignment", "Alignment with minus the exact gradient", &columns);
    let columns = ["rule", "parameter", "alignment", "share of the change"];
    let mut parameters = Table::new("parameters", "Alignment by parameter at the last checkpoint", &columns);
    for (name, own) in names.iter().zip(all) {
        for (update, compared) in updates.iter().zip(own) {
            let row =
                (*update, *name, finite(compared.single), finite(compared.mean), finite(compared.cover), compared.idle);
            alignment.push(row);
        }
        for (parameter, cosine, share) in own.last().into_iter().flat_map(|last| &last.parameters) {
            parameters.push((*name, parameter, finite(*cosine), *share));
        }
    }
    vec![alignment, parameters]
}

fn figures(names: &[&str], updates: &[u64], all: &[Vec<Compared>], label: &str) -> Vec<Figure> {
    let panel = |title: &str, of: fn(&Compared) -> f64| {
        let axis = Axis::new("cosine with minus the gradient").limits(-1.05, 1.05);
        let mut panel = Panel::new(title).x("update").y(axis).mark(Rule::horizontal(0.0));
        for (index, (name, own)) in names.iter().zip(all).enumerate() {
            let values: Vec<f64> = own.iter().map(of).collect();
            panel = panel.mark(Line::new(updates, values).dots().label(*name).colour(Colour::palette(index)));
        }
        panel
    };
    let over_training = Figure::new("course", format!("Learning rules against the exact gradient: {label}"))
        .panel(panel("one batch", |compared| compared.single))
        .panel(panel("sum over batches", |compared| compared.mean))
        .caption("Cosine of the angle between what a rule would change and the way downhill, on the run's network at its checkpoints.");
    let mut by_parameter = Figure::new("by_parameter", "Alignment by parameter at the last checkpoint")
        .caption("Cosine between the summed changes of a rule and minus the summed gradients, parameter by parameter.");
    for (index, (name, own)) in names.iter().zip(all).enumerate() {
        let parameters: &[(String, f64, f64)] = own.last().map_or(&[], |last| &last.parameters);
        if parameters.is_empty() {
            continue;
        }
        let bars = Bars::new(
            parameters.iter().map(|(name, _, _)| name.clone()),
            parameters.iter().map(|(_, cosine, _)| *cosine).collect::<Vec<_>>(),
        );
        let axis = Axis::new("cosine").limits(-1.05, 1.05);
        by_parameter.panels.push(Panel::new(*name).y(axis).mark(bars.colour(Colour::palette(index))));
    }
    if by_parameter.panels.is_empty() { vec![over_training] } else { vec![over_training, by_parameter] }
}

synfire::inventory::submit! { Component::analysis::<GradientAlignment>("gradient-alignment") }

#[cfg(test)]
mod tests;
