//! NumPy files of Python objects (`numpy.save` of a dictionary or a list), read without running them.
//!
//! Such a file is a header and a pickle. The machine of PyTorch files reads it with NumPy's own few names: the classes of arrays,
//! numbers and their kinds. Where they are written: `numpy/_core/src/multiarray/methods.c` and `descriptor.c`, `__reduce__`.

use super::archive::MAX_PICKLE_BYTES;
use super::pickle::{Id, Names, Node, Pickle, interpret};
use super::{Checked, Fault, Value};
use crate::storage::{atomic, npy};
use crate::{Error, Result};
use indexmap::IndexMap;
use std::path::Path;

/// Deepest nesting of dictionaries, lists and arrays.
const MAX_DEPTH: usize = 64;

/// Most values: a pickle can mention one list many times, so its length bounds nothing.
const MAX_VALUES: usize = 8_000_000;

/// What to do about a whole file that holds what we do not read.
const SAVE_NUMBERS: &str = "if you trust it, load it in Python and save its numbers as JSON";

/// Read a `.npy` file that holds Python objects (`numpy.save(path, {"loss": [...]})`) without running anything in it.
///
/// Dictionaries, lists, tuples, texts and numbers come as they are; NumPy's numbers become whole numbers, floating-point numbers
/// or truth values, and its arrays nested lists of them, one level an axis. An array without axes is the object it holds.
///
/// # Errors
/// [`Error::File`] when it is missing, damaged, holds a plain array (see [`read_npy`](crate::storage::read_npy)), or asks for a
/// function or class beside NumPy's `ndarray`, `dtype`, `scalar` and `_reconstruct`, which is named.
pub fn read_numpy_object(path: &Path) -> Result<Value> {
    let bytes = atomic::read(path)?;
    let pickle = npy::pickled(&bytes).map_err(|problem| Error::file(path, problem, "is it the right file?"))?;
    read(pickle).map_err(|fault| fault.of(path, SAVE_NUMBERS))
}

fn read(input: &[u8]) -> Checked<Value> {
    if input.len() as u64 > MAX_PICKLE_BYTES {
        return Err(Fault::foreign(format!("its objects take more than {} MiB", MAX_PICKLE_BYTES >> 20)));
    }
    let pickle = interpret(input, Names::Numpy)?;
    if pickle.length != input.len() {
        return Err(Fault::damaged("bytes follow its objects"));
    }
    Reader { pickle: &pickle, left: MAX_VALUES }.value(pickle.root, 0)
}

/// A kind of number: `f8` with its most significant byte last.
#[derive(Clone, Copy)]
struct Number {
    kind: u8,
    size: usize,
    big_endian: bool,
}

/// What an array holds.
enum Held {
    Objects,
    Numbers(Number),
}

struct Reader<'a> {
    pickle: &'a Pickle,
    /// Values that may still be made.
    left: usize,
}

impl<'a> Reader<'a> {
    fn charge(&mut self, values: usize) -> Checked<()> {
        self.left = self
            .left
            .checked_sub(values)
            .ok_or_else(|| Fault::foreign(format!("holds more than {MAX_VALUES} values")))?;
        Ok(())
    }

    fn value(&mut self, id: Id, depth: usize) -> Checked<Value> {
        if depth > MAX_DEPTH {
            return Err(Fault::foreign(format!("nests dictionaries and lists more than {MAX_DEPTH} deep")));
        }
        let pickle = self.pickle;
        self.charge(1)?;
        Ok(match pickle.node(id)? {
            Node::None => Value::None,
            &Node::Bool(value) => Value::Bool(value),
            &Node::Int(value) => Value::Int(value),
            &Node::Float(value) => Value::Float(value),
            Node::Text(text) => {
                self.charge(text.len())?;
                Value::Text(text.clone())
            }
            Node::Bytes(bytes) => {
                self.charge(bytes.len())?;
                Value::Bytes(bytes.clone())
            }
            Node::List(items) | Node::Tuple(items) => Value::List(self.values(items, depth)?),
            Node::Dict(entries) => {
                let mut dict = IndexMap::new();
                for &(key, value) in entries {
                    let key = match pickle.node(key)? {
                        Node::Text(text) => text.clone(),
                        Node::Int(number) => number.to_string(),
                        _ => {
                            return Err(Fault::foreign(
                                "a dictionary has a key that is neither a text nor a whole number",
                            ));
                        }
                    };
                    self.charge(key.len())?;
                    let value = self.value(value, depth + 1)?;
                    if dict.insert(key.clone(), value).is_some() {
                        return Err(Fault::foreign(format!("holds '{}' twice", super::pickle::shown(&key))));
                    }
                }
                Value::Dict(dict)
            }
            &Node::NumpyScalar(arguments) => self.scalar(arguments)?,
            Node::NumpyArray(Some(state)) => self.array(*state, depth)?,
            Node::NumpyArray(None) => return Err(Fault::damaged("an array was never filled")),
            Node::NumpyDtype(..) | Node::Global(_) | Node::Storage(_) | Node::Tensor(_) => {
                return Err(Fault::foreign("holds a class where a value should be"));
            }
        })
    }

    fn values(&mut self, items: &[Id], depth: usize) -> Checked<Vec<Value>> {
        items.iter().map(|&item| self.value(item, depth + 1)).collect()
    }

    /// `dtype('f8', False, True)`, whose state `(3, '<', ...)` says the order of bytes.
    fn held(&self, id: Id) -> Checked<Held> {
        let wrong = || Fault::damaged("a kind of number is not described by its code and the order of its bytes");
        let &Node::NumpyDtype(arguments, state) = self.pickle.node(id)? else { return Err(wrong()) };
        let Node::Tuple(arguments) = self.pickle.node(arguments)? else { return Err(wrong()) };
        let Some(&code) = arguments.first() else { return Err(wrong()) };
        let Node::Text(code) = self.pickle.node(code)? else { return Err(wrong()) };
        let order = match state.map(|state| self.pickle.node(state)).transpose()? {
            None => "|",
            Some(Node::Tuple(items)) => match items.get(1).map(|order| self.pickle.node(*order)).transpose()? {
                Some(Node::Text(order)) => order,
                _ => return Err(wrong()),
            },
            Some(_) => return Err(wrong()),
        };
        if !["<", ">", "|", "="].contains(&order) {
            return Err(wrong());
        }
        let (kind, size) = code.split_at_checked(1).ok_or_else(wrong)?;
        match (kind, size.parse::<usize>()) {
            ("O", _) => Ok(Held::Objects),
            ("f", Ok(2 | 4 | 8)) | ("i" | "u", Ok(1 | 2 | 4 | 8)) | ("b", Ok(1)) => Ok(Held::Numbers(Number {
                kind: kind.as_bytes()[0],
                size: size.parse().map_err(|_| wrong())?,
                big_endian: order == ">",
            })),
            _ => Err(Fault::foreign(format!(
                "holds numbers of the kind '{}'; only truth values, whole and floating-point numbers up to 64 bits are read",
                super::pickle::shown(code)
            ))),
        }
    }

    fn scalar(&mut self, arguments: Id) -> Checked<Value> {
        let wrong = || Fault::damaged("a number is not given by its kind and its bytes");
        let Node::Tuple(arguments) = self.pickle.node(arguments)? else { return Err(wrong()) };
        let &[kind, bytes] = arguments.as_slice() else { return Err(wrong()) };
        let (Held::Numbers(number), Node::Bytes(bytes)) = (self.held(kind)?, self.pickle.node(bytes)?) else {
            return Err(wrong());
        };
        if bytes.len() != number.size {
            return Err(wrong());
        }
        number.read(bytes)
    }

    /// The state `(version, shape, dtype, column-major, bytes or list)`.
    fn array(&mut self, state: Id, depth: usize) -> Checked<Value> {
        let wrong = || Fault::damaged("an array is not given by its shape, its kind and its values");
        let Node::Tuple(state) = self.pickle.node(state)? else { return Err(wrong()) };
        let &[_, shape, kind, column_major, data] = state.as_slice() else { return Err(wrong()) };
        let (Node::Tuple(shape), &Node::Bool(column_major)) =
            (self.pickle.node(shape)?, self.pickle.node(column_major)?)
        else {
            return Err(wrong());
        };
        let size = |&id: &Id| match self.pickle.node(id)? {
            &Node::Int(size) => usize::try_from(size).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let shape = shape.iter().map(size).collect::<Checked<Vec<usize>>>()?;
        if shape.len() > MAX_DEPTH {
            return Err(wrong());
        }
        let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size)).ok_or_else(wrong)?;
        let values = match (self.held(kind)?, self.pickle.node(data)?) {
            (Held::Objects, Node::List(items)) if items.len() == count => self.values(items, depth)?,
            (Held::Numbers(number), Node::Bytes(bytes)) if count.checked_mul(number.size) == Some(bytes.len()) => {
                self.charge(count)?;
                bytes.chunks_exact(number.size).map(|bytes| number.read(bytes)).collect::<Checked<_>>()?
            }
            _ => return Err(wrong()),
        };
        let values = if column_major && shape.len() > 1 { npy::row_major(&shape, &values) } else { values };
        nested(values, &shape).ok_or_else(wrong)
    }
}

/// Values in row-major order as lists of lists; `None` where an axis in front of others is empty of any use.
fn nested(mut values: Vec<Value>, shape: &[usize]) -> Option<Value> {
    let Some((_, inner)) = shape.split_first() else { return values.pop() };
    for size in inner.iter().rev() {
        if *size == 0 {
            return None;
        }
        let mut rest = values.into_iter();
        let mut rows = Vec::new();
        while rest.len() > 0 {
            rows.push(Value::List(rest.by_ref().take(*size).collect()));
        }
        values = rows;
    }
    Some(Value::List(values))
}

impl Number {
    /// The number in as many bytes as it takes.
    fn read(self, bytes: &[u8]) -> Checked<Value> {
        let mut wide = [0u8; 8];
        // The least significant byte first.
        let ordered = bytes.iter().copied();
        match self.big_endian {
            true => wide.iter_mut().zip(ordered.rev()).for_each(|(place, byte)| *place = byte),
            false => wide.iter_mut().zip(ordered).for_each(|(place, byte)| *place = byte),
        }
        let bits = u64::from_le_bytes(wide);
        let signed = || (bits << (64 - 8 * self.size)) as i64 >> (64 - 8 * self.size);
        Ok(match (self.kind, self.size) {
            (b'f', 2) => Value::Float(half::f16::from_bits(bits as u16).to_f64()),
            (b'f', 4) => Value::Float(f64::from(f32::from_bits(bits as u32))),
            (b'f', _) => Value::Float(f64::from_bits(bits)),
            (b'i', _) => Value::Int(signed()),
            (b'b', _) => Value::Bool(bits != 0),
            _ => Value::Int(
                i64::try_from(bits).map_err(|_| Fault::foreign("holds an unsigned whole number above 2^63"))?,
            ),
        })
    }
}

#[cfg(test)]
mod tests;
