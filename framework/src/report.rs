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
mod tests {
    use super::*;
    use crate::figure::{Axis, HeatMap, Line, Panel, Rule, Scatter, Trajectory3};

    const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"q\" {{ title }}";

    fn evil() -> Report {
        let line = Line::of([1.0, 2.0]).label(EVIL);
        let figure = Figure::new("f", EVIL).caption(EVIL).panel(Panel::new(EVIL).x(EVIL).y(EVIL).mark(line));
        let section = Section::new(EVIL)
            .paragraph(EVIL)
            .fact(EVIL, EVIL)
            .table(Table::new(EVIL, EVIL, &[EVIL]).row([EVIL]))
            .figure(figure)
            .code(EVIL)
            .note(EVIL);
        Report::new(EVIL).subtitle(EVIL).section(section)
    }

    #[test]
    fn nothing_in_the_data_can_break_out() {
        let html = evil().to_html().expect("renders");
        let ours = html.replacen(&plotly_script(), "", 1);
        assert_eq!(ours.matches("<script").count(), 2, "one script of ours and the data of one figure");
        assert_eq!(ours.matches("</script>").count(), 2);
        assert!(!ours.contains("<img") && !ours.contains("<script>alert"));
        assert!(ours.contains("&lt;script&gt;alert(1)"), "the text is shown as it is");
        let start = ours.find("type=\"application/json\"").expect("data");
        let data = &ours[start..];
        let json = &data[data.find('>').expect("open") + 1..data.find("</script>").expect("closed")];
        let plot: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(plot["data"][0]["name"], EVIL.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    }

    #[test]
    fn the_page_holds_plotly_once_and_loads_nothing() {
        let figure = || Figure::new("f", "t").panel(Panel::new("").mark(Line::of([1.0, 2.0])));
        let section = || Section::new("s").figure(figure()).figure(figure());
        let html = Report::new("r").section(section()).section(section()).to_html().expect("renders");
        assert_eq!(html.matches("* plotly.js v").count(), 1);
        assert!(!html.contains("MathJax.js v") && html.len() < 6_000_000, "{} bytes", html.len());
        let ours = html.replacen(&plotly_script(), "", 1);
        for loading in ["src=", "href=\"http", "href=\"//", "url(", "@import", "<link", "fetch("] {
            assert!(!ours.contains(loading), "the page has '{loading}'");
        }
        assert!(ours.contains("default-src 'none'"), "the browser is told to load nothing");
        let plain = Report::new("r").section(Section::new("no figure")).to_html().expect("renders");
        assert!(plain.len() < 20_000, "without a figure the script is left out: {} bytes", plain.len());
    }

    #[test]
    fn plots_have_axes_of_their_own_for_each_panel() {
        let figure = Figure::new("f", "")
            .panel(
                Panel::new("a").y(Axis::new("loss").log()).mark(Line::of([1.0, f64::NAN, 100.0]).deviation([0.1; 3])),
            )
            .panel(Panel::new("b").mark(HeatMap::new([[0.0, 1.0], [f64::NAN, 3.0]])).mark(Rule::vertical(0.5)))
            .panel(
                Panel::new("c")
                    .mark(Trajectory3::new().path([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]).coloured_by([0.0, 5.0])),
            )
            .panels((0..9).map(|_| Panel::new("d").mark(Scatter::new([1.0], [2.0]))));
        let plot = figure.to_plotly();
        let (data, layout) = (&plot["data"], &plot["layout"]);
        assert_eq!(data[0]["y"], serde_json::json!([1.0, null, 100.0]));
        assert_eq!((&data[1]["fill"], &data[1]["legendgroup"]), (&"toself".into(), &data[0]["legendgroup"]));
        assert_eq!(layout["yaxis"]["type"], "log");
        let range = layout["yaxis"]["range"].as_array().expect("range");
        let end = range[1].as_f64().expect("number");
        assert!(end > 2.0 && end < 2.5, "ends of a log axis are powers of ten: {end}");
        assert_eq!((&data[2]["xaxis"], &data[2]["coloraxis"]), (&"x2".into(), &"coloraxis2".into()));
        assert_eq!(data[2]["z"], serde_json::json!([[0.0, 1.0], [null, 3.0]]));
        assert_eq!(layout["shapes"][0]["yref"], "y2 domain");
        assert_eq!((&data[3]["type"], &data[3]["scene"]), (&"scatter3d".into(), &"scene3".into()));
        assert!(layout["scene3"]["domain"]["x"].is_array() && layout["xaxis12"]["domain"].is_array());
        for axis in (1..=12).filter(|axis| *axis != 3) {
            let name = if axis == 1 { "xaxis".to_string() } else { format!("xaxis{axis}") };
            let ends: Vec<f64> =
                layout[&name]["domain"].as_array().expect(&name).iter().filter_map(|end| end.as_f64()).collect();
            assert!(ends[0] >= 0.0 && ends[0] < ends[1] && ends[1] <= 1.0, "{name}: {ends:?}");
        }
    }

    #[test]
    fn long_tables_are_cut_and_say_so() {
        let mut table = Table::new("long", "A long table", &["k", "value"]);
        (0..500).for_each(|k| table.push((k, 1.0 / 3.0)));
        let html = Report::new("r").section(Section::new("s").table(table)).to_html().expect("renders");
        assert!(html.contains("300 more rows") && html.contains("long.csv"));
        assert!(html.contains("title=\"0.3333333333333333\">0.3333<"));
    }
}
