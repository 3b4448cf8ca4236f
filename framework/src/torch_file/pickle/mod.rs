//! The pickle stack machine, restricted to what tensors and plain values need.
//!
//! It builds a table of nodes that refer to each other by number. So nothing recurses however deeply a hostile file
//! nests, and an object that the file mentions a million times is stored once. Opcodes: Python's `pickletools`.

mod allowed;
mod machine;

pub(super) use allowed::{Global, Names};

use super::{Checked, Fault};
use allowed::global;
use machine::{MAX_NODES, Machine};

/// Number of a node in [`Pickle::nodes`].
pub(super) type Id = u32;

/// Latest protocol PyTorch and Python write.
const MAX_PROTOCOL: u8 = 5;

/// One object of the pickle.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A persistent id; the tuple that names the storage.
    Storage(Id),
    /// A tensor; the arguments it is rebuilt from.
    Tensor(Id),
    /// A NumPy array; the state that fills it.
    NumpyArray(Option<Id>),
    /// A NumPy kind of number; its arguments, and the state that says the order of its bytes.
    NumpyDtype(Id, Option<Id>),
    /// A NumPy number; its kind and bytes.
    NumpyScalar(Id),
}

/// A pickle after its program ran.
#[derive(Debug)]
pub(super) struct Pickle {
    pub nodes: Vec<Node>,
    pub root: Id,
    /// Bytes of the input that the program took.
    pub length: usize,
}

/// Interpret the pickle at the start of `input`, which may use these names.
pub(super) fn interpret(input: &[u8], names: Names) -> Checked<Pickle> {
    let mut machine = Machine::new(input, names);
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle { nodes: machine.nodes, root, length: machine.at })
}

/// `text` fit for an error message: short and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

impl Machine<'_> {
    /// Run one opcode; false after STOP.
    fn step(&mut self) -> Checked<bool> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => return Ok(false),
            0x80 => {
                let protocol = self.byte()?;
                if protocol > MAX_PROTOCOL {
                    return Err(Fault::foreign(format!(
                        "uses pickle protocol {protocol}, known are 0 to {MAX_PROTOCOL}"
                    )));
                }
            }
            // A frame only tells how far to read ahead.
            0x95 => drop(self.take(8)?),
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => self.long()?,
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length.into())?;
            }
            // Python 2 wrote its texts with 'T' and 'U'.
            0x8c | b'U' => {
                let length = self.byte()?;
                self.text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(length)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array()?);
                let bytes = self.take(length.into())?.to_vec();
                self.push(Node::Bytes(bytes))?;
            }
            b'C' => {
                let length = self.byte()?;
                let bytes = self.take(length.into())?.to_vec();
                self.push(Node::Bytes(bytes))?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b']' => self.push(Node::List(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.above_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let first = self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or_else(Self::empty)?;
                let items = self.stack.split_off(first);
                self.push(Node::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            b'e' => {
                let items = self.above_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.above_mark()?;
                self.extend_dict(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let node = global(self.names, module, name)?;
                self.push(node)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let node = match (self.node(module)?, self.node(name)?) {
                    (Node::Text(module), Node::Text(name)) => global(self.names, module, name)?,
                    _ => return Err(Fault::damaged("names a function by something that is not a text")),
                };
                self.push(node)?;
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => {
                let name = self.pop()?;
                self.push(Node::Storage(name))?;
            }
            b'q' => {
                let slot = self.byte()?;
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.remember(slot)?;
            }
            0x94 => {
                let slot = u32::try_from(self.memo.len()).map_err(|_| Self::too_many())?;
                self.remember(slot)?;
            }
            b'h' => {
                let slot = self.byte()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            other => {
                return Err(Fault::foreign(format!("uses pickle opcode {other:#04x}, which tensor files do not need")));
            }
        }
        Ok(true)
    }

    fn text(&mut self, length: u64) -> Checked<()> {
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|_| Fault::damaged("a text is not UTF-8"))?.to_string();
        self.push(Node::Text(text))
    }

    fn long(&mut self) -> Checked<()> {
        let length = self.byte()?;
        let bytes = self.take(length.into())?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        let room = wide
            .get_mut(..bytes.len())
            .ok_or_else(|| Fault::foreign(format!("holds a whole number of {length} bytes, wider than 64 bits")))?;
        room.copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(wide)))
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Checked<()> {
        match self.top_node()? {
            Node::List(list) => list.extend(items),
            _ => return Err(Fault::damaged("the pickle appends to something that is not a list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Checked<()> {
        let pairs = items.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(Fault::damaged("a dictionary has a key without a value"));
        }
        match self.top_node()? {
            Node::Dict(entries) => entries.extend(pairs.map(|pair| (pair[0], pair[1]))),
            _ => return Err(Fault::damaged("the pickle sets an entry of something that is not a dictionary")),
        }
        Ok(())
    }

    /// Call one of the allowed functions.
    fn reduce(&mut self) -> Checked<()> {
        let (arguments_id, function) = (self.pop()?, self.pop()?);
        let Node::Global(function) = *self.node(function)? else {
            return Err(Fault::damaged("the pickle calls something that is not a function"));
        };
        let Node::Tuple(arguments) = self.node(arguments_id)? else {
            return Err(Fault::damaged("the pickle calls a function without a tuple of arguments"));
        };
        match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => self.push(Node::Dict(Vec::new())),
            // Python 2 hands over a list of pairs.
            (Global::OrderedDict, &[list]) => {
                let entries = self.pairs(list)?;
                self.copied += entries.len();
                self.push(Node::Dict(entries))
            }
            (Global::RebuildTensor, _) => self.push(Node::Tensor(arguments_id)),
            // A parameter is its tensor; whether it wants a gradient is the experiment's business.
            (Global::RebuildParameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                Ok(())
            }
            (Global::Size, &[size]) => {
                self.stack.push(size);
                Ok(())
            }
            (Global::NumpyReconstruct, &[class, _, _])
                if matches!(self.node(class)?, Node::Global(Global::NumpyArray)) =>
            {
                self.push(Node::NumpyArray(None))
            }
            (Global::NumpyDtype, _) => self.push(Node::NumpyDtype(arguments_id, None)),
            (Global::NumpyScalar, _) => self.push(Node::NumpyScalar(arguments_id)),
            _ => Err(Fault::damaged(format!("the pickle calls {function:?} with {} arguments", arguments.len()))),
        }
    }

    fn pairs(&self, list: Id) -> Checked<Vec<(Id, Id)>> {
        let wrong = || Fault::damaged("a dictionary is made from something that is not a list of pairs");
        let (Node::List(items) | Node::Tuple(items)) = self.node(list)? else { return Err(wrong()) };
        if self.copied.saturating_add(items.len()) > MAX_NODES {
            return Err(Self::too_many());
        }
        let pair = |&item: &Id| match self.node(item)? {
            Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(wrong()),
        };
        items.iter().map(pair).collect()
    }

    /// BUILD sets attributes. On a dictionary these are PyTorch's `_metadata` (module versions), which we drop; on NumPy's
    /// objects it is what fills them, once.
    fn build(&mut self) -> Checked<()> {
        let state = self.pop()?;
        match self.top_node()? {
            Node::Dict(_) => Ok(()),
            Node::NumpyArray(place) | Node::NumpyDtype(_, place) if place.is_none() => {
                *place = Some(state);
                Ok(())
            }
            _ => Err(Fault::foreign("sets attributes of an object that has none to set")),
        }
    }
}
