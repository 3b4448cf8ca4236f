//! Safetensors files.

use super::Renaming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use synfire::format::Imported;
use synfire::storage::tensor_file;
use synfire::tch::Device;
use synfire::{Component, Format, Network, Problems, Registry, Result};

/// Safetensors files, as many programs read and write them.
///
/// Every floating-point tensor is a parameter under its own name, or under the one that `rename` gives it; heads are those named
/// `head.0.weight`, `head.1.weight` and so on. The file does not say which cell its tensors belong to: choose the one whose
/// parameters have these names and shapes.
///
/// Source: the format's description, <https://github.com/huggingface/safetensors>.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Safetensors {
    /// Names in the file on the left, names of parameters on the right; a `*` on both sides stands for the same text.
    pub rename: Renaming,
    /// Levels of difficulty that the heads answer, in the order of the heads; left out, unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<usize>,
}

#[typetag::serde(name = "safetensors")]
impl Format for Safetensors {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.rename.check(problems);
    }

    fn import(&self, path: &Path) -> Result<Imported> {
        let (tensors, _) = tensor_file::load(path, Device::Cpu)?;
        self.rename.import(path, &tensors, &self.levels)
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        tensor_file::save(path, &self.rename.export(path, &network.parameters)?, &BTreeMap::new())
    }
}

synfire::inventory::submit! { Component::format::<Safetensors>("safetensors") }

#[cfg(test)]
mod tests {
    use super::super::renaming::tests::{elman, foreign};
    use super::*;

    #[test]
    fn every_bit_survives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        tensor_file::save(&path, &foreign(), &BTreeMap::new()).unwrap();
        let imported = Safetensors { rename: elman(), levels: Vec::new() }.import(&path).unwrap();
        assert!(elman().export(&path, &imported.parameters).unwrap().same_bytes(&foreign()));
        let missing = Safetensors::default().import(&folder.path().join("absent"));
        assert!(missing.unwrap_err().to_string().contains("absent"));
    }
}
