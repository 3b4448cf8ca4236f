//! Loading a plugin.

use super::inspect::{inspect, read, refusal};
use super::{DECLARATION, ENTRY, Enter, HEAD, Handover, HostServices, Identity, Origin, PluginError, SIZE};
use crate::Component;
use std::path::Path;
use tracing_core::dispatcher;

#[cfg(not(unix))]
use libloading::Library;
#[cfg(unix)]
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// A plugin that was loaded: it stays in the process to its end.
pub struct Plugin {
    /// Where it comes from.
    pub origin: Origin,
    pub(crate) components: Vec<&'static Component>,
}

impl Plugin {
    /// Load a plugin.
    ///
    /// Its declaration is read from the file and compared before it is mapped, and again afterwards. The library is never unloaded,
    /// also when it is refused late.
    ///
    /// # Safety
    /// Code of the file runs in this process with all its rights: the caller vouches for it, as for a program that it starts. The file
    /// must not be changed while it is loaded.
    ///
    /// # Errors
    /// As [`inspect`]; [`PluginError::Load`] when the system refuses; [`PluginError::Entry`] when the plugin's entry fails.
    pub unsafe fn load(file: &Path) -> Result<Self, PluginError> {
        let unreadable =
            |error: std::io::Error| PluginError::Unreadable { file: file.into(), reason: error.to_string() };
        let file = &file.canonicalize().map_err(unreadable)?;
        inspect(file)?;
        let hash = blake3::hash(&read(file)?).to_hex()[..16].to_string();
        // SAFETY: the caller vouches for the file.
        let (identity, components) = unsafe { open(file)? };
        let Identity { name, version, author, .. } = identity;
        Ok(Self { origin: Origin { name, version, author, file: file.clone(), hash }, components })
    }
}

/// Map the library, compare once more, and let it hand over its components.
///
/// # Safety
/// As [`Plugin::load`].
unsafe fn open(file: &Path) -> Result<(Identity, Vec<&'static Component>), PluginError> {
    let refused = |error: libloading::Error| PluginError::Load { file: file.into(), reason: reason(&error) };
    // Every symbol is bound now: one that is missing is an error here, and not a crash at the first call.
    #[cfg(unix)]
    // SAFETY: static initialisers run here; the caller vouches for the file.
    let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) }.map_err(refused)?;
    #[cfg(not(unix))]
    // SAFETY: as above.
    let library = unsafe { Library::new(file) }.map_err(refused)?;
    // Components, panics in flight, log call sites and destructors of threads all point into it: it stays.
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: the symbol is an exported static; only its bytes are looked at.
    let declared = unsafe { library.get::<*const u8>(DECLARATION.as_bytes()) }.map_err(refused)?;
    let start: *const u8 = *declared;
    // SAFETY: the file's symbol table was found to hold a declaration here; at least its head, whose shape never changes.
    let head = unsafe { std::slice::from_raw_parts(start, HEAD) };
    Identity::head(head).map_err(|fault| refusal(fault, file))?;
    // SAFETY: the head says that it is as long as ours.
    let bytes = unsafe { std::slice::from_raw_parts(start, SIZE) };
    // The file may have been replaced since it was read.
    let identity = Identity::read(bytes).map_err(|fault| refusal(fault, file))?;
    let mismatches = identity.mismatches();
    if !mismatches.is_empty() {
        return Err(PluginError::Incompatible { file: file.into(), mismatches });
    }
    // SAFETY: the declaration says that the entry was compiled from the same definition of `Enter`, by the same compiler.
    let enter = unsafe { library.get::<Enter>(ENTRY.as_bytes()) }.map_err(refused)?;
    let host = HostServices { dispatch: dispatcher::get_default(Clone::clone) };
    let mut handover = Handover::default();
    // SAFETY: as above; it catches its own panics.
    unsafe { enter(&host, &mut handover) };
    let failed = |reason: String| PluginError::Entry { file: file.into(), reason };
    match handover.components {
        Some(Ok(components)) => Ok((identity, components)),
        Some(Err(error)) => Err(failed(error.to_string())),
        None => Err(failed("it handed over nothing".into())),
    }
}

/// What the system says, without the wrapping words.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
