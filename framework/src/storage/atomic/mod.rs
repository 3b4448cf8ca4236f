//! Files and folders that appear complete or not at all, even when the power fails.
//!
//! A file is written under a temporary name in the same folder, flushed to the disk, renamed, and the folder is flushed too: a
//! rename alone can leave an empty file behind after a power loss. Temporary names are `.<name>.tmp-<something>`.

mod folder;

pub use folder::{remove_leftovers, replace_dir, sync_dir, temporary_dir};

use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Replace the file at `path` by `bytes`.
///
/// # Errors
/// [`Error::Io`] when the system refuses; an older file is then untouched and nothing is left lying about.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Replace the file at `path` by what `fill` writes; for contents too large to be held in memory twice.
///
/// # Errors
/// [`Error::Io`] when the system refuses or `fill` fails; an older file is then untouched and nothing is left lying about.
pub fn write_with(path: impl AsRef<Path>, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    publish(temporary_file(path).map_err(Error::io(path))?, path, fill)
}

/// Replace the file at `path` by `value` as indented JSON with a newline at the end.
///
/// # Errors
/// [`Error::Io`] when the system refuses, [`Error::File`] when `value` has no form in JSON.
pub fn write_json(path: impl AsRef<Path>, value: &impl Serialize) -> Result<()> {
    let path = path.as_ref();
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::file(path, format_args!("cannot be written as JSON: {error}"), ""))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// The whole content of a file.
///
/// # Errors
/// [`Error::File`] when it is missing or not a regular file, [`Error::Io`] when the system refuses.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    require_file(path)?;
    fs::read(path).map_err(Error::io(path))
}

/// The value that a JSON file holds.
///
/// # Errors
/// [`Error::File`] when it is missing, is not JSON (with line and column), or is JSON of something else (with the field).
pub fn read_json<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return damaged(path, &inner);
        }
        let field = if field == "." { String::new() } else { format!(" at {field}") };
        let problem = format!("is JSON, but not of the expected kind{field}: {inner}");
        Error::file(path, problem, "check that it was written by a matching version of the program")
    })?;
    reader.end().map_err(|error| damaged(path, &error))?;
    Ok(value)
}

/// The folder that holds `path`; the current one for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Refuse what is missing or not a regular file: reading a pipe or a device might never end.
pub(super) fn require_file(path: &Path) -> Result<fs::Metadata> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found),
        Ok(_) => Err(Error::file(path, "is not a regular file", "")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::file(path, "does not exist", "check the path"))
        }
        Err(error) => Err(Error::io(path)(error)),
    }
}

fn damaged(path: &Path, error: &serde_json::Error) -> Error {
    Error::file(path, format_args!("is damaged or not JSON: {error}"), "restore it from a copy or remove it")
}

fn temporary_prefix(target: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or(OsStr::new("file")));
    name.push(".tmp-");
    name
}

fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let prefix = temporary_prefix(path);
    // By default only the owner could read the result; results are for whoever the umask lets read.
    let permissions = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(&prefix).permissions(permissions).tempfile_in(parent(path))
}

fn publish(
    temporary: NamedTempFile,
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 18, temporary.as_file());
    let filled = fill(&mut file).and_then(|()| file.flush()).and_then(|()| temporary.as_file().sync_all());
    // Without this the drop of the buffer would try to write the rest once more.
    let _ = file.into_parts();
    filled.map_err(Error::io(path))?;
    temporary.persist(path).map_err(|refused| Error::io(path)(refused.error))?;
    sync_dir(parent(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_no_temporary_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn results_are_as_readable_as_the_umask_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, b"old").unwrap();
        // The device that is always full stands in for the temporary file.
        let place = temporary_file(&path).unwrap().into_temp_path();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = publish(NamedTempFile::from_parts(full, place), &path, |f| f.write_all(b"new")).unwrap_err();
        match &error {
            Error::Io { path: named, source } => {
                assert_eq!((named, source.kind()), (&path, io::ErrorKind::StorageFull));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_writer_that_fails_half_way_publishes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let error = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("stopped"))
        });
        assert!(matches!(error, Err(Error::Io { .. })));
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_read_only_folder_is_named_and_untouched() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, b"old").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let outcome = write(&path, b"new");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // The superuser may write anywhere, and for it there is nothing to see here.
        if !rustix::process::geteuid().is_root() {
            let text = outcome.unwrap_err().to_string();
            assert!(text.contains("a.txt"), "{text}");
            assert_eq!(read(&path).unwrap(), b"old");
        }
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_missing_folder_or_a_folder_in_the_way_is_an_error_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(write(folder.path().join("no/a"), b"x"), Err(Error::Io { .. })));
        fs::create_dir(folder.path().join("taken")).unwrap();
        assert!(matches!(write(folder.path().join("taken"), b"x"), Err(Error::Io { .. })));
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Counters {
        update: u64,
        losses: BTreeMap<String, f64>,
    }

    #[test]
    fn json_round_trips_and_its_faults_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let missing = read_json::<Counters>(&path).unwrap_err().to_string();
        assert!(missing.contains("does not exist"), "{missing}");

        let value = Counters { update: 7, losses: [("total".to_string(), 0.1)].into() };
        write_json(&path, &value).unwrap();
        assert_eq!(read_json::<Counters>(&path).unwrap(), value);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\n  \"update\": 7,\n  \"losses\": {\n    \"total\": 0.1\n  }\n}\n");

        // The last byte is the newline and may be missing; each other cut is damage.
        for cut in 0..text.len() - 1 {
            fs::write(&path, &text[..cut]).unwrap();
            let problem = read_json::<Counters>(&path).unwrap_err().to_string();
            assert!(problem.contains("damaged") && problem.contains("line"), "{cut}: {problem}");
        }
        fs::write(&path, "{\"update\": 7,\n\"losses\": {\"total\": \"x\"}}").unwrap();
        let foreign = read_json::<Counters>(&path).unwrap_err().to_string();
        assert!(foreign.contains("losses.total") && foreign.contains("line 2"), "{foreign}");
        fs::write(&path, format!("{text}{{}}")).unwrap();
        assert!(read_json::<Counters>(&path).unwrap_err().to_string().contains("damaged"));
        assert!(read_json::<Counters>(folder.path()).unwrap_err().to_string().contains("not a regular file"));
    }
}
