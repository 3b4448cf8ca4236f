//! The guard of file formats.

use super::{Guard, tagged};
use crate::format::{Format, Imported};
use crate::subject::{At, RunView};
use crate::{Network, Problems, Registry, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

impl<T: Format + Serialize> Format for Guard<T> {
    tagged!();

    fn check(&self, registry: &Registry, problems: &mut Problems) {
        self.fence.check(problems, |problems| self.inner.check(registry, problems), || ());
    }

    fn import(&self, path: &Path) -> Result<Imported> {
        self.fence.call("import", || self.inner.import(path))
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        self.fence.call("export", || self.inner.export(network, path))
    }

    fn export_run(&self, run: &RunView, at: At, path: &Path) -> Result<Vec<PathBuf>> {
        self.fence.call("export_run", || self.inner.export_run(run, at, path))
    }
}
