//! External plugins: dynamic libraries that bring components of their own, loaded safely or refused with a reason.
//!
//! A plugin is a crate of type `cdylib` that registers components as every crate does and calls [`export_plugin!`](crate::export_plugin)
//! once. The library then exports a [`Declaration`], plain bytes that say what it was built by and from, and an entry function that hands
//! its components over.
//!
//! Rust promises no layout between two compilations, so trait objects may cross only between a plugin and a program that were built by
//! **the same compiler from the same framework**. That is checked from the bytes of the file ([`inspect`]) before a single instruction
//! of it runs, and once more after it was mapped. What differs is listed, and the plugin refused ([`PluginError`]).
//!
//! What crosses, and how:
//!
//! - Objects of the framework's traits, inside a guard of the same trait that was compiled into the image the object comes from. A
//!   panic is caught there, since none may cross from one copy of the standard library into another; it becomes an error that names
//!   component and crate. The guards stand around linked components too, so that a plugin which calls one is safe from it.
//! - Options and schemas, as JSON text; names and errors, as owned strings. `type_id`s differ, so nothing is downcast.
//! - The registry: a component that contains another holds a [`Spec`](crate::Spec) and builds it through the registry it is handed,
//!   whichever side the other comes from.
//! - Tensors: there is one libtorch in the process, with one generator and one gradient mode per thread.
//! - Log events: the plugin's copy of `tracing` is handed the program's subscriber, so they appear under its spans.
//!
//! A loaded library is never unloaded. It is trusted code: nothing here is a sandbox.

mod declaration;
mod error;
mod export;
mod fingerprint;
pub(crate) mod guard;
mod inspect;
mod layout;
mod load;
mod origin;

pub use declaration::{ABI, DECLARATION, Declaration, ENTRY, FIELDS, Field, HEAD, Identity, MAGIC, SIZE, checksum};
pub use error::{Mismatch, PluginError};
pub use export::{Enter, Handover, HostServices, enter};
pub use inspect::inspect;
pub use layout::CROSSING;
pub use load::Plugin;
pub use origin::Origin;
