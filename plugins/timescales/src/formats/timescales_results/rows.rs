//! Rows of the tables from findings.

use super::saved::{Saved, json, number};
use super::table::{Columns, Rows};
use serde_json::Value as Json;

/// What a table has of one analysis, or why it has nothing.
type Made<T> = Result<T, String>;

/// One row: a baseline, and the accuracies with each unit silenced alone.
pub(super) fn ablation(saved: &Saved) -> Made<Rows> {
    let level = saved.level()?;
    if saved.spec.options()["together"] == Json::Bool(true) {
        return Err("units were silenced together, the table has them one by one".into());
    }
    let (units, accuracies) = (saved.array("unit")?, saved.array("accuracy")?);
    if units.shape().first() != accuracies.shape().first() {
        return Err(format!("its units have shape {:?}, its accuracies {:?}", units.shape(), accuracies.shape()));
    }
    let base = match saved.findings.arrays.get("base") {
        Some(base) => base.to_f64(),
        None => match saved.findings.values.get("accuracy") {
            Some(synfire::table::Value::Number(base)) => vec![*base],
            _ => return Err("it has neither an array 'base' nor a value 'accuracy'".into()),
        },
    };
    let taus = match saved.findings.arrays.get("time_constants") {
        Some(taus) => taus.to_f64(),
        None => saved.column("silenced", "time_constants")?,
    };
    Ok(Rows {
        file: "df_ablate_tau".into(),
        columns: Columns::new(&["baseline_accuracy", "ids_ablated", "tau_ablated", "accuracies"]),
        level,
        rows: vec![vec![list(&base), json(units), list(&taus), json(accuracies)]],
    })
}

/// For each kind of disturbance a table, for each strength a row with the accuracies of all draws; strength 0 is the network itself.
pub(super) fn perturbation(saved: &Saved) -> Made<Vec<Rows>> {
    let level = saved.level()?;
    let kinds: Vec<&str> = saved.findings.arrays.keys().filter_map(|name| name.strip_suffix("_strength")).collect();
    if kinds.is_empty() {
        return Err("it has no array whose name ends in '_strength'".into());
    }
    let base = match (saved.findings.arrays.get("base"), saved.findings.values.get("accuracy")) {
        (Some(base), _) => base.to_f64(),
        (None, Some(synfire::table::Value::Number(base))) => vec![*base],
        (None, _) => return Err("it has neither an array 'base' nor a value 'accuracy'".into()),
    };
    let mut made = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let strengths = saved.array(&format!("{kind}_strength"))?.to_f64();
        let accuracies = json(saved.array(&format!("{kind}_accuracy"))?);
        let accuracies = accuracies.as_array().filter(|rows| rows.len() == strengths.len());
        let accuracies = accuracies.ok_or_else(|| format!("its accuracies of {kind} are not one row a strength"))?;
        let mut rows = vec![vec![number(0.0), list(&base)]];
        rows.extend(strengths.iter().zip(accuracies).map(|(strength, row)| {
            let row = if row.is_array() { row.clone() } else { Json::Array(vec![row.clone()]) };
            vec![number(*strength), row]
        }));
        made.push(Rows {
            file: match kind {
                "recurrent_normalized" => "df_perturb_rnn_normalized".into(),
                "time_constants_absolute" => "df_perturb_tau_normalized_abs".into(),
                other => format!("df_perturb_{other}"),
            },
            columns: Columns::new(&["perturbation", "accuracy"]),
            level,
            rows,
        });
    }
    Ok(made)
}

/// For each level a row with the accuracies at all evaluations, in percent.
pub(super) fn retraining(saved: &Saved) -> Made<Rows> {
    let own = saved.column("retrained", saved.findings.tables.first().map_or("", |table| &table.columns[0]))?;
    // The network's own level is in the findings, whichever way it was chosen.
    let level = own.first().filter(|level| level.is_finite()).ok_or("it has no row")?;
    let (levels, accuracies) = (saved.array("level")?.to_f64(), saved.array("accuracy")?);
    let &[rows, evaluations] = accuracies.shape() else {
        return Err(format!("its accuracies have shape {:?}, not [level, evaluation]", accuracies.shape()));
    };
    if rows != levels.len() {
        return Err(format!("it has {} levels and {rows} rows of accuracies", levels.len()));
    }
    let percent: Vec<f64> = accuracies.to_f64().iter().map(|accuracy| 100.0 * accuracy).collect();
    let row = |(level, accuracies): (&f64, &[f64])| vec![Json::from(*level as u64), list(accuracies)];
    Ok(Rows {
        file: "df_retrained".into(),
        columns: Columns::new(&["N_retrained", "accuracy"]),
        level: *level as usize,
        rows: levels.iter().zip(percent.chunks(evaluations.max(1))).map(row).collect(),
    })
}

fn list(values: &[f64]) -> Json {
    values.iter().map(|value| number(*value)).collect()
}
