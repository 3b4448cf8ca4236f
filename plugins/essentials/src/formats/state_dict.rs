//! PyTorch state dicts.

use super::Renaming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use synfire::format::Imported;
use synfire::torch_file::{self, TorchFile, Value, WriteOptions};
use synfire::{Component, Error, Format, Network, Problems, Registry, Result, Tensors};

/// PyTorch state dicts (`.pt`, `.pth`), read without running them.
///
/// Every floating-point tensor is a parameter under its own name, or under the one that `rename` gives it; heads are those named
/// `head.0.weight`, `head.1.weight` and so on. The file does not say which cell its tensors belong to: choose the one whose
/// parameters have these names and shapes.
///
/// Source: PyTorch's `torch.save(model.state_dict(), path)`, <https://pytorch.org/docs/stable/notes/serialization.html>.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateDict {
    /// Names in the file on the left, names of parameters on the right; a `*` on both sides stands for the same text.
    pub rename: Renaming,
    /// Levels of difficulty that the heads answer, in the order of the heads; left out, unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<usize>,
    /// Key of the dictionary that holds the tensors, for example `model_state_dict`. Left out, they are those at the top, or those
    /// of the only dictionary that holds any; exporting then puts them at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
}

impl StateDict {
    /// The tensors meant, under their names.
    fn tensors(&self, path: &Path, file: &TorchFile) -> Result<Tensors> {
        if let Some(key) = &self.under {
            return file.below(key).map_err(|error| Error::file(path, error, "change the option 'under'"));
        }
        let Value::Dict(entries) = &file.root else { return Ok(file.tensors.shallow_clone()) };
        if entries.values().any(|value| matches!(value, Value::Tensor(_))) {
            let top = |name: &str| entries.get(name).is_some_and(|value| matches!(value, Value::Tensor(_)));
            let kept = file.tensors.iter().filter(|(name, _)| top(name));
            return Ok(kept.map(|(name, tensor)| (name.to_string(), tensor.shallow_clone())).collect());
        }
        let holders: Vec<&String> = entries.keys().filter(|key| file.below(key).is_ok()).collect();
        match holders[..] {
            [key] => file.below(key).map_err(|error| Error::file(path, error, "")),
            _ => {
                let keys = holders.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
                let problem = format_args!("holds tensors below several keys: {keys}");
                Err(Error::file(path, problem, "name the one to import with the option 'under'"))
            }
        }
    }
}

#[typetag::serde(name = "state-dict")]
impl Format for StateDict {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.rename.check(problems);
        if let Some(key) = &self.under {
            problems.require(!key.is_empty(), "under", "empty", "a key");
        }
    }

    fn import(&self, path: &Path) -> Result<Imported> {
        let file = torch_file::read(path)?;
        self.rename.import(path, &self.tensors(path, &file)?, &self.levels)
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        let tensors = self.rename.export(path, &network.parameters)?;
        torch_file::write(path, &tensors, &WriteOptions { under: self.under.as_deref() })
    }
}

synfire::inventory::submit! { Component::format::<StateDict>("state-dict") }

#[cfg(test)]
mod tests {
    use super::super::renaming::tests::{elman, foreign};
    use super::*;

    #[test]
    fn a_state_dict_is_found_at_the_top_or_below_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt");
        for under in [None, Some("model_state_dict")] {
            torch_file::write(&path, &foreign(), &WriteOptions { under }).unwrap();
            for format in [
                StateDict { rename: elman(), ..StateDict::default() },
                StateDict { rename: elman(), under: under.map(str::to_string), ..StateDict::default() },
            ] {
                let imported = format.import(&path).unwrap();
                assert_eq!(imported.heads, [0]);
                let back = elman().export(&path, &imported.parameters).unwrap();
                assert!(back.same_bytes(&foreign()));
            }
        }
        let wrong = StateDict { under: Some("weights".into()), ..StateDict::default() }.import(&path);
        assert!(wrong.unwrap_err().to_string().contains("model_state_dict"));
    }
}
