//! Recurrent weights learned from a second network that is told what to do.

use super::least_squares::RecursiveLeastSquares;
use super::rate_network::{rate_form, recurrent_parameter, sent, setting_of};
use super::reward_hebbian::Distribution;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::network::{head_bias, head_weight};
use synfire::recurrence::{RECURRENT, RateForm};
use synfire::rollout::{Moment, Rollout, StepHook};
use synfire::tch::{Tensor, no_grad};
use synfire::{
    BuildContext, Component, Error, Learner, LearningRule, Network, Problems, Properties, Property, Registry, Result,
    StepReport, Stream, Tensors, Trials,
};

/// What the second network is told beside the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// Nothing.
    None,
    /// The task's hints, where it has any.
    #[default]
    Task,
    /// The target once more, as published code for decision tasks did.
    Target,
}

/// By which weights the second network gets the task's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputWeights {
    /// By those of the network that learns.
    #[default]
    Shared,
    /// By weights of its own, drawn like those of the target, without a bias.
    Own,
}

/// full-FORCE: the recurrent weights learn to give each unit the input that it would get in a random network that is told the target.
///
/// The second network, with the cell's own equations, has fixed random recurrent weights `J_D` (normal, of gain `target_gain`) and gets
/// besides the task's input the target `f` and hints `h` through fixed random weights. The network that learns gets the task's input
/// alone; its recurrent weights `J` and heads `w` start at 0 and heads have no bias. With the rates `r` and `r_D` after a step, at every
/// `learn_every`-th step on average
///
/// `e_J = J r - (J_D r_D + u_f f + u_h h)`, with `f` and `h` of the next step, in which these drives act; `e_w = w r - f`
/// `J <- J - e_J g'`, `w <- w - e_w g'`, with the one gain `g` of [`RecursiveLeastSquares`], `P(0) = I / alpha`
///
/// An update is one trial. In the first `forced_trials` nothing is learned and the drives of the second network act on both. The second
/// network's state runs on from trial to trial; that of the first does so with `continue_state`. Classes become a target of 1 for the right
/// output and -1 for the others. A step of weight `s` counts `s` times; steps of weight 0 are not learned, so let the task ask for an
/// answer at many steps. With `modes = k` only the k leading principal components of the drives in the forced trials are learned.
///
/// As in the published demonstrations: `continue_state`, `forced_trials = 10`, `alpha = 1`, `learn_every = 2`, shared input weights. As in
/// published code for decision tasks: `alpha = 10000` (50000 for `random-dots`), `input = "own"`, `hint = "target"`, `target_gain = 1`,
/// `signals = "normal"`, `signal_gain = 0.5`, `learn_every = 1`, `forced_trials = 0`, no `continue_state`, on tasks with `answer_steps = 550`
/// of 750.
///
/// Source: DePasquale, Cueva, Rajan, Escola & Abbott 2018, "full-FORCE: A target-based method for training recurrent networks",
/// doi:10.1371/journal.pone.0191527; the mode for decisions: McMahan, Kleinman & Kao 2021, NeurIPS,
/// <https://openreview.net/forum?id=Bix4uw5GcbE>.
/// Differs: drives are those that act in the next step, where published code learns them a step late; the cell's integration holds for
/// both networks. Heads are linear; that the decision code takes the hyperbolic tangent of the answer is said to the task, by
/// `judged = { output = "tanh" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FullForce {
    /// Weight of the ridge that keeps weights small.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub alpha: f64,
    /// Mean number of steps from one change of the weights to the next, each drawn by chance; 1 for every step.
    #[schemars(range(min = 1))]
    pub learn_every: usize,
    /// Gain of the second network's recurrent weights.
    #[schemars(range(min = 0.0))]
    pub target_gain: f64,
    /// How the weights of target and hints are distributed.
    pub signals: Distribution,
    /// Their size: the largest of uniform ones, the standard deviation of normal ones.
    #[schemars(range(min = 0.0))]
    pub signal_gain: f64,
    /// By which weights the second network gets the task's input.
    pub input: InputWeights,
    /// What the second network is told beside the target.
    pub hint: Hint,
    /// Trials at the start in which the drives of the second network act on both and nothing is learned.
    pub forced_trials: usize,
    /// Number of principal components of the drives to learn; left out, all. Needs forced trials.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<usize>,
    /// Whether each trial begins where the last ended.
    pub continue_state: bool,
}

impl Default for FullForce {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            learn_every: 2,
            target_gain: 1.5,
            signals: Distribution::Uniform,
            signal_gain: 1.0,
            input: InputWeights::Shared,
            hint: Hint::Task,
            forced_trials: 10,
            modes: None,
            continue_state: true,
        }
    }
}

#[typetag::serde(name = "full-force")]
impl LearningRule for FullForce {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.alpha.is_finite() && self.alpha > 0.0, "alpha", self.alpha, "greater than 0");
        problems.require(self.learn_every >= 1, "learn_every", self.learn_every, "at least 1");
        for (field, value) in [("target_gain", self.target_gain), ("signal_gain", self.signal_gain)] {
            problems.require(value.is_finite() && value >= 0.0, field, value, "0 or greater");
        }
        if let Some(modes) = self.modes {
            problems.require(modes >= 1, "modes", modes, "at least 1");
            let forced = self.forced_trials;
            problems.require(forced >= 1, "forced_trials", forced, "at least 1, to find the modes");
        }
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::TargetSignal, Property::OpenLoop, Property::LinearReadout]);
        needs.extend([Property::RateForm, Property::AdditiveDrive]);
        needs
    }

    fn batch(&self) -> Option<usize> {
        Some(1)
    }

    fn start(&self, network: &mut Network, context: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        network.readout.bias = false;
        for head in network.readout.heads.clone() {
            network.parameters.remove(&head_bias(head));
            zero(network, &head_weight(head))?;
        }
        let recurrent = recurrent_parameter(network, context, "full-force")?;
        zero(network, &recurrent)?;
        let units = network.dynamics.units() as i64;
        let (outputs, inputs) = (network.readout.outputs as i64, context.task.inputs.len() as i64);
        let options = context.options();
        let scale = self.target_gain / (units.max(1) as f64).sqrt();
        let random = stream.child("target").normal_tensor(&[units, units], options.0, options.1) * scale;
        let mut teacher = Tensors::from([("recurrent", random)]);
        teacher.insert("signal", self.signal_weights("signal", units, outputs, stream, options)?);
        if self.input == InputWeights::Own {
            teacher.insert("input", self.signal_weights("input", units, inputs, stream, options)?);
        }
        Ok(Box::new(Pupil {
            rule: self.clone(),
            recurrent,
            teacher,
            stream: stream.child("hint"),
            squares: None,
            last: None,
            teacher_state: None,
            moments: None,
            modes: None,
            trials: 0,
        }))
    }
}

impl FullForce {
    fn signal_weights(
        &self,
        name: &str,
        units: i64,
        channels: i64,
        stream: &Stream,
        (kind, device): (synfire::tch::Kind, synfire::tch::Device),
    ) -> Result<Tensor> {
        let mut stream = stream.child(name);
        let values: Vec<f64> =
            (0..units * channels).map(|_| self.signals.draw(self.signal_gain, &mut stream)).collect();
        Ok(Tensor::from_slice(&values).f_reshape([units, channels])?.f_to_kind(kind)?.f_to_device(device)?)
    }
}

fn zero(network: &mut Network, name: &str) -> Result<()> {
    let zero = network.parameters.get(name)?.f_zeros_like()?;
    network.parameters.insert(name, zero);
    Ok(())
}

synfire::inventory::submit! { Component::rule::<FullForce>("full-force") }

/// Prefixes and names of what is saved.
const TEACHER: &str = "teacher/";
const TEACHER_STATE: &str = "teacher_state/";
const LAST_STATE: &str = "last_state/";
const INVERSE: &str = "inverse";
const MOMENTS: &str = "moments";
const MODES: &str = "modes";
const TRIALS: &str = "trials";

/// The rule at work.
struct Pupil {
    rule: FullForce,
    /// Name of the recurrent weights among the parameters.
    recurrent: String,
    /// Weights of the second network: `recurrent`, `signal`, `hint` where there are hints, `input` where it has its own.
    teacher: Tensors,
    /// Hints' weights come from here when the first hints arrive.
    stream: Stream,
    squares: Option<RecursiveLeastSquares>,
    last: Option<Tensors>,
    teacher_state: Option<Tensors>,
    /// Sums over the steps of the forced trials of the drives' products, with a row and column of 1 added, `[unit + 1, unit + 1]`.
    moments: Option<Tensor>,
    /// The components to learn, `[unit, mode]`.
    modes: Option<Tensor>,
    trials: i64,
}

/// What one head should say in each step of a trial.
struct Signal {
    head: usize,
    /// `[time, output]`
    values: Tensor,
    weights: Vec<f64>,
}

/// One trial of both networks.
struct Lesson<'a> {
    pupil: &'a mut Pupil,
    form: RateForm,
    /// What the second network's step works with.
    prepared: Tensors,
    /// Its projected input, `[time, 1, projected]`.
    input: Tensor,
    /// Target and hints at each unit, `[time, unit]`.
    told: Tensor,
    signals: Vec<Signal>,
    state: Tensors,
    /// What the second network's units send each other, `[unit]`, as it acts in the next step.
    recurrent_drive: Tensor,
    chance: Stream,
    learns: bool,
    /// Whether the recurrent weights may change.
    changes: bool,
}

impl Lesson<'_> {
    fn forced(&self) -> bool {
        self.pupil.trials < self.pupil.rule.forced_trials as i64
    }

    /// The recurrent drive of the second network in its present state.
    fn drive(&self) -> Result<Tensor> {
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

impl Pupil {
    /// Add one step's drive to the sums from which the modes are found.
    fn remember(&mut self, drive: &Tensor) -> Result<()> {
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

#[cfg(test)]
mod tests;
