use super::*;
use crate::analyses::fixture::run;
use serde_json::json;
use synfire::run::Analyst;
use synfire::table::Value;
use synfire::workers::Workers;

fn analysed(options: &serde_json::Value) -> Result<Findings> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let task = json!({ "type": "random-dots", "steps": 12, "noise_std": 0.1 });
    let cell = json!({ "type": "leaky-rnn", "hidden": 5, "time_constants": { "low": 5.0, "high": 5.0 } });
    let dir = run(&folder.path().join("run"), &task, &cell, |_| {});
    let registry = Registry::linked()?;
    let workers = Workers::new(1)?;
    let analyst = Analyst::new(&Spec::with("gradient-alignment", options), &registry, &workers)?;
    Ok(analyst.run(&dir, dir.experiment()?, "found")?.remove(0).findings)
}

fn number(findings: &Findings, name: &str) -> f64 {
    match findings.values.get(name) {
        Some(Value::Number(value)) => *value,
        other => panic!("{name}: {other:?}"),
    }
}

/// Plain gradient descent goes exactly downhill; Adam, which scales every number, goes downhill at an angle.
#[test]
fn descent_is_aligned_and_adam_less_so() {
    let rules = json!([
        { "type": "bptt", "optimizer": { "type": "sgd", "learning_rate": 0.001 } },
        { "type": "bptt" },
    ]);
    let findings = analysed(&json!({ "rules": rules, "updates": 4, "batch": 16 })).expect("analyses");
    assert!((number(&findings, "bptt: single") - 1.0).abs() < 1e-9);
    assert!((number(&findings, "bptt: mean") - 1.0).abs() < 1e-9);
    let adam = number(&findings, "bptt #2: single");
    assert!(adam > 0.1 && adam < 0.99, "{adam}");
    let alignment = &findings.tables[0];
    assert_eq!(alignment.rows.len(), 2);
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn all_rules_that_fit_are_asked() {
    let findings = analysed(&json!({ "updates": 2, "batch": 4 })).expect("analyses");
    let Value::Text(rules) = &findings.values["rules"] else { panic!("text") };
    assert!(rules.contains("bptt"), "{rules}");
}

#[test]
fn checkpoints_are_spread_and_unknown_rules_refused() {
    assert_eq!(chosen(&[0, 1, 2, 3, 4, 5, 6], 3), [0, 3, 6]);
    assert_eq!(chosen(&[0, 5], 9), [0, 5]);
    assert_eq!(chosen(&[0, 5], 1), [5]);
    let error = analysed(&json!({ "rules": [{ "type": "nonsense" }] })).expect_err("no such rule").to_string();
    assert!(error.contains("analysis.rules[0]"), "{error}");
}
