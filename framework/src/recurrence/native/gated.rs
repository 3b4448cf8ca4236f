//! All steps of long short-term memories and gated recurrent units, forward and backward.
//!
//! Both are taken as four blocks of each unit, `z = W h + V x + b`, of which a panel of the product holds all four for as many units
//! as a vector has lanes, so that a step is finished while its product is in the nearest cache.

use super::functions::{activate, slope};
use super::product::{Factor, GATES, Outer, PANEL_VECTORS, Packed, TERMS, Terms, panel_product};
use super::simd::Simd;
use super::{Gradients, Kernels, Level, Matrix, Real};
use crate::recurrence::Activation;

/// Which equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Blocks i, f, g, o: `c' = sigmoid(f) c + sigmoid(i) tanh(g)`, `h' = sigmoid(o) tanh(c')`.
    Memory,
    /// Blocks r, z, u, a: `n = tanh(a + sigmoid(r) u)`, `h' = (1 - sigmoid(z)) n + sigmoid(z) h`.
    Unit,
}

/// The step in numbers, ready for both directions of time.
#[derive(Clone, Debug)]
pub(in crate::recurrence) struct GatedStep<R> {
    level: Level,
    form: Gates,
    units: usize,
    forward: Packed<R>,
    inputs: Packed<R>,
    bias: Vec<R>,
    backward: Option<Packed<R>>,
    readout: Option<Packed<R>>,
    silence: Vec<R>,
}

/// Where block `gate` of unit `unit` stands among the blocks of all units.
fn place(unit: usize, gate: usize, lanes: usize) -> usize {
    (unit / lanes * GATES + gate) * lanes + unit % lanes
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
    /// `weight` is `[unit, 4 units]`, `input` `[input, 4 units]` and `bias` `[4 units]`, block after block; with `readout`
    /// `[output, unit]` for the way back, too.
    pub fn new(
        level: Level,
        form: Gates,
        (weight, input, bias): (Matrix<R>, Matrix<R>, &[R]),
        backward: Option<Option<Matrix<R>>>,
    ) -> Self {
        let (units, lanes) = (weight.size.0, R::lanes(level));
        let blocks = units.next_multiple_of(lanes) * GATES;
        let column = |column: usize| place(column % units, column / units, lanes);
        let pack = |matrix: Matrix<R>| {
            let size = (matrix.size.0, blocks);
            let dense = arranged(matrix, size, |row, from| (row, column(from)));
            Packed::in_panels(&dense, size, (blocks, 1), lanes, GATES)
        };
        let turned = backward.is_some().then(|| {
            let size = (blocks, units);
            let dense = arranged(weight, size, |unit, from| (column(from), unit));
            Packed::new(&dense, size, (units, 1), lanes)
        });
        let readout = backward.flatten().map(|m| Packed::new(m.values, m.size, m.strides, lanes));
        let mut start = vec![R::ZERO; blocks];
        bias.iter().enumerate().for_each(|(from, value)| start[column(from)] = *value);
        Self {
            level,
            form,
            units,
            forward: pack(weight),
            inputs: pack(input),
            bias: start,
            backward: turned,
            readout,
            silence: vec![R::ZERO; units.next_multiple_of(lanes)],
        }
    }

    /// Which instructions it was made for.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Numbers of the blocks of one row, with padding.
    pub fn blocks(&self) -> usize {
        self.bias.len()
    }

    /// Sums of outer products for the gradients of the weights.
    pub fn outer(&self) -> Outer<R> {
        let sizes = (self.units, self.inputs.sources(), self.blocks());
        Outer::new(sizes, R::lanes(self.level), R::tile(self.level))
    }

    /// Gradients of `weight`, `input` and `bias` as they were given, row by row.
    pub fn gradients(&self, sums: &Outer<R>) -> [Vec<R>; 3] {
        let (blocks, lanes) = (self.blocks(), R::lanes(self.level));
        let of_rows = |rows: usize| vec![R::ZERO; rows * blocks];
        let (mut weight, mut input, mut bias) = (of_rows(self.units), of_rows(self.inputs.sources()), of_rows(1));
        sums.finish(&mut weight, &mut input, &mut bias);
        let in_order = |sums: Vec<R>| {
            let row = |row: &[R]| {
                (0..GATES * self.units)
                    .map(|to| row[place(to % self.units, to / self.units, lanes)])
                    .collect::<Vec<R>>()
            };
            sums.chunks_exact(blocks).flat_map(row).collect()
        };
        [weight, input, bias].map(in_order)
    }

    fn groups(&self) -> usize {
        self.forward.panels()
    }
}

/// What a forward pass reads and writes; `[step, row, number]` without gaps.
pub(in crate::recurrence) struct GatedForward<'a, R> {
    pub rows: usize,
    pub steps: usize,
    pub inputs: &'a [R],
    /// What is read, `h`; one step more than there are, the first is given.
    pub hidden: &'a mut [R],
    /// With memories `c`, likewise.
    pub cell: &'a mut [R],
    /// The blocks of each step after their non-linearities, `[step, group of units, row, gate, lane]`, if they are kept.
    pub gates: Option<&'a mut [R]>,
}

/// What a backward pass reads and writes; `[step, row, number]` without gaps.
pub(in crate::recurrence) struct GatedBackward<'a, R> {
    pub rows: usize,
    pub steps: usize,
    pub hidden: &'a [R],
    pub cell: &'a [R],
    pub gates: &'a [R],
    /// Gradient with respect to what was read from each state but the first; of the last is read nothing.
    pub said: Option<&'a [R]>,
    /// `[row, unit]`: gradients with respect to the last `h` and `c`, and afterwards the first.
    pub lambda: &'a mut [R],
    pub lambda_cell: &'a mut [R],
    pub weights: Gradients<'a, R>,
    pub window: Option<usize>,
}

macro_rules! require_lengths {
    ($($found:expr => $expected:expr),* $(,)?) => {
        $(assert_eq!($found, $expected, "a buffer of the gated kernels has a wrong length");)*
    };
}

impl<R: Kernels> GatedForward<'_, R> {
    pub(super) fn check(&self, step: &GatedStep<R>) {
        let size = self.rows * step.units;
        require_lengths!(
            self.inputs.len() => self.steps * self.rows * step.inputs.sources(),
            self.hidden.len() => (self.steps + 1) * size,
            self.cell.len() => if step.form == Gates::Memory { (self.steps + 1) * size } else { 0 },
            self.gates.as_ref().map_or(0, |g| g.len()) =>
                self.gates.as_ref().map_or(0, |_| self.steps * self.rows * step.blocks()),
        );
    }
}

impl<R: Kernels> GatedBackward<'_, R> {
    pub(super) fn check(&self, step: &GatedStep<R>) {
        let size = self.rows * step.units;
        let memory = usize::from(step.form == Gates::Memory);
        require_lengths!(
            self.hidden.len() => (self.steps + 1) * size,
            self.cell.len() => memory * (self.steps + 1) * size,
            self.gates.len() => self.steps * self.rows * step.blocks(),
            self.said.map_or(0, <[R]>::len) =>
                self.said.map_or(0, |_| self.steps * self.rows * step.readout.as_ref().map_or(0, Packed::sources)),
            self.lambda.len() => size,
            self.lambda_cell.len() => memory * size,
            self.weights.inputs.map_or(0, <[R]>::len) => self.steps * self.rows * step.inputs.sources(),
        );
        assert!(step.backward.is_some(), "a gated step was packed for one direction");
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedForward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn forward<S: Simd>(step: &GatedStep<S::Real>, mut job: GatedForward<S::Real>)
where
    S::Real: Kernels,
{
    let (rows, units, channels) = (job.rows, step.units, step.inputs.sources());
    let size = rows * units;
    let width = GATES * S::LANES;
    let mut scratch = vec![S::Real::ZERO; rows * width];
    for t in 0..job.steps {
        let (before, after) = job.hidden.split_at_mut((t + 1) * size);
        let (hidden, next) = (&before[t * size..], &mut after[..size]);
        let main = Factor { rows: hidden, weight: &step.forward };
        let side = Factor { rows: &job.inputs[t * rows * channels..][..rows * channels], weight: &step.inputs };
        for group in 0..step.groups() {
            let first = group * S::LANES;
            let count = S::LANES.min(units - first);
            unsafe {
                panel_product::<S>(rows, main, Some(side), &step.bias, group, &mut scratch);
                for row in 0..rows {
                    let product = scratch.as_mut_ptr().add(row * width);
                    let mut z = [S::splat(S::Real::ZERO); GATES];
                    for (gate, z) in z.iter_mut().enumerate() {
                        *z = S::load(product.add(gate * S::LANES));
                    }
                    let at = row * units + first;
                    let (kept, reached) = match step.form {
                        Gates::Memory => {
                            let cell = job.cell.as_mut_ptr().add(t * size + at);
                            let (kept, h, c) = remember::<S>(z, S::load_part(cell, count));
                            S::store_part(cell.add(size), c, count);
                            (kept, h)
                        }
                        Gates::Unit => update::<S>(z, S::load_part(hidden.as_ptr().add(at), count)),
                    };
                    S::store_part(next.as_mut_ptr().add(at), reached, count);
                    if let Some(gates) = &mut job.gates {
                        let to = gates.as_mut_ptr().add(((t * step.groups() + group) * rows + row) * width);
                        for (gate, kept) in kept.iter().enumerate() {
                            S::store(to.add(gate * S::LANES), *kept);
                        }
                    }
                }
            }
        }
    }
}

/// One step of a long short-term memory: gates, `h'` and `c'`.
#[inline(always)]
unsafe fn remember<S: Simd>(z: [S::Vector; GATES], c: S::Vector) -> ([S::Vector; GATES], S::Vector, S::Vector) {
    unsafe {
        let input = activate::<S>(Activation::Sigmoid, z[0]);
        let forget = activate::<S>(Activation::Sigmoid, z[1]);
        let candidate = activate::<S>(Activation::Tanh, z[2]);
        let output = activate::<S>(Activation::Sigmoid, z[3]);
        let least = S::splat(S::Real::VANISHED);
        let c = S::flush(S::fma(forget, c, S::mul(input, candidate)), least);
        let h = S::mul(output, S::tanh(c));
        ([input, forget, candidate, output], S::flush(h, least), c)
    }
}

/// One step of a gated recurrent unit: reset, update, `u` and candidate, and `h'`.
#[inline(always)]
unsafe fn update<S: Simd>(z: [S::Vector; GATES], h: S::Vector) -> ([S::Vector; GATES], S::Vector) {
    unsafe {
        let reset = activate::<S>(Activation::Sigmoid, z[0]);
        let kept = activate::<S>(Activation::Sigmoid, z[1]);
        let candidate = activate::<S>(Activation::Tanh, S::fma(reset, z[2], z[3]));
        let reached = S::fma(kept, S::sub(h, candidate), candidate);
        ([reset, kept, z[2], candidate], S::flush(reached, S::splat(S::Real::VANISHED)))
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedBackward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn backward<S: Simd>(step: &GatedStep<S::Real>, job: GatedBackward<S::Real>)
where
    S::Real: Kernels,
{
    let Some(turned) = &step.backward else { return };
    let (rows, units, blocks) = (job.rows, step.units, step.blocks());
    let size = rows * units;
    let width = GATES * S::LANES;
    let mut scratch = vec![S::Real::ZERO; rows * PANEL_VECTORS * S::LANES];
    let chunk = (TERMS / rows.max(1)).clamp(1, job.steps.max(1));
    let mut recent = vec![S::Real::ZERO; chunk * rows * blocks];
    for t in (0..job.steps).rev() {
        let deltas = &mut recent[t % chunk * rows * blocks..][..rows * blocks];
        for group in 0..step.groups() {
            let first = group * S::LANES;
            let count = S::LANES.min(units - first);
            for row in 0..rows {
                let at = row * units + first;
                unsafe {
                    let from = job.gates.as_ptr().add(((t * step.groups() + group) * rows + row) * width);
                    let mut gates = [S::splat(S::Real::ZERO); GATES];
                    for (gate, value) in gates.iter_mut().enumerate() {
                        *value = S::load(from.add(gate * S::LANES));
                    }
                    let place = job.lambda.as_mut_ptr().add(at);
                    let lambda = S::load_part(place, count);
                    let delta = match step.form {
                        Gates::Memory => {
                            let cells = job.cell.as_ptr().add(t * size + at);
                            let (before, after) = (S::load_part(cells, count), S::load_part(cells.add(size), count));
                            let of_cell = job.lambda_cell.as_mut_ptr().add(at);
                            let (delta, passed) =
                                forgotten::<S>(gates, (before, after), lambda, S::load_part(of_cell, count));
                            S::store_part(of_cell, passed, count);
                            delta
                        }
                        Gates::Unit => {
                            let before = S::load_part(job.hidden.as_ptr().add(t * size + at), count);
                            let (delta, passed) = undone::<S>(gates, before, lambda);
                            // What goes past the gates waits where it will be added to.
                            S::store_part(place, passed, count);
                            delta
                        }
                    };
                    let to = deltas.as_mut_ptr().add(row * blocks + group * width);
                    for (gate, delta) in delta.iter().enumerate() {
                        S::store(to.add(gate * S::LANES), *delta);
                    }
                }
            }
        }
        let cut = t > 0 && job.window.is_some_and(|window| t % window == 0);
        let said = if t > 0 { job.said } else { None };
        let side = match (&step.readout, said) {
            (Some(weight), Some(said)) => {
                let outputs = rows * weight.sources();
                Some(Factor { rows: &said[(t - 1) * outputs..][..outputs], weight })
            }
            _ => None,
        };
        if cut && step.form == Gates::Memory {
            job.lambda_cell.fill(S::Real::ZERO);
        }
        for panel in 0..turned.panels() {
            let main = Factor { rows: &*deltas, weight: turned };
            let (first, columns, width) = turned.columns(panel);
            unsafe {
                match (cut, side) {
                    (false, side) => panel_product::<S>(rows, main, side, &step.silence, panel, &mut scratch),
                    (true, Some(side)) => panel_product::<S>(rows, side, None, &step.silence, panel, &mut scratch),
                    (true, None) => scratch.fill(S::Real::ZERO),
                }
                let keeps = step.form == Gates::Unit && !cut;
                for row in 0..rows {
                    for within in (0..columns).step_by(S::LANES) {
                        let count = S::LANES.min(columns - within);
                        let place = job.lambda.as_mut_ptr().add(row * units + first + within);
                        let mut passed = S::load(scratch.as_ptr().add(row * width + within));
                        if keeps {
                            passed = S::add(passed, S::load_part(place, count));
                        }
                        S::store_part(place, S::flush(passed, S::splat(S::Real::VANISHED)), count);
                    }
                }
            }
        }
        if t % chunk == 0 {
            let count = chunk.min(job.steps - t) * rows;
            for at in (0..count).step_by(TERMS) {
                let channels = step.inputs.sources();
                let terms = Terms {
                    count: TERMS.min(count - at),
                    main: &job.hidden[(t * rows + at) * units..],
                    side: job.weights.inputs.map(|all| &all[(t * rows + at) * channels..]),
                    targets: &recent[at * blocks..],
                };
                unsafe { job.weights.sums.add::<S>(terms) };
            }
        }
    }
}

/// The way back through a step of a long short-term memory: gradients of the blocks, and what passes on to `c`.
#[inline(always)]
unsafe fn forgotten<S: Simd>(
    [input, forget, candidate, output]: [S::Vector; GATES],
    (before, after): (S::Vector, S::Vector),
    lambda: S::Vector,
    of_cell: S::Vector,
) -> ([S::Vector; GATES], S::Vector) {
    unsafe {
        let through = |gate: S::Vector| slope::<S>(Activation::Sigmoid, gate);
        let shown = S::tanh(after);
        let of_cell = S::fma(S::mul(lambda, output), slope::<S>(Activation::Tanh, shown), of_cell);
        let delta = [
            S::mul(S::mul(of_cell, candidate), through(input)),
            S::mul(S::mul(of_cell, before), through(forget)),
            S::mul(S::mul(of_cell, input), slope::<S>(Activation::Tanh, candidate)),
            S::mul(S::mul(lambda, shown), through(output)),
        ];
        (delta, S::flush(S::mul(of_cell, forget), S::splat(S::Real::VANISHED)))
    }
}

/// The way back through a step of a gated recurrent unit: gradients of the blocks, and what passes on to `h` past them.
#[inline(always)]
unsafe fn undone<S: Simd>(
    [reset, kept, recurrent, candidate]: [S::Vector; GATES],
    before: S::Vector,
    lambda: S::Vector,
) -> ([S::Vector; GATES], S::Vector) {
    unsafe {
        let through = |gate: S::Vector| slope::<S>(Activation::Sigmoid, gate);
        let share = S::sub(S::splat(S::Real::ONE), kept);
        let of_candidate = S::mul(S::mul(lambda, share), slope::<S>(Activation::Tanh, candidate));
        let delta = [
            S::mul(S::mul(of_candidate, recurrent), through(reset)),
            S::mul(S::mul(lambda, S::sub(before, candidate)), through(kept)),
            S::mul(of_candidate, reset),
            of_candidate,
        ];
        (delta, S::mul(lambda, kept))
    }
}
