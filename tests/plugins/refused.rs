//! Files that are not loaded, and why.

use super::{awkward, change, declaration, example, load};
use crate::program::{call, done, json};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use synfire::Stream;
use synfire::plugin::{Declaration, FIELDS, Identity, PluginError, SIZE, inspect};

/// The program refuses a plugin: exit code 3, and its message.
fn refused(folder: &Path, file: &Path) -> String {
    let file = file.to_str().expect("a path");
    let mut text = String::new();
    for arguments in [&["plugin", "check", file][..], &["--plugin", file, "list"]] {
        let call = call(folder, arguments);
        assert_eq!(call.code, Some(3), "{arguments:?}\n{}{}", call.out, call.err);
        assert!(call.out.is_empty() && !call.err.contains("panicked"), "{}", call.err);
        text = call.err;
    }
    text
}

/// Whether a file is mapped into this process.
fn mapped(file: &Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.contains(file.to_str().expect("a path"))
}

/// Refused in this process, where a crash would end the test, and not mapped into it.
fn not_loaded(file: &Path) -> PluginError {
    let Err(error) = load(file) else { panic!("{} was loaded", file.display()) };
    assert!(!mapped(file), "{} is mapped", file.display());
    error
}

#[test]
fn each_compared_field_is_named_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let good = std::fs::read(example()).expect("readable");
    let at = declaration(&good, "dylib-example");
    let own = Identity::own();
    for field in FIELDS.iter().filter(|field| field.compared) {
        let other: &[u8] = match field.name {
            "rustc" => b"rustc 1.97.0-nightly (e50aa6fba 2026-05-19)",
            "target" => b"riscv64gc-unknown-linux-gnu",
            "panic" => b"abort2",
            "framework" => b"9.9.9",
            "libtorch" => b"1.2.3",
            "build" => b"0123456789abcdef",
            _ => &[7, 7],
        };
        let mut bytes = good.clone();
        change(&mut bytes, at, field.name, other);
        let file = folder.path().join(format!("{}.so", field.name));
        std::fs::write(&file, bytes).expect("writable");
        let error = not_loaded(&file);
        let named: Vec<&str> = error.mismatches().iter().map(|mismatch| mismatch.field).collect();
        assert_eq!(named, [field.name], "{error}");
        let program = own.compared().iter().find(|(name, _)| *name == field.name).expect("compared").1;
        assert_eq!(error.mismatches()[0].program, program);
        if ["rustc", "layout"].contains(&field.name) {
            let text = refused(folder.path(), &file);
            for part in ["cannot be used with this program", field.name, program, "synfire plugin fingerprint"] {
                assert!(text.contains(part), "no '{part}' in {text}");
            }
        }
    }
}

#[test]
fn everything_that_differs_is_listed_at_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut bytes = std::fs::read(example()).expect("readable");
    let at = declaration(&bytes, "dylib-example");
    change(&mut bytes, at, "rustc", b"rustc 1.97.0-nightly (e50aa6fba 2026-05-19)");
    change(&mut bytes, at, "build", b"782a3820cca31d6c");
    let file = folder.path().join("other.so");
    std::fs::write(&file, bytes).expect("writable");
    let text = refused(folder.path(), &file);
    for part in ["rustc 1.97.0-nightly", "782a3820cca31d6c", &Identity::own().rustc, &Identity::own().build] {
        assert!(text.contains(part), "no '{part}' in {text}");
    }
    let call = call(folder.path(), &["plugin", "check", file.to_str().expect("a path"), "--json"]);
    assert_eq!(call.code, Some(3));
    let document: serde_json::Value = serde_json::from_str(&call.out).expect("JSON");
    let fields: Vec<&str> = document["error"]["mismatches"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|mismatch| mismatch["field"].as_str())
        .collect();
    assert_eq!(fields, ["rustc", "build"]);
    assert_eq!(document["error"]["exit_code"], 3);
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("empty.so"), b"").expect("writable");
    std::fs::write(at("text.so"), b"this is no library\n".repeat(100)).expect("writable");
    std::fs::create_dir(at("folder.so")).expect("writable");
    let libraries = ["/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/libm.so.6", "/lib64/libm.so.6"];
    let libm = libraries.iter().map(PathBuf::from).find(|path| path.is_file());
    let program = PathBuf::from(env!("CARGO_BIN_EXE_synfire-under-test"));
    let mut cases = vec![at("empty.so"), at("text.so"), at("folder.so"), at("missing.so"), program];
    cases.extend(libm);
    for file in cases {
        let text = refused(folder.path(), &file);
        assert!(text.contains(file.to_str().expect("a path")), "{text}");
        not_loaded_or_own(&file);
    }
}

/// As [`not_loaded`], also for files that are mapped for other reasons, such as the system's libraries.
fn not_loaded_or_own(file: &Path) {
    assert!(load(file).is_err(), "{} was loaded", file.display());
}

#[test]
fn every_truncation_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("cut.so");
    let length = std::fs::copy(example(), &file).expect("writable");
    let handle = std::fs::OpenOptions::new().write(true).open(&file).expect("writable");
    handle.set_len(length - 1).expect("shorter");
    not_loaded(&file);
    for percent in (0..=98).rev().step_by(2) {
        handle.set_len(length * percent / 100).expect("shorter");
        let error = not_loaded(&file);
        assert!(matches!(error, PluginError::NotAPlugin { .. }), "{percent} %: {error}");
        // The whole program as a child, where the file would end it with a signal.
        if percent % 20 == 0 {
            refused(folder.path(), &file);
        }
    }
}

#[test]
fn every_flipped_byte_of_the_declaration_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("flipped.so");
    let good = std::fs::read(example()).expect("readable");
    std::fs::write(&path, &good).expect("writable");
    inspect(&path).unwrap_or_else(|error| panic!("{error}"));
    let at = declaration(&good, "dylib-example");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("writable");
    let mut put = |place: usize, byte: u8| {
        file.seek(SeekFrom::Start(place as u64)).expect("inside");
        file.write_all(&[byte]).expect("writable");
    };
    let mut stream = Stream::new(500);
    for flip in 0..500 {
        let place = at + stream.below(SIZE as u64) as usize;
        let bits = 1 + stream.below(255) as u8;
        put(place, good[place] ^ bits);
        not_loaded(&path);
        if flip % 100 == 0 {
            refused(folder.path(), &path);
        }
        put(place, good[place]);
    }
    inspect(&path).unwrap_or_else(|error| panic!("{error}"));
}

/// Make a library of C that leaves a file when its initialiser runs; `body` is the rest of its source.
fn in_c(folder: &Path, name: &str, declared: &[u8], body: &str) -> (PathBuf, PathBuf) {
    let (source, file, trace) =
        (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")), folder.join(format!("{name}-ran")));
    let bytes: Vec<String> = declared.iter().map(u8::to_string).collect();
    let text = format!(
        "#include <stdio.h>\n\
         const unsigned char SYNFIRE_PLUGIN[{}] = {{{}}};\n\
         __attribute__((constructor)) static void begin(void) {{ FILE *f = fopen(\"{}\", \"w\"); if (f) fclose(f); }}\n\
         {body}\n",
        bytes.len(),
        bytes.join(","),
        trace.display()
    );
    std::fs::write(&source, text).expect("writable");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let status = Command::new(compiler).args(["-shared", "-fPIC", "-o"]).arg(&file).arg(&source).status();
    assert!(status.expect("a C compiler, which torch-sys needs too").success());
    (file, trace)
}

const ENTRY: &str = "void synfire_plugin_enter(void *host, void *handover) { (void)host; (void)handover; }";

#[test]
fn nothing_of_a_refused_file_runs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let good = Declaration::new("in-c", "1.0.0", "").bytes();
    let mut other = good.to_vec();
    change(&mut other, 0, "rustc", b"rustc 1.0.0");
    let (file, trace) = in_c(folder.path(), "other", &other, ENTRY);
    assert!(refused(folder.path(), &file).contains("rustc 1.0.0"));
    assert!(!trace.exists(), "its initialiser ran");
    let (file, trace) = in_c(folder.path(), "short", &good[..100], ENTRY);
    assert!(refused(folder.path(), &file).contains("declaration"));
    assert!(!trace.exists(), "its initialiser ran");
    let (file, trace) = in_c(folder.path(), "without", &good, "");
    assert!(refused(folder.path(), &file).contains("exports no synfire_plugin_enter"));
    assert!(!trace.exists(), "its initialiser ran");
    // The trace is left where nothing is wrong with the declaration: the test can fail.
    let (file, trace) = in_c(folder.path(), "sound", &good, ENTRY);
    done(folder.path(), &["plugin", "check", file.to_str().expect("a path")]);
    assert!(!trace.exists(), "a check ran it");
    let call = call(folder.path(), &["--plugin", file.to_str().expect("a path"), "list"]);
    assert_eq!(call.code, Some(3), "{}", call.err);
    assert!(call.err.contains("handed over nothing"), "{}", call.err);
    assert!(trace.exists());
}

#[test]
fn a_missing_function_is_found_when_it_is_loaded() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let body = "void missing_function(void);\n\
                void synfire_plugin_enter(void *host, void *handover) { (void)host; (void)handover; missing_function(); }";
    let good = Declaration::new("in-c", "1.0.0", "").bytes();
    let (file, _) = in_c(folder.path(), "lacking", &good, body);
    let call = call(folder.path(), &["--plugin", file.to_str().expect("a path"), "list"]);
    assert_eq!(call.code, Some(3), "{}", call.err);
    assert!(call.err.contains("cannot be loaded") && call.err.contains("missing_function"), "{}", call.err);
}

#[test]
fn a_taken_name_refuses_the_whole_plugin() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let first = example();
    let mut bytes = std::fs::read(&first).expect("readable");
    let at = declaration(&bytes, "dylib-example");
    change(&mut bytes, at, "name", b"another-one");
    let second = folder.path().join("second.so");
    std::fs::write(&second, &bytes).expect("writable");
    let (first, second) = (first.to_str().expect("a path"), second.to_str().expect("a path"));
    // The crate inside is the same, so nothing of its own is left.
    let refused = call(folder.path(), &["--plugin", first, "--plugin", second, "list"]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(refused.err.contains("registers no component of its own"), "{}", refused.err);
    // Alone it is a plugin like any other, and the same file twice is one plugin.
    let listed = json(folder.path(), &["--plugin", second, "--plugin", second, "plugin", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["name"], "another-one");

    // As if another crate had chosen the same names.
    let (old, new) = (b"dylib_example::", b"dylib_another::");
    let mut place = 0;
    while let Some(found) = bytes[place..].windows(old.len()).position(|window| window == old) {
        place += found;
        bytes[place..place + old.len()].copy_from_slice(new);
    }
    let third = folder.path().join("third.so");
    std::fs::write(&third, &bytes).expect("writable");
    let refused = call(folder.path(), &["--plugin", first, "--plugin", third.to_str().expect("a path"), "list"]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    for part in [
        "'dylib-example', but there is one already",
        "plugin 'dylib-example'",
        "dylib_another in the plugin 'another-one'",
    ] {
        assert!(refused.err.contains(part), "no '{part}' in {}", refused.err);
    }
}

#[test]
fn components_of_crates_that_are_linked_are_not_brought_twice() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = awkward();
    let listed = json(folder.path(), &["--plugin", file.to_str().expect("a path"), "plugin", "list"]);
    let brought: Vec<String> = listed[0]["components"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|component| format!("{} {}", component["kind"], component["name"]).replace('"', ""))
        .collect();
    assert_eq!(brought, ["task awkward", "cell awkward", "rule awkward", "analysis awkward"]);
}

/// The same sources by whatever other compiler is installed.
#[test]
#[ignore = "10 minutes on two cores: builds the example once more, with another compiler"]
fn a_plugin_of_another_compiler_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = Command::new("rustup").args(["toolchain", "list"]).output().expect("rustup");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let version = |toolchain: &str| {
        let output = Command::new("rustup").args(["run", toolchain, "rustc", "-vV"]).output().expect("rustup");
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_string()
    };
    let toolchains = text.lines().filter_map(|line| line.split_whitespace().next());
    let other = toolchains.map(str::to_string).find(|name| version(name) != Identity::own().rustc);
    let other = other.expect("another toolchain: `rustup toolchain install nightly`");
    let target = root.join("target/other-compiler");
    let status = Command::new("rustup")
        .args(["run", &other, "cargo", "build", "--release", "-p", "dylib-example", "--target-dir"])
        .arg(&target)
        .current_dir(&root)
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .status();
    assert!(status.expect("cargo").success());
    let error = not_loaded(&target.join("release/libdylib_example.so"));
    assert!(error.mismatches().iter().any(|mismatch| mismatch.field == "rustc"), "{error}");
}
