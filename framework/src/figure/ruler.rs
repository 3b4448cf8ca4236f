//! From numbers to places along an axis: ranges that are never empty, and ticks at round numbers.

use super::{Axis, Scale};
use crate::table::short;

/// Beyond this, differences of two values could overflow; such values are gaps.
const LARGEST: f64 = 1e300;

/// The lowest and highest of the values seen that an axis can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    log: bool,
    low: f64,
    high: f64,
}

impl Extent {
    pub fn new(scale: Scale) -> Self {
        Self { log: scale == Scale::Log, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }

    pub fn of(scale: Scale, values: impl IntoIterator<Item = f64>) -> Self {
        let mut extent = Self::new(scale);
        extent.extend(values);
        extent
    }

    pub fn add(&mut self, value: f64) {
        if shows(self.log, value) {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }

    pub fn extend(&mut self, values: impl IntoIterator<Item = f64>) {
        values.into_iter().for_each(|value| self.add(value));
    }

    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    /// Lower and upper end, always apart; a range around 0 (or 1 on a log scale) when nothing was seen.
    pub fn ends(self) -> (f64, f64) {
        apart(self.log, if self.is_empty() { (f64::NAN, f64::NAN) } else { (self.low, self.high) })
    }

    /// The ends with a margin of `share` of the length on both sides.
    pub fn padded(self, share: f64) -> (f64, f64) {
        let (low, high) = self.ends();
        if self.log {
            let factor = (high / low).powf(share);
            apart(true, ((low / factor).max(f64::MIN_POSITIVE), (high * factor).min(LARGEST)))
        } else {
            let margin = (high - low) * share;
            (low - margin, high + margin)
        }
    }
}

fn shows(log: bool, value: f64) -> bool {
    value.abs() <= LARGEST && (!log || value > 1e-300)
}

/// Two ends that differ enough to divide by their difference.
fn apart(log: bool, (low, high): (f64, f64)) -> (f64, f64) {
    let (low, high) = if high < low { (high, low) } else { (low, high) };
    match (shows(log, low) && shows(log, high), log) {
        (false, false) => (0.0, 1.0),
        (false, true) => (0.1, 10.0),
        (true, true) if high / low < 1.0 + 1e-9 => (low / 2.0, high * 2.0),
        (true, false) if high - low <= 1e-12 * low.abs().max(high.abs()) || high - low < 1e-290 => {
            let margin = if low == 0.0 { 0.5 } else { 0.1 * low.abs().max(1e-280) };
            (low - margin, high + margin)
        }
        _ => (low, high),
    }
}

/// An axis with its range and its length in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruler {
    log: bool,
    /// Lower and upper end, in the units of the data.
    pub ends: (f64, f64),
    /// Places of the lower and the upper end, pixels.
    pub places: (f64, f64),
}

impl Ruler {
    /// The axis' own limits, or `fitted`, over these places; turned round when the axis is reversed.
    pub fn new(axis: &Axis, fitted: (f64, f64), places: (f64, f64)) -> Self {
        let log = axis.scale == Scale::Log;
        let ends = match axis.limits {
            Some((low, high)) if shows(log, low) && shows(log, high) => apart(log, (low, high)),
            _ => apart(log, fitted),
        };
        let places = if axis.reversed { (places.1, places.0) } else { places };
        Self { log, ends, places }
    }

    /// Where `value` lies, also beyond the ends; nothing for a gap.
    pub fn place(&self, value: f64) -> Option<f64> {
        let (low, high) = self.ends;
        let share = match (shows(self.log, value), self.log) {
            (false, _) => return None,
            (true, true) => (value / low).ln() / (high / low).ln(),
            (true, false) => (value - low) / (high - low),
        };
        // Far outside is as good as just outside, and keeps places within the reach of whole numbers.
        let place = self.places.0 + share * (self.places.1 - self.places.0);
        place.is_finite().then(|| place.clamp(-1e6, 1e6))
    }

    /// Where `value` lies, if that is between the ends.
    pub fn inside(&self, value: f64) -> Option<f64> {
        let (from, to) = (self.places.0.min(self.places.1), self.places.0.max(self.places.1));
        self.place(value).filter(|place| (from - 0.5..=to + 0.5).contains(place))
    }

    /// The end of the axis nearest to zero: where bars stand.
    pub fn base(&self) -> f64 {
        let value = if self.log { self.ends.0 } else { 0.0_f64.clamp(self.ends.0, self.ends.1) };
        self.place(value).unwrap_or(self.places.0)
    }

    pub fn length(&self) -> f64 {
        (self.places.1 - self.places.0).abs()
    }

    /// Ticks, at most about `most` of them with a label.
    pub fn ticks(&self, axis: &Axis, most: usize) -> Ticks {
        if !axis.categories.is_empty() {
            let named = axis.categories.iter().enumerate().map(|(index, name)| (index as f64, name.clone()));
            return Ticks::named(named.filter(|(at, _)| self.inside(*at).is_some()));
        }
        if !axis.ticks.is_empty() {
            let shown = axis.ticks.iter().filter(|value| self.inside(**value).is_some());
            return Ticks::named(shown.map(|value| (*value, signed(short(*value)))));
        }
        let least = if axis.whole { 1.0 } else { 0.0 };
        if self.log { log_ticks(self.ends, most) } else { linear_ticks(self.ends, most, least) }
    }
}

/// One tick; without a label it is a minor one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// The ticks of an axis and the power of ten that their labels leave out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ticks {
    pub ticks: Vec<Tick>,
    pub factor: String,
}

impl Ticks {
    fn named(ticks: impl Iterator<Item = (f64, String)>) -> Self {
        Self { ticks: ticks.map(|(at, label)| Tick { at, label }).collect(), factor: String::new() }
    }
}

/// Ticks at least `least` apart.
fn linear_ticks((low, high): (f64, f64), most: usize, least: f64) -> Ticks {
    let rough = (high - low) / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|nice| nice * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0).max(least);
    let largest = low.abs().max(high.abs());
    let exponent = if (1e-2..1e6).contains(&largest) { 0 } else { largest.log10().floor() as i32 };
    let unit = 10f64.powi(exponent);
    let decimals = (-((step / unit).log10() + 1e-9).floor()).clamp(0.0, 15.0) as usize;
    let first = (low / step - 1e-6).ceil();
    let values = (0..=most * 3 + 3).map(|index| (first + index as f64) * step);
    let ticks = values
        .take_while(|value| *value <= high + step * 1e-6)
        .map(|value| Tick { at: value, label: signed(format!("{:.decimals$}", value / unit)) })
        .collect();
    let factor = if exponent == 0 { String::new() } else { format!("×10{}", superscript(exponent)) };
    Ticks { ticks, factor }
}

fn log_ticks((low, high): (f64, f64), most: usize) -> Ticks {
    let span = (high / low).log10();
    if span < 0.7 {
        return linear_ticks((low, high), most, 0.0);
    }
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let within = |value: f64| value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9);
    let decades: Vec<i32> = (first..=last).filter(|power| within(10f64.powi(*power))).collect();
    let plain = low > 0.9e-3 && high < 1.1e5;
    let label = |power: i32, digit: f64| {
        let value = digit * 10f64.powi(power);
        match (plain, digit == 1.0) {
            (true, _) => short(value),
            (false, true) => format!("10{}", superscript(power)),
            (false, false) => format!("{digit}×10{}", superscript(power)),
        }
    };
    let stride = decades.len().div_ceil(most.max(1)).max(1) as i32;
    let mut ticks = Vec::new();
    for power in first..=last {
        for digit in 1..=9 {
            let at = f64::from(digit) * 10f64.powi(power);
            let labelled = match digit {
                1 => power.rem_euclid(stride) == 0,
                2 | 5 => decades.len() < 2,
                _ => false,
            };
            if within(at) && (labelled || stride == 1) {
                let label = if labelled { label(power, f64::from(digit)) } else { String::new() };
                ticks.push(Tick { at, label });
            }
        }
    }
    Ticks { ticks, factor: String::new() }
}

/// A number's text with a proper minus sign, and no sign before zero.
fn signed(text: String) -> String {
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|digit| digit == '0' || digit == '.') => digits.to_string(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

pub(super) fn superscript(exponent: i32) -> String {
    let raised = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        other => char::from_u32('⁰' as u32 + other as u32 - '0' as u32).unwrap_or(other),
    };
    exponent.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, ends: (f64, f64)) -> (Vec<String>, String) {
        let ticks = Ruler::new(&axis, ends, (0.0, 300.0)).ticks(&axis, 5);
        let labels = ticks.ticks.into_iter().map(|tick| tick.label).filter(|label| !label.is_empty());
        (labels.collect(), ticks.factor)
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(Axis::new(""), (-0.52, 1.04)).0, ["−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(Axis::new(""), (0.0, 100.0)).0, ["0", "20", "40", "60", "80", "100"]);
        let (shown, factor) = labels(Axis::new(""), (0.0, 2.1e6));
        assert_eq!((shown.join(" ").as_str(), factor.as_str()), ("0.0 0.5 1.0 1.5 2.0", "×10⁶"));
        assert_eq!(labels(Axis::new(""), (2.0, 4.0)).0, ["2.0", "2.5", "3.0", "3.5", "4.0"]);
        assert_eq!(labels(Axis::new("").whole(), (1.8, 4.2)).0, ["2", "3", "4"]);
        assert_eq!(labels(Axis::new("").whole(), (0.0, 100.0)).0, ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(Axis::new("").log(), (1.0, 1000.0)).0, ["1", "10", "100", "1000"]);
        assert_eq!(labels(Axis::new("").log(), (1e-8, 1e-4)).0, ["10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        assert_eq!(labels(Axis::new("").log(), (1.5, 9.0)).0, ["2", "5"]);
    }

    #[test]
    fn ranges_are_never_empty() {
        for scale in [Scale::Linear, Scale::Log] {
            for values in
                [vec![], vec![0.0], vec![-3.0], vec![5.0; 3], vec![f64::NAN], vec![1e308, -1e308], vec![1e-310]]
            {
                let (low, high) = Extent::of(scale, values.clone()).padded(0.04);
                assert!(low < high && low.is_finite() && high.is_finite(), "{scale:?} {values:?}: {low} {high}");
                let axis = Axis { scale, ..Axis::default() };
                let ruler = Ruler::new(&axis, (low, high), (0.0, 100.0));
                assert!(ruler.ticks(&axis, 5).ticks.len() < 200);
            }
        }
    }

    #[test]
    fn places_follow_the_scale() {
        let ruler = Ruler::new(&Axis::new("").log().limits(1.0, 100.0), (0.0, 0.0), (200.0, 0.0));
        assert!((ruler.place(10.0).expect("positive") - 100.0).abs() < 1e-9);
        assert_eq!(ruler.place(-1.0), None);
        assert_eq!(ruler.inside(1e4), None);
        let reversed = Ruler::new(&Axis::new("").reversed(), (0.0, 4.0), (0.0, 100.0));
        assert_eq!(reversed.place(1.0), Some(75.0));
    }
}
