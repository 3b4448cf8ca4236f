//! Reports: one page of HTML that needs nothing else, with figures to look at closely.

use crate::figure::{Figure, plotly_script};
use crate::table::{Table, Value};
use crate::{Error, Result};
use minijinja::Environment;
use serde::{Deserialize, Serialize};

/// Rows of a table beyond these are counted, not shown: its CSV has them.
const MOST_ROWS: usize = 200;

/// A page with a title and sections.
///
/// ```
/// use synfire::report::{Report, Section};
/// let report = Report::new("parity-single").section(Section::new("Summary").fact("accuracy", "0.98"));
/// assert!(report.to_html()?.contains("parity-single"));
/// # Ok::<(), synfire::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// What the report is about, such as the name of the run.
    pub title: String,
    /// A line below it; may be empty.
    pub subtitle: String,
    /// The sections, in order.
    pub sections: Vec<Section>,
}

/// A part of a [`Report`]: its contents appear in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Section {
    /// Heading, also listed in the table of contents.
    pub heading: String,
    /// Plain text, one item a paragraph.
    pub paragraphs: Vec<String>,
    /// Names with their values, such as settings and results.
    pub facts: Vec<(String, String)>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Figures.
    pub figures: Vec<Figure>,
    /// A listing, such as the experiment as TOML.
    pub code: Option<String>,
    /// What the reader should beware of.
    pub notes: Vec<String>,
}

impl Section {
    /// An empty section.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..Self::default() }
    }

    /// The section with one more paragraph.
    #[must_use]
    pub fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(text.into());
        self
    }

    /// The section with one more fact; numbers are shown with four digits.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.facts.push((name.into(), value.into().short()));
        self
    }

    /// The section with one more table.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// The section with one more figure.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    /// The section with a listing.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The section with one more note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }
}

/// What the template gets.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    subtitle: &'a str,
    sections: Vec<Part<'a>>,
    script: String,
    version: &'a str,
}

/// A section as the template wants it.
#[derive(Serialize)]
struct Part<'a> {
    heading: &'a str,
    paragraphs: &'a [String],
    facts: &'a [(String, String)],
    tables: Vec<Grid>,
    figures: Vec<Plate>,
    code: Option<&'a str>,
    notes: &'a [String],
}

/// A table as the template wants it.
#[derive(Serialize)]
struct Grid {
    title: String,
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<Cell>>,
    hidden: usize,
    name: String,
}

#[derive(Serialize)]
struct Cell {
    shown: String,
    exact: String,
    number: bool,
}

/// A figure as the template wants it.
#[derive(Serialize)]
struct Plate {
    title: String,
    caption: String,
    name: String,
    svg: String,
    plot: String,
    height: f64,
}

impl Report {
    /// A report without sections.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The report with a line below its title.
    #[must_use]
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// The report with one more section.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The report as one page that loads nothing: style, script, pictures and data are in it.
    ///
    /// Where scripts run, figures can be zoomed and read off; on paper and without scripts they are still pictures.
    ///
    /// # Errors
    /// When a figure cannot be drawn.
    pub fn to_html(&self) -> Result<String> {
        let failed = |error: minijinja::Error| Error::Failed(format!("report '{}': {error:#}", self.title));
        let mut environment = Environment::new();
        environment.add_template("report.html", include_str!("report.html")).map_err(failed)?;
        let sections: Vec<Part> = self.sections.iter().map(part).collect::<Result<_>>()?;
        let drawn = sections.iter().any(|section| !section.figures.is_empty());
        let page = Page {
            title: &self.title,
            subtitle: &self.subtitle,
            sections,
            script: if drawn { plotly_script() } else { String::new() },
            version: env!("CARGO_PKG_VERSION"),
        };
        let template = environment.get_template("report.html").map_err(failed)?;
        template.render(minijinja::value::Serde(page)).map_err(failed)
    }
}

fn part(section: &Section) -> Result<Part<'_>> {
    Ok(Part {
        heading: &section.heading,
        paragraphs: &section.paragraphs,
        facts: &section.facts,
        tables: section.tables.iter().map(grid).collect(),
        figures: section.figures.iter().map(plate).collect::<Result<_>>()?,
        code: section.code.as_deref(),
        notes: &section.notes,
    })
}

fn plate(figure: &Figure) -> Result<Plate> {
    // The title stands in the page, not twice in the picture.
    let mut untitled = figure.clone();
    untitled.title.clear();
    let plot = untitled.to_plotly();
    Ok(Plate {
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        name: figure.name.clone(),
        svg: untitled.to_svg()?,
        height: plot["height"].as_f64().unwrap_or(400.0),
        plot: inert(&plot.to_string()),
    })
}

/// JSON that can stand inside a script element: nothing in it looks like the end of the element or a comment.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn grid(table: &Table) -> Grid {
    let numeric: Vec<bool> = (0..table.columns.len()).map(|column| table.is_numeric(column)).collect();
    let columns = table.columns.iter().cloned().zip(numeric.iter().copied());
    let cell = |(column, value): (usize, &Value)| {
        let number = value.is_number() || numeric.get(column).copied().unwrap_or(false);
        Cell { shown: value.short(), exact: value.exact(), number }
    };
    Grid {
        title: table.title.clone(),
        columns: columns.collect(),
        rows: table.rows.iter().take(MOST_ROWS).map(|row| row.iter().enumerate().map(cell).collect()).collect(),
        hidden: table.rows.len().saturating_sub(MOST_ROWS),
        name: table.name.clone(),
    }
}

#[cfg(test)]
mod tests;
