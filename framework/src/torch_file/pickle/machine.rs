//! The machine's parts: input, stack, marks, memo, nodes, each with its bounds.

use super::{Id, Names, Node};
use crate::torch_file::{Checked, Fault};
use std::collections::HashMap;

/// Most objects; a state dict needs about ten a tensor. Stack, marks and memo are bounded by the length of the input,
/// which the callers limit.
pub(super) const MAX_NODES: usize = 4_000_000;

pub(super) struct Machine<'a> {
    pub(super) input: &'a [u8],
    pub(super) at: usize,
    pub(super) names: Names,
    pub(super) nodes: Vec<Node>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at which marks lie.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Id>,
    /// Dictionary entries that were copied out of lists, which a file could ask for again and again.
    pub(super) copied: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(input: &'a [u8], names: Names) -> Self {
        Self {
            input,
            at: 0,
            names,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        }
    }

    pub(super) fn empty() -> Fault {
        Fault::damaged("the pickle takes more from its stack than it put there")
    }

    pub(super) fn too_many() -> Fault {
        Fault::foreign(format!("the pickle holds more than {MAX_NODES} objects"))
    }

    pub(super) fn take(&mut self, length: u64) -> Checked<&'a [u8]> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or_else(|| Fault::damaged("the pickle ends in the middle of a value"))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Checked<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64)?);
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Checked<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn push(&mut self, node: Node) -> Checked<()> {
        let id = self.nodes.len();
        if id >= MAX_NODES {
            return Err(Self::too_many());
        }
        self.nodes.push(node);
        self.stack.push(id as Id);
        Ok(())
    }

    /// The top of the stack, but never from below the latest mark.
    pub(super) fn pop(&mut self) -> Checked<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(Self::empty());
        }
        self.stack.pop().ok_or_else(Self::empty)
    }

    pub(super) fn top(&self) -> Checked<Id> {
        self.stack.last().copied().ok_or_else(Self::empty)
    }

    pub(super) fn node(&self, id: Id) -> Checked<&Node> {
        self.nodes.get(id as usize).ok_or_else(Self::empty)
    }

    pub(super) fn above_mark(&mut self) -> Checked<Vec<Id>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or_else(Self::empty)?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn line(&mut self) -> Checked<&'a str> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let end =
            rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| Fault::damaged("the pickle ends in a name"))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| Fault::damaged("a name is not UTF-8"))
    }

    pub(super) fn top_node(&mut self) -> Checked<&mut Node> {
        let top = self.top()?;
        self.nodes.get_mut(top as usize).ok_or_else(Self::empty)
    }

    pub(super) fn remember(&mut self, slot: u32) -> Checked<()> {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, slot: u32) -> Checked<()> {
        let id = *self
            .memo
            .get(&slot)
            .ok_or_else(|| Fault::damaged(format!("the pickle recalls object {slot}, never stored")))?;
        self.stack.push(id);
        Ok(())
    }
}
