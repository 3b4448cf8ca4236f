//! The numbers of tensors, for kernels to read and write.

use crate::{Error, Result};
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};
use tch::kind::Element;
use tch::{Device, Kind, Tensor};

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

/// The sum of the squares of all entries, in double precision; nothing for a tensor elsewhere than on a CPU, or with gaps.
///
/// # Errors
/// None; as [`numbers`].
pub(crate) fn sum_of_squares(tensor: &Tensor) -> Result<Option<f64>> {
    if tensor.device() != Device::Cpu || !tensor.is_contiguous() {
        return Ok(None);
    }
    Ok(match tensor.kind() {
        Kind::Float => Some(squares(numbers::<f32>(tensor)?)),
        Kind::Double => Some(squares(numbers::<f64>(tensor)?)),
        _ => None,
    })
}

fn squares<R: Copy + Into<f64>>(values: &[R]) -> f64 {
    // Several sums side by side, so that one need not wait for the other.
    let mut sums = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            let value: f64 = (*value).into();
            *sum += value * value;
        }
    }
    let rest: f64 = rest.iter().map(|value| Into::<f64>::into(*value).powi(2)).sum();
    sums.iter().sum::<f64>() + rest
}

/// A tensor that nobody else has a handle to yet, so that its numbers can be written.
pub(in crate::recurrence) struct Fresh(Tensor);

/// Most pieces of memory that a thread keeps for the next update.
const SPARE: usize = 4;

thread_local! {
    /// Flat tensors whose memory is free again. Memory that is new to the process costs more than writing to it.
    static SPARES: RefCell<Vec<Tensor>> = const { RefCell::new(Vec::new()) };
}

/// Keep the memory of tensors for the next [`Fresh::reused`] on this thread. Nobody may hold another handle to it.
pub(in crate::recurrence) fn keep(memory: impl IntoIterator<Item = Tensor>) {
    SPARES.with_borrow_mut(|spares| {
        spares.extend(memory);
        spares.sort_by_key(|spare| std::cmp::Reverse(spare.numel()));
        spares.truncate(SPARE);
    });
}

/// Most pieces of memory for sums that are kept.
const SPARE_SUMS: usize = 64;

/// Flat tensors of one size whose memory is free again: threads fill them with the sums of their blocks, and one adds them up.
static SUMS: Mutex<Vec<Tensor>> = Mutex::new(Vec::new());

/// Keep the memory of tensors of one size for the next [`Fresh::sums`]. Nobody may hold another handle to it.
pub(crate) fn keep_sums(memory: Vec<Tensor>) {
    let Some(size) = memory.first().map(Tensor::numel) else { return };
    let mut spares = SUMS.lock().unwrap_or_else(PoisonError::into_inner);
    spares.retain(|spare| spare.numel() == size);
    spares.extend(memory);
    spares.truncate(SPARE_SUMS);
}

impl Fresh {
    /// A flat tensor in memory that [`keep_sums`] was given, with whatever numbers lie there, or else of zeros.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn sums<R: Element>(count: usize) -> Result<Self> {
        let mut spares = SUMS.lock().unwrap_or_else(PoisonError::into_inner);
        let place = spares.iter().rposition(|spare| spare.kind() == R::KIND && spare.numel() == count);
        let spare = place.map(|place| spares.swap_remove(place));
        drop(spares);
        Ok(Self(spare.map_or_else(|| Tensor::f_zeros([count as i64], (R::KIND, Device::Cpu)), Ok)?))
    }

    /// A tensor on the CPU, whose numbers are whatever lay in memory.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn empty<R: Element>(shape: &[i64]) -> Result<Self> {
        Ok(Self(Tensor::f_empty(shape, (R::KIND, Device::Cpu))?))
    }

    /// The same in memory that [`keep`] was given, if a piece is large enough; and a handle to all of that piece.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn reused<R: Element>(shape: &[i64]) -> Result<(Self, Tensor)> {
        let count: i64 = shape.iter().product();
        let found = SPARES.with_borrow_mut(|spares| {
            let fits = |spare: &Tensor| spare.kind() == R::KIND && spare.numel() as i64 >= count;
            // The smallest that is large enough stands last.
            let place = spares.iter().rposition(fits)?;
            Some(spares.remove(place))
        });
        let memory = match found {
            Some(memory) => memory,
            None => Tensor::f_empty([count], (R::KIND, Device::Cpu))?,
        };
        Ok((Self(memory.f_narrow(0, 0, count)?.f_view(shape)?), memory))
    }

    /// A tensor in memory of its own, to which the caller gives up the only handle.
    pub fn own(tensor: Tensor) -> Self {
        Self(tensor)
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
