//! Backward: gradients of the loss, by the explicit adjoint where the cell has one, else by autograd.

use super::play::{answers, play, walk};
use super::{Block, RateCost, Ready, Record, Shared};
use crate::network;
use crate::recurrence::{Folded, Folding, RateForm, Unrolled, Upstream};
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
                add(&mut total.gradients, name, gradient)?;
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
    fn total(&self, shared: &Shared, scores: &Scores, rates: Option<&Tensor>) -> Result<Tensor> {
        match (self.cost, rates) {
            (Some(cost), Some(rates)) => Ok(scores.loss.f_add(&cost(rates, shared.batch)?)?),
            _ => Ok(scores.loss.shallow_clone()),
        }
    }
}

/// Prefixes of gradients with respect to what all blocks share: tensors prepared once, and those folded for the fast path.
const PREPARED: &str = "prepared/";
const FOLDED: &str = "folded/";

pub(super) fn gradient(shared: &Shared, mut block: Block, wanted: Wanted) -> Result<Gradient> {
    let names = wanted.names;
    // Leaves of this block's own graph over the shared storage.
    let leaf = |name: &str, t: &Tensor| t.detach().set_requires_grad(names.iter().any(|n| n == name));
    block.parameters = block.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
    with_grad(|| match (shared.rate_form(), block.ready.folding.take()) {
        (Some(form), Some(folding)) => by_adjoint(shared, block, wanted, &form, &folding),
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
    let folded = ready.folding.as_ref().map(Folding::tensors).unwrap_or_default();
    for (prefix, tensors) in [(PREPARED, &ready.prepared), (FOLDED, &folded)] {
        for (name, tensor) in tensors.iter().filter(|(_, tensor)| tensor.requires_grad()) {
            if let Some(gradient) = sum.gradients.find(&format!("{prefix}{name}")) {
                let part = with_grad(|| inner(tensor, gradient))?;
                surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| with_grad(|| sum + part)));
            }
        }
    }
    let leaves = pick(parameters, names)?;
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

fn by_autograd(shared: &Shared, block: Block, wanted: Wanted) -> Result<Gradient> {
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
}

fn by_adjoint(
    shared: &Shared,
    mut block: Block,
    wanted: Wanted,
    form: &RateForm,
    folding: &Folding,
) -> Result<Gradient> {
    let Wanted { names, window, cost } = wanted;
    let initial = shared.initial_state(&block)?.get(&form.state)?.shallow_clone();
    let (stretches, trials) = forward(shared, &mut block, folding, &initial, form)?;

    // The states become leaves; task, readout and loss stay ordinary tensor code, and the gradient of the leaves is what the
    // adjoint starts from.
    let final_only = trials.answer == Answer::FinalStep && cost.is_none();
    let leaves: Vec<Tensor> = stretches
        .iter()
        .map(|s| {
            let states = &s.run.states;
            let time = states.size()[0] - 1;
            let read = if final_only { states.select(0, time) } else { states.shallow_clone() };
            read.detach().set_requires_grad(true)
        })
        .collect();
    let rates = leaves
        .iter()
        .map(|leaf| {
            let steps = if final_only { leaf.unsqueeze(0) } else { leaf.narrow(0, 1, leaf.size()[0] - 1) };
            shared.dynamics.rates(&Tensors::from([(form.state.as_str(), steps)]))
        })
        .collect::<Result<Vec<_>>>()?;
    let rates = if let [one] = &rates[..] { one.shallow_clone() } else { Tensor::f_cat(&rates, 0)? };
    let outputs = answers(shared, &block.parameters, &trials, &rates)?;
    let scores = shared.task.score(&trials, &outputs)?;
    let mut inputs = leaves;
    let states = inputs.len();
    inputs.extend(pick(&block.parameters, names)?);
    let mut found = backward(&wanted.total(shared, &scores, Some(&rates))?, &inputs)?;
    let direct = found.split_off(states);
    let mut gradients = own(names, direct);

    // What the adjoint says of inputs and initial state goes through projection and input folding by autograd.
    let mut surrogate: Option<Tensor> = None;
    let mut carried: Option<Tensor> = None;
    for (stretch, upstream) in stretches.iter().zip(found).rev() {
        let units = stretch.run.states.size();
        let zeros = || Tensor::zeros(&units[1..], (stretch.run.states.kind(), stretch.run.states.device()));
        let upstream = match (final_only, upstream) {
            // Only the last stretch answers; the others pass on what comes from it.
            (true, g) => Upstream::Final(carried.take().or(g).unwrap_or_else(zeros)),
            (false, Some(g)) => {
                if let Some(later) = carried.take() {
                    drop(g.select(0, g.size()[0] - 1).f_add_(&later)?);
                }
                Upstream::Every(g)
            }
            (false, None) => Upstream::Final(carried.take().unwrap_or_else(zeros)),
        };
        let adjoint = stretch.folded.backward(&stretch.run, &upstream, window)?;
        let part = inner(stretch.folded.input(), &adjoint.input)?;
        surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| sum + part));
        for (name, gradient) in adjoint.folded.iter() {
            add(&mut gradients, &format!("{FOLDED}{name}"), gradient)?;
        }
        carried = Some(adjoint.initial);
    }
    let mut surrogate = surrogate.ok_or_else(|| Error::Failed("trials without steps".into()))?;
    if let (true, Some(g)) = (initial.requires_grad(), &carried) {
        surrogate += inner(&initial, g)?;
    }
    let (names, leaves) = shared_leaves(&block.ready, Some(folding));
    for (name, gradient) in own(&names, backward(&surrogate, &leaves)?).iter() {
        add(&mut gradients, name, gradient)?;
    }
    Ok(finish(&scores, gradients))
}

/// All segments forward, outside autograd but for projection and input folding.
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
    let trials = walk(shared, trials, |next| {
        let projected = shared.drive(&block.ready.prepared, next.inputs, block.first, next.index)?;
        let folded = Folded::new(folding, &projected)?;
        let run = folded.forward(&state)?;
        let time = next.inputs.size()[0];
        state = run.states.select(0, time);
        let steps = run.states.narrow(0, 1, time);
        stretches.push(Stretch { folded, run });
        no_grad(|| {
            let rates = shared.dynamics.rates(&Tensors::from([(form.state.as_str(), steps)]))?;
            network::read(&block.parameters, shared.readout, next.heads, &rates)
        })
    })?;
    Ok((stretches, trials))
}

/// The sum of the products of all entries; its gradient with respect to `x` is `g`.
fn inner(x: &Tensor, g: &Tensor) -> Result<Tensor> {
    Ok(x.f_reshape([-1])?.f_dot(&g.f_reshape([-1])?)?)
}

/// Add to a named gradient, or begin it.
fn add(gradients: &mut Tensors, name: &str, gradient: &Tensor) -> Result<()> {
    match gradients.find(name) {
        Some(sum) => drop(sum.shallow_clone().f_add_(gradient)?),
        None => gradients.insert(name, gradient.copy()),
    }
    Ok(())
}

fn pick(parameters: &Tensors, names: &[String]) -> Result<Vec<Tensor>> {
    names.iter().map(|name| parameters.get(name).map(Tensor::shallow_clone)).collect()
}

/// Gradients of a scalar with respect to leaves; `None` where it does not depend on one.
fn backward(scalar: &Tensor, leaves: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
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

fn finish(scores: &Scores, gradients: Tensors) -> Gradient {
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
