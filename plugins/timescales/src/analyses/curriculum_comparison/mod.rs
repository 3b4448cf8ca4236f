//! Many runs side by side: what a curriculum does to time constants, network timescales and robustness.

mod ablation;
mod connectivity;
mod group;
mod kind;
mod network;
mod progress;
mod published;
mod reached;
mod robustness;
mod saved;
mod significance;
#[cfg(test)]
mod tests;
mod trained;

use super::summary::Summary;
use group::Comparison;
use network::Network;
use saved::EXPENSIVE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::Scope;
use synfire::figure::Figure;
use synfire::table::{Table, Value};
use synfire::{Analysis, Component, Findings, Result, Subject};

/// Many runs side by side, by curriculum, task and cell, beside the published results.
///
/// Runs are sorted into groups by curriculum, task, cell (placement of the non-linearity, trained or fixed time constants, or
/// another cell) and number of units, unless several groups are named. Imported networks that lie in one folder and were trained to different levels are
/// one network in the course of its training. What a run does not hold itself is taken from findings that other analyses saved in
/// it; notes say which commands make those that are missing. A level is solved where the mean and the last accuracy of an evaluation
/// exceed the threshold of the curriculum; an imported network solved the level it comes with. Means over networks are taken at each
/// level over those that solved it; deviations divide by the number.
///
/// figures `largest-level`; `time-constants-by-level`; `time-constants-by-repeat` of networks whose symbols last several steps;
/// `training-progress`; `connectivity-by-time-constant`; from findings of
/// `timescales` (at milestones) `network-timescales-by-level` and `time-constants-and-network-timescales`; of `ablation` (20 units of
/// each end) `ablation`; of `perturbation` and `retraining` `robustness`, with `ablation` also `ablation-and-robustness`; of
/// `step-size` `continuous`; of `dimensionality` `dimension-by-level`
/// tables  `networks`: one row a network; `significance`: t-tests over draws, as published, and over networks; `published`
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina, "Emergent mechanisms for long timescales depend on
/// training curriculum and affect performance in memory tasks", ICLR 2024, arXiv:2309.12927.
///
/// Differs: accuracies called relative are relative (the published plots draw raw ones), the base is a mean and no maximum, the
/// turning point of time constants is the level of the lowest mean and not the place of the first rise in the list of levels, and
/// tests over networks stand beside those over draws.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CurriculumComparison {}

synfire::inventory::submit! { Component::analysis::<CurriculumComparison>("curriculum-comparison") }

#[typetag::serde(name = "curriculum-comparison")]
impl Analysis for CurriculumComparison {
    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        subject.run()?;
        let mut findings = Findings::new();
        let mut networks = Vec::with_capacity(subject.runs.len());
        for (index, run) in subject.runs.iter().enumerate() {
            networks.push(Network::of(run, index, &mut findings.notes)?);
        }
        let comparison = match subject.groups.len() > 1 {
            true => Comparison::named(networks, &subject.groups),
            false => Comparison::sorted(network::unite(networks, &mut findings.notes)),
        };
        add_values(&mut findings, &comparison);
        findings.tables = vec![network_table(&comparison), significance::table(&comparison)];
        let published = published::table(&comparison.groups);
        if !published.rows.is_empty() {
            findings.tables.push(published);
        }
        findings.figures = figures(&comparison);
        add_notes(&mut findings, &comparison);
        Ok(findings)
    }
}

/// All for which there is data.
fn figures(comparison: &Comparison) -> Vec<Figure> {
    let mut all: Vec<Figure> = Vec::new();
    all.extend(reached::figure(comparison));
    all.extend(trained::time_constants(comparison));
    all.extend(trained::by_repeat(comparison));
    all.extend(trained::network_timescales(comparison));
    all.extend(trained::both(comparison));
    all.extend(ablation::figure(comparison));
    all.extend(robustness::figure(comparison));
    all.extend(robustness::with_ablation(comparison));
    all.extend(progress::continuous(comparison));
    all.extend(progress::climbs(comparison));
    all.extend(progress::dimensions(comparison));
    all.extend(connectivity::figure(comparison));
    all
}

fn add_values(findings: &mut Findings, comparison: &Comparison) {
    findings.value("networks", comparison.networks.len());
    findings.value("groups", comparison.groups.len());
    for group in &comparison.groups {
        let name = comparison.level_name();
        let reached: Vec<f64> =
            comparison.members(group).filter_map(|network| network.reached).map(|level| level as f64).collect();
        if !reached.is_empty() {
            findings.value(format!("{}: mean largest {name}", group.name), Summary::of(&reached).mean);
        }
        if let Some(level) = trained::turning_point(comparison, group) {
            findings.value(format!("{}: {name} of lowest mean tau", group.name), level);
        }
    }
}

fn add_notes(findings: &mut Findings, comparison: &Comparison) {
    for (analysis, command) in EXPENSIVE {
        let wanting = comparison.networks.iter().filter(|network| network.wanting.contains(&analysis));
        let names: Vec<&str> = wanting.map(|network| network.label.as_str()).collect();
        findings.notes.extend(saved::hint(analysis, command, &names));
    }
    let alone: Vec<&str> =
        comparison.groups.iter().filter(|group| group.members.len() < 2).map(|group| group.name.as_str()).collect();
    if !alone.is_empty() && comparison.groups.len() > 1 {
        let names = alone.join("; ");
        findings.note(format!("One network says nothing about the spread between networks, so there are no tests over networks of: {names}."));
    }
    let imported = comparison.networks.iter().filter(|network| network.imported).count();
    if imported > 0 {
        findings.note(format!(
            "{imported} networks came from another program; the level they came with counts as solved, without an evaluation here."
        ));
    }
    let names: Vec<&String> = comparison.networks.iter().map(|network| &network.level_name).collect();
    if names.iter().any(|name| *name != names[0]) {
        findings.note(format!("Tasks call their levels differently; axes say {}.", names[0]));
    }
}

fn network_table(comparison: &Comparison) -> Table {
    let name = comparison.level_name();
    let columns = [
        "network",
        "group",
        &format!("largest {name} solved"),
        "updates",
        "evaluations",
        "mean tau before",
        "std tau before",
        &format!("{name} of tau"),
        "mean tau",
        "std tau",
        &format!("{name} of tau_net"),
        "mean tau_net",
        "std tau_net",
        "units with tau_net",
    ];
    let mut table =
        Table::new("networks", "Networks: time constants before training and at the largest level solved", &columns);
    for group in &comparison.groups {
        for network in comparison.members(group) {
            let before = network.moments.first().filter(|moment| moment.level.is_none() && !moment.taus.is_empty());
            let before = before.map(|moment| Summary::of(&moment.taus));
            let levels = network.by_level();
            let last = levels.last_key_value().map(|(level, moment)| (*level, Summary::of(&moment.taus)));
            let slow = |column| network.timescale_course(column).last().copied();
            let at_level = slow("mean").map(|(level, _)| Value::from(level as usize));
            table.push(vec![
                Value::from(&network.label),
                (&group.name).into(),
                network.reached.into(),
                network.updates.into(),
                network.evaluations.into(),
                before.map(|taus| taus.mean).into(),
                before.map(|taus| taus.std).into(),
                last.map(|(level, _)| level).into(),
                last.map(|(_, taus)| taus.mean).into(),
                last.map(|(_, taus)| taus.std).into(),
                at_level.unwrap_or(Value::Missing),
                slow("mean").map(|point| point.1).into(),
                slow("std").map(|point| point.1).into(),
                slow("kept").map(|(_, kept)| Value::from(kept as usize)).unwrap_or(Value::Missing),
            ]);
        }
    }
    table
}
