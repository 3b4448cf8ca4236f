//! How well a network generates a signal, and for how long.

use super::attractor_topology::quantile;
use super::choice;
use super::grouping::Grouping;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Properties, Property, Registry, Result, Subject, Tensors};

/// What a network generates against what it should: errors trial after trial, with no learning between.
///
/// Trials follow each other, each from the state in which the one before ended. The first begins in the state in which training ended,
/// where the rule keeps it (`force`, `full-force` with `continue_state`), else in a fresh one. With the target `f` and the output `y` over
/// the steps that are judged, weighted as the task weights them, the errors of a trial are the mean of `|y - f|`, the same over the mean of
/// `|f|`, and the normalised error `sum (y - f)^2 / sum f^2`. Groups are those of `--groups`, else runs with the same options `by`.
///
/// figures `errors`: mean absolute error of each trial, median and quartiles over the networks of a group; `signals`: output and target of
/// the first head's first output in the first and the last trial, a network of each group
/// tables  `networks`: errors of the first trial and of all; `groups`: their medians and quartiles
/// arrays  `absolute`, `normalised` `[network, trial]`
///
/// Source: Sussillo & Abbott 2009, doi:10.1016/j.neuron.2009.07.018 (mean absolute error after learning, over twelve periods), and DePasquale et
/// al. 2018, doi:10.1371/journal.pone.0191527 (normalised error, as a plain ratio).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reproduction {
    /// Number of trials, one after the other.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Whether to begin in the state in which training ended, where there is one.
    pub from_last_state: bool,
    /// Updates after which the networks are taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Options of the experiments that make groups where none are named.
    pub by: Vec<String>,
}

impl Default for Reproduction {
    fn default() -> Self {
        Self { trials: 12, from_last_state: true, update: None, by: vec!["rule".into()] }
    }
}

/// Sums over the judged steps of one trial.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Errors {
    weight: f64,
    distance: f64,
    size: f64,
    squares: f64,
    power: f64,
}

impl Errors {
    fn add(&mut self, output: f64, target: f64, weight: f64) {
        let gap = output - target;
        self.weight += weight;
        self.distance += weight * gap.abs();
        self.size += weight * target.abs();
        self.squares += weight * gap * gap;
        self.power += weight * target * target;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            distance: self.distance + other.distance,
            size: self.size + other.size,
            squares: self.squares + other.squares,
            power: self.power + other.power,
        }
    }

    fn absolute(&self) -> f64 {
        self.distance / self.weight
    }

    fn relative(&self) -> f64 {
        self.distance / self.size
    }

    fn normalised(&self) -> f64 {
        self.squares / self.power
    }
}

/// An error of a network.
type Measure = fn(&Course) -> f64;

/// One network over all trials.
struct Course {
    errors: Vec<Errors>,
    /// Output and target of the first and of the last trial.
    shown: [(Vec<f64>, Vec<f64>); 2],
    /// Whether it began where training ended.
    went_on: bool,
}

impl Course {
    fn whole(&self) -> Errors {
        self.errors.iter().copied().fold(Errors::default(), Errors::plus)
    }
}

#[typetag::serde(name = "reproduction")]
impl Analysis for Reproduction {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::TargetSignal])
    }

    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        subject.run()?;
        let grouping = Grouping::of(subject, &self.by)?;
        let courses = subject.runs.iter().map(|view| self.course(view, subject)).collect::<Result<Vec<_>>>()?;
        let mut findings = Findings::new();
        let columns = [
            "network",
            "group",
            "from the last state",
            "absolute, first trial",
            "absolute",
            "relative",
            "normalised, first trial",
            "normalised",
        ];
        let mut networks = Table::new("networks", "Errors of each network", &columns);
        for (index, course) in courses.iter().enumerate() {
            let (first, whole) = (course.errors[0], course.whole());
            networks.push((
                &subject.runs[index].label,
                &grouping.names[grouping.labels[index]],
                course.went_on,
                first.absolute(),
                whole.absolute(),
                whole.relative(),
                first.normalised(),
                whole.normalised(),
            ));
        }
        let columns = ["group", "networks", "error", "lower quartile", "median", "upper quartile"];
        let mut groups = Table::new("groups", "Errors of the networks of each group", &columns);
        for (group, name) in grouping.names.iter().enumerate() {
            let members: Vec<usize> = grouping.members(group).collect();
            let errors: [(&str, Measure); 4] = [
                ("absolute, first trial", |course| course.errors[0].absolute()),
                ("absolute", |course| course.whole().absolute()),
                ("normalised, first trial", |course| course.errors[0].normalised()),
                ("normalised", |course| course.whole().normalised()),
            ];
            for (what, of) in errors {
                let values: Vec<f64> = members.iter().map(|index| of(&courses[*index])).collect();
                let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
                groups.push((name, members.len(), what, low, middle, high));
                findings.value(format!("{name}: {what}, median"), middle);
            }
        }
        let flat =
            |of: fn(&Errors) -> f64| courses.iter().flat_map(|course| &course.errors).map(of).collect::<Vec<_>>();
        let shape = [courses.len(), self.trials];
        findings.array("absolute", Array::new(shape, flat(Errors::absolute))?);
        findings.array("normalised", Array::new(shape, flat(Errors::normalised))?);
        findings.tables = vec![groups, networks];
        findings.figures = vec![self.errors(&courses, &grouping), Self::signals(&courses, &grouping, subject)];
        Ok(findings)
    }
}

impl Reproduction {
    /// All trials of one network.
    fn course(&self, view: &RunView, subject: &Subject) -> Result<Course> {
        let checkpoint = view.checkpoint(choice::at(self.update))?;
        let mut state = last_state(&checkpoint.learner).filter(|_| self.from_last_state);
        let went_on = state.is_some();
        let network = view.parts.network_from(&view.context()?, checkpoint.parameters, checkpoint.state.readout)?;
        let (lesson, objective) = (view.lesson(), view.parts.spec.objective);
        let (mut errors, mut shown) = (Vec::with_capacity(self.trials), [(); 2].map(|()| (Vec::new(), Vec::new())));
        for index in 0..self.trials {
            let stream = subject.stream.child("reproduction").at(index as u64);
            let trials = view.trials(&lesson, 1, &stream)?;
            let played =
                view.rollout(&lesson, &stream).play_from(&network, &trials, Record::Outputs, state.as_ref())?;
            let (mut sum, mut signal) = (Errors::default(), None);
            for (target, output) in played.trials.targets.iter().zip(&played.outputs) {
                let outputs = network.readout.outputs;
                let (values, weight) = objective.signal(&played.trials, target, outputs);
                let output = if output.dim() == 3 { output.shallow_clone() } else { output.f_expand_as(&values)? };
                let (output, values, weight) = (values_f64(&output), values_f64(&values), values_f64(&weight));
                for (at, (y, f)) in output.iter().zip(&values).enumerate() {
                    sum.add(*y, *f, weight[at / outputs] / outputs as f64);
                }
                let first = |all: &[f64]| all.iter().step_by(outputs).copied().collect::<Vec<_>>();
                signal.get_or_insert_with(|| (first(&output), first(&values)));
            }
            if sum.weight <= 0.0 {
                return Err(Error::Failed(format!("trial {index} of {} asks for no output", view.label)));
            }
            let signal = signal.unwrap_or_default();
            if index == 0 {
                shown[0].clone_from(&signal);
            }
            shown[1] = signal;
            errors.push(sum);
            state = Some(played.last);
        }
        Ok(Course { errors, shown, went_on })
    }

    fn errors(&self, courses: &[Course], grouping: &Grouping) -> Figure {
        let trials: Vec<f64> = (1..=self.trials).map(|trial| trial as f64).collect();
        let mut panel = Panel::new("").x(Axis::new("trial without learning").whole()).y("mean absolute error");
        for (group, name) in grouping.names.iter().enumerate() {
            let members: Vec<usize> = grouping.members(group).collect();
            let at = |trial: usize, share: f64| {
                let values: Vec<f64> = members.iter().map(|index| courses[*index].errors[trial].absolute()).collect();
                quantile(&values, share).unwrap_or(f64::NAN)
            };
            let [low, middle, high] =
                [0.25, 0.5, 0.75].map(|share| (0..self.trials).map(|trial| at(trial, share)).collect::<Vec<_>>());
            let line = Line::new(&trials, middle).band(low, high).dots().label(name).colour(Colour::palette(group));
            panel = panel.mark(line);
        }
        Figure::new("errors", "Errors while nothing is learned")
            .panel(panel)
            .caption("Median and quartiles over the networks of each group; trials follow each other without a break.")
    }

    fn signals(courses: &[Course], grouping: &Grouping, subject: &Subject) -> Figure {
        let mut figure = Figure::new("signals", "Output and target").caption(
            "The first trial and the last, of the network of each group whose error over all trials is the median.",
        );
        for group in 0..grouping.names.len() {
            let mut members: Vec<usize> = grouping.members(group).collect();
            let error = |index: usize| courses[index].whole().absolute();
            members.sort_by(|a, b| error(*a).total_cmp(&error(*b)));
            let Some(&median) = members.get(members.len().saturating_sub(1) / 2) else { continue };
            let label = &subject.runs[median].label;
            for ((output, target), when) in courses[median].shown.iter().zip(["first", "last"]) {
                let steps: Vec<f64> = (0..output.len()).map(|step| step as f64).collect();
                let panel = Panel::new(format!("{label}, {when} trial")).x("step").y("output");
                let target = Line::new(&steps, target).colour(Colour::GREY).dashed().label("target");
                figure.panels.push(panel.mark(Line::new(&steps, output).label("output")).mark(target));
            }
        }
        figure
    }
}

/// The state in which training ended, where the rule keeps it.
fn last_state(learner: &Tensors) -> Option<Tensors> {
    let own = |name: &str| name.strip_prefix("last_state/").map(str::to_string);
    let state: Tensors =
        learner.iter().filter_map(|(name, tensor)| Some((own(name)?, tensor.shallow_clone()))).collect();
    (!state.is_empty()).then_some(state)
}

synfire::inventory::submit! { Component::analysis::<Reproduction>("reproduction") }

#[cfg(test)]
mod tests;
