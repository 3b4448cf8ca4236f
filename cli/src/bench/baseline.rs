//! The other side: the same networks as a competent user writes them on libtorch, with its autograd.
//!
//! The input is projected for all steps at once, effective weights are made once an update, and each step takes as few operations
//! as there are.

use super::network::Ours;
use synfire::Result;
use synfire::tch::{Kind, Reduction, Tensor, no_grad};

/// A network of libtorch's operations, with its batch.
pub struct Baseline {
    form: Form,
    parameters: Vec<Tensor>,
    inputs: Tensor,
    classes: Tensor,
}

/// Which network.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// `r' = (1 - alpha) r + alpha tanh(W r + x)` with a fixed leak.
    Drive,
    /// `r' = leaky_relu((1 - alpha) r + alpha (W r + x))` with learned time constants and no self-connections.
    Whole,
    /// libtorch's own LSTM.
    Lstm,
    /// libtorch's own GRU.
    Gru,
    /// Gated units with a fixed leak, whose reset gate acts before the product.
    LeakyGru,
}

/// The leak of [`Form::LeakyGru`], whose time constants are five steps unless given.
const LEAK: f64 = 0.2;

const RATE: [&str; 7] = [
    "head.0.weight",
    "head.0.bias",
    "time_constants",
    "input.weight",
    "input.bias",
    "recurrent.weight",
    "recurrent.bias",
];
const GATED: [&str; 6] =
    ["head.0.weight", "head.0.bias", "input.weight", "recurrent.weight", "input.bias", "recurrent.bias"];

impl Baseline {
    /// The same network and batch as ours.
    ///
    /// # Errors
    /// When ours has not got the parameters of that form.
    pub fn new(ours: &Ours, form: Form) -> Result<Self> {
        let names = match form {
            Form::Drive => &RATE[..6],
            Form::Whole => &RATE[..],
            Form::Lstm | Form::Gru | Form::LeakyGru => &GATED[..],
        };
        let parameters = names.iter().map(|name| ours.leaf(name)).collect::<Result<Vec<_>>>()?;
        Ok(Self { form, parameters, inputs: ours.trials.inputs.copy(), classes: ours.classes() })
    }

    fn last(&self) -> Result<Tensor> {
        let p = &self.parameters;
        let (_, rows, _) = self.inputs.size3()?;
        if let Form::Lstm | Form::Gru = self.form {
            let units = p[3].size()[1];
            let zeros = Tensor::zeros([1, rows, units], (Kind::Float, self.inputs.device()));
            let weights: Vec<&Tensor> = p[2..6].iter().collect();
            let all = match self.form {
                Form::Lstm => self.inputs.f_lstm(&[&zeros, &zeros], &weights, true, 1, 0.0, true, false, false)?.0,
                _ => self.inputs.f_gru(&zeros, &weights, true, 1, 0.0, true, false, false)?.0,
            };
            return Ok(all.select(0, -1));
        }
        if self.form == Form::LeakyGru {
            return self.leaky_gru(rows);
        }
        let units = p[5].size()[0];
        let weight = match self.form {
            Form::Whole => &p[5] * (Tensor::ones_like(&p[5]) - Tensor::eye(units, (Kind::Float, p[5].device()))),
            _ => p[5].shallow_clone(),
        }
        .transpose(0, 1);
        let alpha = match self.form {
            Form::Whole => p[2].clamp_min(1.0).reciprocal(),
            _ => p[2].detach().reciprocal(),
        };
        let bias = if self.form == Form::Whole { &p[4] + &p[6] } else { p[4].shallow_clone() };
        let projected = self.inputs.f_matmul(&p[3].transpose(0, 1))?.f_add(&bias)?;
        let mut r = Tensor::zeros([rows, units], (Kind::Float, self.inputs.device()));
        for x in projected.unbind(0) {
            let z = x.f_addmm(&r, &weight)?;
            r = match self.form {
                Form::Whole => r.f_lerp_tensor(&z, &alpha)?.leaky_relu(),
                _ => r.f_lerp_tensor(&z.tanh(), &alpha)?,
            };
        }
        Ok(r)
    }

    fn leaky_gru(&self, rows: i64) -> Result<Tensor> {
        let p = &self.parameters;
        let units = p[3].size()[1];
        let weight = p[3].transpose(0, 1);
        let (of_gates, of_candidate) = (weight.narrow(1, 0, 2 * units), weight.narrow(1, 2 * units, units));
        let projected = self.inputs.f_matmul(&p[2].transpose(0, 1))?.f_add(&(&p[4] + &p[5]))?;
        let (gates, candidates) = (projected.narrow(2, 0, 2 * units), projected.narrow(2, 2 * units, units));
        let mut h = Tensor::zeros([rows, units], (Kind::Float, self.inputs.device()));
        for (x, a) in gates.unbind(0).iter().zip(candidates.unbind(0)) {
            let open = x.f_addmm(&h, &of_gates)?.f_sigmoid()?;
            let candidate = a.f_addmm(&(open.narrow(1, 0, units) * &h), &of_candidate)?.f_tanh()?;
            h = h.f_lerp_tensor(&candidate, &(open.narrow(1, units, units) * LEAK))?;
        }
        Ok(h)
    }

    fn loss(&self) -> Result<Tensor> {
        let logits = self.last()?.f_linear(&self.parameters[0], Some(&self.parameters[1]))?;
        Ok(logits.f_cross_entropy_loss(&self.classes, None::<&Tensor>, Reduction::Mean, -100, 0.0)?)
    }

    /// Forward, loss and all gradients; gives the loss.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn gradient(&self) -> Result<f64> {
        let loss = self.loss()?;
        let wanted: Vec<&Tensor> = match self.form {
            Form::Drive => self.parameters.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, p)| p).collect(),
            _ => self.parameters.iter().collect(),
        };
        drop(Tensor::f_run_backward(&[&loss], &wanted, false, false)?);
        Ok(loss.double_value(&[]))
    }

    /// Forward alone; gives the loss.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn play(&self) -> Result<f64> {
        no_grad(|| Ok(self.loss()?.double_value(&[])))
    }
}
