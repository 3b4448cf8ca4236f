//! Marks for amounts: bars, histograms and heat maps.

use super::super::{Colour, ColourMap, Numbers};
use serde::{Deserialize, Serialize};

/// Bars from zero, with optional errors and the single values each stands for.
///
/// Several marks of this kind in one panel stand side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bars {
    /// Text in the legend.
    pub label: String,
    /// Names of the bars; empty for a numeric axis.
    pub categories: Vec<String>,
    /// Places along the horizontal axis.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub x: Vec<f64>,
    /// Heights.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub y: Vec<f64>,
    /// Lower ends of error bars; empty for none.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub lower: Vec<f64>,
    /// Upper ends of error bars; empty for none.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub upper: Vec<f64>,
    /// Values of single members, one list a bar; empty for none.
    #[serde(with = "crate::figure::numbers::stored::lists")]
    pub members: Vec<Vec<f64>>,
    /// Gives each bar its own colour of the palette.
    pub colour_each: bool,
    /// Colour; by default the next of the palette.
    pub colour: Option<Colour>,
}

impl Bars {
    /// Named bars of these heights.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>, heights: impl Numbers) -> Self {
        let categories: Vec<String> = names.into_iter().map(Into::into).collect();
        Self { x: (0..categories.len()).numbers(), y: heights.numbers(), categories, ..Self::default() }
    }

    /// Bars at places of a numeric axis.
    pub fn at(x: impl Numbers, heights: impl Numbers) -> Self {
        Self { x: x.numbers(), y: heights.numbers(), ..Self::default() }
    }

    /// The bars with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The bars with error bars between these ends.
    #[must_use]
    pub fn errors(mut self, lower: impl Numbers, upper: impl Numbers) -> Self {
        (self.lower, self.upper) = (lower.numbers(), upper.numbers());
        self
    }

    /// The bars with error bars of this half length.
    #[must_use]
    pub fn deviation(mut self, deviation: impl Numbers) -> Self {
        (self.lower, self.upper) = super::around(&self.y, deviation.numbers());
        self
    }

    /// The bars with a point for each single member, one list a bar.
    #[must_use]
    pub fn members(mut self, members: impl IntoIterator<Item = impl Numbers>) -> Self {
        self.members = members.into_iter().map(Numbers::numbers).collect();
        self
    }

    /// The bars each in their own colour.
    #[must_use]
    pub fn colour_each(mut self) -> Self {
        self.colour_each = true;
        self
    }

    /// The bars in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = Some(colour);
        self
    }
}

/// How often values fall into each of a row of intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Histogram {
    /// Text in the legend.
    pub label: String,
    /// The values.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub values: Vec<f64>,
    /// The intervals.
    pub bins: Bins,
    /// Draws the share per unit (area one) instead of the count.
    pub density: bool,
    /// Colour; by default the next of the palette.
    pub colour: Option<Colour>,
}

/// The intervals of a [`Histogram`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bins {
    /// As many as the square root of the number of values, 5 to 50, over the range of all histograms of the panel.
    #[default]
    Auto,
    /// This many over the range of all histograms of the panel; equal ratios on a logarithmic axis.
    Count(usize),
    /// Between these edges, in increasing order.
    Edges(#[serde(with = "crate::figure::numbers::stored::list")] Vec<f64>),
}

impl Histogram {
    /// Counts of these values.
    pub fn new(values: impl Numbers) -> Self {
        Self { values: values.numbers(), ..Self::default() }
    }

    /// The histogram with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The histogram with this many intervals.
    #[must_use]
    pub fn bins(mut self, count: usize) -> Self {
        self.bins = Bins::Count(count);
        self
    }

    /// The histogram with intervals between these edges.
    #[must_use]
    pub fn edges(mut self, edges: impl Numbers) -> Self {
        self.bins = Bins::Edges(edges.numbers());
        self
    }

    /// The histogram as a density of area one.
    #[must_use]
    pub fn density(mut self) -> Self {
        self.density = true;
        self
    }

    /// The histogram in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = Some(colour);
        self
    }
}

/// A matrix as coloured cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeatMap {
    /// Values: `values[row][column]`, row 0 at the bottom (at the top of a reversed axis).
    #[serde(with = "crate::figure::numbers::stored::lists")]
    pub values: Vec<Vec<f64>>,
    /// Centres of the columns, in order; empty for 0, 1, 2, ...
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub x: Vec<f64>,
    /// Centres of the rows, in order; empty for 0, 1, 2, ...
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub y: Vec<f64>,
    /// How values become colours.
    pub map: ColourMap,
    /// Values at the ends of the colour bar; without them the data decide.
    #[serde(with = "crate::figure::numbers::stored::pair")]
    pub limits: Option<(f64, f64)>,
    /// Writes the value into each cell.
    pub annotate: bool,
}

impl HeatMap {
    /// Cells of a matrix given row by row.
    pub fn new(rows: impl IntoIterator<Item = impl Numbers>) -> Self {
        Self { values: rows.into_iter().map(Numbers::numbers).collect(), ..Self::default() }
    }

    /// The map with centres of columns and rows.
    #[must_use]
    pub fn at(mut self, x: impl Numbers, y: impl Numbers) -> Self {
        (self.x, self.y) = (x.numbers(), y.numbers());
        self
    }

    /// The map in blue and red around zero.
    #[must_use]
    pub fn diverging(mut self) -> Self {
        self.map = ColourMap::Diverging;
        self
    }

    /// The map in these colours.
    #[must_use]
    pub fn map(mut self, map: ColourMap) -> Self {
        self.map = map;
        self
    }

    /// The map with these values at the ends of the colour bar.
    #[must_use]
    pub fn limits(mut self, lower: f64, upper: f64) -> Self {
        self.limits = Some((lower, upper));
        self
    }

    /// The map with the value written into each cell.
    #[must_use]
    pub fn annotate(mut self) -> Self {
        self.annotate = true;
        self
    }
}
