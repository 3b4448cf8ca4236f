//! Networks: parameters, equations, and the heads that read them out.

use crate::cell::{BuildContext, Dynamics};
use crate::recurrence::Read;
use crate::{Error, Lesson, Result, Stream, Tensors};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// A network: every number it has by name, its equations, and its heads.
///
/// Parameters of head `i` are `head.i.weight` `[output, unit]` and `head.i.bias` `[output]`; feedback from a head to the units is
/// `feedback.weight` `[unit, output]`.
#[derive(Debug)]
pub struct Network {
    /// Every parameter, heads and feedback included.
    pub parameters: Tensors,
    /// The equations.
    pub dynamics: Box<dyn Dynamics>,
    /// Which heads there are, and whether one feeds back.
    pub readout: Readout,
}

/// The heads of a network; saved with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readout {
    /// Numbers of the heads, ascending.
    pub heads: Vec<usize>,
    /// Width of every head.
    pub outputs: usize,
    /// Whether heads have a bias.
    pub bias: bool,
    /// The head whose output at the last step is added to the units through `feedback.weight`.
    pub feedback: Option<usize>,
    /// The units that heads read, from the first up to, not including, the last; all where it is left out. The weights of other
    /// units are 0 and stay so. A property of the cell, not saved.
    #[serde(skip)]
    pub units: Option<(usize, usize)>,
    /// What the weights of a new head start from. A property of the cell, not saved.
    #[serde(skip)]
    pub start: HeadStart,
}

/// What the weights of a new head start from; its bias, if it has one, starts uniform in ±1/√units, or at 0 with normal weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum HeadStart {
    /// Uniform in ±1/√units, with the number of units that are read.
    #[default]
    FanInUniform,
    /// Normal with this standard deviation.
    Normal(f64),
}

impl Readout {
    /// The first unit that is read, and the one after the last, of this many.
    fn range(&self, units: usize) -> (i64, i64) {
        let (from, to) = self.units.unwrap_or((0, units));
        (from.min(units) as i64, to.clamp(from.min(units), units) as i64)
    }

    /// Weights `[output, unit]` with zeros for the units that are not read.
    fn masked(&self, weight: &Tensor) -> Result<Tensor> {
        if self.units.is_none() {
            return Ok(weight.shallow_clone());
        }
        let units = weight.size()[1];
        let (from, to) = self.range(units as usize);
        Ok(weight.f_narrow(1, from, to - from)?.f_constant_pad_nd([from, units - to])?)
    }

    /// No heads yet, `outputs` wide, with a bias.
    pub fn new(outputs: usize) -> Self {
        Self { heads: Vec::new(), outputs, bias: true, feedback: None, units: None, start: HeadStart::default() }
    }
}

/// Name of a head's weight.
pub fn head_weight(head: usize) -> String {
    format!("head.{head}.weight")
}

/// Name of a head's bias.
pub fn head_bias(head: usize) -> String {
    format!("head.{head}.bias")
}

/// Name of the feedback weight.
pub const FEEDBACK: &str = "feedback.weight";

impl Network {
    /// Add the heads that are missing, each drawn from a stream of its own as [`Readout::start`] says: a head starts the same
    /// whenever it is added. Returns whether any was.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn add_heads(&mut self, heads: &[usize], context: &BuildContext, stream: &Stream) -> Result<bool> {
        let before = self.readout.heads.len();
        let (outputs, units) = (self.readout.outputs as i64, self.dynamics.units() as i64);
        let (from, to) = self.readout.range(self.dynamics.units());
        let bound = 1.0 / (((to - from).max(1)) as f64).sqrt();
        let start = self.readout.start;
        for &head in heads {
            if self.readout.heads.contains(&head) {
                continue;
            }
            let mut stream = stream.child("head").at(head as u64);
            let mut draw = |shape: &[i64]| match start {
                HeadStart::FanInUniform => stream.uniform_tensor(shape, -bound, bound, context.kind, context.device),
                HeadStart::Normal(_) if shape.len() == 1 => Tensor::zeros(shape, context.options()),
                HeadStart::Normal(deviation) => stream.normal_tensor(shape, context.kind, context.device) * deviation,
            };
            let weight = self.readout.masked(&draw(&[outputs, units]))?;
            let bias = draw(&[outputs]);
            self.parameters.insert(head_weight(head), weight);
            if self.readout.bias {
                self.parameters.insert(head_bias(head), bias);
            }
            self.readout.heads.push(head);
        }
        self.readout.heads.sort_unstable();
        Ok(self.readout.heads.len() != before)
    }

    /// Drop heads and their parameters. Returns whether any was there.
    pub fn drop_heads(&mut self, heads: &[usize]) -> bool {
        let before = self.readout.heads.len();
        self.readout.heads.retain(|head| !heads.contains(head));
        for &head in heads {
            self.parameters.remove(&head_weight(head));
            self.parameters.remove(&head_bias(head));
        }
        self.readout.heads.len() != before
    }

    /// Names of all parameters.
    pub fn names(&self) -> Vec<String> {
        self.parameters.names().map(str::to_string).collect()
    }

    /// Names of the parameters that a rule may change under a lesson: those that it trains, without the constants of the cell.
    pub fn trained(&self, lesson: &Lesson) -> Vec<String> {
        let may = |name: &&str| lesson.trains(name) && !self.dynamics.constant(name);
        self.parameters.names().filter(may).map(str::to_string).collect()
    }

    /// Bring every parameter back to where the cell lets it be, after a rule has changed some.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn bound(&mut self) -> Result<()> {
        for (name, parameter) in self.parameters.iter() {
            if let Some(bounded) = tch::no_grad(|| self.dynamics.bounded(name, parameter))? {
                tch::no_grad(|| parameter.shallow_clone().f_copy_(&bounded).map(drop))?;
            }
        }
        Ok(())
    }

    /// Number of numbers.
    pub fn size(&self) -> usize {
        self.parameters.iter().map(|(_, tensor)| tensor.numel()).sum()
    }
}

/// Outputs of some heads from rates `[.., unit]`: one tensor `[.., output]` per head, computed as one product.
///
/// # Errors
/// [`Error::Failed`] when a head does not exist, naming those that do.
pub fn read(parameters: &Tensors, readout: &Readout, heads: &[usize], rates: &Tensor) -> Result<Vec<Tensor>> {
    let Some(Read { weight, bias }) = stack_heads(parameters, readout, heads)? else { return Ok(Vec::new()) };
    Ok(rates.f_linear(&weight, bias.as_ref())?.f_split(readout.outputs as i64, -1)?)
}

/// Some heads as one, the first above; `None` for none.
///
/// # Errors
/// [`Error::Failed`] when a head does not exist, naming those that do.
pub fn stack_heads(parameters: &Tensors, readout: &Readout, heads: &[usize]) -> Result<Option<Read>> {
    for head in heads {
        if !readout.heads.contains(head) {
            return Err(Error::Failed(format!("the network has no head {head}; it has {:?}", readout.heads)));
        }
    }
    let stack = |name: fn(usize) -> String| -> Result<Tensor> {
        let parts = heads.iter().map(|head| parameters.get(&name(*head))).collect::<Result<Vec<_>>>()?;
        Ok(if let [one] = parts[..] { one.shallow_clone() } else { Tensor::f_cat(&parts, 0)? })
    };
    if heads.is_empty() {
        return Ok(None);
    }
    let bias = readout.bias.then(|| stack(head_bias)).transpose()?;
    Ok(Some(Read { weight: readout.masked(&stack(head_weight)?)?, bias }))
}

/// The drive that a head's output gives to the units: `[batch, output]` to `[batch, unit]`.
///
/// # Errors
/// When there is no feedback weight.
pub fn feed_back(parameters: &Tensors, output: &Tensor) -> Result<Tensor> {
    Ok(output.f_matmul(&parameters.get(FEEDBACK)?.transpose(0, 1))?)
}

/// Whether every number of a map is finite; the name of the first tensor that is not.
pub fn first_not_finite(tensors: &Tensors) -> Option<String> {
    // A sum is finite only if every term is, short of an overflow that is worth reporting too; one pass and one number to move.
    let finite = |t: &Tensor| !t.is_floating_point() || t.sum(Kind::Double).double_value(&[]).is_finite();
    tensors.iter().find(|(_, tensor)| !finite(tensor)).map(|(name, _)| name.to_string())
}
