//! The rule at work, and what of it is saved.

use super::super::least_squares::RecursiveLeastSquares;
use super::super::rate_network::{rate_form, sent, setting_of};
use super::lesson::{Lesson, Signal};
use super::{FullForce, Hint};
use synfire::network::head_weight;
use synfire::recurrence::RECURRENT;
use synfire::rollout::Rollout;
use synfire::tch::{Tensor, no_grad};
use synfire::{Error, Learner, Network, Result, StepReport, Stream, Tensors, Trials};

/// Prefixes and names of what is saved.
const TEACHER: &str = "teacher/";
const TEACHER_STATE: &str = "teacher_state/";
const LAST_STATE: &str = "last_state/";
const INVERSE: &str = "inverse";
const MOMENTS: &str = "moments";
const MODES: &str = "modes";
const TRIALS: &str = "trials";

/// The rule at work.
pub(super) struct Pupil {
    pub(super) rule: FullForce,
    /// Name of the recurrent weights among the parameters.
    pub(super) recurrent: String,
    /// Weights of the second network: `recurrent`, `signal`, `hint` where there are hints, `input` where it has its own.
    pub(super) teacher: Tensors,
    /// Hints' weights come from here when the first hints arrive.
    pub(super) stream: Stream,
    pub(super) squares: Option<RecursiveLeastSquares>,
    pub(super) last: Option<Tensors>,
    pub(super) teacher_state: Option<Tensors>,
    /// Sums over the steps of the forced trials of the drives' products, with a row and column of 1 added, `[unit + 1, unit + 1]`.
    pub(super) moments: Option<Tensor>,
    /// The components to learn, `[unit, mode]`.
    pub(super) modes: Option<Tensor>,
    pub(super) trials: i64,
}

impl Pupil {
    /// Add one step's drive to the sums from which the modes are found.
    pub(super) fn remember(&mut self, drive: &Tensor) -> Result<()> {
        let one = drive.f_new_ones([1], (drive.kind(), drive.device()))?;
        let extended = Tensor::f_cat(&[drive, &one], 0)?;
        let product = extended.f_outer(&extended)?;
        self.moments = Some(match self.moments.take() {
            Some(sum) => sum.f_to_device(product.device())?.f_add(&product)?,
            None => product,
        });
        Ok(())
    }

    /// The leading principal components of the drives that were remembered.
    fn find_modes(&mut self, count: usize) -> Result<()> {
        let Some(sums) = &self.moments else { return Ok(()) };
        let units = sums.size()[0] - 1;
        if count as i64 > units {
            return Err(Error::config("rule.modes", format_args!("is {count}; there are {units} units"), "lower it"));
        }
        let number = sums.f_get(units)?.f_get(units)?;
        let mean = sums.f_get(units)?.f_narrow(0, 0, units)?.f_div(&number)?;
        let products = sums.f_narrow(0, 0, units)?.f_narrow(1, 0, units)?.f_div(&number)?;
        let covariance = products.f_sub(&mean.f_outer(&mean)?)?;
        let (_, vectors) = covariance.f_linalg_eigh("L")?;
        // eigenvalues come in ascending order
        self.modes = Some(vectors.f_narrow(1, units - count as i64, count as i64)?.f_contiguous()?);
        self.moments = None;
        Ok(())
    }

    /// Target and hints at each unit, `[time, unit]`, and what each head should say.
    fn told(&mut self, network: &Network, trials: &Trials, rollout: &Rollout) -> Result<(Tensor, Vec<Signal>)> {
        let objective = rollout.task.spec().objective;
        let mut signals = Vec::new();
        let mut told: Option<Tensor> = None;
        for target in &trials.targets {
            let (values, weight) = objective.signal(trials, target, network.readout.outputs);
            let learned = rollout.lesson.trains(&head_weight(target.head));
            let weights = synfire::tensors::values_f64(&weight);
            let weights = if learned { weights } else { vec![0.0; weights.len()] };
            let values = values.f_squeeze_dim(1)?;
            // Several heads share the weights of the target.
            let at_units = values.f_matmul(&self.teacher.get("signal")?.f_transpose(0, 1)?)?;
            told = Some(told.map_or(Ok(at_units.shallow_clone()), |sum| sum.f_add(&at_units))?);
            signals.push(Signal { head: target.head, values, weights });
        }
        let told = told.ok_or_else(|| Error::Failed("the trials have no target".into()))?;
        let hints = match (self.rule.hint, &trials.hints) {
            (Hint::None, _) | (Hint::Task, None) => return Ok((told, signals)),
            (Hint::Task, Some(hints)) => hints.f_squeeze_dim(1)?,
            (Hint::Target, _) => signals[0].values.shallow_clone(),
        };
        if !self.teacher.contains("hint") {
            let (units, channels) = (told.size()[1], hints.size()[1]);
            let options = (told.kind(), told.device());
            let weights = self.rule.signal_weights("hint", units, channels, &self.stream, options)?;
            self.teacher.insert("hint", weights);
        }
        let at_units = hints.f_matmul(&self.teacher.get("hint")?.f_transpose(0, 1)?)?;
        Ok((told.f_add(&at_units)?, signals))
    }
}

impl Learner for Pupil {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        if trials.batch() != 1 {
            return Err(Error::Shape {
                what: "the batch of 'full-force', which follows one trajectory,".into(),
                expected: "1 trial".into(),
                found: format!("{} trials", trials.batch()),
            });
        }
        let setting = setting_of(rollout, &trials);
        let form = rate_form(network, &setting, "full-force")?;
        let device = trials.inputs.device();
        self.teacher = self.teacher.map(|t| t.to_device(device));
        let (told, signals) = no_grad(|| self.told(network, &trials, rollout))?;
        let mut prepared = no_grad(|| network.dynamics.prepare(&network.parameters, &setting))?;
        prepared.insert(RECURRENT, self.teacher.get("recurrent")?.shallow_clone());
        let input = match self.teacher.find("input") {
            Some(own) => trials.inputs.f_matmul(&own.f_transpose(0, 1)?)?,
            None => no_grad(|| network.dynamics.project(&prepared, &trials.inputs))?,
        };
        let state = match self.teacher_state.take() {
            Some(state) => state.map(|t| t.to_device(device)),
            None => network.dynamics.initial_state(&prepared, 1, &mut rollout.stream.child("teacher"))?,
        };
        let learns = self.trials >= self.rule.forced_trials as i64;
        if let Some(count) = self.rule.modes.filter(|_| learns && self.modes.is_none()) {
            no_grad(|| self.find_modes(count))?;
        }
        self.modes = self.modes.take().map(|modes| modes.to_device(device));
        let initial = self.last.take().filter(|_| self.rule.continue_state).map(|s| s.map(|t| t.to_device(device)));
        let changes = network.trained(rollout.lesson).contains(&self.recurrent);
        if no_grad(|| network.dynamics.rates(&state))? != sent(&form, state.get(&form.state)?) {
            return Err(Error::Incompatible {
                needs: "heads that read what units send each other for the rule 'full-force'".into(),
                because: "one inverse correlation serves heads and units; let the cell's heads read rates".into(),
            });
        }
        let mut lesson = Lesson {
            pupil: self,
            form,
            prepared,
            input,
            told,
            signals,
            state,
            recurrent_drive: Tensor::new(),
            chance: rollout.stream.child("learning"),
            learns,
            changes,
        };
        lesson.recurrent_drive = no_grad(|| lesson.drive())?;
        let played = rollout.online(network, &trials, initial.as_ref(), &mut lesson)?;
        let teacher_state = lesson.state;
        self.teacher_state = Some(teacher_state.copy());
        self.last = self.rule.continue_state.then(|| played.last.copy());
        self.trials += 1;
        let (loss, accuracy) = rollout.task.score(&played.trials, &played.outputs)?.summary();
        if !loss.is_finite() {
            return Err(Error::NotFinite { what: "the output".into(), update: 0, caution: None });
        }
        Ok(StepReport { loss, accuracy, gradient_norm: None })
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::from([(TRIALS, Tensor::from(self.trials))]);
        let maps = [(TEACHER, Some(&self.teacher)), (TEACHER_STATE, self.teacher_state.as_ref())];
        for (prefix, tensors) in maps.into_iter().chain([(LAST_STATE, self.last.as_ref())]) {
            for (name, tensor) in tensors.into_iter().flat_map(Tensors::iter) {
                state.insert(format!("{prefix}{name}"), tensor.copy());
            }
        }
        let single = [(INVERSE, self.squares.as_ref().map(RecursiveLeastSquares::inverse))];
        for (name, tensor) in single.into_iter().chain([(MOMENTS, self.moments.as_ref()), (MODES, self.modes.as_ref())])
        {
            if let Some(tensor) = tensor {
                state.insert(name, tensor.copy());
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let [mut teacher, mut teacher_state, mut last] = [Tensors::new(), Tensors::new(), Tensors::new()];
        for (name, tensor) in state.iter() {
            if let Some(name) = name.strip_prefix(TEACHER) {
                teacher.insert(name, tensor.copy());
            } else if let Some(name) = name.strip_prefix(TEACHER_STATE) {
                teacher_state.insert(name, tensor.copy());
            } else if let Some(name) = name.strip_prefix(LAST_STATE) {
                last.insert(name, tensor.copy());
            } else if ![INVERSE, MOMENTS, MODES, TRIALS].contains(&name) {
                let problem = format!("the saved state of 'full-force' has '{name}', which it does not keep");
                return Err(Error::Failed(problem));
            }
        }
        self.trials = state.get(TRIALS)?.f_reshape([1])?.f_int64_value(&[0])?;
        self.squares = state.find(INVERSE).map(|p| RecursiveLeastSquares::restore(p.copy())).transpose()?;
        self.moments = state.find(MOMENTS).map(Tensor::copy);
        self.modes = state.find(MODES).map(Tensor::copy);
        self.teacher = teacher;
        self.teacher_state = (!teacher_state.is_empty()).then_some(teacher_state);
        self.last = (!last.is_empty()).then_some(last);
        Ok(())
    }
}
