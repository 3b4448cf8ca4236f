//! One trial of both networks.

use super::super::least_squares::RecursiveLeastSquares;
use super::super::rate_network::sent;
use super::pupil::Pupil;
use synfire::network::head_weight;
use synfire::recurrence::RateForm;
use synfire::rollout::{Moment, StepHook};
use synfire::tch::Tensor;
use synfire::{Result, Stream, Tensors};

/// What one head should say in each step of a trial.
pub(super) struct Signal {
    pub(super) head: usize,
    /// `[time, output]`
    pub(super) values: Tensor,
    pub(super) weights: Vec<f64>,
}

/// One trial of both networks.
pub(super) struct Lesson<'a> {
    pub(super) pupil: &'a mut Pupil,
    pub(super) form: RateForm,
    /// What the second network's step works with.
    pub(super) prepared: Tensors,
    /// Its projected input, `[time, 1, projected]`.
    pub(super) input: Tensor,
    /// Target and hints at each unit, `[time, unit]`.
    pub(super) told: Tensor,
    pub(super) signals: Vec<Signal>,
    pub(super) state: Tensors,
    /// What the second network's units send each other, `[unit]`, as it acts in the next step.
    pub(super) recurrent_drive: Tensor,
    pub(super) chance: Stream,
    pub(super) learns: bool,
    /// Whether the recurrent weights may change.
    pub(super) changes: bool,
}

impl Lesson<'_> {
    fn forced(&self) -> bool {
        self.pupil.trials < self.pupil.rule.forced_trials as i64
    }

    /// The recurrent drive of the second network in its present state.
    pub(super) fn drive(&self) -> Result<Tensor> {
        let rates = sent(&self.form, self.state.get(&self.form.state)?).f_squeeze_dim(0)?;
        Ok(self.pupil.teacher.get("recurrent")?.f_mv(&rates)?)
    }

    fn learn(&mut self, step: usize, parameters: &mut Tensors, rates: &Tensor) -> Result<()> {
        let last = self.told.size()[0] - 1;
        let next = (step as i64 + 1).min(last);
        let weight = self.signals.iter().map(|signal| signal.weights[step]).fold(0.0, f64::max);
        if weight == 0.0 {
            return Ok(());
        }
        let rule = &self.pupil.rule;
        if self.pupil.squares.is_none() {
            let fresh = RecursiveLeastSquares::new(rates.numel(), rule.alpha, rates.kind(), rates.device())?;
            self.pupil.squares = Some(fresh);
        }
        let Some(squares) = self.pupil.squares.as_mut() else { return Ok(()) };
        let gain = squares.gain(rates, weight)?;
        if self.changes {
            let weights = parameters.get(&self.pupil.recurrent)?;
            let wanted = self.recurrent_drive.f_add(&self.told.f_get(next)?)?;
            let mut error = weights.f_mv(rates)?.f_sub(&wanted)?;
            if let Some(modes) = &self.pupil.modes {
                error = modes.f_mv(&modes.f_transpose(0, 1)?.f_mv(&error)?)?;
            }
            let changed = weights.f_addr(&error.neg(), &gain)?;
            parameters.insert(&*self.pupil.recurrent, changed);
        }
        for signal in self.signals.iter().filter(|signal| signal.weights[step] > 0.0) {
            let name = head_weight(signal.head);
            let weights = parameters.get(&name)?;
            let error = weights.f_mv(rates)?.f_sub(&signal.values.f_get(step as i64)?)?;
            let changed = weights.f_addr(&error.neg(), &gain)?;
            parameters.insert(name, changed);
        }
        Ok(())
    }
}

impl StepHook for Lesson<'_> {
    fn before(&mut self, moment: &Moment, parameters: &Tensors, state: &Tensors) -> Result<Option<Tensor>> {
        let step = moment.clock.step as i64;
        let told = self.told.f_get(step)?;
        let whole = self.recurrent_drive.f_add(&told)?;
        let forced = match self.forced() {
            true => {
                if self.pupil.rule.modes.is_some() {
                    self.pupil.remember(&whole)?;
                }
                let rates = sent(&self.form, state.get(&self.form.state)?).f_squeeze_dim(0)?;
                let own = parameters.get(&self.pupil.recurrent)?.f_mv(&rates)?;
                Some(whole.f_sub(&own)?.f_unsqueeze(0)?)
            }
            false => None,
        };
        let drive = told.f_unsqueeze(0)?;
        let input = self.input.f_get(step)?;
        self.state = moment.dynamics.step(&moment.clock, &self.prepared, &self.state, &input, Some(&drive))?;
        self.recurrent_drive = self.drive()?;
        Ok(forced)
    }

    fn after(
        &mut self,
        moment: &Moment,
        parameters: &mut Tensors,
        _: &Tensors,
        rates: &Tensor,
        _: &[Tensor],
    ) -> Result<()> {
        let every = self.pupil.rule.learn_every;
        if !self.learns || (every > 1 && !self.chance.bernoulli(1.0 / every as f64)) {
            return Ok(());
        }
        self.learn(moment.clock.step, parameters, &rates.f_squeeze_dim(0)?)
    }

    fn changes_dynamics(&self) -> bool {
        self.learns
    }
}
