//! Differences between groups: tests over pooled draws as published, and over networks.

use super::group::{Comparison, Group};
use super::network::Network;
use super::progress::{COMPONENTS, dimension};
use super::{ablation, robustness};
use synfire::statistics::{TTest, mean, paired_test, stars, t_test, welch_test};
use synfire::table::{Table, Value};

/// One quantity of a group.
#[derive(Clone, Debug, Default)]
struct Sample {
    /// All draws of all networks; empty where there are none.
    draws: Vec<f64>,
    /// One number for each network.
    networks: Vec<f64>,
}

/// A statistic of each network against the level.
type Course = fn(&Network) -> Vec<(f64, f64)>;

/// What is compared at the hardest level that both groups reached.
const COURSES: [(&str, Course); 5] = [
    ("mean τ", |network| network.tau_course(|taus| taus.mean)),
    ("deviation of τ", |network| network.tau_course(|taus| taus.std)),
    ("mean τ_net", |network| network.timescale_course("mean")),
    ("deviation of τ_net", |network| network.timescale_course("std")),
    ("dimension", |network| dimension(network, &COMPONENTS)),
];

/// Tests of everything that two groups have in common, and of the two ends of each group.
///
/// Draws of one network are no independent samples: tests over draws are what the paper reports, and they overstate.
pub(super) fn table(comparison: &Comparison) -> Table {
    let columns = ["comparison", "quantity", "samples", "n", "t", "degrees", "p", "stars", "d", "p (Welch)"];
    let title =
        "Two-sided t-tests with equal variances: over pooled draws as published, which overstates, and over networks";
    let mut table = Table::new("significance", title, &columns);
    for (index, a) in comparison.groups.iter().enumerate() {
        for b in comparison.groups[index + 1..].iter().filter(|b| comparable(a, b)) {
            let name = format!("{} against {}", a.name, b.name);
            let others = samples(comparison, b);
            let mut pairs: Vec<(String, Sample, Sample)> = Vec::new();
            for (quantity, sample) in samples(comparison, a) {
                let other = others.iter().find(|(known, _)| *known == quantity);
                pairs.extend(other.map(|(_, other)| (quantity, sample, other.clone())));
            }
            pairs.extend(at_last_common_level(comparison, a, b));
            for (quantity, a, b) in pairs {
                for (level, a, b) in [("draws", &a.draws, &b.draws), ("networks", &a.networks, &b.networks)] {
                    if let Some(test) = t_test(a, b) {
                        let welch = welch_test(a, b).map(|test| test.p);
                        let counts = format!("{} and {}", a.len(), b.len());
                        push(&mut table, [&name, &quantity, level, &counts], test, welch);
                    }
                }
            }
        }
    }
    for group in &comparison.groups {
        for level in ablation::levels(comparison, group) {
            let outcomes = comparison.members(group).filter_map(|network| ablation::at(network, level));
            let (short, long): (Vec<f64>, Vec<f64>) =
                outcomes.map(|one| (mean(&one.short.relative), mean(&one.long.relative))).unzip();
            if let Some(test) = paired_test(&short, &long) {
                let name = format!("{}: shortest against longest τ silenced, paired", group.name);
                let quantity = at("relative accuracy", comparison, level);
                push(&mut table, [&name, &quantity, "networks", &format!("{} pairs", short.len())], test, None);
            }
        }
    }
    table
}

fn push(table: &mut Table, [name, quantity, samples, counts]: [&str; 4], test: TTest, welch: Option<f64>) {
    let row: [Value; 10] = [
        name.into(),
        quantity.into(),
        samples.into(),
        counts.into(),
        test.t.into(),
        test.degrees.into(),
        test.p.into(),
        stars(test.p).into(),
        test.d.into(),
        welch.into(),
    ];
    table.push(Vec::from(row));
}

/// Groups of the user all are; others where they differ in one thing alone: curriculum, task, or cell.
fn comparable(a: &Group, b: &Group) -> bool {
    match (&a.kind, &b.kind) {
        (Some(a), Some(b)) if a != b => {
            let cells = (&a.cell, &a.fixed, &a.units) == (&b.cell, &b.fixed, &b.units);
            let same = [a.order == b.order, a.task == b.task, cells];
            same.iter().filter(|same| **same).count() == 2
        }
        _ => true,
    }
}

fn at(quantity: &str, comparison: &Comparison, level: Option<usize>) -> String {
    match level {
        Some(level) => format!("{quantity}, {} = {level}", comparison.level_name()),
        None => quantity.to_string(),
    }
}

/// What is known of a group: quantities, each once.
fn samples(comparison: &Comparison, group: &Group) -> Vec<(String, Sample)> {
    let mut all: Vec<(String, Sample)> = Vec::new();
    let mut add = |quantity: String, draws: &[f64], network: f64| {
        if !network.is_finite() {
            return;
        }
        match all.iter_mut().find(|(known, _)| *known == quantity) {
            Some((_, sample)) => {
                sample.draws.extend(draws);
                sample.networks.push(network);
            }
            None => all.push((quantity, Sample { draws: draws.to_vec(), networks: vec![network] })),
        }
    };
    for network in comparison.members(group) {
        if let Some(level) = network.reached {
            add(format!("largest {} solved", comparison.level_name()), &[], level as f64);
        }
        for ablated in ablation::of(network) {
            for (end, side) in [("shortest", &ablated.short), ("longest", &ablated.long)] {
                let quantity = at(&format!("relative accuracy, {end} τ silenced"), comparison, ablated.level);
                add(quantity, &side.relative, mean(&side.relative));
            }
        }
        for disturbed in robustness::of(network) {
            for (strength, draws) in disturbed.strengths.iter().zip(&disturbed.relative) {
                let name = format!("relative accuracy, {} {strength:.3}", disturbed.kind.replace('_', "-"));
                add(at(&name, comparison, disturbed.level), draws, mean(draws));
            }
        }
        for (level, relative) in robustness::retrained(network) {
            add(at("relative accuracy, retrained", comparison, Some(level as usize)), &[], relative);
        }
    }
    all
}

/// Courses at the hardest level that some network of both groups reached.
fn at_last_common_level(comparison: &Comparison, a: &Group, b: &Group) -> Vec<(String, Sample, Sample)> {
    let mut pairs = Vec::new();
    for (quantity, course) in COURSES {
        let at_level = |group: &Group, level: f64| -> Vec<f64> {
            let points = comparison.members(group).flat_map(course).filter(|point| point.0 == level);
            points.map(|point| point.1).filter(|value| value.is_finite()).collect()
        };
        let (first, second) = (comparison.curve(a, course), comparison.curve(b, course));
        let Some(level) = first.x.iter().rev().find(|level| second.x.contains(level)) else { continue };
        let sample = |group| Sample { draws: Vec::new(), networks: at_level(group, *level) };
        pairs.push((at(quantity, comparison, Some(*level as usize)), sample(a), sample(b)));
    }
    pairs
}
