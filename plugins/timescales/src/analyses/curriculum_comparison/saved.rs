//! Findings that other analyses saved in the runs, and how tables of them are read.

use serde_json::Value as Json;
use synfire::experiment::Layers;
use synfire::run::RunDir;
use synfire::table::{Table, Value};
use synfire::{Findings, Result};

/// What an analysis found on one network.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    /// Name of the analysis.
    pub analysis: String,
    /// The level that was judged, where it was one: that of its options, else of the lesson that the run ended with.
    pub level: Option<usize>,
    /// What it found.
    pub findings: Findings,
}

/// Analyses whose findings are looked at, and what makes them.
pub(super) const EXPENSIVE: [(&str, &str); 6] = [
    ("timescales", "synfire analyze timescales RUNS --set at=milestones"),
    ("ablation", "synfire analyze ablation RUNS --set level=N --set select.by=parameter --set select.count=20"),
    (
        "perturbation",
        "synfire analyze perturbation RUNS --set level=N --set 'kinds=[\"recurrent-normalized\", \"time-constants-absolute\"]'",
    ),
    ("retraining", "synfire analyze retraining RUNS"),
    ("step-size", "synfire analyze step-size RUNS"),
    ("dimensionality", "synfire analyze dimensionality RUNS --set at=level-ends"),
];

/// The findings in a run that are looked at; `last` is the level of its last lesson, if that had one alone. What cannot be read is
/// named in `notes`.
pub(super) fn load(dir: &RunDir, last: Option<usize>, notes: &mut Vec<String>) -> Vec<Saved> {
    let mut all = Vec::new();
    for folder in dir.analyses() {
        let place = dir.analysis_path(&folder);
        let settings = std::fs::read_to_string(place.join("analysis.toml"));
        let options = settings.ok().and_then(|text| Some(Layers::from_toml(&text).ok()?.value())).unwrap_or(Json::Null);
        let plain = folder.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches('-');
        let plain = if plain.len() < folder.len() { plain } else { &folder };
        let analysis = options["type"].as_str().unwrap_or(plain).to_string();
        if EXPENSIVE.iter().all(|(name, _)| *name != analysis) {
            continue;
        }
        match Findings::load(&place) {
            Ok(findings) => {
                let level = options["level"].as_u64().and_then(|level| usize::try_from(level).ok()).or(last);
                all.push(Saved { analysis, level, findings });
            }
            Err(error) => notes.push(format!("{} was left out: {error}", place.display())),
        }
    }
    all
}

impl Saved {
    /// A table by name, else the first that has these columns.
    pub fn table(&self, name: &str, columns: &[&str]) -> Option<&Table> {
        let fits = |table: &&Table| columns.iter().all(|column| position(table, &[column]).is_some());
        let tables = || self.findings.tables.iter().filter(fits);
        tables().find(|table| table.name == name).or_else(|| tables().next())
    }

    /// A single number by name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.findings.values.get(name).and_then(number)
    }

    /// An array of two axes as rows.
    pub fn rows(&self, name: &str) -> Option<Vec<Vec<f64>>> {
        let array = self.findings.arrays.get(name)?;
        let [_, columns] = *array.shape() else { return None };
        (columns > 0).then(|| array.to_f64().chunks(columns).map(<[f64]>::to_vec).collect())
    }

    /// An array of one axis.
    pub fn list(&self, name: &str) -> Option<Vec<f64>> {
        self.findings.arrays.get(name).map(synfire::storage::array::Array::to_f64)
    }
}

/// The first column that has one of these names.
fn position(table: &Table, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| table.columns.iter().position(|column| column == name))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        Value::Text(_) | Value::Missing => None,
    }
}

/// The numbers of the first column that has one of these names; NaN where a cell has none. Empty where there is no such column.
pub(super) fn numbers(table: &Table, names: &[&str]) -> Vec<f64> {
    let Some(column) = position(table, names) else { return Vec::new() };
    table.rows.iter().map(|row| row.get(column).and_then(number).unwrap_or(f64::NAN)).collect()
}

/// The texts of a column. Empty where there is no such column.
pub(super) fn texts(table: &Table, name: &str) -> Vec<String> {
    let Some(column) = position(table, &[name]) else { return Vec::new() };
    table.rows.iter().map(|row| row.get(column).map(Value::exact).unwrap_or_default()).collect()
}

/// The findings of one analysis among several.
pub(super) fn of<'a>(all: &'a [Saved], analysis: &'a str) -> impl Iterator<Item = &'a Saved> {
    all.iter().filter(move |saved| saved.analysis == analysis)
}

/// What makes findings that some networks lack.
pub(super) fn hint(analysis: &str, command: &str, missing: &[&str]) -> Option<String> {
    let names = match missing {
        [one] => (*one).to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => return None,
    };
    Some(format!("There is no '{analysis}' of {names}; `{command}` makes it for all runs RUNS that it fits."))
}

/// The rows of several columns that all have a number, as lists of equal length.
pub(super) fn complete<const N: usize>(table: &Table, columns: [&[&str]; N]) -> Vec<[f64; N]> {
    let lists = columns.map(|names| numbers(table, names));
    let rows = lists.iter().map(Vec::len).min().unwrap_or(0);
    let at = |row: usize| -> [f64; N] { std::array::from_fn(|column| lists[column][row]) };
    (0..rows).map(at).filter(|row| row.iter().all(|value| value.is_finite())).collect()
}

/// Whether an analysis could be made of a run: it is in the registry, and task and cell have what it needs.
///
/// # Errors
/// When the device is not there any more.
pub(super) fn fits(run: &synfire::subject::RunView, analysis: &str) -> Result<bool> {
    let context = run.context()?;
    let experiment = synfire::Experiment { analysis: vec![synfire::Spec::new(analysis)], ..run.experiment.clone() };
    Ok(experiment.check(context.registry).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_by_the_names_of_their_columns() {
        let table =
            Table::new("t", "", &["run", "extra", "N", "mean"]).row(("a", 1, 5, 2.5)).row(("b", 2, 6, None::<f64>));
        assert_eq!(complete(&table, [&["level", "N"], &["mean"]]), [[5.0, 2.5]]);
        assert_eq!(complete(&table, [&["N"], &["missing"]]), [[0.0; 2]; 0]);
        assert_eq!(texts(&table, "run"), ["a", "b"]);
        let mut findings = Findings::new();
        findings.tables.push(Table::new("other", "", &["x"]));
        findings.tables.push(table);
        findings.value("accuracy", 0.75);
        let saved = Saved { analysis: "timescales".into(), level: None, findings };
        assert_eq!(saved.table("renamed", &["N", "mean"]).map(|t| t.name.as_str()), Some("t"));
        assert!(saved.table("t", &["std"]).is_none());
        assert_eq!((saved.number("accuracy"), saved.number("chance")), (Some(0.75), None));
    }

    #[test]
    fn findings_are_found_whatever_their_folder_is_called() {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("experiment.toml"), "").expect("writes");
        let dir = RunDir::open(folder.path()).expect("a run directory");
        for name in ["ablation", "ablation-2", "mine", "pca"] {
            dir.save_findings(name, &Findings::new()).expect("saves");
        }
        let settings = dir.analysis_path("mine").join("analysis.toml");
        std::fs::write(settings, "type = \"perturbation\"\nlevel = 7\n").expect("writes");
        std::fs::create_dir_all(dir.analysis_path("step-size")).expect("makes a folder");
        std::fs::write(dir.analysis_path("step-size").join("findings.json"), "{").expect("writes");
        let mut notes = Vec::new();
        let found: Vec<(String, Option<usize>)> =
            load(&dir, Some(4), &mut notes).into_iter().map(|saved| (saved.analysis, saved.level)).collect();
        let expected = [("ablation", Some(4)), ("ablation", Some(4)), ("perturbation", Some(7))];
        assert_eq!(found, expected.map(|(name, level)| (name.to_string(), level)));
        assert!(notes.len() == 1 && notes[0].contains("step-size"), "{notes:?}");
    }
}
