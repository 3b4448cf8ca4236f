//! Marks for what the data are compared with: rules, spans and notes.

use super::super::Colour;
use serde::{Deserialize, Serialize};

/// Direction of a [`Rule`] or a [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// From left to right, at a value of y.
    Horizontal,
    /// From bottom to top, at a value of x.
    Vertical,
}

/// A straight line across the panel at a reference value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Text in the legend.
    pub label: String,
    /// Direction of the line.
    pub orientation: Orientation,
    /// The reference value.
    #[serde(with = "crate::figure::numbers::stored")]
    pub at: f64,
    /// Dashes instead of a solid line.
    pub dashed: bool,
    /// Colour of the line.
    pub colour: Colour,
}

impl Rule {
    /// A dashed grey line across the panel at a value of y.
    pub fn horizontal(y: impl Into<f64>) -> Self {
        Self::new(Orientation::Horizontal, y.into())
    }

    /// A dashed grey line up the panel at a value of x.
    pub fn vertical(x: impl Into<f64>) -> Self {
        Self::new(Orientation::Vertical, x.into())
    }

    fn new(orientation: Orientation, at: f64) -> Self {
        Self { label: String::new(), orientation, at, dashed: true, colour: Colour::GREY }
    }

    /// The rule with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The rule as a solid line.
    #[must_use]
    pub fn solid(mut self) -> Self {
        self.dashed = false;
        self
    }

    /// The rule in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }
}

/// A shaded stretch of an axis, such as a period of the trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Text in the legend.
    pub label: String,
    /// Vertical: between two values of x; horizontal: between two values of y.
    pub orientation: Orientation,
    /// Lower end.
    #[serde(with = "crate::figure::numbers::stored")]
    pub lower: f64,
    /// Upper end.
    #[serde(with = "crate::figure::numbers::stored")]
    pub upper: f64,
    /// Colour, drawn pale.
    pub colour: Colour,
}

impl Span {
    /// A pale stripe between two values of x.
    pub fn vertical(lower: impl Into<f64>, upper: impl Into<f64>) -> Self {
        Self::new(Orientation::Vertical, lower.into(), upper.into())
    }

    /// A pale stripe between two values of y.
    pub fn horizontal(lower: impl Into<f64>, upper: impl Into<f64>) -> Self {
        Self::new(Orientation::Horizontal, lower.into(), upper.into())
    }

    fn new(orientation: Orientation, lower: f64, upper: f64) -> Self {
        Self { label: String::new(), orientation, lower, upper, colour: Colour::GREY }
    }

    /// The span with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The span in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }
}

/// A short text at a place, centred on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Place along the horizontal axis.
    #[serde(with = "crate::figure::numbers::stored")]
    pub x: f64,
    /// Place along the vertical axis.
    #[serde(with = "crate::figure::numbers::stored")]
    pub y: f64,
    /// What is written.
    pub text: String,
    /// Colour of the letters.
    pub colour: Colour,
}

impl Text {
    /// A note centred on (x, y).
    pub fn new(x: impl Into<f64>, y: impl Into<f64>, text: impl Into<String>) -> Self {
        Self { x: x.into(), y: y.into(), text: text.into(), colour: Colour::BLACK }
    }

    /// The note in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }
}
