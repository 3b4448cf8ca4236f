//! What a few steps add to gradients of weights.

use super::jobs::Gradients;
use super::outer::{Outer, TERMS, Terms};
use super::simd::Simd;
use std::ops::Range;

/// Add the outer products of some terms to the gradients of the weights.
#[inline(always)]
pub(super) unsafe fn sum<S: Simd>(
    gradients: &mut Gradients<S::Real>,
    (first, count): (usize, usize),
    units: usize,
    sources: &[S::Real],
    deltas: &[S::Real],
) {
    for at in (0..count).step_by(TERMS) {
        let count = TERMS.min(count - at);
        let beside = gradients.sums.beside();
        let terms = Terms {
            count,
            main: &sources[(first + at) * units..],
            side: gradients.inputs.map(|all| &all[(first + at) * beside..]),
            targets: &deltas[at * units..],
        };
        unsafe { S::add_outer(&mut gradients.sums, terms) };
    }
}

/// Add the outer products of some rows of rates, and what was said of them, to the gradients of heads.
#[inline(always)]
pub(super) unsafe fn sum_heads<S: Simd>(
    sums: &mut Outer<S::Real>,
    rows: Range<usize>,
    (units, outputs): (usize, usize),
    rates: &[S::Real],
    said: &[S::Real],
) {
    for at in (0..rows.len()).step_by(TERMS) {
        let count = TERMS.min(rows.len() - at);
        let (main, targets) = (&rates[(rows.start + at) * units..], &said[at * outputs..]);
        unsafe { S::add_outer(sums, Terms { count, main, side: None, targets }) };
    }
}
