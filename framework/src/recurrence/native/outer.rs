//! Sums of outer products, panel by panel: the gradients of weights.

use super::lines::Lines;
use super::product::{PANEL_VECTORS, Panels};
use super::simd::{Real, Simd};

/// Terms that are packed together before they are added to sums of outer products: both factors stay in the nearer caches.
pub(super) const TERMS: usize = 96;

/// Sums of outer products `[source, target]`: what gradients of weights are. The sources of a term stand in two parts and are
/// followed by a one, whose row is the sum of the targets.
pub(in crate::recurrence) struct Outer<R> {
    /// `[panel][source][target of the panel]`, with as many sources as whole tiles have rows.
    sums: Lines<R>,
    main: usize,
    side: usize,
    panels: Panels,
    tile: usize,
    /// Sources of the terms in hand, `[tile][term][row of the tile]`.
    sources: Lines<R>,
    /// One panel of their targets, `[term][target of the panel]`.
    targets: Lines<R>,
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
            sums: Lines::zeros(panels.width() * sources),
            main,
            side,
            tile,
            sources: Lines::zeros(sources * TERMS),
            targets: Lines::zeros(PANEL_VECTORS * lanes * TERMS),
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
                let whole = columns - columns % S::LANES;
                unsafe {
                    for column in (0..whole).step_by(S::LANES) {
                        S::store(to.add(column), S::load(from.add(column)));
                    }
                    if whole < columns {
                        S::store(to.add(whole), S::load_part(from.add(whole), columns - whole));
                    }
                }
            }
            let sums = &mut self.sums[first * padded..][..width * padded];
            for (tile, sources) in self.sources.chunks_exact(self.tile * TERMS).enumerate() {
                let out = unsafe { sums.as_mut_ptr().add(tile * self.tile * width) };
                let used = (self.main + self.side + 1 - tile * self.tile).min(self.tile);
                let tile = OuterTile { sources: sources.as_ptr(), targets: self.targets.as_ptr(), count, out };
                unsafe {
                    match width / S::LANES {
                        1 => tile.of_rows::<S, 1>(self.tile, used),
                        2 => tile.of_rows::<S, 2>(self.tile, used),
                        _ => tile.of_rows::<S, 3>(self.tile, used),
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
            // What is left of the main sources, those beside and the one fill further tiles.
            let (mut held, mut filled, mut tile) = ([R::ZERO; TILE], 0, tiles.len());
            let (places, _) = self.sources.as_chunks_mut::<TILE>();
            for value in rest.iter().chain(beside).chain(&[R::ONE]) {
                held[filled] = *value;
                filled += 1;
                if filled == TILE {
                    places[tile * TERMS + term] = held;
                    (held, filled, tile) = ([R::ZERO; TILE], 0, tile + 1);
                }
            }
            if filled > 0 {
                places[tile * TERMS + term] = held;
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
    /// Only the rows that are used: the last tile is seldom full.
    #[inline(always)]
    unsafe fn of_rows<S: Simd<Real = R>, const VECTORS: usize>(&self, tile: usize, used: usize) {
        unsafe {
            match (tile, used) {
                (8, 5..) => self.add::<S, 8, 8, VECTORS>(),
                (8, 3..) => self.add::<S, 8, 4, VECTORS>(),
                (8, _) => self.add::<S, 8, 2, VECTORS>(),
                (_, 3..) => self.add::<S, 4, 4, VECTORS>(),
                (_, _) => self.add::<S, 4, 2, VECTORS>(),
            }
        }
    }

    #[inline(always)]
    unsafe fn add<S: Simd<Real = R>, const TILE: usize, const ROWS: usize, const VECTORS: usize>(&self) {
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
                sources = sources.add(TILE);
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
