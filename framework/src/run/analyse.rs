//! Running analyses: on the networks of a run, on groups of runs, on data; each saves what it found.

use super::RunDir;
use crate::analysis::Scope;
use crate::experiment::to_toml;
use crate::storage::{Array, atomic};
use crate::subject::{RunView, Subject};
use crate::workers::{Workers, guarded};
use crate::{Analysis, Error, Experiment, Findings, Registry, Result, Spec, Stream};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// The file that says what made the findings beside it.
const SETTINGS: &str = "analysis.toml";

/// What one analysis of one subject came to.
#[derive(Debug)]
pub struct Analysed {
    /// The network, or the groups.
    pub label: String,
    /// Where it was saved.
    pub folder: PathBuf,
    /// What was found.
    pub findings: Findings,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// An analysis ready to be run; every option is written out.
pub struct Analyst<'a> {
    /// Name and options.
    pub spec: Spec<dyn Analysis>,
    analysis: Box<dyn Analysis>,
    registry: &'a Registry,
    workers: &'a Workers,
}

impl<'a> Analyst<'a> {
    /// Build the analysis that `spec` names.
    ///
    /// # Errors
    /// As [`Registry::build`], with paths below `analysis`.
    pub fn new(spec: &Spec<dyn Analysis>, registry: &'a Registry, workers: &'a Workers) -> Result<Self> {
        let analysis = registry.build(spec, "analysis")?;
        Ok(Self { spec: registry.resolve(spec, "analysis")?, analysis, registry, workers })
    }

    /// What it looks at.
    pub fn scope(&self) -> Scope {
        self.analysis.scope()
    }

    /// Refuse a run whose task or cell lacks what the analysis needs.
    ///
    /// # Errors
    /// [`Error::Config`] naming both parts and parts that would fit.
    pub fn fits(&self, experiment: &Experiment) -> Result<()> {
        let fitting =
            Experiment { analysis: vec![self.spec.clone()], ..experiment.clone() }.parts(self.registry).map(drop);
        // Here it is no item of a list: its options are set as `analysis.OPTION`.
        fitting.map_err(|error| match error {
            Error::Config(mut problems) => {
                problems
                    .iter_mut()
                    .for_each(|problem| problem.path = problem.path.replacen("analysis[0]", "analysis", 1));
                Error::Config(problems)
            }
            other => other,
        })
    }

    /// Open the networks of a run, refusing those it cannot look at.
    ///
    /// # Errors
    /// As [`RunView::open_as`] and [`Analyst::fits`].
    pub fn open(&self, dir: &RunDir, experiment: Experiment) -> Result<Vec<RunView<'a>>> {
        self.fits(&experiment)?;
        RunView::open_as(dir, experiment, self.registry, self.workers)
    }

    /// Look at a run: at each member, or at all members as one group. Saves under `folder` in the analyses of each.
    ///
    /// # Errors
    /// When the run cannot be opened, or the analysis fails.
    pub fn run(&self, dir: &RunDir, experiment: Experiment, folder: &str) -> Result<Vec<Analysed>> {
        let views = self.open(dir, experiment)?;
        match self.scope() {
            Scope::Run => views
                .into_iter()
                .map(|view| {
                    let place = view.dir.analysis_path(folder);
                    self.network(view, &place)
                })
                .collect(),
            Scope::Groups => {
                let all = (0..views.len()).collect();
                Ok(vec![self.groups(views, vec![(dir.name(), all)], &dir.analysis_path(folder))?])
            }
        }
    }

    /// Look at one network and save at `place`.
    ///
    /// # Errors
    /// When the analysis fails or cannot be saved.
    pub fn network(&self, view: RunView<'a>, place: &Path) -> Result<Analysed> {
        let label = view.label.clone();
        let seed = view.experiment.member_seed(view.member);
        let groups = vec![(label.clone(), vec![0])];
        self.look(label, Subject { runs: vec![view], groups, ..self.nothing(seed) }, place)
    }

    /// Look at groups of networks (name, indices into `runs`) and save at `place`.
    ///
    /// # Errors
    /// When the analysis fails or cannot be saved.
    pub fn groups(&self, runs: Vec<RunView<'a>>, groups: Vec<(String, Vec<usize>)>, place: &Path) -> Result<Analysed> {
        let label = groups.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let seed = runs.first().map_or(1, |run| run.experiment.seed);
        self.look(label, Subject { runs, groups, ..self.nothing(seed) }, place)
    }

    /// Look at arrays from a file and save at `place`.
    ///
    /// # Errors
    /// When the analysis fails, for example because it needs a network, or cannot be saved.
    pub fn data(&self, label: &str, data: IndexMap<String, Array>, seed: u64, place: &Path) -> Result<Analysed> {
        self.look(label.to_string(), Subject { data, ..self.nothing(seed) }, place)
    }

    fn nothing(&self, seed: u64) -> Subject<'a> {
        let stream = Stream::new(seed).child("analysis").child(&self.spec.name);
        Subject { runs: Vec::new(), groups: Vec::new(), data: IndexMap::new(), stream, workers: self.workers }
    }

    fn look(&self, label: String, subject: Subject<'a>, place: &Path) -> Result<Analysed> {
        let findings = guarded(&format!("analysis '{}'", self.spec.name), || self.analysis.run(&subject))?;
        let mut files = findings.save(place)?;
        // What made it, so that it can be made again.
        let settings = place.join(SETTINGS);
        atomic::write(&settings, to_toml(&self.spec)?.as_bytes())?;
        files.push(settings);
        Ok(Analysed { label, folder: place.to_path_buf(), findings, files })
    }
}

/// The folders of an experiment's analyses: their names; the second of a name has `-2`.
pub fn folder_names(analyses: &[Spec<dyn Analysis>]) -> Vec<String> {
    let before = |index: usize| analyses[..index].iter().filter(|spec| spec.name == analyses[index].name).count();
    (0..analyses.len())
        .map(|index| match before(index) {
            0 => analyses[index].name.clone(),
            earlier => format!("{}-{}", analyses[index].name, earlier + 1),
        })
        .collect()
}

impl RunDir {
    /// The analyses of an experiment that were not made yet: folder and spec.
    pub fn missing_analyses(&self, experiment: &Experiment) -> Vec<(String, Spec<dyn Analysis>)> {
        let dirs = self.members(experiment);
        let made = |folder: &String| {
            self.analyses().contains(folder) || dirs.iter().all(|dir| dir.analyses().contains(folder))
        };
        let all = folder_names(&experiment.analysis).into_iter().zip(experiment.analysis.iter().cloned());
        all.filter(|(folder, _)| !made(folder)).collect()
    }

    /// Remove what the analyses of an experiment found, to make them anew. Those made by hand stay.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn remove_analyses(&self, experiment: &Experiment) -> Result<()> {
        for dir in self.members(experiment).iter().chain([self]) {
            for folder in folder_names(&experiment.analysis) {
                match std::fs::remove_dir_all(dir.analysis_path(&folder)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::io(dir.analysis_path(&folder))(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The analysis that made the findings in a folder, with all of its options; `None` where nothing says it.
    pub fn analysis_settings(&self, folder: &str) -> Option<Spec<dyn Analysis>> {
        let settings = std::fs::read_to_string(self.analysis_path(folder).join(SETTINGS)).ok();
        settings.and_then(|text| toml::from_str(&text).ok())
    }

    /// The analyses of an experiment, and those that were made of its run by hand.
    pub fn made_analyses(&self, experiment: &Experiment) -> Vec<Spec<dyn Analysis>> {
        let mut all = experiment.analysis.clone();
        for dir in self.members(experiment).iter().chain([self]) {
            for folder in dir.analyses() {
                all.extend(dir.analysis_settings(&folder).filter(|spec| !all.contains(spec)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn analyses_of_one_name_get_folders_of_their_own() {
        let specs: Vec<Spec<dyn Analysis>> = ["pca", "activity", "pca", "pca"].map(Spec::new).to_vec();
        assert_eq!(folder_names(&specs), ["pca", "activity", "pca-2", "pca-3"]);
    }
}
