use super::*;
use crate::analyses::fixture::one_unit;
use serde_json::json;
use synfire::Spec;
use synfire::run::Analyst;
use synfire::workers::Workers;

/// A unit that holds what it has: `r' = r`, said as it is.
fn holding(folder: &std::path::Path, task: &serde_json::Value) -> synfire::run::RunDir {
    let cell = json!({
        "type": "leaky-rnn", "hidden": 1, "activation": "identity", "time_constants": { "low": 10.0, "high": 10.0 },
        "initial_state": { "low": 0.75, "high": 0.75 },
    });
    one_unit(folder, task, &cell, [1.0, 0.0, 2.0])
}

#[test]
fn a_constant_output_has_the_errors_of_hand() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let dir = holding(&folder.path().join("run"), &json!({ "type": "constant-output", "value": 1.0 }));
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let analyst = Analyst::new(&Spec::with("reproduction", &json!({ "trials": 3 })), &registry, &workers);
    let analyst = analyst.expect("builds");
    let views = analyst.open(&dir, dir.experiment().expect("an experiment")).expect("opens");
    let found = analyst.groups(views, vec![("all".into(), vec![0])], &folder.path().join("found"));
    let found = found.expect("analyses").findings;
    // It says 1.5 where 1 is asked for, trial after trial.
    for error in found.arrays["absolute"].to_f64() {
        assert!((error - 0.5).abs() < 1e-12, "{error}");
    }
    for error in found.arrays["normalised"].to_f64() {
        assert!((error - 0.25).abs() < 1e-12, "{error}");
    }
    assert_eq!(found.arrays["absolute"].shape(), [1, 3]);
    let networks = found.tables[1].to_csv().expect("writes");
    assert!(networks.contains("no,0.5,0.5,0.5,0.25,0.25"), "{networks}");
    assert!(found.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn sums_of_trials_are_those_of_all_their_steps() {
    let (mut first, mut second) = (Errors::default(), Errors::default());
    first.add(1.0, 2.0, 1.0);
    second.add(-1.0, 1.0, 0.5);
    let whole = first.plus(second);
    assert!((whole.absolute() - 2.0 / 1.5).abs() < 1e-12);
    assert!((whole.relative() - 2.0 / 2.5).abs() < 1e-12);
    assert!((whole.normalised() - 3.0 / 4.5).abs() < 1e-12);
    let learner =
        Tensors::from([("last_state/x", synfire::tch::Tensor::from(1.0)), ("steps", synfire::tch::Tensor::from(2.0))]);
    assert_eq!(last_state(&learner).expect("kept").names().collect::<Vec<_>>(), ["x"]);
    assert!(last_state(&Tensors::new()).is_none());
}
