//! Checks of analyses: on a run of a few updates, twice.

use super::Findings;
use super::training::{experiment_with, train};
use crate::run::RunDir;
use crate::subject::{RunView, Subject};
use crate::workers::Workers;
use crate::{Analysis, Error, Registry, Result, Stream};

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let found = match twice(registry, findings.component.name) {
        // It needs more, or something else, than these few trials of this task, and says which option to change.
        Err(Error::Config(problems)) if problems.iter().all(|problem| !problem.remedy.is_empty()) => return,
        found => found,
    };
    if let Some(problem) = findings.value("running it", found).flatten() {
        findings.fail(problem);
    }
}

fn twice(registry: &Registry, name: &str) -> Result<Option<String>> {
    let experiment = experiment_with(registry, crate::Kind::Analysis, name)?.resolve(registry)?;
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let dir = RunDir::create(folder.path().join("run"), &experiment)?;
    train(registry, &experiment, &dir, 1)?;
    let look = |threads: usize| -> Result<crate::Findings> {
        let spec = &experiment.analysis[0];
        let analysis: Box<dyn Analysis> = registry.build(spec, "analysis")?;
        let workers = Workers::new(threads)?;
        let runs = RunView::open(&dir, registry, &workers)?;
        let groups = vec![("all".to_string(), vec![0])];
        analysis.run(&Subject { runs, groups, data: Default::default(), stream: Stream::new(1), workers: &workers })
    };
    let (first, second) = (look(1)?, look(2)?);
    if first.values.is_empty() && first.tables.is_empty() && first.figures.is_empty() && first.arrays.is_empty() {
        return Ok(Some("it finds nothing".into()));
    }
    // As text, since a NaN is no equal of itself.
    if format!("{first:?}") != format!("{second:?}") {
        return Ok(Some("it finds something else on other threads, from the same stream".into()));
    }
    let saved = dir.save_findings(name, &first)?;
    if let Some(missing) = saved.iter().find(|path| !path.is_file()) {
        return Ok(Some(format!("{} was not written", missing.display())));
    }
    let loaded = crate::Findings::load(&dir.analysis_path(name))?;
    let same = loaded.values.len() == first.values.len() && loaded.tables.len() == first.tables.len();
    Ok((!same).then(|| "what it finds does not come back from its files".into()))
}
