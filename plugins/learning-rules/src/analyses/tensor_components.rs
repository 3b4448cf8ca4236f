//! Activity as a sum of few components over trials, time and units.

use super::choice;
use super::colouring;
use crate::decomposition::{Components, Rounds, components};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::cell::Setting;
use synfire::figure::{Axis, Bars, Colour, Figure, HeatMap, Line, Panel, Rule, Scatter};
use synfire::recurrence::RECURRENT;
use synfire::rollout::Record;
use synfire::statistics::mean;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::{Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Network, Problems, Registry, Result, Subject};

/// Tensor components of the activity: factors over trials, time and units, and the recurrent weights in the order of the units.
///
/// The rates of fresh trials `[trial, time, unit]` are approximated by a sum of `rank` products of a trial, a time and a unit factor, by
/// alternating least squares from Gaussian factors. The units are sorted by the first unit factor, the largest first; `border` is the
/// place where it changes its sign (half of the units where it does not), and divides the recurrent weights into blocks. `structure` is the sum of
/// squared differences between the weights, divided by their largest modulus, and blocks of +1 within the two groups and -1 between
/// them: small for two groups that excite themselves and inhibit each other.
///
/// figures `components`: factors of each component; `weights`: the sorted weights and the means of their blocks
/// tables  `lengths`: weight of each; `blocks`: mean weight of each block
/// arrays  `trial_factors` `[component, trial]`, `time_factors` `[component, step]`, `unit_factors` `[component, unit]`,
/// `condition` `[trial]`, `order` `[unit]`, `blocks` `[2, 2]` (target group, source group)
///
/// Source: Williams et al. 2018, doi:10.1016/j.neuron.2018.05.015; the sorted weights as in McMahan, Kleinman & Kao 2021, NeurIPS.
/// Differs: the best of several beginnings is kept, and signs are fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TensorComponents {
    /// Number of components.
    #[schemars(range(min = 1))]
    pub rank: usize,
    /// Number of trials.
    #[schemars(range(min = 2))]
    pub trials: usize,
    /// Steps between those that are kept.
    #[schemars(range(min = 1))]
    pub every: usize,
    /// Change of the relative error that ends the rounds.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// Most rounds.
    #[schemars(range(min = 1))]
    pub rounds: usize,
    /// Random beginnings, of which the best is kept.
    #[schemars(range(min = 1))]
    pub beginnings: usize,
    /// What colours trials: a condition of theirs, or `target`. Absent: the choice, if it is a condition, else the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Level that is played; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

impl Default for TensorComponents {
    fn default() -> Self {
        Self {
            rank: 1,
            trials: 200,
            every: 10,
            tolerance: 1e-5,
            rounds: 500,
            beginnings: 4,
            condition: None,
            level: None,
            update: None,
        }
    }
}

/// The units in the order of the first component.
#[derive(Clone, Debug, PartialEq)]
struct Sorted {
    order: Vec<usize>,
    border: usize,
    /// Weights in that order, `[target][source]`.
    weights: Vec<Vec<f64>>,
    /// Means by (target group, source group).
    blocks: [[f64; 2]; 2],
    structure: f64,
}

#[typetag::serde(name = "tensor-components")]
impl Analysis for TensorComponents {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        for (name, value, least) in [
            ("rank", self.rank, 1),
            ("trials", self.trials, 2),
            ("every", self.every, 1),
            ("rounds", self.rounds, 1),
            ("beginnings", self.beginnings, 1),
        ] {
            problems.require(value >= least, name, value, &format!("at least {least}"));
        }
        problems.require(self.tolerance >= 0.0, "tolerance", self.tolerance, "at least 0");
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let played = view.play(&network, &lesson, self.trials, Record::Rates, &subject.stream)?;
        let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
        let steps: Vec<i64> = (0..rates.size()[0]).step_by(self.every).collect();
        let kept = rates.f_index_select(0, &Tensor::from_slice(&steps).to_device(rates.device()))?;
        let rounds = Rounds { tolerance: self.tolerance, most: self.rounds, beginnings: self.beginnings };
        let found = components(&kept.f_transpose(0, 1)?, self.rank, rounds, &subject.stream)?;
        let (what, values) = colouring::of_trials(&played.trials, self.condition.as_deref(), &["choice", "coherence"])?;
        let mut findings = Findings::new();
        findings.value("share explained", 1.0 - found.error * found.error);
        findings.value("rounds", found.rounds);
        let mut table = Table::new("lengths", "Components", &["component", "weight"]);
        found.weights.iter().enumerate().for_each(|(index, weight)| table.push((index + 1, *weight)));
        findings.tables.push(table);
        for (name, axis) in [("trial_factors", 0), ("time_factors", 1), ("unit_factors", 2)] {
            findings.array(name, Array::from_rows(&found.factors[axis])?);
        }
        findings.array("condition", Array::from(values.clone()));
        let steps: Vec<f64> = steps.iter().map(|step| *step as f64).collect();
        findings.figures.push(figure(&found, &steps, &what, &values, &view.label));
        let setting = view.setting(&lesson, &subject.stream)?;
        match weights(&network, &setting)? {
            Some(weights) => sorted(&weights, &found.factors[2][0]).report(&mut findings, &view.label)?,
            None => findings.note("the cell has no square recurrent weights, so none are sorted"),
        }
        Ok(findings)
    }
}

/// The effective recurrent weights `[target][source]`, or the parameter of that name.
fn weights(network: &Network, setting: &Setting) -> Result<Option<Vec<Vec<f64>>>> {
    let prepared = no_grad(|| network.dynamics.prepare(&network.parameters, setting))?;
    let units = network.dynamics.units();
    let found = prepared.find(RECURRENT).or_else(|| network.parameters.find("recurrent.weight"));
    let square = found.filter(|weights| weights.size() == [units as i64, units as i64]);
    Ok(square.map(|weights| values_f64(&weights.to_kind(Kind::Double)).chunks(units).map(<[f64]>::to_vec).collect()))
}

fn sorted(weights: &[Vec<f64>], factor: &[f64]) -> Sorted {
    let mut order: Vec<usize> = (0..factor.len()).collect();
    order.sort_by(|a, b| factor[*b].total_cmp(&factor[*a]));
    let positive = order.iter().take_while(|unit| factor[**unit] > 0.0).count();
    let border = if positive == 0 || positive == order.len() { order.len() / 2 } else { positive };
    let weights: Vec<Vec<f64>> =
        order.iter().map(|target| order.iter().map(|source| weights[*target][*source]).collect()).collect();
    let block = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        let entries: Vec<f64> = weights[rows].iter().flat_map(|row| row[columns.clone()].iter().copied()).collect();
        mean(&entries)
    };
    let all = order.len();
    let blocks = [
        [block(0..border, 0..border), block(0..border, border..all)],
        [block(border..all, 0..border), block(border..all, border..all)],
    ];
    let largest = weights.iter().flatten().fold(0.0, |best: f64, x| best.max(x.abs()));
    let template = |row: usize, column: usize| if (row < border) == (column < border) { 1.0 } else { -1.0 };
    let structure = weights
        .iter()
        .enumerate()
        .flat_map(|(i, row)| row.iter().enumerate().map(move |(j, weight)| (i, j, *weight)))
        .map(|(i, j, weight)| (template(i, j) - if largest > 0.0 { weight / largest } else { 0.0 }).powi(2))
        .sum();
    Sorted { order, border, weights, blocks, structure }
}

impl Sorted {
    fn report(&self, findings: &mut Findings, label: &str) -> Result<()> {
        findings.value("border", self.border);
        findings.value("structure", self.structure);
        findings.value("structure per weight", self.structure / (self.order.len() * self.order.len()).max(1) as f64);
        let mut table = Table::new(
            "blocks",
            "Mean recurrent weights between the two groups of units",
            &["to", "from first", "from second"],
        );
        for (name, row) in ["first", "second"].iter().zip(&self.blocks) {
            table.push((*name, row[0], row[1]));
        }
        findings.tables.push(table);
        findings.array("order", Array::from(self.order.iter().map(|unit| *unit as i64).collect::<Vec<_>>()));
        findings.array("blocks", Array::new([2, 2], self.blocks.concat())?);
        let (most, edge) = (0.5, self.border as f64 - 0.5);
        let largest = self.weights.iter().flatten().fold(0.0, |best: f64, x| best.max(x.abs())).min(most).max(1e-6);
        let sorted = Panel::new("sorted weights")
            .x("source, by unit factor")
            .y(Axis::new("target, by unit factor").reversed())
            .equal_units()
            .mark(HeatMap::new(&self.weights).diverging().limits(-largest, largest))
            .mark(Rule::vertical(edge))
            .mark(Rule::horizontal(edge));
        let groups = ["first", "second"];
        let bound = self.blocks.iter().flatten().fold(1e-6, |best: f64, x| best.max(x.abs()));
        let blocks = Panel::new("means of blocks")
            .x(Axis::new("source").categories(groups))
            .y(Axis::new("target").categories(groups).reversed())
            .equal_units()
            .mark(HeatMap::new(self.blocks).diverging().limits(-bound, bound).annotate());
        findings.figures.push(
            Figure::new("weights", format!("Recurrent weights by unit factor: {label}")).panel(sorted).panel(blocks).caption(
                "Units in the order of the first component's unit factor; the lines stand where it changes its sign.",
            ),
        );
        Ok(())
    }
}

/// Rows of components, with the factors of trials, time and units side by side.
fn figure(found: &Components, steps: &[f64], what: &str, values: &[f64], label: &str) -> Figure {
    let mut figure = Figure::new("components", format!("Components of the activity: {label}")).columns(3).caption(format!(
        "Trial, time and unit factor of each component; dots are trials, coloured by {what}. The components leave {:.0} % of the length of \
         the activity unexplained.",
        100.0 * found.error
    ));
    for (index, weight) in found.weights.iter().enumerate() {
        let numbers: Vec<f64> = (1..=found.factors[0][index].len()).map(|n| n as f64).collect();
        let trials = Scatter::new(numbers, &found.factors[0][index]).values(values);
        figure.panels.push(
            Panel::new(format!("component {}, weight {weight:.3}", index + 1))
                .x("trial")
                .y("trial factor")
                .colour_label(what)
                .mark(trials),
        );
        let course = Line::new(steps, &found.factors[1][index]).colour(Colour::palette(0));
        figure.panels.push(Panel::new("").x("time (steps)").y("time factor").mark(course));
        let units: Vec<f64> = (0..found.factors[2][index].len()).map(|unit| unit as f64).collect();
        let bars = Bars::at(units, &found.factors[2][index]).colour(Colour::palette(0));
        figure.panels.push(Panel::new("").x("unit").y("unit factor").mark(bars));
    }
    figure
}

synfire::inventory::submit! { Component::analysis::<TensorComponents>("tensor-components") }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::fixture::{run, set};
    use serde_json::json;
    use synfire::Spec;
    use synfire::run::Analyst;
    use synfire::table::Value;
    use synfire::workers::Workers;

    #[test]
    fn two_groups_that_compete_are_seen_in_factors_and_weights() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let task = json!({ "type": "random-dots", "steps": 60, "noise_std": 0.02 });
        let cell = json!({ "type": "leaky-rnn", "hidden": 6, "time_constants": { "low": 10.0, "high": 10.0 } });
        // Units 0, 2 and 4 against 1, 3 and 5.
        let sign = |unit: usize| if unit.is_multiple_of(2) { 1.0 } else { -1.0 };
        let dir = run(&folder.path().join("run"), &task, &cell, |network| {
            let weights: Vec<f64> = (0..36).map(|at| 0.25 * sign(at / 6) * sign(at % 6)).collect();
            let input: Vec<f64> = (0..6).map(|unit| 0.8 * sign(unit)).collect();
            let parameters: [(&str, &[f64]); 3] =
                [("recurrent.weight", &weights), ("input.weight", &input), ("input.bias", &[0.0; 6])];
            set(network, &parameters);
        });
        let registry = Registry::linked().expect("links");
        let workers = Workers::new(1).expect("a thread");
        let analyst = Analyst::new(&Spec::new("tensor-components"), &registry, &workers).expect("builds");
        let found =
            analyst.run(&dir, dir.experiment().expect("an experiment"), "found").expect("analyses").remove(0).findings;
        let Value::Number(share) = found.values["share explained"] else { panic!("a number") };
        assert!(share > 0.8, "one component holds nearly all: {share}");
        assert_eq!(found.values["border"], Value::Integer(3));
        let Value::Number(structure) = found.values["structure"] else { panic!("a number") };
        assert!(structure < 1e-9, "{structure}");
        assert_eq!(found.arrays["blocks"].to_f64(), [0.25, -0.25, -0.25, 0.25]);
        let (trials, choice) = (found.arrays["trial_factors"].to_f64(), found.arrays["condition"].to_f64());
        let product: f64 = trials.iter().zip(&choice).map(|(a, b)| (a * b).signum()).sum();
        assert!(product.abs() > 0.8 * 200.0, "the trial factor follows the choice: {product}");
        assert!(found.figures.iter().all(|figure| figure.to_svg().is_ok()));
    }

    #[test]
    fn without_a_change_of_sign_the_border_is_in_the_middle() {
        let weights = vec![vec![1.0; 4]; 4];
        let found = sorted(&weights, &[0.1, 0.4, 0.2, 0.3]);
        assert_eq!((found.border, &found.order[..]), (2, &[1, 3, 2, 0][..]));
        assert_eq!(found.structure, 8.0 * 4.0);
    }
}
