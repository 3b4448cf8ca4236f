//! The archives that the PyTorch project publishes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Search;
use crate::libtorch::VERSION;
use crate::process;
use crate::python::{self, python};
use crate::selection::{archive_address, archive_members};

/// Download and unpack the archive for this platform.
///
/// # Errors
/// When none is published for it, the site cannot be reached, or Python is missing.
pub fn fetch(search: &Search<'_>) -> Result<PathBuf, String> {
    let address = archive_address(search.platform, search.wanted.flavour(), VERSION)?;
    fetch_from(search, &address)
}

fn fetch_from(search: &Search<'_>, address: &str) -> Result<PathBuf, String> {
    let workshop = search.workshop()?;
    let archive = workshop.join("libtorch.zip");
    eprintln!("fetching {address}");
    download(address, &archive)?;
    eprintln!("unpacking");
    let unpacked = workshop.join("unpacked");
    python::extract(&archive, &archive_members(&python::members(&archive)?), &unpacked)?;
    search.complete(&unpacked, &format!("the archive {address}"))
}

/// Download with curl, which knows the system's certificates, or else with Python.
fn download(address: &str, file: &Path) -> Result<(), String> {
    const SCRIPT: &str = "\
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as source, open(sys.argv[2], 'wb') as target:
    shutil.copyfileobj(source, target, 1 << 20)
";
    let curl =
        ["--fail", "--location", "--show-error", "--silent", "--connect-timeout", "30", "--retry", "2", "--output"];
    let with_curl = process::watch(Command::new("curl").args(curl).arg(file).arg(address));
    let Err(reason) = with_curl else { return Ok(()) };
    if !reason.contains("cannot be run") {
        return Err(format!("{address}: {reason}"));
    }
    process::read(python().args(["-c", SCRIPT, address]).arg(file))
        .map(drop)
        .map_err(|reason| format!("{address}: {reason}"))
}
