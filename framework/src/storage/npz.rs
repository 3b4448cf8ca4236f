//! NumPy's `.npz` format: named arrays in a zip archive.

use super::array::Array;
use super::{atomic, npy};
use crate::{Error, Result};
use indexmap::IndexMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// The most bytes that the arrays of one file may have together once unpacked: 16 GiB.
pub const MOST_BYTES: u64 = 1 << 34;

/// What deflate can reach at best is 1032 : 1; an entry that claims more is damaged or malicious.
const BEST_COMPRESSION: u64 = 1032;

/// Entries this small may claim any compression: headers and rounding weigh in.
const SMALL_BYTES: u64 = 1 << 12;

/// Write named arrays to `path`, compressed and atomically; the same arrays give the same bytes.
///
/// `np.load(path)` reads them under the same names and in the same order.
///
/// # Errors
/// [`Error::File`] when a name is empty or given twice, [`Error::Io`] when the system refuses.
pub fn write_npz(path: impl AsRef<Path>, arrays: &[(&str, Array)]) -> Result<()> {
    let path = path.as_ref();
    for (index, (name, _)) in arrays.iter().enumerate() {
        if name.is_empty() || arrays[..index].iter().any(|(other, _)| other == name) {
            let problem = format!("cannot hold the array name '{name}': it is empty or there twice");
            return Err(Error::file(path, problem, "give each array a name of its own"));
        }
    }
    atomic::write_with(path, |file| {
        let mut archive = ZipWriter::new(file);
        for (name, array) in arrays {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .last_modified_time(DateTime::default())
                .unix_permissions(0o644)
                // Beyond 4 GiB the format needs longer fields; the margin is for the array's header.
                .large_file(array.len() as u64 * 8 > u64::from(u32::MAX) - (1 << 16));
            archive.start_file(format!("{name}.npy"), options)?;
            npy::encode(&mut archive, array)?;
        }
        archive.finish()?;
        Ok(())
    })
}

/// Read all arrays of the file at `path`, in the order of the archive, stored or compressed.
///
/// What a single array may be: see [`read_npy`](npy::read_npy).
///
/// # Errors
/// [`Error::File`] naming the array that is damaged or of an unsupported kind, when the archive is missing, damaged, or unpacks
/// to more than [`MOST_BYTES`]; [`Error::Io`] when the system refuses.
pub fn read_npz(path: impl AsRef<Path>) -> Result<IndexMap<String, Array>> {
    let path = path.as_ref();
    let refuse = |problem: String| Error::file(path, problem, npy::REMEDY);
    atomic::require_file(path)?;
    let file = File::open(path).map_err(Error::io(path))?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| refuse(format!("is damaged or not a NumPy archive: {error}")))?;
    let mut arrays = IndexMap::new();
    let mut total = 0u64;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| refuse(format!("is damaged: {error}")))?;
        let inside = entry.name().map_err(|error| refuse(format!("is damaged: {error}")))?.into_owned();
        let Some(name) = inside.strip_suffix(".npy").map(str::to_string) else {
            return Err(refuse(format!("holds '{inside}', which is not a NumPy array")));
        };
        let size = entry.size();
        total = total.saturating_add(size);
        if total > MOST_BYTES {
            return Err(refuse(format!("unpacks to more than {} GiB at '{name}'", MOST_BYTES >> 30)));
        }
        if size > SMALL_BYTES && size / BEST_COMPRESSION > entry.compressed_size() {
            return Err(refuse(format!("is damaged: '{name}' claims {size} bytes, more than its data can unpack to")));
        }
        let bytes = unpack(&mut entry, size).map_err(|error| refuse(format!("is damaged at '{name}': {error}")))?;
        let array = npy::decode(&bytes).map_err(|problem| refuse(format!("cannot be read: '{name}' {problem}")))?;
        if arrays.insert(name.clone(), array).is_some() {
            return Err(refuse(format!("holds '{name}' twice")));
        }
    }
    Ok(arrays)
}

/// Exactly `size` bytes, with the archive's own checksum compared at their end.
fn unpack(entry: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    let too_large = |_| io::Error::from(io::ErrorKind::OutOfMemory);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size).map_err(too_large)?).map_err(|_| io::ErrorKind::OutOfMemory)?;
    entry.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == size {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} bytes instead of {size}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::super::array::ArrayValues;
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        (folder, path)
    }

    fn sample() -> Vec<(&'static str, Array)> {
        vec![
            ("z/rates", Array::new([2, 3], vec![0.5f32, -1.0, 2.0, 3.0, f32::MAX, 0.0]).unwrap()),
            ("empty", Array::new([0, 2], Vec::<f64>::new()).unwrap()),
            ("a", Array::from(7i64)),
        ]
    }

    fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut archive = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn arrays_their_names_and_order_survive_and_bytes_repeat() {
        let (_folder, path) = place();
        write_npz(&path, &sample()).unwrap();
        let first = fs::read(&path).unwrap();
        let read: Vec<_> = read_npz(&path).unwrap().into_iter().collect();
        let expected: Vec<_> = sample().into_iter().map(|(name, array)| (name.to_string(), array)).collect();
        assert_eq!(read, expected);
        write_npz(&path, &sample()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        write_npz(&path, &[]).unwrap();
        assert!(read_npz(&path).unwrap().is_empty());
    }

    #[test]
    fn files_written_by_numpy_are_read() {
        // Made by tests/fixtures/storage/make_arrays.py.
        for file in ["stored.npz", "compressed.npz"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/storage").join(file);
            let arrays = read_npz(path).unwrap();
            let names: Vec<_> = arrays.keys().map(String::as_str).collect();
            let order = ["f4", "f8_fortran", "i4_big", "i8", "u1", "bool", "f2", "f8_big_fortran", "scalar", "empty"];
            assert_eq!(names, order);
            let grid = |scale: f64| (0..24).map(|i| f64::from(i) * scale).collect::<Vec<_>>();
            assert_eq!(
                arrays["f4"],
                Array::new([2, 3, 4], grid(0.5).iter().map(|x| *x as f32).collect::<Vec<_>>()).unwrap()
            );
            assert_eq!(arrays["f8_fortran"], Array::new([2, 3, 4], grid(0.1)).unwrap());
            assert_eq!(arrays["f8_big_fortran"], Array::new([4, 6], grid(-1.0)).unwrap());
            assert_eq!(arrays["i4_big"], Array::from(vec![-(1i64 << 31), -1, 0, 1, (1 << 31) - 1]));
            assert_eq!(arrays["i8"], Array::from(vec![i64::MIN, i64::MAX]));
            assert_eq!(arrays["u1"], Array::from(vec![0i64, 255]));
            assert_eq!(arrays["bool"], Array::new([2, 2], vec![1i64, 0, 0, 1]).unwrap());
            // Smallest subnormal, one third rounded to half precision, largest, and infinity.
            let halves = vec![2f32.powi(-24), 0.333_251_95, 65504.0, f32::INFINITY];
            assert_eq!(arrays["f2"].values(), &ArrayValues::F32(halves));
            assert_eq!(arrays["scalar"], Array::from(2.5f64));
            assert_eq!(arrays["empty"], Array::new([0, 5], Vec::<f32>::new()).unwrap());
        }
    }

    #[test]
    fn a_file_cut_or_altered_anywhere_never_panics() {
        let (_folder, path) = place();
        write_npz(&path, &sample()[..1]).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(read_npz(&path), Err(Error::File { .. })), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 0x41;
            fs::write(&path, &altered).unwrap();
            // The archive has fields nobody reads (dates, attributes); numbers that come out must be the right ones.
            if let Ok(arrays) = read_npz(&path) {
                assert!(arrays.values().all(|array| *array == sample()[0].1), "byte {at}");
            }
        }
    }

    #[test]
    fn foreign_and_hostile_archives_are_refused() {
        let (_folder, path) = place();
        assert!(read_npz(&path).unwrap_err().to_string().contains("does not exist"));
        let mut bomb = archive(&[("a.npy", &vec![0; 1 << 20])], CompressionMethod::Deflated);
        // The size in the central directory, 24 bytes after its signature, raised to 3 GiB.
        let directory = bomb.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        bomb[directory + 24..directory + 28].copy_from_slice(&(3u32 << 30).to_le_bytes());
        let objects = b"\x93NUMPY\x01\x00\x39\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n\x80\x04.";
        for (expected, bytes) in [
            ("not a NumPy archive", b"hello".to_vec()),
            ("holds 'model/data.pkl'", archive(&[("model/data.pkl", b"x")], CompressionMethod::Stored)),
            ("'a' is not a NumPy array", archive(&[("a.npy", b"x")], CompressionMethod::Stored)),
            ("'spikes' holds Python objects", archive(&[("spikes.npy", objects)], CompressionMethod::Deflated)),
            ("more than its data can unpack to", bomb),
        ] {
            fs::write(&path, bytes).unwrap();
            let text = read_npz(&path).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
        for names in [["a", "a"], ["a", ""]] {
            let arrays = names.map(|name| (name, Array::from(1i64)));
            let text = write_npz(&path, &arrays).unwrap_err().to_string();
            assert!(text.contains("empty or there twice"), "{text}");
        }
    }
}
