//! The declaration: what a plugin says of itself, as bytes that can be read and compared without running anything.

use super::layout::LAYOUT;
use super::{Mismatch, fingerprint};
use serde::Serialize;
use std::mem::offset_of;

/// The first bytes of every declaration, for ever.
pub const MAGIC: [u8; 8] = *b"SYNFIRE\0";
/// Raised by hand when the meaning of the boundary changes without any layout changing.
pub const ABI: u32 = 1;
/// Name of the exported declaration.
pub const DECLARATION: &str = "SYNFIRE_PLUGIN";
/// Name of the exported entry function.
pub const ENTRY: &str = "synfire_plugin_enter";
/// Bytes of the head: magic, abi, size. It never changes shape.
pub const HEAD: usize = 16;
/// Bytes of a declaration.
pub const SIZE: usize = size_of::<Declaration>();

/// Text inline, filled up with zeros: any bytes are a valid value, and no pointer needs to be followed.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// The text, which must fit: what is compared may not be cut.
    const fn whole(text: &str) -> Self {
        assert!(text.len() < N, "a text of the declaration is too long");
        Self::cut(text)
    }

    /// As much of the text as fits, up to a border between letters.
    const fn cut(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut length = if bytes.len() < N { bytes.len() } else { N - 1 };
        while length > 0 && length < bytes.len() && bytes[length] & 0xC0 == 0x80 {
            length -= 1;
        }
        let mut text = [0; N];
        let mut at = 0;
        while at < length {
            text[at] = bytes[at];
            at += 1;
        }
        Self(text)
    }
}

/// What a plugin exports as `SYNFIRE_PLUGIN`; made by [`export_plugin!`](crate::export_plugin).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Declaration {
    magic: [u8; 8],
    abi: u32,
    size: u32,
    checksum: u64,
    layout: u64,
    rustc: Text<96>,
    target: Text<64>,
    panic: Text<8>,
    framework: Text<32>,
    libtorch: Text<32>,
    build: Text<24>,
    name: Text<64>,
    version: Text<32>,
    author: Text<128>,
}

/// Where a field lies in a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as refusals print it.
    pub name: &'static str,
    /// Its first byte.
    pub start: usize,
    /// Its number of bytes.
    pub size: usize,
    /// Whether plugin and program must agree on it.
    pub compared: bool,
}

macro_rules! fields {
    ($($name:ident $size:literal $compared:literal;)*) => {
        /// All fields, in order.
        pub const FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            start: offset_of!(Declaration, $name),
            size: $size,
            compared: $compared,
        }),*];
    };
}

fields! {
    magic 8 false;
    abi 4 true;
    size 4 true;
    checksum 8 false;
    layout 8 true;
    rustc 96 true;
    target 64 true;
    panic 8 true;
    framework 32 true;
    libtorch 32 true;
    build 24 true;
    name 64 false;
    version 32 false;
    author 128 false;
}

impl Declaration {
    /// The declaration of a plugin that is compiled with this copy of the framework.
    pub const fn new(name: &str, version: &str, author: &str) -> Self {
        let mut declaration = Self {
            magic: MAGIC,
            abi: ABI,
            size: SIZE as u32,
            checksum: 0,
            layout: LAYOUT,
            rustc: Text::whole(env!("SYNFIRE_RUSTC")),
            target: Text::whole(env!("SYNFIRE_TARGET")),
            panic: Text::whole(env!("SYNFIRE_PANIC")),
            framework: Text::whole(env!("CARGO_PKG_VERSION")),
            libtorch: Text::whole(env!("SYNFIRE_LIBTORCH")),
            build: Text::whole(env!("SYNFIRE_BUILD")),
            name: Text::cut(name),
            version: Text::cut(version),
            author: Text::cut(author),
        };
        declaration.checksum = checksum(&declaration.bytes());
        declaration
    }

    /// Its bytes.
    pub const fn bytes(self) -> [u8; SIZE] {
        // SAFETY: every field is plain bytes or an integer, and the sizes of the fields add up to SIZE (a test says so), so there is
        // no padding.
        unsafe { std::mem::transmute(self) }
    }
}

/// The checksum of a declaration's bytes, over all of them but its own place.
///
/// # Panics
/// When there are fewer bytes than a declaration has.
pub const fn checksum(bytes: &[u8]) -> u64 {
    let place = offset_of!(Declaration, checksum);
    let mut digest = fingerprint::START;
    let mut at = 0;
    while at < SIZE {
        if at < place || at >= place + 8 {
            digest = fingerprint::byte(digest, bytes[at]);
        }
        at += 1;
    }
    digest
}

/// What a declaration says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Meaning of the boundary.
    pub abi: String,
    /// Bytes of the declaration.
    pub size: String,
    /// Digest of the layout of every type that crosses.
    pub layout: String,
    /// The compiler, commit and date included.
    pub rustc: String,
    /// What it was compiled for.
    pub target: String,
    /// What a panic does: `unwind` or `abort`.
    pub panic: String,
    /// Version of the framework.
    pub framework: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Digest of the framework's sources, features and manifest, of the compiler and of the instructions it may use.
    pub build: String,
    /// Name of the plugin.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// Who wrote it.
    pub author: String,
}

/// Why bytes are no declaration that could be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They are something else, or damaged.
    Foreign(String),
    /// They are a declaration of another shape.
    Other(Vec<Mismatch>),
}

impl Identity {
    /// What the running program is, in the same words; its name is `synfire`.
    pub fn own() -> Self {
        const OWN: Declaration = Declaration::new("synfire", env!("CARGO_PKG_VERSION"), "");
        Self::of(&OWN.bytes())
    }

    /// Read the head: the rest has the shape of ours only if this passes.
    pub(super) fn head(bytes: &[u8]) -> Result<(), Fault> {
        if bytes.len() < HEAD || bytes[..8] != MAGIC {
            return Err(Fault::Foreign("its declaration does not begin as a plugin's does".into()));
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (abi, size) = (number(offset_of!(Declaration, abi)), number(offset_of!(Declaration, size)));
        let pairs = [("abi", abi, ABI), ("size", size, SIZE as u32)];
        let found: Vec<Mismatch> = pairs
            .into_iter()
            .filter(|(_, plugin, program)| plugin != program)
            .map(|(field, plugin, program)| Mismatch::new(field, plugin.to_string(), program.to_string()))
            .collect();
        if found.is_empty() { Ok(()) } else { Err(Fault::Other(found)) }
    }

    /// Read a whole declaration.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        Self::head(bytes)?;
        let place = offset_of!(Declaration, checksum);
        let Some(bytes) = bytes.get(..SIZE) else { return Err(Fault::Foreign("its declaration is cut off".into())) };
        if bytes[place..place + 8] != checksum(bytes).to_le_bytes() {
            return Err(Fault::Foreign("its declaration is damaged: the checksum does not fit".into()));
        }
        Ok(Self::of(bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        let slice = |name: &str| {
            let field = FIELDS.iter().find(|field| field.name == name);
            field.map_or(&[][..], |field| &bytes[field.start..field.start + field.size])
        };
        let text = |name: &str| {
            let bytes = slice(name);
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let number = |name: &str| slice(name).iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        Self {
            abi: number("abi").to_string(),
            size: number("size").to_string(),
            layout: format!("{:016x}", number("layout")),
            rustc: text("rustc"),
            target: text("target"),
            panic: text("panic"),
            framework: text("framework"),
            libtorch: text("libtorch"),
            build: text("build"),
            name: text("name"),
            version: text("version"),
            author: text("author"),
        }
    }

    /// The compared fields, by name.
    pub fn compared(&self) -> [(&'static str, &str); 9] {
        [
            ("rustc", &self.rustc),
            ("target", &self.target),
            ("panic", &self.panic),
            ("framework", &self.framework),
            ("libtorch", &self.libtorch),
            ("build", &self.build),
            ("layout", &self.layout),
            ("abi", &self.abi),
            ("size", &self.size),
        ]
    }

    /// Every field in which a plugin differs from the running program.
    pub fn mismatches(&self) -> Vec<Mismatch> {
        let own = Self::own();
        let pairs = self.compared().into_iter().zip(own.compared());
        let differing = pairs.filter(|((_, plugin), (_, program))| plugin != program);
        differing.map(|((field, plugin), (_, program))| Mismatch::new(field, plugin, program)).collect()
    }
}

#[cfg(test)]
mod tests;
