//! Why a plugin was refused.

use super::Origin;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One thing in which a plugin differs from the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// What differs, for example `rustc`.
    pub field: &'static str,
    /// What the plugin says.
    pub plugin: String,
    /// What the program says.
    pub program: String,
}

impl Mismatch {
    pub(super) fn new(field: &'static str, plugin: impl Into<String>, program: impl Into<String>) -> Self {
        Self { field, plugin: plugin.into(), program: program.into() }
    }
}

/// Why a plugin was refused. None of its code ran, but in the last two steps: [`PluginError::Entry`] and [`PluginError::Clash`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file cannot be read.
    #[error("plugin {} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is something else, cut off or damaged.
    #[error("{} is not a plugin of synfire: {reason}", file.display())]
    NotAPlugin {
        /// The file.
        file: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// It was built by another compiler, from another framework, or for something else.
    #[error("{}", incompatible(file, mismatches))]
    Incompatible {
        /// The file.
        file: PathBuf,
        /// Everything that differs.
        mismatches: Vec<Mismatch>,
    },
    /// The system cannot load it, for example because a library that it needs is missing.
    #[error("plugin {} cannot be loaded: {reason}", file.display())]
    Load {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It was loaded, but what it handed over cannot be used.
    #[error("plugin {} failed to hand over its components: {reason}", file.display())]
    Entry {
        /// The file.
        file: PathBuf,
        /// What happened.
        reason: String,
    },
    /// It brings a component whose name is taken.
    #[error("plugin {} brings a {component}, but there is one already: one comes from {first}, the other from {second}; rename one of them, or leave one plugin out", file.display())]
    Clash {
        /// The file.
        file: PathBuf,
        /// Kind and name of the component.
        component: String,
        /// Who had the name.
        first: String,
        /// Who wants it.
        second: String,
    },
    /// A run or experiment needs a plugin that is not loaded.
    #[error("{needs} needs the plugin '{}' {} for {}; it was loaded from {}{reason}; name its file with --plugin FILE", plugin.name, plugin.version, brings.join(", "), plugin.file.display())]
    Missing {
        /// The run.
        needs: String,
        /// The plugin as it was when the run was made.
        plugin: Box<Origin>,
        /// Kind and name of each component that is missing.
        brings: Vec<String>,
        /// What is known of the file now; empty or beginning with a comma.
        reason: String,
    },
}

fn incompatible(file: &Path, mismatches: &[Mismatch]) -> String {
    let width = mismatches.iter().map(|m| m.plugin.chars().count()).max().unwrap_or(0);
    let line = |m: &Mismatch| format!("  {:9}  plugin: {:width$}  program: {}", m.field, m.plugin, m.program);
    let lines: Vec<String> = mismatches.iter().map(line).collect();
    format!(
        "plugin {} cannot be used with this program\n{}\nrebuild it with the program's compiler and framework: `synfire plugin fingerprint` shows them",
        file.display(),
        lines.join("\n")
    )
}

impl PluginError {
    /// Short name of the variant for `--json` output.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::NotAPlugin { .. } => "not-a-plugin",
            Self::Incompatible { .. } => "incompatible",
            Self::Load { .. } => "load",
            Self::Entry { .. } => "entry",
            Self::Clash { .. } => "clash",
            Self::Missing { .. } => "missing",
        }
    }

    /// The file that it is about.
    pub fn file(&self) -> &Path {
        match self {
            Self::Unreadable { file, .. }
            | Self::NotAPlugin { file, .. }
            | Self::Incompatible { file, .. }
            | Self::Load { file, .. }
            | Self::Entry { file, .. }
            | Self::Clash { file, .. } => file,
            Self::Missing { plugin, .. } => &plugin.file,
        }
    }

    /// Everything that differs, of a plugin that was built otherwise.
    pub fn mismatches(&self) -> &[Mismatch] {
        match self {
            Self::Incompatible { mismatches, .. } => mismatches,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_lists_both_values_and_the_remedy() {
        let mismatches = vec![
            Mismatch::new("rustc", "rustc 1.97.0-nightly", "rustc 1.95.0"),
            Mismatch::new("build", "782a3820cca31d6c", "74d3f99053d7cf93"),
        ];
        let text = PluginError::Incompatible { file: "libring.so".into(), mismatches }.to_string();
        assert_eq!(
            text,
            "plugin libring.so cannot be used with this program\n  \
               rustc      plugin: rustc 1.97.0-nightly  program: rustc 1.95.0\n  \
               build      plugin: 782a3820cca31d6c      program: 74d3f99053d7cf93\n\
             rebuild it with the program's compiler and framework: `synfire plugin fingerprint` shows them"
        );
    }
}
