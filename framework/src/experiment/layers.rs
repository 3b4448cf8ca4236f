//! From files and flags to an experiment: later layers win, and every error names its field.

use super::Experiment;
use crate::{Error, Problem, Result};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Key of an experiment file that names the files it is laid over, by paths from its own folder.
pub const EXTENDS: &str = "extends";

/// Key of an experiment file that names the plugins whose components it uses.
const PLUGINS: &str = "plugins";

/// An experiment in the making: a tree of values to which a file and flags are applied in turn.
#[derive(Clone, Debug, Default)]
pub struct Layers(Map<String, Value>);

impl Layers {
    /// Nothing set: the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Start from the text of an experiment file.
    ///
    /// # Errors
    /// [`Error::Config`] with line and column where the text is not TOML.
    pub fn from_toml(text: &str) -> Result<Self> {
        let value: toml::Value =
            toml::from_str(text).map_err(|e| Error::config("", format_args!("the file is not valid TOML: {e}"), ""))?;
        match serde_json::to_value(value) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            _ => Err(Error::config("", "the file is not a table", "")),
        }
    }

    /// Start from an experiment file, or the directory of an earlier run. A file may be laid over others:
    /// `extends = "other.toml"`, or a list of them.
    ///
    /// # Errors
    /// [`Error::Config`] naming the file that cannot be read, is not TOML, or leads back to itself.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_below(path, &mut Vec::new())
    }

    fn read_below(path: &Path, above: &mut Vec<PathBuf>) -> Result<Self> {
        let name = path.display().to_string();
        let refuse = |problem: &dyn std::fmt::Display, remedy: &str| Error::config(name.as_str(), problem, remedy);
        let file = if path.is_dir() { path.join("experiment.toml") } else { path.to_path_buf() };
        let bytes = std::fs::read(&file).map_err(|error| {
            let remedy = "`synfire init -o FILE` writes an experiment file to start from";
            refuse(&format_args!("cannot be read: {error}"), remedy)
        })?;
        let place = file.canonicalize().unwrap_or_else(|_| file.clone());
        if above.contains(&place) {
            return Err(refuse(&"extends itself", "take the circle out of its extends"));
        }
        let text = String::from_utf8(bytes).map_err(|_| refuse(&"is not text", "give a TOML file"))?;
        let mut own = Self::from_toml(&text).map_err(|error| error.in_file(path))?;
        own.root_plugins(file.parent().unwrap_or(Path::new("")));
        let bases = match own.0.remove(EXTENDS) {
            None => return Ok(own),
            Some(Value::String(base)) => vec![base],
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(|base| base.as_str().map(str::to_string)).collect()
            }
            Some(_) => return Err(refuse(&"has an extends that is no file name", "write extends = \"other.toml\"")),
        };
        above.push(place);
        let mut all = Self::new();
        for base in bases {
            all.lay(Self::read_below(&file.parent().unwrap_or(Path::new("")).join(base), above)?);
        }
        above.pop();
        all.lay(own);
        Ok(all)
    }

    /// Paths of plugins are from the folder of the file that names them; from here on they are good anywhere.
    fn root_plugins(&mut self, folder: &Path) {
        if let Some(Value::Array(files)) = self.0.get_mut(PLUGINS) {
            for file in files.iter_mut() {
                let Some(path) = file.as_str().map(|path| folder.join(path)) else { continue };
                let path = path.canonicalize().or_else(|_| std::path::absolute(&path)).unwrap_or(path);
                *file = path.to_string_lossy().into_owned().into();
            }
        }
    }

    /// The files of plugins that are named.
    pub fn plugins(&self) -> Vec<PathBuf> {
        let files = self.0.get(PLUGINS).and_then(Value::as_array);
        files.into_iter().flatten().filter_map(|file| file.as_str().map(PathBuf::from)).collect()
    }

    /// Lay another tree over this one: what it sets wins. A component of another type drops the options of the one before; lists
    /// are replaced as wholes.
    pub fn lay(&mut self, upper: Self) {
        lay(&mut self.0, upper.0);
    }

    /// Choose a component by name. Another name than the one set so far drops the options that were meant for that one.
    pub fn component(&mut self, path: &str, name: &str) {
        match self.0.get_mut(path) {
            Some(Value::Object(table)) if table.get("type").and_then(Value::as_str) == Some(name) => {}
            _ => {
                let mut table = Map::new();
                table.insert("type".into(), name.into());
                self.0.insert(path.to_string(), table.into());
            }
        }
    }

    /// Add an analysis by name.
    pub fn analysis(&mut self, name: &str) {
        let list = self.0.entry("analysis").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            let mut table = Map::new();
            table.insert("type".into(), name.into());
            list.push(table.into());
        }
    }

    /// Set the value at a dotted path, for example `cell.hidden`; tables on the way are made, list items are `analysis.0.trials`.
    ///
    /// # Errors
    /// [`Error::Config`] when the path leads through something that is not a table or list.
    pub fn set(&mut self, path: &str, value: Value) -> Result<()> {
        let keys: Vec<&str> = path.split('.').collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(Error::config(path, "is not a path", "write it as cell.hidden=200"));
        }
        let defaults = serde_json::to_value(Experiment::default()).unwrap_or_default();
        let (last, way) = keys.split_last().ok_or_else(|| Error::config(path, "is empty", ""))?;
        let mut root = Value::Object(std::mem::take(&mut self.0));
        let result = (|| {
            let mut at = &mut root;
            for (depth, key) in way.iter().enumerate() {
                let missing = at.get(*key).is_none();
                if let (true, Value::Object(table)) = (missing, &mut *at) {
                    // A component that nothing named so far is the default one.
                    let name = defaults.get(*key).filter(|_| depth == 0).and_then(|d| d.get("type")).cloned();
                    let mut fresh = Map::new();
                    if let Some(name) = name {
                        fresh.insert("type".into(), name);
                    }
                    table.insert((*key).to_string(), fresh.into());
                }
                at = step(at, key).ok_or_else(|| {
                    Error::config(path, format_args!("leads through '{key}', which is not a table"), "")
                })?;
            }
            match at {
                Value::Object(table) => {
                    table.insert((*last).to_string(), value);
                    Ok(())
                }
                other => match step(other, last) {
                    Some(item) => {
                        *item = value;
                        Ok(())
                    }
                    None => Err(Error::config(path, format_args!("has no place for '{last}'"), "")),
                },
            }
        })();
        if let Value::Object(map) = root {
            self.0 = map;
        }
        result
    }

    /// Apply `path=value`.
    ///
    /// # Errors
    /// [`Error::Config`] without an equals sign or with a path that leads nowhere.
    pub fn set_text(&mut self, assignment: &str) -> Result<()> {
        let (path, value) = assignment.split_once('=').ok_or_else(|| {
            Error::config(assignment, "is not an assignment", "write it as PATH=VALUE, for example cell.hidden=200")
        })?;
        self.set(path.trim(), flag_value(value.trim()))
    }

    /// What is set, as a table.
    pub fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Whether a top-level field is set.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// The experiment.
    ///
    /// # Errors
    /// [`Error::Config`] naming every field that is unknown or has the wrong type.
    pub fn experiment(&self) -> Result<Experiment> {
        crate::fields::read(Value::Object(self.0.clone()))
    }

    /// The experiment without the fields that do not fit, and what is wrong with these: to find what else is wrong.
    pub fn what_fits(&self) -> (Option<Experiment>, Vec<Problem>) {
        crate::fields::read_what_fits(Value::Object(self.0.clone()))
    }
}

fn lay(lower: &mut Map<String, Value>, upper: Map<String, Value>) {
    let other = upper.get("type").is_some_and(|name| lower.get("type") != Some(name));
    if other {
        lower.clear();
    }
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay(below, above),
            (_, value) => drop(lower.insert(key, value)),
        }
    }
}

fn step<'a>(at: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match at {
        Value::Object(table) => table.get_mut(key),
        Value::Array(list) => key.parse::<usize>().ok().and_then(|i| list.get_mut(i)),
        _ => None,
    }
}

/// The value of a flag: read as TOML, and as plain text where that fails (`device=cpu`).
pub fn flag_value(text: &str) -> Value {
    let table: std::result::Result<toml::Table, _> = toml::from_str(&format!("value = {text}"));
    let value = table.ok().and_then(|mut table| table.remove("value"));
    value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| text.into())
}

/// Anything serialisable as TOML text; options that are `None` are left out, as TOML has no null.
///
/// # Errors
/// [`Error::Failed`] when TOML cannot hold it.
pub fn to_toml(value: &impl serde::Serialize) -> Result<String> {
    let mut value = serde_json::to_value(value).map_err(|e| Error::Failed(format!("cannot be written: {e}")))?;
    drop_nulls(&mut value);
    let value: toml::Value =
        serde_json::from_value(value).map_err(|e| Error::Failed(format!("TOML cannot hold it: {e}")))?;
    toml::to_string_pretty(&value).map_err(|e| Error::Failed(format!("TOML cannot hold it: {e}")))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
