//! Which experiment: a file, short names and flags, in this order; flags win.

use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use synfire::experiment::{Layers, flag_value, to_toml};
use synfire::{Error, Experiment, Format, Problem, Registry, Result, Spec};

/// An experiment as chosen on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct Choice {
    /// Experiment file, or the directory of an earlier run; further files are laid over it. Without, everything starts from defaults
    #[arg(value_name = "EXPERIMENT.toml")]
    pub experiment: Vec<PathBuf>,
    /// What the network is asked to do
    #[arg(short, long, value_name = "NAME", help_heading = "Parts")]
    pub task: Option<String>,
    /// How its units work
    #[arg(short, long, value_name = "NAME", help_heading = "Parts")]
    pub cell: Option<String>,
    /// How it learns
    #[arg(short, long, value_name = "NAME", help_heading = "Parts")]
    pub rule: Option<String>,
    /// In which order it learns
    #[arg(short = 'u', long, value_name = "NAME", help_heading = "Parts")]
    pub curriculum: Option<String>,
    /// Add an analysis that is made at the end
    #[arg(short, long, value_name = "NAME", help_heading = "Parts")]
    pub analysis: Vec<String>,
    /// Set an option by its path in the TOML, for example cell.hidden=200
    #[arg(long, value_name = "PATH=VALUE", help_heading = "Settings")]
    pub set: Vec<String>,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Settings")]
    pub seed: Option<u64>,
    /// Networks trained independently, side by side
    #[arg(long, value_name = "M", allow_negative_numbers = true, help_heading = "Settings")]
    pub members: Option<usize>,
    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE", help_heading = "Settings")]
    pub device: Option<String>,
    /// Updates after which training ends at the latest
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Settings")]
    pub updates: Option<u64>,
}

/// A value for a path, and the flag it came from.
struct Assignment {
    path: String,
    value: Value,
    flag: String,
}

impl Choice {
    /// The experiment, which would run, with every option written out.
    ///
    /// # Errors
    /// [`Error::Config`] with everything that is wrong with flags, fields and the combination of parts.
    pub fn resolved(&self, registry: &Registry) -> Result<Experiment> {
        self.resolved_over(read(&self.experiment)?, registry)
    }

    /// The same when `layers` are what names and flags are put upon.
    ///
    /// # Errors
    /// As [`Choice::resolved`].
    pub fn resolved_over(&self, layers: Layers, registry: &Registry) -> Result<Experiment> {
        let (experiment, mut problems) = self.over(layers);
        if let Some(experiment) = &experiment {
            problems.extend(experiment.check(registry));
        }
        match experiment {
            Some(experiment) if problems.is_empty() => experiment.resolve(registry),
            _ => Err(in_file(Error::Config(problems), &self.experiment)),
        }
    }

    /// The experiment as chosen, which may still not run.
    ///
    /// # Errors
    /// [`Error::Config`] with every flag and field that is wrong.
    pub fn experiment(&self) -> Result<Experiment> {
        match self.over(read(&self.experiment)?) {
            (Some(experiment), problems) if problems.is_empty() => Ok(experiment),
            (_, problems) => Err(in_file(Error::Config(problems), &self.experiment)),
        }
    }

    /// Names and flags put upon `layers`; flags and fields that do not fit are reported and left out.
    fn over(&self, mut layers: Layers) -> (Option<Experiment>, Vec<Problem>) {
        let mut problems = Vec::new();
        let assignments = self.assignments(&mut problems);
        contradictions(&assignments, &mut problems);
        for Assignment { path, value, .. } in &assignments {
            // Another component drops the options of the one before, however it is named.
            match (path.strip_suffix(".type"), value.as_str()) {
                (Some(part @ ("task" | "cell" | "rule" | "curriculum")), Some(name)) => layers.component(part, name),
                _ => {
                    if let Err(error) = layers.set(path, value.clone()) {
                        problems.extend(error.into_problems(path));
                    }
                }
            }
        }
        for name in &self.analysis {
            layers.analysis(name);
        }
        let (mut experiment, wrong) = layers.what_fits();
        problems.extend(wrong);
        let stem = self.experiment.first().and_then(|path| path.file_stem());
        if let (Some(experiment), Some(stem)) = (&mut experiment, stem)
            && experiment.name.is_empty()
        {
            experiment.name = stem.to_string_lossy().into_owned();
        }
        (experiment, problems)
    }

    /// Everything that flags set, components first.
    fn assignments(&self, problems: &mut Vec<Problem>) -> Vec<Assignment> {
        let mut all = Vec::new();
        let mut add = |path: &str, flag: &str, value: Option<Value>| {
            if let Some(value) = value {
                all.push(Assignment { path: path.into(), value, flag: flag.into() });
            }
        };
        add("task.type", "--task", self.task.clone().map(Value::from));
        add("cell.type", "--cell", self.cell.clone().map(Value::from));
        add("rule.type", "--rule", self.rule.clone().map(Value::from));
        add("curriculum.type", "--curriculum", self.curriculum.clone().map(Value::from));
        add("seed", "--seed", self.seed.map(Value::from));
        add("members", "--members", self.members.map(Value::from));
        add("device", "--device", self.device.clone().map(Value::from));
        add("training.updates", "--updates", self.updates.map(Value::from));
        for text in &self.set {
            match assignment(text) {
                Ok((path, value)) => add(&path, "--set", Some(value)),
                Err(error) => problems.extend(error.into_problems("--set")),
            }
        }
        // `--set cell.hidden=9 --set cell.type=lstm` means the LSTM's.
        all.sort_by_key(|assignment| !assignment.path.ends_with(".type"));
        all
    }
}

/// `path=value`, read.
///
/// # Errors
/// [`Error::Config`] without an equals sign.
pub fn assignment(text: &str) -> Result<(String, Value)> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() => Ok((path.trim().to_string(), flag_value(value.trim()))),
        _ => {
            let remedy = "write it as PATH=VALUE, for example cell.hidden=200";
            Err(Error::config("--set", format_args!("is '{text}', which is not an assignment"), remedy))
        }
    }
}

/// The experiment of a run with some options changed for one test.
///
/// # Errors
/// [`Error::Config`] with every assignment that is wrong.
pub fn overridden(experiment: &Experiment, set: &[String], device: Option<&str>) -> Result<Experiment> {
    let layers = Layers::from_toml(&to_toml(experiment)?)?;
    let choice = Choice { set: set.to_vec(), device: device.map(str::to_string), ..Choice::default() };
    match choice.over(layers) {
        (Some(experiment), problems) if problems.is_empty() => Ok(experiment),
        (_, problems) => Err(Error::Config(problems)),
    }
}

/// A format with options from assignments, with or without `format.` before the name.
///
/// # Errors
/// [`Error::Config`] for text that is no assignment.
pub fn format_with(name: &str, set: &[String]) -> Result<Spec<dyn Format>> {
    let mut options = Layers::new();
    for text in set {
        let (path, value) = assignment(text)?;
        options.set(path.strip_prefix("format.").unwrap_or(&path), value)?;
    }
    Ok(Spec::with(name, &options.value()))
}

/// One path, two values: whichever won, one flag would silently do nothing.
fn contradictions(assignments: &[Assignment], problems: &mut Vec<Problem>) {
    for (index, later) in assignments.iter().enumerate() {
        let earlier = assignments[..index].iter().find(|a| a.path == later.path && a.value != later.value);
        if let Some(earlier) = earlier {
            problems.push(Problem {
                path: later.path.clone(),
                problem: format!(
                    "is set twice: to {} by {} and to {} by {}",
                    earlier.value, earlier.flag, later.value, later.flag
                ),
                remedy: "leave one of them out".into(),
            });
        }
    }
}

/// The files, each laid over those before it.
fn read(paths: &[PathBuf]) -> Result<Layers> {
    let mut layers = Layers::new();
    for path in paths {
        layers.lay(Layers::read(path)?);
    }
    Ok(layers)
}

/// Problems without a path of their own are the file's.
fn in_file(error: Error, paths: &[PathBuf]) -> Error {
    match paths {
        [only] => error.in_file(only),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(choice: &Choice) -> String {
        choice.experiment().unwrap_err().to_string()
    }

    #[test]
    fn flags_win_over_names_and_names_over_the_file() {
        let folder = std::env::temp_dir().join(format!("synfire-choice-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("mine.toml");
        std::fs::write(&file, "seed = 3\nmembers = 2\n[cell]\ntype = \"lstm\"\nhidden = 7\n").unwrap();
        let choice = Choice {
            experiment: vec![file.clone()],
            cell: Some("gru".into()),
            set: vec!["cell.hidden=9".into(), "training.fast=false".into()],
            seed: Some(5),
            analysis: vec!["pca".into()],
            ..Choice::default()
        };
        let experiment = choice.experiment().unwrap();
        assert_eq!((experiment.seed, experiment.members, experiment.name.as_str()), (5, 2, "mine"));
        assert_eq!(experiment.cell.name, "gru");
        assert_eq!(experiment.cell.options(), serde_json::json!({"hidden": 9}));
        assert!(!experiment.training.fast);
        assert_eq!(experiment.analysis.len(), 1);
        std::fs::write(&file, "seed = = 3").unwrap();
        let text = problems(&Choice { experiment: vec![file], ..Choice::default() });
        assert!(text.contains("mine.toml the file is not valid TOML"), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn contradictory_flags_are_refused() {
        let choice = Choice { seed: Some(1), set: vec!["seed=2".into()], ..Choice::default() };
        assert_eq!(problems(&choice), "seed is set twice: to 1 by --seed and to 2 by --set; leave one of them out");
        let choice = Choice { task: Some("a".into()), set: vec!["task.type=b".into()], ..Choice::default() };
        assert!(problems(&choice).starts_with("task.type is set twice"));
        let agreeing = Choice { seed: Some(1), set: vec!["seed=1".into()], ..Choice::default() };
        assert!(agreeing.experiment().is_ok());
    }

    #[test]
    fn every_wrong_flag_is_reported_with_near_names() {
        let set = ["trainin.batch=3", "training.bach=3", "seed", "members=some"].map(String::from).to_vec();
        let text = problems(&Choice { set, ..Choice::default() });
        for part in ["trainin is an unknown field; did you mean training?", "training.bach", "did you mean batch?"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("--set is 'seed', which is not an assignment"), "{text}");
        assert!(text.contains("members is wrong"), "{text}");
    }

    #[test]
    fn options_named_before_their_component_are_kept() {
        let set = ["cell.hidden=9", "cell.type=lstm"].map(String::from).to_vec();
        let experiment = Choice { set, ..Choice::default() }.experiment().unwrap();
        assert_eq!((experiment.cell.name.as_str(), experiment.cell.options()["hidden"].as_u64()), ("lstm", Some(9)));
    }
}
