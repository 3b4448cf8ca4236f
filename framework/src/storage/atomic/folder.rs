//! Folders that appear complete or not at all.

use super::{parent, temporary_prefix};
use crate::{Error, Result};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Make an empty folder beside `target`, to be filled and then published by [`replace_dir`].
///
/// Its name is `.<name>.tmp-<process>`; what a stopped process left under that name is removed.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn temporary_dir(target: impl AsRef<Path>) -> Result<PathBuf> {
    let target = target.as_ref();
    let mut name = temporary_prefix(target);
    name.push(std::process::id().to_string());
    let folder = parent(target).join(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(&folder)(error)),
        _ => {}
    }
    fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    Ok(folder)
}

/// Publish the completely written folder `temporary` as `target`, replacing a folder of that name.
///
/// Both must lie on one file system. All files in `temporary` reach the disk before the rename. An older folder is exchanged in
/// one step where the file system can (Linux, macOS); elsewhere it is moved aside first, so that a crash in between leaves it
/// under a temporary name.
///
/// # Errors
/// [`Error::Io`] when the system refuses; `target` is then what it was.
pub fn replace_dir(temporary: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<()> {
    let (temporary, target) = (temporary.as_ref(), target.as_ref());
    sync_tree(temporary)?;
    let replaced = match fs::symlink_metadata(target) {
        Ok(_) => Some(exchange(temporary, target)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::rename(temporary, target).map_err(Error::io(target))?;
            None
        }
        Err(error) => return Err(Error::io(target)(error)),
    };
    sync_dir(parent(target))?;
    if let Some(old) = replaced {
        // The new folder stands: an old one that cannot be removed is no reason to fail.
        if let Err(error) = fs::remove_dir_all(&old) {
            tracing::warn!(folder = %old.display(), %error, "could not remove the folder that was replaced");
        }
    }
    Ok(())
}

/// Remove temporary files and folders that a killed process left directly in `folder`; returns their paths.
///
/// Only while nobody else writes there: hold the [`RunLock`](crate::storage::RunLock).
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn remove_leftovers(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with('.') && name.contains(".tmp-")) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().map_err(Error::io(&path))?.is_dir();
        if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.map_err(Error::io(&path))?;
        removed.push(path);
    }
    removed.sort();
    Ok(removed)
}

/// Flush a folder, so that names made or changed in it survive a power loss.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn sync_dir(folder: impl AsRef<Path>) -> Result<()> {
    let folder = folder.as_ref();
    let synced = File::open(folder).and_then(|handle| handle.sync_all());
    match synced {
        // Some network file systems cannot flush folders; there is nothing better to do on them.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other.map_err(Error::io(folder)),
    }
}

/// Put `temporary` in the place of the existing `target`; returns where the old one lies now.
fn exchange(temporary: &Path, target: &Path) -> Result<PathBuf> {
    match rustix::fs::renameat_with(CWD, temporary, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => return Ok(temporary.to_path_buf()),
        Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP) => {}
        Err(error) => return Err(Error::io(target)(error.into())),
    }
    let mut name = temporary_prefix(target);
    name.push("replaced-");
    name.push(std::process::id().to_string());
    let aside = parent(target).join(name);
    fs::rename(target, &aside).map_err(Error::io(target))?;
    if let Err(error) = fs::rename(temporary, target) {
        fs::rename(&aside, target).map_err(Error::io(target))?;
        return Err(Error::io(target)(error));
    }
    Ok(aside)
}

fn sync_tree(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io(&path))?;
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            File::open(&path).and_then(|file| file.sync_all()).map_err(Error::io(&path))?;
        }
    }
    sync_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn folders_are_published_whole_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("000100");
        for text in ["first", "second"] {
            let temporary = temporary_dir(&target).unwrap();
            assert!(names(&temporary).is_empty());
            fs::create_dir(temporary.join("an-inner")).unwrap();
            fs::write(temporary.join("an-inner/a"), text).unwrap();
            fs::write(temporary.join(text), "").unwrap();
            replace_dir(&temporary, &target).unwrap();
            assert_eq!(names(folder.path()), ["000100"]);
            assert_eq!(names(&target), ["an-inner", text]);
            assert_eq!(fs::read_to_string(target.join("an-inner/a")).unwrap(), text);
        }
        assert!(matches!(replace_dir(folder.path().join("none"), &target), Err(Error::Io { .. })));
        assert_eq!(names(&target), ["an-inner", "second"]);
    }

    #[test]
    fn leftovers_of_a_killed_process_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        temporary_dir(folder.path().join("000100")).unwrap();
        fs::write(folder.path().join(".state.json.tmp-x1"), "half").unwrap();
        fs::write(folder.path().join("kept.tmp-x"), "").unwrap();
        assert_eq!(remove_leftovers(folder.path()).unwrap().len(), 2);
        assert_eq!(names(folder.path()), ["kept.tmp-x"]);
    }
}
