//! Cells, and the networks they build.

use crate::network::Network;
use crate::property::Properties;
use crate::recurrence::{GatedForm, RateForm};
use crate::{Error, Problems, Registry, Result, Stream, TaskSpec, Tensors};
use std::collections::BTreeMap;
use std::fmt::Debug;
use tch::{Device, Kind, Tensor};

/// How the units of a network work.
///
/// The struct that implements it is its options; [`Cell::build`] makes the running thing: parameters, [`Dynamics`] and readout.
#[typetag::serde(tag = "type")]
pub trait Cell: Debug + Send + Sync {
    /// Report every option that is out of range.
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let _ = (registry, problems);
    }

    /// What the networks it builds offer to rules and analyses.
    fn provides(&self, registry: &Registry) -> Properties;

    /// What it needs of the task, for example times in milliseconds. Default: nothing.
    fn needs(&self, registry: &Registry) -> Properties {
        let _ = registry;
        Properties::new()
    }

    /// Build a network without heads; the trainer adds those that the lesson names.
    ///
    /// # Errors
    /// [`Error::Config`] when options and task do not fit.
    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network>;
}

/// What a part is handed when it is built.
#[derive(Clone)]
pub struct BuildContext<'a> {
    /// For parts that contain others.
    pub registry: &'a Registry,
    /// The task the network is built for.
    pub task: TaskSpec,
    /// Where tensors live.
    pub device: Device,
    /// Floating-point kind of parameters and states.
    pub kind: Kind,
}

impl BuildContext<'_> {
    /// Device and kind as tch wants them.
    pub fn options(&self) -> (Kind, Device) {
        (self.kind, self.device)
    }
}

/// Whether a network learns or is being tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Under the learning rule: wrappers such as skips are active.
    #[default]
    Training,
    /// Under test: the bare cell.
    Evaluation,
}

/// The conditions under which a network runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setting {
    /// Training or evaluation.
    pub mode: Mode,
    /// Duration of a step, where the task has times in ms (the lesson may coarsen it).
    pub dt_ms: Option<f64>,
    /// Steps in which the trials being played show each symbol; the rollout takes it from [`crate::Trials::substeps`].
    pub substeps: Option<usize>,
    /// Numbers that the curriculum schedules, for example `theta`.
    pub schedule: BTreeMap<String, f64>,
}

/// Where in a trial a step stands.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'a> {
    /// The step, counted from the start of the trial.
    pub step: usize,
    /// Steps since the present period of the trial began; 0 in its first step.
    pub since_border: usize,
    /// Name of the present period; empty before the first.
    pub period: &'a str,
    /// The conditions.
    pub setting: &'a Setting,
}

impl Clock<'_> {
    /// Whether a period of the trial begins with this step.
    pub fn border(&self) -> bool {
        self.since_border == 0
    }
}

/// The equations of a network, without its numbers.
///
/// Parameters and states are named tensor maps that are handed in and out, so that they can be saved, perturbed and stacked.
/// The rollout calls `prepare` once, `project` once a segment, `step` once a step. All of them may run under autograd and must
/// then be differentiable in the parameters, unless the cell does not provide [`crate::Property::Gradient`].
pub trait Dynamics: Debug + Send + Sync {
    /// Number of units that heads can read.
    fn units(&self) -> usize;

    /// What the step works with: effective weights (masks, signs, bounds applied), leaks, noise. Called once a rollout.
    ///
    /// # Errors
    /// When a parameter is missing or has the wrong shape.
    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors>;

    /// The state before the first step, one row per trial.
    ///
    /// # Errors
    /// When a prepared tensor is missing.
    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors>;

    /// The part of the input that does not depend on the state, for all steps at once: `[time, batch, input]` to
    /// `[time, batch, projected]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the input does not fit.
    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor>;

    /// Noise to be added to the projected input, `[time, batch, projected]`, or `None`. Default: none.
    ///
    /// Where these steps follow others, as a trial its settling and a segment of a closed loop the one before, `before` is the noise of
    /// the last of those, `[batch, projected]`, from which a process with a memory goes on.
    ///
    /// # Errors
    /// When a prepared tensor is missing.
    fn noise(
        &self,
        prepared: &Tensors,
        time: usize,
        batch: usize,
        before: Option<&Tensor>,
        stream: &mut Stream,
    ) -> Result<Option<Tensor>> {
        let _ = (prepared, time, batch, before, stream);
        Ok(None)
    }

    /// One step: the next state from the present one, the projected input `[batch, projected]`, and a drive `[batch, unit]`
    /// that online rules, feedback and perturbations add to each unit's input.
    ///
    /// # Errors
    /// When a tensor is missing, or a drive is given to a cell that does not provide [`crate::Property::AdditiveDrive`].
    fn step(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors>;

    /// The gates of the step that these arguments would take, by name, each `[batch, unit]` and from 0 to 1: `input`, `forget` and
    /// `output` of a long short-term memory, `reset` and `update` of a gated recurrent unit. Default: there are none.
    ///
    /// # Errors
    /// As [`Dynamics::step`].
    fn gates(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let _ = (clock, prepared, state, projected, drive);
        Ok(Tensors::new())
    }

    /// What heads read, `[batch, unit]`; the state's tensors may have leading axes, which are kept.
    ///
    /// # Errors
    /// When a state tensor is missing.
    fn rates(&self, state: &Tensors) -> Result<Tensor>;

    /// Whether a parameter is a constant of the cell, such as the mask of a sparse network: saved with the network, changed by no
    /// rule. Default: none is.
    fn constant(&self, parameter: &str) -> bool {
        let _ = parameter;
        false
    }

    /// What a parameter that a rule has changed becomes, where the cell bounds it: weights that keep their sign, for example. The
    /// trainer asks after every update. Default: `None`, it stays as it is.
    ///
    /// # Errors
    /// When libtorch refuses.
    fn bounded(&self, name: &str, parameter: &Tensor) -> Result<Option<Tensor>> {
        let _ = (name, parameter);
        Ok(None)
    }

    /// Why states may grow without bound under these conditions and which option helps, in one sentence: said where a loss or a
    /// gradient is not finite. Default: nothing is known.
    fn caution(&self, setting: &Setting) -> Option<String> {
        let _ = setting;
        None
    }

    /// What the fast path may take over under these conditions. Default: nothing, the rollout calls `step`.
    fn form(&self, setting: &Setting) -> Form {
        let _ = setting;
        Form::Opaque
    }
}

/// What the fast path knows about a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// A rate network whose adjoint the framework has.
    Rate(RateForm),
    /// A gated network without a learned initial state, whose adjoint the framework has on a CPU. Noise may be added to candidates alone,
    /// the last block of what is projected.
    Gated(GatedForm),
    /// Nothing: op by op, gradients by autograd.
    Opaque,
}

/// Refuse a drive on behalf of a cell that takes none.
///
/// # Errors
/// [`Error::Incompatible`] when there is a drive.
pub fn refuse_drive(drive: Option<&Tensor>, cell: &str) -> Result<()> {
    match drive {
        None => Ok(()),
        Some(_) => Err(Error::Incompatible {
            needs: "a drive to each unit".into(),
            because: format!(
                "the cell '{cell}' has no additive input to its units; use a rate network such as leaky-rnn"
            ),
        }),
    }
}
