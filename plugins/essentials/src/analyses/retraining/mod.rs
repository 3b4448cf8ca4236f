//! What a trained network makes of levels that it was never trained on, when it is trained on them.

mod figures;
mod source;
mod training;

use super::choice;
use crate::variants;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use source::Source;
use synfire::analysis::{Findings, Scope};
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::task::Difficulty;
use synfire::{Analysis, Component, Error, Problems, Properties, Property, Registry, Result, Subject};
use training::{Course, Plan};

/// How well a trained network learns other levels, each from a fresh copy of it and without a curriculum.
///
/// Copies of the network are trained on one level each, with a single head, for a fixed number of updates; the run itself is left as
/// it is. Rule, batch and every other setting are those of the run (`--set rule.optimizer.learning_rate=0.01` changes them for this
/// once); optimisers begin anew. Evaluations are on fresh trials. The relative accuracy is
/// `(accuracy - chance) / (base - chance)`, where `base` is the accuracy of the network on its own level, the hardest that it was
/// trained on last, before any further training. Copies are trained side by side on the threads there are; results do not depend on
/// their number. A copy whose training diverges has no accuracy.
///
/// figures `retraining`: relative accuracy after the last evaluation against the level; accuracy over the updates, level by level
/// tables  `retrained`: one row an evaluation
/// arrays  `accuracy`, `relative` `[level, evaluation]`, `level` `[level]`, `update` `[evaluation]`
///
/// Source: Khajehabdollahi et al. 2024, arXiv:2309.12927, which trains networks that solved N = 16 on up to N = 46 for 20 evaluations
/// of 600 updates. Differs: whether its copies are fresh and which head they use is not published; here copies are fresh, and the
/// head is an option. Its curves are relative to the accuracy after retraining on N = 16; here to that before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retraining {
    /// Levels to train on; empty for the network's own and every `step`-th above it, up to `reach` above it.
    pub levels: Vec<usize>,
    /// Distance between levels where `levels` is empty.
    #[schemars(range(min = 1))]
    pub step: usize,
    /// How far above its own the hardest level is where `levels` is empty.
    pub reach: usize,
    /// Level that the network had just been trained on: it is taken at the end of that lesson. Absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Updates after which the network is taken. Absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// The head that is trained.
    pub head: Head,
    /// Evaluations of each copy.
    #[schemars(range(min = 1))]
    pub evaluations: u64,
    /// Updates between evaluations.
    #[schemars(range(min = 1))]
    pub updates_per_evaluation: u64,
    /// Trials of an evaluation; absent for as many as in training.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<usize>,
    /// Accuracy of guessing; absent for that of the task's objective.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// The head that answers after further training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// The one that answers the network's own level at present.
    #[default]
    Present,
    /// A new one, drawn as heads are.
    New,
}

impl Default for Retraining {
    fn default() -> Self {
        Self {
            levels: Vec::new(),
            step: 5,
            reach: 30,
            level: None,
            update: None,
            head: Head::default(),
            evaluations: 20,
            updates_per_evaluation: 600,
            trials: None,
            chance: None,
        }
    }
}

#[typetag::serde(name = "retraining")]
impl Analysis for Retraining {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.step >= 1, "step", self.step, "at least 1");
        problems.require(self.evaluations >= 1, "evaluations", self.evaluations, "at least 1");
        let updates = self.updates_per_evaluation;
        problems.require(
            (1..1 << 30).contains(&updates),
            "updates_per_evaluation",
            updates,
            "at least 1 and below 2^30",
        );
        let all = self.evaluations.saturating_mul(updates);
        problems.require(all < 1 << 40, "evaluations", self.evaluations, "fewer, with as many updates between them");
        if let Some(trials) = self.trials {
            problems.require(trials >= 1, "trials", trials, "at least 1");
        }
        if let Some(chance) = self.chance {
            problems.require((0.0..1.0).contains(&chance), "chance", chance, "at least 0 and below 1");
        }
        if self.level.is_some() && self.update.is_some() {
            problems.add("update", "is set beside level", "leave one of them out");
        }
        if let Some(twice) = self.levels.iter().enumerate().find(|(at, level)| self.levels[..*at].contains(level)) {
            problems.add("levels", format_args!("names level {} twice", twice.1), "name each once");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Accuracy, Property::Difficulty])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let Some(difficulty) = &view.parts.spec.difficulty else {
            return Err(Error::Failed("retraining needs a task with levels".into()));
        };
        let source = Source::of(view, self.level, self.update)?;
        let levels = self.targets(source.level, difficulty)?;
        let trials = self.trials.unwrap_or(view.experiment.training.evaluation_trials);
        let stream = subject.stream.child("base");
        let base = variants::accuracy(&view.evaluate(&source.network, &source.lesson()?, trials, &stream)?)?;
        let chance = self.chance.unwrap_or_else(|| variants::chance(&view.parts.spec));
        let plan = Plan {
            head: match self.head {
                Head::Present => source.head,
                Head::New => source.network.readout.heads.iter().max().map_or(0, |head| head + 1),
            },
            evaluations: self.evaluations,
            updates_per_evaluation: self.updates_per_evaluation,
            trials,
        };
        let courses = plan.train(view, &source, &levels, subject)?;
        self.findings(&source, &courses, difficulty, (base, chance))
    }
}

impl Retraining {
    /// The levels to train on, as they are named or counted from the network's own.
    fn targets(&self, own: usize, difficulty: &Difficulty) -> Result<Vec<usize>> {
        if self.levels.is_empty() {
            let highest = own.saturating_add(self.reach).min(difficulty.highest.unwrap_or(usize::MAX));
            return Ok((own..=highest.max(own)).step_by(self.step).collect());
        }
        self.levels.iter().try_for_each(|level| difficulty.require(*level))?;
        Ok(self.levels.clone())
    }

    fn findings(
        &self,
        source: &Source,
        courses: &[Course],
        difficulty: &Difficulty,
        (base, chance): (f64, f64),
    ) -> Result<Findings> {
        let name = &difficulty.name;
        let mut findings = Findings::new();
        findings.value(format!("own {name}"), source.level);
        findings.value("updates before", source.update);
        findings.value("accuracy", base);
        findings.value("chance", chance);
        findings.value("updates", self.evaluations * self.updates_per_evaluation);
        let relative = |accuracy: f64| variants::relative(accuracy, base, chance).unwrap_or(f64::NAN);
        let last: Vec<f64> = courses.iter().map(|course| relative(course.last())).collect();
        findings.value("mean relative accuracy", variants::mean_and_deviation(&last).map(|(mean, _)| mean));
        if base <= chance {
            findings
                .note(format!("the network itself answers at chance ({base:.3}), so relative accuracies say nothing"));
        }
        for course in courses.iter().filter(|course| course.diverged.is_some()) {
            let reason = course.diverged.as_deref().unwrap_or_default();
            findings.note(format!("{name} = {}: training diverged ({reason})", course.level));
        }
        let columns =
            [&format!("from {name}"), name, "evaluation", "update", "accuracy", "relative accuracy"].map(String::from);
        let mut table = Table::new("retrained", "Accuracy after further training, level by level", &columns);
        for course in courses {
            for (index, accuracy) in course.accuracies.iter().enumerate() {
                let update = (index as u64 + 1) * self.updates_per_evaluation;
                let shown = Some(*accuracy).filter(|accuracy| accuracy.is_finite());
                table.push((source.level, course.level, index + 1, update, shown, shown.map(relative)));
            }
        }
        findings.tables.push(table);
        let rows: Vec<Vec<f64>> = courses.iter().map(|course| course.accuracies.clone()).collect();
        findings.array("accuracy", Array::from_rows(&rows)?);
        let rows: Vec<Vec<f64>> =
            rows.iter().map(|row| row.iter().map(|accuracy| relative(*accuracy)).collect()).collect();
        findings.array("relative", Array::from_rows(&rows)?);
        findings.array("level", Array::from(courses.iter().map(|course| course.level as i64).collect::<Vec<_>>()));
        let updates = (1..=self.evaluations).map(|index| (index * self.updates_per_evaluation) as i64);
        findings.array("update", Array::from(updates.collect::<Vec<_>>()));
        findings.figures.push(figures::retraining(
            source,
            courses,
            name,
            self.updates_per_evaluation,
            &last,
            (base, chance),
        ));
        Ok(findings)
    }
}

synfire::inventory::submit! { Component::analysis::<Retraining>("retraining") }

#[cfg(test)]
mod tests {
    use super::*;

    fn difficulty(highest: Option<usize>) -> Difficulty {
        Difficulty { name: "N".into(), lowest: 2, highest, default: 2, several_at_once: true }
    }

    #[test]
    fn levels_are_counted_from_the_own_one() {
        let published = Retraining::default();
        assert_eq!(published.targets(16, &difficulty(None)).unwrap(), [16, 21, 26, 31, 36, 41, 46]);
        assert_eq!(published.targets(16, &difficulty(Some(25))).unwrap(), [16, 21]);
        let named = Retraining { levels: vec![20, 18], ..Retraining::default() };
        assert_eq!(named.targets(16, &difficulty(None)).unwrap(), [20, 18]);
        assert!(named.targets(16, &difficulty(Some(19))).unwrap_err().to_string().contains("20"));
    }

    #[test]
    fn contradictory_options_are_refused() {
        let registry = Registry::linked().expect("registry");
        let mut problems = Problems::under("analysis");
        let wrong = Retraining {
            levels: vec![3, 4, 3],
            level: Some(2),
            update: Some(9),
            evaluations: 0,
            ..Retraining::default()
        };
        wrong.check(&registry, &mut problems);
        let error = problems.into_result().expect_err("three problems").to_string();
        assert!(error.contains("names level 3 twice") && error.contains("update is set beside level"), "{error}");
        assert!(error.contains("analysis.evaluations is 0"), "{error}");
    }
}
