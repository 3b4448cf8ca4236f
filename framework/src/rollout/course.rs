//! The fast path through trials with shortcuts: pieces without them, forward and backward.

use super::gradient::{FOLDED, Gradient, Wanted, add, backward, finish, own, pick, through_inputs};
use super::play::answers;
use super::segments::walk;
use super::{Block, Record, Shared};
use crate::network;
use crate::recurrence::mixing::{Combination, Cutter, Piece};
use crate::recurrence::{Folded, Folding, Mixing, RateForm, Unrolled, Upstream};
use crate::task::Period;
use crate::{Error, Result, Tensors};
use std::ops::Range;
use tch::{Tensor, no_grad};

/// A way through trials with shortcuts, segment by segment, that remembers what the way back needs.
pub(super) struct Course {
    cutter: Cutter,
    initial: Tensor,
    ways: Vec<Way>,
    segments: Vec<Segment>,
}

/// A piece that was played.
struct Way {
    piece: Piece,
    folded: Folded,
    run: Unrolled,
}

/// A segment of the trials: its input and its pieces.
struct Segment {
    folded: Folded,
    ways: Range<usize>,
}

/// Gradients with respect to what a course was made of.
pub(super) struct Traced {
    /// By the names of [`crate::recurrence::Folding::tensors`].
    pub folded: Tensors,
    /// For each segment where that has a history what was added in each step, and the gradient with respect to it.
    pub added: Vec<(Tensor, Tensor)>,
    /// With respect to the initial state.
    pub initial: Tensor,
}

impl Course {
    /// Begin at `initial` `[batch, unit]`.
    pub fn new(mixing: Option<Mixing>, initial: &Tensor) -> Self {
        let (ways, segments) = (Vec::new(), Vec::new());
        Self { cutter: Cutter::new(mixing), initial: initial.detach(), ways, segments }
    }

    /// Play the next segment: the last state, and the rates `[time, batch, unit]` (of the last step alone if only that is needed).
    pub fn advance(
        &mut self,
        shared: &Shared,
        form: &RateForm,
        folded: Folded,
        periods: &[Period],
        record: Record,
    ) -> Result<(Tensors, Tensor)> {
        let states = self.play(folded, periods)?;
        let time = states.size()[0] - 1;
        let named = |state: Tensor| Tensors::from([(form.state.as_str(), state)]);
        let from = if record == Record::Rates { 1 } else { time };
        let rates = shared.dynamics.rates(&named(states.f_narrow(0, from, time + 1 - from)?))?;
        Ok((named(states.select(0, time)), rates))
    }

    /// Play the next segment, outside autograd: the states `[time + 1, batch, unit]`, the first of them that before the segment.
    pub fn play(&mut self, folded: Folded, periods: &[Period]) -> Result<Tensor> {
        let first = self.ways.len();
        for piece in self.cutter.cut(folded.time(), periods) {
            let start = match piece.start.is_empty() {
                true => self.initial.shallow_clone(),
                false => self.state(&piece.start)?,
            };
            let part = folded.part(&piece.steps)?;
            let run = part.forward(&start)?;
            self.ways.push(Way { piece, folded: part, run });
        }
        let ways = first..self.ways.len();
        self.segments.push(Segment { folded, ways: ways.clone() });
        if ways.is_empty() {
            return Err(Error::Failed("trials without steps".into()));
        }
        self.recorded(ways)
    }

    /// The states of some pieces as they count, the one before them first.
    fn recorded(&self, ways: Range<usize>) -> Result<Tensor> {
        let plain = |way: usize| self.ways[way].is_plain(way);
        if ways.len() == 1 && plain(ways.start) {
            return Ok(self.ways[ways.start].run.states.shallow_clone());
        }
        let mut parts = vec![self.ways[ways.start].run.states.narrow(0, 0, 1)];
        for index in ways {
            let way = &self.ways[index];
            let steps = way.piece.steps.len() as i64;
            if plain(index) {
                parts.push(way.run.states.narrow(0, 1, steps));
            } else {
                parts.push(way.run.states.narrow(0, 1, steps - 1));
                parts.push(self.state(&way.piece.end)?.unsqueeze(0));
            }
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// A combination of states that were played.
    fn state(&self, terms: &Combination) -> Result<Tensor> {
        no_grad(|| {
            let mut sum: Option<Tensor> = None;
            for (factor, node) in terms {
                let state = self.ways[node.piece].run.states.f_select(0, node.step as i64)?;
                sum = Some(match sum {
                    None if *factor == 1.0 => state,
                    None => state.f_mul_scalar(*factor)?,
                    Some(sum) => sum.f_add(&state.f_mul_scalar(*factor)?)?,
                });
            }
            sum.ok_or_else(|| Error::Failed("a piece of a trial begins with no state".into()))
        })
    }

    /// The adjoint of the whole course, from the gradients with respect to the states of each segment as [`Course::play`] gave them.
    pub fn back(self, mut direct: Vec<Option<Tensor>>) -> Result<Traced> {
        no_grad(|| {
            let mut gradients = Gradients { of: (0..self.ways.len()).map(|_| Vec::new()).collect() };
            let (mut folded, mut added) = (Tensors::new(), Vec::new());
            let mut initial = self.initial.zeros_like();
            for segment in self.segments.iter().rev() {
                let direct = direct.pop().flatten();
                let mut parts = Vec::new();
                for index in segment.ways.clone().rev() {
                    let way = &self.ways[index];
                    let upstream = gradients.upstream(index, way, direct.as_ref())?;
                    let adjoint = way.folded.backward(&way.run, &upstream, None)?;
                    for (name, gradient) in adjoint.folded.iter() {
                        super::gradient::add(&mut folded, name, gradient.shallow_clone())?;
                    }
                    match way.piece.start.is_empty() {
                        true => initial = adjoint.initial,
                        false => gradients.hand(&way.piece.start, &adjoint.initial)?,
                    }
                    parts.extend(adjoint.added);
                }
                if let (Some(history), false) = (segment.folded.added(), parts.is_empty()) {
                    parts.reverse();
                    added.push((history.shallow_clone(), Tensor::f_cat(&parts, 0)?));
                }
            }
            self.ways.into_iter().for_each(|way| way.run.recycle());
            Ok(Traced { folded, added, initial })
        })
    }
}

impl Way {
    /// Whether the state after its last step is the one that was reached.
    fn is_plain(&self, index: usize) -> bool {
        let steps = self.piece.steps.len();
        matches!(&self.piece.end[..], [(factor, node)] if *factor == 1.0 && node.piece == index && node.step == steps)
    }
}

/// Gradients that wait for the pieces that they belong to.
struct Gradients {
    /// For each piece, states with their gradients.
    of: Vec<Vec<(usize, Tensor)>>,
}

impl Gradients {
    /// Hand the gradient of a combination to its terms.
    fn hand(&mut self, terms: &Combination, gradient: &Tensor) -> Result<()> {
        for (factor, node) in terms {
            let share = if *factor == 1.0 { gradient.shallow_clone() } else { gradient.f_mul_scalar(*factor)? };
            self.of[node.piece].push((node.step, share));
        }
        Ok(())
    }

    /// All that is known of the states of a piece.
    fn upstream(&mut self, index: usize, way: &Way, direct: Option<&Tensor>) -> Result<Upstream> {
        let steps = way.piece.steps.len();
        let plain = way.is_plain(index);
        if let (Some(direct), false) = (direct, plain) {
            self.hand(&way.piece.end, &direct.f_select(0, way.piece.steps.end as i64)?)?;
        }
        let handed = std::mem::take(&mut self.of[index]);
        let Some(direct) = direct else { return gathered(way, handed, steps) };
        let every = way.run.states.f_zeros_like()?;
        // A state that stands for the end of the piece but is another has handed its gradient on.
        let own = if plain { steps } else { steps - 1 } as i64;
        let from = way.piece.steps.start as i64 + 1;
        every.narrow(0, 1, own).f_copy_(&direct.narrow(0, from, own))?;
        for (step, gradient) in handed {
            drop(every.select(0, step as i64).f_add_(&gradient)?);
        }
        Ok(Upstream { every: Some(every), ..Upstream::default() })
    }
}

/// Handed gradients alone.
fn gathered(way: &Way, handed: Vec<(usize, Tensor)>, steps: usize) -> Result<Upstream> {
    if handed.iter().all(|(step, _)| *step == steps) {
        let mut last = way.run.states.select(0, 0).f_zeros_like()?;
        for (_, gradient) in handed {
            last = last.f_add_(&gradient)?;
        }
        return Ok(Upstream { last: Some(last), ..Upstream::default() });
    }
    let every = way.run.states.f_zeros_like()?;
    for (step, gradient) in handed {
        drop(every.select(0, step as i64).f_add_(&gradient)?);
    }
    Ok(Upstream { every: Some(every), ..Upstream::default() })
}

/// The adjoint of a network with shortcuts, piece by piece; heads are left to autograd.
pub(super) fn gradient(
    shared: &Shared,
    mut block: Block,
    wanted: Wanted,
    form: &RateForm,
    folding: &Folding,
) -> Result<Gradient> {
    let leaf = |name: &str, t: &Tensor| t.detach().set_requires_grad(wanted.names.iter().any(|n| n == name));
    block.parameters = block.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
    let initial = shared.initial_state(&block)?.get(&form.state)?.shallow_clone();
    let mut course = Course::new(form.mixing.clone(), &initial);
    let trials = std::mem::take(&mut block.trials);
    let rates_of = |states: &Tensor| {
        let steps = states.f_narrow(0, 1, states.size()[0] - 1)?;
        shared.dynamics.rates(&Tensors::from([(form.state.as_str(), steps)]))
    };
    let mut leaves = Vec::new();
    let trials = walk(shared, trials, |next| {
        let folded = shared.fold(form, folding, &block, next.inputs, next.index)?;
        let states = course.play(folded, next.periods)?;
        leaves.push(states.detach().set_requires_grad(true));
        no_grad(|| network::read(&block.parameters, shared.readout, next.heads, &rates_of(&states)?))
    })?;
    let rates = Tensor::f_cat(&leaves.iter().map(rates_of).collect::<Result<Vec<_>>>()?, 0)?;
    let outputs = answers(shared, &block.parameters, &trials, &rates)?;
    let scores = shared.task.score(&trials, &outputs)?;
    let segments = leaves.len();
    leaves.extend(pick(&block.parameters, wanted.names)?);
    let mut found = backward(&wanted.total(shared, &scores, &trials, Some(&rates))?, &leaves)?;
    let heads = found.split_off(segments);
    let mut gradients = own(wanted.names, heads);
    let traced = course.back(found)?;
    for (name, gradient) in traced.folded.iter() {
        add(&mut gradients, &format!("{FOLDED}{name}"), gradient.shallow_clone())?;
    }
    let mut pairs = traced.added;
    pairs.extend(initial.requires_grad().then_some((initial, traced.initial)));
    through_inputs(&block.ready, folding, &pairs, &mut gradients)?;
    Ok(finish(&scores, gradients))
}
