//! Folders that hold runs: what stands for all of them on the command line.

use std::path::{Path, PathBuf};
use synfire::{Error, Result};

/// Deeper folders are not searched.
const DEPTH: usize = 6;

/// One run that the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its directory.
    pub path: PathBuf,
    /// Whether it was found in a folder, and not named itself.
    pub found: bool,
}

/// Whether a path is a run directory.
pub fn is_run(path: &Path) -> bool {
    path.join("experiment.toml").is_file()
}

/// The run directories below a folder, sorted; what lies inside a run is part of it.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(folder, DEPTH, &mut found);
    found.sort();
    found
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if is_run(folder) {
        found.push(folder.to_path_buf());
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|_| depth > 0) {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        // The type of the entry itself: a link could lead round in a circle.
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&entry.path(), depth - 1, found);
        }
    }
}

/// The runs that paths stand for: a run directory for itself, another folder for all runs below it. Each run once.
///
/// # Errors
/// [`Error::File`] for a folder without runs. A path that is no folder stays as it is: who opens it says what is wrong.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<Named>> {
    let mut all: Vec<Named> = Vec::new();
    for path in paths {
        let named = match path.is_dir() && !is_run(path) {
            false => vec![Named { path: path.clone(), found: false }],
            true => below(path).into_iter().map(|path| Named { path, found: true }).collect(),
        };
        if named.is_empty() {
            let problem = "is not a run directory and holds none";
            return Err(Error::file(path, problem, "`synfire runs FOLDER` lists runs; `synfire run` makes one"));
        }
        for run in named {
            // A run that is named itself and lies in a named folder is meant once; one named twice is wanted twice.
            if !run.found || all.iter().all(|known| known.path != run.path) {
                all.push(run);
            }
        }
    }
    Ok(all)
}

/// The directories of runs.
pub fn paths(runs: &[Named]) -> Vec<&Path> {
    runs.iter().map(|run| run.path.as_path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_runs_below_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let at = |name: &str| folder.path().join(name);
        for run in ["b", "nested/c", "a", "a/members/0", ".hidden/d"] {
            std::fs::create_dir_all(at(run)).expect("makes a folder");
            std::fs::write(at(run).join("experiment.toml"), "").expect("writes");
        }
        std::fs::create_dir_all(at("empty")).expect("makes a folder");
        assert_eq!(below(folder.path()), [at("a"), at("b"), at("nested/c")]);

        let named =
            expand(&[at("nested/c"), folder.path().to_path_buf(), at("b"), at("missing")]).expect("there are runs");
        let paths: Vec<(PathBuf, bool)> = named.into_iter().map(|run| (run.path, run.found)).collect();
        let expected =
            [("nested/c", false), ("a", true), ("b", true), ("b", false), ("missing", false)].map(|(n, f)| (at(n), f));
        assert_eq!(paths, expected);

        let error = expand(&[at("empty")]).expect_err("no runs").to_string();
        assert!(error.contains("empty") && error.contains("is not a run directory and holds none"), "{error}");
    }
}
