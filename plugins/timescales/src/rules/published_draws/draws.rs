//! What the published program draws, number by number.

use crate::mersenne_twister::MersenneTwister;
use crate::tasks::bit_stream::{BitStream, Drawn, Rate};
use synfire::network::{head_bias, head_weight};
use synfire::tch::Tensor;
use synfire::{Error, Result, Tensors};

/// Largest initial rate of a unit.
const INITIAL: f32 = 0.1;

/// Sizes of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub inputs: usize,
    pub units: usize,
    pub outputs: usize,
    pub heads: usize,
    /// Whether there are time constants to draw.
    pub taus: bool,
}

/// Sizes of a batch, and how its bits are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSizes {
    /// The hardest level.
    pub hardest: usize,
    pub trials: usize,
    pub units: usize,
    pub rate: Rate,
}

/// The two generators: NumPy's for the lengths of trials, PyTorch's for all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draws {
    lengths: MersenneTwister,
    numbers: MersenneTwister,
}

impl Draws {
    /// Both from one seed.
    pub fn new(seed: u32) -> Self {
        Self { lengths: MersenneTwister::new(seed), numbers: MersenneTwister::new(seed) }
    }

    fn uniform(&mut self, shape: &[usize], low: f32, high: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.numbers.uniform(low, high)).collect();
        Tensor::from_slice(&values).reshape(shape.iter().map(|size| *size as i64).collect::<Vec<_>>())
    }

    /// Weight and bias of a linear layer as PyTorch starts it; the bound of weights is computed as there, rounding and all.
    fn linear(&mut self, outputs: usize, inputs: usize) -> (Tensor, Tensor) {
        let root = (inputs.max(1) as f64).sqrt();
        let slope = 5f64.sqrt();
        let gain = (2.0 / (1.0 + slope * slope)).sqrt();
        let bound = 3f64.sqrt() * (gain / root);
        let weight = self.uniform(&[outputs, inputs], -bound as f32, bound as f32);
        let bound = 1.0 / root;
        (weight, self.uniform(&[outputs], -bound as f32, bound as f32))
    }

    /// The parameters of a new network.
    pub fn network(&mut self, sizes: Sizes) -> Tensors {
        let mut parameters = Tensors::new();
        let mut layer = |draws: &mut Self, (weight, bias): (String, String), outputs, inputs| {
            let (w, b) = draws.linear(outputs, inputs);
            parameters.insert(weight, w);
            parameters.insert(bias, b);
        };
        let named = |name: &str| (format!("{name}.weight"), format!("{name}.bias"));
        layer(self, named("input"), sizes.units, sizes.inputs);
        layer(self, named("recurrent"), sizes.units, sizes.units);
        let taus = sizes.taus.then(|| self.uniform(&[sizes.units], 0.0, 1.0) + 1.0);
        for head in 0..sizes.heads {
            layer(self, (head_weight(head), head_bias(head)), sizes.outputs, sizes.units);
        }
        if let Some(taus) = taus {
            parameters.insert("time_constants", taus);
        }
        parameters
    }

    fn length(&mut self, hardest: usize) -> usize {
        let shortest = hardest as u32 + 2;
        self.lengths.integer(shortest, shortest + 3 * hardest as u32) as usize
    }

    /// The bits of a batch and its initial states `[trial, unit]`.
    pub fn batch(&mut self, sizes: BatchSizes) -> (BitStream, Tensor) {
        let length = self.length(sizes.hardest);
        let mut trials = Vec::with_capacity(sizes.trials);
        for _ in 0..sizes.trials {
            let numbers: Vec<f32> = (0..length).map(|_| self.numbers.uniform(0.0, 1.0)).collect();
            let rate = match sizes.rate {
                Rate::Drawn(Drawn::Uniform) => self.numbers.uniform(0.0, 1.0),
                Rate::Fixed(rate) => rate as f32,
            };
            trials.push((numbers.into_iter().map(|number| number < rate).collect(), f64::from(rate)));
        }
        let states = self.uniform(&[sizes.trials, sizes.units], 0.0, 1.0) * f64::from(INITIAL);
        (BitStream::of(&trials, length), states)
    }

    /// Pass over a batch.
    pub fn skip(&mut self, sizes: BatchSizes) {
        let rates = usize::from(matches!(sizes.rate, Rate::Drawn(_)));
        let each = self.length(sizes.hardest) + rates + sizes.units;
        self.numbers.skip(sizes.trials * each);
    }

    /// Both as tensors to be saved.
    pub fn state(&self) -> Tensors {
        let tensor = |generator: &MersenneTwister| Tensor::from_slice(&generator.to_numbers());
        Tensors::from([(LENGTHS, tensor(&self.lengths)), (NUMBERS, tensor(&self.numbers))])
    }

    /// From what [`Draws::state`] gave.
    ///
    /// # Errors
    /// When it is something else.
    pub fn restore(state: &Tensors) -> Result<Self> {
        let generator = |name: &str| -> Result<MersenneTwister> {
            let numbers = Vec::<i64>::try_from(state.get(name)?)?;
            MersenneTwister::from_numbers(&numbers)
                .ok_or_else(|| Error::Failed(format!("'{name}' of the learner is no state of a generator")))
        };
        Ok(Self { lengths: generator(LENGTHS)?, numbers: generator(NUMBERS)? })
    }
}

const LENGTHS: &str = "draws/lengths";
const NUMBERS: &str = "draws/numbers";
