//! What becomes of the accuracy when parameters are disturbed.

use super::choice;
use crate::variants::{self, Variants, with_copies};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule};
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::{Kind, Tensor};
use synfire::{Analysis, Component, Error, Problems, Properties, Property, Registry, Result, Stream, Subject, Tensors};

/// Accuracy under noise on the recurrent weights or the time constants, against the strength of the noise.
///
/// With a parameter `p`, the strength `e` and noise `d` of the shape of `p`, Euclidean norms `|.|`:
///
/// - `recurrent-normalized`: `W + e |W| / |d| d` with standard normal `d`: `e` is the relative size of the disturbance
/// - `recurrent-additive`: `W + e d`
/// - `recurrent-multiplicative`: `W (1 + e u)` with `u` uniform in `[0, 1)`, entry by entry
/// - `time-constants-normalized`: `tau + e |tau| / |d| d`
/// - `time-constants-absolute`: the same with the modulus of `d`, so that time constants only grow
/// - `time-constants-additive`: `tau + e d`
/// - `time-constants-multiplicative`: `tau (1 + e u)`
///
/// The noise acts on the parameters; what the cell makes of them (masks, signs, bounds on time constants) is applied after. Each
/// strength has `draws` draws of its own; all are judged on the same fresh trials with the same initial states as the network itself.
/// The relative accuracy is `(accuracy - chance) / (base - chance)`; means and deviations are over draws.
///
/// figures `robustness`: relative accuracy against strength, mean and deviation over draws
/// tables  `strengths`: one row a kind and strength, strength 0 being the network itself
/// arrays  per kind, with `_` for `-`: `KIND_strength` `[strength]`, `KIND_accuracy` `[strength, draw]`
///
/// Source: Khajehabdollahi et al. 2024, arXiv:2309.12927, figure 5, whose ranges of strength are the defaults: 0.01 to 10 in 10
/// steps for weights, 0.001 to 10 in 13 steps for time constants. Differs: accuracies are relative as its axes say (its plots show
/// raw ones), and trials are drawn once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Perturbation {
    /// Level that is judged; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Trials that every variant is judged on.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// What is disturbed, and how.
    pub kinds: Vec<Disturbance>,
    /// How strongly; absent for the published range of each kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strengths: Option<Strengths>,
    /// Draws of the noise for each strength.
    #[schemars(range(min = 1))]
    pub draws: usize,
    /// Accuracy of guessing; absent for that of the task's objective.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// What is disturbed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// Normal noise on the recurrent weights, its norm a multiple of theirs.
    RecurrentNormalized,
    /// Normal noise on each recurrent weight.
    RecurrentAdditive,
    /// Each recurrent weight grows by a random factor.
    RecurrentMultiplicative,
    /// Normal noise on the time constants, its norm a multiple of theirs.
    TimeConstantsNormalized,
    /// The same, without signs: time constants only grow.
    TimeConstantsAbsolute,
    /// Normal noise on each time constant.
    TimeConstantsAdditive,
    /// Each time constant grows by a random factor.
    TimeConstantsMultiplicative,
}

/// Strengths at equal ratios.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strengths {
    /// The smallest.
    #[schemars(range(min = 0.0))]
    pub lowest: f64,
    /// The largest.
    #[schemars(range(min = 0.0))]
    pub highest: f64,
    /// How many there are.
    #[schemars(range(min = 1))]
    pub count: usize,
}

impl Default for Perturbation {
    fn default() -> Self {
        Self {
            level: None,
            trials: 500,
            update: None,
            kinds: vec![Disturbance::RecurrentNormalized],
            strengths: None,
            draws: 10,
            chance: None,
        }
    }
}

impl Strengths {
    /// The strengths, the smallest first.
    pub fn values(self) -> Vec<f64> {
        let last = self.count.saturating_sub(1).max(1) as f64;
        let ratio = self.highest / self.lowest;
        (0..self.count).map(|k| self.lowest * ratio.powf(k as f64 / last)).collect()
    }
}

/// How noise becomes a change of a parameter.
#[derive(Clone, Copy, PartialEq)]
enum Noise {
    Normalized,
    Absolute,
    Additive,
    Multiplicative,
}

impl Disturbance {
    fn parts(self) -> (bool, Noise) {
        match self {
            Self::RecurrentNormalized => (true, Noise::Normalized),
            Self::RecurrentAdditive => (true, Noise::Additive),
            Self::RecurrentMultiplicative => (true, Noise::Multiplicative),
            Self::TimeConstantsNormalized => (false, Noise::Normalized),
            Self::TimeConstantsAbsolute => (false, Noise::Absolute),
            Self::TimeConstantsAdditive => (false, Noise::Additive),
            Self::TimeConstantsMultiplicative => (false, Noise::Multiplicative),
        }
    }

    /// The name as it is written in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::RecurrentNormalized => "recurrent-normalized",
            Self::RecurrentAdditive => "recurrent-additive",
            Self::RecurrentMultiplicative => "recurrent-multiplicative",
            Self::TimeConstantsNormalized => "time-constants-normalized",
            Self::TimeConstantsAbsolute => "time-constants-absolute",
            Self::TimeConstantsAdditive => "time-constants-additive",
            Self::TimeConstantsMultiplicative => "time-constants-multiplicative",
        }
    }

    fn strengths(self) -> Strengths {
        match self.parts().0 {
            true => Strengths { lowest: 1e-2, highest: 1e1, count: 10 },
            false => Strengths { lowest: 1e-3, highest: 1e1, count: 13 },
        }
    }

    fn disturbs(self, name: &str) -> bool {
        match self.parts().0 {
            true => ["recurrent.weight", "recurrent.left", "recurrent.right"].contains(&name),
            false => name == "time_constants",
        }
    }

    /// Disturbed parameters; those of the original are left as they are.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is nothing to disturb.
    pub fn apply(self, parameters: &Tensors, strength: f64, stream: &Stream) -> Result<Tensors> {
        let mut changed = with_copies(parameters, |_| false);
        let mut any = false;
        for (name, tensor) in parameters.iter().filter(|(name, _)| self.disturbs(name)) {
            let mut stream = stream.child(name);
            let (shape, kind, device) = (tensor.size(), tensor.kind(), tensor.device());
            let noisy = match self.parts().1 {
                Noise::Multiplicative => {
                    tensor.f_mul(&(stream.uniform_tensor(&shape, 0.0, 1.0, kind, device) * strength + 1.0))?
                }
                Noise::Additive => tensor.f_add(&(stream.normal_tensor(&shape, kind, device) * strength))?,
                noise => {
                    let drawn = stream.normal_tensor(&shape, kind, device);
                    let drawn = if noise == Noise::Absolute { drawn.abs() } else { drawn };
                    let norm = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
                    tensor.f_add(&(&drawn * (strength * norm(tensor) / norm(&drawn).max(f64::MIN_POSITIVE))))?
                }
            };
            changed.insert(name, noisy);
            any = true;
        }
        match any {
            true => Ok(changed),
            false => Err(Error::Failed(format!("the network has no parameter that '{}' could disturb", self.name()))),
        }
    }
}

/// How one kind went.
struct Course {
    kind: Disturbance,
    strengths: Vec<f64>,
    /// `[strength][draw]`
    accuracies: Vec<Vec<f64>>,
}

#[typetag::serde(name = "perturbation")]
impl Analysis for Perturbation {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require(self.draws >= 1, "draws", self.draws, "at least 1");
        problems.require(!self.kinds.is_empty(), "kinds", "empty", "at least one kind of disturbance");
        if let Some(chance) = self.chance {
            problems.require((0.0..1.0).contains(&chance), "chance", chance, "at least 0 and below 1");
        }
        if let Some(Strengths { lowest, highest, count }) = self.strengths {
            problems.inside("strengths", |p| {
                p.require(lowest.is_finite() && lowest > 0.0, "lowest", lowest, "above 0; 0 itself is always included");
                p.require(highest.is_finite() && highest >= lowest, "highest", highest, "at least lowest");
                p.require(count >= 1, "count", count, "at least 1");
            });
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::RateForm, Property::Accuracy]);
        if self.kinds.iter().any(|kind| !kind.parts().0) {
            needs.insert(Property::TimeConstants);
        }
        needs
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let network = view.network(choice::at(self.update))?;
        let lesson = choice::lesson(view, self.level)?;
        let levels = choice::levels(view, &lesson);
        let judges = Variants::new(view, &network, lesson, self.trials, &subject.stream)?;
        let base = variants::accuracy(&judges.base(&network)?)?;
        let chance = self.chance.unwrap_or_else(|| variants::chance(&view.parts.spec));
        let mut courses = Vec::with_capacity(self.kinds.len());
        for &kind in &self.kinds {
            let strengths = self.strengths.unwrap_or_else(|| kind.strengths()).values();
            let noise = subject.stream.child("noise").child(kind.name());
            let mut items = Vec::with_capacity(strengths.len() * self.draws);
            for (index, strength) in strengths.iter().enumerate() {
                items.extend((0..self.draws).map(|draw| (*strength, noise.at(index as u64).at(draw as u64))));
            }
            let results =
                judges.judge(&network, items, |base, (strength, stream)| kind.apply(base, *strength, stream))?;
            let accuracies = results.iter().map(variants::accuracy).collect::<Result<Vec<f64>>>()?;
            let accuracies = accuracies.chunks(self.draws).map(<[f64]>::to_vec).collect();
            courses.push(Course { kind, strengths, accuracies });
        }
        let title = if levels.is_empty() { view.label.clone() } else { format!("{}, {levels}", view.label) };
        self.findings(&courses, base, chance, &title)
    }
}

impl Perturbation {
    fn findings(&self, courses: &[Course], base: f64, chance: f64, title: &str) -> Result<Findings> {
        let mut findings = Findings::new();
        findings.value("accuracy", base);
        findings.value("chance", chance);
        findings.value("trials", self.trials);
        findings.value("draws", self.draws);
        if base <= chance {
            findings
                .note(format!("the network itself answers at chance ({base:.3}), so relative accuracies say nothing"));
        }
        let columns = ["kind", "strength", "accuracy", "deviation", "relative accuracy", "relative deviation"];
        let mut table = Table::new("strengths", "Accuracy by strength of the disturbance", &columns);
        let relative = |accuracy: f64| variants::relative(accuracy, base, chance).unwrap_or(f64::NAN);
        let mut panels = Vec::with_capacity(courses.len());
        let all = || courses.iter().flat_map(|course| course.accuracies.iter().flatten()).map(|a| relative(*a));
        let lower = all().filter(|share| share.is_finite()).fold(0.0, f64::min).max(-1.0);
        let upper = all().filter(|share| share.is_finite()).fold(1.0, f64::max).min(2.0);
        for (index, course) in courses.iter().enumerate() {
            let name = course.kind.name();
            table.push((name, 0.0, base, 0.0, relative(base), 0.0));
            let (mut means, mut deviations) = (Vec::new(), Vec::new());
            for (strength, accuracies) in course.strengths.iter().zip(&course.accuracies) {
                let (mean, deviation) = variants::mean_and_deviation(accuracies).unwrap_or((f64::NAN, f64::NAN));
                let shares: Vec<f64> = accuracies.iter().map(|accuracy| relative(*accuracy)).collect();
                let (share, spread) = variants::mean_and_deviation(&shares).unwrap_or((f64::NAN, f64::NAN));
                table.push((name, *strength, mean, deviation, share, spread));
                means.push(share);
                deviations.push(spread);
            }
            findings.value(format!("half accuracy at {name}"), half(&course.strengths, &means));
            let stem = name.replace('-', "_");
            findings.array(format!("{stem}_strength"), Array::new([course.strengths.len()], course.strengths.clone())?);
            findings.array(format!("{stem}_accuracy"), Array::from_rows(&course.accuracies)?);
            let line = Line::new(&course.strengths, &means).deviation(deviations).dots().colour(Colour::palette(index));
            panels.push(
                Panel::new(name.replace('-', " "))
                    .x(Axis::new("strength").log())
                    .y(Axis::new("relative accuracy").limits(lower - 0.05, upper + 0.05))
                    .mark(Rule::horizontal(1.0))
                    .mark(Rule::horizontal(0.0))
                    .mark(line),
            );
        }
        findings.tables.push(table);
        findings.figures.push(Figure::new("robustness", format!("Disturbed parameters: {title}")).panels(panels).caption(format!(
            "Accuracy relative to that of the network itself ({base:.3}, upper line) and chance ({chance:.3}, lower line): mean and \
             deviation over {} draws, on the same trials for all.",
            self.draws
        )));
        Ok(findings)
    }
}

/// The strength at which the mean first falls to a half, between two strengths by their logarithms.
fn half(strengths: &[f64], means: &[f64]) -> Option<f64> {
    let at = means.iter().position(|mean| *mean <= 0.5)?;
    if at == 0 {
        return Some(strengths[0]);
    }
    let share = (means[at - 1] - 0.5) / (means[at - 1] - means[at]);
    Some(strengths[at - 1] * (strengths[at] / strengths[at - 1]).powf(share))
}

synfire::inventory::submit! { Component::analysis::<Perturbation>("perturbation") }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::trained::network;
    use synfire::tensors::values_f64;

    #[test]
    fn strengths_stand_at_equal_ratios() {
        // numpy.geomspace(1e-2, 1e1, 10)[[0, 1, 4, 9]]
        let found = Disturbance::RecurrentNormalized.strengths().values();
        for (index, expected) in [(0, 0.01), (1, 0.021544346900318832), (4, 0.2154434690031884), (9, 10.0)] {
            assert!((found[index] / expected - 1.0f64).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(Strengths { lowest: 0.5, highest: 0.5, count: 1 }.values(), [0.5]);
    }

    #[test]
    fn normalised_noise_has_the_norm_that_was_asked_for() {
        let network = network(6);
        let before = network.parameters.copy();
        for kind in [Disturbance::RecurrentNormalized, Disturbance::TimeConstantsAbsolute] {
            let changed = kind.apply(&network.parameters, 0.3, &Stream::new(4)).expect("applies");
            for (name, old) in before.iter() {
                let gap = changed.get(name).expect("there") - old;
                let share = (gap.norm() / old.norm()).double_value(&[]);
                let expected = if kind.disturbs(name) { 0.3 } else { 0.0 };
                // biases and heads may be zero at the start; parameters are in double precision here
                assert!(share.is_nan() || (share - expected).abs() < 1e-7, "{name}: {share}");
            }
        }
        assert!(network.parameters.same_bytes(&before));
    }

    #[test]
    fn some_kinds_only_enlarge() {
        let network = network(6);
        let old = values_f64(network.parameters.get("time_constants").expect("there"));
        for kind in [Disturbance::TimeConstantsAbsolute, Disturbance::TimeConstantsMultiplicative] {
            let changed = kind.apply(&network.parameters, 0.5, &Stream::new(4)).expect("applies");
            let new = values_f64(changed.get("time_constants").expect("there"));
            assert!(old.iter().zip(&new).all(|(a, b)| b >= a), "{old:?} {new:?}");
            let other = kind.apply(&network.parameters, 0.5, &Stream::new(5)).expect("applies");
            assert_ne!(new, values_f64(other.get("time_constants").expect("there")));
        }
        let error = Disturbance::RecurrentAdditive.apply(&Tensors::new(), 1.0, &Stream::new(1)).expect_err("nothing");
        assert_eq!(error.to_string(), "the network has no parameter that 'recurrent-additive' could disturb");
    }

    #[test]
    fn half_is_found_between_strengths() {
        assert_eq!(half(&[0.1, 1.0], &[0.9, 0.8]), None);
        assert_eq!(half(&[0.1, 1.0], &[0.4, 0.1]), Some(0.1));
        // from 1 at 0.01 to 0 at 1: half way on the logarithmic axis
        assert!((half(&[0.01, 1.0], &[1.0, 0.0]).expect("falls") - 0.1).abs() < 1e-12);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let registry = Registry::linked().expect("registry");
        let mut problems = Problems::under("analysis");
        let strengths = Some(Strengths { lowest: 0.0, highest: -1.0, count: 0 });
        Perturbation { kinds: vec![], strengths, ..Perturbation::default() }.check(&registry, &mut problems);
        let error = problems.into_result().expect_err("four problems").to_string();
        assert_eq!(error.lines().count(), 4, "{error}");
        assert!(error.contains("analysis.strengths.lowest is 0, must be above 0; 0 itself is always included"));
    }
}
