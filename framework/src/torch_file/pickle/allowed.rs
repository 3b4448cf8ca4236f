//! The allow-list: every class and function that a pickle may name.

use super::{Node, shown};
use crate::torch_file::{Checked, Fault, STORAGES};
use tch::Kind;

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::torch_file) enum Global {
    OrderedDict,
    /// `_rebuild_tensor_v2` and its shorter ancestor.
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Kind),
}

/// The node of an allowed name.
pub(super) fn global(module: &str, name: &str) -> Checked<Node> {
    let found = match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "Size") => Global::Size,
        // Number types are saved among settings; they are names and call nothing.
        (
            "torch",
            "float16" | "float32" | "float64" | "bfloat16" | "int8" | "int16" | "int32" | "int64" | "uint8" | "bool",
        ) => return Ok(Node::Text(format!("torch.{name}"))),
        ("torch", _) => match STORAGES.iter().find(|(storage, _)| *storage == name) {
            Some(&(_, kind)) => Global::Storage(kind),
            None => return Err(refused(module, name)),
        },
        _ => return Err(refused(module, name)),
    };
    Ok(Node::Global(found))
}

fn refused(module: &str, name: &str) -> Fault {
    Fault::foreign(format!("the file asks to call {}.{}; refused: not a tensor file", shown(module), shown(name)))
}
