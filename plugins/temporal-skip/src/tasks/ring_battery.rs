//! The twenty ring tasks as one.

use super::ring::{NonMatch, RULES, Ring, Rule, Structure, Timing, provides, score, spec};
use super::ring::{Row, padded, trials};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::Mode;
use synfire::task::Scores;
use synfire::tch::Tensor;
use synfire::{Component, Error, Lesson, Problems, Properties, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Several ring tasks at once, told apart by the rule inputs; all twenty unless said otherwise.
///
/// In training the tasks take turns by the structure of their trials, which all trials of a batch share: one update with one stimulus
/// and no delay, one with a delay, one with two stimuli. The trials of a batch are dealt out to the tasks whose turn it is, or each
/// of these has `trials_per_task`. In an evaluation each batch has trials of all tasks, the shorter ones followed by silence that
/// does not count.
///
/// inputs  `[time, batch, 85]`, targets `[time, batch, 33]`, weight `[time, batch]`: those of the tasks, see `ring-go`
///
/// The accuracy is the mean of the tasks' performances, weighted with their trials. A lesson may name the tasks that are active.
///
/// Conditions: those of the tasks.
///
/// Source: Yang, Joglekar, Song, Newsome & Wang 2019, doi:10.1038/s41593-018-0310-2, for the twenty rules; Soo, Goudar & Wang 2023,
/// doi:10.1101/2023.10.10.561588, for these trials and three steps of the optimiser a turn; their code has `trials_per_task = 20`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RingBattery {
    /// Duration of a step in ms, where the lesson sets none.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub dt_ms: f64,
    /// Durations of the epochs.
    pub timing: Timing,
    /// What the published code does otherwise in trials without a match.
    pub non_match: NonMatch,
    /// Short names of the tasks, such as `go` or `dlydm1`; empty for all twenty.
    pub tasks: Vec<String>,
    /// Trials of each task in a training batch in which it has its turn, whatever the batch's size: turns of many tasks have larger
    /// batches than those of few. Left out, all batches have the size that training asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub trials_per_task: Option<usize>,
}

impl Default for RingBattery {
    fn default() -> Self {
        let Ring { dt_ms, timing, non_match, .. } = Ring::of(&RULES[0]);
        Self { dt_ms, timing, non_match, tasks: Vec::new(), trials_per_task: None }
    }
}

/// The rule with a short name, or with that of its task.
fn named(name: &str) -> Option<&'static Rule> {
    let short = name.strip_prefix("ring-").unwrap_or(name);
    RULES.iter().find(|rule| rule.name == short)
}

fn known() -> String {
    RULES.iter().map(|rule| rule.name).collect::<Vec<_>>().join(", ")
}

impl RingBattery {
    /// The rules of a lesson, in their published order.
    fn rules(&self, lesson: &Lesson) -> Result<Vec<&'static Rule>> {
        let mut active = Vec::new();
        for name in &lesson.tasks {
            let rule = named(name).ok_or_else(|| {
                Error::config(
                    "curriculum",
                    format_args!("asks for the task '{name}'"),
                    format_args!("there are: {}", known()),
                )
            })?;
            active.push(rule.index);
        }
        let own: Vec<usize> = self.tasks.iter().filter_map(|name| named(name)).map(|rule| rule.index).collect();
        let is = |list: &[usize], rule: &Rule| list.is_empty() || list.contains(&rule.index);
        let rules: Vec<_> = RULES.iter().filter(|rule| is(&own, rule) && is(&active, rule)).collect();
        match rules.is_empty() {
            true => Err(Error::config("curriculum", "asks for none of the tasks of this battery", "see task.tasks")),
            false => Ok(rules),
        }
    }

    fn ring(&self, rule: &'static Rule) -> Ring {
        Ring { rule, dt_ms: self.dt_ms, timing: self.timing, non_match: self.non_match }
    }
}

#[typetag::serde(name = "ring-battery")]
impl Task for RingBattery {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.ring(&RULES[0]).check(problems);
        for name in self.tasks.iter().filter(|name| named(name).is_none()) {
            problems.add(
                "tasks",
                format_args!("has '{name}', which is no ring task"),
                format_args!("there are: {}", known()),
            );
        }
        if let Some(trials) = self.trials_per_task {
            problems.require((1..=100_000).contains(&trials), "trials_per_task", trials, "between 1 and 100000");
        }
    }

    fn spec(&self) -> TaskSpec {
        spec(Some(self.dt_ms))
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let rules = self.rules(lesson)?;
        let dt_ms = self.ring(rules[0]).dt(lesson, "ring-battery")?;
        let mut structures: Vec<Structure> = rules.iter().map(|rule| rule.structure).collect();
        structures.sort_unstable();
        structures.dedup();
        let turn = structures[lesson.update as usize % structures.len()];
        let chosen: Vec<_> = match lesson.mode {
            Mode::Training => rules.into_iter().filter(|rule| rule.structure == turn).collect(),
            Mode::Evaluation => rules,
        };
        let batch = match (lesson.mode, self.trials_per_task) {
            (Mode::Training, Some(each)) => each * chosen.len(),
            _ => batch,
        };
        let rows: Vec<Row> = (0..batch).map(|row| self.ring(chosen[row % chosen.len()]).row(stream, row)).collect();
        let of = |structure: Structure| chosen.iter().find(|rule| rule.structure == structure);
        let mut parts = Vec::new();
        for structure in structures {
            let Some(rule) = of(structure) else { continue };
            let places: Vec<usize> =
                (0..batch).filter(|row| chosen[row % chosen.len()].structure == structure).collect();
            if places.is_empty() {
                continue;
            }
            let epochs = self.ring(rule).epochs(dt_ms, lesson.mode, stream);
            let own: Vec<Row> = places.iter().map(|place| rows[*place].clone()).collect();
            parts.push((places, trials(&own, &epochs)?));
        }
        padded(parts, batch)
    }

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        score(trials, outputs)
    }

    fn provides(&self, _: &Registry) -> Properties {
        provides(&self.spec())
    }
}

synfire::inventory::submit! { Component::task::<RingBattery>("ring-battery") }

#[cfg(test)]
mod tests {
    use super::super::ring::{RESPONSE_START, RULE, by_rule};
    use super::*;
    use synfire::tch::{Device, Kind};
    use synfire::tensors::bytes;

    fn draw(task: &RingBattery, lesson: &Lesson, batch: usize) -> Trials {
        task.trials(lesson, batch, &mut Stream::new(4)).expect("in range")
    }

    fn rules(trials: &Trials) -> Vec<usize> {
        trials.conditions[RULE].iter().map(|rule| *rule as usize).collect()
    }

    #[test]
    fn structures_take_turns_in_training() {
        let turn = |update| draw(&RingBattery::default(), &Lesson { update, ..Lesson::default() }, 18);
        assert_eq!(rules(&turn(0))[..10], [0, 1, 3, 4, 6, 7, 8, 9, 10, 0]);
        assert_eq!(rules(&turn(1))[..4], [2, 5, 2, 5]);
        assert_eq!(rules(&turn(2))[..9], [11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(rules(&turn(3)), rules(&turn(0)));
        assert_eq!(turn(2).periods.len(), 5);
    }

    #[test]
    fn every_task_may_have_as_many_trials_as_any_other() {
        let task = RingBattery { trials_per_task: Some(20), ..RingBattery::default() };
        let batches = [0, 1, 2].map(|update| draw(&task, &Lesson { update, ..Lesson::default() }, 7));
        assert_eq!(batches.each_ref().map(Trials::batch), [180, 40, 180]);
        for (batch, tasks) in batches.iter().zip([9, 2, 9]) {
            let (found, of_first) = (rules(batch), rules(batch)[0]);
            assert_eq!(found.iter().filter(|rule| **rule == of_first).count(), 20, "of {tasks}");
            assert_eq!(batch.targets[0].total, 20.0 * f64::from(tasks));
        }
        let lesson = Lesson { mode: Mode::Evaluation, ..Lesson::default() };
        assert_eq!(draw(&task, &lesson, 40).batch(), 40);
    }

    #[test]
    fn an_evaluation_has_all_of_them_and_silence_counts_nothing() {
        let lesson = Lesson { mode: Mode::Evaluation, ..Lesson::default() };
        let trials = draw(&RingBattery::default(), &lesson, 40);
        assert_eq!(trials.inputs.size(), [600, 40, 85]);
        assert_eq!(rules(&trials), (0..40).map(|row| row % 20).collect::<Vec<_>>());
        let weight = trials.targets[0].weight.as_ref().expect("windows");
        let ends = [(0, 200, 300), (2, 400, 500), (16, 500, 600)];
        for (row, start, end) in ends {
            assert_eq!(trials.conditions[RESPONSE_START][row as usize], f64::from(start));
            assert!(weight.double_value(&[end - 1, row]) > 0.0);
            if end < 600 {
                assert_eq!(weight.narrow(0, end, 600 - end).select(1, row).sum(Kind::Double).double_value(&[]), 0.0);
                assert_eq!(trials.inputs.narrow(0, end, 600 - end).select(1, row).abs().max().double_value(&[]), 0.0);
            }
        }
        // The same rows drawn by the task itself are the same trials.
        let alone = RingBattery { tasks: vec!["dlygo".into()], ..RingBattery::default() };
        let alone = draw(&alone, &lesson, 3);
        assert_eq!(bytes(&alone.inputs.select(1, 2)), bytes(&trials.inputs.narrow(0, 0, 500).select(1, 2)));
        // A network that always fixates: two thirds, four fifths and five sixths, and half of the rest where half the trials ask it.
        let fixating = Tensor::ones([600, 40, 33], (Kind::Float, Device::Cpu));
        let found = by_rule(&trials, &fixating).expect("fits");
        assert!((found[&0].1.performance - 2.0 / 3.0).abs() < 1e-12);
        assert!((found[&5].1.performance - 4.0 / 5.0).abs() < 1e-12);
        assert!((found[&11].1.performance - 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn tasks_can_be_chosen_and_wrong_names_are_refused() {
        let two = RingBattery { tasks: vec!["go".into(), "ring-dms".into()], ..RingBattery::default() };
        let lesson = Lesson { tasks: vec!["dms".into()], ..Lesson::default() };
        assert_eq!(rules(&draw(&two, &lesson, 3)), [16, 16, 16]);
        let other = Lesson { tasks: vec!["anti".into()], ..Lesson::default() };
        let error = two.trials(&other, 2, &mut Stream::new(1)).expect_err("not in it").to_string();
        assert!(error.contains("none of the tasks"), "{error}");
        let mut problems = Problems::under("task");
        let wrong = RingBattery { tasks: vec!["come".into()], ..RingBattery::default() };
        wrong.check(&Registry::linked().expect("links"), &mut problems);
        let error = problems.into_result().expect_err("unknown").to_string();
        assert!(error.contains("task.tasks has 'come', which is no ring task"), "{error}");
    }
}
