//! Networks made by hand that represent the evidence alike or not.

use super::*;
use crate::analyses::fixture::{run, set};
use indexmap::IndexMap;
use serde_json::json;
use synfire::Spec;
use synfire::run::{Analyst, RunDir};
use synfire::table::Value;
use synfire::workers::Workers;

fn number(findings: &Findings, name: &str) -> f64 {
    match findings.values.get(name) {
        Some(Value::Integer(value)) => *value as f64,
        Some(Value::Number(value)) => *value,
        other => panic!("{name}: {other:?}"),
    }
}

/// Three units that turn the evidence at this rate, seen in some mixture.
fn network(folder: &std::path::Path, rate: f64, mixture: [f64; 2]) -> RunDir {
    let task = json!({ "type": "random-dots", "steps": 60 });
    let cell = json!({ "type": "leaky-rnn", "hidden": 3, "activation": "identity", "placement": "current",
        "time_constants": { "low": 10.0, "high": 10.0 } });
    run(folder, &task, &cell, |network| {
        let [a, b] = mixture;
        let parameters: [(&str, &[f64]); 3] = [
            // The third unit is a mixture of the first two, that turn around each other.
            ("recurrent.weight", &[0.0, -rate, 0.0, rate, 0.0, 0.0, a, b, 0.0]),
            ("input.weight", &[1.0, 0.0, 0.0]),
            ("input.bias", &[0.0; 3]),
        ];
        set(network, &parameters);
    })
}

fn compared(networks: &[(f64, [f64; 2])], split: usize, options: &serde_json::Value) -> Findings {
    let folder = tempfile::tempdir().expect("temporary folder");
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let analyst = Analyst::new(&Spec::with("svcca", options), &registry, &workers).expect("builds");
    let mut views = Vec::new();
    for (index, (rate, mixture)) in networks.iter().enumerate() {
        let dir = network(&folder.path().join(index.to_string()), *rate, *mixture);
        views.extend(analyst.open(&dir, dir.experiment().expect("an experiment")).expect("opens"));
    }
    let groups = vec![("first".into(), (0..split).collect()), ("second".into(), (split..networks.len()).collect())];
    analyst.groups(views, groups, &folder.path().join("found")).expect("analyses").findings
}

#[test]
fn alike_networks_lie_together_and_others_apart() {
    let fast = [(4.0, [0.1, 0.0]), (4.0, [0.0, 0.1]), (4.0, [0.05, 0.05])];
    let slow = [(0.5, [0.1, 0.0]), (0.5, [0.0, 0.1]), (0.5, [0.05, 0.05])];
    let findings = compared(&[fast, slow].concat(), 3, &json!({}));
    assert_eq!(findings.arrays["distances"].shape(), [6, 6]);
    let distances = findings.arrays["distances"].to_f64();
    let within = distances[1].max(distances[2]);
    let between = distances[3].min(distances[4]);
    assert!(between > 5.0 * within, "{within} {between}");
    assert!(number(&findings, "silhouette") > 0.5);
    assert_eq!(number(&findings, "purity of k-means"), 1.0);
    let networks = findings.tables.iter().find(|table| table.name == "networks").expect("a table");
    assert_eq!(networks.rows[0][4], Value::Integer(600), "ten probes of sixty steps");
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn units_can_be_left_out() {
    let two = [(1.0, [0.1, 0.0]), (1.0, [5.0, 0.0])];
    let findings = compared(&two, 1, &json!({ "leave_out": [2], "steps": 30, "probes": 4 }));
    assert!(findings.arrays["distances"].to_f64()[1] < 1e-9, "they differ in the third unit alone");
    let networks = findings.tables.iter().find(|table| table.name == "networks").expect("a table");
    assert_eq!((&networks.rows[0][3], &networks.rows[0][4]), (&Value::Integer(2), &Value::Integer(120)));
}

/// The matrix of the fixture as a data file, judged as runs are: what must agree with scikit-learn to four digits.
#[test]
fn a_matrix_from_a_file_is_judged_like_runs() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/comparison.json")).expect("JSON");
    let case = &fixture["groups"][1];
    let rows: Vec<Vec<f64>> = serde_json::from_value(case["distances"].clone()).expect("rows");
    let labels: Vec<i64> = serde_json::from_value(case["labels"].clone()).expect("labels");
    let mut data = IndexMap::new();
    data.insert("distances".to_string(), Array::from_rows(&rows).expect("a matrix"));
    data.insert("labels".to_string(), Array::from(labels));
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["svcca", "attractor-topology"] {
        let analyst = Analyst::new(&Spec::new(name), &registry, &workers).expect("builds");
        let findings = analyst.data("matrix", data.clone(), 1, &folder.path().join(name)).expect("analyses").findings;
        for (value, expected) in [("silhouette", "silhouette"), ("silhouette of rows", "silhouette_rows")] {
            let expected = case[expected].as_f64().expect("a number");
            assert!((number(&findings, value) - expected).abs() < 1e-9, "{name}: {value}");
        }
    }
    let wrong = IndexMap::from([
        ("distances".to_string(), data["distances"].clone()),
        ("labels".to_string(), Array::from(vec![0i64])),
    ]);
    let analyst = Analyst::new(&Spec::new("svcca"), &registry, &workers).expect("builds");
    let error = analyst.data("matrix", wrong, 1, &folder.path().join("wrong")).expect_err("one label").to_string();
    assert!(error.contains("[1, 1] for 1 labels"), "{error}");
}
