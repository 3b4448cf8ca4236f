//! Plain arrays of numbers for findings and data files, without libtorch.

use crate::{Error, Result, tensors};
use tch::{Kind, Tensor};

/// The numbers of an array, row-major (the last axis runs fastest).
#[derive(Clone, Debug, PartialEq)]
pub enum ArrayValues {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Integers; also what boolean arrays become, as 0 and 1.
    I64(Vec<i64>),
}

impl ArrayValues {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array of any number of axes, whose shape always fits its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: ArrayValues,
}

impl Array {
    /// An array of `shape` from its numbers in row-major order; an empty shape is a single number.
    ///
    /// # Errors
    /// [`Error::Shape`] when the product of `shape` is not the number of values.
    pub fn new(shape: impl Into<Vec<usize>>, values: impl Into<ArrayValues>) -> Result<Self> {
        let (shape, values) = (shape.into(), values.into());
        if count(&shape) == Some(values.len()) {
            return Ok(Self { shape, values });
        }
        let found = format!("{} values", values.len());
        Err(Error::Shape { what: "an array".into(), expected: format!("{shape:?}"), found })
    }

    /// A matrix `[row, column]` from rows of equal length.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the first row whose length differs from that of row 0.
    pub fn from_rows(rows: &[Vec<f64>]) -> Result<Self> {
        let columns = rows.first().map_or(0, Vec::len);
        if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns) {
            let (expected, found) = (format!("[{columns}]"), format!("[{}]", row.len()));
            return Err(Error::Shape { what: format!("row {index}"), expected, found });
        }
        Self::new([rows.len(), columns], rows.concat())
    }

    /// Length of each axis; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn values(&self) -> &ArrayValues {
        &self.values
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The numbers as `f64`, row-major; integers beyond 2^53 are rounded.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.values {
            ArrayValues::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            ArrayValues::F64(values) => values.clone(),
            ArrayValues::I64(values) => values.iter().map(|value| *value as f64).collect(),
        }
    }

    /// The same array as a tensor on the CPU, of kind `Float`, `Double` or `Int64`.
    ///
    /// # Errors
    /// [`Error::Torch`] when libtorch has no memory for it.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let flat = match &self.values {
            ArrayValues::F32(values) => Tensor::f_from_slice(values),
            ArrayValues::F64(values) => Tensor::f_from_slice(values),
            ArrayValues::I64(values) => Tensor::f_from_slice(values),
        }?;
        let shape: Vec<i64> = self.shape.iter().map(|size| *size as i64).collect();
        Ok(flat.f_reshape(shape)?)
    }
}

/// The number of values in an array of `shape`, unless the machine cannot count that far.
///
/// An empty array may have axes of any length, but libtorch and NumPy refuse those whose product overflows without the zeros.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1usize, |product, size| product.checked_mul((*size).max(1)))?;
    isize::try_from(product.checked_mul(size_of::<f64>())?).ok()?;
    Some(if shape.contains(&0) { 0 } else { product })
}

/// Copies the values: `Double` stays double, other floating-point kinds become single precision, integers and booleans `i64`.
/// A complex tensor gains a last axis of length 2, its real and imaginary parts.
impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        let split;
        let tensor = match tensor.kind() {
            Kind::ComplexHalf | Kind::ComplexFloat | Kind::ComplexDouble => {
                split = tensor.detach().resolve_conj().view_as_real();
                &split
            }
            _ => tensor,
        };
        let shape = tensor.size().into_iter().map(|size| size.unsigned_abs() as usize).collect();
        let values = match tensor.kind() {
            Kind::Double => ArrayValues::F64(tensors::values_f64(tensor)),
            _ if tensor.is_floating_point() => ArrayValues::F32(tensors::values_f32(tensor)),
            _ => {
                let tensor = tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Int64).contiguous();
                let mut values = vec![0i64; tensor.numel()];
                tensor.copy_data(&mut values, tensor.numel());
                ArrayValues::I64(values)
            }
        };
        Self { shape, values }
    }
}

macro_rules! from_numbers {
    ($($number:ty => $variant:ident),*) => {$(
        impl From<Vec<$number>> for ArrayValues {
            fn from(values: Vec<$number>) -> Self {
                Self::$variant(values)
            }
        }

        /// An array of one axis.
        impl From<Vec<$number>> for Array {
            fn from(values: Vec<$number>) -> Self {
                Self { shape: vec![values.len()], values: values.into() }
            }
        }

        /// A single number: an array without axes.
        impl From<$number> for Array {
            fn from(value: $number) -> Self {
                Self { shape: Vec::new(), values: vec![value].into() }
            }
        }
    )*};
}

from_numbers!(f32 => F32, f64 => F64, i64 => I64);

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn shape_and_values_must_fit() {
        assert_eq!(Array::new([2, 3], vec![0.0; 6]).unwrap().shape(), [2, 3]);
        assert_eq!(Array::new([], vec![1i64]).unwrap(), Array::from(1i64));
        assert_eq!(Array::new([3, 0], Vec::<f32>::new()).unwrap().len(), 0);
        let text = Array::new([2, 3], vec![0.0; 5]).unwrap_err().to_string();
        assert!(text.contains("[2, 3]") && text.contains("5 values"), "{text}");
        for overflowing in [vec![usize::MAX, 2], vec![0, usize::MAX, 8]] {
            assert!(Array::new(overflowing, Vec::<f64>::new()).is_err());
        }
    }

    #[test]
    fn rows_become_a_matrix() {
        let matrix = Array::from_rows(&[vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]]).unwrap();
        assert_eq!((matrix.shape(), matrix.to_f64()), (&[3, 2][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(Array::from_rows(&[]).unwrap().shape(), [0, 0]);
        let text = Array::from_rows(&[vec![1.0], vec![]]).unwrap_err().to_string();
        assert!(text.contains("row 1"), "{text}");
    }

    #[test]
    fn tensors_come_and_go_whatever_their_layout() {
        let grid = Tensor::arange(6, (Kind::Double, Device::Cpu)).reshape([2, 3]).transpose(0, 1);
        let array = Array::from(&grid);
        assert_eq!(array, Array::new([3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]).unwrap());
        assert!(array.to_tensor().unwrap().equal(&grid));
        for (kind, expected) in [
            (Kind::Float, ArrayValues::F32(vec![0.0, 1.0])),
            (Kind::BFloat16, ArrayValues::F32(vec![0.0, 1.0])),
            (Kind::Bool, ArrayValues::I64(vec![0, 1])),
            (Kind::Uint8, ArrayValues::I64(vec![0, 1])),
        ] {
            let array = Array::from(&Tensor::from_slice(&[0i64, 1]).to_kind(kind));
            assert_eq!(array.values(), &expected);
        }
        let empty = Array::from(&Tensor::zeros([0, 4], (Kind::Float, Device::Cpu)));
        assert_eq!(empty.to_tensor().unwrap().size(), [0, 4]);
        let number = Array::from(&Tensor::from(2.5f64));
        assert_eq!((number.to_tensor().unwrap().size().len(), number.to_f64()), (0, vec![2.5]));
    }

    #[test]
    fn complex_numbers_become_pairs() {
        let parts = Tensor::from_slice(&[1.0f64, 2.0, 3.0, 4.0]).reshape([2, 2]);
        let conjugate = parts.view_as_complex().conj();
        assert_eq!(Array::from(&conjugate), Array::new([2, 2], vec![1.0, -2.0, 3.0, -4.0]).unwrap());
    }
}
