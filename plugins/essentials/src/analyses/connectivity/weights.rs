//! Statistics of the weights of each unit.

use crate::variants::mean_and_deviation;
use synfire::{Error, Result};

/// What is measured of the weights of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    IncomingMean,
    IncomingDeviation,
    OutgoingMean,
    OutgoingDeviation,
}

impl Statistic {
    pub const ALL: [Self; 4] =
        [Self::IncomingMean, Self::IncomingDeviation, Self::OutgoingMean, Self::OutgoingDeviation];

    /// As in tables and on axes.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::IncomingMean => "mean incoming weight",
            Self::IncomingDeviation => "deviation of incoming weights",
            Self::OutgoingMean => "mean outgoing weight",
            Self::OutgoingDeviation => "deviation of outgoing weights",
        }
    }

    /// As among arrays.
    pub fn name(self) -> &'static str {
        match self {
            Self::IncomingMean => "incoming_mean",
            Self::IncomingDeviation => "incoming_deviation",
            Self::OutgoingMean => "outgoing_mean",
            Self::OutgoingDeviation => "outgoing_deviation",
        }
    }
}

/// The statistics of all units.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weights {
    /// One list a statistic, in the order of [`Statistic::ALL`].
    values: [Vec<f64>; 4],
    negative: f64,
}

impl Weights {
    /// Of a matrix `[target, source]`, row-major; NaN for a unit without others.
    pub fn of(matrix: &[f64], units: usize) -> Result<Self> {
        if units.checked_mul(units) != Some(matrix.len()) {
            let (expected, found) = (format!("[{units}, {units}]"), format!("{} numbers", matrix.len()));
            return Err(Error::Shape { what: "the recurrent weights".into(), expected, found });
        }
        let mut values: [Vec<f64>; 4] = Default::default();
        let (mut negative, mut count) = (0usize, 0usize);
        for unit in 0..units {
            let others = || (0..units).filter(move |other| *other != unit);
            let incoming: Vec<f64> = others().map(|source| matrix[unit * units + source]).collect();
            let outgoing: Vec<f64> = others().map(|target| matrix[target * units + unit]).collect();
            negative += incoming.iter().filter(|weight| **weight < 0.0).count();
            count += incoming.len();
            for (place, list) in [(0, &incoming), (2, &outgoing)] {
                let (mean, deviation) = mean_and_deviation(list).unwrap_or((f64::NAN, f64::NAN));
                values[place].push(mean);
                values[place + 1].push(deviation);
            }
        }
        Ok(Self { values, negative: negative as f64 / count as f64 })
    }

    /// One number a unit.
    pub fn get(&self, statistic: Statistic) -> &[f64] {
        &self.values[statistic as usize]
    }

    pub fn units(&self) -> usize {
        self.values[0].len()
    }

    /// Mean over all connections between units.
    pub fn mean(&self) -> Option<f64> {
        mean_and_deviation(self.get(Statistic::IncomingMean)).map(|(mean, _)| mean).filter(|mean| mean.is_finite())
    }

    /// Share of the connections between units that is negative.
    pub fn negative(&self) -> Option<f64> {
        Some(self.negative).filter(|share| share.is_finite())
    }
}
