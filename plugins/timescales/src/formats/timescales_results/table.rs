//! Tables on disk that many networks share.

use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use synfire::storage::atomic;
use synfire::{Error, Result};

/// The network that rows are of.
pub(super) struct Network<'a> {
    /// Its curriculum, as the tables call it.
    pub kind: &'a str,
    pub number: usize,
}

/// Names of the columns after those that say of which network a row is.
pub(super) struct Columns(Vec<String>);

/// Columns that say of which network a row is.
const KEY: [&str; 3] = ["network_type", "network", "N"];

impl Columns {
    pub fn new(names: &[&str]) -> Self {
        Self(KEY.iter().chain(names).map(|name| (*name).to_string()).collect())
    }
}

/// What one analysis adds to a table.
pub(super) struct Rows {
    /// Stem of the file.
    pub file: String,
    pub columns: Columns,
    /// The level they are of.
    pub level: usize,
    /// What stands after the key.
    pub rows: Vec<Vec<Json>>,
}

/// Add rows to the tables in a folder, replacing those of the same network and level; returns the files written.
///
/// # Errors
/// [`Error::File`] for a table that is there and has other columns; [`Error::Io`] when the system refuses.
pub(super) fn merge(folder: &Path, network: &Network, tables: Vec<Rows>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for table in tables {
        let path = folder.join(format!("{}.csv", table.file));
        let key = [network.kind.to_string(), network.number.to_string(), table.level.to_string()];
        let mut lines = before(&path, &table.columns)?;
        lines.retain(|line| line[..KEY.len()] != key);
        for row in table.rows {
            lines.push(key.iter().cloned().chain(row.iter().map(cell)).collect());
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = |error: &dyn std::fmt::Display| Error::file(&path, format_args!("cannot be made: {error}"), "");
        writer.write_record(&table.columns.0).map_err(|error| failed(&error))?;
        for line in &lines {
            writer.write_record(line).map_err(|error| failed(&error))?;
        }
        atomic::write(&path, &writer.into_inner().map_err(|error| failed(&error))?)?;
        if !files.contains(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// The rows that a table has already.
fn before(path: &Path, columns: &Columns) -> Result<Vec<Vec<String>>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let bytes = atomic::read(path)?;
    let refuse = |problem: String| Error::file(path, problem, "move it away, or name another folder with -o");
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let headers = reader.headers().map_err(|error| refuse(format!("is there and is no table: {error}")))?;
    if headers.iter().ne(columns.0.iter().map(String::as_str)) {
        return Err(refuse(format!("is there with other columns, expected: {}", columns.0.join(", "))));
    }
    let rows = reader.records().map(|row| match row {
        Ok(row) => Ok(row.iter().map(str::to_string).collect()),
        Err(error) => Err(refuse(format!("is there and is damaged: {error}"))),
    });
    rows.collect()
}

/// Numbers and texts as they are, lists as JSON, nothing for null.
fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
