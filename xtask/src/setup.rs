//! The set-up: find or fetch a libtorch, and make `target/libtorch` lead to it.
//!
//! Installations lie side by side (`target/libtorch-2.13.0-cpu`, `target/libtorch-2.13.0-cuda`, `target/libtorch-linked`);
//! `target/libtorch` is a symbolic link to one of them. An installation is made in a folder of its own and renamed when it is
//! complete and its libraries load, and the link is replaced by a rename, so that at no moment half a libtorch is in use.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::checkout::{Checkout, libtorch_of_the_user};
use crate::failure::{self, Attempt};
use crate::libtorch::{Flavour, Libtorch, Platform, VERSION, Wanted};
use crate::process;
use crate::python;
use crate::ways::{self, Search};

/// The file in an installation that says what it is and where it came from.
const STAMP: &str = "installed.toml";

/// A libtorch that is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What it can run on.
    pub flavour: Flavour,
    /// Where it came from, as its stamp says.
    pub source: String,
    /// Whether `LIBTORCH` is set to something that does not fit, and must be hidden from cargo.
    pub ignores_environment: bool,
}

impl fmt::Display for Ready {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "libtorch {VERSION} ({}) is in target/libtorch, from {}", self.flavour, self.source)
    }
}

/// Put a fitting libtorch in place, or find that one is.
///
/// # Errors
/// When none can be had: every way that was tried, why it failed, and what to do.
pub fn setup(checkout: &Checkout, wanted: Wanted) -> Result<Ready, String> {
    let platform = Platform::here()?;
    let search = Search { checkout, platform, wanted };
    let mut attempts = Vec::new();
    let user = libtorch_of_the_user(checkout);
    let linked = match &user {
        None => Err("not set".to_owned()),
        Some(folder) => Libtorch::inspect(folder, platform, wanted),
    };
    let ignores_environment = user.is_some() && linked.is_err();
    if let (Some(folder), Err(reason)) = (&user, &linked) {
        eprintln!("note: LIBTORCH={} does not fit and is ignored here ({reason}).", folder.display());
        eprintln!("      Unset it before a plain `cargo build`, which would use it.");
    }

    if let Some(ready) = in_place(&search, linked.as_ref().ok(), &mut attempts)? {
        return Ok(Ready { ignores_environment, ..ready });
    }
    fs::create_dir_all(checkout.target()).map_err(|error| describe("create", &checkout.target(), &error))?;
    let _lock = lock(&checkout.target().join(".libtorch.lock"))?;
    attempts.clear();
    // Another set-up may have done the work while this one waited.
    if let Some(ready) = in_place(&search, linked.as_ref().ok(), &mut attempts)? {
        return Ok(Ready { ignores_environment, ..ready });
    }
    let environment = linked.and_then(|libtorch| ways::link(&search, &libtorch, "LIBTORCH"));
    let installation = match environment {
        Ok(installation) => installation,
        Err(reason) => {
            attempts.insert(0, Attempt { way: "LIBTORCH", reason });
            ways::first_that_works(&search, &mut attempts)
                .ok_or_else(|| failure::compose(&attempts, wanted.flavour()))?
        }
    };
    let libtorch = Libtorch::inspect(&installation.join("torch"), platform, wanted)?;
    select(checkout, &installation)?;
    ways::warn_without_compiler();
    Ok(Ready { flavour: libtorch.flavour, source: source(&installation), ignores_environment })
}

/// What `target/libtorch` leads to, when it does what is wanted. Costs a few looks at files.
fn in_place(
    search: &Search<'_>,
    linked: Option<&Libtorch>,
    attempts: &mut Vec<Attempt>,
) -> Result<Option<Ready>, String> {
    let selected = search.checkout.selected();
    match Libtorch::inspect(&selected.join("torch"), search.platform, search.wanted) {
        Ok(found) if linked.is_none_or(|linked| same_folder(&linked.folder, &found.folder)) => {
            reachable_from_build(search.checkout)?;
            Ok(Some(Ready { flavour: found.flavour, source: source(&selected), ignores_environment: false }))
        }
        Ok(_) => Ok(None),
        Err(reason) => {
            attempts.push(Attempt { way: "what is in target/libtorch", reason });
            Ok(None)
        }
    }
}

/// Record in an installation what it is and where it came from.
///
/// # Errors
/// When the file cannot be written.
pub fn stamp(installation: &Path, flavour: Flavour, source: &str) -> Result<(), String> {
    let file = installation.join(STAMP);
    let text = format!("version = \"{VERSION}\"\nflavour = \"{flavour}\"\nsource = '{source}'\n");
    fs::write(&file, text).map_err(|error| describe("write", &file, &error))
}

/// Where an installation came from: what its stamp says, or where it lies.
fn source(installation: &Path) -> String {
    let text = fs::read_to_string(installation.join(STAMP)).unwrap_or_default();
    source_in(&text).unwrap_or_else(|| "a folder without a stamp".to_owned())
}

fn source_in(stamp: &str) -> Option<String> {
    let value = stamp.lines().find_map(|line| line.strip_prefix("source = "))?;
    Some(value.trim_matches('\'').to_owned())
}

/// Check that the libraries of a libtorch load, where there is a Python to check it with.
///
/// # Errors
/// What the loader complains about.
pub fn verify(libtorch: &Libtorch, platform: Platform) -> Result<(), String> {
    if process::read(python::python().arg("--version")).is_err() {
        return Ok(());
    }
    python::load(&libtorch.libraries(platform)).map_err(|reason| format!("its libraries do not load: {reason}"))
}

/// Make `target/libtorch` lead to an installation below `target`.
fn select(checkout: &Checkout, installation: &Path) -> Result<(), String> {
    let selected = checkout.selected();
    let name = installation.file_name().map_or_else(|| installation.to_path_buf(), PathBuf::from);
    forget_builds(checkout)?;
    if fs::symlink_metadata(&selected).is_ok_and(|what| what.is_dir()) {
        // Put there by hand: not ours to delete, but a link cannot replace a folder.
        let aside = (1..)
            .map(|number| checkout.target().join(format!("libtorch-replaced-{number}")))
            .find(|path| !path.exists())
            .ok_or("no free name for the libtorch that is replaced")?;
        fs::rename(&selected, &aside).map_err(|error| describe("move aside", &selected, &error))?;
        eprintln!("note: the folder target/libtorch was moved to {}", aside.display());
    }
    replace_link(&selected, &name)?;
    reachable_from_build(checkout)
}

/// Make the build folder's `libtorch` lead to ours where cargo was told to build elsewhere: run paths start at the binary.
fn reachable_from_build(checkout: &Checkout) -> Result<(), String> {
    let link = checkout.build.join("libtorch");
    if same_folder(&link, &checkout.selected()) || same_folder(&checkout.build, &checkout.target()) {
        return Ok(());
    }
    replace_link(&link, &checkout.selected())
}

/// Make cargo build torch-sys and tch again: their fingerprint knows the path of libtorch, not what lies there.
fn forget_builds(checkout: &Checkout) -> Result<(), String> {
    for (folder, profile) in [("release", "release"), ("debug", "dev")] {
        let built = fs::read_dir(checkout.build.join(folder).join("build")).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("torch-sys-"))
        });
        if built {
            let ready = Ready { flavour: Flavour::Cpu, source: String::new(), ignores_environment: false };
            let mut cargo = checkout.cargo(&ready);
            process::watch(cargo.args(["clean", "--quiet", "--profile", profile, "-p", "torch-sys", "-p", "tch"]))
                .map_err(|reason| {
                    format!("torch-sys must be built again for another libtorch, but cargo clean failed: {reason}")
                })?;
        }
    }
    Ok(())
}

/// Point a symbolic link somewhere, whether it exists or not, without a moment in which it does not.
///
/// # Errors
/// When the file system refuses.
pub fn replace_link(link: &Path, target: &Path) -> Result<(), String> {
    let mut name = link.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = link.with_file_name(name);
    if fs::symlink_metadata(&fresh).is_ok() {
        fs::remove_file(&fresh).map_err(|error| describe("remove", &fresh, &error))?;
    }
    symlink(target, &fresh).map_err(|error| describe("create", &fresh, &error))?;
    fs::rename(&fresh, link).map_err(|error| describe("replace", link, &error))
}

#[cfg(unix)]
use std::os::unix::fs::symlink;

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Whether two paths lead to the same existing folder.
fn same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// One sentence for a failed file operation.
pub fn describe(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

/// Hold this set-up's lock until the returned file is dropped.
fn lock(path: &Path) -> Result<File, String> {
    let file = File::create(path).map_err(|error| describe("create", path, &error))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("waiting for another set-up of this checkout"),
        Err(TryLockError::Error(error)) => return Err(describe("lock", path, &error)),
    }
    file.lock().map_err(|error| describe("lock", path, &error))?;
    Ok(file)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_replaced_and_survives_a_leftover() {
        let folder = std::env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        fs::create_dir_all(folder.join("a")).unwrap();
        fs::create_dir_all(folder.join("b")).unwrap();
        let link = folder.join("libtorch");
        replace_link(&link, Path::new("a")).unwrap();
        assert!(same_folder(&link, &folder.join("a")));
        symlink("a", folder.join("libtorch.new")).unwrap();
        replace_link(&link, Path::new("b")).unwrap();
        assert!(same_folder(&link, &folder.join("b")));
        fs::remove_dir_all(&folder).unwrap();
        assert!(!same_folder(&link, &link));
    }

    #[test]
    fn the_stamp_says_where_libtorch_came_from() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(source(&folder), "a folder without a stamp");
        stamp(&folder, Flavour::Cuda, "the wheel x.whl").unwrap();
        assert_eq!(source(&folder), "the wheel x.whl");
        let text = fs::read_to_string(folder.join(STAMP)).unwrap();
        assert!(text.contains("version = \"2.13.0\"\nflavour = \"cuda\"\n"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
