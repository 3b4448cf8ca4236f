//! The experiment files of the crate: each names parts that exist and fit.

use std::path::Path;
use synfire::Registry;
use synfire::experiment::Layers;
use synfire_essentials as _;
use synfire_timescales as _;

#[test]
fn every_experiment_would_run() {
    let registry = Registry::linked().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let experiment = Layers::from_toml(&text).and_then(|layers| layers.experiment()).unwrap();
        let problems = experiment.check(&registry);
        assert!(problems.is_empty(), "{}: {problems:?}", path.display());
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&experiment.name[..]));
        names.push(experiment.name);
    }
    names.sort();
    assert_eq!(names, ["cumulative-parity", "demo", "single-dms", "single-parity"]);
}
