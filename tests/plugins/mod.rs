//! External plugins: what loads works like linked components, everything else is refused before it runs.

mod border;
mod outside;
mod panics;
mod refused;
mod used;

use std::path::{Path, PathBuf};
use synfire::plugin::{FIELDS, Identity, MAGIC, Plugin, PluginError, SIZE, checksum, inspect};

/// A dynamic library that is built along with this test.
pub fn library(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_synfire-under-test"));
    let folder = program.parent().expect("a folder");
    let file = format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let places = [folder.join("deps").join(&file), folder.join(&file)];
    let newest = places.into_iter().max_by_key(|path| path.metadata().and_then(|m| m.modified()).ok());
    newest.filter(|path| path.is_file()).unwrap_or_else(|| panic!("{file} was not built"))
}

/// The example: one component of each kind.
pub fn example() -> PathBuf {
    library("dylib_example")
}

/// The plugin that misbehaves.
pub fn awkward() -> PathBuf {
    library("awkward")
}

/// Load a plugin into this process.
#[expect(unsafe_code, reason = "plugins of this workspace, and files that are refused")]
pub fn load(file: &Path) -> Result<Plugin, PluginError> {
    // SAFETY: the plugins of this workspace do nothing that a linked crate could not do.
    unsafe { Plugin::load(file) }
}

/// Where the declaration lies in the bytes of a library.
pub fn declaration(bytes: &[u8], name: &str) -> usize {
    let place = FIELDS.iter().find(|field| field.name == "name").expect("a field").start;
    let here = |at: &usize| {
        let text = bytes.get(at + place..at + place + name.len() + 1);
        bytes[*at..].starts_with(&MAGIC)
            && text.is_some_and(|text| text.starts_with(name.as_bytes()) && text[name.len()] == 0)
    };
    (0..bytes.len() - SIZE).find(here).expect("a declaration")
}

/// Change a field of a declaration, and the checksum with it, as another build would have.
pub fn change(bytes: &mut [u8], at: usize, field: &str, value: &[u8]) {
    let find = |name: &str| FIELDS.iter().find(|field| field.name == name).expect("a field");
    let (field, sum) = (find(field), find("checksum"));
    let place = &mut bytes[at + field.start..at + field.start + field.size];
    place.fill(0);
    place[..value.len()].copy_from_slice(value);
    let digest = checksum(&bytes[at..at + SIZE]);
    bytes[at + sum.start..at + sum.start + sum.size].copy_from_slice(&digest.to_le_bytes());
}

#[test]
fn the_libraries_of_this_build_are_sound() {
    for (file, name, version) in
        [(example(), "dylib-example", env!("CARGO_PKG_VERSION")), (awkward(), "awkward", "0.3.0")]
    {
        let identity = inspect(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((&identity.name[..], &identity.version[..]), (name, version));
        assert_eq!(identity.compared(), Identity::own().compared());
    }
}
