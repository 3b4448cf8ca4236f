//! Checksums over the files of a folder, so that damage is noticed on reading.

use super::atomic;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

/// Name of the file that holds the checksums of its folder.
pub const FILE_NAME: &str = "checksums.json";

/// BLAKE3 digests, in hexadecimal, of every file in `folder` and below, bar the checksum file itself.
///
/// Keys are paths relative to `folder`, with `/` between their parts.
///
/// # Errors
/// [`Error::Io`] when the system refuses, [`Error::File`] for what is neither file nor folder.
pub fn digest_folder(folder: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    collect(folder.as_ref(), "", &mut digests)?;
    digests.remove(FILE_NAME);
    Ok(digests)
}

/// Write the digests of `folder` into its checksum file.
///
/// # Errors
/// As [`digest_folder`] and [`atomic::write_json`].
pub fn write(folder: impl AsRef<Path>) -> Result<()> {
    let folder = folder.as_ref();
    atomic::write_json(folder.join(FILE_NAME), &digest_folder(folder)?)
}

/// Compare the files of `folder` with its checksum file.
///
/// # Errors
/// [`Error::File`] naming every file that is missing, extra or altered, or that the checksum file is absent or damaged.
pub fn verify(folder: impl AsRef<Path>) -> Result<()> {
    let folder = folder.as_ref();
    let expected: BTreeMap<String, String> = atomic::read_json(folder.join(FILE_NAME))?;
    let found = digest_folder(folder)?;
    let mut faults = Vec::new();
    for (name, digest) in &expected {
        match found.get(name) {
            None => faults.push(format!("{name} is missing")),
            Some(other) if other != digest => faults.push(format!("{name} was altered")),
            Some(_) => {}
        }
    }
    faults.extend(found.keys().filter(|name| !expected.contains_key(*name)).map(|name| format!("{name} is extra")));
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::file(
        folder,
        format_args!("does not match its checksums: {}", faults.join(", ")),
        "restore the folder from a copy or use an earlier one",
    ))
}

fn collect(folder: &Path, prefix: &str, digests: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| Error::file(&path, "has a name that is not UTF-8", "rename it"))?;
        let kind = entry.file_type().map_err(Error::io(&path))?;
        if kind.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), digests)?;
        } else if kind.is_file() {
            let mut hasher = blake3::Hasher::new();
            File::open(&path).and_then(|file| hasher.update_reader(file).map(drop)).map_err(Error::io(&path))?;
            digests.insert(format!("{prefix}{name}"), hasher.finalize().to_string());
        } else {
            return Err(Error::file(&path, "is neither a file nor a folder", "remove it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_blake3() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/empty"), "").unwrap();
        fs::write(folder.path().join("abc"), "abc").unwrap();
        // Empty input: first entry of the published test vectors; "abc": the `b3sum` program.
        let expected = [
            ("abc", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
            ("in/empty", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        ];
        let digests = digest_folder(folder.path()).unwrap();
        assert_eq!(digests.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_fault_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let absent = verify(folder.path()).unwrap_err().to_string();
        assert!(absent.contains("checksums.json") && absent.contains("does not exist"), "{absent}");
        for name in ["a", "b", "c"] {
            fs::write(at(name), name).unwrap();
        }
        write(folder.path()).unwrap();
        verify(folder.path()).unwrap();
        write(folder.path()).unwrap();
        verify(folder.path()).unwrap();

        fs::remove_file(at("a")).unwrap();
        fs::write(at("b"), "B").unwrap();
        fs::write(at("d"), "d").unwrap();
        let text = verify(folder.path()).unwrap_err().to_string();
        assert!(text.contains("a is missing, b was altered, d is extra") && !text.contains("c "), "{text}");

        fs::write(at(FILE_NAME), "{\"a\": 1}").unwrap();
        assert!(matches!(verify(folder.path()), Err(Error::File { .. })));
    }
}
