//! Checks of file formats: rubbish in, and a network out and in.

use super::Findings;
use super::training::{experiment_with, train};
use crate::run::RunDir;
use crate::subject::{At, RunView};
use crate::workers::Workers;
use crate::{Error, Format, Kind, Registry, Result, Spec};

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let spec: Spec<dyn Format> = Spec::new(findings.component.name);
    let Ok(format) = registry.build(&spec, "format") else { return };
    if let Some(problem) = findings.value("rubbish", rubbish(&*format)).flatten() {
        findings.fail(problem);
    }
    if let Some(problem) = findings.value("a network", out_and_in(registry, &*format)).flatten() {
        findings.fail(problem);
    }
}

/// What is no file of the format is refused with an error that says so.
fn rubbish(format: &dyn Format) -> Result<Option<String>> {
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let cases: [(&str, Option<&[u8]>); 4] =
        [("missing", None), ("empty", Some(b"")), ("text", Some(b"hello")), ("zeros", Some(&[0; 4096]))];
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).map_err(Error::io(&path))?;
        }
        match format.import(&path) {
            Ok(_) => return Ok(Some(format!("it reads a file that is {name}"))),
            Err(error @ Error::Panicked { .. }) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// A network that the format can hold comes back as it was.
fn out_and_in(registry: &Registry, format: &dyn Format) -> Result<Option<String>> {
    let experiment = experiment_with(registry, Kind::Format, "")?.resolve(registry)?;
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let dir = RunDir::create(folder.path().join("run"), &experiment)?;
    train(registry, &experiment, &dir, 1)?;
    let workers = Workers::new(1)?;
    let views = RunView::open(&dir, registry, &workers)?;
    let Some(view) = views.first() else { return Ok(Some("the run has no network".into())) };
    let path = folder.path().join("exported");
    match format.export_run(view, At::Last, &path) {
        Err(error @ Error::Panicked { .. }) => return Err(error),
        // A format of certain networks or runs may refuse this one; it says why.
        Err(_) => return Ok(None),
        Ok(files) if files.iter().any(|file| !file.exists()) => {
            return Ok(Some("it names a file that it did not write".into()));
        }
        Ok(_) => {}
    }
    let back = match format.import(&path) {
        Ok(back) => back.parameters,
        Err(error @ Error::Panicked { .. }) => return Err(error),
        // What is written for other programs need not be readable here.
        Err(_) => return Ok(None),
    };
    let network = view.network(At::Last)?;
    for (name, tensor) in network.parameters.iter() {
        let same = back.find(name).is_some_and(|other| {
            other.size() == tensor.size() && crate::tensors::values_f64(other) == crate::tensors::values_f64(tensor)
        });
        if !same {
            return Ok(Some(format!("'{name}' does not come back as it was")));
        }
    }
    Ok(None)
}
