//! The gate timescales of one network.

use super::super::summary::Summary;
use super::watch::{Traces, Watched};
use indexmap::IndexMap;
use synfire::subject::RunView;
use synfire::tensors::values_f64;
use synfire::{Error, Result};
use synfire_essentials::checkpoints::{Stage, level_name};

/// The timescale in steps of a unit that keeps this share of its state in a step.
pub(super) fn tau(kept: f64) -> f64 {
    1.0 / (1.0 - kept)
}

/// What was measured of one gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gate {
    pub name: String,
    /// Mean over time, `[trial][unit]`.
    pub means: Vec<Vec<f64>>,
    /// What its biases alone make of it, `[unit]`.
    pub biases: Vec<f64>,
}

impl Gate {
    /// Mean over time and trials of each unit.
    pub fn units(&self) -> Vec<f64> {
        let trials = self.means.len() as f64;
        (0..self.biases.len()).map(|unit| self.means.iter().map(|trial| trial[unit]).sum::<f64>() / trials).collect()
    }

    /// Mean over time, trials and units.
    pub fn mean(&self) -> f64 {
        Summary::of(&self.units()).mean
    }

    /// The timescale of the mean over everything, in steps.
    pub fn tau(&self) -> f64 {
        tau(self.mean())
    }

    /// Of the timescales of units, in steps.
    pub fn tau_of_units(&self) -> Summary {
        Summary::of(&self.units().into_iter().map(tau).collect::<Vec<_>>())
    }

    /// Of the timescales of units by their biases alone, in steps.
    pub fn tau_from_biases(&self) -> Summary {
        Summary::of(&self.biases.iter().copied().map(tau).collect::<Vec<_>>())
    }
}

/// What was measured of one network.
#[derive(Debug)]
pub(super) struct Measured {
    /// The run.
    pub label: String,
    pub update: u64,
    /// Hardest level it was trained on.
    pub level: Option<usize>,
    pub level_name: String,
    /// Those that keep the state, one a layer.
    pub gates: Vec<Gate>,
    /// The probability of ones in each trial, where bits were drawn.
    pub ones: Vec<f64>,
    pub traces: Traces,
}

impl Measured {
    /// Join the groups of trials.
    ///
    /// # Errors
    /// [`Error::Shape`] when a gate has not one value for each trial and unit.
    pub fn new(run: &RunView, stage: &Stage, parts: Vec<Watched>, biases: &IndexMap<String, Vec<f64>>) -> Result<Self> {
        let mut gates = Vec::new();
        for (name, biases) in biases {
            let mut means = Vec::new();
            for part in &parts {
                let tensor = part.means.get(name)?;
                let units = biases.len();
                if tensor.dim() != 2 || tensor.size()[1] as usize != units {
                    return Err(Error::Shape {
                        what: format!("the gate '{name}'"),
                        expected: format!("[batch, {units}]"),
                        found: format!("{:?}", tensor.size()),
                    });
                }
                means.extend(values_f64(tensor).chunks(units.max(1)).map(<[f64]>::to_vec));
            }
            gates.push(Gate { name: name.clone(), means, biases: biases.clone() });
        }
        let mut measured = Self {
            label: run.label.clone(),
            update: stage.update,
            level: stage.level,
            level_name: level_name(run),
            gates,
            ones: parts.iter().flat_map(|part| part.ones.iter().copied()).collect(),
            traces: Traces::default(),
        };
        if let Some(first) = parts.into_iter().next() {
            measured.traces = first.traces;
        }
        Ok(measured)
    }

    /// The mean probability of ones, or NaN where no bits were drawn.
    pub fn rate_of_ones(&self) -> f64 {
        Summary::of(&self.ones).mean
    }
}
