//! Sums of outer products, panel by panel: the gradients of weights.

use super::lines::Lines;
use super::packed::{PANEL_VECTORS, Panels, STRETCH};
use super::simd::{Real, Simd};
use super::{Kernels, Level, side_by_side};
use crate::workers::Workers;

/// Terms that are packed together before they are added to sums of outer products: both factors stay in the nearer caches.
pub(super) const TERMS: usize = 96;

/// How sums of outer products lie in memory: `[panel][source][target of the panel]`, with as many sources as whole tiles have rows.
#[derive(Clone, Debug)]
pub(in crate::recurrence) struct Layout {
    main: usize,
    side: usize,
    panels: Panels,
    tile: usize,
}

/// Sums of outer products `[source, target]`: what gradients of weights are. The sources of a term stand in two parts and are
/// followed by a one, whose row is the sum of the targets.
pub(in crate::recurrence) struct Outer<'a, R: Real> {
    layout: Layout,
    sums: &'a mut [R],
    /// Whether there is a sum yet; before, anything may lie in its memory.
    begun: bool,
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

impl Layout {
    /// Of gradients of weights with so many main sources, sources beside them, and targets.
    pub(in crate::recurrence) fn of<R: Kernels>(level: Level, (main, side, targets): (usize, usize, usize)) -> Self {
        Self { main, side, panels: Panels::new(targets, R::lanes(level), PANEL_VECTORS), tile: R::tile(level) }
    }

    /// Main sources, those beside, and targets.
    pub fn size(&self) -> [usize; 3] {
        [self.main, self.side, self.panels.targets]
    }

    /// Sources, the one among them.
    fn used(&self) -> usize {
        self.main + self.side + 1
    }

    fn padded(&self) -> usize {
        self.used().next_multiple_of(self.tile)
    }

    /// Numbers of all sums.
    pub fn numbers(&self) -> usize {
        self.panels.width() * self.padded()
    }

    /// Lay sums out by targets: those over the main sources and over those beside, `[target, source]` each, and over the ones.
    pub fn by_targets<R: Real>(&self, sums: &[R], [main, side, ones]: [&mut [R]; 3], workers: &Workers) {
        let (mut places, mut jobs) = ([(main, self.main), (side, self.side), (ones, 1)], Vec::new());
        for panel in 0..self.panels.count() {
            let (first, columns, width) = self.panels.columns(panel);
            let own = places.each_mut().map(|(place, sources)| {
                let (own, others) = std::mem::take(place).split_at_mut(columns * *sources);
                *place = others;
                own
            });
            jobs.push((&sums[first * self.padded()..][..width * self.padded()], width, own));
        }
        let lay_out = |(mut sums, width, own): (&[R], usize, [&mut [R]; 3])| {
            for (place, sources) in own.into_iter().zip([self.main, self.side, 1]) {
                let (these, others) = sums.split_at(sources * width);
                turn(these, width, place, sources);
                sums = others;
            }
        };
        side_by_side(jobs, sums.len(), Some(workers), lay_out);
    }
}

/// From `[source, column]`, `width` columns with padding, to `[column, source]`.
fn turn<R: Copy>(from: &[R], width: usize, to: &mut [R], sources: usize) {
    // A stretch at a time, so that what is read stays near.
    for (stretch, from) in from.chunks(STRETCH * width.max(1)).enumerate() {
        for (column, row) in to.chunks_exact_mut(sources.max(1)).enumerate() {
            row[stretch * STRETCH..].iter_mut().zip(from.chunks_exact(width)).for_each(|(to, row)| *to = row[column]);
        }
    }
}

impl<'a, R: Real> Outer<'a, R> {
    /// Sums in memory that holds as many numbers as the layout says, whatever they are.
    pub fn new(layout: Layout, sums: &'a mut [R]) -> Self {
        assert_eq!(sums.len(), layout.numbers(), "sums of outer products have a wrong length");
        let lanes = layout.panels.lanes();
        Self {
            sums,
            begun: false,
            sources: Lines::zeros(layout.padded() * TERMS),
            targets: Lines::zeros(PANEL_VECTORS * lanes * TERMS),
            layout,
        }
    }

    /// Sources beside the main ones.
    pub fn beside(&self) -> usize {
        self.layout.side
    }

    /// Add the outer products of some terms, at most [`TERMS`].
    ///
    /// # Safety
    /// The processor has the instructions of `S`, with whose lanes and tiles these sums were made.
    #[inline(always)]
    pub(super) unsafe fn add<S: Simd<Real = R>>(&mut self, terms: Terms<R>) {
        let count = terms.count;
        let Layout { main, side, tile, .. } = self.layout;
        assert!(
            count <= TERMS
                && terms.main.len() >= count * main
                && terms.side.map_or(0, <[R]>::len) >= count * side
                && terms.targets.len() >= count * self.layout.panels.targets,
            "terms of outer products do not fit"
        );
        match tile {
            8 => self.pack_sources::<8>(terms),
            _ => self.pack_sources::<4>(terms),
        }
        let begins = !std::mem::replace(&mut self.begun, true);
        let (panels, padded, used) = (&self.layout.panels, self.layout.padded(), self.layout.used());
        for panel in 0..panels.count() {
            let (first, columns, width) = panels.columns(panel);
            for term in 0..count {
                let from = unsafe { terms.targets.as_ptr().add(term * panels.targets + first) };
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
            for (number, sources) in self.sources.chunks_exact(tile * TERMS).enumerate() {
                let out = unsafe { sums.as_mut_ptr().add(number * tile * width) };
                let used = (used - number * tile).min(tile);
                let work = OuterTile { sources: sources.as_ptr(), targets: self.targets.as_ptr(), count, begins, out };
                unsafe {
                    match width / S::LANES {
                        1 => work.of_rows::<S, 1>(tile, used),
                        2 => work.of_rows::<S, 2>(tile, used),
                        _ => work.of_rows::<S, 3>(tile, used),
                    }
                }
            }
        }
    }

    /// Lay the sources out tile by tile; what is beside the last source stays zero.
    #[inline(always)]
    fn pack_sources<const TILE: usize>(&mut self, terms: Terms<R>) {
        let Layout { main, side, .. } = self.layout;
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
}

impl<R: Real> Drop for Outer<'_, R> {
    /// A sum of no terms is zero.
    fn drop(&mut self) {
        if !self.begun {
            self.sums.fill(R::ZERO);
        }
    }
}

/// A few sources of a panel of sums.
struct OuterTile<R> {
    sources: *const R,
    targets: *const R,
    count: usize,
    /// Whether sums begin with these terms.
    begins: bool,
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
            if !self.begins {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = S::load(self.out.add(row * width + v * S::LANES));
                    }
                }
            }
            // Those of the next tile, which follow these.
            for v in 0..ROWS * VECTORS {
                S::prefetch(self.out.wrapping_add(ROWS * width + v * S::LANES));
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
