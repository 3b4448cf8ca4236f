//! Files that survive crashes: atomic writes, tensor files, checksums, logs, arrays, locks.
//!
//! Whatever is published appears complete or not at all. Whatever is read may be damaged, cut off or foreign: every reader says
//! so in an [`Error::File`](crate::Error::File) and never panics. Refusals of the operating system (full disk, no permission)
//! are [`Error::Io`](crate::Error::Io) with the path.

pub mod array;
pub mod atomic;
pub mod checksum;
mod crc32c;
pub mod float;
pub mod host;
pub mod jsonl;
pub mod lock;
pub mod npy;
pub mod npz;
pub mod tensor_file;
pub mod tensorboard;

pub use array::{Array, ArrayValues};
pub use jsonl::JsonLines;
pub use lock::RunLock;
pub use npy::{read_npy, write_npy};
pub use npz::{read_npz, write_npz};
pub use tensorboard::EventWriter;
