use super::*;
use crate::analyses::fixture::one_unit;
use serde_json::json;
use synfire::Spec;
use synfire::run::Analyst;
use synfire::workers::Workers;

/// A bistable unit that is set by the first step, and a head that reads it.
fn found(options: &serde_json::Value) -> Findings {
    let folder = tempfile::tempdir().expect("temporary folder");
    let task = json!({ "type": "random-dots", "steps": 60, "noise_std": 0.05, "grid": 2 });
    let cell = json!({ "type": "leaky-rnn", "hidden": 1, "time_constants": { "low": 5.0, "high": 5.0 } });
    let dir = one_unit(&folder.path().join("run"), &task, &cell, [3.0, 2.0, 1.0]);
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let analyst = Analyst::new(&Spec::with("noise-robustness", options), &registry, &workers).expect("builds");
    analyst.run(&dir, dir.experiment().expect("an experiment"), "found").expect("analyses").remove(0).findings
}

#[test]
fn noise_and_lesions_cost_decisions() {
    for noise_in in ["inputs", "units"] {
        let options =
            json!({ "lesions": ["whole", "without-excitation"], "levels": [0.0, 0.5, 20.0], "noise_in": noise_in });
        let found = found(&options);
        let of = |name: &str| found.arrays[name].to_f64();
        // The whole network decides; without its only weight it follows the input and never gets near 1.
        assert!(of("decided")[0] > 0.95 && of("decided")[3] < 0.05, "{:?}", of("decided"));
        assert!(of("near")[2] < of("near")[0], "{:?}", of("near"));
        assert!(of("sign_changes")[2] > 2.0 * of("sign_changes")[0] + 1.0, "{:?}", of("sign_changes"));
        assert_eq!(found.tables[0].rows[1][1], synfire::table::Value::Number(1.0));
        assert!(found.figures[0].to_svg().is_ok());
    }
}

#[test]
fn lesions_take_out_what_they_say() {
    let weights = Tensor::from_slice(&[0.5, -0.5, 0.05, -0.05, 0.0]);
    let left = |lesion: Lesion| {
        let (weights, share) = lesion.apply(&weights, 0.1).expect("fits");
        (synfire::tensors::values_f64(&weights), share)
    };
    assert_eq!(left(Lesion::Whole), (vec![0.5, -0.5, 0.05, -0.05, 0.0], 0.0));
    assert_eq!(left(Lesion::WithoutExcitation), (vec![0.0, -0.5, 0.0, -0.05, 0.0], 0.5));
    assert_eq!(left(Lesion::WithoutInhibition), (vec![0.5, 0.0, 0.05, 0.0, 0.0], 0.5));
    assert_eq!(left(Lesion::WithoutStrong), (vec![0.0, 0.0, 0.05, -0.05, 0.0], 0.5));
    assert_eq!(left(Lesion::WithoutWeak), (vec![0.5, -0.5, 0.0, 0.0, 0.0], 0.5));
}
