//! Backward: gradients of the loss, by the explicit adjoint where the cell has one, else by autograd.

use super::course::Course;
use super::gated;
use super::play::{answers, play, walk};
use super::{Block, RateCost, Ready, Record, Shared};
use crate::network;
use crate::recurrence::{Folded, Folding, GatedFolding, RateForm, Unrolled, Upstream};
use crate::task::{Answer, HeadScore, Scores, Trials};
use crate::{Error, Result, Tensors};
use tch::{Tensor, no_grad, with_grad};

/// Loss and gradients of a batch.
#[derive(Debug)]
pub struct Gradient {
    /// By parameter name; parameters that the loss does not depend on are left out.
    pub gradients: Tensors,
    /// Sum over heads of their mean loss.
    pub loss: f64,
    /// Mean over heads of the fraction of correct answers.
    pub accuracy: Option<f64>,
}

impl Gradient {
    /// Add blocks up in their order.
    pub(super) fn sum(parts: Vec<Self>) -> Result<Self> {
        let mut parts = parts.into_iter();
        let mut total = parts.next().ok_or_else(|| Error::Failed("a batch without trials".into()))?;
        for part in parts {
            total.loss += part.loss;
            total.accuracy = total.accuracy.zip(part.accuracy).map(|(a, b)| a + b);
            for (name, gradient) in part.gradients.iter() {
                add(&mut total.gradients, name, gradient.shallow_clone())?;
            }
        }
        Ok(total)
    }
}

/// What is differentiated, and how far back.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub names: &'a [String],
    pub window: Option<usize>,
    pub cost: Option<&'a RateCost<'a>>,
}

impl Wanted<'_> {
    /// The loss plus the cost of the rates `[time, rows, unit]`, if there is one.
    pub fn total(&self, shared: &Shared, scores: &Scores, rates: Option<&Tensor>) -> Result<Tensor> {
        match (self.cost, rates) {
            (Some(cost), Some(rates)) => Ok(scores.loss.f_add(&cost(rates, shared.batch)?)?),
            _ => Ok(scores.loss.shallow_clone()),
        }
    }
}

/// Prefixes of gradients with respect to what all blocks share: tensors prepared once, and those folded for the fast path.
const PREPARED: &str = "prepared/";
pub(super) const FOLDED: &str = "folded/";

pub(super) fn gradient(shared: &Shared, block: Block, wanted: Wanted) -> Result<Gradient> {
    // The block keeps handles, for settling before the trial.
    let folding = block.ready.folding.as_ref().map(Folding::handles);
    let gated = block.ready.gated.as_ref().map(GatedFolding::leaves);
    with_grad(|| match (shared.rate_form(), folding, shared.gated_form(), gated) {
        (Some(form), Some(folding), ..) if form.mixing.is_none() => by_adjoint(shared, block, wanted, &form, &folding),
        // A window counts steps from the start of a segment, shortcuts do not: together they are left to autograd.
        (Some(form), Some(folding), ..) if wanted.window.is_none() => {
            by_mixed_adjoint(shared, block, wanted, &form, &folding)
        }
        (_, _, Some(form), Some(folding)) if wanted.cost.is_none() => {
            gated::gradient(shared, block, wanted, &form, &folding)
        }
        _ => by_autograd(shared, block, wanted),
    })
}

/// Carry the gradients of prepared and folded tensors, summed over all blocks, back to the parameters.
pub(super) fn through_preparation(
    ready: &Ready,
    parameters: &Tensors,
    names: &[String],
    mut sum: Gradient,
) -> Result<Gradient> {
    let mut surrogate: Option<Tensor> = None;
    let leaves = pick(parameters, names)?;
    let folded = ready.folded();
    for (prefix, tensors) in [(PREPARED, &ready.prepared), (FOLDED, &folded)] {
        for (name, tensor) in tensors.iter().filter(|(_, tensor)| tensor.requires_grad()) {
            let Some(gradient) = sum.gradients.remove(&format!("{prefix}{name}")) else { continue };
            // Where nothing was prepared, there is nothing to go through.
            let same = |leaf: &&Tensor| leaf.data_ptr() == tensor.data_ptr() && leaf.size() == tensor.size();
            if tensor.is_leaf()
                && let Some(at) = leaves.iter().position(|leaf| same(&leaf))
            {
                add(&mut sum.gradients, &names[at], gradient)?;
                continue;
            }
            let part = with_grad(|| inner(tensor, &gradient))?;
            surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| with_grad(|| sum + part)));
        }
    }
    let through = match &surrogate {
        Some(surrogate) => backward(surrogate, &leaves)?,
        None => leaves.iter().map(|_| None).collect(),
    };
    let both = names.iter().zip(through).map(|(name, through)| {
        let direct = sum.gradients.find(name).map(Tensor::shallow_clone);
        match (direct, through) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        }
    });
    sum.gradients = own(names, both.collect());
    Ok(sum)
}

/// The leaves that all blocks share, by their prefixed names.
fn shared_leaves(ready: &Ready, folding: Option<&Folding>) -> (Vec<String>, Vec<Tensor>) {
    let folded = folding.map(Folding::tensors).unwrap_or_default();
    let all = [(PREPARED, &ready.prepared), (FOLDED, &folded)];
    let all =
        all.iter().flat_map(|(prefix, tensors)| tensors.iter().map(move |(name, t)| (format!("{prefix}{name}"), t)));
    all.filter(|(_, t)| t.requires_grad()).map(|(name, t)| (name, t.shallow_clone())).unzip()
}

fn by_autograd(shared: &Shared, mut block: Block, wanted: Wanted) -> Result<Gradient> {
    // Leaves of this block's own graph over the shared storage.
    let leaf = |name: &str, t: &Tensor| t.detach().set_requires_grad(wanted.names.iter().any(|n| n == name));
    block.parameters = block.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
    let (mut names, mut leaves) = shared_leaves(&block.ready, None);
    names.extend(wanted.names.iter().cloned());
    leaves.extend(pick(&block.parameters, wanted.names)?);
    let record = if wanted.cost.is_some() { Record::Rates } else { Record::Outputs };
    let played = play(&Shared { window: wanted.window, graph: true, ..*shared }, block, record)?;
    let scores = shared.task.score(&played.trials, &played.outputs)?;
    let gradients = backward(&wanted.total(shared, &scores, played.rates.as_ref())?, &leaves)?;
    Ok(finish(&scores, own(&names, gradients)))
}

/// One segment of the fast path.
struct Stretch {
    folded: Folded,
    run: Unrolled,
    /// What all heads said after each step, `[time, rows, output]`, or after the last alone.
    said: Tensor,
}

fn by_adjoint(
    shared: &Shared,
    mut block: Block,
    wanted: Wanted,
    form: &RateForm,
    folding: &Folding,
) -> Result<Gradient> {
    let Wanted { window, cost, .. } = wanted;
    let initial = shared.initial_state(&block)?.get(&form.state)?.shallow_clone();
    let (stretches, trials) = forward(shared, &mut block, folding, &initial, form)?;
    let final_only = trials.answer == Answer::FinalStep;

    // What heads say becomes a leaf; task and loss stay ordinary tensor code, and the gradient of the leaf is what the adjoint
    // starts from. A cost of the rates starts from the states themselves.
    let leaf = |t: &Tensor| t.detach().set_requires_grad(true);
    let answers = if final_only { &stretches[stretches.len() - 1..] } else { &stretches[..] };
    let mut leaves: Vec<Tensor> = answers.iter().map(|s| leaf(&s.said)).collect();
    let said = if let [one] = &leaves[..] { one.shallow_clone() } else { Tensor::f_cat(&leaves, 0)? };
    let said = if final_only { said.f_squeeze_dim(0)? } else { said };
    let scores = shared.task.score(&trials, &block.ready.split(&said, &shared.heads(&trials))?)?;
    let answers = leaves.len();
    let rates = match cost {
        None => None,
        Some(_) => {
            leaves.extend(stretches.iter().map(|s| leaf(&s.run.states)));
            let of_states = |states: &Tensor| {
                let steps = states.f_narrow(0, 1, states.size()[0] - 1)?;
                shared.dynamics.rates(&Tensors::from([(form.state.as_str(), steps)]))
            };
            Some(Tensor::f_cat(&leaves[answers..].iter().map(of_states).collect::<Result<Vec<_>>>()?, 0)?)
        }
    };
    let mut found = backward(&wanted.total(shared, &scores, rates.as_ref())?, &leaves)?;
    let mut every = found.split_off(answers);
    let mut said = found;

    // What the adjoint says of inputs and initial state goes through projection and input folding by autograd.
    let mut gradients = Tensors::new();
    let mut surrogate: Option<Tensor> = None;
    let mut carried: Option<Tensor> = None;
    for stretch in stretches.into_iter().rev() {
        let upstream = Upstream { last: carried.take(), every: every.pop().flatten(), said: said.pop().flatten() };
        let adjoint = stretch.folded.backward(&stretch.run, &upstream, window)?;
        if let (Some(added), Some(gradient)) = (stretch.folded.added(), &adjoint.added) {
            let part = inner(added, gradient)?;
            surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| sum + part));
        }
        for (name, gradient) in adjoint.folded.iter() {
            add(&mut gradients, &format!("{FOLDED}{name}"), gradient.shallow_clone())?;
        }
        carried = Some(adjoint.initial);
        stretch.run.recycle();
    }
    if let (true, Some(g)) = (initial.requires_grad(), &carried) {
        let part = inner(&initial, g)?;
        surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| sum + part));
    }
    if let Some(surrogate) = surrogate {
        let (names, leaves) = shared_leaves(&block.ready, Some(folding));
        for (name, gradient) in own(&names, backward(&surrogate, &leaves)?).iter() {
            add(&mut gradients, name, gradient.shallow_clone())?;
        }
    }
    Ok(finish(&scores, gradients))
}

/// The adjoint of a network with shortcuts, piece by piece; heads are left to autograd.
fn by_mixed_adjoint(
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
        let place = (block.first, next.index);
        let folded = shared.fold(form, folding, &block.ready.prepared, next.inputs, place)?;
        let states = course.play(folded, next.periods)?;
        leaves.push(states.detach().set_requires_grad(true));
        no_grad(|| network::read(&block.parameters, shared.readout, next.heads, &rates_of(&states)?))
    })?;
    let rates = Tensor::f_cat(&leaves.iter().map(rates_of).collect::<Result<Vec<_>>>()?, 0)?;
    let outputs = answers(shared, &block.parameters, &trials, &rates)?;
    let scores = shared.task.score(&trials, &outputs)?;
    let segments = leaves.len();
    leaves.extend(pick(&block.parameters, wanted.names)?);
    let mut found = backward(&wanted.total(shared, &scores, Some(&rates))?, &leaves)?;
    let heads = found.split_off(segments);
    let mut gradients = own(wanted.names, heads);
    let traced = course.back(found)?;
    let mut surrogate: Option<Tensor> = None;
    for (added, gradient) in &traced.added {
        let part = inner(added, gradient)?;
        surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| sum + part));
    }
    if initial.requires_grad() {
        let part = inner(&initial, &traced.initial)?;
        surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| sum + part));
    }
    for (name, gradient) in traced.folded.iter() {
        add(&mut gradients, &format!("{FOLDED}{name}"), gradient.shallow_clone())?;
    }
    if let Some(surrogate) = surrogate {
        let (names, leaves) = shared_leaves(&block.ready, Some(folding));
        for (name, gradient) in own(&names, backward(&surrogate, &leaves)?).iter() {
            add(&mut gradients, name, gradient.shallow_clone())?;
        }
    }
    Ok(finish(&scores, gradients))
}

/// All segments forward, outside autograd but for what is added to the input.
fn forward(
    shared: &Shared,
    block: &mut Block,
    folding: &Folding,
    initial: &Tensor,
    form: &RateForm,
) -> Result<(Vec<Stretch>, Trials)> {
    let trials = std::mem::take(&mut block.trials);
    let mut state = initial.detach();
    let mut stretches = Vec::new();
    let ready = &block.ready;
    let last_only = trials.answer == Answer::FinalStep && trials.rest.is_none();
    let trials = walk(shared, trials, |next| {
        let folded = shared.fold(form, folding, &ready.prepared, next.inputs, (block.first, next.index))?;
        let run = folded.forward(&state)?;
        let time = next.inputs.size()[0];
        state = run.states.select(0, time);
        let said = folded.read(&run, if last_only { time - 1 } else { 0 })?;
        let answers = ready.split(&said, next.heads)?;
        stretches.push(Stretch { folded, run, said });
        Ok(answers)
    })?;
    if trials.answer == Answer::FinalStep
        && let Some(last) = stretches.last_mut()
    {
        last.said = last.said.f_narrow(0, last.said.size()[0] - 1, 1)?;
    }
    if stretches.is_empty() {
        return Err(Error::Failed("trials without steps".into()));
    }
    Ok((stretches, trials))
}

/// The sum of the products of all entries; its gradient with respect to `x` is `g`.
fn inner(x: &Tensor, g: &Tensor) -> Result<Tensor> {
    Ok(x.f_reshape([-1])?.f_dot(&g.f_reshape([-1])?)?)
}

/// Add to a named gradient, or begin it with this one, which nobody else may change.
pub(super) fn add(gradients: &mut Tensors, name: &str, gradient: Tensor) -> Result<()> {
    match gradients.find(name) {
        Some(sum) => drop(sum.shallow_clone().f_add_(&gradient)?),
        None => gradients.insert(name, gradient),
    }
    Ok(())
}

fn pick(parameters: &Tensors, names: &[String]) -> Result<Vec<Tensor>> {
    names.iter().map(|name| parameters.get(name).map(Tensor::shallow_clone)).collect()
}

/// Gradients of a scalar with respect to leaves; `None` where it does not depend on one.
pub(super) fn backward(scalar: &Tensor, leaves: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    if leaves.is_empty() || !scalar.requires_grad() {
        return Ok(leaves.iter().map(|_| None).collect());
    }
    let found = Tensor::f_run_backward(&[scalar], leaves, false, false)?;
    Ok(found.into_iter().map(|g| g.defined().then_some(g)).collect())
}

/// Gradients by name, each in storage of its own; those that are missing are left out.
///
/// Autograd hands out one tensor for two parameters that are only added (two biases), and views; whoever sums, clips or steps in
/// place must find storage that is a parameter's own.
fn own(names: &[String], gradients: Vec<Option<Tensor>>) -> Tensors {
    let mut taken = Vec::with_capacity(names.len());
    let mut named = Tensors::new();
    for (name, gradient) in names.iter().zip(gradients) {
        let Some(gradient) = gradient else { continue };
        let mut gradient = gradient.detach().contiguous();
        if taken.contains(&gradient.data_ptr()) {
            gradient = gradient.copy();
        }
        taken.push(gradient.data_ptr());
        named.insert(name.as_str(), gradient);
    }
    named
}

pub(super) fn finish(scores: &Scores, gradients: Tensors) -> Gradient {
    let (loss, accuracy) = summary(scores);
    Gradient { gradients, loss, accuracy }
}

/// Loss and mean accuracy as numbers.
fn summary(scores: &Scores) -> (f64, Option<f64>) {
    let accuracy = |head: &HeadScore| head.accuracy.as_ref().map(|a| a.double_value(&[]));
    let all: Option<Vec<f64>> = scores.heads.iter().map(accuracy).collect();
    let mean = all.filter(|a| !a.is_empty()).map(|a| a.iter().sum::<f64>() / a.len() as f64);
    (scores.loss.detach().double_value(&[]), mean)
}
