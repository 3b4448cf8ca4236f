//! Logs of JSON lines: append-only, tolerant of the line that a crash cut off.

use super::atomic;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A log that is open for appending, one JSON value a line, each on the disk before [`append`](Self::append) returns.
///
/// Values that may be NaN or infinite need [`float`](super::float): plain `serde_json` would write `null` for them.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
    length: u64,
}

impl JsonLines {
    /// Open the log at `path`, or start an empty one, keeping only the lines for which `keep` is true.
    ///
    /// A run that resumes from a checkpoint drops the lines written after it. Kept lines keep their bytes. A last line that was
    /// cut off is dropped, whatever `keep` says.
    ///
    /// # Errors
    /// As [`read`], and [`Error::Io`] when the system refuses; the file is then untouched.
    pub fn open(path: impl AsRef<Path>, keep: impl Fn(&Value) -> bool) -> Result<Self> {
        let path = path.as_ref();
        let bytes = if path.try_exists().map_err(Error::io(path))? { atomic::read(path)? } else { Vec::new() };
        let mut kept = Vec::with_capacity(bytes.len());
        for (line, value) in lines(path, &bytes)? {
            if keep(&value) {
                kept.extend_from_slice(line);
                kept.push(b'\n');
            }
        }
        if kept != bytes || bytes.is_empty() {
            atomic::write(path, &kept)?;
        }
        let mut file = File::options().write(true).open(path).map_err(Error::io(path))?;
        let length = file.seek(SeekFrom::End(0)).map_err(Error::io(path))?;
        Ok(Self { path: path.to_path_buf(), file, length })
    }

    /// Add `value` as one line and wait until it is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses, for example on a full disk: what was written of the line is then taken back, so
    /// that a later call can succeed. [`Error::File`] when `value` has no form in JSON.
    pub fn append(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)
            .map_err(|error| Error::file(&self.path, format_args!("cannot take this line as JSON: {error}"), ""))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let restored = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            if let Err(error) = restored {
                tracing::warn!(file = %self.path.display(), %error, "could not take back a line that was cut off");
            }
            return Err(Error::io(&self.path)(error));
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// All values of the log at `path`, in order; a last line that was cut off is left out.
///
/// # Errors
/// [`Error::File`] when the file is missing, or with the line number when any other line is not JSON; [`Error::Io`] when the
/// system refuses.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Value>> {
    let path = path.as_ref();
    let bytes = atomic::read(path)?;
    Ok(lines(path, &bytes)?.into_iter().map(|(_, value)| value).collect())
}

/// Lines with their values. Only the last may be damaged, and only when its newline is missing: a crash cuts off the end of what
/// was appended, while a damaged line with a newline was damaged otherwise.
fn lines<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(&'a [u8], Value)>> {
    let mut found = Vec::new();
    for (index, piece) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let complete = piece.strip_suffix(b"\n");
        let line = complete.unwrap_or(piece);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match (serde_json::from_slice(line), complete) {
            // Cut off after its first digits a number still is one, so only what closes its bracket counts as whole.
            (Ok(value @ (Value::Object(_) | Value::Array(_))), None) => found.push((line, value)),
            (_, None) => {}
            (Ok(value), Some(_)) => found.push((line, value)),
            (Err(error), Some(_)) => {
                let problem = format!("line {} is damaged or not JSON: {error}", index + 1);
                return Err(Error::file(path, problem, "mend or remove that line"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        (folder, path)
    }

    #[test]
    fn lines_are_appended_and_read_back_in_order() {
        let (_folder, path) = place();
        assert!(read(&path).unwrap_err().to_string().contains("does not exist"));
        let mut log = JsonLines::open(&path, |_| true).unwrap();
        assert_eq!(read(&path).unwrap(), [] as [Value; 0]);
        for update in 0..3 {
            log.append(&json!({"update": update, "text": "two\nlines"})).unwrap();
        }
        drop(log);
        JsonLines::open(&path, |_| true).unwrap().append(&json!({"update": 3})).unwrap();
        let updates: Vec<_> = read(&path).unwrap().iter().map(|v| v["update"].as_u64().unwrap()).collect();
        assert_eq!(updates, [0, 1, 2, 3]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn resuming_drops_later_lines_and_keeps_the_bytes_of_the_others() {
        let (_folder, path) = place();
        fs::write(&path, "{\"update\" :  1}\n\n{\"update\":2}\n{\"update\":3}\n{\"upd").unwrap();
        let mut log = JsonLines::open(&path, |value| value["update"].as_u64() <= Some(2)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"update\" :  1}\n{\"update\":2}\n");
        log.append(&json!({"update": 9})).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"update\" :  1}\n{\"update\":2}\n{\"update\":9}\n");
    }

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_lines() {
        let (_folder, path) = place();
        let text = "{\"a\":1}\n{\"a\":\"é\"}\n[12]\n";
        for cut in 0..=text.len() {
            fs::write(&path, &text.as_bytes()[..cut]).unwrap();
            // A line whose newline alone is missing is whole.
            let ends = ["{\"a\":1}", "{\"a\":1}\n{\"a\":\"é\"}", "{\"a\":1}\n{\"a\":\"é\"}\n[12]"];
            let whole = ends.iter().filter(|end| end.len() <= cut).count();
            assert_eq!(read(&path).unwrap().len(), whole, "cut at {cut}");
            let mut log = JsonLines::open(&path, |_| true).unwrap();
            log.append(&json!({"b": 2})).unwrap();
            let values = read(&path).unwrap();
            assert_eq!((values.len(), &values[whole]), (whole + 1, &json!({"b": 2})), "cut at {cut}");
        }
        fs::write(&path, "{}\n12").unwrap();
        assert_eq!(read(&path).unwrap().len(), 1, "a number without a newline may be part of a longer one");
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named_and_nothing_is_rewritten() {
        let (_folder, path) = place();
        let text = "{\"a\":1}\n{\"a\"\n{\"a\":3}\n";
        fs::write(&path, text).unwrap();
        for error in [read(&path).unwrap_err(), JsonLines::open(&path, |_| false).unwrap_err()] {
            assert!(error.to_string().contains("line 2 is damaged"), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_of_the_system() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let error = JsonLines { path, file, length: 0 }.append(&json!({})).unwrap_err();
        assert!(matches!(error, Error::Io { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
        assert!(read("/dev/full").unwrap_err().to_string().contains("not a regular file"));
    }
}
