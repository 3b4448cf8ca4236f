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
    /// [`Error::Io`] when the system refuses, or when a figure cannot be drawn.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let parent = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let temporary = atomic::temporary_dir(folder)?;
        let written = self.write(&temporary).inspect_err(|_| drop(std::fs::remove_dir_all(&temporary)))?;
        atomic::replace_dir(&temporary, folder)?;
        Ok(written.iter().filter_map(|path| path.file_name()).map(|name| folder.join(name)).collect())
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
