//! Hebbian learning gated by a reward that comes once a trial.

mod kicked;

use kicked::Kicked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::network::{head_bias, head_weight};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Component, Error, Learner, LearningRule, Network, Problems, Properties, Property, Registry, Result,
    Stream,
};

/// What a synapse from `j` to `i` remembers of each step: the product of the rate `r` that `j` sent and of the fluctuation `delta` of
/// the excitation of `i`, through a function that lets large products count for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Eligibility {
    /// `(r delta)^3`
    #[default]
    Cubic,
    /// `r delta |r delta|`
    SignedSquare,
    /// `r delta^3`
    DeltaCubed,
    /// `r p`, with `p` the perturbation itself. Source: Fiete & Seung 2006, doi:10.1103/PhysRevLett.97.048104.
    NodePerturbation,
    /// `r delta`; on its own it does not learn.
    Product,
    /// The root of the size of `r delta` with its sign; it does not learn either.
    SignedRoot,
}

/// When the reward arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reward {
    /// Once, at the end of the trial: its scalar error.
    #[default]
    EndOfTrial,
    /// At every judged step: what a synapse remembers of a step is multiplied with the fluctuation of the reward, minus the absolute
    /// distance from the target, around its running mean (exploratory Hebbian learning). The error trace is not used. Source:
    /// Hoerzer, Legenstein & Maass 2014, doi:10.1093/cercor/bhs348.
    RealTime,
}

/// Random kicks to the units, from which the rule learns what would have been better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Perturbation {
    /// Probability of a kick in a step.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Size of a kick, as an input to the unit: the largest of uniform ones, the standard deviation of normal ones.
    #[schemars(range(min = 0.0))]
    pub amplitude: f64,
    /// How kicks are distributed.
    pub distribution: Distribution,
    /// Whether all units are kicked in the same steps, each by its own amount; else each in steps of its own.
    pub together: bool,
}

/// How numbers are distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Uniform in ± their size.
    #[default]
    Uniform,
    /// Normal with their size as standard deviation.
    Normal,
}

impl Distribution {
    /// One number.
    pub(super) fn draw(self, size: f64, stream: &mut Stream) -> f64 {
        match self {
            Self::Uniform => size * (2.0 * stream.uniform() - 1.0),
            Self::Normal => size * stream.normal(),
        }
    }
}

impl Default for Perturbation {
    fn default() -> Self {
        let (distribution, together) = (Distribution::Uniform, false);
        Self { probability: 0.003, amplitude: 16.0, distribution, together }
    }
}

/// Reward-modulated Hebbian learning: units are kicked at random, and connections that took part are changed by how the trial went.
///
/// With the state `x` of the units (the current of a network in the `current` form, else the rate), `r` what they send, and the running
/// mean `m <- a m + (1 - a) x` with `a = excitation_trace`, which runs on from trial to trial, each step adds to the eligibility
///
/// `E_ij += S(r_j delta_i)`, `delta = x - m`
///
/// with `r_j` from before the step, `m` from before its update, and `S` the cube unless `eligibility` says otherwise. At the end of a
/// trial of kind `q` with scalar error `R`
///
/// `dJ_ij = -learning_rate Rbar_q (R - Rbar_q) E_ij`, at most `largest_change` either way
/// `Rbar_q <- error_trace Rbar_q + (1 - error_trace) R`, from 0
///
/// The kind is the task's condition that `condition` names; one mean for each is essential. Trials of a batch are played with the same
/// weights, their changes are added in order. In the first `warm_up` trials only the means change. The first `quiet_steps` steps of a
/// trial have no kicks. Only recurrent weights learn; what is wanted of effective weights behind masks, signs or factors is carried back
/// by the chain rule.
///
/// With `output_units` output k of head h is the rate of unit `h outputs + k`, and these units get no direct input unless
/// `direct_input` lets them.
///
/// The published networks: `leaky-rnn` in the `current` form with tanh, 200 units, time constants of 30 ms, normal recurrent weights of
/// gain 1.5, input weights uniform in ±1, initial states in ±0.1 and three clamped units.
///
/// Source: Miconi 2017, "Biologically plausible learning in recurrent neural networks reproduces neural dynamics observed during
/// cognitive tasks", doi:10.7554/eLife.20899; defaults of the delayed non-match task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RewardHebbian {
    /// What a synapse remembers of each step.
    pub eligibility: Eligibility,
    /// When the reward arrives.
    pub reward: Reward,
    /// Size of changes.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Largest change of a weight by one trial.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub largest_change: f64,
    /// The kicks.
    pub perturbation: Perturbation,
    /// Share of the mean error that is kept from trial to trial of a kind.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub error_trace: f64,
    /// Share of the mean excitation that is kept from step to step.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub excitation_trace: f64,
    /// Trials at the start in which weights do not change.
    pub warm_up: usize,
    /// Steps at the start of a trial without kicks.
    pub quiet_steps: usize,
    /// Name of the task's condition that tells kinds of trials apart; a task without it has one kind.
    pub condition: String,
    /// Whether outputs are the rates of single units; else the heads' weights stay as they are drawn.
    pub output_units: bool,
    /// Whether output units get the task's input.
    pub direct_input: bool,
}

impl Default for RewardHebbian {
    fn default() -> Self {
        Self {
            eligibility: Eligibility::Cubic,
            reward: Reward::EndOfTrial,
            learning_rate: 0.1,
            largest_change: 3e-4,
            perturbation: Perturbation::default(),
            error_trace: 0.75,
            excitation_trace: 0.05,
            warm_up: 100,
            quiet_steps: 3,
            condition: "trial_type".into(),
            output_units: true,
            direct_input: false,
        }
    }
}

impl Eligibility {
    /// Each of the functions is a product of one of the rate and one of the fluctuation, so that the memory of a whole trial is one
    /// product of matrices.
    fn of_rate(self, rate: &Tensor) -> Tensor {
        match self {
            Self::Cubic => rate.pow_tensor_scalar(3),
            Self::SignedSquare => rate * rate.abs(),
            Self::SignedRoot => rate.sign() * rate.abs().sqrt(),
            Self::DeltaCubed | Self::NodePerturbation | Self::Product => rate.shallow_clone(),
        }
    }

    fn of_fluctuation(self, delta: f64) -> f64 {
        match self {
            Self::Cubic | Self::DeltaCubed => delta.powi(3),
            Self::SignedSquare => delta * delta.abs(),
            Self::SignedRoot => delta.signum() * delta.abs().sqrt(),
            Self::NodePerturbation | Self::Product => delta,
        }
    }
}

#[typetag::serde(name = "reward-hebbian")]
impl LearningRule for RewardHebbian {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        for (field, value) in [("learning_rate", self.learning_rate), ("largest_change", self.largest_change)] {
            problems.require(value.is_finite() && value > 0.0, field, value, "greater than 0");
        }
        for (field, value) in [("error_trace", self.error_trace), ("excitation_trace", self.excitation_trace)] {
            problems.require((0.0..1.0).contains(&value), field, value, "at least 0 and less than 1");
        }
        problems.inside("perturbation", |problems| {
            let Perturbation { probability, amplitude, .. } = self.perturbation;
            problems.require((0.0..=1.0).contains(&probability), "probability", probability, "between 0 and 1");
            problems.require(amplitude.is_finite() && amplitude >= 0.0, "amplitude", amplitude, "0 or greater");
        });
    }

    fn needs(&self, _: &Registry) -> Properties {
        let mut needs = Properties::from([Property::ScalarError, Property::OpenLoop, Property::RateForm]);
        needs.extend([Property::AdditiveDrive, Property::LinearReadout]);
        if self.reward == Reward::RealTime {
            needs.insert(Property::TargetSignal);
        }
        needs
    }

    fn start(&self, network: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        if self.output_units {
            network.readout.bias = false;
            for head in network.readout.heads.clone() {
                self.read_units(network, head)?;
            }
        }
        Ok(Box::new(Kicked { rule: self.clone(), heads: Vec::new(), mean: None, errors: BTreeMap::new(), trials: 0 }))
    }
}

impl RewardHebbian {
    /// Let a head say the rates of its units.
    fn read_units(&self, network: &mut Network, head: usize) -> Result<()> {
        let (outputs, units) = (network.readout.outputs, network.dynamics.units());
        if (head + 1) * outputs > units {
            return Err(Error::config(
                "rule.output_units",
                format_args!(
                    "needs {} units for {outputs} outputs of head {head}; there are {units}",
                    (head + 1) * outputs
                ),
                "use more units, or set it to false",
            ));
        }
        network.parameters.remove(&head_bias(head));
        let name = head_weight(head);
        let weight = network.parameters.get(&name)?.f_zeros_like()?;
        for output in 0..outputs {
            let unit = (head * outputs + output) as i64;
            drop(weight.f_get(output as i64)?.f_get(unit)?.f_fill_(1.0)?);
            if let Some(input) = network.parameters.find("input.weight").filter(|_| !self.direct_input) {
                drop(input.f_get(unit)?.f_fill_(0.0)?);
            }
        }
        network.parameters.insert(name, weight);
        Ok(())
    }

    /// The kicks of all steps, trials and units, `[time, batch, unit]`.
    fn kicks(&self, shape: [i64; 3], stream: &Stream) -> Vec<f64> {
        let [time, batch, units] = shape.map(|n| n as usize);
        let Perturbation { probability, amplitude, distribution, together } = self.perturbation;
        let mut kicks = vec![0.0; time * batch * units];
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            for step in self.quiet_steps + 1..time {
                let all = together && stream.bernoulli(probability);
                let units_of_step = &mut kicks[(step * batch + row) * units..][..units];
                for kick in units_of_step {
                    if all || (!together && stream.bernoulli(probability)) {
                        *kick = distribution.draw(amplitude, &mut stream);
                    }
                }
            }
        }
        kicks
    }
}

synfire::inventory::submit! { Component::rule::<RewardHebbian>("reward-hebbian") }

#[cfg(test)]
mod tests;
