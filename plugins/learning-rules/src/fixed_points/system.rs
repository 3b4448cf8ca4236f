//! One step of a network without noise under a constant input, as a map of flat states.

use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::network::{self, Network, Readout};
use synfire::recurrence::{LEAK, Placement, RECURRENT, RateForm};
use synfire::tch::{Device, Kind, Tensor, no_grad, with_grad};
use synfire::tensors::values_f64;
use synfire::{Error, Result, Stream, Tensors};

/// Rows of a batched Jacobian by autograd that are in memory at once: rows times state numbers.
const ROWS_AT_ONCE: i64 = 8192;

/// Where the tensors of a state stand in a flat row.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    /// Name and shape without the batch axis.
    parts: Vec<(String, Vec<i64>)>,
    size: i64,
}

impl Layout {
    fn of(state: &Tensors) -> Result<Self> {
        let mut parts = Vec::new();
        for (name, tensor) in state.iter() {
            if !tensor.is_floating_point() {
                let because = format!("its state '{name}' holds whole numbers; use a cell whose state is continuous");
                return Err(Error::Incompatible { needs: "a continuous state".into(), because });
            }
            parts.push((name.to_string(), tensor.size()[1..].to_vec()));
        }
        let size = parts.iter().map(|(_, shape)| shape.iter().product::<i64>()).sum();
        Ok(Self { parts, size })
    }

    fn unflatten(&self, flat: &Tensor) -> Result<Tensors> {
        let rows = flat.size()[0];
        let mut first = 0;
        let mut state = Tensors::new();
        for (name, shape) in &self.parts {
            let length = shape.iter().product::<i64>();
            let whole = [&[rows][..], shape].concat();
            state.insert(name, flat.f_narrow(1, first, length)?.f_reshape(whole)?);
            first += length;
        }
        Ok(state)
    }

    fn flatten(&self, state: &Tensors) -> Result<Tensor> {
        let rows = |t: &Tensor| t.f_reshape([t.size()[0], -1]);
        let parts = self.parts.iter().map(|(name, _)| Ok(rows(state.get(name)?)?)).collect::<Result<Vec<_>>>()?;
        Ok(if let [one] = &parts[..] { one.shallow_clone() } else { Tensor::f_cat(&parts, 1)? })
    }
}

/// A network without its trials: what is iterated, in double precision on the CPU.
///
/// The map takes flat states `[row, state]`, in which the tensors of the cell's state stand one after the other. Noise is left out; a
/// head that feeds back does so from the state itself, so a fixed point is one of network and feedback together. Units may be
/// clamped to constants: the map then goes over the other, free ones (the reduced system). Units of a rate network whose leak is 0 never
/// change, so that every one of their states would be fixed; they are clamped to the state they begin trials with.
pub struct System<'a> {
    dynamics: &'a dyn Dynamics,
    setting: &'a Setting,
    readout: &'a Readout,
    parameters: Tensors,
    prepared: Tensors,
    layout: Layout,
    /// Constant input, projected, `[1, projected]`.
    projected: Tensor,
    /// Units that never change, and the state they have.
    still: Vec<(usize, f64)>,
    /// Places of the free numbers of the state, and the clamped row `[1, state]`.
    reduced: Option<(Tensor, Tensor)>,
}

impl<'a> System<'a> {
    /// The map of a network under `setting`; the input is 0 until [`System::under`].
    ///
    /// # Errors
    /// When the cell fails, or its state is not continuous.
    pub fn new(network: &'a Network, setting: &'a Setting, inputs: usize) -> Result<Self> {
        let parameters = network.parameters.to(Device::Cpu, Kind::Double).map(Tensor::detach);
        let whole = no_grad(|| -> Result<Self> {
            let dynamics = &*network.dynamics;
            let prepared = dynamics.prepare(&parameters, setting)?;
            let state = dynamics.initial_state(&prepared, 1, &mut Stream::new(0).child("layout"))?;
            let layout = Layout::of(&state)?;
            let silence = Tensor::f_zeros([1, 1, inputs as i64], (Kind::Double, Device::Cpu))?;
            let projected = dynamics.project(&prepared, &silence)?.f_squeeze_dim(0)?;
            let readout = &network.readout;
            let still = match (dynamics.form(setting), prepared.find(LEAK)) {
                (Form::Rate(_), Some(leak)) if layout.parts.len() == 1 => still(leak, &layout.flatten(&state)?)?,
                _ => Vec::new(),
            };
            Ok(Self { dynamics, setting, readout, parameters, prepared, layout, projected, still, reduced: None })
        })?;
        whole.clamped(&[])
    }

    /// New handles to the same tensors.
    pub fn handle(&self) -> Self {
        Self {
            parameters: self.parameters.shallow_clone(),
            prepared: self.prepared.shallow_clone(),
            layout: self.layout.clone(),
            projected: self.projected.shallow_clone(),
            still: self.still.clone(),
            reduced: self.reduced.as_ref().map(|(free, row)| (free.shallow_clone(), row.shallow_clone())),
            ..*self
        }
    }

    /// The same network under this constant input, one number per channel.
    ///
    /// # Errors
    /// When there are not as many channels.
    pub fn under(&self, channels: &[f64]) -> Result<Self> {
        let input = Tensor::from_slice(channels).f_reshape([1, 1, channels.len() as i64])?;
        let projected = no_grad(|| self.dynamics.project(&self.prepared, &input))?.f_squeeze_dim(0)?;
        Ok(Self { projected, ..self.handle() })
    }

    /// The reduced system, with these numbers of the state (place, value) held beside those that never change.
    ///
    /// # Errors
    /// [`Error::Config`] at `clamped` when a place is not there or nothing is left.
    pub fn clamped(&self, held: &[(usize, f64)]) -> Result<Self> {
        let size = self.layout.size as usize;
        if let Some((place, _)) = held.iter().find(|(place, _)| *place >= size) {
            let problem = format!("names {place}; the state has {size} numbers, counted from 0");
            return Err(Error::config("clamped", problem, "name a unit that is there"));
        }
        let given = |place: &usize| held.iter().any(|(other, _)| other == place);
        let still = self.still.iter().filter(|(place, _)| !given(place));
        let held: Vec<(usize, f64)> = held.iter().chain(still).copied().collect();
        let free: Vec<i64> =
            (0..size).filter(|at| held.iter().all(|(place, _)| place != at)).map(|at| at as i64).collect();
        if free.is_empty() {
            return Err(Error::config("clamped", "holds every unit", "leave some of them free"));
        }
        let mut row = vec![0.0; size];
        held.iter().for_each(|(place, value)| row[*place] = *value);
        let row = Tensor::from_slice(&row).f_reshape([1, size as i64])?;
        let reduced = (!held.is_empty()).then(|| (Tensor::from_slice(&free), row));
        Ok(Self { reduced, ..self.handle() })
    }

    /// How many numbers the map goes over.
    pub fn size(&self) -> usize {
        self.reduced.as_ref().map_or(self.layout.size as usize, |(free, _)| free.numel())
    }

    /// How many numbers a whole state has.
    pub fn state_size(&self) -> usize {
        self.layout.size as usize
    }

    /// A flat row `[row, state]` for each row of a state of the cell, in double precision.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn flat(&self, state: &Tensors) -> Result<Tensor> {
        Ok(self.layout.flatten(state)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?)
    }

    /// Whole states `[row, state]` from those of the map, with the clamped units in their places.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn whole(&self, free: &Tensor) -> Result<Tensor> {
        match &self.reduced {
            None => Ok(free.shallow_clone()),
            Some((places, row)) => Ok(row.f_repeat([free.size()[0], 1])?.f_index_copy(1, places, free)?),
        }
    }

    /// What the map goes over, of whole states `[row, state]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn free(&self, whole: &Tensor) -> Result<Tensor> {
        match &self.reduced {
            None => Ok(whole.shallow_clone()),
            Some((places, _)) => Ok(whole.f_index_select(1, places)?),
        }
    }

    /// Rates `[row, unit]` of whole states.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn rates(&self, whole: &Tensor) -> Result<Tensor> {
        no_grad(|| self.dynamics.rates(&self.layout.unflatten(whole)?))
    }

    /// What a head says in whole states, `[row, output]`.
    ///
    /// # Errors
    /// When the network has no such head.
    pub fn output(&self, head: usize, whole: &Tensor) -> Result<Tensor> {
        let rates = self.rates(whole)?;
        let mut said = no_grad(|| network::read(&self.parameters, self.readout, &[head], &rates))?;
        said.pop().ok_or_else(|| Error::Failed(format!("head {head} says nothing")))
    }

    /// The next states of `[row, size]`; differentiable.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn next(&self, states: &Tensor) -> Result<Tensor> {
        let state = self.layout.unflatten(&self.whole(states)?)?;
        let rows = states.size()[0];
        let projected = self.projected.f_expand([rows, self.projected.size()[1]], false)?;
        let drive = match self.readout.feedback {
            None => None,
            Some(head) => {
                let rates = self.dynamics.rates(&state)?;
                let said = network::read(&self.parameters, self.readout, &[head], &rates)?;
                said.first().map(|output| network::feed_back(&self.parameters, output)).transpose()?
            }
        };
        // A step in the middle of a period, where nothing begins.
        let clock = Clock { step: 1, since_border: 1, period: "", setting: self.setting };
        let next = self.dynamics.step(&clock, &self.prepared, &state, &projected, drive.as_ref())?;
        self.free(&self.layout.flatten(&next)?)
    }

    /// `next(x) - x` for each row: 0 at a fixed point.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn residual(&self, states: &Tensor) -> Result<Tensor> {
        no_grad(|| Ok(self.next(states)?.f_sub(states)?))
    }

    /// Derivative of the next state, `[row, size, size]` with the derived number first: in closed form for rate networks, through
    /// autograd for every other cell.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn jacobian(&self, states: &Tensor) -> Result<Tensor> {
        match self.rate_form() {
            Some(form) => no_grad(|| self.closed_form(&form, states)),
            None => self.jacobian_by_autograd(states),
        }
    }

    fn rate_form(&self) -> Option<RateForm> {
        match self.dynamics.form(self.setting) {
            // Shortcuts between steps are left to autograd.
            Form::Rate(form)
                if self.readout.feedback.is_none() && form.mixing.is_none() && self.layout.parts.len() == 1 =>
            {
                Some(form)
            }
            _ => None,
        }
    }

    /// The leak of all units that change, where it is one number: the step in units of the time constant.
    pub fn leak(&self) -> Option<f64> {
        let Form::Rate(_) = self.dynamics.form(self.setting) else { return None };
        let leaks: Vec<f64> = values_f64(self.prepared.find(LEAK)?).into_iter().filter(|leak| *leak > 0.0).collect();
        let first = *leaks.first()?;
        leaks.iter().all(|leak| *leak == first).then_some(first)
    }

    fn closed_form(&self, form: &RateForm, states: &Tensor) -> Result<Tensor> {
        let whole = self.whole(states)?;
        let units = self.layout.size;
        let weights = self.prepared.get(RECURRENT)?;
        let leak = self.prepared.get(LEAK)?.f_expand([units], false)?;
        let keep = leak.f_neg()?.f_add_scalar(1.0)?;
        let f = form.activation;
        let input = |rates: &Tensor| -> Result<Tensor> {
            Ok(rates.f_matmul(&weights.f_transpose(0, 1)?)?.f_add(&self.projected)?)
        };
        let jacobian = match form.placement {
            Placement::Drive => {
                let slope = f.slope(&f.apply(&input(&whole)?)).f_mul(&leak)?;
                slope.f_unsqueeze(-1)?.f_mul(weights)?.f_add(&keep.f_diag(0)?)?
            }
            Placement::Whole => {
                let inside = whole.f_mul(&keep)?.f_add(&input(&whole)?.f_mul(&leak)?)?;
                let slope = f.slope(&f.apply(&inside));
                let step = weights.f_mul(&leak.f_unsqueeze(-1)?)?.f_add(&keep.f_diag(0)?)?;
                slope.f_unsqueeze(-1)?.f_mul(&step)?
            }
            Placement::Current => {
                let slope = f.slope(&f.apply(&whole));
                let scaled = weights.f_mul(&leak.f_unsqueeze(-1)?)?;
                slope.f_unsqueeze(1)?.f_mul(&scaled)?.f_add(&keep.f_diag(0)?)?
            }
        };
        match &self.reduced {
            None => Ok(jacobian),
            Some((places, _)) => Ok(jacobian.f_index_select(1, places)?.f_index_select(2, places)?),
        }
    }

    /// Every row is repeated once for each derived number, so that one backward pass gives whole matrices.
    pub(super) fn jacobian_by_autograd(&self, states: &Tensor) -> Result<Tensor> {
        let size = self.size() as i64;
        let at_once = (ROWS_AT_ONCE / size.max(1)).max(1);
        let mut blocks = Vec::new();
        for first in (0..states.size()[0]).step_by(at_once as usize) {
            let rows = at_once.min(states.size()[0] - first);
            let repeated = states.f_narrow(0, first, rows)?.f_repeat_interleave_self_int(size, 0, None)?;
            let leaf = repeated.detach().set_requires_grad(true);
            let next = with_grad(|| self.next(&leaf))?;
            let block = match next.requires_grad() {
                false => leaf.detach().f_zeros_like()?,
                true => {
                    let which = Tensor::f_eye(size, (Kind::Double, Device::Cpu))?.f_repeat([rows, 1])?;
                    let sum = with_grad(|| next.f_mul(&which)?.f_sum(Kind::Double))?;
                    let mut gradients = Tensor::f_run_backward(&[sum], &[&leaf], false, false)?;
                    gradients.pop().ok_or_else(|| Error::Failed("autograd gave no gradient".into()))?
                }
            };
            blocks.push(block.f_reshape([rows, size, size])?);
        }
        Ok(Tensor::f_cat(&blocks, 0)?)
    }
}

/// Units with a leak of 0, and their states among `[1, unit]`.
fn still(leak: &Tensor, state: &Tensor) -> Result<Vec<(usize, f64)>> {
    let state = values_f64(state);
    let leak = values_f64(&leak.f_expand([state.len() as i64], false)?);
    Ok(leak
        .iter()
        .zip(state)
        .enumerate()
        .filter(|(_, (leak, _))| **leak == 0.0)
        .map(|(unit, (_, x))| (unit, x))
        .collect())
}
