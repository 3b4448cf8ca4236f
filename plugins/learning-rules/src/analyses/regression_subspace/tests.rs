use super::*;
use crate::analyses::fixture::{run, set};
use serde_json::json;
use synfire::Spec;
use synfire::run::Analyst;
use synfire::workers::Workers;

#[test]
fn units_that_follow_the_evidence_carry_its_axis() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let task = json!({ "type": "context-integration", "steps": 40, "noise_std": 0.02 });
    let cell = json!({ "type": "leaky-rnn", "hidden": 4, "activation": "identity", "time_constants": { "low": 10.0, "high": 10.0 } });
    // Unit i follows channel i.
    let dir = run(&folder.path().join("run"), &task, &cell, |network| {
        let eye: Vec<f64> = (0..16).map(|at| f64::from(u8::from(at % 5 == 0))).collect();
        let parameters: [(&str, &[f64]); 3] =
            [("recurrent.weight", &[0.0; 16]), ("input.weight", &eye), ("input.bias", &[0.0; 4])];
        set(network, &parameters);
    });
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let options = json!({ "variables": ["evidence_0", "evidence_1", "context"], "right_only": false, "every": 5 });
    let analyst = Analyst::new(&Spec::with("regression-subspace", &options), &registry, &workers).expect("builds");
    let found =
        analyst.run(&dir, dir.experiment().expect("an experiment"), "found").expect("analyses").remove(0).findings;
    let axes = found.arrays["axes"].to_f64();
    assert!(axes[0] > 0.95 && axes[5] > 0.95, "{axes:?}");
    // Unit 2 is on in context 0 and unit 3 in context 1.
    assert!(axes[10] < -0.6 && axes[11] > 0.6, "{axes:?}");
    assert_eq!(found.figures[0].panels.len(), 2);
    assert!(found.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn many_values_become_groups_of_equal_size() {
    let analysis = RegressionSubspace { groups: 3, ..RegressionSubspace::default() };
    let (centres, groups) = analysis.grouped(&[5.0, 1.0, 3.0, 2.0, 4.0, 6.0]);
    assert_eq!((centres, groups), (vec![1.5, 3.5, 5.5], vec![2, 0, 1, 0, 1, 2]));
    assert_eq!(analysis.grouped(&[1.0, -1.0, 1.0]), (vec![-1.0, 1.0], vec![1, 0, 1]));
}
