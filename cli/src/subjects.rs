//! What `analyze` looks at: files with arrays, networks one by one, or groups of runs.

use crate::choice::overridden;
use crate::folders::{Named, expand, is_run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use synfire::analysis::Scope;
use synfire::run::{Analysed, Analyst, RunDir};
use synfire::storage::{atomic, read_npz};
use synfire::subject::RunView;
use synfire::{Error, Experiment, Result};

/// Runs or files as named on the command line.
pub struct Subjects<'a> {
    /// Name of the analysis.
    pub analysis: &'a str,
    /// Run directories, folders of runs, or `.npz` files.
    pub paths: &'a [PathBuf],
    /// File that names groups of run directories.
    pub groups: Option<&'a Path>,
    /// Where findings are saved, if not in the default place.
    pub output: Option<&'a Path>,
    /// Changes to the runs for this once.
    pub set: &'a [String],
    /// Device, if not that of training.
    pub device: Option<&'a str>,
}

/// A group by name: its runs, and the networks of each.
type Group<'a> = (String, Vec<(RunDir, Vec<RunView<'a>>)>);

impl Subjects<'_> {
    /// Look at all of them.
    ///
    /// # Errors
    /// When a run or file cannot be read, a run lacks what the analysis needs, and what the analysis reports.
    pub fn analyse(&self, analyst: &Analyst) -> Result<Vec<Analysed>> {
        let data = self.paths.iter().filter(|path| path.extension().is_some_and(|end| end == "npz")).count();
        match data {
            0 if analyst.scope() == Scope::Run => self.networks(analyst),
            0 => self.together(analyst),
            all if all == self.paths.len() && self.groups.is_none() => self.data(analyst),
            _ => Err(Error::config("RUN", "mixes run directories and data files", "analyse them one after another")),
        }
    }

    fn default_place(&self) -> PathBuf {
        self.output.map_or_else(|| Path::new("analyses").join(self.analysis), Path::to_path_buf)
    }

    /// Arrays from files: one file after another, or all as one.
    fn data(&self, analyst: &Analyst) -> Result<Vec<Analysed>> {
        let place = self.default_place();
        let several = self.paths.len() > 1;
        let stem = |path: &Path| path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        if analyst.scope() == Scope::Groups && several {
            let mut all = Vec::new();
            for file in self.paths {
                all.extend(read_npz(file)?.into_iter().map(|(name, array)| (format!("{}/{name}", stem(file)), array)));
            }
            return Ok(vec![analyst.data("all files", all.into_iter().collect(), 1, &place)?]);
        }
        let one = |file: &PathBuf| {
            let place = if several { place.join(stem(file)) } else { place.clone() };
            analyst.data(&stem(file), read_npz(file)?, 1, &place)
        };
        self.paths.iter().map(one).collect()
    }

    /// Each network by itself; all runs are found fit before the first is looked at.
    fn networks(&self, analyst: &Analyst) -> Result<Vec<Analysed>> {
        let groups = self.fitting_groups(analyst)?;
        let runs: Vec<_> = groups.into_iter().flat_map(|(_, runs)| runs).collect();
        let mut done = Vec::new();
        let several = runs.len() > 1;
        for (dir, views) in runs {
            for view in views {
                let place = match self.output {
                    // Several networks cannot share one folder.
                    Some(place) if several || dir.path() != view.dir.path() => {
                        place.join(view.label.replace(" #", "-"))
                    }
                    Some(place) => place.to_path_buf(),
                    None => view.dir.analysis_path(self.analysis),
                };
                done.push(analyst.network(view, &place)?);
            }
        }
        Ok(done)
    }

    /// All networks together, in groups. Saved in the run if there is but one.
    fn together(&self, analyst: &Analyst) -> Result<Vec<Analysed>> {
        let mut views = Vec::new();
        let mut members = Vec::new();
        for (name, runs) in self.fitting_groups(analyst)? {
            let first = views.len();
            views.extend(runs.into_iter().flat_map(|(_, views)| views));
            members.push((name, (first..views.len()).collect()));
        }
        let place = match (self.output, self.paths, self.groups) {
            (None, [run], None) if is_run(run) => RunDir::open(run)?.analysis_path(self.analysis),
            _ => self.default_place(),
        };
        Ok(vec![analyst.groups(views, members, &place)?])
    }

    /// The networks of each run of each group. A run that was found in a folder and does not fit, or cannot be read, is left out; one
    /// that was named itself is refused.
    fn fitting_groups<'a>(&self, analyst: &Analyst<'a>) -> Result<Vec<Group<'a>>> {
        let mut groups = Vec::new();
        let mut refusal = None;
        for (name, named) in self.named_groups()? {
            let mut runs = Vec::new();
            for run in named {
                let opened = self.open(&run.path).and_then(|(dir, experiment)| {
                    let views = analyst.open(&dir, experiment)?;
                    Ok((dir, views))
                });
                match opened {
                    Ok(opened) => runs.push(opened),
                    Err(error) if run.found => {
                        tracing::warn!("{} was left out: {error}", run.path.display());
                        refusal = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            if !runs.is_empty() {
                groups.push((name, runs));
            }
        }
        match refusal {
            Some(error) if groups.is_empty() => Err(error),
            _ => Ok(groups),
        }
    }

    fn open(&self, path: &Path) -> Result<(RunDir, Experiment)> {
        let dir = RunDir::open(path)?;
        let experiment = overridden(&dir.experiment()?, self.set, self.device)?;
        Ok((dir, experiment))
    }

    /// The groups of the file; without one, all runs are one group.
    fn named_groups(&self) -> Result<Vec<(String, Vec<Named>)>> {
        let all = expand(self.paths)?;
        let Some(file) = self.groups else { return Ok(vec![("all".into(), all)]) };
        let text = String::from_utf8_lossy(&atomic::read(file)?).into_owned();
        let groups = groups_of(&text)?;
        let groups = groups.into_iter().map(|(name, paths)| Ok((name, expand(&paths)?))).collect::<Result<Vec<_>>>()?;
        let in_a_group = |run: &Named| groups.iter().any(|(_, runs)| runs.iter().any(|other| other.path == run.path));
        if let Some(run) = all.iter().find(|run| !in_a_group(run)) {
            let problem = format!("does not put {} into a group", run.path.display());
            return Err(Error::config("--groups", problem, format!("add it to {}", file.display())));
        }
        Ok(groups)
    }
}

/// Groups by name from the text of a file: TOML, or a group a line, its name and then its runs with blanks between them. Lines that are
/// empty or begin with `#` are left out.
fn groups_of(text: &str) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let refused = |problem: String| {
        let remedy = "name groups as short = [\"runs/a\", \"runs/b\"], or one a line as short runs/a runs/b";
        Error::config("--groups", problem, remedy)
    };
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // In a list of runs a name and a blank come before any sign of equality.
    let is_toml = |line: &str| {
        line.starts_with('[') || line.split_once('=').is_some_and(|(key, _)| !key.trim().contains(char::is_whitespace))
    };
    if lines().next().is_some_and(is_toml) {
        let groups: BTreeMap<String, Vec<PathBuf>> =
            toml::from_str(text).map_err(|error| refused(format!("cannot be read: {error}")))?;
        return Ok(groups.into_iter().collect());
    }
    let mut groups: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for line in lines() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default().to_string();
        let runs: Vec<PathBuf> = words.map(PathBuf::from).collect();
        if runs.is_empty() {
            return Err(refused(format!("has the group '{name}' without runs")));
        }
        if groups.iter().any(|(other, _)| *other == name) {
            return Err(refused(format!("has the group '{name}' twice")));
        }
        groups.push((name, runs));
    }
    if groups.is_empty() { Err(refused("has no group".into())) } else { Ok(groups) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_from_toml_and_from_lines() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let expected = vec![("bptt".to_string(), paths(&["runs/a", "runs/b"])), ("ga".to_string(), paths(&["runs/c"]))];
        assert_eq!(groups_of("ga = [\"runs/c\"]\nbptt = [\"runs/a\", \"runs/b\"]").expect("TOML"), expected);
        assert_eq!(groups_of("# two rules\nbptt runs/a  runs/b\n\nga\truns/c\n").expect("lines"), expected);
        let with_sign = groups_of("bptt runs/theta=1").expect("lines");
        assert_eq!(with_sign, [("bptt".to_string(), paths(&["runs/theta=1"]))]);
        for (text, part) in
            [("bptt", "'bptt' without runs"), ("a x\na y", "'a' twice"), ("", "no group"), ("a = 3", "cannot be read")]
        {
            let error = groups_of(text).expect_err("refused").to_string();
            assert!(error.contains(part) && error.contains("one a line"), "{error}");
        }
    }
}
