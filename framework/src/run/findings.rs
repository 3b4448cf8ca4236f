//! Findings on disk: numbers as JSON and CSV, arrays as npz, figures as SVG, PNG and CSV.

use crate::figure::Figure;
use crate::storage::{atomic, npz};
use crate::table::{Table, Value};
use crate::{Error, Findings, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What `findings.json` holds: everything but the arrays.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    values: IndexMap<String, Value>,
    notes: Vec<String>,
    tables: Vec<Table>,
    figures: Vec<Figure>,
    arrays: Vec<String>,
}

const FINDINGS: &str = "findings.json";
const ARRAYS: &str = "arrays.npz";

impl Findings {
    /// Write everything to a folder, replacing what an earlier analysis left there; returns the paths written.
    ///
    /// # Errors
    /// [`Error::Failed`] when two tables or figures share a name, and so a file; [`Error::Io`] when the system refuses, or when a
    /// figure cannot be drawn.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        self.own_names()?;
        let parent = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let temporary = atomic::temporary_dir(folder)?;
        let written = self.write(&temporary).inspect_err(|_| drop(std::fs::remove_dir_all(&temporary)))?;
        atomic::replace_dir(&temporary, folder)?;
        Ok(written.iter().filter_map(|path| path.file_name()).map(|name| folder.join(name)).collect())
    }

    /// Tables and figures write `NAME.csv` each, so that a name may be taken once.
    fn own_names(&self) -> Result<()> {
        let tables = self.tables.iter().map(|table| ("table", &table.name));
        let figures = self.figures.iter().map(|figure| ("figure", &figure.name));
        let mut taken: IndexMap<&str, &str> = IndexMap::new();
        for (kind, name) in tables.chain(figures) {
            if let Some(other) = taken.insert(name, kind) {
                return Err(Error::Failed(format!(
                    "a {other} and a {kind} of the findings are both called '{name}' and would write the same {name}.csv; rename one"
                )));
            }
        }
        Ok(())
    }

    fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut written = vec![folder.join(FINDINGS)];
        let saved = Saved {
            values: self.values.clone(),
            notes: self.notes.clone(),
            tables: self.tables.clone(),
            figures: self.figures.clone(),
            arrays: self.arrays.keys().cloned().collect(),
        };
        atomic::write_json(&written[0], &saved)?;
        for table in &self.tables {
            let path = folder.join(format!("{}.csv", table.name));
            atomic::write(&path, table.to_csv()?.as_bytes())?;
            written.push(path);
        }
        if !self.arrays.is_empty() {
            let path = folder.join(ARRAYS);
            let arrays: Vec<_> = self.arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
            npz::write_npz(&path, &arrays)?;
            written.push(path);
        }
        for figure in &self.figures {
            written.extend(figure.save(folder)?);
        }
        Ok(written)
    }

    /// Read what [`Findings::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or damaged.
    pub fn load(folder: &Path) -> Result<Self> {
        let saved: Saved = atomic::read_json(folder.join(FINDINGS))?;
        let arrays = if saved.arrays.is_empty() { IndexMap::new() } else { npz::read_npz(folder.join(ARRAYS))? };
        let Saved { values, notes, tables, figures, .. } = saved;
        Ok(Self { values, tables, arrays, figures, notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let place = folder.path().join("found");
        let with = |tables: &[&str], figures: &[&str]| Findings {
            tables: tables.iter().map(|name| Table::new(*name, "", &["x"])).collect(),
            figures: figures.iter().map(|name| Figure::new(*name, "")).collect(),
            ..Findings::new()
        };
        assert!(with(&["a", "b"], &["c"]).save(&place).is_ok());
        let error = with(&["a", "b"], &["b"]).save(&place).expect_err("both write b.csv").to_string();
        assert_eq!(
            error,
            "a table and a figure of the findings are both called 'b' and would write the same b.csv; rename one"
        );
        assert!(
            with(&[], &["b", "b"]).save(&place).expect_err("twice").to_string().starts_with("a figure and a figure")
        );
        assert!(Findings::load(&place).is_ok(), "what was there is left alone");
    }
}
