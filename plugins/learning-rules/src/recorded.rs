//! States of a network over trials: what analyses of the state space look at.

use synfire::network::Network;
use synfire::rollout::{Moment, Record, StepHook};
use synfire::subject::RunView;
use synfire::task::{Answer, Target};
use synfire::tch::{Device, Kind, Tensor};
use synfire::workers::guarded;
use synfire::{Error, Lesson, Result, Stream, Tensors, Trials};

/// Trials as they went.
#[derive(Debug)]
pub struct Recorded {
    /// Flat states at the kept steps, `[time, batch, state]`, in double precision; `None` for tasks in a closed loop.
    pub states: Option<Tensor>,
    /// Rates at the kept steps, `[time, batch, unit]`, in double precision.
    pub rates: Tensor,
    /// One tensor per target of the trials: `[time, batch, output]` at every step, or `[batch, output]` at the last.
    pub outputs: Vec<Tensor>,
    /// The trials.
    pub trials: Trials,
    /// Which steps were kept, counted from 0.
    pub steps: Vec<usize>,
}

/// Keeps states and rates at every so many steps.
struct Keep {
    every: usize,
    step: usize,
    steps: Vec<usize>,
    states: Vec<Tensor>,
}

impl StepHook for Keep {
    fn after(&mut self, _: &Moment, _: &mut Tensors, state: &Tensors, _: &Tensor, _: &[Tensor]) -> Result<()> {
        if self.step.is_multiple_of(self.every) {
            let rows = |t: &Tensor| t.f_reshape([t.size()[0], -1]);
            let parts = state.iter().map(|(_, tensor)| Ok(rows(tensor)?)).collect::<Result<Vec<_>>>()?;
            self.states.push(Tensor::f_cat(&parts, 1)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?);
            self.steps.push(self.step);
        }
        self.step += 1;
        Ok(())
    }
}

/// Play trials and keep states and rates of every `every`-th step.
///
/// # Errors
/// When task or cell fail, or the trials have no steps.
pub fn record(
    view: &RunView,
    network: &mut Network,
    lesson: &Lesson,
    trials: Trials,
    every: usize,
    stream: &Stream,
) -> Result<Recorded> {
    let every = every.max(1);
    let rollout = view.rollout(lesson, stream);
    let in_double = |t: &Tensor| t.to_device(Device::Cpu).to_kind(Kind::Double);
    if trials.rest.is_some() {
        let played = guarded("cell", || rollout.play(network, &trials, Record::Rates))?;
        let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
        let steps: Vec<usize> = (0..rates.size()[0] as usize).step_by(every).collect();
        let rates = in_double(&at(&rates, &steps)?);
        return Ok(Recorded { states: None, rates, outputs: played.outputs, trials: played.trials, steps });
    }
    let mut keep = Keep { every, step: 0, steps: Vec::new(), states: Vec::new() };
    let played = guarded("cell", || rollout.online(network, &trials, None, &mut keep))?;
    if keep.states.is_empty() {
        return Err(Error::Failed("the trials have no steps".into()));
    }
    let rates = played.rates.ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
    Ok(Recorded {
        states: Some(Tensor::f_stack(&keep.states, 0)?),
        rates: in_double(&at(&rates, &keep.steps)?),
        outputs: played.outputs,
        trials: played.trials,
        steps: keep.steps,
    })
}

/// Steps of `[time, ..]`.
fn at(tensor: &Tensor, steps: &[usize]) -> Result<Tensor> {
    let steps: Vec<i64> = steps.iter().map(|step| *step as i64).collect();
    Ok(tensor.f_index_select(0, &Tensor::from_slice(&steps).to_device(tensor.device()))?)
}

/// Trials of these inputs `[time, batch, channel]` that ask one head at every step; nothing is compared with anything.
///
/// # Errors
/// When there is no device or no memory.
pub fn probes(view: &RunView, inputs: &Tensor, head: usize) -> Result<Trials> {
    let (time, batch, _) = inputs.size3()?;
    let outputs = view.parts.spec.outputs as i64;
    let values = Tensor::f_zeros([time, batch, outputs], (Kind::Double, Device::Cpu))?;
    let target = Target::new(head, None, Answer::EveryStep, values, None);
    let substeps = view.trials(&view.lesson(), 1, &Stream::new(1).child("probes"))?.substeps;
    let trials = Trials {
        inputs: inputs.shallow_clone(),
        targets: vec![target],
        answer: Answer::EveryStep,
        substeps,
        ..Trials::default()
    };
    Ok(trials.to(view.device()?, view.experiment.training.precision.kind()))
}
