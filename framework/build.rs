//! The build fingerprint, for external plugins: what this copy of the framework was built from, and with what.
//!
//! It is compiled into the program and into every plugin, so both describe themselves.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let compiler = compiler();
    let libtorch = libtorch();
    let mut digest = DefaultHasher::new();
    let mut add = |what: &str, text: &[u8]| {
        digest.write(what.as_bytes());
        digest.write_usize(text.len());
        digest.write(text);
    };
    add("compiler", compiler.as_bytes());
    add("instructions", variable("CARGO_CFG_TARGET_FEATURE").as_bytes());
    add("libtorch", libtorch.as_bytes());
    let features: Vec<String> = env::vars().map(|(name, _)| name).filter(|n| n.starts_with("CARGO_FEATURE_")).collect();
    add("features", features.join(" ").as_bytes());
    for (name, text) in sources() {
        add(&name, &text);
    }
    set("RUSTC", compiler.lines().next().unwrap_or_default());
    set("TARGET", &variable("TARGET"));
    set("PANIC", &variable("CARGO_CFG_PANIC"));
    set("LIBTORCH", &libtorch);
    set("BUILD", &format!("{:016x}", digest.finish()));
}

fn set(name: &str, value: &str) {
    println!("cargo::rustc-env=SYNFIRE_{name}={value}");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// All that the compiler says of itself.
fn compiler() -> String {
    let output = Command::new(variable("RUSTC")).arg("-vV").output().expect("cargo says which compiler it uses");
    String::from_utf8(output.stdout).expect("the compiler speaks UTF-8")
}

/// The version of the libtorch that the bindings were built for.
fn libtorch() -> String {
    // Set by torch-sys, which is a direct dependency for this alone.
    const LIBRARIES: &str = "DEP_TCH_LIBTORCH_LIB";
    const UNCHECKED: &str = "LIBTORCH_BYPASS_VERSION_CHECK";
    println!("cargo::rerun-if-env-changed={LIBRARIES}");
    println!("cargo::rerun-if-env-changed={UNCHECKED}");
    let header = env::var_os(LIBRARIES).map(|folder| Path::new(&folder).join("../include/torch/headeronly/version.h"));
    let text = header.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let number = |part: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("#define TORCH_VERSION_{part} ")))?;
        line.split_whitespace().last()?.parse::<u32>().ok()
    };
    let version = match (number("MAJOR"), number("MINOR"), number("PATCH")) {
        (Some(major), Some(minor), Some(patch)) => format!("{major}.{minor}.{patch}"),
        _ => "unknown".to_string(),
    };
    if env::var_os(UNCHECKED).is_some() { format!("{version} unchecked") } else { version }
}

/// Every file the framework is made of, by its path from the manifest.
fn sources() -> BTreeMap<String, Vec<u8>> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    let mut open = vec![root.join("Cargo.toml"), root.join("build.rs"), root.join("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("the framework's sources can be listed");
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            // A checkout may end lines differently.
            let text = fs::read(&path).expect("the framework's sources can be read");
            found.insert(name, text.into_iter().filter(|byte| *byte != b'\r').collect());
        }
    }
    println!("cargo::rerun-if-changed={}", root.join("src").display());
    found
}
