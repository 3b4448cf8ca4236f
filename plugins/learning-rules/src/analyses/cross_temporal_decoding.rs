//! What can be read from the activity, when, and whether it is the same code all along.

use super::choice;
use super::colouring;
use crate::clustering::{euclidean, metric_scaling};
use crate::decoding::{Splits, cross_temporal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{ColourMap, Figure, HeatMap, Panel, Scatter};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Registry, Result, Subject, Trials};

/// Cross-temporal decoding: conditions read from the activity at one time by what they looked like at another.
///
/// Fresh trials are split at random, `splits` times; class means of the rates at each time come from one part, and every trial of the
/// other gets, at every pair of times, the class whose mean it correlates with best. Below chance off the diagonal means that the code
/// has turned. The population vectors of all trials at the times `moments` are placed in the plane by metric scaling.
///
/// figures `decoding`: accuracy by training and test time, a panel a condition; `moments`: trials in the plane, a panel a moment
/// tables  `summary`: best and last accuracy on the diagonal and lowest anywhere, a row a condition
/// arrays  `steps` `[time]`, `decoding` `[condition, train time, test time]`
///
/// Source: Miconi 2017, doi:10.7554/eLife.20899, figures of the delayed non-match task (rates every 10 ms, 100 half and half splits;
/// moments at 200, 600, 800 and 1000 ms); the decoder after Meyers et al. 2008, doi:10.1152/jn.90248.2008.
/// Differs: halves are drawn class by class, so that no class is ever missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CrossTemporalDecoding {
    /// Conditions of the trials that are read, or `target`; empty for all conditions with at most `most_classes` values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// Most values of a condition that is taken by itself.
    #[schemars(range(min = 2))]
    pub most_classes: usize,
    /// Number of trials.
    #[schemars(range(min = 4))]
    pub trials: usize,
    /// Steps between those that are read.
    #[schemars(range(min = 1))]
    pub every: usize,
    /// Random splits.
    #[schemars(range(min = 1))]
    pub splits: usize,
    /// Share of the trials of each class that train.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub train: f64,
    /// Standard deviation of noise that is added to the rates that are tested.
    #[schemars(range(min = 0.0))]
    pub noise: f64,
    /// Places in the trial (0 to 1) at which trials are shown in the plane.
    pub moments: Vec<f64>,
    /// Level that is played; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

impl Default for CrossTemporalDecoding {
    fn default() -> Self {
        Self {
            conditions: Vec::new(),
            most_classes: 8,
            trials: 80,
            every: 10,
            splits: 20,
            train: 0.5,
            noise: 0.0,
            moments: vec![0.2, 0.6, 0.8, 1.0],
            level: None,
            update: None,
        }
    }
}

/// Random beginnings of the scaling.
const BEGINNINGS: usize = 2;

#[typetag::serde(name = "cross-temporal-decoding")]
impl Analysis for CrossTemporalDecoding {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        for (name, value, least) in [
            ("trials", self.trials, 4),
            ("every", self.every, 1),
            ("splits", self.splits, 1),
            ("most_classes", self.most_classes, 2),
        ] {
            problems.require(value >= least, name, value, &format!("at least {least}"));
        }
        problems.require(self.train > 0.0 && self.train < 1.0, "train", self.train, "between 0 and 1");
        problems.require(self.noise >= 0.0, "noise", self.noise, "at least 0");
        let inside = self.moments.iter().all(|moment| (0.0..=1.0).contains(moment));
        problems.require(inside, "moments", format!("{:?}", self.moments), "between 0 and 1");
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
        let rates = rates.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        let steps: Vec<i64> = (0..rates.size()[0]).step_by(self.every).collect();
        let kept = rates.f_index_select(0, &Tensor::from_slice(&steps))?.f_transpose(0, 1)?.contiguous();
        let activity = nested(&kept)?;
        let conditions = self.conditions(&played.trials)?;
        let mut findings = Findings::new();
        let columns = ["condition", "classes", "chance", "best at one time", "at the end", "lowest across times"];
        let mut table = Table::new("summary", "What can be read from the activity", &columns);
        let mut figure = Figure::new("decoding", format!("Cross-temporal decoding: {}", view.label)).caption(
            "Fraction of trials whose condition is read correctly at one time by the class means at another; blue is worse than chance.",
        );
        let mut flat = Vec::new();
        let times: Vec<f64> = steps.iter().map(|step| *step as f64).collect();
        for (name, values) in &conditions {
            let (kinds, classes) = colouring::classes(values);
            let splits = Splits { count: self.splits, train: self.train, noise: self.noise };
            let found = cross_temporal(&activity, &classes, splits, &subject.stream.child(name))?;
            let chance = 1.0 / kinds.len() as f64;
            let diagonal: Vec<f64> = (0..found.len()).map(|time| found[time][time]).collect();
            let best = diagonal.iter().copied().fold(0.0, f64::max);
            let lowest = found.iter().flatten().copied().fold(1.0, f64::min);
            table.push((name, kinds.len(), chance, best, diagonal.last().copied(), lowest));
            findings.value(format!("{name}: best"), best);
            findings.value(format!("{name}: at the end"), diagonal.last().copied());
            // Symmetric around chance, so that it is white.
            let reach = (1.0 - chance).max(chance);
            let map = HeatMap::new(&found).at(&times, &times).diverging().limits(chance - reach, chance + reach);
            let panel = Panel::new(name.clone())
                .x("test time (steps)")
                .y("training time (steps)")
                .colour_label("fraction correct");
            figure.panels.push(panel.mark(map).equal_units());
            flat.extend(found.into_iter().flatten());
        }
        findings.tables.push(table);
        findings.array("decoding", Array::new([conditions.len(), times.len(), times.len()], flat)?);
        findings.array("steps", Array::from(times));
        findings.figures.push(figure);
        findings.figures.extend(self.moments(&rates, &conditions, subject, &view.label)?);
        Ok(findings)
    }
}

/// `[trial][time][unit]`.
fn nested(tensor: &Tensor) -> Result<Vec<Vec<Vec<f64>>>> {
    let (_, times, units) = tensor.size3()?;
    let (times, units) = (times as usize, units as usize);
    let flat = values_f64(tensor);
    let trials = flat.chunks(times * units);
    Ok(trials.map(|trial| trial.chunks(units).map(<[f64]>::to_vec).collect()).collect())
}

impl CrossTemporalDecoding {
    /// Names and values of what is read.
    fn conditions(&self, trials: &Trials) -> Result<Vec<(String, Vec<f64>)>> {
        if !self.conditions.is_empty() {
            return self.conditions.iter().map(|name| colouring::of_trials(trials, Some(name), &[])).collect();
        }
        let classes = |values: &[f64]| colouring::classes(values).0.len();
        let few = |values: &Vec<f64>| (2..=self.most_classes).contains(&classes(values));
        let found: Vec<(String, Vec<f64>)> = trials
            .conditions
            .iter()
            .filter(|(_, values)| few(values))
            .map(|(name, values)| (name.clone(), values.clone()))
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let target = colouring::of_trials(trials, Some("target"), &[])?;
        match few(&target.1) {
            true => Ok(vec![target]),
            false => {
                let known: Vec<&str> = trials.conditions.keys().map(String::as_str).collect();
                let problem = "is empty and no condition of the trials has few values";
                Err(Error::config("conditions", problem, format!("name some of: {}", known.join(", "))))
            }
        }
    }

    /// Trials in the plane at the moments, coloured by the last condition.
    fn moments(
        &self,
        rates: &Tensor,
        conditions: &[(String, Vec<f64>)],
        subject: &Subject,
        label: &str,
    ) -> Result<Option<Figure>> {
        let Some((name, values)) = conditions.last() else { return Ok(None) };
        if self.moments.is_empty() {
            return Ok(None);
        }
        let last = rates.size()[0] - 1;
        let mut figure = Figure::new("moments", format!("Trials at moments of the task: {label}")).caption(format!(
            "Population vectors of single trials in the plane by metric scaling, coloured by {name}; distances are as near as possible to \
             those of the rates.",
        ));
        for moment in &self.moments {
            let step = (moment * last as f64).round() as i64;
            let vectors = rates.f_get(step)?;
            let rows: Vec<Vec<f64>> =
                values_f64(&vectors).chunks(vectors.size()[1] as usize).map(<[f64]>::to_vec).collect();
            let places =
                metric_scaling(&euclidean(&rows), rows.len(), 2, BEGINNINGS, &subject.stream.child("moments"))?.places;
            let (x, y): (Vec<f64>, Vec<f64>) = places.iter().map(|place| (place[0], place[1])).unzip();
            let points = Scatter::new(x, y).values(values).map(ColourMap::Sequential);
            let panel = Panel::new(format!("step {step}")).x("first axis").y("second axis").colour_label(name.clone());
            figure.panels.push(panel.mark(points).equal_units());
        }
        Ok(Some(figure))
    }
}

synfire::inventory::submit! { Component::analysis::<CrossTemporalDecoding>("cross-temporal-decoding") }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::fixture::run;
    use serde_json::json;
    use synfire::Spec;
    use synfire::run::Analyst;
    use synfire::workers::Workers;

    #[test]
    fn the_choice_can_be_read_while_the_signal_lasts() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let task = json!({ "type": "random-dots", "steps": 40, "noise_std": 0.02 });
        let cell = json!({ "type": "leaky-rnn", "hidden": 8, "input_bias": false, "time_constants": { "low": 5.0, "high": 5.0 } });
        let dir = run(&folder.path().join("run"), &task, &cell, |_| {});
        let registry = Registry::linked().expect("links");
        let workers = Workers::new(1).expect("a thread");
        let options = json!({ "conditions": ["choice"], "every": 5, "splits": 4, "trials": 40 });
        let analyst =
            Analyst::new(&Spec::with("cross-temporal-decoding", &options), &registry, &workers).expect("builds");
        let found =
            analyst.run(&dir, dir.experiment().expect("an experiment"), "found").expect("analyses").remove(0).findings;
        let synfire::table::Value::Number(end) = found.values["choice: at the end"] else { panic!("a number") };
        // Untrained units follow a signal of up to 0.19 under noise that is a tenth of it.
        assert!(end > 0.8, "{end}");
        assert_eq!(found.arrays["decoding"].shape(), [1, 8, 8]);
        assert_eq!(found.figures.len(), 2);
        assert!(found.figures.iter().all(|figure| figure.to_svg().is_ok()));
        let wrong = json!({ "conditions": ["nonsense"] });
        let analyst =
            Analyst::new(&Spec::with("cross-temporal-decoding", &wrong), &registry, &workers).expect("builds");
        let error =
            analyst.run(&dir, dir.experiment().expect("an experiment"), "wrong").expect_err("no condition").to_string();
        assert!(error.contains("'nonsense'"), "{error}");
    }
}
