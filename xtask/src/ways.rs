//! The ways to a libtorch beside `LIBTORCH`, in the order in which they are tried.

mod archive;
mod pytorch;
mod wheels;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::Checkout;
use crate::failure::Attempt;
use crate::libtorch::{Flavour, Libtorch, Platform, VERSION, Wanted};
use crate::process;
use crate::setup::{describe, replace_link, stamp, verify};

/// What is looked for, and for whom.
pub struct Search<'a> {
    /// Where it shall be put.
    pub checkout: &'a Checkout,
    /// What it must run on.
    pub platform: Platform,
    /// What the user asked for.
    pub wanted: Wanted,
}

impl Search<'_> {
    /// Where an installation that we fetch lies.
    fn home(&self, flavour: Flavour) -> PathBuf {
        self.checkout.target().join(format!("libtorch-{VERSION}-{flavour}"))
    }

    /// An empty folder for work that is not complete.
    fn workshop(&self) -> Result<PathBuf, String> {
        let folder = self.checkout.target().join("libtorch-incomplete");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| describe("remove", &folder, &error))?;
        }
        fs::create_dir_all(&folder).map_err(|error| describe("create", &folder, &error))?;
        Ok(folder)
    }

    /// Check what was unpacked in `folder`, stamp it and give it its place.
    fn complete(&self, folder: &Path, source: &str) -> Result<PathBuf, String> {
        let libtorch = Libtorch::inspect(&folder.join("torch"), self.platform, self.wanted)?;
        verify(&libtorch, self.platform)?;
        stamp(folder, libtorch.flavour, source)?;
        let home = self.home(libtorch.flavour);
        if home.exists() {
            fs::remove_dir_all(&home).map_err(|error| describe("remove", &home, &error))?;
        }
        fs::rename(folder, &home).map_err(|error| describe("rename", folder, &error))?;
        Ok(home)
    }
}

/// Try one way after the other; each that fails is added to `attempts`.
pub fn first_that_works(search: &Search<'_>, attempts: &mut Vec<Attempt>) -> Option<PathBuf> {
    type Way = fn(&Search<'_>) -> Result<PathBuf, String>;
    let ways: [(&'static str, Way); 4] = [
        ("one fetched before", fetched_before),
        ("an installed PyTorch", pytorch::link_installed),
        ("wheels of the Python package index, through pip", wheels::fetch),
        ("the official archive", archive::fetch),
    ];
    let mut found = None;
    for (way, attempt) in ways {
        match attempt(search) {
            Ok(installation) => {
                found = Some(installation);
                break;
            }
            Err(reason) => attempts.push(Attempt { way, reason }),
        }
    }
    // Nothing in the workshop is wanted any more; should it stay, the next set-up removes it.
    let _ = fs::remove_dir_all(search.checkout.target().join("libtorch-incomplete"));
    found
}

fn fetched_before(search: &Search<'_>) -> Result<PathBuf, String> {
    let home = search.home(search.wanted.flavour());
    Libtorch::inspect(&home.join("torch"), search.platform, search.wanted)?;
    Ok(home)
}

/// Make an installation that only leads to a libtorch of the user's.
///
/// # Errors
/// When its libraries do not load, or the file system refuses.
pub fn link(search: &Search<'_>, libtorch: &Libtorch, source: &str) -> Result<PathBuf, String> {
    verify(libtorch, search.platform)?;
    let folder = libtorch.folder.canonicalize().map_err(|error| describe("find", &libtorch.folder, &error))?;
    let installation = search.checkout.target().join("libtorch-linked");
    fs::create_dir_all(&installation).map_err(|error| describe("create", &installation, &error))?;
    stamp(&installation, libtorch.flavour, &format!("{source} ({})", folder.display()))?;
    replace_link(&installation.join("torch"), &folder)?;
    Ok(installation)
}

/// Say early that torch-sys will not compile, rather than leave it to the middle of the build.
pub fn warn_without_compiler() {
    let compilers: Vec<String> = match env::var("CXX") {
        Ok(compiler) => vec![compiler],
        Err(_) => vec!["c++".to_owned()],
    };
    let works = |compiler: &String| {
        let mut words = compiler.split_whitespace();
        words.next().is_some_and(|program| process::read(Command::new(program).args(words).arg("--version")).is_ok())
    };
    if !compilers.iter().any(works) {
        eprintln!("warning: no C++ compiler ({} does not run); the build needs one", compilers.join(", "));
        eprintln!("         Debian, Ubuntu: apt install g++; macOS: xcode-select --install");
    }
}
