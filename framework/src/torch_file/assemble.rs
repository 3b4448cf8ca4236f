//! From the nodes of a pickle to tensors and values.

use super::pickle::{Global, Id, Node, Pickle, shown};
use super::{Checked, Fault, TorchFile, Value, storage_bytes};
use crate::Tensors;
use indexmap::map::Entry;
use tch::{Kind, Tensor};

/// Deepest nesting of dictionaries and lists.
const MAX_DEPTH: usize = 64;

/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

/// Memory for names and plain values. A pickle can mention one text or list many times, so its length bounds nothing.
const MAX_VALUE_BYTES: usize = 256 << 20;

/// Where the bytes of storages lie.
pub(super) trait Storages {
    /// The storage called `key`, which must hold exactly `bytes` bytes.
    fn get(&mut self, key: &str, bytes: u64) -> Checked<&[u8]>;

    /// Memory that all tensors together may take. Views with stride 0 or many views of one storage can claim any
    /// amount, so this follows the size of the file.
    fn tensor_bytes(&self) -> u64;
}

/// The persistent id of a storage.
pub(super) struct StorageName<'a> {
    pub key: &'a str,
    pub kind: Kind,
    pub elements: u64,
}

impl Pickle {
    pub(super) fn node(&self, id: Id) -> Checked<&Node> {
        self.nodes.get(id as usize).ok_or_else(|| Fault::damaged("the pickle refers to an object it does not hold"))
    }

    /// Read the tuple `("storage", class, key, device, elements)`. The device is where the tensor was; it comes to
    /// the CPU. The older stream adds a sixth item for views, always `None` since PyTorch 0.4.
    pub(super) fn storage_name(&self, id: Id) -> Checked<StorageName<'_>> {
        let wrong = || Fault::damaged("a tensor's storage is not named by (\"storage\", class, key, device, elements)");
        let Node::Tuple(items) = self.node(id)? else { return Err(wrong()) };
        let (fixed, rest) = items.split_at_checked(5).ok_or_else(wrong)?;
        match rest {
            [] => {}
            &[view] if matches!(self.node(view)?, Node::None) => {}
            _ => return Err(Fault::foreign("holds views in the layout of PyTorch before 0.4")),
        }
        match (self.node(fixed[0])?, self.node(fixed[1])?, self.node(fixed[2])?, self.node(fixed[4])?) {
            (Node::Text(tag), &Node::Global(Global::Storage(kind)), Node::Text(key), &Node::Int(elements))
                if tag == "storage" =>
            {
                Ok(StorageName { key, kind, elements: u64::try_from(elements).map_err(|_| wrong())? })
            }
            _ => Err(wrong()),
        }
    }

    fn sizes(&self, id: Id) -> Checked<Vec<i64>> {
        let wrong = || Fault::damaged("the shape of a tensor is not a short tuple of whole numbers");
        let Node::Tuple(items) = self.node(id)? else { return Err(wrong()) };
        if items.len() > MAX_DIMENSIONS {
            return Err(wrong());
        }
        let size = |&item: &Id| match self.node(item)? {
            &Node::Int(size) if size >= 0 => Ok(size),
            _ => Err(wrong()),
        };
        items.iter().map(size).collect()
    }
}

/// Build everything that the root of `pickle` reaches.
pub(super) fn assemble(pickle: &Pickle, storages: &mut dyn Storages) -> Checked<TorchFile> {
    let tensor_bytes = storages.tensor_bytes();
    let mut assembly =
        Assembly { pickle, storages, tensors: Tensors::new(), tensor_bytes, value_bytes: MAX_VALUE_BYTES };
    let root = assembly.value(pickle.root, "", 0)?;
    if assembly.tensors.is_empty() {
        return Err(Fault::foreign("holds no tensor"));
    }
    Ok(TorchFile { tensors: assembly.tensors, root })
}

struct Assembly<'a> {
    pickle: &'a Pickle,
    storages: &'a mut dyn Storages,
    tensors: Tensors,
    /// What is left for tensors.
    tensor_bytes: u64,
    /// What is left for names and values.
    value_bytes: usize,
}

impl Assembly<'_> {
    /// Charge `bytes` of names and values before they are made.
    fn charge(&mut self, bytes: usize) -> Checked<()> {
        let charged = bytes.saturating_add(size_of::<Value>());
        self.value_bytes = self.value_bytes.checked_sub(charged).ok_or_else(|| {
            Fault::foreign(format!("its names and plain values take more than {} MiB", MAX_VALUE_BYTES >> 20))
        })?;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Checked<String> {
        self.charge(text.len())?;
        Ok(text.to_string())
    }

    fn value(&mut self, id: Id, name: &str, depth: usize) -> Checked<Value> {
        if depth > MAX_DEPTH {
            return Err(Fault::foreign(format!("nests dictionaries and lists more than {MAX_DEPTH} deep")));
        }
        let pickle = self.pickle;
        self.charge(0)?;
        Ok(match pickle.node(id)? {
            Node::None => Value::None,
            &Node::Bool(value) => Value::Bool(value),
            &Node::Int(value) => Value::Int(value),
            &Node::Float(value) => Value::Float(value),
            Node::Text(text) => Value::Text(self.text(text)?),
            Node::Bytes(bytes) => {
                self.charge(bytes.len())?;
                Value::Bytes(bytes.clone())
            }
            Node::List(items) | Node::Tuple(items) => {
                let mut list = Vec::new();
                for (position, &item) in items.iter().enumerate() {
                    let name = self.join(name, &position.to_string())?;
                    list.push(self.value(item, &name, depth + 1)?);
                }
                Value::List(list)
            }
            Node::Dict(entries) => {
                let mut dict = indexmap::IndexMap::new();
                for &(key, value) in entries {
                    let key = self.key(key)?;
                    let name = self.join(name, &key)?;
                    let value = self.value(value, &name, depth + 1)?;
                    match dict.entry(key) {
                        Entry::Vacant(place) => place.insert(value),
                        Entry::Occupied(place) => return Err(twice(place.key())),
                    };
                }
                Value::Dict(dict)
            }
            &Node::Tensor(arguments) => {
                // A tensor saved alone has no key.
                let name = if name.is_empty() { "tensor" } else { name };
                let tensor = self.tensor(arguments, name)?;
                if self.tensors.contains(name) {
                    return Err(twice(name));
                }
                let (stored, shown) = (self.text(name)?, self.text(name)?);
                self.tensors.insert(stored, tensor);
                Value::Tensor(shown)
            }
            Node::Storage(_) => {
                return Err(Fault::foreign(format!("'{}' is a bare storage, not a tensor", shown(name))));
            }
            Node::NumpyArray(_) | Node::NumpyDtype(..) | Node::NumpyScalar(_) => {
                return Err(Fault::foreign(format!("'{}' is NumPy's, not a tensor", shown(name))));
            }
            Node::Global(global) => return Err(Fault::foreign(format!("'{}' is the class {global:?}", shown(name)))),
        })
    }

    fn key(&mut self, id: Id) -> Checked<String> {
        match self.pickle.node(id)? {
            Node::Text(text) => self.text(text),
            Node::Int(number) => self.text(&number.to_string()),
            _ => Err(Fault::foreign("a dictionary has a key that is neither a text nor a whole number")),
        }
    }

    fn join(&mut self, above: &str, key: &str) -> Checked<String> {
        self.charge(above.len() + 1 + key.len())?;
        Ok(if above.is_empty() { key.to_string() } else { format!("{above}.{key}") })
    }

    /// Rebuild the tensor `(storage, offset, size, stride, ...)`, contiguous and with memory of its own.
    fn tensor(&mut self, arguments: Id, name: &str) -> Checked<Tensor> {
        let pickle = self.pickle;
        let wrong = |what: &str| Fault::damaged(format!("tensor '{}': {what}", shown(name)));
        let Node::Tuple(arguments) = pickle.node(arguments)? else { return Err(wrong("no arguments")) };
        let &[storage, offset, size, stride, ref rest @ ..] = arguments.as_slice() else {
            return Err(wrong("storage, offset, shape or strides are missing"));
        };
        // After the gradient flag and its hooks: bits that conjugate or negate the stored numbers.
        if let Some(&bits) = rest.get(2)
            && !matches!(pickle.node(bits)?, Node::Dict(entries) if entries.is_empty())
        {
            return Err(Fault::foreign(format!("tensor '{}' is a lazy conjugate or negative", shown(name))));
        }
        let (&Node::Storage(storage), &Node::Int(offset)) = (pickle.node(storage)?, pickle.node(offset)?) else {
            return Err(wrong("storage or offset is of another type"));
        };
        let storage = pickle.storage_name(storage)?;
        let (size, stride) = (pickle.sizes(size)?, pickle.sizes(stride)?);
        let last = last_element(offset, &size, &stride).ok_or_else(|| wrong("offset, shape and strides do not fit"))?;
        if last.is_some_and(|last| last >= storage.elements) {
            return Err(wrong("reaches beyond its storage"));
        }
        let width = storage.kind.elt_size_in_bytes();
        // The shape of an empty tensor may hold any number beside the zero.
        let count = match last {
            None => Some(0),
            Some(_) => size.iter().try_fold(1u64, |count, &size| count.checked_mul(size as u64)),
        };
        let bytes = count.and_then(|count| count.checked_mul(width as u64)).filter(|&bytes| bytes <= self.tensor_bytes);
        let bytes = bytes.ok_or_else(|| {
            Fault::foreign(format!(
                "tensor '{}' of shape {size:?} and the ones before it take far more memory than the file holds",
                shown(name)
            ))
        })?;
        self.tensor_bytes -= bytes;
        let stored = self.storages.get(storage.key, storage_bytes(storage.kind, storage.elements)?)?;
        let values = gather(stored, width, offset as usize, &size, &stride, bytes as usize)
            .ok_or_else(|| wrong("reaches beyond its storage"))?;
        if storage.kind == Kind::Bool && values.iter().any(|&byte| byte > 1) {
            return Err(wrong("a truth value is neither 0 nor 1"));
        }
        Tensor::f_from_data_size(&values, &size, storage.kind)
            .map_err(|error| wrong(&crate::Error::from(error).to_string()))
    }
}

fn twice(name: &str) -> Fault {
    Fault::foreign(format!("holds '{}' twice", shown(name)))
}

/// The highest element of the storage that a tensor touches, `Some(None)` for a tensor without elements, `None` when
/// the numbers contradict each other.
fn last_element(offset: i64, size: &[i64], stride: &[i64]) -> Option<Option<u64>> {
    let mut last = u64::try_from(offset).ok()?;
    if size.len() != stride.len() {
        return None;
    }
    if size.contains(&0) {
        return Some(None);
    }
    for (&size, &stride) in size.iter().zip(stride) {
        last = last.checked_add((size as u64 - 1).checked_mul(stride as u64)?)?;
    }
    Some(Some(last))
}

/// Copy a strided view out of `stored`, row by row; `None` where it leaves `stored`.
fn gather(stored: &[u8], width: usize, offset: usize, size: &[i64], stride: &[i64], bytes: usize) -> Option<Vec<u8>> {
    if bytes == 0 {
        return Some(Vec::new());
    }
    let mut out = Vec::with_capacity(bytes);
    // Trailing dimensions that lie densely are copied in one go.
    let (mut run, mut outer) = (1usize, size.len());
    while outer > 0 && (size[outer - 1] == 1 || stride[outer - 1] as usize == run) {
        outer -= 1;
        run = run.checked_mul(size[outer] as usize)?;
    }
    let mut index = vec![0i64; outer];
    while out.len() < bytes {
        let place =
            index.iter().zip(stride).map(|(&index, &stride)| index as usize * stride as usize).sum::<usize>() + offset;
        out.extend_from_slice(stored.get(place * width..(place + run) * width)?);
        for dimension in (0..outer).rev() {
            index[dimension] += 1;
            if index[dimension] < size[dimension] {
                break;
            }
            index[dimension] = 0;
        }
    }
    Some(out)
}
