//! The zip layout: `{name}/data.pkl`, `{name}/data/{key}`, all entries stored uncompressed.

use super::assemble::{Storages, assemble};
use super::pickle::{Names, interpret, shown};
use super::{Checked, Fault, TorchFile};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use zip::CompressionMethod;
use zip::result::ZipError;

/// Longest `data.pkl`; a thousand tensors take about 130 kB.
pub(super) const MAX_PICKLE_BYTES: u64 = 32 << 20;

/// All tensors together may take this many times the file, plus [`SLACK_BYTES`]: room for tied and expanded weights.
const MAX_EXPANSION: u64 = 16;
const SLACK_BYTES: u64 = 16 << 20;

/// Memory for the tensors of a file of `length` bytes.
pub(super) fn tensor_bytes(length: u64) -> u64 {
    length.saturating_mul(MAX_EXPANSION).saturating_add(SLACK_BYTES)
}

pub(super) fn read(file: File, length: u64) -> Checked<TorchFile> {
    let zip = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| zip_fault("the zip directory", error))?;
    let mut roots = zip
        .file_names()
        .filter_map(Result::ok)
        .filter_map(|name| name.strip_suffix("/data.pkl").filter(|root| !root.contains('/')).map(str::to_string));
    let (root, second) = (roots.next(), roots.next());
    drop(roots);
    let root = root.ok_or_else(|| Fault::foreign("is a zip archive without a data.pkl, not a PyTorch checkpoint"))?;
    if second.is_some() {
        return Err(Fault::foreign("is a zip archive with more than one data.pkl"));
    }
    let mut archive = Archive { zip, root, length, unread: length, storages: HashMap::new() };
    // Written since PyTorch 2.1; absent means little.
    if archive.zip.index_for_name(&archive.entry("byteorder")).is_some()
        && archive.stored("byteorder", |size| size <= 16)?.trim_ascii() != b"little"
    {
        return Err(Fault::foreign("was written on a big-endian machine"));
    }
    let pickle = interpret(&archive.stored("data.pkl", |size| size <= MAX_PICKLE_BYTES)?, Names::Torch)?;
    assemble(&pickle, &mut archive)
}

struct Archive {
    zip: zip::ZipArchive<BufReader<File>>,
    root: String,
    length: u64,
    /// Bytes that may still be read: entries that overlap would give more than the file holds.
    unread: u64,
    storages: HashMap<String, Vec<u8>>,
}

impl Archive {
    fn entry(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// The bytes of an entry whose size `fits`.
    fn stored(&mut self, name: &str, fits: impl FnOnce(u64) -> bool) -> Checked<Vec<u8>> {
        let path = self.entry(name);
        let entry = self.zip.by_name(&path).map_err(|error| zip_fault(&shown(&path), error))?;
        // Uncompressed, as PyTorch writes, an entry cannot be longer than the file.
        if entry.compression() != CompressionMethod::Stored {
            return Err(Fault::foreign(format!(
                "its entry {} is compressed; PyTorch stores entries as they are",
                shown(&path)
            )));
        }
        let size = entry.size();
        if size != entry.compressed_size() || size > self.unread || !fits(size) {
            return Err(Fault::damaged(format!("its entry {} claims {size} bytes, which does not fit", shown(&path))));
        }
        self.unread -= size;
        let mut bytes = Vec::new();
        entry
            .take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::damaged(format!("its entry {} cannot be read ({error})", shown(&path))))?;
        if bytes.len() as u64 != size {
            return Err(Fault::damaged(format!("its entry {} ends early", shown(&path))));
        }
        Ok(bytes)
    }
}

impl Storages for Archive {
    fn get(&mut self, key: &str, bytes: u64) -> Checked<&[u8]> {
        if !self.storages.contains_key(key) {
            let read = self.stored(&format!("data/{key}"), |size| size == bytes)?;
            self.storages.insert(key.to_string(), read);
        }
        match self.storages.get(key) {
            Some(held) if held.len() as u64 == bytes => Ok(held),
            _ => Err(Fault::damaged(format!("storage {} is used with two sizes", shown(key)))),
        }
    }

    fn tensor_bytes(&self) -> u64 {
        tensor_bytes(self.length)
    }
}

fn zip_fault(what: &str, error: ZipError) -> Fault {
    match error {
        ZipError::FileNotFound => Fault::damaged(format!("its entry {what} is missing")),
        error => Fault::damaged(format!("{what} cannot be read ({error})")),
    }
}
