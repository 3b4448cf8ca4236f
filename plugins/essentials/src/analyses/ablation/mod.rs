//! What becomes of the accuracy when units are silenced.

mod figures;
mod selection;
mod silence;
mod tables;

pub use selection::{Group, Selection};
pub use silence::{HeadColumns, Silence};

use super::choice;
use crate::protocol::TaskOptions;
use crate::variants::{self, Variants};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synfire::analysis::{Findings, Scope};
use synfire::storage::array::Array;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Network, Problems, Properties, Property, Registry, Result, Subject};

/// Accuracy after units are silenced, one by one or in groups.
///
/// To silence a unit, its row and column of the recurrent weights, its row of the input weights, its biases and its column in every
/// head are set to zero (each can be left as it is): it then has no influence on other units or on answers. All variants and the
/// network itself are judged on the same fresh trials with the same initial states and noise; `task` says under which options of the
/// task. The relative accuracy is `(accuracy - chance) / (base - chance)`.
///
/// figures `effect`: relative accuracy, sorted (units one by one), or with a bar a group
/// tables  `silenced`: one row a variant; `groups`: mean and deviation of each group
/// arrays  `unit` (first unit), `group` (row of the table `groups`), `accuracy`, `relative` `[variant]`, `time_constants` `[variant]`
/// where the cell has them (means of units silenced together), `base` (a single number)
///
/// Source: Khajehabdollahi et al. 2024, arXiv:2309.12927, figure 5, where the 20 units of shortest and the 20 of longest time
/// constant are silenced one by one: `select = { by = "parameter", count = 20 }`, and judged by their running accuracy over 1000
/// answers in each of 10 streams: `trials = 10, task = { rate = 0.5, answer = "every-step", length = 1100, warm_up = 100 }`.
///
/// Differs: the published code zeroes the column of head 0 alone, also where another head answers, and keeps the biases;
/// `head_columns = "first"` and `biases = false` do so too. All variants see the same streams, and `base` is the mean over them, not
/// the largest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ablation {
    /// Level that is judged; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Options of the task that are otherwise while networks are judged.
    #[serde(skip_serializing_if = "TaskOptions::is_empty")]
    pub task: TaskOptions,
    /// Trials that every variant is judged on.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Which units are silenced.
    pub select: Selection,
    /// Silence the units of a group all at once instead of one by one.
    pub together: bool,
    /// Zero the unit's row and column of the recurrent weights.
    pub recurrent: bool,
    /// Zero the unit's input weights.
    pub input: bool,
    /// Zero the unit's biases.
    pub biases: bool,
    /// In which heads the unit's column is zeroed.
    pub head_columns: HeadColumns,
    /// Accuracy of guessing; absent for that of the task's objective.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

impl Default for Ablation {
    fn default() -> Self {
        Self {
            level: None,
            task: TaskOptions::default(),
            trials: 500,
            update: None,
            select: Selection::default(),
            together: false,
            recurrent: true,
            input: true,
            biases: true,
            head_columns: HeadColumns::default(),
            chance: None,
        }
    }
}

/// One variant: which units were silenced and what it cost.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    /// Index into the groups.
    group: usize,
    units: Vec<usize>,
    accuracy: f64,
    relative: f64,
}

#[typetag::serde(name = "ablation")]
impl Analysis for Ablation {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        if let Some(chance) = self.chance {
            problems.require((0.0..1.0).contains(&chance), "chance", chance, "at least 0 and below 1");
        }
        problems.inside("select", |p| self.select.check(p));
        if self.together && self.select == Selection::Each {
            problems.add("together", "is true with every unit selected, which leaves no network", "select some units");
        }
        let anything = self.recurrent || self.input || self.biases || self.head_columns != HeadColumns::None;
        problems.require(anything, "recurrent", "false like input, biases and head_columns", "true, or one of them");
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::RateForm, Property::LinearReadout, Property::Accuracy])
    }

    fn task_options(&self) -> Map<String, Value> {
        self.task.0.clone()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = &self.task.view(subject.run()?)?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let levels = choice::levels(view, &lesson);
        let judges = Variants::new(view, &network, lesson, self.trials, &subject.stream)?;
        let groups = self.select.groups(&network, &subject.stream.child("selection"))?;
        let silence = Silence {
            recurrent: self.recurrent,
            input: self.input,
            biases: self.biases,
            head_columns: self.head_columns,
        };
        silence.verify(&network, &judges.setting())?;
        let mut items = Vec::new();
        for (group, Group { units, .. }) in groups.iter().enumerate() {
            match self.together {
                true => items.push((group, units.clone())),
                false => items.extend(units.iter().map(|unit| (group, vec![*unit]))),
            }
        }
        let base = variants::accuracy(&judges.base(&network)?)?;
        let chance = self.chance.unwrap_or_else(|| variants::chance(&view.parts.spec));
        let results = judges.judge(&network, items.clone(), |base, (_, units)| silence.apply(base, units))?;
        let mut outcomes = Vec::with_capacity(items.len());
        for ((group, units), results) in items.into_iter().zip(&results) {
            let accuracy = variants::accuracy(results)?;
            let relative = variants::relative(accuracy, base, chance).unwrap_or(f64::NAN);
            outcomes.push(Outcome { group, units, accuracy, relative });
        }
        let title = if levels.is_empty() { view.label.clone() } else { format!("{}, {levels}", view.label) };
        self.findings(&network, &groups, &outcomes, (base, chance), &title)
    }
}

impl Ablation {
    fn findings(
        &self,
        network: &Network,
        groups: &[Group],
        outcomes: &[Outcome],
        (base, chance): (f64, f64),
        title: &str,
    ) -> Result<Findings> {
        let mut findings = Findings::new();
        findings.value("accuracy", base);
        findings.value("chance", chance);
        findings.value("trials", self.trials);
        findings.value("protocol", self.task.protocol());
        findings.value("variants", outcomes.len());
        let all: Vec<f64> = outcomes.iter().map(|outcome| outcome.relative).collect();
        findings.value("mean relative accuracy", variants::mean_and_deviation(&all).map(|(mean, _)| mean));
        let worst = outcomes.iter().min_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
        findings.value("least accuracy", worst.map(|outcome| outcome.accuracy));
        if base <= chance {
            findings
                .note(format!("the network itself answers at chance ({base:.3}), so relative accuracies say nothing"));
        }
        if self.head_columns == HeadColumns::First && network.readout.heads.len() > 1 {
            findings.note("only the column of the first head was zeroed, as published code does; the others still read the silenced units");
        }
        let ranked = self.ranking(network)?;
        findings.tables = vec![
            tables::silenced(groups, outcomes, ranked.as_ref()),
            tables::summary(groups, outcomes, ranked.as_ref()),
        ];
        let first: Vec<i64> = outcomes.iter().map(|o| o.units.first().map_or(-1, |unit| *unit as i64)).collect();
        findings.array("unit", Array::new([first.len()], first)?);
        let group: Vec<i64> = outcomes.iter().map(|outcome| outcome.group as i64).collect();
        findings.array("group", Array::from(group));
        if let Some(taus) = time_constants(network) {
            let mean = |units: &[usize]| units.iter().map(|unit| taus[*unit]).sum::<f64>() / units.len().max(1) as f64;
            let own: Vec<f64> = outcomes.iter().map(|outcome| mean(&outcome.units)).collect();
            findings.array(selection::TIME_CONSTANTS, Array::from(own));
        }
        findings.array("base", Array::from(base));
        let accuracies: Vec<f64> = outcomes.iter().map(|outcome| outcome.accuracy).collect();
        findings.array("accuracy", Array::new([accuracies.len()], accuracies)?);
        findings.array("relative", Array::new([all.len()], all)?);
        findings.figures.push(figures::effect(
            groups,
            outcomes,
            ranked.as_ref(),
            (base, chance),
            (title, &self.task.protocol()),
        ));
        Ok(findings)
    }

    /// What is shown beside units: the parameter they were selected by, or their time constants.
    fn ranking(&self, network: &Network) -> Result<Option<(String, Vec<f64>)>> {
        let (name, required) = match &self.select {
            Selection::Parameter { parameter, .. } => (parameter.as_str(), true),
            _ => (selection::TIME_CONSTANTS, false),
        };
        let found = network.parameters.find(name).filter(|t| t.size() == [network.dynamics.units() as i64]);
        match (found, required) {
            (Some(tensor), _) => Ok(Some((name.to_string(), values_f64(tensor)))),
            (None, true) => Err(selection::no_such_parameter(network, name)),
            (None, false) => Ok(None),
        }
    }
}

/// The time constant of each unit, where the network has them.
fn time_constants(network: &Network) -> Option<Vec<f64>> {
    let units = network.dynamics.units();
    let values = network.parameters.find(selection::TIME_CONSTANTS).map(values_f64)?;
    match values[..] {
        [shared] => Some(vec![shared; units]),
        _ => Some(values).filter(|values| values.len() == units),
    }
}

type Ranking<'a> = Option<&'a (String, Vec<f64>)>;

synfire::inventory::submit! { Component::analysis::<Ablation>("ablation") }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silencing_nothing_or_everything_is_refused() {
        let registry = Registry::linked().expect("registry");
        let mut problems = Problems::under("analysis");
        let nothing = Ablation {
            recurrent: false,
            input: false,
            biases: false,
            head_columns: HeadColumns::None,
            together: true,
            chance: Some(1.0),
            ..Ablation::default()
        };
        nothing.check(&registry, &mut problems);
        let error = problems.into_result().expect_err("three problems").to_string();
        assert!(error.contains("analysis.chance is 1, must be at least 0 and below 1"), "{error}");
        assert!(error.contains("analysis.together is true with every unit selected"), "{error}");
        assert!(error.contains("analysis.recurrent is false like input"), "{error}");
    }

    #[test]
    fn options_read_as_they_are_documented() {
        let json = r#"{"select": {"by": "parameter", "count": 20}, "head_columns": "first", "biases": false}"#;
        let read: Ablation = serde_json::from_str(json).expect("reads");
        let expected = Selection::Parameter { parameter: "time_constants".into(), count: 20 };
        assert_eq!((read.select, read.head_columns), (expected, HeadColumns::First));
    }
}
