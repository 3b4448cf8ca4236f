//! The timescales of one network.

use super::super::clock::time_constants;
use super::super::summary::{Summary, share};
use super::simulation::Simulated;
use crate::autocorrelation::autocorrelation;
use crate::exponential_fit::{Component, Criterion, FitOptions, Timescale, fit_timescale};
use synfire::Property;
use synfire::subject::RunView;
use synfire::workers::Workers;
use synfire_essentials::checkpoints::{Stage, level_name};

/// A timescale of at most one step is no memory: the autocorrelation falls or alternates within a step.
const LEAST_TAU_STEPS: f64 = 1.0;

/// Where an activity comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Origin {
    /// The run, or the array.
    pub label: String,
    /// Updates of the network.
    pub update: Option<u64>,
    /// Hardest level it was trained on.
    pub level: Option<usize>,
    /// What levels are called.
    pub level_name: String,
    /// Trained time constants in steps, one for each of the units that heads read or one for all; empty where there are none.
    pub trained: Vec<f64>,
}

impl Origin {
    /// A network of a run, whose heads read this many units, played with symbols of so many steps.
    pub fn of(run: &RunView, stage: &Stage, units: usize, substeps: Option<usize>) -> Self {
        // In a network of several layers all must have them, else it is not said which units they belong to.
        let has = |registry| run.parts.cell.provides(registry).contains(&Property::TimeConstants);
        let layers = match run.context().is_ok_and(|context| has(context.registry)) {
            true => time_constants(run, &stage.checkpoint.parameters, substeps),
            false => Vec::new(),
        };
        let layers: Vec<Vec<f64>> =
            layers.into_iter().map(|(clock, taus)| taus.into_iter().map(|tau| tau / clock.step).collect()).collect();
        let trained = match (&layers[..], layers.concat()) {
            ([only], _) => only.clone(),
            (_, all) if all.len() == units => all,
            ([.., last], _) if last.len() == units => last.clone(),
            _ => Vec::new(),
        };
        Self {
            label: run.label.clone(),
            update: Some(stage.update),
            level: stage.level,
            level_name: level_name(run),
            trained,
        }
    }

    pub fn data(name: &str) -> Self {
        let (update, level, trained) = (None, None, Vec::new());
        Self { label: name.to_string(), update, level, level_name: "level".into(), trained }
    }

    /// The trained time constant of a unit, in steps.
    pub fn trained_tau(&self, unit: usize) -> Option<f64> {
        if let [shared] = self.trained[..] { Some(shared) } else { self.trained.get(unit).copied() }
    }
}

/// What was measured of one network.
#[derive(Debug)]
pub(super) struct Measured {
    pub origin: Origin,
    /// For each unit the autocorrelation at lags `0..=max_lag`, if it is not silent.
    pub curves: Vec<Option<Vec<f64>>>,
    /// For each unit what the fits say, if it is not silent.
    pub fits: Vec<Option<Timescale>>,
    /// The autocorrelation of the sum over units, if it is not constant.
    pub population: Option<Vec<f64>>,
    /// What the fits say about it.
    pub population_fit: Option<Timescale>,
    /// The probability of ones in each trial, where bits were drawn.
    pub ones: Vec<f64>,
    /// Units whose activity was not finite.
    pub broken: usize,
    /// The options of the fits.
    pub fit: FitOptions,
}

impl Measured {
    pub fn new(origin: Origin, simulated: Simulated, fit: &FitOptions, workers: &Workers) -> Self {
        let Simulated { units, population, ones } = simulated;
        let broken = units.iter().filter(|lags| lags.iter().any(|value| !value.is_finite())).count();
        let fits = workers.map(units.iter().collect(), |lags: &Vec<f64>| fit_timescale(lags, fit));
        Self {
            origin,
            curves: units.iter().map(|lags| autocorrelation(lags)).collect(),
            fits,
            population_fit: fit_timescale(&population, fit),
            population: autocorrelation(&population),
            ones,
            broken,
            fit: fit.clone(),
        }
    }

    /// The timescale of each unit, with the weight of its exponential.
    pub fn components(&self) -> impl Iterator<Item = Option<Component>> {
        self.fits.iter().map(|fit| fit.as_ref().and_then(Timescale::tau_net))
    }

    /// Units whose timescale counts, with their numbers.
    pub fn kept(&self) -> Vec<(usize, Component)> {
        let units = self.components().enumerate();
        units.filter_map(|(unit, c)| c.filter(|c| c.tau_steps > LEAST_TAU_STEPS).map(|c| (unit, c))).collect()
    }

    /// The timescales that count, in steps.
    pub fn kept_taus(&self) -> Vec<f64> {
        self.kept().into_iter().map(|(_, component)| component.tau_steps).collect()
    }

    /// Units that are constant or not finite.
    pub fn silent(&self) -> usize {
        self.fits.iter().filter(|fit| fit.is_none()).count()
    }

    /// Units with a timescale too short to count, or none that the criterion could choose.
    pub fn dropped(&self) -> usize {
        self.fits.len() - self.silent() - self.kept().len()
    }

    pub fn summary(&self) -> Summary {
        Summary::of(&self.kept_taus())
    }

    /// Share of the fitted units for which both criteria choose the same number of exponentials.
    pub fn agreement(&self) -> f64 {
        let number = |fit: &Timescale, criterion| fit.chosen_by(criterion).map(|fit| fit.components.len());
        let fits: Vec<&Timescale> = self.fits.iter().flatten().collect();
        let agree = |fit: &&&Timescale| number(fit, Criterion::Aic) == number(fit, Criterion::Bic);
        fits.iter().filter(agree).count() as f64 / fits.len() as f64
    }

    /// Share of the kept units whose timescale lies at the largest that was tried.
    pub fn at_bound(&self) -> f64 {
        share(&self.kept_taus(), |tau| tau >= 0.999 * self.fit.largest_tau_steps)
    }

    /// Share of the kept units whose timescale carries less than a hundredth of the amplitude.
    pub fn small_weight(&self) -> f64 {
        let weights: Vec<f64> = self.kept().into_iter().map(|(_, component)| component.weight).collect();
        share(&weights, |weight| weight < 0.01)
    }

    /// The population's timescale in steps.
    pub fn population_tau(&self) -> Option<f64> {
        self.population_fit.as_ref().and_then(Timescale::tau_net).map(|component| component.tau_steps)
    }
}
