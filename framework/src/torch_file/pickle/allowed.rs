//! The allow-list: every class and function that a pickle may name.

use super::{Node, shown};
use crate::torch_file::{Checked, Fault, STORAGES};
use tch::Kind;

/// Whose names a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::torch_file) enum Names {
    Torch,
    Numpy,
}

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::torch_file) enum Global {
    OrderedDict,
    /// `_rebuild_tensor_v2` and its shorter ancestor.
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Kind),
    /// `_reconstruct`, which makes an empty array that a state then fills.
    NumpyReconstruct,
    /// The class `ndarray`.
    NumpyArray,
    /// The class `dtype`.
    NumpyDtype,
    /// `scalar`, a number from its bytes.
    NumpyScalar,
}

/// The node of an allowed name.
pub(super) fn global(names: Names, module: &str, name: &str) -> Checked<Node> {
    match names {
        Names::Torch => torch(module, name),
        Names::Numpy => numpy(module, name),
    }
}

/// What `numpy.save` names for arrays and numbers. The module's name changed with NumPy 2.
fn numpy(module: &str, name: &str) -> Checked<Node> {
    Ok(Node::Global(match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::NumpyReconstruct,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::NumpyScalar,
        ("numpy", "ndarray") => Global::NumpyArray,
        ("numpy", "dtype") => Global::NumpyDtype,
        _ => return Err(refused(module, name, "not a file of numbers")),
    }))
}

fn torch(module: &str, name: &str) -> Checked<Node> {
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
            None => return Err(refused(module, name, "not a tensor file")),
        },
        _ => return Err(refused(module, name, "not a tensor file")),
    };
    Ok(Node::Global(found))
}

fn refused(module: &str, name: &str, verdict: &str) -> Fault {
    Fault::foreign(format!("the file asks to call {}.{}; refused: {verdict}", shown(module), shown(name)))
}
