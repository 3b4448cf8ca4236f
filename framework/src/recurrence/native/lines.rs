//! Numbers in memory that begins where a line of the cache does.

use super::simd::Real;
use std::ops::{Deref, DerefMut};

/// Bytes of a line, and of the widest vector: a vector that lies across two lines is read twice.
const LINE: usize = 64;

/// What is allocated: whole lines.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct Line([u8; LINE]);

/// A buffer of fixed length whose first number is the first of a line.
#[derive(Clone, Debug)]
pub(in crate::recurrence) struct Lines<R> {
    lines: Vec<Line>,
    len: usize,
    of: std::marker::PhantomData<R>,
}

impl<R: Real> Lines<R> {
    /// Zeros.
    pub fn zeros(len: usize) -> Self {
        // All kinds of numbers have bits of zero for 0.
        let lines = vec![Line([0; LINE]); (len * size_of::<R>()).div_ceil(LINE)];
        Self { lines, len, of: std::marker::PhantomData }
    }

    /// One number for each place.
    pub fn from_fn(len: usize, number: impl Fn(usize) -> R) -> Self {
        let mut all = Self::zeros(len);
        all.iter_mut().enumerate().for_each(|(place, to)| *to = number(place));
        all
    }
}

impl<R: Real> Deref for Lines<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        // Lines hold as many bytes, aligned for any number, and every pattern of bits is a number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<R: Real> DerefMut for Lines<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        // As above, and borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_and_their_copies_begin_with_a_line() {
        let singles = Lines::from_fn(19, |place| place as f32);
        let doubles = Lines::<f64>::zeros(9);
        for start in [singles.as_ptr() as usize, singles.clone().as_ptr() as usize, doubles.as_ptr() as usize] {
            assert_eq!(start % LINE, 0);
        }
        assert_eq!(singles.to_vec(), (0..19).map(|place| place as f32).collect::<Vec<_>>());
        assert_eq!(doubles.to_vec(), [0.0; 9]);
        assert!(Lines::<f32>::zeros(0).is_empty());
    }
}
