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
    let expected = [&(padded.len() as u64).to_le_bytes()[..], padded.as_bytes(), &[0, 0, 0x80, 0x3f, 1, 2]].concat();
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
    let header =
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#;
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
