//! What rules that change recurrent weights by hand know of a rate network.

use synfire::cell::{Form, Setting};
use synfire::recurrence::{Placement, RECURRENT, RateForm};
use synfire::rollout::Rollout;
use synfire::tch::{Kind, Tensor, no_grad, with_grad};
use synfire::{BuildContext, Error, Network, Result, Tensors, Trials};

/// The conditions under which these trials are played.
pub(super) fn setting_of(rollout: &Rollout, trials: &Trials) -> Setting {
    Setting { substeps: trials.substeps, ..rollout.setting.clone() }
}

/// The form of a network, which must be a rate network.
pub(super) fn rate_form(network: &Network, setting: &Setting, rule: &str) -> Result<RateForm> {
    match network.dynamics.form(setting) {
        Form::Rate(form) if form.mixing.is_none() => Ok(form),
        _ => Err(Error::Incompatible {
            needs: format!("a rate network for the rule '{rule}'"),
            because:
                "the cell does not describe its step as that of a rate network without shortcuts; use one such as \
                      leaky-rnn"
                    .into(),
        }),
    }
}

/// What units send to each other in these states.
pub(super) fn sent(form: &RateForm, state: &Tensor) -> Tensor {
    match form.placement {
        Placement::Current => form.activation.apply(state),
        Placement::Drive | Placement::Whole => state.shallow_clone(),
    }
}

/// Name of the parameter that is, as it is, the recurrent weights: no mask, sign or factor stands between.
pub(super) fn recurrent_parameter(network: &Network, context: &BuildContext, rule: &str) -> Result<String> {
    let setting = Setting { dt_ms: context.task.dt_ms, ..Setting::default() };
    let prepared = no_grad(|| network.dynamics.prepare(&network.parameters, &setting))?;
    let effective = prepared.get(RECURRENT)?;
    let units = network.dynamics.units() as i64;
    let found = network
        .parameters
        .iter()
        .find(|(_, tensor)| tensor.size() == [units, units] && tensor.data_ptr() == effective.data_ptr());
    found.map(|(name, _)| name.to_string()).ok_or_else(|| Error::Incompatible {
        needs: format!("free recurrent weights for the rule '{rule}'"),
        because: "the cell makes its weights from masks, signs or factors; leave out density, dale, rank and masked \
                  self_connections"
            .into(),
    })
}

/// Carry wanted changes of prepared tensors, and of the projected input `[time, batch, projected]`, back to the parameters that may
/// change, by the chain rule: for a parameter that is used as it is, its change itself.
pub(super) fn carry_back(
    network: &Network,
    setting: &Setting,
    names: &[String],
    changes: &Tensors,
    projected: Option<(&Tensor, &Tensor)>,
) -> Result<Tensors> {
    let leaf = |name: &str, t: &Tensor| t.detach().set_requires_grad(names.iter().any(|n| n == name));
    let parameters: Tensors = network.parameters.iter().map(|(n, t)| (n.to_string(), leaf(n, t))).collect();
    let surrogate = with_grad(|| -> Result<Tensor> {
        let prepared = network.dynamics.prepare(&parameters, setting)?;
        let mut parts = Vec::new();
        for (name, change) in changes.iter() {
            parts.push(prepared.get(name)?.f_mul(change)?.f_sum(None::<Kind>)?);
        }
        if let Some((inputs, change)) = projected {
            parts.push(network.dynamics.project(&prepared, inputs)?.f_mul(change)?.f_sum(None::<Kind>)?);
        }
        parts.into_iter().reduce(|a, b| a + b).ok_or_else(|| Error::Failed("there is nothing to carry back".into()))
    })?;
    let leaves =
        names.iter().map(|name| parameters.get(name).map(Tensor::shallow_clone)).collect::<Result<Vec<_>>>()?;
    if leaves.is_empty() || !surrogate.requires_grad() {
        return Ok(Tensors::new());
    }
    let found = Tensor::f_run_backward(&[surrogate], &leaves, false, false)?;
    let own = |g: Tensor| g.detach().copy();
    Ok(names.iter().zip(found).filter(|(_, g)| g.defined()).map(|(name, g)| (name.clone(), own(g))).collect())
}

/// Whether a parameter matches any of `trainable` (or it is empty) and none of `frozen`.
pub(super) fn chosen(trainable: &[String], frozen: &[String], name: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|p| synfire::optimizer::pattern::matches(p, name));
    (trainable.is_empty() || any(trainable)) && !any(frozen)
}
