//! Fixed points of a trained network.

mod figures;
mod flow;
pub mod survey;
#[cfg(test)]
mod tests;

pub use survey::{Clamp, Survey, Surveyed};

use super::choice;
use crate::channels::InputSet;
use crate::fixed_points::{Stability, System};
use figures::Picture;
use flow::Connection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Problems, Properties, Property, Registry, Result, Subject};
use synfire_essentials::principal_components::Covariance;

/// Fixed points under constant inputs: attractors, saddles with the directions that lead away from them, and slow points.
///
/// One step of the network without noise is a map of its state (rates, currents, or all state tensors of a gated cell in a row). From
/// many starts `x` the zeros of `step(x) - x` are solved for by Levenberg-Marquardt and Newton in double precision, with the Jacobian
/// in closed form for rate networks and by autograd for every other cell. Only true zeros count (`tolerance`); other minima of the
/// speed are slow points. A point is stable when all eigenvalues of the step's Jacobian lie inside the unit circle. The leading rate
/// is the largest real part of `(eigenvalue - 1) / leak`, in units of the time constant for rate networks with one leak (for
/// `placement = "current"` the eigenvalue of `-1 + W diag(f')`), per step otherwise. From every saddle the network is run along its
/// fastest unstable direction, both ways, to see where it leads. A head that feeds back is part of the map; clamped units reduce it.
///
/// figures `points`: points and trajectories in the first principal components of the rates; `branches`: first component and leading
/// rate of each point against the evidence; `eigenvalues`: the rates of all points in the complex plane
/// tables  `fixed_points`: one row a fixed point; `inputs`: one row an input; `slow`: slow points; `connections`: where saddles lead
/// arrays  `points` `[point, state]`, `point_input` `[point]`, `inputs` `[input, channel]`, `rates` `[point, number, 2]`,
/// `directions` `[direction, state]` with `direction_point` `[direction]`, `slow` `[point, state]` with `slow_input` and `slow_speed`
///
/// Source: Sussillo & Barak 2013, doi:10.1162/NECO_a_00409; the input sets and slow points of McMahan, Kleinman & Kao 2021, NeurIPS.
/// Differs: minima of the speed are not called fixed points, stability comes from eigenvalues and not from kicks, clamped units leave
/// a reduced system, and the sets go over any number of contexts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FixedPoints {
    /// The constant inputs.
    pub inputs: InputSet,
    /// The search.
    pub survey: Survey,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Level that is played for the trajectories; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Trials that are played for trajectories, principal components and starts.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Trials whose path is drawn.
    pub examples: usize,
    /// Most steps in which the network is followed from a saddle; 0 for none.
    pub follow_steps: usize,
}

impl Default for FixedPoints {
    fn default() -> Self {
        Self {
            inputs: InputSet::default(),
            survey: Survey::default(),
            update: None,
            level: None,
            trials: 32,
            examples: 16,
            follow_steps: 5000,
        }
    }
}

#[typetag::serde(name = "fixed-points")]
impl Analysis for FixedPoints {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.inputs.check(problems);
        problems.inside("survey", |problems| self.survey.check(problems));
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        // For the Jacobian of cells that are no rate networks.
        Properties::from([Property::Gradient])
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let stream = &subject.stream;
        let (mut network, lesson, setting) = survey::network(view, choice::at(self.update), self.level, stream)?;
        let played = survey::activity(view, &mut network, &lesson, self.trials, &stream.child("activity"))?;
        let system = self.survey.system(view, &network, &setting)?;
        let surveyed = self.survey.all(view, &system, &self.inputs, played.states.as_ref(), stream)?;
        let head = choice::head(view, &network, &lesson);
        let mut covariance = Covariance::new();
        covariance.push(&played.rates)?;
        let picture = Picture {
            components: covariance.components()?,
            system: &system,
            surveyed: &surveyed,
            leak: system.leak().unwrap_or(1.0),
            head,
            label: &view.label,
        };
        let connections = flow::connections(&system, &surveyed, self.survey.distance, self.follow_steps)?;
        let mut findings = Findings::new();
        summarise(&mut findings, &surveyed, picture.leak);
        findings.tables = vec![inputs_table(&surveyed, &picture), points_table(&picture)?, slow_table(&surveyed)];
        findings.tables.extend((!connections.is_empty()).then(|| connections_table(&surveyed, &connections)));
        add_arrays(&mut findings, &picture, &connections)?;
        let trajectories = picture.components.project(&played.rates, 2)?;
        let shown = self.examples.min(played.trials.batch()) as i64;
        findings.figures.push(picture.plane(&trajectories.narrow(1, 0, shown), &connections)?);
        findings.figures.extend(picture.branches()?);
        findings.figures.push(picture.eigenvalues());
        self.add_notes(&mut findings, &surveyed, system.leak().is_some());
        Ok(findings)
    }
}

impl FixedPoints {
    fn add_notes(&self, findings: &mut Findings, surveyed: &[Surveyed], in_time_constants: bool) {
        if surveyed.iter().all(|one| one.found.points.is_empty()) {
            findings.note("no fixed point was found; try more starts, another spread or another input set");
        }
        let lost: usize = surveyed.iter().map(|one| one.found.lost).sum();
        let all = self.survey.starts * surveyed.len();
        if lost * 2 > all {
            findings.note(format!(
                "{lost} of some {all} starts led to no zero and no slow point; raise iterations or lower spread"
            ));
        }
        if !in_time_constants {
            findings.note("rates are per step: units have no time constant, or not all the same");
        }
        let lonely = surveyed.iter().flat_map(|one| &one.found.points).filter(|point| point.starts == 1).count();
        if lonely > 0 {
            findings.note(format!(
                "{lonely} points were reached from one start only, so there may be others; raise starts"
            ));
        }
    }
}

fn summarise(findings: &mut Findings, surveyed: &[Surveyed], leak: f64) {
    let count = |of: Stability| -> usize { surveyed.iter().map(|one| one.found.of(of).count()).sum() };
    findings.value("inputs", surveyed.len());
    findings.value("fixed points", surveyed.iter().map(|one| one.found.points.len()).sum::<usize>());
    findings.value("attractors", count(Stability::Attractor));
    findings.value("saddles", count(Stability::Saddle));
    findings.value("repellers", count(Stability::Repeller));
    findings.value("slow points", surveyed.iter().map(|one| one.found.slow.len()).sum::<usize>());
    let residual = surveyed.iter().flat_map(|one| &one.found.points).map(|point| point.residual);
    findings.value("largest residual", residual.reduce(f64::max));
    // At no evidence, over the contexts: what tells networks apart.
    let at_zero: Vec<&Surveyed> = surveyed.iter().filter(|one| one.input.value == 0.0).collect();
    if !at_zero.is_empty() {
        let attractors = at_zero.iter().map(|one| one.found.of(Stability::Attractor).count());
        findings.value("attractors at input 0", attractors.max());
        let growth = at_zero.iter().flat_map(|one| &one.found.points).map(|point| point.growth(leak));
        findings.value("leading rate at input 0", growth.reduce(f64::max));
        let stable = at_zero.iter().flat_map(|one| one.found.of(Stability::Attractor)).map(|point| point.growth(leak));
        findings.value("leading rate of attractors at input 0", stable.reduce(f64::max));
    }
}

fn inputs_table(surveyed: &[Surveyed], picture: &Picture) -> Table {
    let columns = [
        "input",
        "context",
        "evidence",
        "fixed points",
        "attractors",
        "saddles",
        "repellers",
        "slow points",
        "leading rate",
    ];
    let mut table = Table::new("inputs", "Fixed points under each input", &columns);
    for (index, one) in surveyed.iter().enumerate() {
        let count = |of: Stability| one.found.of(of).count();
        table.push((
            index,
            &one.input.name,
            one.input.value,
            one.found.points.len(),
            count(Stability::Attractor),
            count(Stability::Saddle),
            count(Stability::Repeller),
            one.found.slow.len(),
            one.found.points.iter().map(|point| point.growth(picture.leak)).reduce(f64::max),
        ));
    }
    table
}

fn points_table(picture: &Picture) -> Result<Table> {
    let columns = [
        "point",
        "input",
        "context",
        "evidence",
        "kind",
        "unstable directions",
        "leading rate",
        "largest multiplier",
        "output",
        "residual",
        "starts",
    ]
    .map(String::from);
    let mut table = Table::new("fixed_points", "Fixed points", &columns);
    let mut number = 0;
    for (index, one) in picture.surveyed.iter().enumerate() {
        for point in &one.found.points {
            let largest = point.multipliers.first().map(|value| value.0.hypot(value.1));
            table.rows.push(vec![
                number.into(),
                index.into(),
                (&one.input.name).into(),
                one.input.value.into(),
                point.stability().word().into(),
                point.unstable().into(),
                point.growth(picture.leak).into(),
                largest.into(),
                picture.said(&point.state)?.into(),
                point.residual.into(),
                point.starts.into(),
            ]);
            number += 1;
        }
    }
    Ok(table)
}

fn slow_table(surveyed: &[Surveyed]) -> Table {
    let columns = ["input", "context", "evidence", "speed", "starts"];
    let mut table = Table::new("slow", "Slow points: minima of the speed that are no fixed points", &columns);
    for (index, one) in surveyed.iter().enumerate() {
        for slow in &one.found.slow {
            table.push((index, &one.input.name, one.input.value, slow.speed, slow.starts));
        }
    }
    table
}

fn connections_table(surveyed: &[Surveyed], connections: &[Connection]) -> Table {
    let columns = ["input", "evidence", "saddle", "way", "leads to", "steps"];
    let mut table = Table::new("connections", "Where the fastest unstable direction of each saddle leads", &columns);
    for connection in connections {
        for (way, end) in [("+", &connection.ends[0]), ("-", &connection.ends[1])] {
            let evidence = surveyed.get(connection.input).map(|one| one.input.value);
            let point = end.map(|(point, _)| point);
            table.push((connection.input, evidence, connection.point, way, point, end.map(|(_, steps)| steps)));
        }
    }
    table
}

fn add_arrays(findings: &mut Findings, picture: &Picture, connections: &[Connection]) -> Result<()> {
    let surveyed = picture.surveyed;
    let whole = |state: &[f64]| picture.whole(state).map(|state| values_f64(&state));
    let channels: Vec<Vec<f64>> = surveyed.iter().map(|one| one.input.channels.clone()).collect();
    findings.array("inputs", Array::from_rows(&channels)?);
    let (mut points, mut point_input, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut slow, mut slow_input, mut slow_speed) = (Vec::new(), Vec::new(), Vec::new());
    for (index, one) in surveyed.iter().enumerate() {
        for point in &one.found.points {
            points.push(whole(&point.state)?);
            point_input.push(index as i64);
            rates.extend(point.rates(picture.leak).into_iter().flat_map(|(real, imaginary)| [real, imaginary]));
        }
        for point in &one.found.slow {
            slow.push(whole(&point.state)?);
            slow_input.push(index as i64);
            slow_speed.push(point.speed);
        }
    }
    findings.array("rates", Array::new([points.len(), picture.system.size(), 2], rates)?);
    findings.array("points", Array::from_rows(&points)?);
    findings.array("point_input", Array::from(point_input));
    findings.array("slow", Array::from_rows(&slow)?);
    findings.array("slow_input", Array::from(slow_input));
    findings.array("slow_speed", Array::from(slow_speed));
    let mut directions = Vec::new();
    let mut direction_point = Vec::new();
    for connection in connections {
        for direction in &connection.directions {
            directions.push(picture.whole_direction(direction)?);
            direction_point.push(connection.point as i64);
        }
    }
    findings.array("directions", Array::from_rows(&directions)?);
    findings.array("direction_point", Array::from(direction_point));
    Ok(())
}

impl Picture<'_> {
    /// The whole state `[1, state]` of a point.
    fn whole(&self, state: &[f64]) -> Result<Tensor> {
        self.system.whole(&Tensor::from_slice(state).f_reshape([1, state.len() as i64])?)
    }

    /// A direction of the map in the whole state: 0 at clamped units.
    fn whole_direction(&self, direction: &[f64]) -> Result<Vec<f64>> {
        let end = self.whole(direction)?;
        let origin = self.whole(&vec![0.0; direction.len()])?;
        Ok(values_f64(&end.f_sub(&origin)?))
    }

    /// What the head says at a state.
    fn said(&self, state: &[f64]) -> Result<Option<f64>> {
        let Some(head) = self.head else { return Ok(None) };
        Ok(values_f64(&self.system.output(head, &self.whole(state)?)?).first().copied())
    }
}

/// The map of a network under one of the inputs of a survey.
fn under<'a>(system: &System<'a>, one: &Surveyed) -> Result<System<'a>> {
    system.under(&one.input.channels)
}

synfire::inventory::submit! { Component::analysis::<FixedPoints>("fixed-points") }
