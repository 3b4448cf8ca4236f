//! How accurate a network is when each symbol is shown for other numbers of steps than in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Panel, Rule, Span};
use synfire::storage::array::Array;
use synfire::subject::{At, RunView};
use synfire::table::Table;
use synfire::{Analysis, Component, Network, Problems, Properties, Property, Registry, Result, Subject};
use synfire_essentials::levels::{Levels, answering, asked};
use synfire_essentials::protocol::TaskOptions;

/// Accuracy by the number of steps that each symbol is shown for: whether what was learned at one step size carries to others.
///
/// With `k` steps a symbol a step lasts `1 / k` of a symbol: a network whose time constants are counted in symbols takes smaller
/// steps, one whose are counted in steps sees a slower stream. The task needs an option `repeat`, the number of steps that each
/// symbol is shown for; for each of `substeps` it is set to that number and every trained level judged, by the head that learned it.
/// Where the task can ask for several levels at once, all are asked in the same trials, as long as the hardest wants. The numbers
/// that the network was trained with are shaded.
///
/// figures `accuracy-by-substeps`: a line a level
/// tables  `step_size`: one row a level and number of steps
/// arrays  `accuracy` `[level, substeps]`, `level` `[level]`, `substeps` `[substeps]`
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, ICLR, arXiv:2309.12927 (tests of its
/// continuous-time networks at other step sizes), whose numbers of steps and of trials are the defaults. Differs: trials are played
/// together in smaller batches (`steps_at_once`, there 300,000), since each batch has a length of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StepSize {
    /// Numbers of steps that each symbol is shown for.
    pub substeps: Vec<usize>,
    /// Levels that are tested: a list, or a range `{ from, to, step }`; absent for all that were trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    /// Trials at each number of steps.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Trials are played together as long as their number times hardest level times steps a symbol is not above this; bounds memory.
    #[schemars(range(min = 1))]
    pub steps_at_once: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Options of the task, other than `repeat`, that are otherwise while the network is judged.
    #[serde(skip_serializing_if = "TaskOptions::is_empty")]
    pub task: TaskOptions,
}

impl Default for StepSize {
    fn default() -> Self {
        let finest = [25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100, 150, 200];
        Self {
            substeps: (1..=20).chain(finest).collect(),
            levels: None,
            trials: 256,
            steps_at_once: 50_000,
            update: None,
            task: TaskOptions::default(),
        }
    }
}

/// The option of the task.
const REPEAT: &str = "repeat";

#[typetag::serde(name = "step-size")]
impl Analysis for StepSize {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(!self.substeps.is_empty(), "substeps", "empty", "at least one number");
        problems.require(!self.substeps.contains(&0), "substeps", "0 for one of them", "at least 1");
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(self.steps_at_once >= 1, "steps_at_once", self.steps_at_once, "at least 1");
        if let Some(levels) = &self.levels {
            levels.check(problems);
        }
        if let Some(repeat) = self.task.0.get(REPEAT) {
            problems.add("task.repeat", format_args!("is {repeat}, but it is what substeps sets"), "leave it out");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Accuracy, Property::Difficulty])
    }

    fn task_options(&self) -> Map<String, Value> {
        self.with_repeat(self.substeps.iter().copied().max().unwrap_or(1))
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let run = subject.run()?;
        let levels = asked(self.levels.as_ref(), &run.with_task(&self.with_repeat(1))?)?;
        let mut substeps = self.substeps.clone();
        substeps.sort_unstable();
        substeps.dedup();
        let mut accuracies = Vec::with_capacity(substeps.len());
        for steps in &substeps {
            tracing::info!(run = %run.label, substeps = steps, "judging at another step size");
            accuracies.push(self.judge(run, *steps, &levels, subject)?);
        }
        let trained = trained_substeps(&run.experiment.task.options()[REPEAT]);
        let level_name = run.parts.spec.difficulty.as_ref().map_or("level", |difficulty| difficulty.name.as_str());
        let course =
            Course { label: &run.label, level_name, levels: &levels, substeps: &substeps, accuracies, trained };
        self.findings(&course)
    }
}

/// What was found, and what of.
struct Course<'a> {
    label: &'a str,
    level_name: &'a str,
    levels: &'a [usize],
    substeps: &'a [usize],
    /// `[substeps][level]`; nothing where no head answers.
    accuracies: Vec<Vec<Option<f64>>>,
    /// The numbers of steps in training; empty where the task does not say.
    trained: Vec<usize>,
}

impl StepSize {
    fn with_repeat(&self, steps: usize) -> Map<String, Value> {
        let mut options = self.task.0.clone();
        options.insert(REPEAT.into(), steps.into());
        options
    }

    /// The accuracy of each level with symbols of this many steps.
    fn judge(&self, run: &RunView, steps: usize, levels: &[usize], subject: &Subject) -> Result<Vec<Option<f64>>> {
        let mut view = run.with_task(&self.with_repeat(steps))?;
        let network = view.network(self.update.map_or(At::Last, At::Update))?;
        let hardest = levels.iter().copied().max().unwrap_or(1).max(1);
        let fitting = (self.steps_at_once / hardest.saturating_mul(steps)).max(1);
        view.experiment.training.evaluation_batch = fitting.min(self.trials);
        let asked: Vec<(usize, usize)> =
            levels.iter().filter_map(|level| Some((*level, head_of(*level, &view, &network)?))).collect();
        let together = view.parts.spec.difficulty.as_ref().is_some_and(|difficulty| difficulty.several_at_once);
        let lessons: Vec<&[(usize, usize)]> = match together {
            _ if asked.is_empty() => Vec::new(),
            true => vec![&asked],
            false => asked.chunks(1).collect(),
        };
        let stream = subject.stream.child("judged").at(steps as u64);
        let mut found = Vec::with_capacity(asked.len());
        for pairs in lessons {
            let mut lesson = view.lesson().at_levels(pairs.iter().copied());
            // What a curriculum schedules would come before the option.
            lesson.schedule.remove(REPEAT);
            let results = view.evaluate(&network, &lesson, self.trials, &stream.at(pairs[0].0 as u64))?;
            found.extend(pairs.iter().zip(results.heads).map(|((level, _), head)| (*level, head.accuracy)));
        }
        let of = |level: &usize| found.iter().find(|(l, _)| l == level).and_then(|(_, accuracy)| *accuracy);
        Ok(levels.iter().map(of).collect())
    }

    fn findings(&self, course: &Course) -> Result<Findings> {
        let mut findings = Findings::new();
        let mean = |index: usize| {
            let all: Vec<f64> = course.accuracies[index].iter().flatten().copied().collect();
            (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
        };
        let words: Vec<String> = course.trained.iter().map(usize::to_string).collect();
        findings.value("trained substeps", (!words.is_empty()).then(|| words.join(", ")));
        let places = (0..course.substeps.len()).filter(|index| course.trained.contains(&course.substeps[*index]));
        let at_trained: Vec<f64> = places.filter_map(mean).collect();
        let count = at_trained.len();
        findings.value(
            "mean accuracy at trained substeps",
            (count > 0).then(|| at_trained.iter().sum::<f64>() / count as f64),
        );
        let all: Vec<f64> = (0..course.substeps.len()).filter_map(mean).collect();
        findings.value("mean accuracy", (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64));
        findings.value("least mean accuracy", all.iter().copied().reduce(f64::min));
        findings.value("trials", self.trials);
        findings.value("protocol", self.task.protocol());
        if course.accuracies.iter().flatten().any(Option::is_none) {
            findings.note("levels without an accuracy have no head in this network");
        }
        let mut table = Table::new(
            "step_size",
            "Accuracy by steps that each symbol is shown for",
            &["level", "substeps", "accuracy", "trials"],
        );
        for (place, level) in course.levels.iter().enumerate() {
            for (steps, accuracies) in course.substeps.iter().zip(&course.accuracies) {
                table.push((*level, *steps, accuracies[place], self.trials));
            }
        }
        findings.tables.push(table);
        let by_level: Vec<Vec<f64>> = (0..course.levels.len()).map(|place| course.of_level(place)).collect();
        findings.array("accuracy", Array::from_rows(&by_level)?);
        let numbers = |list: &[usize]| Array::from(list.iter().map(|number| *number as i64).collect::<Vec<_>>());
        findings.array("level", numbers(course.levels));
        findings.array("substeps", numbers(course.substeps));
        findings.figures.push(course.figure(&self.task.protocol()));
        Ok(findings)
    }
}

impl Course<'_> {
    fn of_level(&self, place: usize) -> Vec<f64> {
        self.accuracies.iter().map(|accuracies| accuracies[place].unwrap_or(f64::NAN)).collect()
    }

    fn figure(&self, protocol: &str) -> Figure {
        let mut panel =
            Panel::new("").x(Axis::new("steps a symbol").log()).y(Axis::new("accuracy").limits(-0.02, 1.03));
        if let (Some(low), Some(high)) = (self.trained.iter().min(), self.trained.iter().max()) {
            panel = if low == high {
                panel.mark(Rule::vertical(*low as f64).label("trained"))
            } else {
                panel.mark(Span::vertical(*low as f64, *high as f64).label("trained"))
            };
        }
        let last = self.levels.len().saturating_sub(1);
        for (place, level) in self.levels.iter().enumerate() {
            // The very light end of the map vanishes on white.
            let colour = match last {
                0 => Colour::palette(0),
                _ => ColourMap::SequentialReversed.at(0.1 + 0.9 * place as f64 / last as f64),
            };
            let line = Line::new(self.substeps, self.of_level(place)).colour(colour);
            // A legend of all of many levels would hide the lines.
            let named = last < 8 || place == 0 || place == last || place == last / 2;
            panel = panel.mark(if named { line.label(format!("{} = {level}", self.level_name)) } else { line });
        }
        Figure::new("accuracy-by-substeps", format!("Accuracy at other step sizes: {}", self.label))
            .panel(panel)
            .caption(format!(
                "Each line is a {}, the lighter the easier; grey: the steps a symbol in training. {protocol}.",
                self.level_name
            ))
    }
}

/// The head that answers a level, if there is one.
fn head_of(level: usize, view: &RunView, network: &Network) -> Option<usize> {
    let history = view.history();
    answering(level, &view.parts.spec, history, history, &network.readout).map(|(head, _)| head)
}

/// The numbers of steps in training: a number, or a list of them.
fn trained_substeps(option: &Value) -> Vec<usize> {
    let number = |value: &Value| value.as_u64().map(|number| number as usize);
    match option {
        Value::Array(list) => list.iter().filter_map(number).collect(),
        other => number(other).into_iter().collect(),
    }
}

synfire::inventory::submit! { Component::analysis::<StepSize>("step-size") }

#[cfg(test)]
mod tests;
