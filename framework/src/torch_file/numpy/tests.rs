use super::*;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/storage").join(name)
}

fn floats(values: &[f64]) -> Value {
    Value::List(values.iter().map(|value| Value::Float(*value)).collect())
}

fn entry<'a>(value: &'a Value, key: &str) -> &'a Value {
    match value {
        Value::Dict(entries) => &entries[key],
        other => panic!("{other:?}"),
    }
}

/// Made by tests/fixtures/storage/make_objects.py: one as NumPy 1 wrote it, one of NumPy 2.
#[test]
fn dictionaries_of_numbers_and_arrays_are_read() {
    for name in ["objects_numpy1.npy", "objects_numpy2.npy"] {
        let value = read_numpy_object(&fixture(name)).unwrap();
        assert_eq!(entry(&value, "loss"), &floats(&[std::f64::consts::LN_2, 0.1, 1e-300]), "{name}");
        let accuracy = Value::List(vec![floats(&[50.0]), floats(&[99.5, 98.25])]);
        assert_eq!(entry(&value, "accuracy"), &accuracy, "{name}");
        let others = entry(&value, "others");
        assert_eq!(entry(others, "half"), &floats(&[0.5, 65504.0]), "{name}");
        assert_eq!(entry(others, "big"), &floats(&[1.5, -2.0]), "{name}");
        let whole = [-1, 127, i64::from(i16::MIN)].map(Value::Int).to_vec();
        assert_eq!(entry(others, "whole"), &Value::List(whole), "{name}");
        assert_eq!(entry(others, "yes"), &Value::Bool(true), "{name}");
        let grid = [[0, 1, 2], [3, 4, 5]].map(|row| Value::List(row.map(Value::Int).to_vec())).to_vec();
        assert_eq!(entry(others, "grid"), &Value::List(grid.clone()), "{name}");
        assert_eq!(entry(others, "columns"), &Value::List(grid), "{name}");
        assert_eq!(entry(others, "empty"), &Value::List(Vec::new()), "{name}");
        assert_eq!(entry(others, "texts"), &Value::List(vec![Value::Text("a".into()), Value::None]), "{name}");
    }
}

#[test]
fn nothing_else_is_called() {
    let error = read_numpy_object(&fixture("objects_hostile.npy")).unwrap_err().to_string();
    assert!(error.contains("refused: not a file of numbers") && error.contains("system"), "{error}");
    assert!(error.contains("as JSON"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.npy");
    crate::storage::write_npy(&path, &crate::storage::Array::from(vec![1.0f64])).unwrap();
    assert!(read_numpy_object(&path).unwrap_err().to_string().contains("plain numbers"));
}

#[test]
fn a_file_cut_or_altered_anywhere_never_panics() {
    let whole = std::fs::read(fixture("objects_numpy1.npy")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats.npy");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(read_numpy_object(&path), Err(Error::File { .. })), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x11;
        std::fs::write(&path, &altered).unwrap();
        let _ = read_numpy_object(&path);
    }
}
