//! Writing the zip layout: a pickle of protocol 2 beside one storage a tensor.

use super::STORAGES;
use crate::storage::atomic;
use crate::{Error, Result, Tensors, tensors};
use std::collections::HashMap;
use std::io::{Seek, Write};
use std::path::Path;
use tch::Tensor;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Where PyTorch starts the bytes of an entry, so that it can map them into memory.
const ALIGNMENT: u16 = 64;

/// How a checkpoint is laid out.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions<'a> {
    /// Put the tensors into a dictionary under this key (`{"state_dict": OrderedDict}`); `None` for a bare
    /// `OrderedDict`. Names are kept as they are: dots do not make nested dictionaries.
    pub under: Option<&'a str>,
}

/// Write `tensors` as a PyTorch checkpoint that `torch.load(path, weights_only=True)` opens.
///
/// Order, kinds and bits are kept; every tensor is written contiguous, from the CPU, without gradient flag. The same
/// tensors under the same file name give the same bytes. The file appears under its name only when it is complete.
///
/// # Errors
/// [`Error::File`] for no tensors or for one of a kind that PyTorch has no storage class for; [`Error::Io`].
pub fn write(path: &Path, tensors: &Tensors, options: &WriteOptions) -> Result<()> {
    if tensors.is_empty() {
        return Err(Error::file(path, "there is no tensor to write", "give at least one"));
    }
    let pickle = pickle(tensors, options.under).map_err(|problem| Error::file(path, problem, "convert it first"))?;
    atomic::write_with(path, |file| archive(file, &own_name(path), &pickle, tensors))
}

/// The folder inside the archive, which PyTorch names after the file.
fn own_name(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != '\\');
    if !stem.is_empty() && plain(stem) { stem.to_string() } else { "archive".to_string() }
}

fn archive(file: impl Write + Seek, name: &str, pickle: &[u8], tensors: &Tensors) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(file);
    let mut entry = |name: String, bytes: &[u8]| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // Fixed, so that the same tensors give the same bytes.
            .last_modified_time(DateTime::default())
            .large_file(u32::try_from(bytes.len()).is_err())
            .with_alignment(ALIGNMENT);
        zip.start_file(name, options)?;
        zip.write_all(bytes)
    };
    entry(format!("{name}/data.pkl"), pickle)?;
    for (key, (_, tensor)) in tensors.iter().enumerate() {
        entry(format!("{name}/data/{key}"), &tensors::bytes(tensor))?;
    }
    entry(format!("{name}/version"), b"3\n")?;
    zip.finish()?.flush()
}

/// The program that rebuilds the dictionary.
fn pickle(tensors: &Tensors, under: Option<&str>) -> std::result::Result<Vec<u8>, String> {
    let mut pickler = Pickler { out: vec![0x80, 2], memo: HashMap::new() };
    if let Some(key) = under {
        pickler.out.push(b'}');
        pickler.text(key);
    }
    pickler.empty_ordered_dict();
    pickler.out.push(b'(');
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        pickler.text(name);
        pickler.tensor(key, tensor).map_err(|problem| format!("tensor '{name}' {problem}"))?;
    }
    pickler.out.push(b'u');
    if under.is_some() {
        pickler.out.push(b's');
    }
    pickler.out.push(b'.');
    Ok(pickler.out)
}

struct Pickler {
    out: Vec<u8>,
    /// Classes and texts that were written before, by the bytes that made them.
    memo: HashMap<Vec<u8>, u32>,
}

impl Pickler {
    /// `(_rebuild_tensor_v2, (storage, 0, size, stride, False, OrderedDict()))`, called.
    fn tensor(&mut self, key: usize, tensor: &Tensor) -> std::result::Result<(), String> {
        if !tensor.defined() || tensor.is_sparse() {
            return Err("is undefined or sparse".to_string());
        }
        let kind = tensor.kind();
        let Some((storage, _)) = STORAGES.iter().find(|(_, known)| *known == kind) else {
            return Err(format!("is of kind {kind:?}, which PyTorch has no storage class for"));
        };
        let size = tensor.size();
        let mut stride = vec![1; size.len()];
        for dimension in (1..size.len()).rev() {
            stride[dimension - 1] = stride[dimension] * size[dimension].max(1);
        }
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.out.extend(b"((");
        self.shared_text("storage");
        self.global("torch", storage);
        self.text(&key.to_string());
        self.shared_text("cpu");
        self.int(tensor.numel() as i64);
        self.out.extend(b"tQ");
        self.int(0);
        self.ints(&size);
        self.ints(&stride);
        self.out.push(0x89);
        self.empty_ordered_dict();
        self.out.extend(b"tR");
        Ok(())
    }

    fn empty_ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.out.extend(b")R");
    }

    fn global(&mut self, module: &str, name: &str) {
        self.shared(format!("c{module}\n{name}\n").into_bytes());
    }

    fn text(&mut self, text: &str) {
        let code = text_code(text);
        self.out.extend(code);
    }

    fn shared_text(&mut self, text: &str) {
        self.shared(text_code(text));
    }

    /// Write what `code` makes, or recall it from the first time.
    fn shared(&mut self, code: Vec<u8>) {
        let next = self.memo.len() as u32;
        match self.memo.get(&code) {
            Some(slot) => {
                self.out.push(b'j');
                self.out.extend(slot.to_le_bytes());
            }
            None => {
                self.out.extend(&code);
                self.out.push(b'r');
                self.out.extend(next.to_le_bytes());
                self.memo.insert(code, next);
            }
        }
    }

    fn int(&mut self, value: i64) {
        match i32::try_from(value) {
            Ok(short) => {
                self.out.push(b'J');
                self.out.extend(short.to_le_bytes());
            }
            Err(_) => {
                self.out.extend([0x8a, 8]);
                self.out.extend(value.to_le_bytes());
            }
        }
    }

    fn ints(&mut self, values: &[i64]) {
        self.out.push(b'(');
        for &value in values {
            self.int(value);
        }
        self.out.push(b't');
    }
}

fn text_code(text: &str) -> Vec<u8> {
    let mut code = vec![b'X'];
    code.extend((text.len() as u32).to_le_bytes());
    code.extend(text.as_bytes());
    code
}
