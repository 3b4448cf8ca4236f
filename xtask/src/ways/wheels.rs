//! The wheels of the Python package index, downloaded by pip.

use std::fs;
use std::path::{Path, PathBuf};

use super::Search;
use crate::libtorch::{Flavour, VERSION};
use crate::process;
use crate::python::{self, python};
use crate::selection::{cuda_requirements, nvidia_members, shell, torch_members};
use crate::setup::describe;

/// The Python that wheels are asked for. Any that torch is published for will do: the C++ libraries do not depend on it, and
/// the Python that runs pip may be too old or too new to have wheels of its own.
const PYTHON: &str = "3.12";

/// Make a libtorch of the wheel `torch` and those of the CUDA libraries that it needs.
///
/// # Errors
/// When Python or pip is missing, no index can be reached, it has no wheel for this platform, or the wheel is not as expected.
pub fn fetch(search: &Search<'_>) -> Result<PathBuf, String> {
    process::read(python().args(["-m", "pip", "--version"]))?;
    let flavour = search.wanted.flavour();
    let workshop = search.workshop()?;
    let downloads = workshop.join("wheels");
    eprintln!("fetching libtorch {VERSION} ({flavour}) as Python wheels, about {}", size(flavour));
    download(&[format!("torch=={VERSION}")], &["--no-deps"], &downloads)?;
    let torch = wheels_in(&downloads)?.into_iter().next().ok_or("pip downloaded nothing")?;

    let members = python::members(&torch)?;
    let metadata = members
        .iter()
        .find(|member| member.ends_with(".dist-info/METADATA"))
        .ok_or_else(|| format!("{} has no METADATA", torch.display()))?;
    let requirements = cuda_requirements(&python::member(&torch, metadata)?, search.platform, flavour);
    if !requirements.is_empty() {
        download(&requirements, &[], &downloads)?;
    }

    eprintln!("unpacking");
    let unpacked = workshop.join("unpacked");
    python::extract(&torch, &torch_members(&members, search.platform, flavour), &unpacked)?;
    if let Some(script) = shell(&members, search.platform, flavour) {
        let file = unpacked.join("torch/lib/libtorch.so");
        fs::write(&file, script).map_err(|error| describe("write", &file, &error))?;
    }
    let version = unpacked.join("torch/build-version");
    fs::write(&version, format!("{VERSION}+{flavour}\n")).map_err(|error| describe("write", &version, &error))?;
    for wheel in wheels_in(&downloads)?.iter().filter(|wheel| **wheel != torch) {
        let members = nvidia_members(&python::members(wheel)?, search.platform, flavour);
        python::extract(wheel, &members, &unpacked)?;
    }
    let name = torch.file_name().unwrap_or_default().to_string_lossy().into_owned();
    search.complete(&unpacked, &format!("the wheel {name}"))
}

fn size(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Cpu => "0.5 GB to download, 0.5 GB on disk",
        Flavour::Cuda => "2.5 GB to download, 3.6 GB on disk",
    }
}

/// Let pip download wheels for requirements, with everything they depend on unless `options` say otherwise.
fn download(requirements: &[String], options: &[&str], folder: &Path) -> Result<(), String> {
    let mut pip = python();
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--only-binary=:all:"])
        .args(["--python-version", PYTHON, "--dest"])
        .arg(folder)
        .args(options)
        .args(requirements);
    process::watch(&mut pip)
}

fn wheels_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| describe("read", folder, &error))?;
    let mut wheels: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "whl"))
        .collect();
    wheels.sort();
    Ok(wheels)
}
