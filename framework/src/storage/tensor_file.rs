//! Tensors on disk in the safetensors format, with their order and text beside them.
//!
//! The format sorts tensors by kind and name; the order of our maps is kept as a JSON list under the metadata key `order`. The
//! same tensors and metadata give the same bytes. Any safetensors reader can read the files.

use super::atomic;
use crate::{Error, Result, Tensors, tensors};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Metadata key under which the order of the tensors is kept; users of [`save`] may not set it.
pub const ORDER_KEY: &str = "order";

/// The header key that the format reserves for metadata.
const METADATA_KEY: &str = "__metadata__";

/// libtorch itself refuses operations on more axes than this.
const MOST_AXES: usize = 64;

/// Write `tensors` and `metadata` to `path`, atomically.
///
/// Tensors may lie on any device, in any memory layout, and have zero elements or zero axes. Kinds: `f64`, `f32`, `f16`, `bf16`,
/// `i64`, `i32`, `i16`, `i8`, `u8`, `bool`.
///
/// # Errors
/// [`Error::File`] for a tensor of another kind or a reserved name, [`Error::Io`] when the system refuses.
pub fn save(path: impl AsRef<Path>, tensors: &Tensors, metadata: &BTreeMap<String, String>) -> Result<()> {
    let path = path.as_ref();
    let mut entries = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors.iter() {
        if name == METADATA_KEY {
            return Err(Error::file(path, format_args!("cannot hold a tensor named '{name}'"), "rename the tensor"));
        }
        let dtype = tensor.defined().then(|| dtype_of(tensor.kind())).flatten().ok_or_else(|| {
            let kind = if tensor.defined() { format!("of kind {:?}", tensor.kind()) } else { "without values".into() };
            Error::file(path, format_args!("cannot hold '{name}', a tensor {kind}"), "convert it to another kind")
        })?;
        entries.push((name, tensor, dtype));
    }
    // The rule of the format: widest kinds first, which keeps every tensor aligned, then by name.
    entries.sort_by_key(|(name, _, dtype)| (Reverse(*dtype), *name));
    let header = header(path, tensors, metadata, &entries)?;
    atomic::write_with(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        entries.iter().try_for_each(|(_, tensor, _)| file.write_all(&tensors::bytes(tensor)))
    })
}

/// Read the tensors at `path` onto `device`, in the order in which they were saved, and the metadata.
///
/// Files by other programs, without a saved order, give their tensors in the order of the data.
///
/// # Errors
/// [`Error::File`] when the file is missing, damaged, cut off or of another format, [`Error::Torch`] when libtorch cannot use
/// `device`.
pub fn load(path: impl AsRef<Path>, device: Device) -> Result<(Tensors, BTreeMap<String, String>)> {
    let path = path.as_ref();
    let refuse = |problem: String| {
        Error::file(path, problem, "restore it from a copy, or use an earlier checkpoint or the program that wrote it")
    };
    let bytes = atomic::read(path)?;
    // Checks that every byte of the data belongs to exactly one tensor of matching size, so nothing below can be out of bounds.
    let (header_length, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|error| refuse(format!("is damaged or not a safetensors file: {error}")))?;
    let data = &bytes[size_of::<u64>() + header_length..];
    let mut metadata: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let names = order(metadata.remove(ORDER_KEY), &header).map_err(refuse)?;
    let mut tensors = Tensors::new();
    for name in names {
        let info =
            header.info(&name).ok_or_else(|| refuse(format!("lacks the tensor '{name}' that its order names")))?;
        let kind = kind_of(info.dtype)
            .ok_or_else(|| refuse(format!("holds '{name}' of kind {}, which is not supported", info.dtype)))?;
        let shape = shape_of(&info.shape)
            .ok_or_else(|| refuse(format!("holds '{name}' with the impossible shape {:?}", info.shape)))?;
        let (start, end) = info.data_offsets;
        let tensor = Tensor::f_from_data_size(&data[start..end], &shape, kind)?;
        tensors.insert(name, if device == Device::Cpu { tensor } else { tensor.f_to_device(device)? });
    }
    Ok((tensors, metadata))
}

/// The JSON header, padded to the alignment of the widest kind. The crate keeps metadata in a hash map, whose order differs from
/// run to run, so the metadata are put in sorted here.
fn header(
    path: &Path,
    tensors: &Tensors,
    metadata: &BTreeMap<String, String>,
    entries: &[(&str, &Tensor, Dtype)],
) -> Result<Vec<u8>> {
    let refuse = |error: &dyn std::fmt::Display| Error::file(path, format_args!("cannot be written: {error}"), "");
    if metadata.contains_key(ORDER_KEY) {
        return Err(refuse(&format_args!("the metadata key '{ORDER_KEY}' is reserved")));
    }
    let mut offset = 0;
    let mut infos = Vec::with_capacity(entries.len());
    for (name, tensor, dtype) in entries {
        let shape: Vec<usize> = tensor.size().into_iter().map(|size| size.unsigned_abs() as usize).collect();
        let length = tensor.numel() * tensor.kind().elt_size_in_bytes();
        infos.push((name.to_string(), TensorInfo { dtype: *dtype, shape, data_offsets: (offset, offset + length) }));
        offset += length;
    }
    let infos = Metadata::new(None, infos).map_err(|error| refuse(&error))?;
    let Value::Object(infos) = serde_json::to_value(&infos).map_err(|error| refuse(&error))? else {
        return Err(refuse(&"the header is no JSON object"));
    };
    let order: Value = tensors.names().collect();
    let mut sorted: BTreeMap<&str, String> = metadata.iter().map(|(key, text)| (key.as_str(), text.clone())).collect();
    sorted.insert(ORDER_KEY, order.to_string());
    let sorted: Map<String, Value> = sorted.into_iter().map(|(key, text)| (key.to_string(), text.into())).collect();
    let mut header = Map::new();
    header.insert(METADATA_KEY.into(), sorted.into());
    header.extend(infos);
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    Ok(header)
}

/// The names in order: as saved, else as the data lie.
fn order(saved: Option<String>, header: &Metadata) -> Result<Vec<String>, String> {
    let Some(saved) = saved else { return Ok(header.offset_keys()) };
    let names: Vec<String> =
        serde_json::from_str(&saved).map_err(|error| format!("has a damaged tensor order: {error}"))?;
    let distinct: HashSet<&str> = names.iter().map(String::as_str).collect();
    if distinct.len() != names.len() || names.len() != header.offset_keys().len() {
        return Err("has a tensor order that does not name each of its tensors once".into());
    }
    Ok(names)
}

/// The shape as libtorch counts, unless it cannot be one.
fn shape_of(shape: &[usize]) -> Option<Vec<i64>> {
    // An empty tensor may claim axes of any length, whose product still must not overflow.
    let product =
        shape.iter().try_fold(1i64, |product, size| product.checked_mul(i64::try_from(*size).ok()?.max(1)))?;
    let fits = product.checked_mul(8).is_some() && shape.len() <= MOST_AXES;
    fits.then(|| shape.iter().map(|size| *size as i64).collect())
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|(known, _)| *known == kind).map(|(_, dtype)| *dtype)
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(_, known)| *known == dtype).map(|(kind, _)| *kind)
}

const KINDS: [(Kind, Dtype); 10] = [
    (Kind::Double, Dtype::F64),
    (Kind::Float, Dtype::F32),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Int8, Dtype::I8),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

#[cfg(test)]
mod tests;
