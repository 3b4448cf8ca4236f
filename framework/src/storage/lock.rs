//! One process at a time in a run directory.

use super::host;
use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Name of the lock file in a run directory.
pub const FILE_NAME: &str = ".lock";

/// The right to write in a run directory, held until dropped or until the process ends, however it ends.
///
/// The lock is the operating system's, on `<folder>/.lock`; the file stays, and says who held it last. It keeps out processes
/// of the same machine; on network file systems, those of other machines too only where the system supports it.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Take the lock of `folder`, without waiting.
    ///
    /// # Errors
    /// [`Error::File`] naming the process that holds it, or when `folder` does not exist; [`Error::Io`] when the system refuses.
    pub fn acquire(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            return Err(Error::file(folder, "is not an existing folder", "check the path"));
        }
        let path = folder.join(FILE_NAME);
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(Error::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = format!("is in use by {}", holder(&file));
                return Err(Error::file(folder, problem, "wait until it ends, or stop it"));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(&path)(error)),
        }
        let text = format!("process {} on {}\n", std::process::id(), host::name());
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(Error::io(&path))?;
        Ok(Self { file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing the file releases the lock as well, unless a child process inherited it.
        let _ = self.file.unlock();
    }
}

/// What the holder wrote into the lock file. It may not have written yet, and the file may hold anything.
fn holder(file: &File) -> String {
    let mut bytes = Vec::new();
    let read = file.take(200).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    match text.lines().next() {
        Some(line) if read.is_ok() && line.starts_with("process ") => {
            line.chars().filter(|c| !c.is_control()).collect()
        }
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "process 1 on an-older-and-longer-name-than-any-of-ours\n")
            .unwrap();
        let first = RunLock::acquire(folder.path()).unwrap();
        let text = RunLock::acquire(folder.path()).unwrap_err().to_string();
        assert!(text.contains(&format!("process {} on {};", std::process::id(), host::name())), "{text}");
        drop(first);
        RunLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn an_unreadable_holder_and_a_missing_folder_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let _held = RunLock::acquire(folder.path()).unwrap();
        std::fs::write(folder.path().join(FILE_NAME), [0xff, 0x00]).unwrap();
        let text = RunLock::acquire(folder.path()).unwrap_err().to_string();
        assert!(text.contains("another process"), "{text}");
        let text = RunLock::acquire(folder.path().join("none")).unwrap_err().to_string();
        assert!(text.contains("not an existing folder"), "{text}");
    }
}
