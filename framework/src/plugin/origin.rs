//! Where components come from, as it is written into manifests and checkpoints.

use super::PluginError;
use crate::run::{Part, RunDir};
use crate::{Registry, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A plugin that was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who wrote it.
    pub author: String,
    /// The file.
    pub file: PathBuf,
    /// The first 16 digits of the file's BLAKE3 hash: whether two runs used the very same code.
    pub hash: String,
}

impl RunDir {
    /// The plugins that were loaded when the run was made or last went on: what its manifest says, else its last checkpoint.
    pub fn plugins(&self) -> Vec<Origin> {
        if let Ok(manifest) = self.manifest() {
            return manifest.plugins;
        }
        let Ok(experiment) = self.experiment() else { return Vec::new() };
        let dirs = self.members(&experiment);
        let states = dirs.iter().filter_map(|dir| dir.last_state().ok());
        states.map(|state| state.plugins).find(|plugins| !plugins.is_empty()).unwrap_or_default()
    }

    /// Refuse to go on without a plugin that brought a component of this run.
    ///
    /// # Errors
    /// [`PluginError::Missing`] naming the plugin, what it brought, and the file it came from.
    pub fn require_plugins(&self, registry: &Registry) -> Result<()> {
        let origins = self.plugins();
        if origins.is_empty() {
            return Ok(());
        }
        let parts = self.manifest().map(|manifest| manifest.parts).unwrap_or_default();
        for origin in &origins {
            let absent = |part: &&Part| registry.find(part.kind, &part.name).is_err();
            let brought = parts.iter().filter(|part| part.plugin.as_ref() == Some(&origin.name));
            let brings: Vec<String> =
                brought.filter(absent).map(|part| format!("{} '{}'", part.kind, part.name)).collect();
            match registry.plugins().find(|loaded| loaded.name == origin.name) {
                Some(loaded) if loaded.hash != origin.hash => {
                    let (name, now, then) = (&origin.name, &loaded.version, &origin.version);
                    tracing::warn!("the plugin '{name}' ({now}) is not the file that the run was made with ({then})");
                }
                _ => {}
            }
            if brings.is_empty() {
                continue;
            }
            let reason = if origin.file.is_file() { "" } else { ", which is not there any more" };
            let needs = format!("the run {}", self.path().display());
            let plugin = Box::new(origin.clone());
            return Err(PluginError::Missing { needs, plugin, brings, reason: reason.into() }.into());
        }
        Ok(())
    }
}
