//! Reading a plugin's declaration from the bytes of its file.

use super::declaration::{Fault, HEAD};
use super::{DECLARATION, ENTRY, Identity, PluginError, SIZE};
use object::{Architecture, BinaryFormat, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol};
use std::path::Path;

/// What the plugin in a file says of itself, if the running program can use it. Nothing of the file is executed.
///
/// # Errors
/// [`PluginError::Unreadable`]; [`PluginError::NotAPlugin`] for other, cut or damaged files; [`PluginError::Incompatible`] with everything
/// that differs.
pub fn inspect(file: &Path) -> Result<Identity, PluginError> {
    let identity = examine(&read(file)?).map_err(|fault| refusal(fault, file))?;
    match identity.mismatches() {
        none if none.is_empty() => Ok(identity),
        mismatches => Err(PluginError::Incompatible { file: file.into(), mismatches }),
    }
}

/// All bytes of a file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, PluginError> {
    let unreadable = |reason: String| PluginError::Unreadable { file: file.into(), reason };
    if file.is_dir() {
        return Err(unreadable("it is a folder".into()));
    }
    std::fs::read(file).map_err(|error| unreadable(error.to_string()))
}

pub(super) fn refusal(fault: Fault, file: &Path) -> PluginError {
    match fault {
        Fault::Foreign(reason) => PluginError::NotAPlugin { file: file.into(), reason },
        Fault::Other(mismatches) => PluginError::Incompatible { file: file.into(), mismatches },
    }
}

/// Find and read the declaration in the bytes of a file.
fn examine(bytes: &[u8]) -> Result<Identity, Fault> {
    let foreign = |reason: &dyn std::fmt::Display| Fault::Foreign(reason.to_string());
    let file = object::File::parse(bytes).map_err(|error| foreign(&format_args!("it is no library ({error})")))?;
    if file.format() != BinaryFormat::native_object() {
        return Err(foreign(&format_args!("it is a library of another system ({:?})", file.format())));
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(foreign(&format_args!("it is no dynamic library ({:?})", file.kind())));
    }
    whole(&file, bytes.len() as u64)?;
    let address = exported(&file, DECLARATION)?.ok_or_else(|| {
        foreign(&format_args!("it exports no {DECLARATION}; a plugin calls synfire::export_plugin!()"))
    })?;
    let head = at(&file, address, HEAD).ok_or_else(|| foreign(&"its declaration lies outside the file"))?;
    Identity::head(head)?;
    let declared = at(&file, address, SIZE).ok_or_else(|| foreign(&"its declaration is cut off"))?;
    let identity = Identity::read(declared)?;
    if exported(&file, ENTRY)?.is_none() {
        return Err(foreign(&format_args!("it exports no {ENTRY}")));
    }
    let native = match std::env::consts::ARCH {
        "x86_64" => Some(Architecture::X86_64),
        "aarch64" => Some(Architecture::Aarch64),
        _ => None,
    };
    if identity.mismatches().is_empty() && native.is_some_and(|native| native != file.architecture()) {
        return Err(foreign(&format_args!("it is for another processor ({:?})", file.architecture())));
    }
    Ok(identity)
}

/// Refuse a file that lacks a part of what it says it has: mapping it would end the process.
fn whole(file: &object::File, length: u64) -> Result<(), Fault> {
    let inside = |start: u64, size: u64| start.checked_add(size).is_some_and(|end| end <= length);
    let segments = file.segments().map(|segment| segment.file_range()).all(|(start, size)| inside(start, size));
    let sections = file.sections().filter_map(|section| section.file_range()).all(|(start, size)| inside(start, size));
    match segments && sections {
        true => Ok(()),
        false => Err(Fault::Foreign("it is cut off: parts that it lists are missing".into())),
    }
}

/// The address of an exported symbol.
fn exported(file: &object::File, name: &str) -> Result<Option<u64>, Fault> {
    let damaged = |error: object::Error| Fault::Foreign(format!("its symbols cannot be read ({error})"));
    let wanted = if file.format() == BinaryFormat::MachO { format!("_{name}") } else { name.to_string() };
    if file.format() == BinaryFormat::Elf {
        let symbol = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(wanted.as_str()));
        let symbol = symbol.filter(|symbol| symbol.is_definition());
        if let Some(symbol) = &symbol
            && name == DECLARATION
            && symbol.size() < HEAD as u64
        {
            return Err(Fault::Foreign(format!("its {DECLARATION} has {} bytes, too few", symbol.size())));
        }
        return Ok(symbol.map(|symbol| symbol.address()));
    }
    let exports = file.exports().map_err(damaged)?;
    Ok(exports.iter().find(|export| export.name() == wanted.as_bytes()).map(|export| export.address()))
}

/// The bytes that the file puts at an address.
fn at<'a>(file: &object::File<'a>, address: u64, size: usize) -> Option<&'a [u8]> {
    file.segments().find_map(|segment| segment.data_range(address, size as u64).ok().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_refused_with_what_they_are() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("file");
        let refuse = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("writes");
            inspect(&path).expect_err("no plugin").to_string()
        };
        assert!(refuse(b"").contains("is not a plugin of synfire: it is no library"));
        assert!(refuse(b"hello, this is text and no library at all").contains("it is no library"));
        let own = std::fs::read(std::env::current_exe().expect("a program")).expect("readable");
        let said = refuse(&own);
        assert!(said.contains("it exports no SYNFIRE_PLUGIN") || said.contains("no dynamic library"), "{said}");
        assert!(inspect(folder.path()).expect_err("a folder").to_string().contains("it is a folder"));
        let missing = inspect(&folder.path().join("missing")).expect_err("nothing there");
        assert!(matches!(missing, PluginError::Unreadable { .. }), "{missing}");
    }
}
