//! The product of a block of rows with weights that are packed once, panel by panel.

use super::lines::Lines;
use super::simd::{Real, Simd};

/// Most vectors across a panel: with the rows of a tile they fill the registers.
pub(super) const PANEL_VECTORS: usize = 3;
/// Vectors across a panel of gated units: one for each of their four blocks.
pub(super) const GATES: usize = 4;
/// Most terms of a sum between two visits to a panel, so that this part of the panel stays in the nearest cache for all rows.
const DEPTH: usize = 128;
/// Sources between two jumps of the innermost loop.
const TURNS: usize = 2;
/// Sources that are packed together where they lie side by side in memory.
const STRETCH: usize = 64;

/// How targets are cut into panels of a few vectors each.
#[derive(Clone, Debug)]
pub(super) struct Panels {
    pub targets: usize,
    lanes: usize,
    /// First vector of each panel, and the end.
    borders: Vec<usize>,
}

impl Panels {
    /// At most so many vectors across a panel.
    pub fn new(targets: usize, lanes: usize, most: usize) -> Self {
        let vectors = targets.div_ceil(lanes);
        let panels = vectors.div_ceil(most).max(1);
        Self { targets, lanes, borders: (0..=panels).map(|panel| panel * vectors / panels).collect() }
    }

    pub fn count(&self) -> usize {
        self.borders.len() - 1
    }

    /// Targets of a panel: the first, how many there are, and the width with padding.
    #[inline(always)]
    pub fn columns(&self, panel: usize) -> (usize, usize, usize) {
        let first = self.borders[panel] * self.lanes;
        let width = (self.borders[panel + 1] - self.borders[panel]) * self.lanes;
        (first, width.min(self.targets - first), width)
    }

    /// Targets with padding.
    pub fn width(&self) -> usize {
        self.targets.next_multiple_of(self.lanes)
    }
}

/// Weights `[source, target]`, in panels of a few vectors of targets each: `[panel][source][target of the panel]`.
#[derive(Clone, Debug)]
pub(super) struct Packed<R> {
    values: Lines<R>,
    sources: usize,
    panels: Panels,
}

impl<R: Real> Packed<R> {
    /// Pack `weight`, whose entry `(source, target)` is at `source * strides.0 + target * strides.1`.
    pub fn new(weight: &[R], size: (usize, usize), strides: (usize, usize), lanes: usize) -> Self {
        Self::in_panels(weight, size, strides, lanes, PANEL_VECTORS)
    }

    /// The same with at most `most` vectors across a panel, up to [`GATES`].
    pub fn in_panels(
        weight: &[R],
        (sources, targets): (usize, usize),
        strides: (usize, usize),
        lanes: usize,
        most: usize,
    ) -> Self {
        let panels = Panels::new(targets, lanes, most);
        let mut values = Lines::zeros(panels.width() * sources);
        for panel in 0..panels.count() {
            let (first, columns, width) = panels.columns(panel);
            let place = &mut values[first * sources..][..width * sources];
            if strides.0 == 1 {
                // Read along memory, a stretch at a time, so that what is written stays near.
                for (stretch, place) in place.chunks_mut(STRETCH * width.max(1)).enumerate() {
                    for column in 0..columns {
                        let from = (first + column) * strides.1 + stretch * STRETCH;
                        let values = &weight[from..][..place.len() / width];
                        place[column..].iter_mut().step_by(width).zip(values).for_each(|(to, value)| *to = *value);
                    }
                }
                continue;
            }
            for (source, row) in place.chunks_exact_mut(width.max(1)).enumerate() {
                let from = source * strides.0 + first * strides.1;
                if strides.1 == 1 {
                    row[..columns].copy_from_slice(&weight[from..][..columns]);
                    continue;
                }
                for (column, value) in row.iter_mut().enumerate().take(columns) {
                    *value = weight[from + column * strides.1];
                }
            }
        }
        Self { values, sources, panels }
    }

    pub fn panels(&self) -> usize {
        self.panels.count()
    }

    /// Targets of a panel: the first, how many there are, and the width with padding.
    #[inline(always)]
    pub fn columns(&self, panel: usize) -> (usize, usize, usize) {
        self.panels.columns(panel)
    }

    /// What is multiplied with these weights must have as many numbers in a row.
    pub fn sources(&self) -> usize {
        self.sources
    }

    #[inline(always)]
    fn panel(&self, panel: usize) -> &[R] {
        let (first, _, width) = self.panels.columns(panel);
        &self.values[first * self.sources..][..width * self.sources]
    }
}

/// Rows `[row, source]` without gaps, and what they are multiplied with.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a, R> {
    pub rows: &'a [R],
    pub weight: &'a Packed<R>,
}

/// `out[row, column]` for one panel: `start` plus the sum over the sources of both factors; `out` has the panel's padded width,
/// and the main factor says how panels are cut.
///
/// # Safety
/// The processor has the instructions of `S`; both factors hold `rows` rows and are cut alike, `start` has the padded width of all
/// targets, and `out` as many rows of the panel.
#[inline(always)]
pub(super) unsafe fn panel_product<S: Simd>(
    rows: usize,
    main: Factor<S::Real>,
    side: Option<Factor<S::Real>>,
    start: &[S::Real],
    panel: usize,
    out: &mut [S::Real],
) {
    let (first, _, width) = main.weight.columns(panel);
    let sources = main.weight.sources;
    debug_assert!(main.rows.len() >= rows * sources && out.len() >= rows * width && start.len() >= first + width);
    let weights = main.weight.panel(panel).as_ptr();
    let beside = match side {
        Some(Factor { rows, weight }) => {
            let sources = weight.sources;
            let weights = weight.panel(panel).as_ptr();
            Some(Part { values: rows.as_ptr(), stride: sources, depth: sources, weights })
        }
        None => None,
    };
    // Stretches of about the same length.
    let stretch = sources.div_ceil(sources.div_ceil(DEPTH).max(1));
    let mut from = 0;
    loop {
        let depth = stretch.min(sources - from);
        let mut row = 0;
        while row < rows {
            let begins = from == 0;
            let beside = match &beside {
                Some(part) if begins => unsafe { part.below(row) },
                _ => Part::NONE,
            };
            let part = Part {
                values: unsafe { main.rows.as_ptr().add(row * sources + from) },
                stride: sources,
                depth,
                weights: unsafe { weights.add(from * width) },
            };
            let out = unsafe { out.as_mut_ptr().add(row * width) };
            let tile =
                Tile { parts: [beside, part], out, start: begins.then_some(unsafe { start.as_ptr().add(first) }) };
            let left = rows - row;
            row += unsafe {
                match width / S::LANES {
                    1 => tile.rows::<S, 1>(left),
                    2 => tile.rows::<S, 2>(left),
                    3 => tile.rows::<S, 3>(left),
                    _ => tile.rows::<S, GATES>(left),
                }
            };
        }
        from += depth;
        if from >= sources {
            break;
        }
    }
}

/// One stretch of the sum of a tile: numbers, one row `stride` behind the other, and weights, one source a panel's width behind the
/// other.
#[derive(Clone, Copy)]
struct Part<R> {
    values: *const R,
    stride: usize,
    depth: usize,
    weights: *const R,
}

impl<R: Real> Part<R> {
    /// Nothing to add.
    const NONE: Self = Self { values: std::ptr::null(), stride: 0, depth: 0, weights: std::ptr::null() };

    /// The same for the rows from `row` on.
    #[inline(always)]
    unsafe fn below(&self, row: usize) -> Self {
        Self { values: unsafe { self.values.add(row * self.stride) }, ..*self }
    }

    /// Add this stretch to the sums of a tile.
    #[inline(always)]
    unsafe fn add<S: Simd<Real = R>, const ROWS: usize, const VECTORS: usize>(
        &self,
        mut sums: [[S::Vector; VECTORS]; ROWS],
    ) -> [[S::Vector; VECTORS]; ROWS] {
        unsafe {
            let rows: [_; ROWS] = std::array::from_fn(|row| self.values.add(S::kept(row * self.stride)));
            let width = VECTORS * S::LANES;
            let mut weights = self.weights;
            let add = |sums: &mut [[S::Vector; VECTORS]; ROWS], weights: *const R, source: usize| {
                let mut b = [S::splat(R::ZERO); VECTORS];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = S::load(weights.add(v * S::LANES));
                }
                for (row, sums) in rows.iter().zip(sums) {
                    let x = S::splat(*row.add(source));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = S::fma(x, b, *sum);
                    }
                }
            };
            let mut source = 0;
            while source + TURNS <= self.depth {
                for turn in 0..TURNS {
                    add(&mut sums, weights.add(turn * width), source + turn);
                }
                (weights, source) = (weights.add(TURNS * width), source + TURNS);
            }
            while source < self.depth {
                add(&mut sums, weights, source);
                (weights, source) = (weights.add(width), source + 1);
            }
        }
        sums
    }
}

/// A few rows of a panel.
struct Tile<R> {
    parts: [Part<R>; 2],
    out: *mut R,
    /// What the sum of every row starts from; without it, what is there already.
    start: Option<*const R>,
}

impl<R: Real> Tile<R> {
    /// As many rows at once as the registers hold; returns how many.
    #[inline(always)]
    unsafe fn rows<S: Simd<Real = R>, const VECTORS: usize>(&self, left: usize) -> usize {
        unsafe {
            // Wider panels leave room for fewer rows; eight are better as two fours than as six and two.
            let most = match (VECTORS > PANEL_VECTORS, S::TILE_ROWS) {
                (false, rows) => rows,
                (true, 8) if left != 8 => 6,
                (true, rows) => rows / 2,
            };
            match left.min(most) {
                8.. => self.accumulate::<S, 8, VECTORS>(),
                6.. if VECTORS > PANEL_VECTORS => self.accumulate::<S, 6, VECTORS>(),
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
            for (row, sums) in sums.iter_mut().enumerate() {
                let from = self.start.unwrap_or_else(|| self.out.add(row * width).cast_const());
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = S::load(from.add(v * S::LANES));
                }
            }
            // Two calls, not a loop: the sums must stay in registers.
            let [beside, main] = &self.parts;
            if beside.depth > 0 {
                sums = beside.add::<S, ROWS, VECTORS>(sums);
            }
            sums = main.add::<S, ROWS, VECTORS>(sums);
            for (row, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    S::store(self.out.add(row * width + v * S::LANES), *sum);
                }
            }
        }
        ROWS
    }
}
