//! The experiment files of the crate: each names parts that exist and fit.

use std::path::Path;
use synfire::experiment::Layers;
use synfire_essentials as _;
use synfire_timescales as _;

#[test]
fn every_experiment_would_run_at_every_scale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    for scale in ["paper", "quick", "smoke"] {
        assert!(folder.join("scales").join(scale).with_extension("toml").is_file(), "{scale}");
    }
    assert_eq!(std::fs::read_dir(folder.join("scales")).unwrap().count(), 3);
    synfire::testing::assert_experiments(folder);
}

#[test]
fn variations_differ_from_the_published_setting_in_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let read = |name: &str| Layers::read(&folder.join(format!("{name}.toml"))).unwrap().experiment().unwrap();
    let (single, fixed) = (read("single-parity"), read("single-parity-fixed"));
    assert_eq!(fixed.cell.options()["time_constants"]["trainable"], false);
    assert_eq!(single.cell.options()["time_constants"]["trainable"], true);
    assert_eq!((fixed.rule.options(), fixed.training.clone()), (single.rule.options(), single.training.clone()));
    let (continuous, both) = (read("continuous-single"), read("continuous-cumulative"));
    assert_eq!(continuous.cell.name, "continuous-rnn");
    // Each of the four numbers of steps has the updates of an epoch.
    assert_eq!(continuous.task.options()["repeat"], serde_json::json!([7, 8, 9, 10]));
    assert_eq!(continuous.training.updates_per_evaluation, 4 * single.training.updates_per_evaluation);
    assert_eq!(continuous.training.updates, 4 * single.training.updates);
    assert_eq!(continuous.rule.options(), single.rule.options());
    assert_eq!((both.cell.options(), both.training.clone()), (continuous.cell.options(), continuous.training.clone()));
    assert_eq!(both.curriculum.name, "cumulative");
    assert_eq!(read("cumulative-dms").task.name, "delayed-match");
    assert_eq!(read("cumulative-parity-modified").cell.options()["placement"], "drive");
    assert_eq!(read("sliding-parity-by-level").curriculum.options()["forget_heads"], 5);
}
