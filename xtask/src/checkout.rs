//! Where things lie in this checkout, and the cargo that builds it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::Ready;

/// The paths of this checkout.
pub struct Checkout {
    /// The folder that holds the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Where cargo puts what it builds: `<root>/target`, unless `CARGO_TARGET_DIR` or a configuration says otherwise.
    pub build: PathBuf,
}

impl Checkout {
    /// Find the workspace this program was built from.
    ///
    /// # Errors
    /// When the folder is gone, or the program's own path cannot be read.
    pub fn find() -> Result<Self, String> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest
            .parent()
            .and_then(|root| root.canonicalize().ok())
            .ok_or_else(|| format!("the workspace around {} is gone", manifest.display()))?;
        let program = env::current_exe().map_err(|error| format!("the path of xtask itself is unknown: {error}"))?;
        // cargo runs us as <build>/<profile>/xtask, wherever <build> has been put.
        let build = program.ancestors().nth(2).map_or_else(|| root.join("target"), Path::to_path_buf);
        Ok(Self { root, build })
    }

    /// The folder that all libtorch installations of this checkout share.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The libtorch in use, `target/libtorch`: a symbolic link to one of the installations. The run path of every binary
    /// and `LIBTORCH` in `.cargo/config.toml` lead to `torch/` in it.
    pub fn selected(&self) -> PathBuf {
        self.target().join("libtorch")
    }

    /// The release binary of the command line program.
    pub fn program(&self) -> PathBuf {
        self.build.join("release").join("synfire")
    }

    /// A cargo command in the root of the workspace.
    pub fn cargo(&self, ready: &Ready) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            // A relative one is relative to where the user stood, not to the root.
            command.env("CARGO_TARGET_DIR", &self.build);
        }
        if ready.ignores_environment {
            command.env_remove("LIBTORCH");
        }
        command
    }
}

/// `LIBTORCH` as the user set it, if they did: cargo sets the one of `.cargo/config.toml` for us too, and that is no wish.
pub fn libtorch_of_the_user(checkout: &Checkout) -> Option<PathBuf> {
    let value = PathBuf::from(env::var_os("LIBTORCH").filter(|value| !value.is_empty())?);
    let ours = checkout.selected().join("torch");
    (value != ours && value != Path::new("target/libtorch/torch")).then_some(value)
}
