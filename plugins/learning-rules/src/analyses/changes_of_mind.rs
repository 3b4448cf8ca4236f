//! Second thoughts of a network, by the strength of the evidence.

use super::answers::{Answers, Watch, changes_of_mind, sign_changes};
use super::choice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule};
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::{Analysis, Component, Network, Problems, Registry, Result, Stream, Subject};

/// Changes of mind and vacillation against the strength of the evidence.
///
/// The answer of a trial is the first output over time. It vacillates when its sign changes after step `from`. A change of sign is a
/// change of mind when it comes at step `from` or later, when no other change is nearer than `stable` steps on either side, nor the end, and
/// when the answer exceeds `amplitude` on both sides before its next change. It is corrective when the sign after it is that of the
/// evidence. Every value of the option `vary` has `trials` trials; those at 0 are left out of what is right and wrong.
///
/// figures `changes`: fractions of trials with a change of mind and with vacillation, corrective fraction, and accuracy
/// tables  `counts`: one row a value
/// arrays  `values`, `changed`, `corrective`, `vacillating`, `accuracy` `[value]`
///
/// Source: the criteria follow Peixoto et al. 2021, doi:10.1038/s41586-020-03181-9, in the form of the programs of McMahan, Kleinman &
/// Kao 2021, NeurIPS: coherences up to 0.04, 5 × 5000 trials.
/// Differs: the amplitude is asked for on both sides (the published test of negative answers has its sign the wrong way).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesOfMind {
    /// Option of the task that is varied.
    pub vary: String,
    /// Its values; each is taken with both signs.
    pub values: Vec<f64>,
    /// Other options of the task, such as a context.
    pub task: Map<String, Value>,
    /// Trials for each value and sign.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// First step at which a change counts.
    pub from: usize,
    /// Steps without another change on either side.
    pub stable: usize,
    /// What the answer must exceed on both sides.
    #[schemars(range(min = 0.0))]
    pub amplitude: f64,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

impl Default for ChangesOfMind {
    fn default() -> Self {
        Self {
            vary: "coherence".into(),
            values: vec![0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.04],
            task: Map::new(),
            trials: 1000,
            from: 250,
            stable: 200,
            amplitude: 0.5,
            update: None,
        }
    }
}

/// Counts of trials at one value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    trials: usize,
    changed: usize,
    corrective: usize,
    vacillating: usize,
    correct: usize,
}

#[typetag::serde(name = "changes-of-mind")]
impl Analysis for ChangesOfMind {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        let positive = !self.values.is_empty() && self.values.iter().all(|value| value.is_finite() && *value >= 0.0);
        problems.require(positive, "values", format!("{:?}", self.values), "one or more numbers of at least 0");
        problems.require(self.amplitude >= 0.0, "amplitude", self.amplitude, "at least 0");
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let mut all = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            let mut counts = Counts::default();
            for sign in [1.0, -1.0] {
                let stream = subject.stream.at(2 * index as u64 + u64::from(sign < 0.0));
                self.count(view, &network, sign * value, &stream, &mut counts)?;
            }
            all.push(counts);
        }
        let mut findings = Findings::new();
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let columns = ["evidence", "trials", "changes of mind", "corrective", "vacillating", "correct"];
        let mut table = Table::new("counts", "Changes of mind", &columns);
        for (value, counts) in self.values.iter().zip(&all) {
            // Nothing is right without evidence.
            let judged = *value != 0.0;
            table.push((
                *value,
                counts.trials,
                share(counts.changed, counts.trials),
                share(counts.corrective, counts.changed).filter(|_| judged),
                share(counts.vacillating, counts.trials),
                share(counts.correct, counts.trials).filter(|_| judged),
            ));
        }
        findings.tables.push(table);
        let column =
            |of: &dyn Fn(&Counts) -> Option<f64>| all.iter().map(|c| of(c).unwrap_or(f64::NAN)).collect::<Vec<f64>>();
        let judged = |of: Vec<f64>| {
            of.iter().zip(&self.values).map(|(x, v)| if *v == 0.0 { f64::NAN } else { *x }).collect::<Vec<f64>>()
        };
        let changed = column(&|c| share(c.changed, c.trials));
        let vacillating = column(&|c| share(c.vacillating, c.trials));
        let corrective = judged(column(&|c| share(c.corrective, c.changed)));
        let accuracy = judged(column(&|c| share(c.correct, c.trials)));
        let total = |of: fn(&Counts) -> usize| all.iter().map(of).sum::<usize>();
        findings.value("changes of mind", share(total(|c| c.changed), total(|c| c.trials)));
        findings.value("vacillating", share(total(|c| c.vacillating), total(|c| c.trials)));
        let with_evidence: Vec<&Counts> =
            self.values.iter().zip(&all).filter(|(v, _)| **v != 0.0).map(|(_, c)| c).collect();
        let changes: usize = with_evidence.iter().map(|c| c.changed).sum();
        findings.value("corrective", share(with_evidence.iter().map(|c| c.corrective).sum(), changes));
        if changes == 0 {
            findings
                .note("no change of mind in any trial with evidence; lower stable or amplitude, or play more trials");
        }
        findings.figures.push(self.figure(&changed, &vacillating, &corrective, &accuracy, &view.label));
        for (name, values) in [
            ("values", self.values.clone()),
            ("changed", changed),
            ("corrective", corrective),
            ("vacillating", vacillating),
            ("accuracy", accuracy),
        ] {
            findings.array(name, Array::from(values));
        }
        Ok(findings)
    }
}

impl ChangesOfMind {
    fn count(&self, view: &RunView, network: &Network, value: f64, stream: &Stream, counts: &mut Counts) -> Result<()> {
        let mut options = self.task.clone();
        options.insert(self.vary.clone(), json!(value));
        let asked = view.with_task(&options)?;
        let lesson = asked.lesson();
        let size = asked.experiment.training.evaluation_batch.clamp(1, 500);
        let watch = Watch { from: self.from, stable: self.stable, amplitude: self.amplitude };
        for (index, first) in (0..self.trials).step_by(size).enumerate() {
            let batch = size.min(self.trials - first);
            let answers = Answers::play(&asked, network, &lesson, batch, &stream.at(index as u64))?;
            for course in &answers.courses {
                let changes = changes_of_mind(course, watch);
                counts.trials += 1;
                counts.vacillating += usize::from(sign_changes(course).iter().any(|step| *step >= self.from));
                counts.correct += usize::from(course.last().is_some_and(|last| last * value > 0.0));
                if let Some(step) = changes.last() {
                    counts.changed += 1;
                    counts.corrective += usize::from(course[*step] * value > 0.0);
                }
            }
        }
        Ok(())
    }

    fn figure(
        &self,
        changed: &[f64],
        vacillating: &[f64],
        corrective: &[f64],
        accuracy: &[f64],
        label: &str,
    ) -> Figure {
        let panel = |y: Axis| Panel::new("").x(format!("{} (modulus)", self.vary)).y(y);
        let line = |values: &[f64], index: usize| Line::new(&self.values, values).dots().colour(Colour::palette(index));
        Figure::new("changes", format!("Changes of mind: {label}"))
            .panel(
                panel(Axis::new("fraction of trials"))
                    .mark(line(changed, 0).label("change of mind"))
                    .mark(line(vacillating, 1).label("vacillation")),
            )
            .panel(panel(Axis::new("corrective fraction").limits(-0.05, 1.05)).mark(line(corrective, 0)).mark(Rule::horizontal(0.5)))
            .panel(panel(Axis::new("accuracy").limits(0.45, 1.02)).mark(line(accuracy, 0)))
            .caption("Vacillation is any change of sign after the first steps; a change of mind lasts and is strong on both sides.")
    }
}

synfire::inventory::submit! { Component::analysis::<ChangesOfMind>("changes-of-mind") }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::fixture::integrator;
    use synfire::Spec;
    use synfire::run::Analyst;
    use synfire::table::Value as Cell;
    use synfire::workers::Workers;

    #[test]
    fn an_integrator_vacillates_the_more_the_weaker_the_evidence() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let task = json!({ "type": "random-dots", "steps": 200, "noise_std": 1.0 });
        let dir = integrator(&folder.path().join("run"), &task);
        let registry = Registry::linked().expect("links");
        let workers = Workers::new(1).expect("a thread");
        let options = json!({ "values": [0.0, 0.1, 1.0], "trials": 100, "from": 60, "stable": 20, "amplitude": 0.02 });
        let analyst = Analyst::new(&Spec::with("changes-of-mind", &options), &registry, &workers).expect("builds");
        let found =
            analyst.run(&dir, dir.experiment().expect("an experiment"), "found").expect("analyses").remove(0).findings;
        let of = |name: &str| found.arrays[name].to_f64();
        assert!(of("changed")[0] > 0.05 && of("changed")[2] < 0.02, "{:?}", of("changed"));
        assert!(of("vacillating")[0] > of("vacillating")[2]);
        assert!(of("corrective")[1] > 0.5, "with evidence more changes go to the right side: {:?}", of("corrective"));
        assert!(of("corrective")[0].is_nan() && of("accuracy")[2] == 1.0);
        assert!(matches!(found.values["corrective"], Cell::Number(_)));
        assert!(found.figures[0].to_svg().is_ok());
    }
}
