use super::pickle::{Names, interpret};
use super::*;
use crate::Stream;
use crate::tensors::{bytes, values_f32, values_f64};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use tch::Tensor;
use zip::write::SimpleFileOptions;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Read bytes as if they were the file `checkpoint.pt`.
fn read_bytes(bytes: &[u8]) -> Result<TorchFile> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.pt");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

/// The zip fixture with its pickle edited.
fn edited(edit: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut source = zip::ZipArchive::new(std::fs::File::open(fixture("torch_zip.pt")).unwrap()).unwrap();
    let mut target = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut edit = Some(edit);
    for index in 0..source.len() {
        let mut entry = source.by_index(index).unwrap();
        let name = entry.name().unwrap().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if let Some(edit) = edit.take_if(|_| name.ends_with("data.pkl")) {
            content = edit(content);
        }
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        target.start_file(name, options).unwrap();
        target.write_all(&content).unwrap();
    }
    target.finish().unwrap().into_inner()
}

fn replaced(from: &[u8], to: &[u8]) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |pickle| {
        let mut out = Vec::new();
        let mut at = 0;
        while at < pickle.len() {
            if pickle[at..].starts_with(from) {
                out.extend(to);
                at += from.len();
            } else {
                out.push(pickle[at]);
                at += 1;
            }
        }
        assert_ne!(out, pickle, "the pickle does not hold what the test wants to replace");
        out
    }
}

fn refusal(bytes: &[u8]) -> String {
    match read_bytes(bytes).expect_err("refused") {
        error @ Error::File { .. } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The values that `make_torch_fixture.py` gives its tensors.
fn check_fixture(file: &TorchFile) {
    let names = [
        "model.weight",
        "model.bias",
        "tensors.z_double",
        "tensors.a_long",
        "tensors.mask",
        "tensors.brain",
        "tensors.half",
        "tensors.byte",
        "tensors.scalar",
        "tensors.empty",
        "tensors.base",
        "tensors.transposed",
        "tensors.block",
        "tensors.expanded",
        "tensors.parameter",
        "optimizer.state.0.step",
    ];
    assert_eq!(file.tensors.names().collect::<Vec<_>>(), names);
    let expect = |name: &str, kind: Kind, size: &[i64], values: &[f64]| {
        let tensor = file.tensors.get(name).unwrap();
        assert_eq!((tensor.kind(), tensor.size().as_slice()), (kind, size), "{name}");
        assert_eq!(values_f64(tensor), values, "{name}");
    };
    expect("model.weight", Kind::Float, &[2, 3], &[0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);
    expect("model.bias", Kind::Float, &[2], &[-1.0, 0.5]);
    expect("tensors.z_double", Kind::Double, &[2], &[1.0 / 3.0, -2.0]);
    expect("tensors.a_long", Kind::Int64, &[2, 2], &[1.0, -2.0, 1_099_511_627_776.0, 4.0]);
    expect("tensors.mask", Kind::Bool, &[3], &[1.0, 0.0, 1.0]);
    expect("tensors.brain", Kind::BFloat16, &[3], &[1.0, -0.5, 3.140625]);
    expect("tensors.half", Kind::Half, &[2], &[0.5, 65504.0]);
    expect("tensors.byte", Kind::Uint8, &[2], &[0.0, 255.0]);
    expect("tensors.scalar", Kind::Int, &[], &[7.0]);
    expect("tensors.empty", Kind::Float, &[0, 3], &[]);
    let base: Vec<f64> = (0..12).map(f64::from).collect();
    expect("tensors.base", Kind::Float, &[3, 4], &base);
    let transposed = [0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0];
    expect("tensors.transposed", Kind::Float, &[4, 3], &transposed);
    expect("tensors.block", Kind::Float, &[2, 2], &[5.0, 6.0, 9.0, 10.0]);
    expect("tensors.expanded", Kind::Float, &[2, 3], &[2.5; 6]);
    expect("tensors.parameter", Kind::Float, &[1], &[9.0]);
    expect("optimizer.state.0.step", Kind::Float, &[], &[3.0]);
}

#[test]
fn a_checkpoint_of_every_kind_of_tensor_and_value_is_read_in_both_layouts() {
    for name in ["torch_zip.pt", "torch_stream.pt"] {
        let file = read(&fixture(name)).unwrap();
        check_fixture(&file);
        let Value::Dict(root) = &file.root else { panic!("{:?}", file.root) };
        let keys =
            ["model", "tensors", "optimizer", "epoch", "loss", "done", "nothing", "note", "kind", "history", "shape"];
        assert_eq!(root.keys().collect::<Vec<_>>(), keys);
        assert_eq!(root["epoch"], Value::Int(300));
        assert_eq!(root["loss"], Value::Float(0.25));
        assert_eq!(root["done"], Value::Bool(true));
        assert_eq!(root["nothing"], Value::None);
        assert_eq!(root["note"], Value::Text("tau ≥ 1".into()));
        assert_eq!(root["kind"], Value::Text("torch.float32".into()));
        let pair = Value::List(vec![Value::Int(-1), Value::Int(1 << 40)]);
        assert_eq!(root["history"], Value::List(vec![Value::Float(0.5), Value::Int(70000), pair]));
        assert_eq!(root["shape"], Value::List(vec![Value::Int(2), Value::Int(3)]));
        let Value::Dict(model) = &root["model"] else { panic!("{root:?}") };
        assert_eq!(model["weight"], Value::Tensor("model.weight".into()));
    }
}

#[test]
fn tensors_that_shared_a_storage_are_independent() {
    let file = read(&fixture("torch_zip.pt")).unwrap();
    let _ = file.tensors.get("tensors.base").unwrap().shallow_clone().fill_(0);
    assert_eq!(values_f32(file.tensors.get("tensors.block").unwrap()), [5.0, 6.0, 9.0, 10.0]);
}

#[test]
fn below_takes_the_prefix_off_and_names_the_keys_that_are_there() {
    let file = read(&fixture("torch_zip.pt")).unwrap();
    assert_eq!(file.below("model").unwrap().names().collect::<Vec<_>>(), ["weight", "bias"]);
    assert_eq!(file.below("optimizer.state").unwrap().names().collect::<Vec<_>>(), ["0.step"]);
    let message = file.below("state_dict").unwrap_err().to_string();
    assert!(message.starts_with("no tensor below 'state_dict'; the file has the keys: model, tensors"), "{message}");
}

#[test]
fn a_tensor_saved_from_a_gpu_comes_to_the_cpu() {
    check_fixture(&read_bytes(&edited(replaced(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"))).unwrap());
}

#[test]
fn what_is_written_is_read_back_bit_for_bit_and_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.v2.pt");
    let mut tensors = read(&fixture("torch_zip.pt")).unwrap().tensors;
    // Bits that arithmetic would lose, a non-contiguous tensor, and a key without a dot.
    tensors.insert("odd", Tensor::from_slice(&[f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY]));
    tensors.insert("turned", Tensor::from_slice(&[1i64, 2, 3, 4, 5, 6]).view([2, 3]).tr());
    for under in [None, Some("state_dict")] {
        write(&path, &tensors, &WriteOptions { under }).unwrap();
        let first = std::fs::read(&path).unwrap();
        let file = read(&path).unwrap();
        let found = under.map_or_else(|| file.tensors.shallow_clone(), |key| file.below(key).unwrap());
        assert!(found.same_bytes(&tensors));
        write(&path, &tensors, &WriteOptions { under }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "same tensors, same bytes");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn entries_are_named_stored_and_aligned_as_pytorch_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rnn_N5_N5");
    let tensors = Tensors::from([("a", Tensor::from_slice(&[1f32])), ("b", Tensor::from_slice(&[2i64, 3]))]);
    write(&path, &tensors, &WriteOptions::default()).unwrap();
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
    let mut names = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let start = entry.data_start().unwrap();
        assert_eq!((start % 64, entry.compression()), (0, zip::CompressionMethod::Stored));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        names.push((entry.name().unwrap().to_string(), content));
    }
    assert_eq!(
        names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["rnn_N5_N5/data.pkl", "rnn_N5_N5/data/0", "rnn_N5_N5/data/1", "rnn_N5_N5/version"]
    );
    assert_eq!(names[1].1, 1f32.to_le_bytes());
    assert_eq!(names[3].1, b"3\n");
}

#[test]
fn what_cannot_be_written_is_refused_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pt");
    std::fs::write(&path, "old").unwrap();
    let options = WriteOptions::default();
    assert!(write(&path, &Tensors::new(), &options).unwrap_err().to_string().contains("no tensor to write"));
    let odd = Tensors::from([("spectrum", Tensor::zeros([2], (Kind::ComplexDouble, tch::Device::Cpu)))]);
    let message = write(&path, &odd, &options).unwrap_err().to_string();
    assert!(message.contains("tensor 'spectrum' is of kind ComplexDouble"), "{message}");
    let missing = folder.path().join("absent/model.pt");
    assert!(matches!(write(&missing, &Tensors::from([("a", Tensor::from(1f32))]), &options), Err(Error::Io { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

#[test]
fn a_pickle_that_calls_the_shell_is_refused_by_name_and_not_run() {
    let message = read(&fixture("torch_hostile.pt")).unwrap_err().to_string();
    assert!(message.contains("the file asks to call posix.system; refused: not a tensor file"), "{message}");
    assert!(message.contains("torch.save(model.state_dict(), path)"), "{message}");
    assert!(!Path::new("synfire_was_here").exists());
    // The same name through the opcode of newer protocols, and through a class of PyTorch that is not in the list.
    let message = refusal(&edited(|_| b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.".to_vec()));
    assert!(message.contains("posix.system"), "{message}");
    let message = refusal(&edited(replaced(b"BFloat16Storage", b"QInt8Storage\0\0\0")));
    assert!(message.contains("torch.QInt8Storage"), "{message}");
}

#[test]
fn files_that_are_no_checkpoints_say_what_they_lack() {
    assert!(matches!(read(Path::new("does/not/exist.pt")), Err(Error::Io { .. })));
    assert!(refusal(b"").contains("is not a PyTorch checkpoint"));
    assert!(refusal(b"\x93NUMPY").contains("is not a PyTorch checkpoint"));
    assert!(refusal(&edited(|_| b"\x80\x02}X\x01\0\0\0aK\x01s.".to_vec())).contains("holds no tensor"));
    assert!(refusal(&edited(|_| b"\x80\x02}".to_vec())).contains("the file is damaged or incomplete"));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("readme", SimpleFileOptions::default()).unwrap();
    assert!(refusal(&zip.finish().unwrap().into_inner()).contains("without a data.pkl"));
}

#[test]
fn lengths_that_a_file_only_claims_cost_nothing() {
    // _rebuild_tensor_v2 of storage 0 (six floats), with offset, size and stride to choose.
    let tensor = |elements: &[u8], offset: &[u8], size: &[u8], stride: &[u8]| {
        let mut code = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu".to_vec();
        for part in [elements, b"tQ", offset, size, stride, b"\x89}tR."] {
            code.extend(part);
        }
        code
    };
    let read_one = |elements: &[u8], offset: &[u8], size: &[u8], stride: &[u8]| {
        read_bytes(&edited(|_| tensor(elements, offset, size, stride))).map_err(|error| error.to_string())
    };
    let six = read_one(b"K\x06", b"K\x00", b"K\x02K\x03\x86", b"K\x03K\x01\x86").unwrap();
    assert_eq!(six.root, Value::Tensor("tensor".into()));
    assert_eq!(values_f32(six.tensors.get("tensor").unwrap()), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);
    let mut lazy = tensor(b"K\x06", b"K\x00", b"K\x06\x85", b"K\x01\x85");
    lazy.truncate(lazy.len() - 3);
    lazy.extend(b"}X\x04\0\0\0conj\x88stR.");
    assert!(refusal(&edited(|_| lazy)).contains("lazy conjugate"));
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let pair = [huge.as_slice(), huge, b"\x86"].concat();
    let cases: [(&str, Result<TorchFile, String>); 8] = [
        ("claims", read_one(huge, b"K\x00", b"K\x06\x85", b"K\x01\x85")),
        ("does not fit", read_one(b"K\x07", b"K\x00", b"K\x06\x85", b"K\x01\x85")),
        ("reaches beyond its storage", read_one(b"K\x06", b"K\x01", b"K\x06\x85", b"K\x01\x85")),
        ("do not fit", read_one(b"K\x06", huge, &pair, &pair)),
        ("far more memory", read_one(b"K\x06", b"K\x00", &pair, b"K\x00K\x00\x86")),
        ("do not fit", read_one(b"K\x06", b"K\x00", b"K\x06\x85", b")")),
        ("short tuple of whole numbers", read_one(b"K\x06", b"K\x00", b"J\xff\xff\xff\xff\x85", b"K\x01\x85")),
        ("offset", read_one(b"K\x06", b"J\xff\xff\xff\xff", b"K\x06\x85", b"K\x01\x85")),
    ];
    for (expected, result) in cases {
        let message = result.expect_err(expected);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn nesting_and_repetition_are_bounded() {
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
    assert!(refusal(&edited(|_| deep)).contains("deep"));
    // Each list holds the one before it twice: 2^60 items in 400 bytes.
    let mut doubled = b"K\x01".to_vec();
    for _ in 0..60 {
        doubled.extend(b"q\x00](h\x00h\x00e");
    }
    doubled.push(b'.');
    assert!(refusal(&edited(|_| doubled)).contains("MiB"));
    // A list that holds itself.
    assert!(refusal(&edited(|_| b"]q\x00h\x00a.".to_vec())).contains("deep"));
    let fault = interpret(b"q\x00.", Names::Torch).unwrap_err();
    assert!(fault.problem.contains("stack"), "{fault:?}");
}

/// Memory that the tensors of a damaged but readable file take, against the bound.
fn check_bound(length: usize, result: &Result<TorchFile>) {
    match result {
        Ok(file) => {
            let held: usize = file.tensors.iter().map(|(_, tensor)| bytes(tensor).len()).sum();
            assert!(held as u64 <= archive::tensor_bytes(length as u64));
        }
        Err(error) => assert!(matches!(error, Error::File { remedy, .. } if !remedy.is_empty()), "{error:?}"),
    }
}

#[test]
fn truncated_and_flipped_files_give_an_error_or_tensors_but_never_a_panic() {
    for name in ["torch_zip.pt", "torch_stream.pt"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for percent in (0..100).step_by(2) {
            let cut = whole.len() * percent / 100;
            let result = read_bytes(&whole[..cut]);
            assert!(matches!(result, Err(Error::File { .. })), "{name} cut to {percent}%: {result:?}");
        }
        let mut stream = Stream::new(11).child(name);
        let mut refused = 0;
        for _ in 0..500 {
            let mut damaged = whole.clone();
            let at = stream.below(whole.len() as u64) as usize;
            damaged[at] ^= 1 << stream.below(8);
            let result = read_bytes(&damaged);
            check_bound(damaged.len(), &result);
            refused += usize::from(result.is_err());
        }
        assert!(refused > 0, "{name}: no flip was noticed");
    }
}

#[test]
fn a_pickle_with_flipped_bytes_inside_a_sound_archive_never_panics() {
    let mut stream = Stream::new(12);
    for _ in 0..500 {
        let damaged = edited(|mut pickle| {
            for _ in 0..=stream.below(3) {
                let at = stream.below(pickle.len() as u64) as usize;
                pickle[at] = stream.below(256) as u8;
            }
            pickle
        });
        check_bound(damaged.len(), &read_bytes(&damaged));
    }
}

/// Networks published with the timescales paper, relative to [`published`].
const PUBLISHED: [&str; 4] = [
    "cumulative_parity_network_1/rnn_init",
    "cumulative_parity_network_1/rnn_N2_N10",
    "single_parity_network_1/rnn_N5_N5",
    "single_parity_network_1/rnn_N10_N10",
];

/// The folder of the published networks, where it is present.
fn published() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/timescales");
    if !data.is_dir() {
        println!(
            "skipped: {} is not here; the networks were published without a licence and are no part of synfire",
            data.display()
        );
        return None;
    }
    Some(data)
}

/// Then: `python framework/tests/fixtures/make_torch_fixture.py --check target/torch_file/fixture.pt`, and for each
/// network `... --same target/torch_file/NAME PUBLISHED_FILE`.
#[test]
#[ignore = "writes target/torch_file/ for PyTorch to check by hand"]
fn files_for_pytorch_to_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/torch_file");
    std::fs::create_dir_all(&folder).unwrap();
    let tensors = read(&fixture("torch_zip.pt")).unwrap().tensors;
    write(&folder.join("fixture.pt"), &tensors, &WriteOptions::default()).unwrap();
    let Some(data) = published() else { return };
    for place in PUBLISHED {
        let tensors = read(&data.join(place)).unwrap().below("state_dict").unwrap();
        let copy = folder.join(place.replace('/', "_"));
        write(&copy, &tensors, &WriteOptions { under: Some("state_dict") }).unwrap();
    }
}

#[test]
fn published_networks_are_read_and_written_back_bit_for_bit() {
    let Some(data) = published() else { return };
    let mut names = Vec::new();
    let layer = |part: usize| [format!("modulelist.{part}.weight"), format!("modulelist.{part}.bias")];
    names.push("parameterlist.0".to_string());
    names.extend((0..102).flat_map(layer));
    let folder = tempfile::tempdir().unwrap();
    for place in PUBLISHED {
        let file = read(&data.join(place)).unwrap();
        let tensors = file.below("state_dict").unwrap();
        assert_eq!((file.tensors.len(), tensors.len()), (205, 205));
        assert_eq!(tensors.names().collect::<Vec<_>>(), names);
        for (name, tensor) in tensors.iter() {
            let expected: &[i64] = match name {
                "parameterlist.0" | "modulelist.0.bias" | "modulelist.1.bias" => &[500],
                "modulelist.0.weight" => &[500, 1],
                "modulelist.1.weight" => &[500, 500],
                head if head.ends_with("weight") => &[2, 500],
                _ => &[2],
            };
            assert_eq!((tensor.size().as_slice(), tensor.kind()), (expected, Kind::Float), "{name}");
        }
        assert!(values_f32(tensors.get("parameterlist.0").unwrap()).iter().all(|tau| tau.is_finite()));
        let copy = folder.path().join("copy");
        write(&copy, &tensors, &WriteOptions { under: Some("state_dict") }).unwrap();
        assert!(read(&copy).unwrap().tensors.same_bytes(&file.tensors));
    }
}
