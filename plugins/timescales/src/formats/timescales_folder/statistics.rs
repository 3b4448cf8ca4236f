//! What training recorded at each evaluation: `stats.npy` of the published code, `stats.json` and `stats.csv` of our exports.

use serde_json::{Map, Value as Json, json};
use std::path::Path;
use synfire::storage::atomic;
use synfire::storage::float::{from_value, to_value};
use synfire::table::Table;
use synfire::torch_file::{Value, read_numpy_object};
use synfire::{Error, Result};

/// One evaluation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Mean loss of the updates before it.
    pub loss: f64,
    /// Accuracy of each head, in percent.
    pub accuracy: Vec<f64>,
    /// Levels of the heads, where the file says them.
    pub levels: Option<Vec<usize>>,
    /// Updates before it, where the file says them.
    pub update: Option<u64>,
    /// Trials of the evaluation, where the file says them.
    pub trials: Option<usize>,
}

const REMEDY: &str = "is it the file of a published network? without it, the folder is read all the same";

/// Read the evaluations of a `stats.npy` or `stats.json`.
///
/// # Errors
/// [`Error::File`] naming what is missing or damaged.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    let json = path.extension().is_some_and(|end| end == "json");
    let fields = match json {
        true => atomic::read_json::<Map<String, Json>>(path)?,
        false => match read_numpy_object(path)? {
            Value::Dict(entries) => entries.into_iter().map(|(key, value)| (key, plain(value))).collect(),
            _ => return Err(Error::file(path, "holds no dictionary", REMEDY)),
        },
    };
    rows(&fields).map_err(|problem| Error::file(path, problem, REMEDY))
}

/// Numbers and lists as JSON; what statistics do not have becomes null.
fn plain(value: Value) -> Json {
    match value {
        Value::Int(number) => number.into(),
        Value::Float(number) => to_value(number),
        Value::List(items) => items.into_iter().map(plain).collect::<Vec<_>>().into(),
        _ => Json::Null,
    }
}

fn rows(fields: &Map<String, Json>) -> Result<Vec<Row>, String> {
    const KNOWN: [&str; 5] = ["loss", "accuracy", "N", "update", "trials"];
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("has the unknown field '{unknown}'"));
    }
    let list = |name: &str| fields.get(name).map(|field| field.as_array().ok_or(format!("its '{name}' is no list")));
    let needed = |name: &str| list(name).ok_or(format!("lacks the field '{name}'"))?;
    let (loss, accuracy) = (needed("loss")?, needed("accuracy")?);
    let (levels, updates, trials) = (list("N").transpose()?, list("update").transpose()?, list("trials").transpose()?);
    for (name, other) in [("accuracy", Some(accuracy)), ("N", levels), ("update", updates), ("trials", trials)] {
        if let Some(other) = other.filter(|other| other.len() != loss.len()) {
            return Err(format!("has {} entries of 'loss' and {} of '{name}'", loss.len(), other.len()));
        }
    }
    let whole = |value: &Json| value.as_u64();
    let row = |at: usize| {
        let wrong = |name: &str| format!("its '{name}' number {} is not what it should be", at + 1);
        let percent = |value: &Json| from_value(value).filter(|percent| (0.0..=100.0).contains(percent));
        let heads = match &accuracy[at] {
            Json::Array(heads) => heads.iter().map(percent).collect::<Option<Vec<f64>>>(),
            one => percent(one).map(|one| vec![one]),
        };
        let heads = heads.filter(|heads| !heads.is_empty()).ok_or_else(|| wrong("accuracy"))?;
        let levels = levels.map(|all| {
            let levels: Option<Vec<usize>> = all[at].as_array()?.iter().map(|l| Some(whole(l)? as usize)).collect();
            levels.filter(|levels| levels.len() == heads.len())
        });
        Ok(Row {
            loss: from_value(&loss[at]).ok_or_else(|| wrong("loss"))?,
            accuracy: heads,
            levels: levels.map(|levels| levels.ok_or_else(|| wrong("N"))).transpose()?,
            update: updates.map(|all| whole(&all[at]).ok_or_else(|| wrong("update"))).transpose()?,
            trials: trials.map(|all| whole(&all[at]).ok_or_else(|| wrong("trials"))).transpose()?.map(|n| n as usize),
        })
    };
    (0..loss.len()).map(row).collect()
}

/// Write the evaluations as `stats.json`, with the fields of `stats.npy`, levels (`N`), updates and trials; and as `stats.csv`.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub(super) fn write(folder: &Path, rows: &[Row]) -> Result<()> {
    let column = |of: &dyn Fn(&Row) -> Json| rows.iter().map(of).collect::<Vec<Json>>();
    let fields = json!({
        "loss": column(&|row| to_value(row.loss)),
        "accuracy": column(&|row| row.accuracy.iter().map(|a| to_value(*a)).collect::<Vec<_>>().into()),
        "N": column(&|row| json!(row.levels)),
        "update": column(&|row| json!(row.update)),
        "trials": column(&|row| json!(row.trials)),
    });
    atomic::write_json(folder.join("stats.json"), &fields)?;
    let mut table = Table::new("stats", "", &["update", "N", "accuracy", "loss", "trials"]);
    for row in rows {
        let levels = row.levels.iter().flatten().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let accuracy = row.accuracy.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        table.push((row.update, levels, accuracy, row.loss, row.trials));
    }
    atomic::write(folder.join("stats.csv"), table.to_csv()?.as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::PathBuf;

    /// Made by make_statistics.py in the same folder.
    pub fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/statistics").join(name)
    }

    #[test]
    fn the_numbers_are_those_that_numpy_wrote() {
        let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
        let expected: Json = serde_json::from_str(&text).unwrap();
        for name in ["single", "cumulative", "sliding"] {
            let rows = read(&fixture(&format!("{name}.npy"))).unwrap();
            let losses: Vec<f64> = rows.iter().map(|row| row.loss).collect();
            assert_eq!(json!(losses), expected[name]["loss"], "{name}");
            let accuracies: Vec<Vec<f64>> = rows.iter().map(|row| row.accuracy.clone()).collect();
            assert_eq!(json!(accuracies), expected[name]["accuracy"], "{name}");
            assert!(rows.iter().all(|row| row.levels.is_none() && row.update.is_none()));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let row = |update: u64, levels: &[usize], loss: f64| Row {
            loss,
            accuracy: levels.iter().map(|level| 100.0 / *level as f64).collect(),
            levels: Some(levels.to_vec()),
            update: Some(update),
            trials: Some(7),
        };
        let rows = vec![row(10, &[2], 0.1), row(20, &[2, 3], f64::INFINITY)];
        write(folder.path(), &rows).unwrap();
        assert_eq!(read(&folder.path().join("stats.json")).unwrap(), rows);
        let csv = std::fs::read_to_string(folder.path().join("stats.csv")).unwrap();
        assert_eq!(csv.lines().nth(1), Some("10,2,50,0.1,7"));
    }

    #[test]
    fn other_files_are_refused_by_what_is_wrong_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stats.json");
        let refusal = |fields: Json| {
            std::fs::write(&path, fields.to_string()).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(refusal(json!({ "loss": [] })).contains("lacks the field 'accuracy'"));
        assert!(refusal(json!({ "loss": [1.0], "accuracy": [] })).contains("1 entries of 'loss' and 0 of 'accuracy'"));
        assert!(refusal(json!({ "loss": [1.0], "accuracy": [[101.0]] })).contains("'accuracy' number 1"));
        assert!(refusal(json!({ "loss": [1.0], "accuracy": [[50.0]], "N": [[2, 3]] })).contains("'N' number 1"));
        assert!(refusal(json!({ "loss": [], "accuracy": [], "weights": [] })).contains("'weights'"));
    }
}
