//! Marks for pairs of numbers: lines and points.

use super::super::{Colour, ColourMap, Numbers};
use serde::{Deserialize, Serialize};

/// A line through points, with an optional band around it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    /// Text in the legend.
    pub label: String,
    /// Places along the horizontal axis.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub x: Vec<f64>,
    /// Heights.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub y: Vec<f64>,
    /// Lower edge of the band; empty for none.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub lower: Vec<f64>,
    /// Upper edge of the band; empty for none.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub upper: Vec<f64>,
    /// Dashes instead of a solid line.
    pub dashed: bool,
    /// Draws a dot at each point as well.
    pub dots: bool,
    /// Half the usual width and paler: for single members behind their mean.
    pub thin: bool,
    /// Colour; by default the next of the palette.
    pub colour: Option<Colour>,
}

impl Line {
    /// A solid line through the points (x, y).
    pub fn new(x: impl Numbers, y: impl Numbers) -> Self {
        Self { x: x.numbers(), y: y.numbers(), ..Self::default() }
    }

    /// A solid line through `values` at 0, 1, 2, ...
    pub fn of(values: impl Numbers) -> Self {
        let y = values.numbers();
        Self { x: (0..y.len()).numbers(), y, ..Self::default() }
    }

    /// The line with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The line with a band between two edges.
    #[must_use]
    pub fn band(mut self, lower: impl Numbers, upper: impl Numbers) -> Self {
        (self.lower, self.upper) = (lower.numbers(), upper.numbers());
        self
    }

    /// The line with a band of this half width around it, such as a standard error.
    #[must_use]
    pub fn deviation(mut self, deviation: impl Numbers) -> Self {
        (self.lower, self.upper) = super::around(&self.y, deviation.numbers());
        self
    }

    /// The line in dashes.
    #[must_use]
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }

    /// The line with a dot at each point.
    #[must_use]
    pub fn dots(mut self) -> Self {
        self.dots = true;
        self
    }

    /// The line thin and pale, as for one of many members.
    #[must_use]
    pub fn thin(mut self) -> Self {
        self.thin = true;
        self
    }

    /// The line in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = Some(colour);
        self
    }
}

/// Points, in the plane or in space, with optional errors and colour values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scatter {
    /// Text in the legend.
    pub label: String,
    /// Places along the horizontal axis.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub x: Vec<f64>,
    /// Places along the vertical axis.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub y: Vec<f64>,
    /// Places along the third axis; empty for points in the plane.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub z: Vec<f64>,
    /// Lower ends of error bars along y; empty for none.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub lower: Vec<f64>,
    /// Upper ends of error bars along y; empty for none.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub upper: Vec<f64>,
    /// Colour value of each point; empty for one colour.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub values: Vec<f64>,
    /// How colour values become colours.
    pub map: ColourMap,
    /// Rings instead of discs, for example for unstable fixed points.
    pub hollow: bool,
    /// Larger points, for a few that matter.
    pub large: bool,
    /// Colour; by default the next of the palette.
    pub colour: Option<Colour>,
}

impl Scatter {
    /// Points (x, y).
    pub fn new(x: impl Numbers, y: impl Numbers) -> Self {
        Self { x: x.numbers(), y: y.numbers(), ..Self::default() }
    }

    /// Points (x, y, z) in space.
    pub fn spatial(x: impl Numbers, y: impl Numbers, z: impl Numbers) -> Self {
        Self { z: z.numbers(), ..Self::new(x, y) }
    }

    /// The points with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The points with error bars between these ends.
    #[must_use]
    pub fn errors(mut self, lower: impl Numbers, upper: impl Numbers) -> Self {
        (self.lower, self.upper) = (lower.numbers(), upper.numbers());
        self
    }

    /// The points with error bars of this half length.
    #[must_use]
    pub fn deviation(mut self, deviation: impl Numbers) -> Self {
        (self.lower, self.upper) = super::around(&self.y, deviation.numbers());
        self
    }

    /// The points coloured by one value each.
    #[must_use]
    pub fn values(mut self, values: impl Numbers) -> Self {
        self.values = values.numbers();
        self
    }

    /// The points coloured by this map.
    #[must_use]
    pub fn map(mut self, map: ColourMap) -> Self {
        self.map = map;
        self
    }

    /// The points as rings.
    #[must_use]
    pub fn hollow(mut self) -> Self {
        self.hollow = true;
        self
    }

    /// The points larger.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.large = true;
        self
    }

    /// The points in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = Some(colour);
        self
    }
}
