//! The equations of both wrappers: an inner cell whose state is mixed with earlier ones.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use synfire::cell::{Clock, Form, Mode, Setting};
use synfire::recurrence::{Extrapolation, LEAK, Mixing, RateForm};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Dynamics, Error, Network, Problems, Properties, Property, Registry, Result, Spec, Stream,
    Tensors,
};

/// What a wrapper is told by its options.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shortcut {
    /// Where the curriculum schedules no `theta`.
    pub theta: usize,
    /// Where the curriculum schedules no `beta`.
    pub beta: f64,
    pub extrapolation: Extrapolation,
    pub onset: Option<String>,
}

impl Shortcut {
    /// Report what is out of range.
    pub fn check(&self, inner: &Spec<dyn Cell>, registry: &Registry, problems: &mut Problems) {
        problems.require((0.0..=1.0).contains(&self.beta), "beta", self.beta, "between 0 and 1");
        if self.onset.as_deref() == Some("") {
            problems.add("onset", "is an empty name", "name a period of the task's trials, or leave it out");
        }
        if ["skip", "dynamics-aligned"].contains(&inner.name.as_str()) {
            let remedy = "set theta and beta of one wrapper, around the cell itself";
            problems.add("inner", "mixes its state with earlier ones itself", remedy);
        } else if let Err(error) = registry.build(inner, "inner") {
            problems.inside("inner", |problems| relocate(error, problems));
        }
    }

    /// What is mixed under the conditions, or `None` where nothing is.
    pub fn active(&self, setting: &Setting) -> Result<Option<Mixing>> {
        if setting.mode == Mode::Evaluation {
            return Ok(None);
        }
        let theta = setting.schedule.get("theta").copied().unwrap_or(self.theta as f64);
        let beta = setting.schedule.get("beta").copied().unwrap_or(self.beta);
        let refuse = |name: &str, value: f64, rule: &str| {
            Err(Error::config("curriculum", format_args!("schedules {name} = {value}, must be {rule}"), ""))
        };
        if !(0.0..=1e9).contains(&theta) {
            return refuse("theta", theta, "a number of steps, 0 or more");
        }
        if !(0.0..=1.0).contains(&beta) {
            return refuse("beta", beta, "between 0 and 1");
        }
        let theta = theta.round() as usize;
        let mixes = beta < 1.0 && (theta > 1 || self.onset.is_some());
        let (extrapolation, onset) = (self.extrapolation, self.onset.clone());
        Ok(mixes.then_some(Mixing { theta, beta, extrapolation, onset }))
    }

    pub fn build(self, inner: &Spec<dyn Cell>, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let network = context.registry.build(inner, "cell.inner")?.build(context, stream)?;
        let Network { parameters, dynamics, readout } = network;
        let dynamics = Box::new(Mixed { shortcut: self, inner: dynamics, warned: AtomicBool::new(false) });
        Ok(Network { parameters, dynamics, readout })
    }
}

/// What a wrapper around a cell provides.
pub(super) fn provides(inner: &Spec<dyn Cell>, registry: &Registry) -> Properties {
    let mut provides = registry.build(inner, "inner").map(|cell| cell.provides(registry)).unwrap_or_default();
    // While shortcuts act, a step is not that of a rate network.
    provides.remove(&Property::RateForm);
    provides
}

/// What a wrapper around a cell needs.
pub(super) fn needs(inner: &Spec<dyn Cell>, registry: &Registry) -> Properties {
    registry.build(inner, "inner").map(|cell| cell.needs(registry)).unwrap_or_default()
}

/// Report the problems of the inner cell at this place.
fn relocate(error: Error, problems: &mut Problems) {
    for problem in error.into_problems("inner") {
        let field = problem.path.strip_prefix("inner").unwrap_or(&problem.path).trim_start_matches('.').to_string();
        problems.add(&field, problem.problem, problem.remedy);
    }
}

/// Prefix of all that is kept beside the inner state.
const OWN: &str = "skip.";
/// The state at the start of the segment.
const START: &str = "skip.start.";
/// The increment that is extrapolated from there.
const AHEAD: &str = "skip.ahead.";
/// The increment of the last step.
const LAST: &str = "skip.last.";
/// The state at the last onset.
const ONSET: &str = "skip.onset.";

/// The inner equations with their shortcuts.
#[derive(Debug)]
struct Mixed {
    shortcut: Shortcut,
    inner: Box<dyn Dynamics>,
    warned: AtomicBool,
}

impl Mixed {
    /// Say it once where an extrapolation is an unstable step.
    fn warn(&self, prepared: &Tensors, setting: &Setting) -> Result<()> {
        let Some(mixing) = self.shortcut.active(setting)? else { return Ok(()) };
        let Some(leak) = prepared.find(LEAK).filter(|_| mixing.extrapolation == Extrapolation::First) else {
            return Ok(());
        };
        let reach = leak.detach().max().double_value(&[]) * mixing.theta as f64;
        if reach > 2.0 && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                theta = mixing.theta,
                reach,
                "theta times the leak is above 2: extrapolating that far is unstable; lower theta, or use increment = \"previous-step\""
            );
        }
        Ok(())
    }
}

impl Dynamics for Mixed {
    fn units(&self) -> usize {
        self.inner.units()
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        let prepared = self.inner.prepare(parameters, setting)?;
        self.warn(&prepared, setting)?;
        Ok(prepared)
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        self.inner.initial_state(prepared, batch, stream)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        self.inner.project(prepared, inputs)
    }

    fn noise(
        &self,
        prepared: &Tensors,
        time: usize,
        batch: usize,
        before: Option<&Tensor>,
        stream: &mut Stream,
    ) -> Result<Option<Tensor>> {
        self.inner.noise(prepared, time, batch, before, stream)
    }

    fn step(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let own = |(name, tensor): (&str, &Tensor)| (name.to_string(), tensor.shallow_clone());
        let mut before: Tensors = state.iter().filter(|(name, _)| !name.starts_with(OWN)).map(own).collect();
        let Some(mixing) = self.shortcut.active(clock.setting)? else {
            return self.inner.step(clock, prepared, &before, projected, drive);
        };
        let mut kept = Tensors::new();
        let meets = clock.border() && mixing.onset.as_deref() == Some(clock.period);
        if mixing.onset.is_some() {
            before = at_onset(&before, state, &mixing, meets, &mut kept)?;
        }
        let after = self.inner.step(clock, prepared, &before, projected, drive)?;
        if mixing.theta < 2 {
            return Ok(after.iter().chain(kept.iter()).map(own).collect());
        }
        let moment = Moment {
            begins: clock.since_border.is_multiple_of(mixing.theta),
            border: clock.border(),
            mixes: (clock.since_border + 1).is_multiple_of(mixing.theta),
        };
        let mut next = Tensors::new();
        for (name, reached) in after.iter() {
            let mixed = match reached.is_floating_point() {
                true => moment.mix(&mixing, name, (before.get(name)?, reached), state, &mut kept)?,
                false => reached.shallow_clone(),
            };
            next.insert(name, mixed);
        }
        Ok(next.iter().chain(kept.iter()).map(own).collect())
    }

    fn gates(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        self.inner.gates(clock, prepared, state, projected, drive)
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        self.inner.rates(state)
    }

    fn constant(&self, parameter: &str) -> bool {
        self.inner.constant(parameter)
    }

    fn bounded(&self, name: &str, parameter: &Tensor) -> Result<Option<Tensor>> {
        self.inner.bounded(name, parameter)
    }

    fn caution(&self, setting: &Setting) -> Option<String> {
        let Mixing { theta, beta, extrapolation, .. } = self.shortcut.active(setting).ok()??;
        let remedy = match extrapolation {
            Extrapolation::None => return self.inner.caution(setting),
            Extrapolation::First => "lower cell.theta, raise cell.beta, or set cell.increment = \"previous-step\"",
            Extrapolation::Last => "lower cell.theta, or raise cell.beta",
        };
        Some(format!(
            "every {theta} steps the state is carried along by {theta} increments with a share of {}, which grows without bound where \
             an increment is large for the state: {remedy}",
            1.0 - beta
        ))
    }

    fn form(&self, setting: &Setting) -> Form {
        let inner = self.inner.form(setting);
        match (self.shortcut.active(setting), inner) {
            (Ok(None), inner) => inner,
            (Ok(mixing), Form::Rate(form)) if form.mixing.is_none() => Form::Rate(RateForm { mixing, ..form }),
            // Step by step; a schedule out of range is reported there.
            _ => Form::Opaque,
        }
    }
}

/// The state at the beginning of a step, mixed with that at the last onset where one is met.
fn at_onset(before: &Tensors, state: &Tensors, mixing: &Mixing, meets: bool, kept: &mut Tensors) -> Result<Tensors> {
    let mut mixed = Tensors::new();
    for (name, tensor) in before.iter() {
        let key = format!("{ONSET}{name}");
        let last = state.find(&key).filter(|_| tensor.is_floating_point());
        let now = match last.filter(|_| meets) {
            Some(last) => tensor.f_mul_scalar(mixing.beta)?.f_add(&last.f_mul_scalar(1.0 - mixing.beta)?)?,
            None => tensor.shallow_clone(),
        };
        match last {
            _ if meets && tensor.is_floating_point() => kept.insert(key, now.shallow_clone()),
            Some(last) => kept.insert(key, last.shallow_clone()),
            None => {}
        }
        mixed.insert(name, now);
    }
    Ok(mixed)
}

/// Where in its segment a step stands.
struct Moment {
    begins: bool,
    border: bool,
    mixes: bool,
}

impl Moment {
    /// One tensor of the state after the step, and what is kept of it for later steps.
    fn mix(
        &self,
        mixing: &Mixing,
        name: &str,
        (before, reached): (&Tensor, &Tensor),
        state: &Tensors,
        kept: &mut Tensors,
    ) -> Result<Tensor> {
        // A state that comes from elsewhere, such as settling or an evaluation, has no segment yet.
        let start = match state.find(&format!("{START}{name}")).filter(|_| !self.begins) {
            Some(start) => start.shallow_clone(),
            None => before.shallow_clone(),
        };
        let increment = match mixing.extrapolation {
            Extrapolation::None => None,
            _ => Some(reached.f_sub(before)?),
        };
        let last = state.find(&format!("{LAST}{name}")).filter(|_| !self.border);
        let ahead = match (mixing.extrapolation, state.find(&format!("{AHEAD}{name}")).filter(|_| !self.begins)) {
            (Extrapolation::None, _) => None,
            (_, Some(ahead)) => Some(ahead.shallow_clone()),
            (Extrapolation::Last, None) => last.or(increment.as_ref()).map(Tensor::shallow_clone),
            (Extrapolation::First, None) => increment.as_ref().map(Tensor::shallow_clone),
        };
        let mixed = if self.mixes {
            let far = match &ahead {
                Some(ahead) => start.f_add(&ahead.f_mul_scalar(mixing.theta as f64)?)?,
                None => start.shallow_clone(),
            };
            reached.f_mul_scalar(mixing.beta)?.f_add(&far.f_mul_scalar(1.0 - mixing.beta)?)?
        } else {
            reached.shallow_clone()
        };
        let start = if self.mixes { mixed.shallow_clone() } else { start };
        kept.insert(format!("{START}{name}"), start);
        if let Some(ahead) = ahead {
            kept.insert(format!("{AHEAD}{name}"), ahead);
        }
        if let Some(increment) = increment.filter(|_| mixing.extrapolation == Extrapolation::Last) {
            kept.insert(format!("{LAST}{name}"), increment);
        }
        Ok(mixed)
    }
}
