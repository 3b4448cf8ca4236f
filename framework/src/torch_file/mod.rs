//! PyTorch checkpoint files (`.pt`, `.pth`), read without running them and written so that PyTorch opens them.
//!
//! A checkpoint is a pickle, a small program for a stack machine, beside the raw bytes of the tensors. Python runs
//! that program with every function it names. [`read`] interprets it with an allow-list instead: dictionaries,
//! lists, numbers, texts and the few functions that rebuild a tensor. Anything else is refused by its name.
//!
//! Why not the crate `pytorch-reader` (0.22): it keeps tensors and dictionaries in a `HashMap`, so the order of the
//! keys, which carries meaning in `modulelist.0 .. 101`, is lost; and a pickle that calls a shell is reported
//! as a file with zero tensors, where a user must be told what the file tried to do.
//!
//! ```no_run
//! # fn main() -> synfire::Result<()> {
//! use synfire::torch_file::{self, WriteOptions};
//! let file = torch_file::read("rnn_N2_N10".as_ref())?;
//! let parameters = file.below("state_dict")?;
//! torch_file::write("copy.pt".as_ref(), &parameters, &WriteOptions { under: Some("state_dict") })?;
//! # Ok(())
//! # }
//! ```

mod archive;
mod assemble;
mod legacy;
mod numpy;
mod pickle;
mod write;

pub use numpy::read_numpy_object;
pub use write::{WriteOptions, write};

use crate::{Error, Result, Tensors};
use indexmap::IndexMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use tch::Kind;

/// What a checkpoint holds.
#[derive(Debug)]
pub struct TorchFile {
    /// Every tensor in file order, each with memory of its own, on the CPU. Its name is the path of dictionary
    /// keys and list positions that leads to it, joined by '.': `state_dict.modulelist.0.weight`. A tensor that was
    /// saved alone is called `tensor`.
    pub tensors: Tensors,
    /// The saved object itself, with the tensors replaced by their names.
    pub root: Value,
}

impl TorchFile {
    /// The tensors below the dictionary path `key`, with `key.` taken off their names; order kept, memory shared.
    ///
    /// # Errors
    /// [`Error::Failed`] naming the top-level keys when nothing lies below `key`.
    pub fn below(&self, key: &str) -> Result<Tensors> {
        let shorter = |name: &str| Some(name.strip_prefix(key)?.strip_prefix('.')?.to_string());
        let found: Tensors =
            self.tensors.iter().filter_map(|(name, tensor)| Some((shorter(name)?, tensor.shallow_clone()))).collect();
        if found.is_empty() {
            let keys = match &self.root {
                Value::Dict(entries) => entries.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
                _ => String::new(),
            };
            return Err(Error::Failed(format!("no tensor below '{key}'; the file has the keys: {keys}")));
        }
        Ok(found)
    }
}

/// One value of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text; also the name of a number type such as `torch.float32`.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A list or a tuple.
    List(Vec<Value>),
    /// A dictionary in file order; whole-number keys are written as text.
    Dict(IndexMap<String, Value>),
    /// The tensor of this name in [`TorchFile::tensors`].
    Tensor(String),
}

/// Read a PyTorch checkpoint without running anything in it.
///
/// Reads the zip layout of PyTorch 1.6 and later and the plain stream before it, little-endian. Tensors that were
/// saved from a GPU come back on the CPU; views and shared storages come back as independent contiguous tensors.
/// Memory is bounded by the size of the file: nothing is allocated on the word of a length field alone.
///
/// # Errors
/// [`Error::Io`] when the file cannot be opened; [`Error::File`] when it is damaged, is not a checkpoint, holds no
/// tensor, or asks for a function outside the allow-list, which is named.
pub fn read(path: &Path) -> Result<TorchFile> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut head = Vec::new();
    (&mut file).take(legacy::HEAD.len() as u64).read_to_end(&mut head).map_err(Error::io(path))?;
    file.rewind().map_err(Error::io(path))?;
    let found = match head.as_slice() {
        [b'P', b'K', ..] => archive::read(file, length),
        head if head == legacy::HEAD => legacy::read(file, length),
        _ => Err(Fault::foreign("is not a PyTorch checkpoint (neither a zip archive nor the older stream)")),
    };
    found.map_err(|fault| fault.of(path, SAVE_TENSORS))
}

/// What is wrong with a file, before its path is known.
#[derive(Debug)]
struct Fault {
    problem: String,
    damaged: bool,
}

/// What to do about a whole file that holds what we do not read.
const SAVE_TENSORS: &str =
    "if you trust it, load it in Python and save its tensors alone: torch.save(model.state_dict(), path)";

type Checked<T> = std::result::Result<T, Fault>;

impl Fault {
    /// The bytes contradict each other.
    fn damaged(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), damaged: true }
    }

    /// The file is whole but holds what we do not read.
    fn foreign(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), damaged: false }
    }

    /// The error for the file at `path`; `remedy` is for one that is whole.
    fn of(self, path: &Path, remedy: &str) -> Error {
        let remedy = if self.damaged { "the file is damaged or incomplete: copy or download it again" } else { remedy };
        Error::file(path, self.problem, remedy)
    }
}

/// PyTorch's class names for storages and the kind of their elements.
const STORAGES: [(&str, Kind); 11] = [
    ("FloatStorage", Kind::Float),
    ("DoubleStorage", Kind::Double),
    ("HalfStorage", Kind::Half),
    ("BFloat16Storage", Kind::BFloat16),
    ("LongStorage", Kind::Int64),
    ("IntStorage", Kind::Int),
    ("ShortStorage", Kind::Int16),
    ("CharStorage", Kind::Int8),
    ("ByteStorage", Kind::Uint8),
    ("BoolStorage", Kind::Bool),
    ("ComplexFloatStorage", Kind::ComplexFloat),
];

/// Bytes that `elements` of `kind` take, if that is a number at all.
fn storage_bytes(kind: Kind, elements: u64) -> Checked<u64> {
    elements
        .checked_mul(kind.elt_size_in_bytes() as u64)
        .ok_or_else(|| Fault::damaged(format!("a storage claims {elements} elements")))
}

#[cfg(test)]
mod tests;
