//! NumPy archives.

use super::Renaming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use synfire::format::Imported;
use synfire::storage::array::Array;
use synfire::storage::npz::{read_npz, write_npz};
use synfire::tch::{Kind, Tensor};
use synfire::{Component, Error, Format, Network, Problems, Registry, Result, Tensors, tensors};

/// NumPy archives (`.npz`), one array a parameter.
///
/// Every floating-point array is a parameter under its own name, or under the one that `rename` gives it; heads are those named
/// `head.0.weight`, `head.1.weight` and so on. Half precision becomes single precision. The file does not say which cell its arrays
/// belong to: choose the one whose parameters have these names and shapes.
///
/// Source: `numpy.savez`, <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Npz {
    /// Names in the file on the left, names of parameters on the right; a `*` on both sides stands for the same text.
    pub rename: Renaming,
    /// Levels of difficulty that the heads answer, in the order of the heads; left out, unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<usize>,
}

#[typetag::serde(name = "npz")]
impl Format for Npz {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        self.rename.check(problems);
    }

    fn import(&self, path: &Path) -> Result<Imported> {
        let arrays = read_npz(path)?;
        let tensors = arrays.iter().map(|(name, array)| Ok((name.clone(), array.to_tensor()?)));
        self.rename.import(path, &tensors.collect::<Result<Tensors>>()?, &self.levels)
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        let tensors = self.rename.export(path, &network.parameters)?;
        let arrays = tensors.iter().map(|(name, tensor)| Ok((name, array(path, name, tensor)?)));
        write_npz(path, &arrays.collect::<Result<Vec<_>>>()?)
    }
}

fn array(path: &Path, name: &str, tensor: &Tensor) -> Result<Array> {
    let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
    match tensor.kind() {
        Kind::Float => Array::new(shape, tensors::values_f32(tensor)),
        Kind::Double => Array::new(shape, tensors::values_f64(tensor)),
        kind => {
            let problem = format_args!("cannot hold '{name}', a parameter of kind {kind:?}");
            Err(Error::file(path, problem, "use the format 'safetensors'"))
        }
    }
}

synfire::inventory::submit! { Component::format::<Npz>("npz") }

#[cfg(test)]
mod tests {
    use super::super::renaming::tests::{elman, foreign};
    use super::*;

    #[test]
    fn arrays_become_parameters_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.npz");
        let arrays: Vec<_> =
            foreign().iter().map(|(name, tensor)| (name.to_string(), array(&path, name, tensor).unwrap())).collect();
        let arrays: Vec<_> = arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
        write_npz(&path, &arrays).unwrap();
        let imported = Npz { rename: elman(), levels: Vec::new() }.import(&path).unwrap();
        assert!(elman().export(&path, &imported.parameters).unwrap().same_bytes(&foreign()));
        let whole = Tensor::from_slice(&[1i64]);
        assert!(array(&path, "count", &whole).unwrap_err().to_string().contains("'count'"));
    }
}
