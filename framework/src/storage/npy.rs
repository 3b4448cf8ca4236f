//! NumPy's `.npy` format: one array with its shape and kind.

use super::array::{Array, ArrayValues, count};
use super::atomic;
use crate::{Error, Result};
use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar, WriteOptions, WriterBuilder};
use std::io::{self, Write};
use std::path::Path;

/// NumPy itself has no more axes than this.
const MOST_AXES: usize = 64;

/// A header of a plain array opens two brackets, its dictionary and its shape; a pile of them could exhaust the parser's stack.
const MOST_BRACKETS: usize = 16;

/// Write one array to `path`, atomically.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn write_npy(path: impl AsRef<Path>, array: &Array) -> Result<()> {
    atomic::write_with(path, |file| encode(file, array))
}

/// Read the array at `path`: any byte order, row- or column-major, of booleans, integers or floating-point numbers.
///
/// Half precision becomes single; booleans and integers become `i64`.
///
/// # Errors
/// [`Error::File`] when the file is missing, damaged, or holds something else, such as text or Python objects.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    let bytes = atomic::read(path)?;
    decode(&bytes).map_err(|problem| Error::file(path, problem, REMEDY))
}

/// What to do about an array that cannot be read.
pub(super) const REMEDY: &str = "save it again from NumPy, as plain numbers";

/// Write `array` in the format.
pub(super) fn encode(file: impl Write, array: &Array) -> io::Result<()> {
    fn put<T: npyz::AutoSerialize + Copy>(file: impl Write, shape: &[u64], values: &[T]) -> io::Result<()> {
        let mut writer = WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    }
    let shape: Vec<u64> = array.shape().iter().map(|size| *size as u64).collect();
    match array.values() {
        ArrayValues::F32(values) => put(file, &shape, values),
        ArrayValues::F64(values) => put(file, &shape, values),
        ArrayValues::I64(values) => put(file, &shape, values),
    }
}

/// Read an array from the whole content of a file; the error is the problem in words.
pub(super) fn decode(bytes: &[u8]) -> Result<Array, String> {
    let start = data_start(bytes)?;
    let header = NpyHeader::from_reader(&bytes[..start]).map_err(|error| format!("has a damaged header: {error}"))?;
    if header.uses_pickled_array() {
        return Err("holds Python objects, which are never read because reading them can run any program".into());
    }
    let DType::Plain(kind) = header.dtype() else {
        return Err("holds records of several fields, which are not supported".into());
    };
    let shape: Vec<usize> = header.shape().iter().map_while(|size| usize::try_from(*size).ok()).collect();
    let (Some(count), true) = (count(&shape), shape.len() == header.shape().len() && shape.len() <= MOST_AXES) else {
        return Err(format!("has the impossible shape {:?}", header.shape()));
    };
    let data = &bytes[start..];
    let expected = kind.num_bytes().and_then(|size| size.checked_mul(count));
    if expected != Some(data.len()) {
        let expected = expected.map_or("more than can be counted".to_string(), |bytes| bytes.to_string());
        return Err(format!("is cut off or damaged: it has {} bytes of data, its header says {expected}", data.len()));
    }
    let order = header.order();
    let file = NpyFile::with_header(header, data);
    let values = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 2) => ArrayValues::F32(numbers(file, half::f16::to_f32)?),
        (TypeChar::Float, 4) => ArrayValues::F32(numbers(file, |value: f32| value)?),
        (TypeChar::Float, 8) => ArrayValues::F64(numbers(file, |value: f64| value)?),
        (TypeChar::Bool, _) => ArrayValues::I64(numbers(file, |value: bool| i64::from(value))?),
        (TypeChar::Int, 1) => ArrayValues::I64(numbers(file, |value: i8| i64::from(value))?),
        (TypeChar::Int, 2) => ArrayValues::I64(numbers(file, |value: i16| i64::from(value))?),
        (TypeChar::Int, 4) => ArrayValues::I64(numbers(file, |value: i32| i64::from(value))?),
        (TypeChar::Int, 8) => ArrayValues::I64(numbers(file, |value: i64| value)?),
        (TypeChar::Uint, 1) => ArrayValues::I64(numbers(file, |value: u8| i64::from(value))?),
        (TypeChar::Uint, 2) => ArrayValues::I64(numbers(file, |value: u16| i64::from(value))?),
        (TypeChar::Uint, 4) => ArrayValues::I64(numbers(file, |value: u32| i64::from(value))?),
        (TypeChar::Uint, 8) => {
            let values = numbers(file, |value: u64| i64::try_from(value).ok())?;
            let values: Option<Vec<i64>> = values.into_iter().collect();
            ArrayValues::I64(values.ok_or("holds unsigned integers above 2^63, which are not supported")?)
        }
        _ => {
            return Err(format!("is of kind '{kind}'; only booleans, integers and floats up to 64 bits are supported"));
        }
    };
    let values = match (order, values) {
        (Order::C, values) => values,
        (Order::Fortran, ArrayValues::F32(values)) => ArrayValues::F32(row_major(&shape, &values)),
        (Order::Fortran, ArrayValues::F64(values)) => ArrayValues::F64(row_major(&shape, &values)),
        (Order::Fortran, ArrayValues::I64(values)) => ArrayValues::I64(row_major(&shape, &values)),
    };
    Array::new(shape, values).map_err(|error| error.to_string())
}

/// The pickle in a file whose array holds Python objects; the error is the problem in words.
pub(crate) fn pickled(bytes: &[u8]) -> Result<&[u8], String> {
    let start = data_start(bytes)?;
    let header = NpyHeader::from_reader(&bytes[..start]).map_err(|error| format!("has a damaged header: {error}"))?;
    match header.dtype() {
        DType::Plain(_) if header.uses_pickled_array() => Ok(&bytes[start..]),
        _ => Err("holds plain numbers, not Python objects".into()),
    }
}

/// Where the data begin, after refusing headers that the parser could not bear: it trusts the header's length, recurses at each
/// bracket and multiplies the shape unchecked.
fn data_start(bytes: &[u8]) -> Result<usize, String> {
    let Some((&[major, _], rest)) = bytes.strip_prefix(b"\x93NUMPY").and_then(<[u8]>::split_first_chunk::<2>) else {
        return Err("is not a NumPy array".into());
    };
    let (length, before) = match (major, rest) {
        (1, [a, b, ..]) => (u32::from(u16::from_le_bytes([*a, *b])), 10),
        (2 | 3, [a, b, c, d, ..]) => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
        (1..=3, _) => return Err("is cut off in its header".into()),
        _ => return Err(format!("is of version {major} of the NumPy format, which is not known")),
    };
    let start = before + length as usize;
    let header = bytes.get(before..start).ok_or("is cut off in its header")?;
    if header.iter().filter(|byte| b"([{".contains(byte)).count() > MOST_BRACKETS {
        return Err("holds records of many fields or has a damaged header".into());
    }
    let digits = header.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let product = digits
        .map(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok())
        .try_fold(1u64, |p, n| p.checked_mul(n?.max(1)));
    product.map(|_| start).ok_or_else(|| "has an impossible shape".into())
}

fn numbers<T: Deserialize, N>(file: NpyFile<&[u8]>, convert: impl Fn(T) -> N) -> Result<Vec<N>, String> {
    let values = file.data::<T>().map_err(|error| format!("cannot be read: {error}"))?;
    values.map(|value| value.map(&convert)).collect::<io::Result<_>>().map_err(|error| format!("is damaged: {error}"))
}

/// The same array with the last axis running fastest, from one in which the first does.
pub(crate) fn row_major<T: Clone>(shape: &[usize], values: &[T]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for size in shape {
        strides.push(stride);
        stride *= size;
    }
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut ordered = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        ordered.push(values[at].clone());
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of format version 1.0 with an unpadded header.
    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    fn plain(descr: &str, shape: &str, data: &[u8]) -> Result<Array, String> {
        decode(&npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"), data))
    }

    #[test]
    fn arrays_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for array in [
            Array::new([2, 1, 3], vec![0.1, -0.0, f64::INFINITY, 1e-310, 5.0, 6.0]).unwrap(),
            Array::new([0, 3], Vec::<f32>::new()).unwrap(),
            Array::from(vec![i64::MIN, 0, i64::MAX]),
            Array::from(1.5f32),
        ] {
            write_npy(&path, &array).unwrap();
            assert_eq!(read_npy(&path).unwrap(), array);
        }
    }

    #[test]
    fn column_major_arrays_are_turned() {
        let data: Vec<u8> = (0..24).collect();
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }";
        let array = decode(&npy(header, &data)).unwrap().to_f64();
        // Element [i, j, k] lies at i + 2 j + 6 k in the file.
        for (at, value) in array.into_iter().enumerate() {
            let (i, j, k) = (at / 12, at / 4 % 3, at % 4);
            assert_eq!(value, (i + 2 * j + 6 * k) as f64);
        }
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused_by_name() {
        for (descr, expected) in [
            ("'|O'", "Python objects"),
            ("[('a', '<f8'), ('b', '|O')]", "Python objects"),
            ("[('a', '<f4'), ('b', '<f4')]", "records"),
            ("'<U2'", "kind '<U2'"),
            ("'<c8'", "kind '<c8'"),
            ("'<M8[ms]'", "kind '<M8[ms]'"),
            ("'nonsense'", "damaged header"),
            ("'<f4', 'descr2': ((((((((((((((((((((1,),),),),),),),),),),),),),),),),),),),)", "many fields"),
        ] {
            let problem = plain(descr, "(1,)", &[0; 8]).unwrap_err();
            assert!(problem.contains(expected), "{descr}: {problem}");
        }
        assert!(plain("'<u8'", "(1,)", &[0xff; 8]).unwrap_err().contains("2^63"));
    }

    #[test]
    fn impossible_sizes_are_refused_before_memory_is_taken() {
        for (shape, expected) in [
            ("(2305843009213693952,)", "impossible shape"),
            ("(4294967296, 4294967296, 2)", "impossible shape"),
            ("(99999999999999999999999,)", "impossible shape"),
            ("(0, 4611686018427387904)", "impossible shape"),
            ("(1000000000,)", "header says 8000000000"),
            ("(-1,)", "damaged header"),
            ("(2,)", "header says 16"),
            ("()", "ok"),
        ] {
            let outcome = plain("'<f8'", shape, &[0; 8]);
            let text = outcome.map(|_| "ok".to_string()).unwrap_or_else(|problem| problem);
            assert!(text.contains(expected), "{shape}: {text}");
        }
        let axes = format!("({})", "1,".repeat(65));
        assert!(plain("'|u1'", &axes, &[0]).unwrap_err().contains("impossible shape"));
        let long = [b"\x93NUMPY\x02\x00", &u32::MAX.to_le_bytes()[..], b"{}"].concat();
        assert!(decode(&long).unwrap_err().contains("cut off"));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_refused() {
        let whole = npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", &[0, 1, 0xff, 0xfe]);
        assert_eq!(decode(&whole).unwrap(), Array::from(vec![1i64, -2]));
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 0x11;
            // Whether it can be read or not, it may not panic.
            let _ = decode(&altered);
        }
    }
}
