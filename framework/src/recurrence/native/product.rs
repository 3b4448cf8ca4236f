//! The product of a block of rows with weights that are packed once, panel by panel, and sums of outer products.

use super::simd::{Real, Simd};

/// Most vectors across a panel: with the rows of a tile they fill the registers.
pub(super) const PANEL_VECTORS: usize = 3;
/// Vectors across a panel of gated units: one for each of their four blocks.
pub(super) const GATES: usize = 4;
/// Most terms of a sum between two visits to a panel, so that this part of the panel stays in the nearest cache for all rows.
const DEPTH: usize = 128;

/// Sources that are packed together where they lie side by side in memory.
const STRETCH: usize = 64;

/// How targets are cut into panels of a few vectors each.
#[derive(Clone, Debug)]
struct Panels {
    targets: usize,
    lanes: usize,
    /// First vector of each panel, and the end.
    borders: Vec<usize>,
}

impl Panels {
    /// At most so many vectors across a panel.
    fn new(targets: usize, lanes: usize, most: usize) -> Self {
        let vectors = targets.div_ceil(lanes);
        let panels = vectors.div_ceil(most).max(1);
        Self { targets, lanes, borders: (0..=panels).map(|panel| panel * vectors / panels).collect() }
    }

    fn count(&self) -> usize {
        self.borders.len() - 1
    }

    /// Targets of a panel: the first, how many there are, and the width with padding.
    #[inline(always)]
    fn columns(&self, panel: usize) -> (usize, usize, usize) {
        let first = self.borders[panel] * self.lanes;
        let width = (self.borders[panel + 1] - self.borders[panel]) * self.lanes;
        (first, width.min(self.targets - first), width)
    }

    /// Targets with padding.
    fn width(&self) -> usize {
        self.targets.next_multiple_of(self.lanes)
    }
}

/// Weights `[source, target]`, in panels of a few vectors of targets each: `[panel][source][target of the panel]`.
#[derive(Clone, Debug)]
pub(super) struct Packed<R> {
    values: Vec<R>,
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
        let mut values = vec![R::ZERO; panels.width() * sources];
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
            let mut weights = self.weights;
            for source in 0..self.depth {
                let mut b = [S::splat(R::ZERO); VECTORS];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = S::load(weights.add(v * S::LANES));
                }
                weights = weights.add(VECTORS * S::LANES);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(*self.values.add(row * self.stride + source));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = S::fma(x, b, *sum);
                    }
                }
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
            // Wider panels leave room for half the rows.
            match left.min(if VECTORS > PANEL_VECTORS { S::TILE_ROWS / 2 } else { S::TILE_ROWS }) {
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

/// Terms that are packed together before they are added to sums of outer products: both factors stay in the nearer caches.
pub(super) const TERMS: usize = 192;

/// Sums of outer products `[source, target]`: what gradients of weights are. The sources of a term stand in two parts and are
/// followed by a one, whose row is the sum of the targets.
pub(in crate::recurrence) struct Outer<R> {
    /// `[panel][source][target of the panel]`, with as many sources as whole tiles have rows.
    sums: Vec<R>,
    main: usize,
    side: usize,
    panels: Panels,
    tile: usize,
    /// Sources of the terms in hand, `[tile][term][row of the tile]`.
    sources: Vec<R>,
    /// One panel of their targets, `[term][target of the panel]`.
    targets: Vec<R>,
}

/// The terms of a few steps: `[term, number]` each, without gaps.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a, R> {
    pub count: usize,
    pub main: &'a [R],
    pub side: Option<&'a [R]>,
    pub targets: &'a [R],
}

impl<R: Real> Outer<R> {
    /// Sums of zero; `tile` is the tile's rows of the instructions to be used.
    pub fn new((main, side, targets): (usize, usize, usize), lanes: usize, tile: usize) -> Self {
        let panels = Panels::new(targets, lanes, PANEL_VECTORS);
        let sources = (main + side + 1).next_multiple_of(tile);
        Self {
            sums: vec![R::ZERO; panels.width() * sources],
            main,
            side,
            tile,
            sources: vec![R::ZERO; sources * TERMS],
            targets: vec![R::ZERO; PANEL_VECTORS * lanes * TERMS],
            panels,
        }
    }

    /// Sources beside the main ones.
    pub fn beside(&self) -> usize {
        self.side
    }

    fn padded(&self) -> usize {
        (self.main + self.side + 1).next_multiple_of(self.tile)
    }

    /// Add the outer products of some terms, at most [`TERMS`].
    ///
    /// # Safety
    /// The processor has the instructions of `S`, with whose lanes and tiles these sums were made.
    #[inline(always)]
    pub(super) unsafe fn add<S: Simd<Real = R>>(&mut self, terms: Terms<R>) {
        let count = terms.count;
        assert!(
            count <= TERMS
                && terms.main.len() >= count * self.main
                && terms.side.map_or(0, <[R]>::len) >= count * self.side
                && terms.targets.len() >= count * self.panels.targets,
            "terms of outer products do not fit"
        );
        match self.tile {
            8 => self.pack_sources::<8>(terms),
            _ => self.pack_sources::<4>(terms),
        }
        let padded = self.padded();
        for panel in 0..self.panels.count() {
            let (first, columns, width) = self.panels.columns(panel);
            for term in 0..count {
                let from = unsafe { terms.targets.as_ptr().add(term * self.panels.targets + first) };
                let to = unsafe { self.targets.as_mut_ptr().add(term * width) };
                for column in (0..width).step_by(S::LANES) {
                    unsafe {
                        let part = S::load_part(from.add(column), (columns - column).min(S::LANES));
                        S::store(to.add(column), part);
                    }
                }
            }
            let sums = &mut self.sums[first * padded..][..width * padded];
            for (tile, sources) in self.sources.chunks_exact(self.tile * TERMS).enumerate() {
                let out = unsafe { sums.as_mut_ptr().add(tile * self.tile * width) };
                let tile = OuterTile { sources: sources.as_ptr(), targets: self.targets.as_ptr(), count, out };
                unsafe {
                    match (self.tile, width / S::LANES) {
                        (8, 1) => tile.add::<S, 8, 1>(),
                        (8, 2) => tile.add::<S, 8, 2>(),
                        (8, _) => tile.add::<S, 8, 3>(),
                        (_, 1) => tile.add::<S, 4, 1>(),
                        (_, 2) => tile.add::<S, 4, 2>(),
                        (_, _) => tile.add::<S, 4, 3>(),
                    }
                }
            }
        }
    }

    /// Lay the sources out tile by tile; what is beside the last source stays zero.
    #[inline(always)]
    fn pack_sources<const TILE: usize>(&mut self, terms: Terms<R>) {
        let (main, side) = (self.main, self.side);
        for term in 0..terms.count {
            let (tiles, rest) = terms.main[term * main..][..main].as_chunks::<TILE>();
            let places = self.sources.chunks_exact_mut(TILE * TERMS);
            for (values, places) in tiles.iter().zip(places) {
                // An array of known length: a call to copy so few numbers would take longer than all else here.
                let (places, _) = places.as_chunks_mut::<TILE>();
                places[term] = *values;
            }
            let beside = terms.side.map_or(&[][..], |all| &all[term * side..][..side]);
            let last = tiles.len() * TILE;
            for (i, value) in rest.iter().chain(beside).copied().chain([R::ONE]).enumerate() {
                let source = last + i;
                self.sources[((source / TILE) * TERMS + term) * TILE + source % TILE] = value;
            }
        }
    }

    /// Sums over the main sources `[source, target]`, over those beside, and over the ones.
    pub fn finish(&self, main: &mut [R], side: &mut [R], ones: &mut [R]) {
        let (targets, padded) = (self.panels.targets, self.padded());
        for panel in 0..self.panels.count() {
            let (first, columns, width) = self.panels.columns(panel);
            let sums = &self.sums[first * padded..][..width * padded];
            for (source, row) in sums.chunks_exact(width.max(1)).enumerate().take(self.main + self.side + 1) {
                let place = if source < self.main {
                    &mut main[source * targets..]
                } else if source < self.main + self.side {
                    &mut side[(source - self.main) * targets..]
                } else {
                    &mut *ones
                };
                place[first..first + columns].copy_from_slice(&row[..columns]);
            }
        }
    }
}

/// A few sources of a panel of sums.
struct OuterTile<R> {
    sources: *const R,
    targets: *const R,
    count: usize,
    out: *mut R,
}

impl<R: Real> OuterTile<R> {
    #[inline(always)]
    unsafe fn add<S: Simd<Real = R>, const ROWS: usize, const VECTORS: usize>(&self) {
        let width = VECTORS * S::LANES;
        unsafe {
            let mut sums = [[S::splat(R::ZERO); VECTORS]; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = S::load(self.out.add(row * width + v * S::LANES));
                }
            }
            let (mut sources, mut targets) = (self.sources, self.targets);
            for _ in 0..self.count {
                let mut b = [S::splat(R::ZERO); VECTORS];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = S::load(targets.add(v * S::LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(*sources.add(row));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = S::fma(x, b, *sum);
                    }
                }
                sources = sources.add(ROWS);
                targets = targets.add(width);
            }
            for (row, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    S::store(self.out.add(row * width + v * S::LANES), *sum);
                }
            }
        }
    }
}
