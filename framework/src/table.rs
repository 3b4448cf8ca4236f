//! Tables: named columns and rows of values, written as CSV, JSON or text for a terminal.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A table with a title, as analyses return it and reports show it.
///
/// ```
/// use synfire::table::Table;
/// let table = Table::new("accuracy", "Accuracy by level", &["level", "accuracy"]).row((2, 0.99)).row((3, 0.98));
/// assert_eq!(table.to_csv().expect("writes"), "level,accuracy\n2,0.99\n3,0.98\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// File stem under which the table is saved.
    pub name: String,
    /// One line above the table.
    pub title: String,
    /// Names of the columns, with units.
    pub columns: Vec<String>,
    /// Rows, each with one value a column.
    pub rows: Vec<Vec<Value>>,
}

/// One cell of a [`Table`].
///
/// In JSON an infinite number is the text `inf` or `-inf`, and NaN is `null`, which reads back as [`Value::Missing`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub enum Value {
    /// A real number.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Nothing was measured.
    Missing,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Integer(i64),
    Number(f64),
    Text(String),
    Missing(()),
}

impl From<Wire> for Value {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Integer(value) => Self::Integer(value),
            Wire::Number(value) => Self::Number(value),
            Wire::Text(text) if text == "inf" => Self::Number(f64::INFINITY),
            Wire::Text(text) if text == "-inf" => Self::Number(f64::NEG_INFINITY),
            Wire::Text(text) => Self::Text(text),
            Wire::Missing(()) => Self::Missing,
        }
    }
}

impl From<Value> for Wire {
    fn from(value: Value) -> Self {
        match value {
            Value::Number(number) if number.is_nan() => Self::Missing(()),
            Value::Number(number) if number.is_infinite() => Self::Text(number.to_string()),
            Value::Number(number) => Self::Number(number),
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text),
            Value::Missing => Self::Missing(()),
        }
    }
}

impl Value {
    /// As in CSV: numbers in full, nothing for a missing value.
    pub fn exact(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Missing => String::new(),
        }
    }

    /// For people: numbers with four significant digits, a dash for a missing value.
    pub fn short(&self) -> String {
        match self {
            Self::Number(number) => short(*number),
            Self::Missing => "–".into(),
            other => other.exact(),
        }
    }

    /// Whether the cell is a number, so that it is aligned to the right.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Integer(_))
    }
}

/// A number with four significant digits, without trailing zeros; scientific when very large or small.
pub(crate) fn short(number: f64) -> String {
    let magnitude = number.abs();
    if !number.is_finite() || number == 0.0 {
        return number.to_string();
    }
    if !(1e-4..1e6).contains(&magnitude) {
        return format!("{number:.3e}");
    }
    let decimals = (3.0 - magnitude.log10().floor()).clamp(0.0, 7.0) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<f32> for Value {
    /// The shortest decimal that is this `f32`, so that 0.1 stays 0.1.
    fn from(value: f32) -> Self {
        Self::Number(value.to_string().parse().unwrap_or(f64::from(value)))
    }
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value {
            /// An integer; one beyond the range of `i64` becomes a number.
            fn from(value: $kind) -> Self {
                i64::try_from(value).map_or(Self::Number(value as f64), Self::Integer)
            }
        }
    )*};
}
integers!(i32, i64, u32, u64, usize);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Text(if value { "yes" } else { "no" }.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

/// What makes a row: a list of one type, or a tuple of up to ten.
pub trait Row {
    /// The cells, in the order of the columns.
    fn cells(self) -> Vec<Value>;
}

impl<T: Into<Value>> Row for Vec<T> {
    fn cells(self) -> Vec<Value> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<Value>, const N: usize> Row for [T; N] {
    fn cells(self) -> Vec<Value> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Into<Value>),+> Row for ($($name,)+) {
            fn cells(self) -> Vec<Value> {
                #[allow(non_snake_case)]
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    };
}
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);

impl Table {
    /// An empty table.
    pub fn new(name: impl Into<String>, title: impl Into<String>, columns: &[impl AsRef<str>]) -> Self {
        let columns = columns.iter().map(|column| column.as_ref().to_string()).collect();
        Self { name: name.into(), title: title.into(), columns, rows: Vec::new() }
    }

    /// The table with one more row.
    #[must_use]
    pub fn row(mut self, row: impl Row) -> Self {
        self.push(row);
        self
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl Row) {
        self.rows.push(row.cells());
    }

    /// The table as CSV with a header line; numbers in full, missing values empty.
    ///
    /// # Errors
    /// When a row has not one value a column.
    pub fn to_csv(&self) -> Result<String> {
        let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("table '{}' as CSV: {error}", self.name));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns).map_err(|e| failed(&e))?;
        for (index, row) in self.rows.iter().enumerate() {
            if row.len() != self.columns.len() {
                return Err(Error::Shape {
                    what: format!("row {index} of table '{}'", self.name),
                    expected: format!("{} values", self.columns.len()),
                    found: format!("{} values", row.len()),
                });
            }
            writer.write_record(row.iter().map(Value::exact)).map_err(|e| failed(&e))?;
        }
        let bytes = writer.into_inner().map_err(|e| failed(&e))?;
        String::from_utf8(bytes).map_err(|e| failed(&e))
    }

    /// The table with aligned columns for a terminal: numbers to the right, text to the left.
    pub fn to_text(&self) -> String {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.columns.len());
        let cell = |row: &[Value], column: usize| row.get(column).map(Value::short).unwrap_or_default();
        let columns: Vec<(String, usize, bool)> = (0..count)
            .map(|column| {
                let head = self.columns.get(column).cloned().unwrap_or_default();
                let widths = self.rows.iter().map(|row| cell(row, column).chars().count());
                let width = widths.max().unwrap_or(0).max(head.chars().count());
                (head, width, self.is_numeric(column))
            })
            .collect();
        let mut text = String::new();
        let mut line = |cells: Vec<String>| {
            let padded: Vec<String> = cells
                .into_iter()
                .zip(&columns)
                .map(
                    |(cell, (_, width, right))| {
                        if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            text.push_str(padded.join("  ").trim_end());
            text.push('\n');
        };
        line(columns.iter().map(|(head, ..)| head.clone()).collect());
        line(columns.iter().map(|(_, width, _)| "─".repeat(*width)).collect());
        for row in &self.rows {
            line((0..count).map(|column| cell(row, column)).collect());
        }
        if self.title.is_empty() { text } else { format!("{}\n{text}", self.title) }
    }

    /// Whether a column holds numbers only (missing values aside) and at least one.
    pub(crate) fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| **cell != Value::Missing);
        cells.clone().next().is_some() && cells.all(Value::is_number)
    }
}

#[cfg(test)]
mod tests;
