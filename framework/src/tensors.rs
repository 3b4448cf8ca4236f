//! Ordered maps from names to tensors: parameters, states, gradients, checkpoints.

use crate::{Error, Result};
use indexmap::IndexMap;
use tch::{Device, Kind, Tensor};

/// An ordered map name -> tensor. The order is that of insertion and survives saving.
#[derive(Debug, Default)]
pub struct Tensors(IndexMap<String, Tensor>);

impl Tensors {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`Error::Failed`] naming what is there instead.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).ok_or_else(|| {
            Error::Failed(format!("no tensor '{name}'; there are: {}", self.names().collect::<Vec<_>>().join(", ")))
        })
    }

    /// The tensor called `name`, if it is there.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// Add or replace a tensor; a replaced one keeps its place.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Take a tensor out; the order of the others stays.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.0.shift_remove(name)
    }

    /// Whether `name` is there.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same map with `f` applied to each tensor.
    pub fn map(&self, mut f: impl FnMut(&Tensor) -> Tensor) -> Self {
        self.iter().map(|(name, tensor)| (name.to_string(), f(tensor))).collect()
    }

    /// New handles to the same storage.
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    /// Independent copies, detached from any graph.
    pub fn copy(&self) -> Self {
        self.map(|t| t.detach().copy())
    }

    /// On another device and, for floating-point tensors, in another kind.
    pub fn to(&self, device: Device, kind: Kind) -> Self {
        self.map(|t| if t.is_floating_point() { t.to_device(device).to_kind(kind) } else { t.to_device(device) })
    }

    /// Whether names, shapes, kinds and every bit agree.
    pub fn same_bytes(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other.iter())
                .all(|((a, x), (b, y))| a == b && x.kind() == y.kind() && x.size() == y.size() && bytes(x) == bytes(y))
    }
}

impl FromIterator<(String, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, Tensor); N]> for Tensors {
    fn from(pairs: [(&str, Tensor); N]) -> Self {
        pairs.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect()
    }
}

/// The raw little-endian bytes of a tensor, row-major.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let count = tensor.numel();
    let mut out = vec![0u8; count * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut out, count);
    out
}

/// The values of a tensor as `f32`, row-major, whatever its kind.
pub fn values_f32(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut out = vec![0f32; tensor.numel()];
    tensor.copy_data(&mut out, tensor.numel());
    out
}

/// The values of a tensor as `f64`, row-major, whatever its kind.
pub fn values_f64(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double).contiguous();
    let mut out = vec![0f64; tensor.numel()];
    tensor.copy_data(&mut out, tensor.numel());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_bytes_compare_exactly() {
        let a = Tensors::from([("b", Tensor::from_slice(&[1f32, 2.0])), ("a", Tensor::from_slice(&[0i64]))]);
        assert_eq!(a.names().collect::<Vec<_>>(), ["b", "a"]);
        assert!(a.same_bytes(&a.copy()));
        let mut other = a.copy();
        other.insert("b", Tensor::from_slice(&[1f32, 2.0000002]));
        assert!(!a.same_bytes(&other));
        assert!(a.get("c").expect_err("absent").to_string().contains("there are: b, a"));
    }
}
