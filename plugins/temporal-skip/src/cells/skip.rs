//! A shortcut through time around any cell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Form, Mode, Setting};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Cell, Component, Dynamics, Error, Network, Problems, Properties, Property, Registry, Result, Spec,
    Stream, Tensors,
};

/// Skip connections through time around another cell: every `theta` steps its state is mixed with the one of `theta` steps before.
///
/// Within each period of a trial the steps are counted in segments of `theta`. With `s` the state before the first step of a segment
/// and `s'` the one that the inner cell reaches in its last,
///
/// `s' <- beta s' + (1 - beta) s`
///
/// and the next segment begins from there. A segment that the end of its period cuts short is not mixed, so no skip spans a border.
/// Every floating-point tensor of the inner state is mixed. Along the skip path the gradient shrinks with `1 - beta` every `theta`
/// steps, instead of with the leak at every step.
///
/// `theta` and `beta` are those of the curriculum's schedule, if it has them, else the options here. With `theta` up to 1 or `beta = 1`,
/// and in every evaluation, the network is the bare inner cell with all its speed; so are its parameters, and what is learned can be
/// used without this wrapper.
///
/// state  that of the inner cell, and `skip.start.<name>` for each of its tensors: the state at the start of the segment
///
/// Source: Soo, Goudar & Wang 2023, "Training biologically plausible recurrent neural networks on cognitive tasks with long-term
/// dependencies", doi:10.1101/2023.10.10.561588: skip connections through time (SCTT).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Skip {
    /// The cell that is wrapped.
    pub inner: Spec<dyn Cell>,
    /// Steps of a segment, where the curriculum schedules no `theta`.
    #[schemars(range(min = 0))]
    pub theta: usize,
    /// Share of the stepwise path in the mixture, where the curriculum schedules no `beta`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
}

impl Default for Skip {
    fn default() -> Self {
        Self { inner: Spec::new("leaky-rnn"), theta: 20, beta: 0.5 }
    }
}

impl Skip {
    /// Segment and mixture under the conditions, or `None` where nothing is mixed.
    fn active(&self, setting: &Setting) -> Result<Option<Mixture>> {
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
        Ok((theta > 1 && beta < 1.0).then_some(Mixture { theta, beta }))
    }
}

#[typetag::serde(name = "skip")]
impl Cell for Skip {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        problems.require((0.0..=1.0).contains(&self.beta), "beta", self.beta, "between 0 and 1");
        if self.inner.name == "skip" {
            problems.add("inner", "is a skip itself", "set theta and beta of one skip, around the cell itself");
        } else if let Err(error) = registry.build(&self.inner, "inner") {
            problems.inside("inner", |problems| relocate(error, problems));
        }
    }

    fn provides(&self, registry: &Registry) -> Properties {
        let mut provides = registry.build(&self.inner, "inner").map(|cell| cell.provides(registry)).unwrap_or_default();
        // While skips act, a step is not that of a rate network.
        provides.remove(&Property::RateForm);
        provides
    }

    fn needs(&self, registry: &Registry) -> Properties {
        registry.build(&self.inner, "inner").map(|cell| cell.needs(registry)).unwrap_or_default()
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let network = context.registry.build(&self.inner, "cell.inner")?.build(context, stream)?;
        let Network { parameters, dynamics, readout } = network;
        Ok(Network { parameters, dynamics: Box::new(Skipping { cell: self.clone(), inner: dynamics }), readout })
    }
}

synfire::inventory::submit! { Component::cell::<Skip>("skip") }

/// Report the problems of the inner cell at this place.
fn relocate(error: Error, problems: &mut Problems) {
    for problem in error.into_problems("inner") {
        let field = problem.path.strip_prefix("inner").unwrap_or(&problem.path).trim_start_matches('.').to_string();
        problems.add(&field, problem.problem, problem.remedy);
    }
}

/// Prefix of the state at the start of the segment.
const START: &str = "skip.start.";

/// What is mixed and when.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mixture {
    theta: usize,
    beta: f64,
}

/// The inner equations with their shortcuts.
#[derive(Debug)]
struct Skipping {
    cell: Skip,
    inner: Box<dyn Dynamics>,
}

impl Dynamics for Skipping {
    fn units(&self) -> usize {
        self.inner.units()
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        self.inner.prepare(parameters, setting)
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        self.inner.initial_state(prepared, batch, stream)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        self.inner.project(prepared, inputs)
    }

    fn noise(&self, prepared: &Tensors, time: usize, batch: usize, stream: &mut Stream) -> Result<Option<Tensor>> {
        self.inner.noise(prepared, time, batch, stream)
    }

    fn step(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let Some(Mixture { theta, beta }) = self.cell.active(clock.setting)? else {
            return self.inner.step(clock, prepared, state, projected, drive);
        };
        let before: Tensors = state
            .iter()
            .filter(|(name, _)| !name.starts_with(START))
            .map(|(name, tensor)| (name.to_string(), tensor.shallow_clone()))
            .collect();
        let after = self.inner.step(clock, prepared, &before, projected, drive)?;
        let mixes = (clock.since_border + 1).is_multiple_of(theta);
        let (mut next, mut starts) = (Tensors::new(), Tensors::new());
        for (name, reached) in after.iter() {
            if !reached.is_floating_point() {
                next.insert(name, reached.shallow_clone());
                continue;
            }
            // A state that comes from elsewhere, such as settling or an evaluation, has no segment yet.
            let kept = state.find(&format!("{START}{name}")).filter(|_| !clock.border());
            let start = match kept {
                Some(start) => start.shallow_clone(),
                None => before.get(name)?.shallow_clone(),
            };
            let (reached, start) = if mixes {
                let mixed = reached.f_mul_scalar(beta)?.f_add(&start.f_mul_scalar(1.0 - beta)?)?;
                (mixed.shallow_clone(), mixed)
            } else {
                (reached.shallow_clone(), start)
            };
            next.insert(name, reached);
            starts.insert(format!("{START}{name}"), start);
        }
        for (name, start) in starts.iter() {
            next.insert(name, start.shallow_clone());
        }
        Ok(next)
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

    fn form(&self, setting: &Setting) -> Form {
        match self.cell.active(setting) {
            Ok(None) => self.inner.form(setting),
            // Step by step; a schedule out of range is reported there.
            Ok(Some(_)) | Err(_) => Form::Opaque,
        }
    }
}

#[cfg(test)]
mod tests;
