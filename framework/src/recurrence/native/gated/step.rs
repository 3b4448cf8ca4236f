//! Weights of gated units, packed for their kernels.

use super::super::lines::Lines;
use super::super::outer::Layout;
use super::super::packed::Packed;
use super::super::product::Factor;
use super::super::{Kernels, Level, Matrix, Real, over_units};
use super::Gates;
use super::early::Early;
use crate::workers::Workers;

/// The step in numbers, ready for both directions of time.
#[derive(Clone, Debug)]
pub(in crate::recurrence) struct GatedStep<R> {
    pub(super) level: Level,
    pub(super) form: Gates,
    pub(super) units: usize,
    pub(super) forward: Packed<R>,
    pub(super) inputs: Packed<R>,
    pub(super) bias: Lines<R>,
    pub(super) leak: Lines<R>,
    pub(super) backward: Option<Packed<R>>,
    pub(super) readout: Option<Packed<R>>,
    /// The candidate's part, where it comes after its reset gate.
    pub(super) early: Option<Early<R>>,
    /// The block that sees the input alone.
    pub(super) apart: Option<Apart<R>>,
    pub(super) silence: Lines<R>,
}

/// The input's weights and the bias of a block that does not see `h`, a vector a panel.
#[derive(Clone, Debug)]
pub(super) struct Apart<R> {
    pub inputs: Packed<R>,
    pub bias: Lines<R>,
}

/// Where block `gate` of unit `unit` stands among the blocks of all units.
fn place(unit: usize, gate: usize, (gates, lanes): (usize, usize)) -> usize {
    (unit / lanes * gates + gate) * lanes + unit % lanes
}

/// The first so many columns, of the product with `h`, and the others, of a candidate that comes later.
fn parts<R>(matrix: Matrix<R>, stacked: usize) -> (Matrix<R>, Matrix<R>) {
    let Matrix { values, size: (rows, columns), strides } = matrix;
    let rest = &values[(stacked * strides.1).min(values.len())..];
    (
        Matrix { values, size: (rows, stacked), strides },
        Matrix { values: rest, size: (rows, columns - stacked), strides },
    )
}

/// A dense matrix `[column, row]` of `columns` rows, to which `to` the columns of `matrix` go.
fn with_rows<R: Real>(matrix: &Matrix<R>, columns: usize, to: &[usize]) -> Vec<R> {
    let rows = matrix.size.0;
    let mut dense = vec![R::ZERO; columns * rows];
    for (column, to) in to.iter().enumerate() {
        for (row, place) in dense[to * rows..][..rows].iter_mut().enumerate() {
            *place = matrix.values[row * matrix.strides.0 + column * matrix.strides.1];
        }
    }
    dense
}

impl<R: Kernels> GatedStep<R> {
    /// `weight` is `[unit, blocks * units]`, `input` `[input, blocks * units]` and `bias` `[blocks * units]`, block after block, of
    /// which `weight` lacks the last where that sees the input alone; `leak`
    /// has one number, or one for each unit; with `readout` `[output, unit]` for the way back, too.
    pub fn new(
        level: Level,
        form: Gates,
        (weight, input, bias, leak): (Matrix<R>, Matrix<R>, &[R], &[R]),
        backward: Option<Option<Matrix<R>>>,
        workers: &Workers,
    ) -> Self {
        let (units, lanes, gates) = (weight.size.0, R::lanes(level), form.stacked());
        let blocks = units.next_multiple_of(lanes) * gates;
        let column = |column: usize| place(column % units, column / units, (gates, lanes));
        let stacked = gates * units;
        let ((weight, later_weight), (input, later_input)) = (parts(weight, stacked), parts(input, stacked));
        let (bias, later_bias) = bias.split_at(stacked);
        let early = (later_weight.size.1 > 0)
            .then(|| Early::new(level, (later_weight, later_input, later_bias), backward.is_some(), workers));
        let apart = form.sets_apart().then(|| Apart {
            inputs: Packed::in_panels(later_input, &(0..units).map(Some).collect::<Vec<_>>(), (lanes, 1), None),
            bias: over_units(later_bias, units, lanes),
        });
        // Which column goes to each place, where one does.
        let columns: Vec<usize> = (0..stacked).map(column).collect();
        let mut places = vec![None; blocks];
        columns.iter().enumerate().for_each(|(from, to)| places[*to] = Some(from));
        let pack = |matrix| Packed::in_panels(matrix, &places, (lanes, gates), Some(workers));
        let turned = backward.is_some().then(|| {
            let dense = with_rows(&weight, blocks, &columns);
            Packed::new(Matrix { values: &dense, size: (blocks, units), strides: (units, 1) }, lanes, Some(workers))
        });
        let readout = backward.flatten().map(|readout| Packed::new(readout, lanes, None));
        let mut start = Lines::zeros(blocks);
        bias.iter().enumerate().for_each(|(from, value)| start[column(from)] = *value);
        Self {
            level,
            form,
            units,
            forward: pack(weight),
            inputs: pack(input),
            bias: start,
            leak: over_units(leak, units, lanes),
            backward: turned,
            readout,
            early,
            apart,
            silence: Lines::zeros(units.next_multiple_of(lanes)),
        }
    }

    /// Which instructions it was made for.
    pub(in crate::recurrence::native) fn level(&self) -> Level {
        self.level
    }

    /// Numbers that are kept of the blocks of one row, with padding.
    pub fn blocks(&self) -> usize {
        self.leak.len() * self.form.blocks()
    }

    /// How the sums for the gradients of the weights lie in memory, and behind them those of a candidate that comes later or is set
    /// apart.
    pub fn layouts(&self) -> (Layout, Option<Layout>) {
        let layout = |size| Layout::of::<R>(self.level, size);
        let (units, channels) = (self.units, self.inputs.sources());
        let later = match (&self.early, &self.apart) {
            (Some(_), _) => Some(layout((units, channels, units))),
            (_, Some(_)) => Some(layout((channels, 0, units))),
            _ => None,
        };
        (layout((units, channels, self.bias.len())), later)
    }

    /// What was read from the state before step `t`, and the weights by which it was.
    pub(in crate::recurrence::native) fn said_before<'a>(
        &'a self,
        said: Option<&'a [R]>,
        t: usize,
        rows: usize,
    ) -> Option<Factor<'a, R>> {
        let (weight, said) = (self.readout.as_ref()?, said.filter(|_| t > 0)?);
        let outputs = rows * weight.sources();
        Some(Factor { rows: &said[(t - 1) * outputs..][..outputs], weight })
    }

    /// Gradients of `weight` and `input`, `[target, source]`, and of `bias`, from sums of [`Self::layouts`].
    pub fn gradients(&self, sums: &[R], places: [&mut [R]; 3], workers: &Workers) {
        let (lanes, gates, channels) = (R::lanes(self.level), self.form.stacked(), self.inputs.sources());
        let by_targets = |layout: &Layout, sums: &[R], targets: usize, sources: [usize; 3]| {
            let mut parts = sources.map(|sources| vec![R::ZERO; targets * sources]);
            layout.by_targets(sums, parts.each_mut().map(Vec::as_mut_slice), workers);
            parts
        };
        let (layout, later) = self.layouts();
        let (sums, behind) = sums.split_at(layout.numbers());
        let stacked = by_targets(&layout, sums, self.bias.len(), [self.units, channels, 1]);
        let later = later.map(|layout| match &self.apart {
            // It has no recurrent weights.
            Some(_) => {
                let [input, _, bias] = by_targets(&layout, behind, self.units, [channels, 0, 1]);
                [Vec::new(), input, bias]
            }
            None => by_targets(&layout, behind, self.units, [self.units, channels, 1]),
        });
        for (i, (to, sources)) in places.into_iter().zip([self.units, channels, 1]).enumerate() {
            let (of_gates, others) = to.split_at_mut(gates * self.units * sources);
            for (target, row) in of_gates.chunks_exact_mut(sources.max(1)).enumerate() {
                let place = place(target % self.units, target / self.units, (gates, lanes));
                row.copy_from_slice(&stacked[i][place * sources..][..sources]);
            }
            if let Some(later) = &later {
                others.copy_from_slice(&later[i]);
            }
        }
    }

    /// Numbers of a sum over rows, one per unit, with room for whole vectors.
    pub fn sums(&self) -> Vec<R> {
        vec![R::ZERO; self.leak.len()]
    }

    pub(in crate::recurrence::native) fn groups(&self) -> usize {
        self.forward.panels()
    }
}
