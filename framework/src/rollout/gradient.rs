//! Backward: gradients of the loss, by the explicit adjoint where the cell has one, else by autograd.

use super::play::play;
use super::{Block, RateCost, Ready, Record, Shared, adjoint, course, gated};
use crate::recurrence::{Folding, GatedFolding, SUMS, keep_sums};
use crate::task::{Answer, Scores, Trials};
use crate::workers::Workers;
use crate::{Error, Result, Tensors};
use tch::{Device, Tensor, no_grad, with_grad};

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
    pub(super) fn sum(mut parts: Vec<Self>, workers: &Workers) -> Result<Self> {
        if parts.is_empty() {
            return Err(Error::Failed("a batch without trials".into()));
        }
        let mut gradients = Tensors::new();
        while let Some(name) = parts.iter().find_map(|part| part.gradients.names().next()).map(str::to_string) {
            let mut of_blocks = parts.iter_mut().filter_map(|part| part.gradients.remove(&name)).collect::<Vec<_>>();
            sum_in_order(&of_blocks, workers)?;
            gradients.insert(name.as_str(), of_blocks.swap_remove(0));
            if name.strip_prefix(FOLDED) == Some(SUMS) {
                keep_sums(of_blocks);
            }
        }
        let loss = parts.iter().map(|part| part.loss).sum();
        let accuracy = parts.iter().map(|part| part.accuracy).sum();
        Ok(Self { gradients, loss, accuracy })
    }
}

/// Entries of a sum that are worth a thread.
const SHARE: i64 = 1 << 14;

/// Add tensors of one shape to the first, entry by entry in their order. Nobody else may have a handle to the first.
fn sum_in_order(tensors: &[Tensor], workers: &Workers) -> Result<()> {
    let add = |tensors: &[Tensor]| -> Result<()> {
        let [first, others @ ..] = tensors else { return Ok(()) };
        let mut sum = first.shallow_clone();
        Ok(others.iter().try_for_each(|t| sum.f_add_(t).map(drop))?)
    };
    let count = tensors.first().map_or(0, |t| t.numel() as i64);
    if tensors.len() < 2 || count < 2 * SHARE || !tensors.iter().all(|t| t.is_contiguous() && t.device() == Device::Cpu)
    {
        return add(tensors);
    }
    let flat = tensors.iter().map(|t| t.f_view([-1])).collect::<std::result::Result<Vec<_>, _>>()?;
    let part = |start: i64| flat.iter().map(|t| t.narrow(0, start, SHARE.min(count - start))).collect::<Vec<_>>();
    let parts = (0..count).step_by(SHARE as usize).map(part).collect();
    workers.map(parts, |tensors| no_grad(|| add(&tensors))).into_iter().collect()
}

/// What is differentiated, and how far back.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub names: &'a [String],
    pub window: Option<usize>,
    pub cost: Option<&'a RateCost<'a>>,
}

impl Wanted<'_> {
    /// The loss of trials that were played plus the cost of their rates `[time, rows, unit]`, if there is one.
    pub fn total(&self, shared: &Shared, scores: &Scores, trials: &Trials, rates: Option<&Tensor>) -> Result<Tensor> {
        match (self.cost, rates) {
            (Some(cost), Some(rates)) => Ok(scores.loss.f_add(&cost(rates, trials, shared.batch)?)?),
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
        (Some(form), Some(folding), ..) if form.mixing.is_none() => {
            adjoint::gradient(shared, block, wanted, &form, &folding)
        }
        // A window counts steps from the start of a segment, shortcuts do not: together they are left to autograd.
        (Some(form), Some(folding), ..) if wanted.window.is_none() => {
            course::gradient(shared, block, wanted, &form, &folding)
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
    workers: &Workers,
) -> Result<Gradient> {
    let mut surrogate: Option<Tensor> = None;
    if let Some(sums) = sum.gradients.remove(&format!("{FOLDED}{SUMS}")) {
        for (name, gradient) in ready.unpack(&sums, workers)?.iter() {
            add(&mut sum.gradients, &format!("{FOLDED}{name}"), gradient.shallow_clone())?;
        }
        keep_sums(vec![sums]);
    }
    let leaves = pick(parameters, names)?;
    let folded = ready.folded();
    for (prefix, tensors) in [(PREPARED, &ready.prepared), (FOLDED, &folded)] {
        for (name, tensor) in tensors.iter().filter(|(_, tensor)| tensor.requires_grad()) {
            let Some(gradient) = sum.gradients.remove(&format!("{prefix}{name}")) else { continue };
            // Where nothing was prepared, there is nothing to go through.
            let seen = leaves.iter().enumerate().find_map(|(at, leaf)| Some((at, view(tensor, leaf)?)));
            if let Some((at, seen)) = seen {
                let gradient = if seen == View::Turned { gradient.f_transpose(0, 1)? } else { gradient };
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

/// How a tensor shows the numbers of another.
#[derive(PartialEq)]
enum View {
    Same,
    Turned,
}

/// Whether a tensor shows all numbers of a leaf, in their order or as the transposed matrix. One that shares its memory is made of it
/// by operations that change no number, so that its gradient is the leaf's.
fn view(tensor: &Tensor, leaf: &Tensor) -> Option<View> {
    if tensor.data_ptr() != leaf.data_ptr() {
        return None;
    }
    let (size, stride) = (leaf.size(), leaf.stride());
    let turned = |values: &[i64]| values.iter().rev().copied().collect::<Vec<_>>();
    let (its_size, its_stride) = (tensor.size(), tensor.stride());
    if (&its_size, &its_stride) == (&size, &stride) {
        return Some(View::Same);
    }
    (size.len() == 2 && its_size == turned(&size) && its_stride == turned(&stride)).then_some(View::Turned)
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
    let gradients = backward(&wanted.total(shared, &scores, &played.trials, played.rates.as_ref())?, &leaves)?;
    Ok(finish(&scores, own(&names, gradients)))
}

/// Judge what all heads said, stretch by stretch, `[time, rows, output]` each: the scores, and one leaf of the graph behind them for
/// each stretch that answers.
///
/// Task and loss stay ordinary tensor code; the gradient of the leaves is what an adjoint starts from.
pub(super) fn judge<'a>(
    shared: &Shared,
    ready: &Ready,
    trials: &Trials,
    mut said: impl DoubleEndedIterator<Item = &'a Tensor>,
) -> Result<(Scores, Vec<Tensor>)> {
    let leaf = |t: &Tensor| t.detach().set_requires_grad(true);
    let (leaves, all) = match trials.answer {
        Answer::FinalStep => {
            let last = said.next_back().ok_or_else(|| Error::Failed("trials without steps".into()))?;
            let last = leaf(&last.f_narrow(0, last.size()[0] - 1, 1)?);
            let answer = last.f_squeeze_dim(0)?;
            (vec![last], answer)
        }
        Answer::EveryStep => {
            let leaves: Vec<Tensor> = said.map(leaf).collect();
            let all = join(&leaves)?;
            (leaves, all)
        }
    };
    let scores = shared.task.score(trials, &ready.split(&all, &shared.heads(trials))?)?;
    Ok((scores, leaves))
}

/// Stretches one after the other, along the first axis.
///
/// # Errors
/// When there is none.
pub(super) fn join(stretches: &[Tensor]) -> Result<Tensor> {
    match stretches {
        [] => Err(Error::Failed("trials without steps".into())),
        [one] => Ok(one.shallow_clone()),
        several => Ok(Tensor::f_cat(several, 0)?),
    }
}

/// The sum of the products of all entries; its gradient with respect to `x` is `g`.
fn inner(x: &Tensor, g: &Tensor) -> Result<Tensor> {
    if x.dim() == 2 && !x.is_contiguous() {
        // Both are flat without a copy if both are turned.
        return inner(&x.f_transpose(0, 1)?.f_contiguous()?, &g.f_transpose(0, 1)?);
    }
    Ok(x.f_reshape([-1])?.f_dot(&g.f_reshape([-1])?)?)
}

/// Carry gradients back through what each block computed under autograd before its own steps: what is added to the input, and the
/// initial state. Adds them to those of [`shared_leaves`].
pub(super) fn through_inputs(
    ready: &Ready,
    folding: &Folding,
    pairs: &[(Tensor, Tensor)],
    gradients: &mut Tensors,
) -> Result<()> {
    let parts = pairs.iter().map(|(tensor, gradient)| inner(tensor, gradient)).collect::<Result<Vec<_>>>()?;
    let Some(surrogate) = parts.into_iter().reduce(|a, b| a + b) else { return Ok(()) };
    let (names, leaves) = shared_leaves(ready, Some(folding));
    for (name, gradient) in own(&names, backward(&surrogate, &leaves)?).iter() {
        add(gradients, name, gradient.shallow_clone())?;
    }
    Ok(())
}

/// Add to a named gradient, or begin it with this one, which nobody else may change.
pub(super) fn add(gradients: &mut Tensors, name: &str, gradient: Tensor) -> Result<()> {
    match gradients.find(name) {
        Some(sum) => drop(sum.shallow_clone().f_add_(&gradient)?),
        None => gradients.insert(name, gradient),
    }
    Ok(())
}

pub(super) fn pick(parameters: &Tensors, names: &[String]) -> Result<Vec<Tensor>> {
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
pub(super) fn own(names: &[String], gradients: Vec<Option<Tensor>>) -> Tensors {
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
    let (loss, accuracy) = scores.summary();
    Gradient { gradients, loss, accuracy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_leaf_is_known_by_views_of_all_its_numbers_alone() {
        let leaf = Tensor::ones([3, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let found = |tensor: &Tensor| view(tensor, &leaf).map(|seen| seen == View::Turned);
        assert_eq!(found(&leaf.shallow_clone()), Some(false));
        assert_eq!(found(&leaf.transpose(0, 1)), Some(true));
        assert_eq!(found(&leaf.transpose(0, 1).transpose(0, 1)), Some(false));
        assert_eq!(found(&(&leaf * 1.0)), None, "the same numbers elsewhere");
        for part in [leaf.narrow(0, 0, 2), leaf.narrow(1, 0, 1), leaf.view([2, 3]), leaf.view([6])] {
            assert_eq!(found(&part), None, "{part:?}");
        }
    }
}
