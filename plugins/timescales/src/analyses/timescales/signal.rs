//! What is correlated: the rates of units, or a tensor of their state.

use synfire::cell::Setting;
use synfire::rollout::{Moment, Record, StepHook};
use synfire::tch::{Tensor, no_grad};
use synfire::{Error, Network, Result, Stream, Tensors};
use synfire_essentials::simulation::Stretch;

/// The name of the rates.
pub(super) const RATES: &str = "rates";

/// What is correlated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal<'a> {
    /// What heads read.
    Rates,
    /// The state tensor with this name.
    State(&'a str),
}

impl<'a> Signal<'a> {
    /// The signal called `name` of a network.
    ///
    /// # Errors
    /// [`Error::Config`] naming what there is.
    pub fn new(name: &'a str, network: &Network, setting: &Setting) -> Result<Self> {
        if name == RATES {
            return Ok(Self::Rates);
        }
        let state = no_grad(|| -> Result<Tensors> {
            let prepared = network.dynamics.prepare(&network.parameters, setting)?;
            network.dynamics.initial_state(&prepared, 1, &mut Stream::new(0))
        })?;
        if state.contains(name) {
            return Ok(Self::State(name));
        }
        let names = state.names().collect::<Vec<_>>().join(", ");
        let problem = format_args!("is '{name}', which is no tensor of the cell's state");
        Err(Error::config("analysis.signal", problem, format_args!("use one of: {RATES}, {names}")))
    }

    /// Play a stretch: the signal at every step, `[time, trial, unit]`, and the last state.
    ///
    /// # Errors
    /// What the cell reports.
    pub fn play(self, stretch: Stretch) -> Result<(Tensor, Tensors)> {
        let Stretch { rollout, network, trials, initial, .. } = stretch;
        match self {
            Self::Rates => {
                let played = rollout.play_from(network, trials, Record::Rates, initial)?;
                let rates = played.rates.ok_or_else(|| Error::Failed("a rollout kept no rates".into()))?;
                Ok((rates, played.last))
            }
            Self::State(name) => {
                let mut recorder = Recorder { name, steps: Vec::new() };
                let played = rollout.online(network, trials, initial, &mut recorder)?;
                Ok((Tensor::f_stack(&recorder.steps, 0)?, played.last))
            }
        }
    }
}

/// Keeps one state tensor of every step.
struct Recorder<'a> {
    name: &'a str,
    steps: Vec<Tensor>,
}

impl StepHook for Recorder<'_> {
    fn after(&mut self, _: &Moment, _: &mut Tensors, state: &Tensors, _: &Tensor, _: &[Tensor]) -> Result<()> {
        let tensor = state.get(self.name)?;
        let rows = tensor.size().first().copied().unwrap_or(1);
        self.steps.push(tensor.f_reshape([rows, -1])?);
        Ok(())
    }
}
