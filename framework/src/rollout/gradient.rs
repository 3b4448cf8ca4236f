//! Backward: gradients of the loss, by the explicit adjoint where the cell has one, else by autograd.

use super::play::{Joined, answers, play};
use super::{Block, RateCost, Record, Shared};
use crate::network;
use crate::recurrence::{Folded, RateForm, Unrolled, Upstream};
use crate::task::{Answer, HeadScore, Scores, Segment, Trials};
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
                match total.gradients.find(name) {
                    Some(sum) => drop(sum.shallow_clone().f_add_(gradient)?),
                    None => total.gradients.insert(name, gradient.shallow_clone()),
                }
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

pub(super) fn gradient(shared: &Shared, block: Block, wanted: Wanted) -> Result<Gradient> {
    let names = wanted.names;
    // Leaves of this block's own graph over the shared storage.
    let leaf = |name: &str, t: &Tensor| t.detach().set_requires_grad(names.iter().any(|n| n == name));
    let parameters: Tensors = block.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
    let block = Block { parameters, ..block };
    with_grad(|| match shared.rate_form() {
        Some(form) => by_adjoint(shared, block, wanted, &form),
        None => by_autograd(shared, block, wanted),
    })
}

fn by_autograd(shared: &Shared, block: Block, wanted: Wanted) -> Result<Gradient> {
    let parameters = block.parameters.shallow_clone();
    let record = if wanted.cost.is_some() { Record::Rates } else { Record::Outputs };
    let played = play(&Shared { window: wanted.window, graph: true, ..*shared }, block, record)?;
    let scores = shared.task.score(&played.trials, &played.outputs)?;
    let leaves = pick(&parameters, wanted.names)?;
    let gradients = backward(&wanted.total(shared, &scores, played.rates.as_ref())?, &leaves)?;
    finish(scores, wanted.names, gradients)
}

/// One segment of the fast path.
struct Stretch {
    folded: Folded,
    run: Unrolled,
}

fn by_adjoint(shared: &Shared, mut block: Block, wanted: Wanted, form: &RateForm) -> Result<Gradient> {
    let Wanted { names, window, cost } = wanted;
    let prepared = shared.dynamics.prepare(&block.parameters, shared.setting)?;
    let initial = shared.initial_state(&prepared, &block)?.get(&form.state)?.shallow_clone();
    let (stretches, trials) = forward(shared, &mut block, &prepared, &initial, form)?;

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
    let direct = pick(&block.parameters, names)?;
    let mut inputs = leaves;
    let states = inputs.len();
    inputs.extend(direct.iter().map(Tensor::shallow_clone));
    let mut found = backward(&wanted.total(shared, &scores, Some(&rates))?, &inputs)?;
    let readout_gradients = found.split_off(states);

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
        let part = stretch.folded.surrogate(&adjoint)?;
        surrogate = Some(surrogate.map_or(part.shallow_clone(), |sum| sum + part));
        carried = Some(adjoint.initial);
    }
    let mut surrogate = surrogate.ok_or_else(|| Error::Failed("trials without steps".into()))?;
    if let (true, Some(g)) = (initial.requires_grad(), &carried) {
        surrogate += (&initial * g).sum(None::<tch::Kind>);
    }
    let through_states = backward(&surrogate, &direct)?;
    let mut through_states = through_states.into_iter();
    let gradients = readout_gradients.into_iter().map(|a| match (a, through_states.next().flatten()) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    });
    let gradients = gradients.collect();
    finish(scores, names, gradients)
}

/// All segments forward, outside autograd but for projection and folding.
fn forward(
    shared: &Shared,
    block: &mut Block,
    prepared: &Tensors,
    initial: &Tensor,
    form: &RateForm,
) -> Result<(Vec<Stretch>, Trials)> {
    let mut trials = std::mem::take(&mut block.trials);
    let mut rest = trials.rest.take();
    let mut state = initial.detach();
    let mut stretches = Vec::new();
    let mut stretch = |inputs: &Tensor, index: usize| -> Result<Tensor> {
        let projected = shared.drive(prepared, inputs, block.first, index)?;
        let folded = Folded::new(form, prepared, &projected)?;
        let run = folded.forward(&state)?;
        let time = inputs.size()[0];
        state = run.states.select(0, time);
        let steps = run.states.narrow(0, 1, time);
        stretches.push(Stretch { folded, run });
        Ok(steps)
    };
    if rest.is_none() {
        let _ = stretch(&trials.inputs, 0)?;
        return Ok((stretches, trials));
    }
    let share = shared.batch as f64 / trials.batch().max(1) as f64;
    let mut joined = Joined::default();
    let mut next = Some(Segment {
        inputs: trials.inputs.shallow_clone(),
        targets: std::mem::take(&mut trials.targets),
        periods: trials.periods.clone(),
    });
    let mut index = 0;
    while let Some(segment) = next.take() {
        let states = stretch(&segment.inputs, index)?;
        let said = no_grad(|| {
            let rates = shared.dynamics.rates(&Tensors::from([(form.state.as_str(), states)]))?;
            let heads: Vec<usize> = segment.targets.iter().map(|t| t.head).collect();
            network::read(&block.parameters, shared.readout, &heads, &rates)
        })?;
        joined.push(segment);
        if let Some(rest) = &mut rest {
            next = rest.next(&said)?;
        }
        index += 1;
    }
    Ok((stretches, joined.finish(&trials, share)?))
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

fn finish(scores: Scores, names: &[String], gradients: Vec<Option<Tensor>>) -> Result<Gradient> {
    // Autograd hands out one tensor for two parameters that are only added (two biases), and views; whoever sums, clips or steps
    // in place must find storage that is a parameter's own.
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
    let (loss, accuracy) = summary(&scores);
    Ok(Gradient { gradients: named, loss, accuracy })
}

/// Loss and mean accuracy as numbers.
fn summary(scores: &Scores) -> (f64, Option<f64>) {
    let accuracy = |head: &HeadScore| head.accuracy.as_ref().map(|a| a.double_value(&[]));
    let all: Option<Vec<f64>> = scores.heads.iter().map(accuracy).collect();
    let mean = all.filter(|a| !a.is_empty()).map(|a| a.iter().sum::<f64>() / a.len() as f64);
    (scores.loss.detach().double_value(&[]), mean)
}
