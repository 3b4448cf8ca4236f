//! Marks: the kinds of things that can be drawn in a panel.

mod distribution;
mod path;
mod reference;
mod series;
mod topology;

pub use distribution::{Bars, Bins, HeatMap, Histogram};
pub use path::{Path, Quiver, Trajectory2, Trajectory3};
pub use reference::{Orientation, Rule, Span, Text};
pub use series::{Line, Scatter};
pub use topology::{Bar, Barcode, Dendrogram, Merge};

use super::Colour;
use serde::{Deserialize, Serialize};

/// One thing drawn in a panel.
///
/// Values that are NaN or infinite, and lists of unequal lengths beyond the shorter, are gaps. Marks with the same
/// label share a colour and one entry in the legend; without a label there is no entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Mark {
    /// See [`Line`].
    Line(Line),
    /// See [`Scatter`].
    Scatter(Scatter),
    /// See [`Bars`].
    Bars(Bars),
    /// See [`Histogram`].
    Histogram(Histogram),
    /// See [`HeatMap`].
    HeatMap(HeatMap),
    /// See [`Dendrogram`].
    Dendrogram(Dendrogram),
    /// See [`Barcode`].
    Barcode(Barcode),
    /// See [`Trajectory2`].
    Trajectory2(Trajectory2),
    /// See [`Trajectory3`].
    Trajectory3(Trajectory3),
    /// See [`Rule`].
    Rule(Rule),
    /// See [`Span`].
    Span(Span),
    /// See [`Quiver`].
    Quiver(Quiver),
    /// See [`Text`].
    Text(Text),
}

macro_rules! marks {
    ($($name:ident)*) => {$(
        impl From<$name> for Mark {
            fn from(mark: $name) -> Self { Self::$name(mark) }
        }
    )*};
}
marks!(Line Scatter Bars Histogram HeatMap Dendrogram Barcode Trajectory2 Trajectory3 Rule Span Quiver Text);

impl Mark {
    /// Text in the legend; empty when the mark has no entry.
    pub fn label(&self) -> &str {
        match self {
            Self::Line(mark) => &mark.label,
            Self::Scatter(mark) => &mark.label,
            Self::Bars(mark) => &mark.label,
            Self::Histogram(mark) => &mark.label,
            Self::Trajectory2(mark) => &mark.label,
            Self::Trajectory3(mark) => &mark.label,
            Self::Rule(mark) => &mark.label,
            Self::Span(mark) => &mark.label,
            Self::Quiver(mark) => &mark.label,
            Self::HeatMap(_) | Self::Dendrogram(_) | Self::Barcode(_) | Self::Text(_) => "",
        }
    }

    /// Name of the kind, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Line(_) => "line",
            Self::Scatter(_) => "scatter",
            Self::Bars(_) => "bars",
            Self::Histogram(_) => "histogram",
            Self::HeatMap(_) => "heat-map",
            Self::Dendrogram(_) => "dendrogram",
            Self::Barcode(_) => "barcode",
            Self::Trajectory2(_) => "trajectory2",
            Self::Trajectory3(_) => "trajectory3",
            Self::Rule(_) => "rule",
            Self::Span(_) => "span",
            Self::Quiver(_) => "quiver",
            Self::Text(_) => "text",
        }
    }

    /// Whether the mark needs a third axis.
    pub fn is_spatial(&self) -> bool {
        match self {
            Self::Trajectory3(_) => true,
            Self::Scatter(mark) => !mark.z.is_empty(),
            _ => false,
        }
    }

    /// The colour the author chose, if any.
    pub(super) fn chosen_colour(&self) -> Option<Colour> {
        match self {
            Self::Line(mark) => mark.colour,
            Self::Scatter(mark) => mark.colour,
            Self::Bars(mark) => mark.colour,
            Self::Histogram(mark) => mark.colour,
            Self::Trajectory2(mark) => mark.colour,
            Self::Trajectory3(mark) => mark.colour,
            Self::Rule(mark) => Some(mark.colour),
            Self::Span(mark) => Some(mark.colour),
            Self::Quiver(mark) => Some(mark.colour),
            Self::Dendrogram(_) => Some(Colour::BLACK),
            Self::Text(mark) => Some(mark.colour),
            Self::HeatMap(_) | Self::Barcode(_) => None,
        }
    }
}

/// Lower and upper ends of errors of the given half widths around `values`.
fn around(values: &[f64], deviations: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    values.iter().zip(&deviations).map(|(value, deviation)| (value - deviation, value + deviation)).unzip()
}
