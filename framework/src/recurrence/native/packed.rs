//! Weights in panels of a few vectors of targets.

use super::lines::Lines;
use super::simd::Real;
use super::{Matrix, side_by_side};
use crate::workers::Workers;

/// Most vectors across a panel: with the rows of a tile they fill the registers.
pub(super) const PANEL_VECTORS: usize = 3;
/// Vectors across a panel of gated units: one for each of their four blocks.
pub(super) const GATES: usize = 4;
/// Numbers that are moved together where a matrix is turned.
pub(super) const STRETCH: usize = 64;

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

    /// Numbers in a vector.
    pub fn lanes(&self) -> usize {
        self.lanes
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
    /// Pack weights `[source, target]`.
    pub fn new(weight: Matrix<R>, lanes: usize, workers: Option<&Workers>) -> Self {
        let columns: Vec<Option<usize>> = (0..weight.size.1).map(Some).collect();
        Self::in_panels(weight, &columns, (lanes, PANEL_VECTORS), workers)
    }

    /// The same with so many lanes and at most so many vectors across a panel, up to [`GATES`], and with given columns of `weight` as
    /// targets; zeros where there is none.
    pub fn in_panels(
        weight: Matrix<R>,
        columns: &[Option<usize>],
        (lanes, most): (usize, usize),
        workers: Option<&Workers>,
    ) -> Self {
        let (sources, panels) = (weight.size.0, Panels::new(columns.len(), lanes, most));
        let mut values = Lines::zeros(panels.width() * sources);
        let (mut rest, mut jobs) = (&mut values[..], Vec::new());
        for panel in 0..panels.count() {
            let (first, count, width) = panels.columns(panel);
            let (place, others) = rest.split_at_mut(width * sources);
            jobs.push((place, width, &columns[first..][..count]));
            rest = others;
        }
        side_by_side(jobs, columns.len() * sources, workers, |(place, width, columns)| {
            weight.fill(place, width, columns)
        });
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

    pub fn targets(&self) -> usize {
        self.panels.targets
    }

    /// What is multiplied with these weights must have as many numbers in a row.
    pub fn sources(&self) -> usize {
        self.sources
    }

    #[inline(always)]
    pub fn panel(&self, panel: usize) -> &[R] {
        let (first, _, width) = self.panels.columns(panel);
        &self.values[first * self.sources..][..width * self.sources]
    }
}

impl<R: Real> Matrix<'_, R> {
    /// Copy columns to the first places of rows of a width.
    fn fill(&self, place: &mut [R], width: usize, columns: &[Option<usize>]) {
        let follow = columns.windows(2).all(|pair| pair[1] == pair[0].map(|column| column + 1));
        if let (Some(Some(column)), true, 1) = (columns.first(), follow, self.strides.1) {
            for (row, place) in place.chunks_exact_mut(width).enumerate() {
                place[..columns.len()].copy_from_slice(&self.values[row * self.strides.0 + column..][..columns.len()]);
            }
            return;
        }
        // A stretch at a time, so that what is read along memory and what is written stay near.
        for (stretch, place) in place.chunks_mut(STRETCH * width.max(1)).enumerate() {
            let first = stretch * STRETCH * self.strides.0;
            for (to, column) in columns.iter().enumerate() {
                let Some(column) = column else { continue };
                let rows = place.chunks_exact_mut(width);
                let values = &self.values[first + column * self.strides.1..];
                match self.strides.0 {
                    1 => rows.zip(values).for_each(|(row, value)| row[to] = *value),
                    stride => rows.zip(values.chunks(stride)).for_each(|(row, values)| row[to] = values[0]),
                }
            }
        }
    }
}
