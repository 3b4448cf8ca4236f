//! Figures as data: what is drawn and with which numbers, drawn by libraries as SVG, PNG and interactive HTML.
//!
//! An analysis describes a figure in a few lines; every number of it is saved beside the picture as CSV.
//!
//! ```
//! use synfire::figure::{Axis, Figure, Line, Panel, Rule};
//! let (x, y) = ([1.0, 2.0, 3.0], [0.5, 0.7, 0.9]);
//! let figure = Figure::new("learning-curve", "Learning curve").panel(
//!     Panel::new("").x("update").y(Axis::new("accuracy").limits(0.0, 1.0))
//!         .mark(Line::new(x, y).label("mean over members").band([0.4, 0.6, 0.8], [0.6, 0.8, 1.0]))
//!         .mark(Rule::horizontal(0.98).label("threshold")),
//! );
//! # let folder = tempfile::tempdir().expect("temporary folder");
//! figure.save(folder.path())?; // learning-curve.svg, .png and .csv
//! # Ok::<(), synfire::Error>(())
//! ```

mod canvas;
mod clip;
mod colour;
mod data;
mod flat;
mod interactive;
mod layout;
mod legend;
mod marks;
mod numbers;
mod paint;
mod prepared;
mod ruler;
mod space;
#[cfg(test)]
mod tests;

pub use colour::{Colour, ColourMap};
pub use interactive::plotly_script;
pub use marks::*;
pub use numbers::Numbers;

use crate::storage::atomic;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path as FilePath, PathBuf};

/// A picture of one or more panels in a grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Figure {
    /// File stem under which the figure is saved.
    pub name: String,
    /// One line above the panels; may be empty.
    pub title: String,
    /// What the figure shows and what is to be seen in it; printed under it in reports.
    pub caption: String,
    /// Panels side by side; 0 chooses by their number.
    pub columns: usize,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
}

impl Figure {
    /// A figure without panels.
    pub fn new(name: impl Into<String>, title: impl Into<String>) -> Self {
        Self { name: name.into(), title: title.into(), ..Self::default() }
    }

    /// The figure with a caption.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// The figure with this many panels side by side.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    /// The figure with one more panel.
    #[must_use]
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// The figure with more panels.
    #[must_use]
    pub fn panels(mut self, panels: impl IntoIterator<Item = Panel>) -> Self {
        self.panels.extend(panels);
        self
    }

    /// The picture as SVG; text stays text, in the reader's DejaVu Sans or another sans-serif font.
    ///
    /// # Errors
    /// When the drawing library fails.
    pub fn to_svg(&self) -> Result<String> {
        paint::svg(&layout::lay_out(self))
    }

    /// The picture as PNG, with two pixels to a pixel of the SVG along each side.
    ///
    /// # Errors
    /// When the drawing library fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        paint::png(&layout::lay_out(self))
    }

    /// The figure for plotly.js: an object with `data`, `layout`, `config` and `height` (pixels).
    ///
    /// Lines and clouds of very many points are thinned to what a screen can show; the CSV has all of them.
    pub fn to_plotly(&self) -> serde_json::Value {
        interactive::plot(self)
    }

    /// Every number of the figure as CSV: a row for each point, with its panel, mark, kind and label.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn to_csv(&self) -> Result<String> {
        data::csv(self)
    }

    /// Writes `NAME.svg`, `NAME.png` and `NAME.csv` into a folder, which is made if need be, and returns their paths.
    ///
    /// # Errors
    /// When the name is no file stem, or a file cannot be written.
    pub fn save(&self, folder: &FilePath) -> Result<Vec<PathBuf>> {
        let plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(plain) {
            let problem = format!("figure name '{}' is no file stem; use letters, digits, '-' and '_'", self.name);
            return Err(Error::Failed(problem));
        }
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let canvas = layout::lay_out(self);
        let files = [
            ("svg", paint::svg(&canvas)?.into_bytes()),
            ("png", paint::png(&canvas)?),
            ("csv", self.to_csv()?.into_bytes()),
        ];
        let mut paths = Vec::new();
        for (ending, bytes) in files {
            let path = folder.join(format!("{}.{ending}", self.name));
            atomic::write(&path, &bytes)?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Panels side by side: as asked for, else up to three, four panels as two by two.
    pub fn columns_used(&self) -> usize {
        let count = self.panels.len().max(1);
        match (self.columns, count) {
            (0, 4) => 2,
            (0, count) => count.min(3),
            (columns, count) => columns.min(count),
        }
    }
}

/// One pair of axes (three, when a mark is spatial) and what is drawn between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Panel {
    /// One line above the panel; may be empty.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Third axis, used when a mark is spatial.
    pub z: Axis,
    /// What is drawn, the first at the back.
    pub marks: Vec<Mark>,
    /// Quantity and unit of colour values; beside the colour bar.
    pub colour_label: String,
    /// Leaves the colour bar out, where another panel shows the same one.
    pub hide_colour_bar: bool,
    /// Leaves the legend out, where another panel explains the same colours.
    pub hide_legend: bool,
    /// Makes one unit equally long on both axes, as for eigenvalues in the complex plane.
    pub equal_units: bool,
}

impl Panel {
    /// An empty panel.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The panel with this horizontal axis: a label, or an [`Axis`].
    #[must_use]
    pub fn x(mut self, axis: impl Into<Axis>) -> Self {
        self.x = axis.into();
        self
    }

    /// The panel with this vertical axis: a label, or an [`Axis`].
    #[must_use]
    pub fn y(mut self, axis: impl Into<Axis>) -> Self {
        self.y = axis.into();
        self
    }

    /// The panel with this third axis: a label, or an [`Axis`].
    #[must_use]
    pub fn z(mut self, axis: impl Into<Axis>) -> Self {
        self.z = axis.into();
        self
    }

    /// The panel with one more mark.
    #[must_use]
    pub fn mark(mut self, mark: impl Into<Mark>) -> Self {
        self.marks.push(mark.into());
        self
    }

    /// The panel with more marks.
    #[must_use]
    pub fn marks(mut self, marks: impl IntoIterator<Item = impl Into<Mark>>) -> Self {
        self.marks.extend(marks.into_iter().map(Into::into));
        self
    }

    /// The panel with a text beside its colour bar.
    #[must_use]
    pub fn colour_label(mut self, label: impl Into<String>) -> Self {
        self.colour_label = label.into();
        self
    }

    /// The panel without a colour bar.
    #[must_use]
    pub fn without_colour_bar(mut self) -> Self {
        self.hide_colour_bar = true;
        self
    }

    /// The panel without a legend.
    #[must_use]
    pub fn without_legend(mut self) -> Self {
        self.hide_legend = true;
        self
    }

    /// The panel with one unit equally long on both axes.
    #[must_use]
    pub fn equal_units(mut self) -> Self {
        self.equal_units = true;
        self
    }

    /// Whether a mark needs the third axis.
    pub fn is_spatial(&self) -> bool {
        self.marks.iter().any(Mark::is_spatial)
    }
}

/// An axis: its label, its scale, and where its ends and ticks are when the data should not decide.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Axis {
    /// Quantity and unit, for example `time (ms)`.
    pub label: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// Lower and upper end; without them the data decide.
    #[serde(with = "crate::figure::numbers::stored::pair")]
    pub limits: Option<(f64, f64)>,
    /// Places of the ticks; empty for round numbers.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub ticks: Vec<f64>,
    /// Names of the positions 0, 1, 2, ...; empty for a numeric axis.
    pub categories: Vec<String>,
    /// Runs from right to left, or from top to bottom as the rows of a matrix.
    pub reversed: bool,
    /// Counts: no ticks between whole numbers.
    pub whole: bool,
}

/// Scale of an [`Axis`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Equal differences are equally long.
    #[default]
    Linear,
    /// Equal ratios are equally long; what is not positive is a gap.
    Log,
}

impl Axis {
    /// A linear axis whose range follows the data.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// The axis on a logarithmic scale.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.scale = Scale::Log;
        self
    }

    /// The axis from `lower` to `upper`.
    #[must_use]
    pub fn limits(mut self, lower: f64, upper: f64) -> Self {
        self.limits = Some((lower, upper));
        self
    }

    /// The axis with ticks at these places.
    #[must_use]
    pub fn ticks(mut self, ticks: impl Numbers) -> Self {
        self.ticks = ticks.numbers();
        self
    }

    /// The axis with names at the positions 0, 1, 2, ...
    #[must_use]
    pub fn categories(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.categories = names.into_iter().map(Into::into).collect();
        self
    }

    /// The axis of something that is counted, without ticks between whole numbers.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// The axis turned round.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.reversed = true;
        self
    }
}

impl From<&str> for Axis {
    fn from(label: &str) -> Self {
        Self::new(label)
    }
}

impl From<String> for Axis {
    fn from(label: String) -> Self {
        Self::new(label)
    }
}
