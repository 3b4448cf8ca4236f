//! Files that survive crashes: atomic writes, tensor files, checksums, logs, arrays, locks.
//!
//! Whatever is published appears complete or not at all. Whatever is read may be damaged, cut off or foreign: every reader says
//! so in an [`Error::File`](crate::Error::File) and never panics. Refusals of the operating system (full disk, no permission)
//! are [`Error::Io`](crate::Error::Io) with the path.

pub mod atomic;
pub mod checksum;
pub mod float;
pub mod host;
pub mod jsonl;
pub mod lock;
pub mod tensor_file;

pub use jsonl::JsonLines;
pub use lock::RunLock;
