use super::{Group, Optimizer};
use crate::{Error, Problems, Result, Tensors};
use indexmap::IndexMap;
use tch::{Kind, Tensor};

/// Name under which the number of steps of a parameter is saved, beside the moments.
const COUNT: &str = "count";

/// The options that every optimiser has.
pub(super) struct Shared<'a> {
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub groups: &'a [Group],
}

/// What one step needs to know beyond tensors.
pub(super) struct Settings {
    /// 1 at the first step of this parameter.
    pub count: i64,
    pub learning_rate: f64,
    pub weight_decay: f64,
}

/// An update rule for one parameter; runs without gradient recording.
pub(super) trait Method {
    fn shared(&self) -> Shared<'_>;

    /// Names of the running tensors kept for each parameter, all of its shape and zero before the first step.
    fn moments(&self) -> Vec<&'static str>;

    /// Check what only this optimiser has.
    fn check(&self, problems: &mut Problems);

    /// Update `parameter` in place; `moments` in the order of [`Method::moments`].
    fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        settings: &Settings,
    ) -> Result<()>;
}

/// What is remembered about one parameter.
#[derive(Debug)]
struct Slot {
    count: i64,
    moments: Vec<Tensor>,
}

/// A running optimiser: the moments and the number of steps of each parameter.
///
/// Its state is a pure function of the steps made, so save, restore and continue gives the same bytes as running through.
#[derive(Debug)]
pub struct Stepper {
    optimizer: Optimizer,
    slots: IndexMap<String, Slot>,
    groups_are_matched: bool,
}

impl Stepper {
    pub(super) fn new(optimizer: Optimizer) -> Self {
        Self { optimizer, slots: IndexMap::new(), groups_are_matched: false }
    }

    /// The options it was started from.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Update in place every parameter that has a gradient; the others and their moments stay as they are.
    ///
    /// `parameters` are all parameters, on any device, of any floating-point kind; a parameter seen for the first time starts
    /// with zero moments and counts its own steps. `gradients` have the name, shape and kind of their parameters and are not
    /// changed. `learning_rate_factor` scales all learning rates of this step, for schedules. Nothing is changed when an error
    /// is found before the first update.
    ///
    /// # Errors
    /// [`Error::Config`] at the first step, if a group's pattern matches no parameter; [`Error::Failed`] for a gradient without
    /// parameter, of another kind, or a factor that is not a number; [`Error::Shape`] for a gradient or restored moment of
    /// another shape; [`Error::Torch`] where libtorch refuses.
    pub fn step(&mut self, parameters: &mut Tensors, gradients: &Tensors, learning_rate_factor: f64) -> Result<()> {
        if !learning_rate_factor.is_finite() || learning_rate_factor < 0.0 {
            return Err(Error::Failed(format!(
                "the learning rate factor is {learning_rate_factor}, must be 0 or greater"
            )));
        }
        if !self.groups_are_matched {
            self.match_groups(parameters)?;
            self.groups_are_matched = true;
        }
        for (name, gradient) in gradients.iter() {
            self.fits(name, parameters.get(name)?, gradient)?;
        }
        tch::no_grad(|| {
            gradients.iter().try_for_each(|(name, gradient)| {
                let mut parameter = parameters.get(name)?.shallow_clone();
                self.update(name, &mut parameter, gradient, learning_rate_factor)
            })
        })
    }

    fn update(&mut self, name: &str, parameter: &mut Tensor, gradient: &Tensor, factor: f64) -> Result<()> {
        let method = self.optimizer.method();
        if !self.slots.contains_key(name) {
            let moments =
                method.moments().iter().map(|_| parameter.f_zeros_like()).collect::<std::result::Result<_, _>>()?;
            self.slots.insert(name.to_string(), Slot { count: 0, moments });
        }
        let slot = &mut self.slots[name];
        for moment in &mut slot.moments {
            // A restored state lies on the CPU until its parameter is met.
            if moment.device() != parameter.device() {
                *moment = moment.f_to_device(parameter.device())?;
            }
        }
        slot.count += 1;
        let shared = method.shared();
        let group = shared.groups.iter().find(|group| group.contains(name));
        let settings = Settings {
            count: slot.count,
            learning_rate: factor * group.and_then(|g| g.learning_rate).unwrap_or(shared.learning_rate),
            weight_decay: group.and_then(|g| g.weight_decay).unwrap_or(shared.weight_decay),
        };
        method.update(parameter, gradient, &mut slot.moments, &settings)
    }

    fn match_groups(&self, parameters: &Tensors) -> Result<()> {
        let mut problems = Problems::under("optimizer");
        for (i, group) in self.optimizer.groups().iter().enumerate() {
            for pattern in &group.parameters {
                if !parameters.names().any(|name| super::pattern::matches(pattern, name)) {
                    problems.add(
                        &format!("groups[{i}].parameters"),
                        format_args!("has the pattern '{pattern}', which matches no parameter"),
                        format_args!("the parameters are: {}", parameters.names().collect::<Vec<_>>().join(", ")),
                    );
                }
            }
        }
        problems.into_result()
    }

    fn fits(&self, name: &str, parameter: &Tensor, gradient: &Tensor) -> Result<()> {
        let shape = parameter.size();
        let same_shape = |what: &str, tensor: &Tensor| {
            if tensor.size() == shape {
                return Ok(());
            }
            Err(Error::Shape {
                what: format!("{what} of '{name}'"),
                expected: format!("{shape:?}"),
                found: format!("{:?}", tensor.size()),
            })
        };
        let same_kind = |what: &str, tensor: &Tensor| {
            if tensor.kind() == parameter.kind() {
                return Ok(());
            }
            let (found, expected) = (tensor.kind(), parameter.kind());
            Err(Error::Failed(format!("{what} of '{name}' is of kind {found:?}, the parameter is {expected:?}")))
        };
        if !parameter.is_floating_point() {
            let kind = parameter.kind();
            return Err(Error::Failed(format!("parameter '{name}' is of kind {kind:?}, only floats can be trained")));
        }
        same_shape("the gradient", gradient)?;
        same_kind("the gradient", gradient)?;
        for moment in self.slots.get(name).iter().flat_map(|slot| &slot.moments) {
            same_shape("the optimiser state", moment)?;
            same_kind("the optimiser state", moment)?;
        }
        Ok(())
    }

    /// Forget all parameters but `names`: those that vanished, or that start afresh.
    pub fn retain<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
        self.slots.retain(|name, _| names.contains(name.as_str()));
    }

    /// Copies of all moments and counts, for a checkpoint.
    ///
    /// Names are `<moment>/<parameter>`, for example `first/recurrent_weight`, with the shape and kind of the parameter, and
    /// `count/<parameter>`, an `i64` scalar: the steps this parameter has made.
    pub fn state(&self) -> Tensors {
        let mut state = Tensors::new();
        for (name, slot) in &self.slots {
            for (moment, tensor) in self.optimizer.method().moments().iter().zip(&slot.moments) {
                state.insert(format!("{moment}/{name}"), tensor.copy());
            }
            state.insert(format!("{COUNT}/{name}"), Tensor::from(slot.count));
        }
        state
    }

    /// Continue from a saved [`state`](Self::state); what was there before is forgotten.
    ///
    /// # Errors
    /// [`Error::Failed`] if the state is that of another optimiser or damaged; nothing is changed then.
    pub fn restore(&mut self, state: Tensors) -> Result<()> {
        let kept = self.optimizer.method().moments();
        let mut slots: IndexMap<String, (Option<i64>, Vec<Option<Tensor>>)> = IndexMap::new();
        for (entry, tensor) in state.iter() {
            let foreign = || {
                let names: Vec<_> = kept.iter().chain(&[COUNT]).map(|name| format!("{name}/<parameter>")).collect();
                Error::Failed(format!(
                    "the saved optimiser state has '{entry}', but {} with these options keeps {}; resume with the saved options",
                    self.optimizer.name(),
                    names.join(", ")
                ))
            };
            let (what, parameter) = entry.split_once('/').ok_or_else(foreign)?;
            let slot =
                slots.entry(parameter.to_string()).or_insert_with(|| (None, kept.iter().map(|_| None).collect()));
            if what == COUNT {
                slot.0 = Some(read_count(entry, tensor)?);
            } else {
                let position = kept.iter().position(|name| *name == what).ok_or_else(foreign)?;
                slot.1[position] = Some(tensor.detach().copy());
            }
        }
        let mut complete = IndexMap::new();
        for (name, (count, moments)) in slots {
            let missing = |what: &str| {
                Error::Failed(format!("the saved optimiser state lacks '{what}/{name}'; the checkpoint is damaged"))
            };
            let count = count.ok_or_else(|| missing(COUNT))?;
            let moments = moments
                .into_iter()
                .zip(&kept)
                .map(|(moment, what)| moment.ok_or_else(|| missing(what)))
                .collect::<Result<_>>()?;
            complete.insert(name, Slot { count, moments });
        }
        self.slots = complete;
        Ok(())
    }
}

fn read_count(entry: &str, tensor: &Tensor) -> Result<i64> {
    let damaged = |found: String| {
        Error::Failed(format!("'{entry}' of the saved optimiser state is {found}, must be one i64 of at least 1"))
    };
    if tensor.kind() != Kind::Int64 || tensor.numel() != 1 {
        return Err(damaged(format!("of kind {:?} and shape {:?}", tensor.kind(), tensor.size())));
    }
    let count = tensor.f_reshape([1])?.f_int64_value(&[0])?;
    if count < 1 { Err(damaged(count.to_string())) } else { Ok(count) }
}
