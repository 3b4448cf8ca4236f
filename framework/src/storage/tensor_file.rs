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
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        (folder, path)
    }

    fn sample() -> Tensors {
        let grid = Tensor::from_slice(&[1.5f32, -2.0, 3.25, f32::NAN, 0.0, -0.0]).reshape([2, 3]);
        Tensors::from([
            ("weights", grid.shallow_clone()),
            ("turned", grid.transpose(0, 1)),
            ("b", Tensor::from_slice(&[0.1f64, f64::INFINITY])),
            ("a", Tensor::from(7i64)),
            ("count", Tensor::from_slice(&[i32::MIN, i32::MAX])),
            ("mask", Tensor::from_slice(&[true, false, true])),
            ("bytes", Tensor::from_slice(&[0u8, 255])),
            ("half", grid.to_kind(Kind::Half)),
            ("brain", grid.to_kind(Kind::BFloat16)),
            ("short", Tensor::from_slice(&[-3i16])),
            ("nothing", Tensor::zeros([0], (Kind::Float, Device::Cpu))),
            ("flat", Tensor::zeros([3, 0, 2], (Kind::Double, Device::Cpu))),
            ("needs \"quotes\" \u{e9}", Tensor::from(1.0f32).set_requires_grad(true)),
        ])
    }

    fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn every_kind_shape_and_the_order_survive() {
        let (_folder, path) = place();
        let metadata = text(&[("z", "last"), ("cell", "leaky-rnn\n"), ("a", "")]);
        save(&path, &sample(), &metadata).unwrap();
        let (tensors, found) = load(&path, Device::Cpu).unwrap();
        assert_eq!(found, metadata);
        assert!(tensors.same_bytes(&sample()), "{:?}", tensors.names().collect::<Vec<_>>());
        assert!(tensors.iter().all(|(_, tensor)| !tensor.requires_grad()));
        save(&path, &Tensors::new(), &BTreeMap::new()).unwrap();
        let (tensors, found) = load(&path, Device::Cpu).unwrap();
        assert!(tensors.is_empty() && found.is_empty());
    }

    #[test]
    fn the_same_contents_are_the_same_bytes() {
        let (_folder, path) = place();
        let metadata: BTreeMap<String, String> = (0..20).map(|i| (format!("key{i}"), i.to_string())).collect();
        let runs: Vec<_> = (0..3)
            .map(|_| {
                save(&path, &sample(), &metadata).unwrap();
                fs::read(&path).unwrap()
            })
            .collect();
        assert!(runs[0] == runs[1] && runs[1] == runs[2]);
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let (_folder, path) = place();
        let tensors = Tensors::from([("b", Tensor::from_slice(&[1u8, 2])), ("a", Tensor::from_slice(&[1.0f32]))]);
        save(&path, &tensors, &text(&[("k", "v")])).unwrap();
        let header = concat!(
            r#"{"__metadata__":{"k":"v","order":"[\"b\",\"a\"]"},"#,
            r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}"#
        );
        let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let expected =
            [&(padded.len() as u64).to_le_bytes()[..], padded.as_bytes(), &[0, 0, 0x80, 0x3f, 1, 2]].concat();
        assert_eq!(fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn a_file_cut_at_any_byte_or_with_any_byte_altered_never_panics() {
        let (_folder, path) = place();
        let tensors = Tensors::from([("b", Tensor::from_slice(&[1u8, 2])), ("a", Tensor::from_slice(&[1.0f32]))]);
        save(&path, &tensors, &BTreeMap::new()).unwrap();
        let bytes = fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(matches!(load(&path, Device::Cpu), Err(Error::File { .. })), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for flip in [0x01, 0x02, 0x10, 0x80] {
                let mut altered = bytes.clone();
                altered[at] ^= flip;
                fs::write(&path, &altered).unwrap();
                // Many alterations still are a valid file (that is what checksums are for); none may do worse than fail.
                if let Err(error) = load(&path, Device::Cpu) {
                    assert!(matches!(error, Error::File { .. }), "byte {at}: {error:?}");
                }
            }
        }
    }

    fn foreign(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn hostile_and_foreign_files_are_refused_with_a_remedy() {
        let (_folder, path) = place();
        let cases: [(&str, Vec<u8>); 9] = [
            ("does not exist", vec![]),
            ("not a safetensors file", b"PK\x03\x04 an archive of something else".to_vec()),
            ("header too large", u64::MAX.to_le_bytes().to_vec()),
            ("header length", (1u64 << 20).to_le_bytes().to_vec()),
            (
                "overflow",
                foreign(r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#, &[0; 4]),
            ),
            (
                "impossible shape",
                foreign(r#"{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}"#, &[]),
            ),
            ("kind U32", foreign(r#"{"a":{"dtype":"U32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4])),
            (
                "does not name each",
                foreign(
                    r#"{"__metadata__":{"order":"[\"a\",\"a\"]"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
                    &[0],
                ),
            ),
            (
                "lacks the tensor 'b'",
                foreign(
                    r#"{"__metadata__":{"order":"[\"b\"]"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
                    &[0],
                ),
            ),
        ];
        for (expected, bytes) in cases {
            if !bytes.is_empty() {
                fs::write(&path, bytes).unwrap();
            }
            match load(&path, Device::Cpu) {
                Err(Error::File { problem, remedy, .. }) => {
                    assert!(problem.contains(expected) && !remedy.is_empty(), "{problem}; {remedy}");
                }
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_file_without_our_order_comes_in_the_order_of_its_data() {
        let (_folder, path) = place();
        let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#;
        fs::write(&path, foreign(header, &[5, 6])).unwrap();
        let (tensors, _) = load(&path, Device::Cpu).unwrap();
        assert_eq!(tensors.names().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(tensors.get("b").unwrap().int64_value(&[]), 5);
    }

    #[test]
    fn what_cannot_be_saved_is_refused_before_anything_is_written() {
        let (_folder, path) = place();
        let complex = Tensor::zeros([1], (Kind::ComplexFloat, Device::Cpu));
        for (tensors, metadata, expected) in [
            (Tensors::from([("z", complex)]), text(&[]), "ComplexFloat"),
            (Tensors::from([("z", Tensor::new())]), text(&[]), "without values"),
            (Tensors::from([("__metadata__", Tensor::from(1i64))]), text(&[]), "__metadata__"),
            (Tensors::new(), text(&[("order", "x")]), "reserved"),
        ] {
            let error = save(&path, &tensors, &metadata).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!path.exists());
        }
    }
}
