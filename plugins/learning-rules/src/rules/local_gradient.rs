//! The part of the gradient that a synapse can compute from what happens at its two ends, and a broadcast error.

use super::rate_network::{carry_back, rate_form, sent, setting_of};
use std::collections::BTreeMap;
use synfire::network::{head_bias, head_weight};
use synfire::recurrence::{LEAK, Placement, RECURRENT, RateForm};
use synfire::rollout::{Rollout, Traced};
use synfire::task::Answer;
use synfire::tch::{Kind, Tensor, no_grad, with_grad};
use synfire::{Network, Result, Tensors, Trials};

/// What a unit's present state owes to its last one, in the eyes of a synapse onto it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnPath {
    /// What did not leak away.
    Leak,
    /// That, and what came back through the unit's connection to itself.
    LeakAndSelf,
}

/// Gradients by parameter, as far as they are local, and how the batch went.
pub(super) struct LocalGradient {
    pub gradients: Tensors,
    pub loss: f64,
    pub accuracy: Option<f64>,
}

/// The local gradient of the task's loss.
///
/// With `dL/dy` the gradient of the loss with respect to the outputs, the error that reaches the units is `dL/dy B`, where `B`
/// `[output, unit]` is the head's weight for the true gradient, or any other matrix that `broadcast` has for the head. The state of
/// unit `i` remembers its past input through its own path alone, by a factor `d_i(t)` a step, so that the eligibility of the synapse
/// from `j` to `i` is
///
/// `e_ij(t) = d_i(t) e_ij(t - 1) + a_i(t) r_j(t - 1)`, and its gradient `sum_t error_i(t) e_ij(t)`
///
/// with `a` the slope of the state in the unit's input. The sum is computed from the last step backwards, as `sum_s a_i(s) r_j(s - 1)
/// lambda_i(s)` with `lambda_i(s) = error_i(s) + d_i(s + 1) lambda_i(s + 1)`, which is the same number and needs no tensor of the size of
/// all synapses and trials.
pub(super) fn local_gradient(
    network: &Network,
    rollout: &Rollout,
    trials: &Trials,
    rule: (&str, OwnPath),
    names: &[String],
    broadcast: &BTreeMap<usize, Tensor>,
) -> Result<LocalGradient> {
    let setting = setting_of(rollout, trials);
    let form = rate_form(network, &setting, rule.0)?;
    let traced = rollout.trace(network, trials, None)?;

    // The task, its loss and the readout are ordinary tensor code.
    let leaves: Vec<Tensor> = traced.outputs.iter().map(|output| output.detach().set_requires_grad(true)).collect();
    let scores = with_grad(|| rollout.task.score(&traced.trials, &leaves))?;
    let upstream = Tensor::f_run_backward(&[&scores.loss], &leaves, false, false)?;
    let loss = scores.loss.double_value(&[]);
    let right: Option<Vec<f64>> =
        scores.heads.iter().map(|head| head.accuracy.as_ref().map(|a| a.double_value(&[]))).collect();
    let accuracy = right.filter(|r| !r.is_empty()).map(|r| r.iter().sum::<f64>() / r.len() as f64);

    let (errors, mut gradients) = no_grad(|| readout(network, &traced, &upstream, names, broadcast))?;
    let errors = through_rates(network, &traced, &errors)?;
    let (deltas, sources) = no_grad(|| deltas(network, &setting, &form, &traced, &errors, rule.1))?;
    let (rows, units) = (deltas.size()[0] * deltas.size()[1], deltas.size()[2]);
    let flat = |t: &Tensor| t.f_reshape([rows, units]);
    let recurrent = flat(&deltas)?.f_transpose(0, 1)?.f_mm(&flat(&sources)?)?;
    let changes = Tensors::from([(RECURRENT, recurrent)]);
    let projected = Some((&traced.trials.inputs, &deltas));
    let inner: Vec<String> = names.iter().filter(|name| !name.starts_with("head.")).cloned().collect();
    for (name, gradient) in carry_back(network, &setting, &inner, &changes, projected)?.iter() {
        gradients.insert(name, gradient.shallow_clone());
    }
    Ok(LocalGradient { gradients, loss, accuracy })
}

/// The error broadcast to every unit's rate, `[time, batch, unit]`, and the gradients of the heads, which are exact.
fn readout(
    network: &Network,
    traced: &Traced,
    upstream: &[Tensor],
    names: &[String],
    broadcast: &BTreeMap<usize, Tensor>,
) -> Result<(Tensor, Tensors)> {
    let time = traced.trials.time() as i64;
    let rates = network.dynamics.rates(&traced.states.map(|state| state.narrow(0, 1, time)))?;
    let mut errors = rates.f_zeros_like()?;
    let mut gradients = Tensors::new();
    for (target, gradient) in traced.trials.targets.iter().zip(upstream) {
        let weight = network.parameters.get(&head_weight(target.head))?;
        let matrix = broadcast.get(&target.head).unwrap_or(weight);
        let reaching = gradient.f_matmul(&matrix.f_to_kind(rates.kind())?.f_to_device(rates.device())?)?;
        let read = match traced.trials.answer {
            Answer::EveryStep => {
                errors += reaching;
                rates.shallow_clone()
            }
            Answer::FinalStep => {
                let mut last = errors.f_get(time - 1)?;
                last += reaching;
                rates.f_get(time - 1)?
            }
        };
        let outputs = gradient.size().last().copied().unwrap_or(1);
        let flat = gradient.f_reshape([-1, outputs])?;
        let units = read.size().last().copied().unwrap_or(1);
        let (name, bias) = (head_weight(target.head), head_bias(target.head));
        if names.contains(&name) {
            let whole = flat.f_transpose(0, 1)?.f_mm(&read.f_reshape([-1, units])?)?;
            // Weights of units that are not read are 0 and stay so.
            let (from, to) = network.readout.units.map_or((0, units), |(from, to)| (from as i64, to as i64));
            gradients.insert(name, whole.f_narrow(1, from, to - from)?.f_constant_pad_nd([from, units - to])?);
        }
        if names.contains(&bias) && network.parameters.contains(&bias) {
            gradients.insert(bias, flat.f_sum_dim_intlist(0i64, false, None::<Kind>)?);
        }
    }
    Ok((errors, gradients))
}

/// Errors at what heads read as errors at the states, `[time, batch, unit]`.
fn through_rates(network: &Network, traced: &Traced, errors: &Tensor) -> Result<Tensor> {
    let time = traced.trials.time() as i64;
    let Some((name, state)) = traced.states.iter().next() else { return Ok(errors.shallow_clone()) };
    let leaf = state.f_narrow(0, 1, time)?.detach().set_requires_grad(true);
    let through = with_grad(|| -> Result<Tensor> {
        let rates = network.dynamics.rates(&Tensors::from([(name, leaf.shallow_clone())]))?;
        Ok(rates.f_mul(errors)?.f_sum(None::<Kind>)?)
    })?;
    let mut found = Tensor::f_run_backward(&[through], &[leaf], false, false)?;
    Ok(found.remove(0))
}

/// Gradient with respect to the input of each unit at each step, and what units sent at it, both `[time, batch, unit]`.
fn deltas(
    network: &Network,
    setting: &synfire::cell::Setting,
    form: &RateForm,
    traced: &Traced,
    errors: &Tensor,
    path: OwnPath,
) -> Result<(Tensor, Tensor)> {
    let prepared = network.dynamics.prepare(&network.parameters, setting)?;
    let (leak, weights) = (prepared.get(LEAK)?, prepared.get(RECURRENT)?);
    let keep = leak.neg() + 1.0;
    let states = traced.states.get(&form.state)?;
    let time = traced.trials.time() as i64;
    let (before, after) = (states.f_narrow(0, 0, time)?, states.f_narrow(0, 1, time)?);
    let sources = sent(form, &before);
    // The slope of the non-linearity at each step, from its value there.
    let slope = match form.placement {
        Placement::Current => form.activation.slope(&sources),
        Placement::Whole => form.activation.slope(&after),
        Placement::Drive => {
            let total = traced.input.f_add(&sources.f_matmul(&weights.f_transpose(0, 1)?)?)?;
            form.activation.slope(&form.activation.apply(&total))
        }
    };
    let own = match path {
        OwnPath::Leak => None,
        OwnPath::LeakAndSelf => Some(weights.f_diagonal(0, 0, 1)?),
    };
    // How much of a state is the state before: the factors d; and how much is the input: a.
    let (memory, gain) = match form.placement {
        Placement::Current => {
            let through = own.map(|own| slope.f_mul(&own)?.f_mul(leak)).transpose()?;
            (through.map_or_else(|| keep.f_expand(slope.size(), false), |t| t.f_add(&keep))?, leak.shallow_clone())
        }
        Placement::Drive => {
            let gain = slope.f_mul(leak)?;
            let through = own.map(|own| gain.f_mul(&own)).transpose()?;
            (through.map_or_else(|| keep.f_expand(slope.size(), false), |t| t.f_add(&keep))?, gain)
        }
        Placement::Whole => {
            let kept = match own {
                Some(own) => keep.f_add(&leak.f_mul(&own)?)?,
                None => keep.shallow_clone(),
            };
            (slope.f_mul(&kept)?, slope.f_mul(leak)?)
        }
    };
    let mut all: Vec<Tensor> = Vec::with_capacity(time as usize);
    let mut later: Option<Tensor> = None;
    for t in (0..time).rev() {
        let mut lambda = errors.f_get(t)?;
        if let Some(later) = &later {
            lambda = lambda.f_addcmul(&memory.f_get(t + 1)?, later)?;
        }
        all.push(lambda.shallow_clone());
        later = Some(lambda);
    }
    all.reverse();
    Ok((Tensor::f_stack(&all, 0)?.f_mul(&gain)?, sources))
}
