//! The product of a block of rows with weights that are packed once, panel by panel.

use super::packed::{GATES, PANEL_VECTORS, Packed};
use super::simd::{Real, Simd};

/// Most terms of a sum between two visits to a panel, so that this part of the panel stays in the nearest cache for all rows.
const DEPTH: usize = 128;
/// Sources between two jumps of the innermost loop.
const TURNS: usize = 2;

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
    let sources = main.weight.sources();
    debug_assert!(main.rows.len() >= rows * sources && out.len() >= rows * width && start.len() >= first + width);
    let beside =
        side.map_or(Beside { values: main.rows.as_ptr(), sources: 0, weights: start.as_ptr() }, |side| Beside {
            values: side.rows.as_ptr(),
            sources: side.weight.sources(),
            weights: side.weight.panel(panel).as_ptr(),
        });
    unsafe {
        let work = Panel {
            rows,
            sources,
            values: main.rows.as_ptr(),
            weights: main.weight.panel(panel).as_ptr(),
            beside,
            start: start.as_ptr().add(first),
            out: out.as_mut_ptr(),
        };
        match width / S::LANES {
            1 => work.run::<S, 1>(),
            2 => work.run::<S, 2>(),
            3 => work.run::<S, 3>(),
            _ => work.run::<S, GATES>(),
        }
    }
}

/// Most rows of a tile.
const TILE: usize = 8;

/// One panel of a product: rows `[row, source]` times weights `[source, target of the panel]`, for `out` `[row, target of the panel]`.
struct Panel<R> {
    rows: usize,
    sources: usize,
    values: *const R,
    weights: *const R,
    beside: Beside<R>,
    /// What the sum of every row starts from.
    start: *const R,
    out: *mut R,
}

/// What is added beside, likewise.
struct Beside<R> {
    values: *const R,
    sources: usize,
    weights: *const R,
}

/// Where the rows of a tile begin, and what they start from.
struct Tile<R> {
    values: *const R,
    weights: *const R,
    depth: usize,
    /// One row of it is `step` behind the other.
    from: *const R,
    step: usize,
    out: *mut R,
    /// First row, if what is beside is still to be added.
    beside: Option<usize>,
}

impl<R: Real> Panel<R> {
    #[inline(always)]
    unsafe fn run<S: Simd<Real = R>, const VECTORS: usize>(&self) {
        let width = VECTORS * S::LANES;
        // From the first row of a tile to the others. Nothing else than these and one place is needed in the innermost loop, however
        // many rows there are.
        let distances: [usize; TILE - 1] = std::array::from_fn(|row| S::kept((row + 1) * self.sources));
        // Stretches of about the same length.
        let stretch = self.sources.div_ceil(self.sources.div_ceil(DEPTH).max(1));
        let mut from = 0;
        loop {
            let depth = stretch.min(self.sources - from);
            let begins = from == 0;
            let mut row = 0;
            while row < self.rows {
                unsafe {
                    let out = self.out.add(row * width);
                    let tile = Tile {
                        values: self.values.add(row * self.sources + from),
                        weights: self.weights.add(from * width),
                        depth,
                        from: if begins { self.start } else { out },
                        step: if begins { 0 } else { width },
                        out,
                        beside: (begins && self.beside.sources > 0).then_some(row),
                    };
                    row += self.rows_of::<S, VECTORS>(&tile, self.rows - row, &distances);
                }
            }
            from += depth;
            if from >= self.sources {
                break;
            }
        }
    }

    /// As many rows at once as the registers hold; returns how many.
    #[inline(always)]
    unsafe fn rows_of<S: Simd<Real = R>, const VECTORS: usize>(
        &self,
        tile: &Tile<R>,
        left: usize,
        distances: &[usize; TILE - 1],
    ) -> usize {
        // Wider panels leave room for fewer rows; eight are better as two fours than as six and two.
        let most = match (VECTORS > PANEL_VECTORS, S::TILE_ROWS) {
            (false, rows) => rows,
            (true, TILE) if left != TILE => 6,
            (true, rows) => rows / 2,
        };
        unsafe {
            match left.min(most) {
                TILE.. => self.accumulate::<S, TILE, VECTORS>(tile, distances),
                6.. if VECTORS > PANEL_VECTORS => self.accumulate::<S, 6, VECTORS>(tile, distances),
                4.. => self.accumulate::<S, 4, VECTORS>(tile, distances),
                2.. => self.accumulate::<S, 2, VECTORS>(tile, distances),
                _ => self.accumulate::<S, 1, VECTORS>(tile, distances),
            }
        }
    }

    #[inline(always)]
    unsafe fn accumulate<S: Simd<Real = R>, const ROWS: usize, const VECTORS: usize>(
        &self,
        tile: &Tile<R>,
        distances: &[usize; TILE - 1],
    ) -> usize {
        let width = VECTORS * S::LANES;
        unsafe {
            let mut sums = [[S::splat(R::ZERO); VECTORS]; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = S::load(tile.from.add(row * tile.step + v * S::LANES));
                }
            }
            if let Some(first) = tile.beside {
                let Beside { values, sources, weights } = self.beside;
                for source in 0..sources {
                    let place = |row| values.add((first + row) * sources + source);
                    add::<S, ROWS, VECTORS>(&mut sums, place, weights.add(source * width));
                }
            }
            let (mut values, mut weights) = (tile.values, tile.weights);
            let end = values.add(tile.depth / TURNS * TURNS);
            while values != end {
                values = S::kept_place(values);
                for turn in 0..TURNS {
                    let place = |row| if row == 0 { values } else { values.add(distances[row - 1]) }.add(turn);
                    add::<S, ROWS, VECTORS>(&mut sums, place, weights.add(turn * width));
                }
                (values, weights) = (values.add(TURNS), weights.add(TURNS * width));
            }
            for _ in 0..tile.depth % TURNS {
                let place = |row| if row == 0 { values } else { values.add(distances[row - 1]) };
                add::<S, ROWS, VECTORS>(&mut sums, place, weights);
                (values, weights) = (values.add(1), weights.add(width));
            }
            for (row, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    S::store(tile.out.add(row * width + v * S::LANES), *sum);
                }
            }
        }
        ROWS
    }
}

/// Add one source of every row times its weights.
#[inline(always)]
unsafe fn add<S: Simd, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[S::Vector; VECTORS]; ROWS],
    place: impl Fn(usize) -> *const S::Real,
    weights: *const S::Real,
) {
    unsafe {
        let mut b = [S::splat(S::Real::ZERO); VECTORS];
        for (v, b) in b.iter_mut().enumerate() {
            *b = S::load(weights.add(v * S::LANES));
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let x = S::splat(*place(row));
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = S::fma(x, b, *sum);
            }
        }
    }
}
