//! The equations.

use super::super::projection::{self, BIAS, INPUT_BIAS, INPUT_WEIGHT, RECURRENT_BIAS};
use super::recurrent::{self, MASK};
use super::{ACTIVITY, INITIAL_STATE, InitialState, LeakyRnn, Reads, TIME_CONSTANTS, noise};
use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::recurrence::{LEAK, Placement, RECURRENT, RateForm};
use synfire::tch::Tensor;
use synfire::{Result, Stream, Tensors};

/// The dynamics of a [`LeakyRnn`].
#[derive(Clone, Debug)]
pub(super) struct Leaky {
    pub cell: LeakyRnn,
}

impl Leaky {
    /// The leaks `[unit]` or `[1]` with 0 at clamped units, so that their state stays as it begins.
    fn without_clamped(&self, leak: &Tensor) -> Result<Tensor> {
        if self.cell.clamped.is_empty() {
            return Ok(leak.shallow_clone());
        }
        let mut free = vec![1.0; self.cell.hidden];
        self.cell.clamped.iter().for_each(|(unit, _)| free[*unit] = 0.0);
        Ok(leak.f_mul(&Tensor::from_slice(&free).f_to_kind(leak.kind())?.f_to_device(leak.device())?)?)
    }

    /// A fresh state `[batch, unit]` with the given values at clamped units.
    fn clamp(&self, state: Tensor) -> Result<Tensor> {
        if self.cell.clamped.is_empty() {
            return Ok(state);
        }
        let like = (state.kind(), state.device());
        let (mut free, mut values) = (vec![1.0; self.cell.hidden], vec![0.0; self.cell.hidden]);
        for (unit, value) in &self.cell.clamped {
            (free[*unit], values[*unit]) = (0.0, *value);
        }
        let row = |values: &[f64]| Tensor::from_slice(values).to_kind(like.0).to_device(like.1);
        Ok(state.f_mul(&row(&free))?.f_add(&row(&values))?)
    }
}

impl Dynamics for Leaky {
    fn units(&self) -> usize {
        self.cell.hidden
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        let cell = &self.cell;
        let tau = parameters.get(TIME_CONSTANTS)?;
        let leak = cell.time_constants.leak(tau, cell.integration, setting)?;
        let weight = parameters.get(INPUT_WEIGHT)?;
        let weight = match &cell.input.units {
            Some(units) => weight.f_mul(&units.mask(cell.hidden, weight))?,
            None => weight.shallow_clone(),
        };
        let mut prepared =
            Tensors::from([(RECURRENT, recurrent::effective(cell, parameters)?), (INPUT_WEIGHT, weight)]);
        match (parameters.find(INPUT_BIAS), parameters.find(RECURRENT_BIAS)) {
            (Some(a), Some(b)) => prepared.insert(BIAS, projection::add_biases(a, b)?),
            (Some(bias), None) | (None, Some(bias)) => prepared.insert(BIAS, bias.shallow_clone()),
            (None, None) => {}
        }
        if cell.rate_offset != 0.0 {
            // A constant that every unit sends is a bias of its targets.
            let sums = prepared.get(RECURRENT)?.f_sum_dim_intlist(1i64, false, None::<synfire::tch::Kind>)?;
            let constant = sums.f_mul_scalar(cell.rate_offset)?;
            let bias = prepared.find(BIAS).map_or(Ok(constant.shallow_clone()), |bias| bias.f_add(&constant))?;
            prepared.insert(BIAS, bias);
        }
        cell.noise.prepare((&cell.time_constants, cell.integration), setting, &leak, &mut prepared)?;
        prepared.insert(LEAK, self.without_clamped(&leak)?);
        if let Some(state) = parameters.find(INITIAL_STATE) {
            prepared.insert(INITIAL_STATE, state.shallow_clone());
        }
        Ok(prepared)
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        let shape = [batch as i64, self.cell.hidden as i64];
        let InitialState { low, high, deviation, .. } = self.cell.initial_state;
        let like = prepared.get(RECURRENT)?;
        let state = match prepared.find(INITIAL_STATE) {
            Some(learned) => learned.f_expand(shape, false)?,
            None if low == high => Tensor::f_full(shape, low, (like.kind(), like.device()))?,
            None => stream.uniform_tensor(&shape, low, high, like.kind(), like.device()),
        };
        let state = match deviation > 0.0 && !prepared.contains(INITIAL_STATE) {
            true => state.f_add(&stream.normal_tensor(&shape, like.kind(), like.device()).f_mul_scalar(deviation)?)?,
            false => state,
        };
        let state = self.clamp(state)?;
        Ok(Tensors::from([(ACTIVITY, state)]))
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        projection::project(prepared, inputs)
    }

    fn noise(
        &self,
        prepared: &Tensors,
        time: usize,
        batch: usize,
        before: Option<&Tensor>,
        stream: &mut Stream,
    ) -> Result<Option<Tensor>> {
        let like = prepared.get(RECURRENT)?;
        let shape = [time as i64, batch as i64, self.cell.hidden as i64];
        noise::draw(prepared, shape, (like.kind(), like.device()), before, stream)
    }

    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let (activation, leak) = (self.cell.activation, prepared.get(LEAK)?);
        let activity = state.get(ACTIVITY)?;
        let sources = prepared.get(RECURRENT)?.f_transpose(0, 1)?;
        let input = match drive {
            Some(drive) => projected.f_add(drive)?,
            None => projected.shallow_clone(),
        };
        let next = match self.cell.placement {
            Placement::Drive => activity.f_lerp_tensor(&activation.apply(&input.f_addmm(activity, &sources)?), leak)?,
            Placement::Whole => activation.apply(&activity.f_lerp_tensor(&input.f_addmm(activity, &sources)?, leak)?),
            Placement::Current => {
                activity.f_lerp_tensor(&input.f_addmm(&activation.apply(activity), &sources)?, leak)?
            }
        };
        Ok(Tensors::from([(ACTIVITY, next)]))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        let activity = state.get(ACTIVITY)?;
        Ok(match self.cell.placement {
            Placement::Current if self.cell.reads == Reads::Rate => self.cell.activation.apply(activity),
            _ => activity.shallow_clone(),
        })
    }

    fn constant(&self, parameter: &str) -> bool {
        parameter == MASK || (parameter == TIME_CONSTANTS && !self.cell.time_constants.trainable)
    }

    fn bounded(&self, name: &str, parameter: &Tensor) -> Result<Option<Tensor>> {
        recurrent::bounded(&self.cell, name, parameter)
    }

    fn form(&self, _: &Setting) -> Form {
        Form::Rate(RateForm {
            placement: self.cell.placement,
            activation: self.cell.activation,
            state: ACTIVITY.into(),
            linear_input: true,
            mixing: None,
            reads_state: self.cell.reads == Reads::State,
        })
    }
}
