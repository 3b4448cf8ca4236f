//! The numbers of tensors, for kernels to read and write.

use crate::{Error, Result};
use tch::kind::Element;
use tch::{Device, Tensor};

/// The numbers of a contiguous tensor on a CPU.
///
/// # Errors
/// [`Error::Failed`] for any other tensor.
pub(in crate::recurrence) fn numbers<R: Element>(tensor: &Tensor) -> Result<&[R]> {
    require::<R>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&[]);
    }
    // The tensor keeps its storage alive as long as it is borrowed, and kernels run on the thread that holds it.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) })
}

/// A tensor that nobody else has a handle to yet, so that its numbers can be written.
pub(in crate::recurrence) struct Fresh(Tensor);

impl Fresh {
    /// A tensor on the CPU, whose numbers are whatever lay in memory.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn empty<R: Element>(shape: &[i64]) -> Result<Self> {
        Ok(Self(Tensor::f_empty(shape, (R::KIND, Device::Cpu))?))
    }

    /// A copy of another.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn copy(of: &Tensor) -> Result<Self> {
        let mut new = Self(of.f_empty_like()?.f_contiguous()?);
        new.0.f_copy_(of)?;
        Ok(new)
    }

    /// Its numbers.
    ///
    /// # Errors
    /// [`Error::Failed`] when it is of another kind.
    pub fn numbers_mut<R: Element>(&mut self) -> Result<&mut [R]> {
        require::<R>(&self.0)?;
        if self.0.numel() == 0 {
            return Ok(&mut []);
        }
        // The only handle is borrowed for as long.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.data_ptr().cast(), self.0.numel()) })
    }

    /// The tensor.
    pub fn tensor(self) -> Tensor {
        self.0
    }
}

fn require<R: Element>(tensor: &Tensor) -> Result<()> {
    let fits = tensor.is_contiguous() && tensor.kind() == R::KIND && tensor.device() == Device::Cpu;
    fits.then_some(()).ok_or_else(|| {
        let (kind, device) = (tensor.kind(), tensor.device());
        Error::Failed(format!("the recurrent kernels were handed a tensor of kind {kind:?} on {device:?} with gaps"))
    })
}
