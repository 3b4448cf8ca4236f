//! The experiment files of the crate: each names parts that exist and fit, at every scale.

use std::path::{Path, PathBuf};
use synfire::Registry;
use synfire::experiment::Layers;
use synfire_essentials as _;
use synfire_learning_rules as _;

/// The TOML files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn every_experiment_would_run_at_every_scale() {
    let registry = Registry::linked().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let scales = files(&folder.join("scales"));
    for path in files(&folder) {
        let alone = Layers::read(&path).unwrap();
        let name = alone.experiment().unwrap().name;
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&name[..]));
        for scale in [None].into_iter().chain(scales.iter().map(Some)) {
            let mut layers = alone.clone();
            if let Some(scale) = scale {
                layers.lay(Layers::read(scale).unwrap());
            }
            let problems = layers.experiment().unwrap().check(&registry);
            assert!(problems.is_empty(), "{} at {scale:?}: {problems:?}", path.display());
        }
    }
}
