//! All steps of long short-term memories and gated recurrent units, forward and backward.
//!
//! Each unit has two or four blocks of `z = W h + V x + b`, and a panel of the product holds all of them for as many units as a vector
//! has lanes, so that a step is finished while its product is in the nearest cache.

mod early;
mod equations;

use super::product::{Factor, GATES, Outer, PANEL_VECTORS, Packed, TERMS, Terms, panel_product};
use super::simd::Simd;
use super::{Gradients, Kernels, Level, Matrix, Real, over_units};
use crate::recurrence::Activation;
use early::{Early, OPENING};
use equations::{Equations, Memory, State, WithReset, WithoutReset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Blocks i, f, g, o: `c' = sigmoid(f) c + sigmoid(i) tanh(g)`, `h' = sigmoid(o) tanh(c')`.
    Memory,
    /// Gated units with a leak `l`, 1 where there is none: `h' = h + l (1 - sigmoid(z)) (n - h)`.
    Unit {
        /// Where their reset gate acts.
        reset: ResetGate,
        /// The non-linearity `f` of the candidate.
        candidate: Activation,
    },
}

/// Where a reset gate acts, and with it which blocks a unit has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResetGate {
    /// On the recurrent product of the candidate, as in PyTorch's `GRU`; blocks r, z, u, a: `n = f(a + sigmoid(r) u)`.
    #[default]
    AfterProduct,
    /// On the state that the candidate's recurrent weights see, as it was published first; blocks r, z, a, of which a sees
    /// `sigmoid(r) h` instead of `h`: `n = f(a)`.
    BeforeProduct,
    /// There is none; blocks z, a: `n = f(a)`.
    None,
}

impl Gates {
    /// Blocks of each unit whose numbers are kept.
    pub(in crate::recurrence) fn blocks(self) -> usize {
        match self {
            Self::Unit { reset: ResetGate::BeforeProduct, .. } => OPENING + 1,
            _ => self.stacked(),
        }
    }

    /// Blocks in the product with `h`.
    fn stacked(self) -> usize {
        match self {
            Self::Memory | Self::Unit { reset: ResetGate::AfterProduct, .. } => GATES,
            Self::Unit { reset: ResetGate::None, .. } => 2,
            Self::Unit { reset: ResetGate::BeforeProduct, .. } => OPENING,
        }
    }

    fn is_memory(self) -> bool {
        self == Self::Memory
    }
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
    leak: Vec<R>,
    backward: Option<Packed<R>>,
    readout: Option<Packed<R>>,
    /// The candidate's part, where it comes after its reset gate.
    early: Option<Early<R>>,
    silence: Vec<R>,
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
    /// `weight` is `[unit, blocks * units]`, `input` `[input, blocks * units]` and `bias` `[blocks * units]`, block after block; `leak`
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
        let mut start = vec![R::ZERO; blocks];
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
            silence: vec![R::ZERO; units.next_multiple_of(lanes)],
        }
    }

    /// Which instructions it was made for.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Numbers that are kept of the blocks of one row, with padding.
    pub fn blocks(&self) -> usize {
        self.leak.len() * self.form.blocks()
    }

    /// Sums of outer products for the gradients of the weights, and of those of a candidate that comes later.
    pub fn outer(&self) -> (Outer<R>, Option<Outer<R>>) {
        let sums = |targets: usize| {
            Outer::new((self.units, self.inputs.sources(), targets), R::lanes(self.level), R::tile(self.level))
        };
        (sums(self.bias.len()), self.early.is_some().then(|| sums(self.units)))
    }

    /// What was read from the state before step `t`, and the weights by which it was.
    fn said_before<'a>(&'a self, said: Option<&'a [R]>, t: usize, rows: usize) -> Option<Factor<'a, R>> {
        let (weight, said) = (self.readout.as_ref()?, said.filter(|_| t > 0)?);
        let outputs = rows * weight.sources();
        Some(Factor { rows: &said[(t - 1) * outputs..][..outputs], weight })
    }

    /// Gradients of `weight`, `input` and `bias` as they were given, row by row.
    pub fn gradients(&self, (sums, later): &(Outer<R>, Option<Outer<R>>)) -> [Vec<R>; 3] {
        let (blocks, lanes, gates) = (self.bias.len(), R::lanes(self.level), self.form.stacked());
        let finished = |sums: &Outer<R>, columns: usize| {
            let of_rows = |rows: usize| vec![R::ZERO; rows * columns];
            let (mut weight, mut input, mut bias) = (of_rows(self.units), of_rows(self.inputs.sources()), of_rows(1));
            sums.finish(&mut weight, &mut input, &mut bias);
            [weight, input, bias]
        };
        let stacked = finished(sums, blocks);
        let later = later.as_ref().map(|sums| finished(sums, self.units));
        std::array::from_fn(|i| {
            let row = |(number, row): (usize, &[R])| {
                let stacked = (0..gates * self.units)
                    .map(|to| row[place(to % self.units, to / self.units, (gates, lanes))])
                    .collect::<Vec<R>>();
                let later = later.as_ref().map(|later| &later[i][number * self.units..][..self.units]);
                [&stacked, later.unwrap_or(&[])].concat()
            };
            stacked[i].chunks_exact(blocks).enumerate().flat_map(row).collect()
        })
    }

    /// Numbers of a sum over rows, one per unit, with room for whole vectors.
    pub fn sums(&self) -> Vec<R> {
        vec![R::ZERO; self.leak.len()]
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
    /// What is added to the input of each candidate `[step, row, unit]`, beside that.
    pub added: Option<&'a [R]>,
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
    /// Where those of a candidate that comes later are summed.
    pub early: Option<&'a mut Outer<R>>,
    /// Gradient of the leaks, from [`GatedStep::sums`], where they are learned.
    pub leak: Option<&'a mut [R]>,
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
            self.cell.len() => if step.form.is_memory() { (self.steps + 1) * size } else { 0 },
            self.added.map_or(0, <[R]>::len) => self.added.map_or(0, |_| self.steps * size),
            self.gates.as_ref().map_or(0, |g| g.len()) =>
                self.gates.as_ref().map_or(0, |_| self.steps * self.rows * step.blocks()),
        );
    }
}

impl<R: Kernels> GatedBackward<'_, R> {
    pub(super) fn check(&self, step: &GatedStep<R>) {
        let size = self.rows * step.units;
        let memory = usize::from(step.form.is_memory());
        require_lengths!(
            self.hidden.len() => (self.steps + 1) * size,
            self.cell.len() => memory * (self.steps + 1) * size,
            self.gates.len() => self.steps * self.rows * step.blocks(),
            self.said.map_or(0, <[R]>::len) =>
                self.said.map_or(0, |_| self.steps * self.rows * step.readout.as_ref().map_or(0, Packed::sources)),
            self.lambda.len() => size,
            self.lambda_cell.len() => memory * size,
            self.weights.inputs.map_or(0, <[R]>::len) => self.steps * self.rows * step.inputs.sources(),
            self.leak.as_ref().map_or(0, |sums| sums.len()) => self.leak.as_ref().map_or(0, |_| step.leak.len()),
        );
        assert!(step.backward.is_some(), "a gated step was packed for one direction");
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedForward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn forward<S: Simd>(step: &GatedStep<S::Real>, job: GatedForward<S::Real>)
where
    S::Real: Kernels,
{
    unsafe {
        match step.form {
            Gates::Memory => forward_of::<S, Memory>(step, Activation::Tanh, job),
            Gates::Unit { reset: ResetGate::AfterProduct, candidate: f } => forward_of::<S, WithReset>(step, f, job),
            Gates::Unit { reset: ResetGate::None, candidate: f } => forward_of::<S, WithoutReset>(step, f, job),
            Gates::Unit { reset: ResetGate::BeforeProduct, candidate: f } => early::forward::<S>(step, f, job),
        }
    }
}

#[inline(always)]
unsafe fn forward_of<S: Simd, E: Equations>(step: &GatedStep<S::Real>, f: Activation, mut job: GatedForward<S::Real>)
where
    S::Real: Kernels,
{
    let (rows, units, channels) = (job.rows, step.units, step.inputs.sources());
    let size = rows * units;
    let width = E::BLOCKS * S::LANES;
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
                let leak = S::load(step.leak.as_ptr().add(first));
                for row in 0..rows {
                    let product = scratch.as_mut_ptr().add(row * width);
                    let mut z = [S::splat(S::Real::ZERO); GATES];
                    for (gate, z) in z.iter_mut().enumerate().take(E::BLOCKS) {
                        *z = S::load(product.add(gate * S::LANES));
                    }
                    let at = row * units + first;
                    if let Some(added) = job.added {
                        let added = S::load_part(added.as_ptr().add(t * size + at), count);
                        z[E::BLOCKS - 1] = S::add(z[E::BLOCKS - 1], added);
                    }
                    let h = S::load_part(hidden.as_ptr().add(at), count);
                    let cell = (!job.cell.is_empty()).then(|| job.cell.as_mut_ptr().add(t * size + at));
                    let c = cell.map_or(h, |cell| S::load_part(cell, count));
                    let (kept, reached) = E::forth::<S>(f, z, State { h, c }, leak);
                    S::store_part(next.as_mut_ptr().add(at), reached.h, count);
                    S::prefetch(next.as_ptr().wrapping_add(at + size));
                    if let Some(cell) = cell {
                        S::store_part(cell.add(size), reached.c, count);
                        S::prefetch(cell.wrapping_add(2 * size));
                    }
                    if let Some(gates) = &mut job.gates {
                        let to = gates.as_mut_ptr().add(((t * step.groups() + group) * rows + row) * width);
                        for (gate, kept) in kept.iter().enumerate().take(E::BLOCKS) {
                            S::store(to.add(gate * S::LANES), *kept);
                            // For the next step, as in the kernels of rate networks.
                            S::prefetch(to.wrapping_add(rows * step.blocks() + gate * S::LANES));
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `S`, and [`GatedBackward::check`] has passed.
#[inline(always)]
pub(super) unsafe fn backward<S: Simd>(step: &GatedStep<S::Real>, job: GatedBackward<S::Real>)
where
    S::Real: Kernels,
{
    unsafe {
        match step.form {
            Gates::Memory => backward_of::<S, Memory>(step, Activation::Tanh, job),
            Gates::Unit { reset: ResetGate::AfterProduct, candidate: f } => backward_of::<S, WithReset>(step, f, job),
            Gates::Unit { reset: ResetGate::None, candidate: f } => backward_of::<S, WithoutReset>(step, f, job),
            Gates::Unit { reset: ResetGate::BeforeProduct, candidate: f } => early::backward::<S>(step, f, job),
        }
    }
}

#[inline(always)]
unsafe fn backward_of<S: Simd, E: Equations>(step: &GatedStep<S::Real>, f: Activation, mut job: GatedBackward<S::Real>)
where
    S::Real: Kernels,
{
    let Some(turned) = &step.backward else { return };
    let (rows, units, blocks) = (job.rows, step.units, step.blocks());
    let memory = step.form.is_memory();
    let mut scratch = vec![S::Real::ZERO; rows * PANEL_VECTORS * S::LANES];
    let chunk = (TERMS / rows.max(1)).clamp(1, job.steps.max(1));
    let mut recent = vec![S::Real::ZERO; chunk * rows * blocks];
    for t in (0..job.steps).rev() {
        let deltas = &mut recent[t % chunk * rows * blocks..][..rows * blocks];
        unsafe { differentiate::<S, E>(step, f, t, &mut job, deltas) };
        let cut = t > 0 && job.window.is_some_and(|window| t % window == 0);
        let side = step.said_before(job.said, t, rows);
        if cut && memory {
            job.lambda_cell.fill(S::Real::ZERO);
        }
        let main = Factor { rows: &*deltas, weight: turned };
        unsafe { pass_back::<S>(step, rows, (main, side), cut, !memory, job.lambda, &mut scratch) };
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

/// The gradient that all blocks, and what was read, pass on to the `h` before, added to what waits in `lambda` if something does. Where
/// the chain is cut, only what was read counts.
#[inline(always)]
unsafe fn pass_back<S: Simd>(
    step: &GatedStep<S::Real>,
    rows: usize,
    (main, side): (Factor<S::Real>, Option<Factor<S::Real>>),
    cut: bool,
    waits: bool,
    lambda: &mut [S::Real],
    scratch: &mut [S::Real],
) where
    S::Real: Kernels,
{
    let (units, turned) = (step.units, main.weight);
    for panel in 0..turned.panels() {
        let (first, columns, width) = turned.columns(panel);
        unsafe {
            match (cut, side) {
                (false, side) => panel_product::<S>(rows, main, side, &step.silence, panel, scratch),
                (true, Some(side)) => panel_product::<S>(rows, side, None, &step.silence, panel, scratch),
                (true, None) => scratch.fill(S::Real::ZERO),
            }
            for row in 0..rows {
                for within in (0..columns).step_by(S::LANES) {
                    let count = S::LANES.min(columns - within);
                    let place = lambda.as_mut_ptr().add(row * units + first + within);
                    let mut passed = S::load(scratch.as_ptr().add(row * width + within));
                    if waits && !cut {
                        passed = S::add(passed, S::load_part(place, count));
                    }
                    S::store_part(place, S::flush(passed, S::splat(S::Real::VANISHED)), count);
                }
            }
        }
    }
}

/// Gradients of all blocks in one step; what goes past them to `h` waits in `lambda`, where it will be added to.
#[inline(always)]
unsafe fn differentiate<S: Simd, E: Equations>(
    step: &GatedStep<S::Real>,
    f: Activation,
    t: usize,
    job: &mut GatedBackward<S::Real>,
    deltas: &mut [S::Real],
) where
    S::Real: Kernels,
{
    let (rows, units, blocks) = (job.rows, step.units, step.blocks());
    let (size, width) = (rows * units, E::BLOCKS * S::LANES);
    let memory = !job.cell.is_empty();
    for group in 0..step.groups() {
        let first = group * S::LANES;
        let count = S::LANES.min(units - first);
        unsafe {
            let leak = S::load(step.leak.as_ptr().add(first));
            for row in 0..rows {
                let at = row * units + first;
                let from = job.gates.as_ptr().add(((t * step.groups() + group) * rows + row) * width);
                let mut gates = [S::splat(S::Real::ZERO); GATES];
                for (gate, value) in gates.iter_mut().enumerate().take(E::BLOCKS) {
                    *value = S::load(from.add(gate * S::LANES));
                }
                let place = job.lambda.as_mut_ptr().add(at);
                let h = S::load_part(job.hidden.as_ptr().add(t * size + at), count);
                let mut lambda = State { h: S::load_part(place, count), c: h };
                let mut states = [State { h, c: h }; 2];
                if memory {
                    let cells = job.cell.as_ptr().add(t * size + at);
                    (states[0].c, states[1].c) = (S::load_part(cells, count), S::load_part(cells.add(size), count));
                    lambda.c = S::load_part(job.lambda_cell.as_ptr().add(at), count);
                }
                let (delta, of_leak, passed) = E::back::<S>(f, gates, states, lambda, leak);
                if memory {
                    S::store_part(job.lambda_cell.as_mut_ptr().add(at), passed.c, count);
                } else {
                    S::store_part(place, passed.h, count);
                }
                if let Some(sums) = &mut job.leak {
                    let place = sums.as_mut_ptr().add(first);
                    S::store(place, S::add(S::load(place), of_leak));
                }
                let to = deltas.as_mut_ptr().add(row * blocks + group * width);
                for (gate, delta) in delta.iter().enumerate().take(E::BLOCKS) {
                    S::store(to.add(gate * S::LANES), *delta);
                }
            }
        }
    }
}
