//! The experiment files of the crate: each names parts that exist and fit, at every scale.

use synfire_essentials as _;
use synfire_learning_rules as _;

#[test]
fn every_experiment_would_run_at_every_scale() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    assert!(folder.join("scales").is_dir());
    synfire::testing::assert_experiments(folder);
}
