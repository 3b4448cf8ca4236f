//! The few lines of Python that the set-up needs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process;

/// A command that starts Python.
pub fn python() -> Command {
    Command::new("python3")
}

/// The names of all files in a zip archive (a wheel is one).
///
/// # Errors
/// When Python is missing or the file is no zip archive.
pub fn members(archive: &Path) -> Result<Vec<String>, String> {
    const SCRIPT: &str = "import sys, zipfile\nprint('\\n'.join(zipfile.ZipFile(sys.argv[1]).namelist()))";
    let listing = process::read(python().args(["-c", SCRIPT]).arg(archive))?;
    Ok(listing.lines().filter(|name| !name.ends_with('/')).map(str::to_owned).collect())
}

/// The text of one file in a zip archive.
///
/// # Errors
/// When Python is missing, the file is no zip archive or has no such member.
pub fn member(archive: &Path, name: &str) -> Result<String, String> {
    const SCRIPT: &str = "import sys, zipfile\nsys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    process::read(python().args(["-c", SCRIPT]).arg(archive).arg(name))
}

/// Extract members of a zip archive, each to a path of its own below `folder`. Checksums are verified.
///
/// # Errors
/// When Python is missing, the archive is damaged or the disk is full.
pub fn extract(archive: &Path, members: &[(String, PathBuf)], folder: &Path) -> Result<(), String> {
    const SCRIPT: &str = "\
import os, shutil, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for line in sys.stdin.buffer.read().decode().splitlines():
    member, path = line.split('\\t')
    path = os.path.join(sys.argv[2], path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with archive.open(member) as source, open(path, 'wb') as target:
        shutil.copyfileobj(source, target, 1 << 20)
";
    let mut list = String::new();
    for (member, path) in members {
        list.push_str(&format!("{member}\t{}\n", path.display()));
    }
    let mut child = python()
        .args(["-c", SCRIPT])
        .args([archive, folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("python3 cannot be run: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Python may stop reading because it has already failed; its own complaint below is the better message.
        let _ = stdin.write_all(list.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("python3 cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("unpacking {} failed: {}", archive.display(), complaint.lines().last().unwrap_or("no reason given")))
}

/// Load shared libraries, as the program will.
///
/// # Errors
/// What the loader complains about, for instance a library that a library needs.
pub fn load(libraries: &[PathBuf]) -> Result<(), String> {
    const SCRIPT: &str = "import ctypes, sys\nfor path in sys.argv[1:]: ctypes.CDLL(path)";
    process::read(python().args(["-c", SCRIPT]).args(libraries)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs};

    #[test]
    fn a_zip_file_is_listed_read_and_extracted() {
        let folder = env::temp_dir().join(format!("xtask-zip-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let archive = folder.join("a.zip");
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n\
                      z.writestr('torch/', '')\nz.writestr('torch/lib/x.so', 'bytes')\nz.writestr('METADATA', 'Name: x\\n')\nz.close()";
        process::read(python().args(["-c", script]).arg(&archive)).unwrap();

        assert_eq!(members(&archive).unwrap(), ["torch/lib/x.so", "METADATA"]);
        assert_eq!(member(&archive, "METADATA").unwrap(), "Name: x\n");
        assert!(member(&archive, "nothing").unwrap_err().contains("nothing"));
        let wanted = [("torch/lib/x.so".to_owned(), PathBuf::from("a/b/y.so"))];
        extract(&archive, &wanted, &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("a/b/y.so")).unwrap(), "bytes");

        fs::write(&archive, "no zip").unwrap();
        assert!(members(&archive).unwrap_err().contains("zip"));
        assert!(extract(&archive, &wanted, &folder).unwrap_err().contains("zip"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_library_that_cannot_load_is_named() {
        assert!(load(&[PathBuf::from("/nowhere/libx.so")]).unwrap_err().contains("libx"));
    }
}
