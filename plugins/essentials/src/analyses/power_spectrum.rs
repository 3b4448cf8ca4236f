//! Power spectra of the activity of a network, or of recorded activity.

use super::choice;
use super::pca::recorded_activity;
use crate::power::Welch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::figure::{Axis, Colour, Figure, Histogram, Line, Panel};
use synfire::rollout::Record;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Analysis, Component, Error, Problems, Registry, Result, Subject};

/// Power spectra of the units' rates during trials: at which frequencies activity fluctuates.
///
/// Rates `[time, trial, unit]`; the density of each unit by Welch's method (segments that overlap by half, freed of their mean,
/// Hann window) averaged over trials. It integrates to the unit's variance within segments. Frequencies are in Hz where the task has
/// times in ms, or where `rate_hz` says how recordings were sampled, else in cycles per step. The exponent is the slope of the mean
/// density in double logarithmic axes over the lower half of the frequencies, sign turned: 0 for white noise, 2 for Brownian motion.
/// Instead of a run it takes a data file with an array `[time, unit]` or `[time, trial, unit]`.
///
/// figure `power`: mean density over units with quartiles, and where units have their peak
/// tables `unit_power`: one row a unit
/// arrays `frequency` `[frequency]`, `density` `[unit, frequency]`
///
/// Source: Welch 1967, doi:10.1109/TAU.1967.1161901.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PowerSpectrum {
    /// Level that is played; absent for the lesson that was trained last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; absent for the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// Steps in a segment; absent for the whole trial, or 256 where it is longer.
    #[schemars(range(min = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<usize>,
    /// Which array of a data file; absent where it has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Samples per second of a data file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_hz: Option<f64>,
}

impl Default for PowerSpectrum {
    fn default() -> Self {
        Self { level: None, trials: 64, update: None, segment: None, array: None, rate_hz: None }
    }
}

/// Segments are no longer than this unless asked for.
const SEGMENT: usize = 256;

#[typetag::serde(name = "power-spectrum")]
impl Analysis for PowerSpectrum {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        if let Some(segment) = self.segment {
            problems.require(segment >= 2, "segment", segment, "at least 2");
        }
        if let Some(rate) = self.rate_hz {
            problems.require(rate.is_finite() && rate > 0.0, "rate_hz", rate, "above 0");
        }
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let (rates, sampling, title) = if subject.runs.is_empty() {
            let (name, tensor) = recorded_activity(subject, self.array.as_deref())?;
            (tensor, self.rate_hz, name)
        } else {
            let view = subject.run()?;
            let network = view.network(choice::at(self.update))?;
            let lesson = choice::lesson(view, self.level)?;
            let played = view.play(&network, &lesson, self.trials, Record::Rates, &subject.stream)?;
            let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
            let dt_ms = lesson.dt_ms.or(view.parts.spec.dt_ms);
            (rates, dt_ms.map(|dt| 1000.0 / dt), view.label.clone())
        };
        if rates.isfinite().all().int64_value(&[]) == 0 {
            return Err(Error::Failed(
                "the activity is not finite; look at an earlier checkpoint with update = N".into(),
            ));
        }
        let steps = rates.size()[0] as usize;
        let length = self.segment.unwrap_or(steps.min(SEGMENT));
        if length > steps {
            let remedy = format!("the trials have {steps} steps");
            return Err(Error::config("segment", format_args!("is {length}"), remedy));
        }
        let welch = Welch::new(length, sampling.unwrap_or(1.0))?;
        let densities = densities(&welch, &rates, subject)?;
        let unit = if sampling.is_some() { "Hz" } else { "cycles/step" };
        findings(&welch.frequencies(), &densities, unit, length, &title)
    }
}

/// Density of each unit, averaged over trials; units side by side.
fn densities(welch: &Welch, rates: &Tensor, subject: &Subject) -> Result<Vec<Vec<f64>>> {
    let (time, trials, units) = rates.size3()?;
    // `[unit, trial, time]`, so that every signal is one stretch.
    let signals = rates.to_device(Device::Cpu).to_kind(Kind::Double).permute([2, 1, 0]);
    let per_unit: Vec<Vec<f64>> = (0..units).map(|unit| values_f64(&signals.get(unit))).collect();
    let found = subject.workers.map(per_unit, |values| -> Result<Vec<f64>> {
        let mut sum = vec![0.0; welch.frequencies().len()];
        for signal in values.chunks(time as usize) {
            sum.iter_mut().zip(welch.density(signal)?).for_each(|(sum, value)| *sum += value / trials as f64);
        }
        Ok(sum)
    });
    found.into_iter().collect()
}

fn findings(frequencies: &[f64], densities: &[Vec<f64>], unit: &str, length: usize, title: &str) -> Result<Findings> {
    let mut findings = Findings::new();
    let columns = ["unit".to_string(), "power".into(), format!("peak ({unit})"), format!("centroid ({unit})")];
    let mut table = Table::new("unit_power", "Power of each unit", &columns);
    let width = frequencies.get(1).copied().unwrap_or(1.0);
    let mut peaks = Vec::new();
    for (index, density) in densities.iter().enumerate() {
        let power: f64 = density.iter().sum::<f64>() * width;
        // Frequency 0 is emptied by taking the mean off.
        let peak = (1..density.len()).max_by(|a, b| density[*a].total_cmp(&density[*b])).filter(|_| power > 0.0);
        let moment: f64 = density.iter().zip(frequencies).map(|(d, f)| d * f).sum::<f64>() * width;
        let peak = peak.map(|at| frequencies[at]);
        peaks.extend(peak);
        table.push((index, power, peak, (power > 0.0).then(|| moment / power)));
    }
    let column = |of: &dyn Fn(&mut Vec<f64>) -> f64| -> Vec<f64> {
        (0..frequencies.len()).map(|k| of(&mut densities.iter().map(|density| density[k]).collect())).collect()
    };
    let mean = column(&|values| values.iter().sum::<f64>() / values.len().max(1) as f64);
    findings.value("power", mean.iter().sum::<f64>() * width);
    findings.value("exponent", exponent(frequencies, &mean));
    let largest = (1..mean.len()).max_by(|a, b| mean[*a].total_cmp(&mean[*b])).filter(|at| mean[*at] > 0.0);
    findings.value(format!("peak ({unit})"), largest.map(|at| frequencies[at]));
    findings.value("steps in a segment", length);
    if largest.is_none() {
        findings.note("the activity does not change over time, so it has no power");
    }
    findings.tables.push(table);
    findings.array("frequency", Array::new([frequencies.len()], frequencies.to_vec())?);
    findings.array("density", Array::from_rows(densities)?);
    let quartile = |share: f64| {
        column(&|values| {
            values.sort_by(f64::total_cmp);
            let at = share * values.len().saturating_sub(1) as f64;
            values.get(at.round() as usize).copied().unwrap_or(f64::NAN)
        })
    };
    let positive = |values: Vec<f64>| values[1..].to_vec();
    let density = Panel::new("")
        .x(Axis::new(format!("frequency ({unit})")).log())
        .y(Axis::new(format!("power density (rate²/{})", if unit == "Hz" { "Hz" } else { "(cycle/step)" })).log())
        .mark(
            Line::new(&frequencies[1..], positive(mean))
                .band(positive(quartile(0.25)), positive(quartile(0.75)))
                .label("mean over units, quartiles"),
        );
    let peak = Panel::new("")
        .x(format!("frequency of the peak ({unit})"))
        .y("units")
        .mark(Histogram::new(peaks).colour(Colour::palette(2)));
    findings.figures.push(Figure::new("power", format!("Power of the activity: {title}")).panel(density).panel(peak).caption(
        "Power spectral density of the rates, mean over units and trials with the quartiles over units, and the frequency at which each unit has most power.",
    ));
    Ok(findings)
}

/// The slope of the density in double logarithmic axes by least squares, sign turned, over the lower half of the frequencies.
fn exponent(frequencies: &[f64], density: &[f64]) -> Option<f64> {
    let upper = frequencies.last()? / 2.0;
    let points: Vec<(f64, f64)> = frequencies
        .iter()
        .zip(density)
        .filter(|(frequency, value)| **frequency > 0.0 && **frequency <= upper && **value > 0.0)
        .map(|(frequency, value)| (frequency.ln(), value.ln()))
        .collect();
    if points.len() < 2 {
        return None;
    }
    let count = points.len() as f64;
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / count, y + p.1 / count));
    let (cross, square) = points
        .iter()
        .fold((0.0, 0.0), |(c, s), (x, y)| (c + (x - mean_x) * (y - mean_y), s + (x - mean_x) * (x - mean_x)));
    Some(-cross / square)
}

synfire::inventory::submit! { Component::analysis::<PowerSpectrum>("power-spectrum") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::Stream;
    use synfire::table::Value;
    use synfire::workers::Workers;

    fn on(array: Array, options: PowerSpectrum) -> Result<Findings> {
        let workers = Workers::new(2).expect("threads");
        let data = [("x".to_string(), array)].into_iter().collect();
        options.run(&Subject { runs: vec![], groups: vec![], data, stream: Stream::new(1), workers: &workers })
    }

    #[test]
    fn a_wave_has_its_power_at_its_frequency() {
        let rows: Vec<Vec<f64>> =
            (0..200).map(|k| vec![(f64::from(k) * std::f64::consts::TAU * 5.0 / 100.0).sin(), 1.0]).collect();
        let options = PowerSpectrum { rate_hz: Some(100.0), segment: Some(100), ..PowerSpectrum::default() };
        let found = on(Array::from_rows(&rows).expect("rectangular"), options).expect("runs");
        assert_eq!(found.values["peak (Hz)"], Value::Number(5.0));
        // variance of a sine; the constant unit has none and no peak
        let Value::Number(power) = found.tables[0].rows[0][1] else { panic!("a number") };
        assert!((power - 0.5).abs() < 1e-9, "{power}");
        assert_eq!(found.tables[0].rows[1][2], Value::Missing);
        assert!(found.figures[0].to_svg().is_ok());
    }

    #[test]
    fn powers_of_the_frequency_give_their_exponent() {
        let frequencies: Vec<f64> = (0..50).map(f64::from).collect();
        let density: Vec<f64> = frequencies.iter().map(|f| 3.0 * f.powf(-1.5)).collect();
        assert!((exponent(&frequencies, &density).expect("a line") - 1.5).abs() < 1e-12);
        assert_eq!(exponent(&[0.0, 1.0], &[0.0, 0.0]), None);
    }

    #[test]
    fn segments_longer_than_the_recording_are_refused() {
        let short = Array::from_rows(&vec![vec![1.0]; 10]).expect("rectangular");
        let error = on(short, PowerSpectrum { segment: Some(20), ..PowerSpectrum::default() }).expect_err("short");
        assert_eq!(error.to_string(), "segment is 20; the trials have 10 steps");
    }
}
