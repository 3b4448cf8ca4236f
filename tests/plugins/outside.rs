//! Plugins written outside this workspace, by following the book.

use super::{change, declaration, library};
use crate::program::{call, done};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The commands of a page: what its `sh` blocks say, line by line.
fn commands(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src").join(page);
    let text = std::fs::read_to_string(path).expect("a page");
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<String> = blocks.flat_map(str::lines).map(str::to_string).collect();
    assert!(!lines.is_empty(), "{page} has no commands");
    lines
}

fn words(line: &str) -> Vec<&str> {
    line.split('#').next().unwrap_or_default().split_whitespace().collect()
}

#[test]
fn a_new_crate_is_complete_and_its_place_is_free() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    done(at, &["plugin", "new", "two-sides", "--kind", "task", "--kind", "rule"]);
    for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml", "src/task.rs", "src/rule.rs"]
    {
        assert!(at.join("two-sides").join(file).is_file(), "no {file}");
    }
    assert!(!at.join("two-sides/src/cell.rs").exists());
    let config: toml::Value =
        toml::from_str(&std::fs::read_to_string(at.join("two-sides/.cargo/config.toml")).expect("text")).expect("TOML");
    let libtorch = PathBuf::from(config["env"]["LIBTORCH"].as_str().expect("a path"));
    assert!(libtorch.join("lib").is_dir(), "{}", libtorch.display());
    let taken = call(at, &["plugin", "new", "two-sides"]);
    assert_eq!(taken.code, Some(1));
    assert!(taken.err.contains("exists already"), "{}", taken.err);
    for name in ["Two", "2sides", "two--sides", "-two", "two_sides", "std"] {
        let refused = call(at, &["plugin", "new", "-o", "place", "--", name]);
        assert_eq!(refused.code, Some(2), "{name}: {}", refused.err);
    }
    // Its dependencies can be had: all versions are those that were fetched for the program.
    let metadata = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["metadata", "--offline", "--format-version", "1"])
        .current_dir(at.join("two-sides"))
        .output()
        .expect("cargo");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let text = String::from_utf8_lossy(&metadata.stdout);
    for crate_name in ["\"name\":\"two-sides\"", "\"name\":\"synfire\""] {
        assert!(text.contains(crate_name), "{crate_name}");
    }
}

/// The pages whose commands need no new crate.
#[test]
fn the_commands_of_the_book_work_with_the_example() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    std::fs::copy(library("dylib_example"), at.join("libdylib_example.so")).expect("writable");
    for page in ["traits.md", "task.md", "cell.md", "curriculum.md", "rule.md", "analysis.md", "safety.md"] {
        for line in commands(page) {
            match words(&line)[..] {
                ["synfire", ref arguments @ ..] => drop(done(at, arguments)),
                [] => {}
                _ => panic!("{page}: '{line}' is not run by this test"),
            }
        }
    }
}

/// "Your first plugin", word by word, in an empty folder. It compiles libtorch's bindings once more, unless `SYNFIRE_OUTSIDE_TARGET`
/// names a target folder that has them.
#[test]
#[ignore = "8 minutes on two cores: builds the framework outside the workspace"]
fn the_first_plugin_of_the_book() {
    let folder = tempfile::tempdir().expect("temporary folder");
    follow("first-plugin.md", folder.path(), &|at, arguments| {
        let target = target(&at.join("target"));
        cargo(at, arguments, &target);
        if arguments[0] == "build" && !target.starts_with(at) {
            put(at, &std::fs::read(target.join("release").join(built(at))).expect("built"));
        }
    });
}

/// The same without a compiler: what the page builds is stood in for by the example, whose name is as long as the page's. What the page
/// writes is the example's text under that name; that this compiles and passes the kit is tested where the example is built.
#[test]
fn the_first_plugin_of_the_book_without_a_compiler() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut bytes = std::fs::read(library("dylib_example")).expect("readable");
    let declared = declaration(&bytes, "dylib-example");
    for (old, new) in [("dylib-example", "left-or-right"), ("dylib_example", "left_or_right")] {
        let mut from = 0;
        while let Some(found) = bytes[from..].windows(old.len()).position(|window| window == old.as_bytes()) {
            from += found;
            bytes[from..from + old.len()].copy_from_slice(new.as_bytes());
        }
    }
    change(&mut bytes, declared, "name", b"left-or-right");
    follow("first-plugin.md", folder.path(), &|at, arguments| match arguments {
        ["test", "--release"] => assert!(at.join("tests/kit.rs").is_file()),
        ["build", "--release"] => put(at, &bytes),
        other => panic!("cargo {other:?} is not run by this test"),
    });
}

/// The library's file name in a plugin's folder.
fn built(at: &Path) -> String {
    let name = at.file_name().expect("a name").to_string_lossy().replace('-', "_");
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Put a library where cargo would.
fn put(at: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(at.join("target/release")).expect("writable");
    std::fs::write(at.join("target/release").join(built(at)), bytes).expect("writable");
}

/// A crate of every kind by itself, which must build, pass its tests and load.
#[test]
#[ignore = "15 minutes on two cores: builds the framework outside the workspace"]
fn a_plugin_of_each_kind() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = target(&folder.path().join("target"));
    for kind in ["task", "cell", "rule", "curriculum", "analysis"] {
        let name = format!("only-{kind}");
        done(folder.path(), &["plugin", "new", &name, "--kind", kind]);
        let at = folder.path().join(&name);
        cargo(&at, &["test", "--release"], &target);
        cargo(&at, &["build", "--release"], &target);
        let file = target.join(format!("release/libonly_{kind}.so"));
        let file = file.to_str().expect("a path");
        done(&at, &["plugin", "check", file]);
        done(&at, &["--plugin", file, "describe", kind, &name]);
    }
}

/// Where crates outside are built: once for all.
fn target(otherwise: &Path) -> PathBuf {
    std::env::var_os("SYNFIRE_OUTSIDE_TARGET").map_or_else(|| otherwise.to_path_buf(), PathBuf::from)
}

fn cargo(at: &Path, arguments: &[&str], target: &Path) {
    let mut command = Command::new("cargo");
    // What cargo tells this test about its own package is not for another.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().into_owned();
        if text.starts_with("CARGO") && text != "CARGO_HOME" || text == "LIBTORCH" || text == "RUSTUP_TOOLCHAIN" {
            command.env_remove(&name);
        }
    }
    let status = command.args(arguments).current_dir(at).env("CARGO_TARGET_DIR", target).status().expect("cargo");
    assert!(status.success(), "cargo {}", arguments.join(" "));
}

/// Type the commands of a page; `cargo` does those of cargo in the folder that it is handed.
fn follow(page: &str, folder: &Path, cargo: &dyn Fn(&Path, &[&str])) {
    let mut at = folder.to_path_buf();
    for line in commands(page) {
        match words(&line)[..] {
            ["cd", place] => at = at.join(place),
            ["cargo", ref arguments @ ..] => cargo(&at, arguments),
            ["synfire", ref arguments @ ..] => drop(done(&at, arguments)),
            [] => {}
            _ => panic!("'{line}' is not run by this test"),
        }
    }
}
