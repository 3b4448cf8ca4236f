//! External plugins: those that flags, experiment files and runs name are loaded before anything else.

use crate::args::{Args, Command};
use crate::folders::below;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use synfire::experiment::Layers;
use synfire::plugin::{Plugin, PluginError};
use synfire::run::RunDir;
use synfire::{Registry, Result};

/// Load every plugin that is named: by `--plugin`, by an experiment file, or by a run among the arguments.
///
/// # Errors
/// [`synfire::Error::Plugin`] for the first that is refused or missing.
pub fn load(args: &Args, arguments: &[OsString], registry: &mut Registry) -> Result<()> {
    for file in &args.plugin {
        add(file, registry)?;
    }
    // The others take no experiment; and `runs` shall show what there is also where plugins are gone.
    let works_on_experiments = !matches!(
        args.command,
        Command::Runs(_)
            | Command::Plugin(_)
            | Command::List(_)
            | Command::Describe(_)
            | Command::Schema(_)
            | Command::Completions(_)
            | Command::Bench(_)
            | Command::Doctor(_)
    );
    if !works_on_experiments {
        return Ok(());
    }
    for argument in arguments.iter().skip(1).map(Path::new) {
        match argument.parent() {
            _ if argument.is_dir() => {
                for run in below(argument) {
                    of_run(&run, registry)?;
                }
            }
            Some(run) if argument.ends_with("experiment.toml") && run.join("manifest.json").is_file() => {
                of_run(run, registry)?;
            }
            _ if argument.extension().is_some_and(|end| end == "toml") => {
                for file in named(argument) {
                    add(&file, registry)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The plugins that an experiment file or run names. What is wrong with the file is for the command to say.
fn named(path: &Path) -> Vec<PathBuf> {
    Layers::read(path).map(|layers| layers.plugins()).unwrap_or_default()
}

/// The plugins of a run; one that is loaded already, from wherever, stands for the one the run was made with.
fn of_run(path: &Path, registry: &mut Registry) -> Result<()> {
    let files = named(path);
    if files.is_empty() {
        return Ok(());
    }
    let run = RunDir::open(path)?;
    let origins = run.plugins();
    for file in files {
        let known = origins.iter().find(|origin| origin.file == file);
        let loaded = known.is_some_and(|known| registry.plugins().any(|origin| origin.name == known.name));
        if loaded {
            continue;
        }
        match file.is_file() {
            true => add(&file, registry)?,
            // Says what the run needs it for; a plugin that brought nothing to it is not missed.
            false => run.require_plugins(registry)?,
        }
    }
    Ok(())
}

/// Load one plugin.
fn add(file: &Path, registry: &mut Registry) -> Result<()> {
    let place = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    if registry.plugins().any(|origin| origin.file == place) {
        tracing::debug!("{} is loaded already", file.display());
        return Ok(());
    }
    registry.add_plugin(trusting(file)?)
}

/// Load a plugin that the user named.
#[expect(unsafe_code, reason = "whoever names a plugin runs it, as with a program")]
fn trusting(file: &Path) -> Result<Plugin, PluginError> {
    // SAFETY: the user named the file, by a flag or by an experiment or run; the manual says that it is trusted with that.
    unsafe { Plugin::load(file) }
}
