//! The files of a new plugin. Its components are those of `plugins/dylib-example`, under another name.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use synfire::Kind;

/// What a plugin is written for.
pub struct Template<'a> {
    /// Name of the plugin and of its components, kebab-case.
    pub name: &'a str,
    /// The kinds of its components, each once.
    pub kinds: &'a [Kind],
    /// The framework's folder.
    pub framework: &'a Path,
    /// The folder of libtorch's libraries.
    pub libraries: &'a Path,
    /// First line of the compiler's version.
    pub rustc: &'a str,
}

/// The name that stands in the example for that of a new plugin.
const EXAMPLE: &str = "dylib-example";

/// The example's file of a kind.
fn component(kind: Kind) -> &'static str {
    match kind {
        Kind::Cell => include_str!("../../../../plugins/dylib-example/src/cell.rs"),
        Kind::Curriculum => include_str!("../../../../plugins/dylib-example/src/curriculum.rs"),
        Kind::Rule => include_str!("../../../../plugins/dylib-example/src/rule.rs"),
        Kind::Analysis => include_str!("../../../../plugins/dylib-example/src/analysis.rs"),
        _ => include_str!("../../../../plugins/dylib-example/src/task.rs"),
    }
}

const LIBRARY: &str = include_str!("../../../../plugins/dylib-example/src/lib.rs");
const KIT: &str = include_str!("../../../../plugins/dylib-example/tests/kit.rs");

/// `two-sides` as `two_sides`.
pub fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// `two-sides` as `TwoSides`.
fn camel(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}

/// The file name of the library that is built.
pub fn library(name: &str) -> String {
    format!("{}{}{}", std::env::consts::DLL_PREFIX, snake(name), std::env::consts::DLL_SUFFIX)
}

impl Template<'_> {
    /// All files by their path in the new folder.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = vec![
            ("Cargo.toml".into(), self.manifest()),
            ("rust-toolchain.toml".into(), self.toolchain()),
            (".cargo/config.toml".into(), self.config()),
            (".gitignore".into(), "/target\n/runs\n".to_string()),
            ("experiment.toml".into(), self.experiment()),
            ("src/lib.rs".into(), self.library()),
            ("tests/kit.rs".into(), self.renamed(KIT)),
        ];
        for kind in self.kinds {
            files.push((format!("src/{kind}.rs").into(), self.renamed(component(*kind))));
        }
        files
    }

    fn renamed(&self, text: &str) -> String {
        text.replace(EXAMPLE, self.name)
            .replace(&snake(EXAMPLE), &snake(self.name))
            .replace(&camel(EXAMPLE), &camel(self.name))
    }

    fn library(&self) -> String {
        let absent = |line: &&str| {
            let module = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
            module.is_none_or(|module| self.kinds.iter().any(|kind| kind.word() == module))
        };
        let lines: Vec<&str> = LIBRARY.lines().filter(absent).collect();
        lines.join("\n") + "\n"
    }

    fn manifest(&self) -> String {
        format!(
            r#"[package]
name = "{name}"
description = "Components for synfire"
version = "0.1.0"
edition = "2024"
publish = false

# The library that the program loads, and the one that the tests link.
[lib]
crate-type = ["cdylib", "rlib"]

# The framework must be the very one that the program was built from. Its own pins decide the versions of the others; Cargo.lock is a
# copy of its.
[dependencies]
synfire = {{ path = "{framework}", version = "={version}" }}
schemars = "1.2"
serde = {{ version = "1", features = ["derive"] }}
typetag = "0.2"

[profile.release]
debug = false

# Not a part of any workspace around it.
[workspace]
"#,
            name = self.name,
            framework = escaped(self.framework),
            version = env!("CARGO_PKG_VERSION"),
        )
    }

    /// The compiler of the program: `1.95.0`, or a nightly by its date.
    fn toolchain(&self) -> String {
        let version = self.rustc.split_whitespace().nth(1).unwrap_or("stable");
        let date = self.rustc.trim_end_matches(')').rsplit(' ').next().unwrap_or_default();
        let channel = match version.split_once('-') {
            // A nightly is called after the day after its last commit, so this may have to be the next day.
            Some((_, "nightly")) => format!("nightly-{date}"),
            Some((number, beta)) => format!("{}-{number}", beta.split('.').next().unwrap_or(beta)),
            None => version.to_string(),
        };
        format!("# The program was built by: {}\n[toolchain]\nchannel = \"{channel}\"\n", self.rustc)
    }

    fn config(&self) -> String {
        let root = escaped(self.libraries.parent().unwrap_or(self.libraries));
        let libraries = escaped(self.libraries);
        format!(
            r#"# Where libtorch lies, and where tests find it when they run. A LIBTORCH set in the environment wins.
[env]
LIBTORCH = "{root}"

[target.'cfg(unix)']
rustflags = ["-C", "link-arg=-Wl,-rpath,{libraries}"]

[build]
rustdocflags = ["-C", "link-arg=-Wl,-rpath,{libraries}"]
"#
        )
    }

    /// An experiment that uses every component of the plugin, among those of the program.
    fn experiment(&self) -> String {
        let mut text = format!(
            "# synfire run experiment.toml\nname = \"{}\"\nplugins = [\"target/release/{}\"]\n",
            self.name,
            library(self.name)
        );
        for (kind, otherwise) in [
            (Kind::Task, "sine-wave"),
            (Kind::Cell, "leaky-rnn"),
            (Kind::Curriculum, "fixed-budget"),
            (Kind::Rule, "bptt"),
        ] {
            let name = if self.kinds.contains(&kind) { self.name } else { otherwise };
            let _ = write!(text, "\n[{kind}]\ntype = \"{name}\"\n");
            if name == "leaky-rnn" {
                text += "hidden = 64\n";
            }
        }
        text += "\n[training]\nupdates = 200\nupdates_per_evaluation = 50\nbatch = 32\n";
        let analysis = if self.kinds.contains(&Kind::Analysis) { self.name } else { "learning-curve" };
        let _ = write!(text, "\n[[analysis]]\ntype = \"{analysis}\"\n");
        text
    }
}

/// A path as a text of TOML.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Kind; 5] = [Kind::Task, Kind::Cell, Kind::Curriculum, Kind::Rule, Kind::Analysis];

    fn template<'a>(name: &'a str, kinds: &'a [Kind], rustc: &'a str) -> Template<'a> {
        Template { name, kinds, framework: Path::new("/f"), libraries: Path::new("/t/lib"), rustc }
    }

    /// What is built, tested and loaded with the workspace is what `plugin new` writes.
    #[test]
    fn the_example_is_what_is_written_for_all_kinds() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(EXAMPLE);
        let files = template(EXAMPLE, &ALL, "rustc 1.95.0 (59807616e 2026-04-14)").files();
        let sources = files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "rs"));
        for (path, text) in sources {
            assert_eq!(*text, std::fs::read_to_string(example.join(path)).unwrap(), "{}", path.display());
        }
        for entry in std::fs::read_dir(example.join("src")).unwrap() {
            let path = Path::new("src").join(entry.unwrap().file_name());
            assert!(files.iter().any(|(written, _)| *written == path), "{} is not written", path.display());
        }
    }

    #[test]
    fn names_are_changed_everywhere() {
        for (path, text) in template("two-sides", &ALL, "rustc 1.95.0 (59807616e 2026-04-14)").files() {
            for old in [EXAMPLE.to_string(), snake(EXAMPLE), camel(EXAMPLE)] {
                assert!(!text.contains(&old), "{} still has {old}", path.display());
            }
            if path.extension().is_some_and(|end| end == "toml") {
                toml::from_str::<toml::Value>(&text).unwrap();
            }
        }
    }

    #[test]
    fn one_kind_has_one_module() {
        let text = template("two-sides", &[Kind::Rule], "rustc 1.95.0 (59807616e 2026-04-14)").library();
        assert_eq!(text.matches("pub mod ").count(), 1);
        assert!(text.contains("pub mod rule;\n") && text.contains("export_plugin!"));
    }

    #[test]
    fn the_toolchain_is_that_of_the_program() {
        let channel = |rustc| {
            let text = template("a", &ALL, rustc).toolchain();
            text.lines().find_map(|line| line.strip_prefix("channel = ").map(str::to_string)).unwrap()
        };
        assert_eq!(channel("rustc 1.95.0 (59807616e 2026-04-14)"), "\"1.95.0\"");
        assert_eq!(channel("rustc 1.97.0-nightly (e50aa6fba 2026-05-19)"), "\"nightly-2026-05-19\"");
        assert_eq!(channel("rustc 1.96.0-beta.2 (e50aa6fba 2026-05-19)"), "\"beta-1.96.0\"");
    }
}
