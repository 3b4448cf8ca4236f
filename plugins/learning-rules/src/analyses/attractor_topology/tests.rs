//! Networks made by hand, one with a single attractor and one with two, and what lies between.

use super::*;
use crate::analyses::fixture::{run, set};
use serde_json::json;
use synfire::Spec;
use synfire::run::Analyst;
use synfire::table::Value;
use synfire::workers::Workers;

/// A unit that follows the input with this weight on itself, and one that follows the first.
fn network(folder: &std::path::Path, weight: f64) -> synfire::run::RunDir {
    let task = json!({ "type": "random-dots", "steps": 40 });
    let cell = json!({ "type": "leaky-rnn", "hidden": 2, "time_constants": { "low": 10.0, "high": 10.0 } });
    run(folder, &task, &cell, |network| {
        let parameters: [(&str, &[f64]); 5] = [
            ("recurrent.weight", &[weight, 0.0, 0.3, 0.0]),
            ("input.weight", &[1.0, 0.0]),
            ("input.bias", &[0.0; 2]),
            ("head.0.weight", &[1.0, 0.0]),
            ("head.0.bias", &[0.0]),
        ];
        set(network, &parameters);
    })
}

fn compared(weights: &[&[f64]], options: &serde_json::Value) -> Findings {
    let folder = tempfile::tempdir().expect("temporary folder");
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let analyst = Analyst::new(&Spec::with("attractor-topology", options), &registry, &workers).expect("builds");
    let (mut views, mut groups) = (Vec::new(), Vec::new());
    for (index, group) in weights.iter().enumerate() {
        let first = views.len();
        for weight in *group {
            let dir = network(&folder.path().join(format!("{index}-{weight}")), *weight);
            views.extend(analyst.open(&dir, dir.experiment().expect("an experiment")).expect("opens"));
        }
        groups.push((format!("group {index}"), (first..views.len()).collect()));
    }
    analyst.groups(views, groups, &folder.path().join("found")).expect("analyses").findings
}

fn number(findings: &Findings, name: &str) -> f64 {
    match findings.values.get(name) {
        Some(Value::Integer(value)) => *value as f64,
        Some(Value::Number(value)) => *value,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn networks_with_one_attractor_differ_from_those_with_two() {
    let findings = compared(&[&[0.2, 0.5, 0.7], &[1.6, 1.9, 2.2]], &json!({ "survey": { "starts": 40 } }));
    assert_eq!(number(&findings, "items"), 6.0);
    let silhouette = number(&findings, "silhouette");
    assert!(silhouette > 0.5, "{silhouette}");
    assert_eq!(number(&findings, "purity of k-means"), 1.0);
    assert_eq!(number(&findings, "group 0: networks with several attractors at no evidence"), 0.0);
    assert_eq!(number(&findings, "group 1: networks with several attractors at no evidence"), 3.0);
    // The eigenvalue of -1 + W at the only fixed point, the origin.
    assert!((number(&findings, "group 0: median leading rate at no evidence") + 0.5).abs() < 1e-9);
    let networks = &findings.tables[0];
    assert_eq!(networks.rows[0][2], Value::Integer(21), "one point for each input");
    let leading = &findings.tables[1];
    assert_eq!((&leading.rows[0][2], &leading.rows[1][3]), (&Value::Integer(3), &Value::Integer(3)));
    // Quartiles of -0.8, -0.5 and -0.3.
    let Value::Number(lower) = leading.rows[0][4] else { panic!("a number") };
    assert!((lower + 0.65).abs() < 1e-9, "{lower}");
    assert_eq!(findings.arrays["vectors"].shape(), [6, 30]);
    let vectors = findings.arrays["vectors"].to_f64();
    // The first point is that at input 0, its neighbours those at the next inputs, 0.1 of the largest away.
    assert_eq!(vectors[0], 0.0);
    assert!((vectors[1].abs() - 0.1).abs() < 1e-12 && (vectors[2].abs() - 0.1).abs() < 1e-12, "{:?}", &vectors[..3]);
    assert!((vectors[1] + vectors[2]).abs() < 1e-12);
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn the_published_coding_reads_the_first_channel() {
    let options = json!({ "survey": { "starts": 20 }, "coding": "first-channel" });
    let findings = compared(&[&[0.2], &[0.3]], &options);
    let vectors = findings.arrays["vectors"].to_f64();
    assert!((vectors[1].abs() - 0.003).abs() < 1e-12, "{}", vectors[1]);
    assert!(findings.notes.iter().any(|note| note.contains("no group with two members")), "{:?}", findings.notes);
}

#[test]
fn too_few_points_leave_gaps() {
    let states = [[0.0], [1.0], [5.0]];
    let points: Vec<Point> = states
        .iter()
        .enumerate()
        .map(|(order, state)| Point { order, coded: vec![order as f64], unstable: 0, output: 0.0, state })
        .collect();
    let found = vector(&points, 4, 4, 1);
    assert_eq!(found[..3], [0.0, 1.0, 2.0]);
    assert_eq!(found[4..7], [1.0, 0.0, 2.0]);
    assert!(found[3].is_nan() && found[12..].iter().all(|x| x.is_nan()));
}
