//! Weights of gated units, packed for their kernels.

use super::super::lines::Lines;
use super::super::outer::Outer;
use super::super::product::{Factor, Packed};
use super::super::{Kernels, Level, Matrix, Real, over_units};
use super::Gates;
use super::early::Early;

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

/// A dense matrix `[row, column]`.
fn arranged<R: Real>(
    matrix: Matrix<R>,
    (rows, columns): (usize, usize),
    to: impl Fn(usize, usize) -> (usize, usize),
) -> Vec<R> {
    let mut dense = vec![R::ZERO; rows * columns];
    for row in 0..matrix.size.0 {
        for column in 0..matrix.size.1 {
            let (to_row, to_column) = to(row, column);
            dense[to_row * columns + to_column] = matrix.values[row * matrix.strides.0 + column * matrix.strides.1];
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
    ) -> Self {
        let (units, lanes, gates) = (weight.size.0, R::lanes(level), form.stacked());
        let blocks = units.next_multiple_of(lanes) * gates;
        let column = |column: usize| place(column % units, column / units, (gates, lanes));
        let stacked = gates * units;
        let ((weight, later_weight), (input, later_input)) = (parts(weight, stacked), parts(input, stacked));
        let (bias, later_bias) = bias.split_at(stacked);
        let early = (later_weight.size.1 > 0)
            .then(|| Early::new(level, (later_weight, later_input, later_bias), backward.is_some()));
        let apart = form.sets_apart().then(|| Apart {
            inputs: Packed::in_panels(later_input.values, later_input.size, later_input.strides, lanes, 1),
            bias: over_units(later_bias, units, lanes),
        });
        let pack = |matrix: Matrix<R>| {
            let size = (matrix.size.0, blocks);
            let dense = arranged(matrix, size, |row, from| (row, column(from)));
            Packed::in_panels(&dense, size, (blocks, 1), lanes, gates)
        };
        let turned = backward.is_some().then(|| {
            let size = (blocks, units);
            let dense = arranged(weight, size, |unit, from| (column(from), unit));
            Packed::new(&dense, size, (units, 1), lanes)
        });
        let readout = backward.flatten().map(|m| Packed::new(m.values, m.size, m.strides, lanes));
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

    /// Sums of outer products for the gradients of the weights, and of those of a candidate that comes later or is set apart.
    pub fn outer(&self) -> (Outer<R>, Option<Outer<R>>) {
        let sums = |size| Outer::new(size, R::lanes(self.level), R::tile(self.level));
        let (units, channels) = (self.units, self.inputs.sources());
        let later = match (&self.early, &self.apart) {
            (Some(_), _) => Some(sums((units, channels, units))),
            (_, Some(_)) => Some(sums((channels, 0, units))),
            _ => None,
        };
        (sums((units, channels, self.bias.len())), later)
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

    /// Gradients of `weight`, `input` and `bias` as they were given, row by row.
    pub fn gradients(&self, (sums, later): &(Outer<R>, Option<Outer<R>>)) -> [Vec<R>; 3] {
        let (blocks, lanes, gates) = (self.bias.len(), R::lanes(self.level), self.form.stacked());
        let finished = |sums: &Outer<R>, columns: usize, (main, side): (usize, usize)| {
            let [mut main, mut side, mut bias] = [main, side, 1].map(|rows| vec![R::ZERO; rows * columns]);
            sums.finish(&mut main, &mut side, &mut bias);
            [main, side, bias]
        };
        let channels = self.inputs.sources();
        let stacked = finished(sums, blocks, (self.units, channels));
        let later = later.as_ref().map(|sums| match &self.apart {
            // It has no recurrent weights.
            Some(_) => {
                let [input, _, bias] = finished(sums, self.units, (channels, 0));
                [Vec::new(), input, bias]
            }
            None => finished(sums, self.units, (self.units, channels)),
        });
        std::array::from_fn(|i| {
            let row = |(number, row): (usize, &[R])| {
                let stacked = (0..gates * self.units)
                    .map(|to| row[place(to % self.units, to / self.units, (gates, lanes))])
                    .collect::<Vec<R>>();
                let later = later.as_ref().and_then(|later| later[i].chunks_exact(self.units).nth(number));
                [&stacked, later.unwrap_or(&[])].concat()
            };
            stacked[i].chunks_exact(blocks).enumerate().flat_map(row).collect()
        })
    }

    /// Numbers of a sum over rows, one per unit, with room for whole vectors.
    pub fn sums(&self) -> Vec<R> {
        vec![R::ZERO; self.leak.len()]
    }

    pub(in crate::recurrence::native) fn groups(&self) -> usize {
        self.forward.panels()
    }
}
