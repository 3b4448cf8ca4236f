//! Findings that a run's analyses saved, and what they are about.

use serde_json::Value as Json;
use synfire::storage::{Array, ArrayValues};
use synfire::subject::{At, RunView};
use synfire::table::Value;
use synfire::{Analysis, Findings, Result, Spec};

/// The findings of one analysis.
pub(super) struct Saved {
    /// Name of their folder.
    pub folder: String,
    /// The analysis with its options.
    pub spec: Spec<dyn Analysis>,
    pub findings: Findings,
    /// The one level that was looked at; `Err` says why there is none.
    pub level: Result<usize, String>,
}

/// All findings of a run whose analysis is known, in the order of their folders.
///
/// # Errors
/// When findings or a checkpoint cannot be read.
pub(super) fn all(run: &RunView) -> Result<Vec<Saved>> {
    let mut saved = Vec::new();
    for folder in run.dir.analyses() {
        let Some(spec) = run.dir.analysis_settings(&folder) else { continue };
        if !["ablation", "perturbation", "retraining", "timescales"].contains(&&spec.name[..]) {
            continue;
        }
        let findings = Findings::load(&run.dir.analysis_path(&folder))?;
        let level = level(run, &spec)?;
        saved.push(Saved { folder, spec, findings, level });
    }
    Ok(saved)
}

/// The level that an analysis looked at: the one it was asked for, else the one its network was trained on last.
fn level(run: &RunView, spec: &Spec<dyn Analysis>) -> Result<Result<usize, String>> {
    let options = spec.options();
    if let Some(level) = options["level"].as_u64() {
        return Ok(Ok(level as usize));
    }
    let update = options["update"].as_u64().or_else(|| options["at"].as_u64());
    let lesson = match update {
        Some(update) => run.checkpoint(At::Update(update))?.state.history.lesson().cloned(),
        None => Some(run.lesson()),
    };
    let levels = lesson.map(|lesson| lesson.levels_of(&run.parts.spec)).unwrap_or_default();
    let hardest = levels.iter().map(|level| level.level).max();
    let judged = ["ablation", "perturbation"].contains(&&spec.name[..]);
    Ok(match (hardest, levels.len()) {
        (None, _) => Err("its network was not trained on a level".into()),
        (Some(_), several) if judged && several > 1 => {
            Err(format!("its accuracy is the mean over {several} levels; analyse again with level set"))
        }
        (Some(hardest), _) => Ok(hardest),
    })
}

impl Saved {
    /// The level, or why there is none.
    pub fn level(&self) -> Result<usize, String> {
        self.level.clone()
    }

    /// An array by name.
    pub fn array(&self, name: &str) -> Result<&Array, String> {
        let there = || self.findings.arrays.keys().cloned().collect::<Vec<_>>().join(", ");
        self.findings.arrays.get(name).ok_or_else(|| format!("it has no array '{name}', only: {}", there()))
    }

    /// A column of numbers of a table; NaN for a missing one.
    pub fn column(&self, table: &str, column: &str) -> Result<Vec<f64>, String> {
        let lacks = || format!("it has no column '{column}' in a table '{table}'");
        let table = self.findings.tables.iter().find(|found| found.name == table).ok_or_else(lacks)?;
        let at = table.columns.iter().position(|name| name == column).ok_or_else(lacks)?;
        let number = |row: &Vec<Value>| match row.get(at) {
            Some(Value::Number(number)) => *number,
            Some(Value::Integer(number)) => *number as f64,
            _ => f64::NAN,
        };
        Ok(table.rows.iter().map(number).collect())
    }

    /// A whole number among the options.
    pub fn option(&self, name: &str) -> Result<u64, String> {
        self.spec.options()[name].as_u64().ok_or_else(|| format!("its settings lack '{name}'"))
    }
}

/// An array as nested JSON lists; `null` for what is not finite.
pub(super) fn json(array: &Array) -> Json {
    let flat: Vec<Json> = match array.values() {
        ArrayValues::F32(values) => {
            values.iter().map(|value| number(value.to_string().parse().unwrap_or(f64::NAN))).collect()
        }
        ArrayValues::F64(values) => values.iter().map(|value| number(*value)).collect(),
        ArrayValues::I64(values) => values.iter().map(|value| Json::from(*value)).collect(),
    };
    nested(flat, array.shape())
}

/// A number, or null.
pub(super) fn number(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number)
}

fn nested(mut flat: Vec<Json>, shape: &[usize]) -> Json {
    let Some((_, inner)) = shape.split_first() else { return flat.pop().unwrap_or_default() };
    for size in inner.iter().rev() {
        flat = flat.chunks((*size).max(1)).map(|row| Json::Array(row.to_vec())).collect();
    }
    Json::Array(flat)
}
