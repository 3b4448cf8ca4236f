//! Principal components of the activity of a network, or of recorded activity.

use super::choice::{self, TimeAxis};
use crate::principal_components::{Covariance, PrincipalComponents};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule, Trajectory2, Trajectory3};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::task::Trials;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Registry, Result, Subject};

/// Principal components of the activity: how many dimensions it has, and its path through the first ones.
///
/// The rates of all steps and trials `[time, trial, unit]` are centred on each unit's mean; the components are the eigenvectors of
/// their covariance, each with its largest entry positive. The dimension is the number of components that reach `threshold` of the
/// variance, and the participation ratio `(sum v)^2 / sum v^2` of the variances `v`. Trials are played in batches and only the
/// covariance is kept, so that memory does not grow with their number. Instead of a run it takes a data file with an array
/// `[time, unit]` or `[time, trial, unit]`.
///
/// figures `variance`: share of each component and their running sum; `trajectories`: example trials in the plane or space of the
/// first components, coloured by time and, where there are conditions or classes, by one of them
/// tables  `components`: variance, share and running sum
/// arrays  `variances` `[component]`, `components` `[component, unit]`, `mean` `[unit]`, `trajectories` `[time, trial, component]`
///
/// Source: Jolliffe 2002, doi:10.1007/b98835; the participation ratio as in Gao et al. 2017, doi:10.1101/214262.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pca {
    /// Level that is played; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Share of the variance that counts as all of it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: f64,
    /// Components that are kept and tabulated.
    #[schemars(range(min = 1))]
    pub components: usize,
    /// Trials whose path is drawn.
    pub examples: usize,
    /// Whether paths are drawn in the plane or in space.
    pub view: View,
    /// What colours the second picture of the paths: the name of a condition of the trials, or `target` for the class that the
    /// first head should answer. Absent: the class if there is one, else the first condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_by: Option<String>,
    /// Which array of a data file; absent where it has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
}

/// Where paths are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// In the first two components.
    Plane,
    /// In the first three.
    #[default]
    Space,
}

impl Default for Pca {
    fn default() -> Self {
        Self {
            level: None,
            trials: 256,
            update: None,
            threshold: 0.9,
            components: 10,
            examples: 24,
            view: View::default(),
            colour_by: None,
            array: None,
        }
    }
}

/// Trials that are played at once.
const BATCH: usize = 64;

/// What the components were found in.
struct Activity {
    found: PrincipalComponents,
    /// `[time, trial, unit]`, the trials that are drawn.
    examples: Tensor,
    /// A value for each example, and what it is.
    colours: Option<(String, Vec<f64>)>,
    time: (Vec<f64>, &'static str),
    title: String,
}

#[typetag::serde(name = "pca")]
impl Analysis for Pca {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(self.components >= 1, "components", self.components, "at least 1");
        let share = self.threshold > 0.0 && self.threshold <= 1.0;
        problems.require(share, "threshold", self.threshold, "above 0 and at most 1");
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let activity = if subject.runs.is_empty() { self.recorded(subject)? } else { self.played(subject)? };
        let found = &activity.found;
        let kept = self.components.min(found.directions.len());
        let mut findings = Findings::new();
        findings.value("dimension", found.count_for(self.threshold));
        findings.value("threshold", self.threshold);
        findings.value("participation ratio", found.participation_ratio());
        findings.value("variance", found.variances.iter().sum::<f64>());
        findings.value("share of the first component", found.shares().first().copied());
        findings.value("units", found.mean.len());
        findings.value("samples", found.samples);
        if found.samples <= found.mean.len() {
            findings.note(format!(
                "{} samples of {} units: the dimension cannot exceed the number of samples; play more trials",
                found.samples,
                found.mean.len()
            ));
        }
        if found.variances.iter().sum::<f64>() <= 0.0 {
            findings.note("the activity is constant, so it has no dimension");
        }
        findings.tables.push(table(found, kept));
        findings.array("variances", Array::new([found.variances.len()], found.variances.clone())?);
        findings.array("components", Array::from_rows(&found.directions[..kept])?);
        findings.array("mean", Array::new([found.mean.len()], found.mean.clone())?);
        findings.figures.push(self.variance_figure(found));
        if self.examples > 0 {
            let projected = found.project(&activity.examples, kept)?;
            findings.array("trajectories", Array::from(&projected));
            if kept >= 2 {
                findings.figures.push(self.trajectory_figure(&activity, &projected));
            } else {
                findings.note("paths need two components; none are drawn");
            }
        }
        Ok(findings)
    }
}

impl Pca {
    fn played(&self, subject: &Subject) -> Result<Activity> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let mut covariance = Covariance::new();
        let mut first: Option<(Tensor, Trials)> = None;
        let sizes = (0..self.trials)
            .step_by(BATCH.max(self.examples))
            .map(|done| (self.trials - done).min(BATCH.max(self.examples)));
        for (index, size) in sizes.enumerate() {
            let played = view.play(&network, &lesson, size, Record::Rates, &subject.stream.at(index as u64))?;
            let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
            covariance.push(&rates)?;
            first.get_or_insert((rates, played.trials));
        }
        let (rates, trials) = first.ok_or_else(|| Error::config("trials", "is 0", "must be at least 1"))?;
        let shown = self.examples.min(trials.batch());
        let axis = TimeAxis::new(view, &lesson);
        let levels = choice::levels(view, &lesson);
        Ok(Activity {
            found: covariance.components()?,
            time: (axis.all(rates.size()[0] as usize), axis.label()),
            examples: rates.narrow(1, 0, shown as i64),
            colours: self.colours(&trials, shown)?,
            title: if levels.is_empty() { view.label.clone() } else { format!("{}, {levels}", view.label) },
        })
    }

    fn recorded(&self, subject: &Subject) -> Result<Activity> {
        let (title, tensor) = recorded_activity(subject, self.array.as_deref())?;
        let mut covariance = Covariance::new();
        covariance.push(&tensor)?;
        let shown = self.examples.min(tensor.size()[1] as usize);
        Ok(Activity {
            found: covariance.components()?,
            time: ((0..tensor.size()[0]).map(|step| step as f64).collect(), "time (steps)"),
            examples: tensor.narrow(1, 0, shown as i64),
            colours: None,
            title,
        })
    }

    /// One value per example trial.
    fn colours(&self, trials: &Trials, shown: usize) -> Result<Option<(String, Vec<f64>)>> {
        let classes = || {
            let target = trials.targets.first().filter(|target| target.values.kind() == Kind::Int64)?;
            // The class at the last step, where there is one at every step.
            let last = if target.values.dim() == 1 { target.values.shallow_clone() } else { target.values.get(-1) };
            Some(("target".to_string(), values_f64(&last)[..shown].to_vec()))
        };
        let condition =
            |name: &str| trials.conditions.get(name).map(|values| (name.to_string(), values[..shown].to_vec()));
        match self.colour_by.as_deref() {
            None => Ok(classes().or_else(|| condition(trials.conditions.keys().next()?))),
            Some("target") => match classes() {
                Some(found) => Ok(Some(found)),
                None => Err(Error::config("colour_by", "is target, but the task has no classes", "name a condition")),
            },
            Some(name) => condition(name).map(Some).ok_or_else(|| {
                let known: Vec<&str> = trials.conditions.keys().map(String::as_str).collect();
                let remedy = if known.is_empty() {
                    "its trials have none".into()
                } else {
                    format!("use one of: {}", known.join(", "))
                };
                Error::config("colour_by", format_args!("is '{name}', which is no condition of the trials"), remedy)
            }),
        }
    }

    fn variance_figure(&self, found: &PrincipalComponents) -> Figure {
        let shares = found.shares();
        let dimension = found.count_for(self.threshold);
        let shown = shares.len().min((2 * dimension).max(20));
        let numbers: Vec<f64> = (1..=shown).map(|k| k as f64).collect();
        let floor = shares[..shown].iter().copied().filter(|s| *s > 1e-12).fold(1.0, f64::min);
        let share = Panel::new("")
            .x("component")
            .y(Axis::new("share of variance").log().limits(floor * 0.7, 1.2))
            .mark(Line::new(&numbers, &shares[..shown]).dots());
        let running = Panel::new("")
            .x("components")
            .y(Axis::new("variance explained").limits(0.0, 1.03))
            .mark(Line::new(&numbers, &found.cumulative()[..shown]).dots())
            .mark(Rule::horizontal(self.threshold).label(format!("{} %", percent(self.threshold))))
            .mark(Rule::vertical(dimension as f64).colour(Colour::palette(1)).label(format!("dimension {dimension}")));
        Figure::new("variance", "Variance by principal component").panel(share).panel(running).caption(format!(
            "{dimension} of {} components reach {} % of the variance; the participation ratio is {:.2}.",
            shares.len(),
            percent(self.threshold),
            found.participation_ratio()
        ))
    }

    /// `projected` is `[time, trial, component]`.
    fn trajectory_figure(&self, activity: &Activity, projected: &Tensor) -> Figure {
        let trials = projected.size()[1];
        let spatial = self.view == View::Space && projected.size()[2] >= 3;
        let coordinate = |trial: i64, axis: i64| values_f64(&projected.select(1, trial).select(1, axis));
        let shares = activity.found.shares();
        let label = |k: usize| format!("PC {} ({:.0} %)", k + 1, 100.0 * shares[k]);
        let panel = |title: &str| {
            let panel = Panel::new(title).x(label(0)).y(label(1));
            if spatial { panel.z(label(2)) } else { panel }
        };
        let draw = |panel: Panel, trials: &[i64], style: &Style| {
            if spatial {
                let mut mark = Trajectory3::new();
                for trial in trials {
                    mark = mark.path(coordinate(*trial, 0), coordinate(*trial, 1), coordinate(*trial, 2));
                }
                panel.mark(match style {
                    Style::Values(values) => mark.coloured_by(values),
                    Style::Group(label, colour) => mark.label(label).colour(*colour),
                })
            } else {
                let mut mark = Trajectory2::new();
                for trial in trials {
                    mark = mark.path(coordinate(*trial, 0), coordinate(*trial, 1));
                }
                panel.mark(match style {
                    Style::Values(values) => mark.coloured_by(values),
                    Style::Group(label, colour) => mark.label(label).colour(*colour),
                })
            }
        };
        let all: Vec<i64> = (0..trials).collect();
        let (time, time_label) = &activity.time;
        let by_time = draw(panel("by time").colour_label(*time_label), &all, &Style::Values(time.clone()));
        let mut figure =
            Figure::new("trajectories", format!("Activity in its first components: {}", activity.title)).panel(by_time);
        if let Some((name, values)) = &activity.colours {
            let mut kinds: Vec<f64> = values.clone();
            kinds.sort_by(f64::total_cmp);
            kinds.dedup();
            let mut second = panel(&format!("by {name}"));
            if kinds.len() <= 8 {
                for (index, kind) in kinds.iter().enumerate() {
                    let own: Vec<i64> = all.iter().copied().filter(|t| values[*t as usize] == *kind).collect();
                    second = draw(second, &own, &Style::Group(format!("{name} {kind}"), Colour::palette(index)));
                }
            } else {
                second = second.colour_label(name.clone());
                for trial in &all {
                    let constant = vec![values[*trial as usize]; time.len()];
                    second = draw(second, &[*trial], &Style::Values(constant));
                }
            }
            figure = figure.panel(second);
        }
        figure.caption(format!("{trials} example trials; a dot marks the start of each."))
    }
}

/// How paths are coloured.
enum Style {
    /// By a value per time step.
    Values(Vec<f64>),
    /// All alike, with an entry in the legend.
    Group(String, Colour),
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share).trim_end_matches('0').trim_end_matches('.').to_string()
}

fn table(found: &PrincipalComponents, kept: usize) -> Table {
    let mut table =
        Table::new("components", "Principal components", &["component", "variance", "share", "running sum"]);
    let rows = found.variances.iter().zip(found.shares()).zip(found.cumulative()).take(kept);
    for (index, ((variance, share), sum)) in rows.enumerate() {
        table.push((index + 1, *variance, share, sum));
    }
    table
}

/// The name of the array of a data file that an analysis of recordings is asked about, and its numbers as `[time, trial, unit]`.
pub(super) fn recorded_activity(subject: &Subject, name: Option<&str>) -> Result<(String, Tensor)> {
    let (name, array) = recorded_array(subject, name)?;
    let tensor = array.to_tensor()?.to_kind(Kind::Double);
    let tensor = match tensor.size()[..] {
        [_, _] => tensor.unsqueeze(1),
        [_, _, _] => tensor,
        ref other => {
            return Err(Error::Shape {
                what: format!("array '{name}'"),
                expected: "[time, unit] or [time, trial, unit]".into(),
                found: format!("{other:?}"),
            });
        }
    };
    Ok((name.to_string(), tensor))
}

/// The array that is asked for, or the only one.
fn recorded_array<'s>(subject: &'s Subject, name: Option<&str>) -> Result<(&'s str, &'s Array)> {
    let known = || subject.data.keys().cloned().collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => {
            let found = subject.data.get_key_value(name);
            found.map(|(key, array)| (key.as_str(), array)).ok_or_else(|| {
                Error::config(
                    "array",
                    format_args!("is '{name}', which the file has not"),
                    format_args!("it has: {}", known()),
                )
            })
        }
        None if subject.data.len() > 1 => {
            let problem = format_args!("is not given and the file has several").to_string();
            Err(Error::config("array", problem, format_args!("choose one of: {}", known())))
        }
        None => {
            let only = subject.data.iter().next().map(|(key, array)| (key.as_str(), array));
            only.ok_or_else(|| Error::Failed("this analysis needs a run or a data file".into()))
        }
    }
}

synfire::inventory::submit! { Component::analysis::<Pca>("pca") }

#[cfg(test)]
mod tests;
