//! The stream that PyTorch wrote before 1.6 and still writes with `_use_new_zipfile_serialization=False`.
//!
//! Five pickles (magic number, protocol 1001, machine, the object, the list of storage keys), then in the order of
//! that list each storage as an eight-byte element count and its bytes.

use super::archive::{MAX_PICKLE_BYTES, tensor_bytes};
use super::assemble::{Storages, assemble};
use super::pickle::{Names, Node, Pickle, interpret, shown};
use super::{Checked, Fault, TorchFile, storage_bytes};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;

/// The pickle of the magic number in protocol 2, the only one PyTorch used by default.
pub(super) const HEAD: [u8; 15] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

pub(super) fn read(file: File, length: u64) -> Checked<TorchFile> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(|error| Fault::damaged(format!("cannot be read ({error})")))?;
    let mut at = HEAD.len();
    let mut next = || -> Checked<Pickle> {
        let rest = bytes.get(at..).unwrap_or_default();
        let pickle = interpret(&rest[..rest.len().min(MAX_PICKLE_BYTES as usize)], Names::Torch)?;
        at += pickle.length;
        Ok(pickle)
    };
    let (protocol, machine, object, keys) = (next()?, next()?, next()?, next()?);
    if !matches!(protocol.node(protocol.root)?, Node::Int(1001)) {
        return Err(Fault::foreign("is an older PyTorch stream of a protocol other than 1001"));
    }
    little_endian(&machine)?;
    let places = places(&object, &keys, &bytes, at)?;
    assemble(&object, &mut Stream { bytes: &bytes, places })
}

fn little_endian(machine: &Pickle) -> Checked<()> {
    let Node::Dict(entries) = machine.node(machine.root)? else {
        return Err(Fault::damaged("the description of the machine is not a dictionary"));
    };
    for &(key, value) in entries {
        if let (Node::Text(key), Node::Bool(false)) = (machine.node(key)?, machine.node(value)?)
            && key == "little_endian"
        {
            return Err(Fault::foreign("was written on a big-endian machine"));
        }
    }
    Ok(())
}

/// Where each storage lies in `bytes`, the first at `at`.
fn places(object: &Pickle, keys: &Pickle, bytes: &[u8], mut at: usize) -> Checked<HashMap<String, Range<usize>>> {
    let mut named = HashMap::new();
    for node in &object.nodes {
        if let &Node::Storage(id) = node {
            let storage = object.storage_name(id)?;
            named.insert(storage.key, (storage.kind, storage.elements));
        }
    }
    let Node::List(order) = keys.node(keys.root)? else {
        return Err(Fault::damaged("the list of storages is not a list"));
    };
    let mut places = HashMap::new();
    for &key in order {
        let Node::Text(key) = keys.node(key)? else { return Err(Fault::damaged("the key of a storage is not a text")) };
        let wrong = || Fault::damaged(format!("storage {} ends early or has another length", shown(key)));
        let &(kind, elements) = named.get(key.as_str()).ok_or_else(wrong)?;
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or_else(wrong)?;
        let length = usize::try_from(storage_bytes(kind, elements)?).map_err(|_| wrong())?;
        let start = at + 8;
        at = start.checked_add(length).filter(|&end| end <= bytes.len()).ok_or_else(wrong)?;
        if u64::from_le_bytes(*count) != elements {
            return Err(wrong());
        }
        places.insert(key.clone(), start..at);
    }
    Ok(places)
}

struct Stream<'a> {
    bytes: &'a [u8],
    places: HashMap<String, Range<usize>>,
}

impl Storages for Stream<'_> {
    fn get(&mut self, key: &str, bytes: u64) -> Checked<&[u8]> {
        let place = self.places.get(key).and_then(|place| self.bytes.get(place.clone()));
        place
            .filter(|place| place.len() as u64 == bytes)
            .ok_or_else(|| Fault::damaged(format!("storage {} is missing or has another length", shown(key))))
    }

    fn tensor_bytes(&self) -> u64 {
        tensor_bytes(self.bytes.len() as u64)
    }
}
