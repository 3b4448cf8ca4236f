//! From files and flags to an experiment: later layers win, and every error names its field.

use super::Experiment;
use crate::{Error, Problem, Result};
use serde_json::{Map, Value};

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
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_another_component_drops_its_options() {
        let mut layers = Layers::from_toml("seed = 3\n[cell]\ntype = \"lstm\"\nhidden = 7\n").expect("valid");
        layers.set_text("cell.hidden=9").expect("a path");
        let experiment = layers.experiment().expect("valid");
        assert_eq!((experiment.seed, experiment.cell.options()["hidden"].as_u64()), (3, Some(9)));
        layers.component("cell", "gru");
        assert_eq!(layers.experiment().expect("valid").cell.options().as_object().map(Map::len), Some(0));
    }

    #[test]
    fn options_of_a_component_nobody_named_go_to_the_default_one() {
        let mut layers = Layers::new();
        layers.set_text("task.first=2").expect("a path");
        assert_eq!(layers.experiment().expect("valid").task.name, Experiment::default().task.name);
    }

    #[test]
    fn errors_name_the_field() {
        let mut layers = Layers::new();
        layers.set_text("training.batch=many").expect("a path");
        let message = layers.experiment().expect_err("text for a number").to_string();
        assert!(message.starts_with("training.batch is wrong"), "{message}");
        assert!(Layers::new().set_text("cell.hidden").expect_err("no equals sign").to_string().contains("PATH=VALUE"));
        let unknown = Layers::from_toml("sed = 3").expect("valid").experiment().expect_err("typo").to_string();
        assert!(unknown.contains("sed") && unknown.contains("seed"), "{unknown}");
    }

    #[test]
    fn flag_values_are_toml_or_text() {
        assert_eq!(flag_value("1e-3"), serde_json::json!(1e-3));
        assert_eq!(flag_value("[1, 2]"), serde_json::json!([1, 2]));
        assert_eq!(flag_value("cpu"), serde_json::json!("cpu"));
        assert_eq!(flag_value("{ type = \"sgd\" }"), serde_json::json!({"type": "sgd"}));
    }
}
