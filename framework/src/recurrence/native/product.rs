//! The product of a block of rows with weights that are packed once, panel by panel.

use super::simd::{Real, Simd};

/// Most vectors across a panel: with the rows of a tile they fill the registers.
pub(super) const PANEL_VECTORS: usize = 3;
/// Terms of a sum between two visits to a panel, so that this part of the panel stays in the nearest cache for all rows.
const DEPTH: usize = 96;

/// Weights `[source, target]`, in panels of a few vectors of targets each: `[panel][source][target of the panel]`.
#[derive(Clone, Debug)]
pub(super) struct Packed<R> {
    values: Vec<R>,
    sources: usize,
    targets: usize,
    lanes: usize,
    /// First vector of each panel, and the end.
    borders: Vec<usize>,
}

impl<R: Real> Packed<R> {
    /// Pack `weight`, whose entry `(source, target)` is at `source * strides.0 + target * strides.1`.
    pub fn new(weight: &[R], (sources, targets): (usize, usize), strides: (usize, usize), lanes: usize) -> Self {
        let vectors = targets.div_ceil(lanes);
        let panels = vectors.div_ceil(PANEL_VECTORS).max(1);
        let borders: Vec<usize> = (0..=panels).map(|panel| panel * vectors / panels).collect();
        let mut values = vec![R::ZERO; vectors * lanes * sources];
        for (panel, ends) in borders.windows(2).enumerate() {
            let (first, width) = (ends[0] * lanes, (ends[1] - ends[0]) * lanes);
            let place = &mut values[borders[panel] * lanes * sources..][..width * sources];
            for (source, row) in place.chunks_exact_mut(width.max(1)).enumerate() {
                for (column, value) in row.iter_mut().enumerate().take(targets.saturating_sub(first)) {
                    *value = weight[source * strides.0 + (first + column) * strides.1];
                }
            }
        }
        Self { values, sources, targets, lanes, borders }
    }

    pub fn panels(&self) -> usize {
        self.borders.len() - 1
    }

    /// Targets of a panel: the first, how many there are, and the width with padding.
    pub fn columns(&self, panel: usize) -> (usize, usize, usize) {
        let first = self.borders[panel] * self.lanes;
        let width = (self.borders[panel + 1] - self.borders[panel]) * self.lanes;
        (first, width.min(self.targets - first), width)
    }

    fn panel(&self, panel: usize) -> (&[R], usize) {
        let (first, last) = (self.borders[panel], self.borders[panel + 1]);
        (&self.values[first * self.lanes * self.sources..last * self.lanes * self.sources], last - first)
    }
}

/// `out[row, column] = sum over sources of a[row, source] weight[source, column]` for one panel; `out` has the panel's padded width.
///
/// # Safety
/// The processor has the instructions of `S`; `a` holds `rows` times the sources of `weight`, and `out` as many rows of the panel.
#[inline(always)]
pub(super) unsafe fn panel_product<S: Simd>(
    a: &[S::Real],
    rows: usize,
    weight: &Packed<S::Real>,
    panel: usize,
    out: &mut [S::Real],
) {
    let (values, vectors) = weight.panel(panel);
    let width = vectors * S::LANES;
    let sources = weight.sources;
    debug_assert!(a.len() >= rows * sources && out.len() >= rows * width && weight.lanes == S::LANES);
    let mut from = 0;
    while from < sources {
        let depth = DEPTH.min(sources - from);
        let part = unsafe { values.as_ptr().add(from * width) };
        let mut row = 0;
        while row < rows {
            let tile = Tile {
                a: unsafe { a.as_ptr().add(row * sources + from) },
                stride: sources,
                depth,
                part,
                out: unsafe { out.as_mut_ptr().add(row * width) },
                fresh: from == 0,
            };
            let left = rows - row;
            row += unsafe {
                match vectors {
                    1 => tile.rows::<S, 1>(left),
                    2 => tile.rows::<S, 2>(left),
                    _ => tile.rows::<S, 3>(left),
                }
            };
        }
        from += depth;
    }
}

/// A few rows of a panel.
struct Tile<R> {
    a: *const R,
    stride: usize,
    depth: usize,
    part: *const R,
    out: *mut R,
    /// Whether the sum begins.
    fresh: bool,
}

impl<R: Real> Tile<R> {
    /// As many rows at once as the registers hold; returns how many.
    #[inline(always)]
    unsafe fn rows<S: Simd<Real = R>, const VECTORS: usize>(&self, left: usize) -> usize {
        unsafe {
            match left.min(S::TILE_ROWS) {
                8.. => self.accumulate::<S, 8, VECTORS>(),
                4.. => self.accumulate::<S, 4, VECTORS>(),
                2.. => self.accumulate::<S, 2, VECTORS>(),
                _ => self.accumulate::<S, 1, VECTORS>(),
            }
        }
    }

    #[inline(always)]
    unsafe fn accumulate<S: Simd<Real = R>, const ROWS: usize, const VECTORS: usize>(&self) -> usize {
        let width = VECTORS * S::LANES;
        unsafe {
            let mut sums = [[S::splat(R::ZERO); VECTORS]; ROWS];
            if !self.fresh {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = S::load(self.out.add(row * width + v * S::LANES));
                    }
                }
            }
            let mut weights = self.part;
            for source in 0..self.depth {
                let mut b = [S::splat(R::ZERO); VECTORS];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = S::load(weights.add(v * S::LANES));
                }
                weights = weights.add(width);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(*self.a.add(row * self.stride + source));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = S::fma(x, b, *sum);
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    S::store(self.out.add(row * width + v * S::LANES), *sum);
                }
            }
        }
        ROWS
    }
}
