//! Experiment files: each names parts that exist and fit.

use crate::experiment::Layers;
use crate::{Error, Registry, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What is wrong with the experiment files (`*.toml`) of a folder, each alone and with each file of the folder's own folder `scales`
/// laid over it, where there is one: parts exist and fit, and an experiment has the name of its file. One line each.
///
/// # Errors
/// When the folder cannot be read or holds no experiment file.
pub fn experiments(registry: &Registry, folder: &Path) -> Result<Vec<String>> {
    let scales = folder.join("scales");
    let scales = if scales.is_dir() { files(&scales)? } else { Vec::new() };
    let mut problems = Vec::new();
    for path in files(folder)? {
        for scale in [None].into_iter().chain(scales.iter().map(Some)) {
            let found = would_run(registry, &path, scale).unwrap_or_else(|error| vec![error.to_string()]);
            let over = scale.map(|scale| format!(" with {}", scale.display())).unwrap_or_default();
            problems.extend(found.into_iter().map(|problem| format!("{}{over}: {problem}", path.display())));
        }
    }
    Ok(problems)
}

/// Run [`experiments`] over the linked components and panic with every problem; for tests.
///
/// # Panics
/// When an experiment file would not run.
pub fn assert_experiments(folder: impl AsRef<Path>) {
    let found = Registry::linked().and_then(|registry| experiments(&registry, folder.as_ref()));
    let problems = found.unwrap_or_else(|error| panic!("{error}"));
    assert!(problems.is_empty(), "{} problems:\n  {}", problems.len(), problems.join("\n  "));
}

/// What is wrong with one file under one scale.
fn would_run(registry: &Registry, path: &Path, scale: Option<&PathBuf>) -> Result<Vec<String>> {
    let mut layers = Layers::read(path)?;
    if let Some(scale) = scale {
        layers.lay(Layers::read(scale)?);
    }
    let experiment = layers.experiment()?;
    let found = experiment.check(registry);
    let mut problems = if found.is_empty() { Vec::new() } else { vec![Error::Config(found).to_string()] };
    let file = path.file_stem().unwrap_or_default().to_string_lossy();
    if experiment.name != file {
        problems.push(format!("its name is '{}'", experiment.name));
    }
    Ok(problems)
}

/// The TOML files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(Error::Failed(format!("{} holds no experiment file", folder.display()))),
        false => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parts_and_options_that_do_not_fit_are_found_under_every_scale() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let registry = crate::testing::registry().expect("stand-ins");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("writes");
        assert!(experiments(&registry, folder.path()).expect_err("empty").to_string().contains("no experiment file"));
        write("good.toml", "name = \"good\"\n");
        assert_eq!(experiments(&registry, folder.path()).expect("reads"), Vec::<String>::new());
        write("other.toml", "name = \"another\"\n[cell]\ntype = \"no-such-cell\"\n");
        fs::create_dir(folder.path().join("scales")).expect("creates");
        write("scales/none.toml", "members = 0\n");
        let problems = experiments(&registry, folder.path()).expect("reads");
        let all = problems.join("\n");
        assert!(all.contains("its name is 'another'") && all.contains("no-such-cell"), "{all}");
        assert!(problems.iter().any(|p| p.contains("good.toml with") && p.contains("members")), "{all}");
    }
}
