//! How alike networks represent the same inputs, and whether groups of networks differ in it.

use super::apart::{Apart, recorded};
use super::choice;
use super::grouping::Grouping;
use crate::canonical::Subspace;
use crate::channels::{self, Context};
use crate::recorded::{probes, record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Analysis, Component, Error, Problems, Registry, Result, Stream, Subject};

/// Singular vector canonical correlations between networks: the distance of their representations, and whether groups part.
///
/// Every network is shown the same constant inputs without noise, equally spaced evidence in every context. The states of all steps
/// `[time, probe, state]` (or the rates) are centred; the principal components that hold `share` of their variance are kept, for each
/// network by itself. The distance of two networks is one minus the mean of all canonical correlations between their kept components.
/// Groups (those of `--groups`, else runs with the same options `by`) are judged by their silhouette on the distances, and on the rows
/// of the matrix of distances as the published code did, by the purity of k-means and of a Gaussian mixture on the rows, and by two
/// ratios: of the distances of rows to the group's centroid (own rows over others), and of rows within the group over those to others.
/// A data file with `distances` `[item, item]` and `labels` `[item]` is judged the same way.
///
/// figures `distances`: the matrix, group by group; `scaling`: the networks in the plane by metric multidimensional scaling
/// tables  `networks`: kept components of each; `groups`; `pairs`: distances within and between groups
/// arrays  `distances` `[network, network]`, `labels`, `silhouettes`, `scaling`, `k_means`, `mixture`
///
/// Source: Raghu, Gilmer, Yosinski & Sohl-Dickstein 2017, arXiv:1706.05806; the probes and measures of McMahan, Kleinman & Kao 2021,
/// NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>.
/// Differs: distances are taken as distances, not as features (both are reported); the mixture has independent columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Svcca {
    /// Values of the evidence in each context, from minus to plus `largest`.
    #[schemars(range(min = 1))]
    pub probes: usize,
    /// Probes over all contexts instead, so that networks with different numbers of contexts see as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_probes: Option<usize>,
    /// Largest evidence.
    #[schemars(range(min = 0.0))]
    pub largest: f64,
    /// Steps of a probe; absent for those of the task's trials.
    #[schemars(range(min = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Share of the variance that is kept of each network.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Whether states or rates are compared.
    pub of: Seen,
    /// Units (places in the state, or rates) that are left out, such as those that are clamped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<usize>,
    /// Which channels carry evidence and which cues go with them; empty: by their names, as in `fixed-points`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<Context>,
    /// Updates after which the networks are taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Options of the experiments that make groups where none are named.
    pub by: Vec<String>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Whole states, such as the currents of a network with the non-linearity at the synapse.
    #[default]
    States,
    /// What heads read.
    Rates,
}

impl Default for Svcca {
    fn default() -> Self {
        Self {
            probes: 10,
            all_probes: None,
            largest: 0.1857,
            steps: None,
            share: 0.95,
            of: Seen::default(),
            leave_out: Vec::new(),
            contexts: Vec::new(),
            update: None,
            by: vec!["rule".into()],
        }
    }
}

#[typetag::serde(name = "svcca")]
impl Analysis for Svcca {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.probes >= 1, "probes", self.probes, "at least 1");
        problems.require(self.share > 0.0 && self.share <= 1.0, "share", self.share, "above 0 and at most 1");
        problems.require(self.largest.is_finite() && self.largest >= 0.0, "largest", self.largest, "at least 0");
        if let Some(steps) = self.steps {
            problems.require(steps >= 2, "steps", steps, "at least 2");
        }
        if let Some(all) = self.all_probes {
            problems.require(all >= 1, "all_probes", all, "at least 1");
        }
    }

    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let mut findings = Findings::new();
        let (labels, distances, grouping) = match recorded(subject) {
            Some(given) => {
                let (distances, grouping) = given?;
                ((0..grouping.labels.len()).map(|item| item.to_string()).collect(), distances, grouping)
            }
            None => {
                subject.run()?;
                let grouping = Grouping::of(subject, &self.by)?;
                let spaces =
                    subject.runs.iter().map(|view| self.subspace(view, &subject.stream)).collect::<Result<Vec<_>>>()?;
                findings.tables.push(networks_table(subject, &spaces, &grouping));
                let dimensions: Vec<i64> = spaces.iter().map(|space| space.dimension() as i64).collect();
                findings.array("dimensions", Array::from(dimensions));
                let labels = subject.runs.iter().map(|view| view.label.clone()).collect();
                (labels, distances(subject, &spaces)?, grouping)
            }
        };
        // The published maps end at one third.
        let apart = Apart {
            labels,
            grouping: &grouping,
            distances: &distances,
            what: "SVCCA distance",
            limits: Some((0.0, 1.0 / 3.0)),
        };
        apart.report(&mut findings, &subject.stream)?;
        Ok(findings)
    }
}

impl Svcca {
    /// Constant inputs `[time, probe, channel]`.
    fn inputs(&self, view: &RunView, stream: &Stream) -> Result<Tensor> {
        let contexts = channels::contexts(&self.contexts, &view.parts.spec)?;
        if contexts.is_empty() {
            return Err(Error::config(
                "contexts",
                "is empty and the task has no channel of evidence",
                "name the channels",
            ));
        }
        let count = self.all_probes.map_or(self.probes, |all| (all / contexts.len()).max(1));
        let value = |index: usize| match count {
            1 => 0.0,
            _ => self.largest * (2.0 * index as f64 / (count - 1) as f64 - 1.0),
        };
        let rows: Vec<f64> =
            contexts.iter().flat_map(|context| (0..count).flat_map(|i| context.at(value(i)))).collect();
        let steps = match self.steps {
            Some(steps) => steps,
            None => view.trials(&view.lesson(), 1, stream)?.time(),
        };
        let (batch, channels) = ((count * contexts.len()) as i64, view.parts.spec.inputs.len() as i64);
        let rows = Tensor::from_slice(&rows).f_reshape([1, batch, channels])?;
        Ok(rows.f_expand([steps as i64, batch, channels], false)?.contiguous())
    }

    fn subspace(&self, view: &RunView, stream: &Stream) -> Result<Subspace> {
        let mut network = view.network(choice::at(self.update))?;
        let lesson = view.lesson();
        let Some(head) = choice::head(view, &network, &lesson) else {
            return Err(Error::Failed(format!("{} has no head", view.label)));
        };
        let trials = probes(view, &self.inputs(view, stream)?, head)?;
        let played = record(view, &mut network, &lesson, trials, 1, stream)?;
        let seen = match (self.of, played.states) {
            (Seen::States, Some(states)) => states,
            _ => played.rates,
        };
        let units = seen.size()[2];
        let kept: Vec<i64> = (0..units).filter(|unit| !self.leave_out.contains(&(*unit as usize))).collect();
        if let Some(unit) = self.leave_out.iter().find(|unit| **unit as i64 >= units) {
            return Err(Error::config("leave_out", format_args!("names {unit}; there are {units}"), "count from 0"));
        }
        let seen = match kept.len() as i64 == units {
            true => seen,
            false => seen.f_index_select(2, &Tensor::from_slice(&kept).to_device(Device::Cpu))?,
        };
        Subspace::of(&seen.f_to_kind(Kind::Double)?, self.share)
    }
}

/// Each pair once, side by side over the rows of the matrix.
fn distances(subject: &Subject, spaces: &[Subspace]) -> Result<Vec<f64>> {
    let count = spaces.len();
    let first = spaces.first().map_or(0, Subspace::samples);
    if let Some(other) = spaces.iter().position(|space| space.samples() != first) {
        return Err(Error::Failed(format!(
            "{} saw {first} samples and {} saw {}; set steps, and all_probes where tasks have different numbers of contexts",
            subject.runs[0].label,
            subject.runs[other].label,
            spaces[other].samples()
        )));
    }
    let mut distances = vec![0.0; count * count];
    for i in 0..count {
        for j in 0..i {
            let distance = spaces[i].distance(&spaces[j])?;
            distances[i * count + j] = distance;
            distances[j * count + i] = distance;
        }
    }
    Ok(distances)
}

fn networks_table(subject: &Subject, spaces: &[Subspace], grouping: &Grouping) -> Table {
    let columns = ["network", "group", "components kept", "units", "samples"];
    let mut table = Table::new("networks", "Networks that are compared", &columns);
    for ((view, space), label) in subject.runs.iter().zip(spaces).zip(&grouping.labels) {
        table.push((&view.label, &grouping.names[*label], space.dimension(), space.units, space.samples()));
    }
    table
}

synfire::inventory::submit! { Component::analysis::<Svcca>("svcca") }

#[cfg(test)]
mod tests;
