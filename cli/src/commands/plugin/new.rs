//! `synfire plugin new`: a crate to start from.

use super::template::{Template, library, snake};
use crate::libtorch::loaded_libtorch;
use crate::output::Answer;
use clap::ValueEnum;
use serde_json::json;
use std::path::{Path, PathBuf};
use synfire::plugin::Identity;
use synfire::{Error, Kind, Result};

/// Arguments of `plugin new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the plugin and of its components, in kebab-case
    #[arg(value_name = "NAME")]
    name: String,
    /// What it brings; may be given several times
    #[arg(long = "kind", value_enum, value_name = "KIND", default_values_t = [Brings::Task])]
    kinds: Vec<Brings>,
    /// Folder to write to; NAME unless given
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Folder of the framework the program was built from, if it is not where it was then
    #[arg(long, value_name = "DIR")]
    framework: Option<PathBuf>,
    /// Folder of libtorch, if not the one the program uses
    #[arg(long, value_name = "DIR")]
    libtorch: Option<PathBuf>,
}

/// The kinds for which there are examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Brings {
    Task,
    Cell,
    Rule,
    Curriculum,
    Analysis,
}

impl Brings {
    fn kind(self) -> Kind {
        match self {
            Self::Task => Kind::Task,
            Self::Cell => Kind::Cell,
            Self::Rule => Kind::Rule,
            Self::Curriculum => Kind::Curriculum,
            Self::Analysis => Kind::Analysis,
        }
    }
}

/// Words that cannot be the name of a crate's module or type.
const RESERVED: [&str; 9] = ["synfire", "test", "core", "std", "self", "super", "crate", "serde", "schemars"];

/// Do it.
///
/// # Errors
/// [`Error::Config`] for a name that cannot be used, or when framework or libtorch are not where they are thought to be;
/// [`Error::File`] when the place is taken.
pub fn execute(args: &Args) -> Result<Answer> {
    let Args { name, .. } = args;
    let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let words = name.split('-').all(|word| !word.is_empty());
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !(letters && words && begins) || RESERVED.contains(&name.as_str()) {
        let remedy = "use small letters, digits and single hyphens, beginning with a letter, such as two-sides";
        return Err(Error::config("NAME", format_args!("is '{name}', which cannot be the name of a crate"), remedy));
    }
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in args.kinds.iter().map(|kind| kind.kind()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.is_file() || std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::file(&folder, "exists already", "choose another place with -o"));
    }
    let framework = framework(args.framework.as_deref())?;
    let libraries = libraries(args.libtorch.as_deref())?;
    let own = Identity::own();
    let template = Template { name, kinds: &kinds, framework: &framework, libraries: &libraries, rustc: &own.rustc };
    let mut files = template.files();
    let lock = framework.join("../Cargo.lock");
    if let Ok(text) = std::fs::read_to_string(&lock) {
        files.push(("Cargo.lock".into(), text));
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        written.push(path);
    }
    let built = Path::new("target/release").join(library(name));
    let text = format!(
        "wrote {folder}; go on with\n  cd {folder}\n  cargo test --release     the promises that every component keeps\n  \
         cargo build --release    {built}\n  synfire run experiment.toml",
        folder = folder.display(),
        built = built.display()
    );
    Ok(Answer::new(text, json!({ "folder": folder, "crate": snake(name), "library": built, "files": written })))
}

/// The folder of the framework.
fn framework(given: Option<&Path>) -> Result<PathBuf> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../framework");
    let folder = given.map_or(built_from, Path::to_path_buf);
    match folder.canonicalize() {
        Ok(path) if path.join("src/plugin").is_dir() => Ok(path),
        _ => {
            let problem = format!("is {}, where the framework is not", folder.display());
            Err(Error::config("--framework", problem, "name the folder `framework` of a checkout of synfire"))
        }
    }
}

/// The folder of libtorch's libraries.
fn libraries(given: Option<&Path>) -> Result<PathBuf> {
    let folder = match given {
        Some(root) => Some(root.join("lib")),
        None => loaded_libtorch(),
    };
    match folder.as_ref().map(|folder| folder.canonicalize()) {
        Some(Ok(path)) => Ok(path),
        _ => {
            let shown = folder.map_or_else(|| "not known".to_string(), |folder| folder.display().to_string());
            let problem = format!("is {shown}, where there are no libraries");
            Err(Error::config("--libtorch", problem, "name the folder of libtorch that holds `lib`"))
        }
    }
}
