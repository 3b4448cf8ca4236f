//! The analysis on networks made by hand.

use super::*;
use crate::analyses::fixture::{run, set};
use serde_json::json;
use synfire::Spec;
use synfire::run::Analyst;
use synfire::table::Value;
use synfire::workers::Workers;

/// Three independent bistable units that are fed by one channel each.
fn bits(folder: &std::path::Path, options: serde_json::Value) -> Findings {
    let task = json!({ "type": "flip-flop", "bits": 3, "duration_ms": 600.0 });
    let cell = json!({ "type": "leaky-rnn", "hidden": 3, "time_constants": { "low": 5.0, "high": 5.0 } });
    let dir = run(folder, &task, &cell, |network| {
        let eye = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let parameters: [(&str, &[f64]); 5] = [
            ("recurrent.weight", &eye.map(|x| 2.0 * x)),
            ("input.weight", &eye.map(|x| 4.0 * x)),
            ("input.bias", &[0.0; 3]),
            ("head.0.weight", &eye),
            ("head.0.bias", &[0.0; 3]),
        ];
        set(network, &parameters);
    });
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let analyst = Analyst::new(&Spec::with("fixed-points", &options), &registry, &workers).expect("builds");
    let experiment = dir.experiment().expect("an experiment");
    analyst.run(&dir, experiment, "fixed-points").expect("analyses").remove(0).findings
}

fn number(findings: &Findings, name: &str) -> f64 {
    match findings.values.get(name) {
        Some(Value::Integer(value)) => *value as f64,
        Some(Value::Number(value)) => *value,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_planted_memory_has_all_its_points_and_its_saddles_lead_to_attractors() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let findings = bits(&folder.path().join("run"), json!({ "survey": { "starts": 400, "spread": 2.0 } }));
    assert_eq!(number(&findings, "fixed points"), 27.0);
    assert_eq!(number(&findings, "attractors"), 8.0);
    assert_eq!(number(&findings, "saddles"), 18.0);
    assert_eq!(number(&findings, "repellers"), 1.0);
    assert!(number(&findings, "largest residual") < 1e-10);
    // -1 + 2 at the loose units
    assert!((number(&findings, "leading rate at input 0") - 1.0).abs() < 1e-9);
    let table = |name: &str| findings.tables.iter().find(|table| table.name == name).expect("a table");
    assert_eq!(table("fixed_points").rows.len(), 27);
    let connections = table("connections");
    assert_eq!(connections.rows.len(), 2 * 19);
    // A saddle with one loose unit leads to one attractor on either side; of several loose units the fastest direction may end at
    // another saddle.
    let ended = connections.rows.iter().filter(|row| row[4] != Value::Missing).count();
    assert!(ended >= 24, "{ended}");
    assert_eq!(findings.arrays["points"].shape(), [27, 3]);
    assert_eq!(findings.arrays["rates"].shape(), [27, 3, 2]);
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn evidence_takes_a_pair_of_points_away() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let options = json!({ "inputs": { "values": [0.0, 0.01, -0.01, 0.4] }, "survey": {
        "contexts": [{ "vary": "bit 0" }], "clamped": [{ "unit": 1, "value": 0.2 }, { "unit": 2, "value": 0.1 }] } });
    let channels = synfire_essentials::tasks::FlipFlop::default();
    let name = synfire::Task::spec(&channels).inputs[0].clone();
    let options: serde_json::Value = serde_json::from_str(&options.to_string().replace("bit 0", &name)).expect("JSON");
    let findings = bits(&folder.path().join("run"), options);
    let inputs = findings.tables.iter().find(|table| table.name == "inputs").expect("a table");
    let counts: Vec<&Value> = inputs.rows.iter().map(|row| &row[3]).collect();
    // One free unit, r = tanh(2 r + 4 u): three zeros for a weak input, one for a strong one.
    assert_eq!(counts, [&Value::Integer(3), &Value::Integer(3), &Value::Integer(3), &Value::Integer(1)]);
    assert_eq!(findings.figures.len(), 3, "points, branches, eigenvalues");
    assert_eq!(findings.arrays["points"].shape(), [10, 3], "clamped units stand in their places");
    assert_eq!(findings.arrays["points"].to_f64()[1..3], [0.2, 0.1]);
}

#[test]
fn what_is_out_of_range_is_refused() {
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let wrong = json!({ "survey": { "starts": 0, "tolerance": 0.0 }, "inputs": { "values": [] }, "trials": 0 });
    let error =
        Analyst::new(&Spec::with("fixed-points", &wrong), &registry, &workers).err().expect("refused").to_string();
    for part in ["analysis.survey.starts", "analysis.survey.tolerance", "analysis.inputs", "analysis.trials"] {
        assert!(error.contains(part), "{error}");
    }
}
