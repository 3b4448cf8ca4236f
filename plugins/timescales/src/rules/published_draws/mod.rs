//! The random numbers of the published program, for runs that can be compared seed by seed.

mod asked;
mod draws;
#[cfg(test)]
mod tests;

use asked::Asked;
use draws::{BatchSizes, Draws, Sizes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use synfire::cell::Form;
use synfire::rollout::Rollout;
use synfire::rule::{Learner, StepReport};
use synfire::tch::Tensor;
use synfire::{
    BuildContext, Component, Error, LearningRule, Network, Problems, Properties, Property, Registry, Result, Spec,
    Stream, Tensors, Trials,
};

/// Another rule, on the initial networks and batches that the published program draws from a seed.
///
/// The network starts with the parameters that the program gives it with `--seed`: weights and biases of the input, of the
/// recurrent connections, time constants (uniform in `[1, 2)`; fixed ones are not drawn), then `heads` heads. Each update of
/// `n-parity` or `delayed-match` is made on the batch of the program, with its initial states (0.1 times uniform numbers): its length
/// from NumPy's generator, bits, rates and states from PyTorch's, both started from the seed. After each `updates_per_test` updates
/// the numbers of `test_batches` batches are passed over, which the program tests itself on. Trials of other tasks are left as they
/// are. So every number that goes into training is, bit for bit, the one of the program in single precision; gradients agree up to
/// rounding, which training amplifies.
///
/// The seed of the experiment has no part in it: all members of a run are one network. Evaluations, here on trials of our own, say
/// when a curriculum goes on: where an accuracy is close to the threshold the program may have gone on an evaluation earlier or
/// later, and from there on numbers differ.
///
/// Source: code published with Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, ICLR, arXiv:2309.12927. Its
/// networks that are published untrained are those of seed 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PublishedDraws {
    /// Seed of both generators.
    pub seed: u32,
    /// Heads that the network starts with.
    #[schemars(range(min = 1, max = 100000))]
    pub heads: usize,
    /// Updates between tests.
    #[schemars(range(min = 1))]
    pub updates_per_test: u64,
    /// Batches of a test, each as large as those of training.
    pub test_batches: u64,
    /// How the network learns from the trials.
    pub rule: Spec<dyn LearningRule>,
}

impl Default for PublishedDraws {
    fn default() -> Self {
        let optimizer = json!({ "type": "sgd", "learning_rate": 0.05, "momentum": 0.1, "nesterov": true });
        let rule = Spec::with("bptt", &json!({ "clip": 2.0, "optimizer": optimizer }));
        Self { seed: 0, heads: 100, updates_per_test: 600, test_batches: 50, rule }
    }
}

#[typetag::serde(name = "published-draws")]
impl LearningRule for PublishedDraws {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        problems.require((1..=100_000).contains(&self.heads), "heads", self.heads, "from 1 to 100000");
        problems.require(self.updates_per_test >= 1, "updates_per_test", self.updates_per_test, "at least 1");
        if let Err(error) = registry.build(&self.rule, "rule") {
            for problem in error.into_problems("rule") {
                problems.add(&problem.path, problem.problem, problem.remedy);
            }
        }
    }

    fn needs(&self, registry: &Registry) -> Properties {
        let inner = registry.build(&self.rule, "rule").map(|rule| rule.needs(registry)).unwrap_or_default();
        &inner | &Properties::from([Property::RateForm, Property::TimeConstants])
    }

    fn start(&self, network: &mut Network, context: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        let mut draws = Draws::new(self.seed);
        let sizes = Sizes {
            inputs: context.task.inputs.len(),
            units: network.dynamics.units(),
            outputs: network.readout.outputs,
            heads: self.heads,
            taus: !network.dynamics.constant(TIME_CONSTANTS),
        };
        let drawn = draws.network(sizes);
        let of_cell = |name: &&str| !name.starts_with("head.");
        for name in drawn.names().filter(of_cell) {
            let same = |own: &&Tensor| drawn.find(name).is_some_and(|drawn| drawn.size() == own.size());
            if network.parameters.find(name).filter(same).is_none() {
                let because =
                    format!("the cell has no '{name}' of the shape of the published network; see its options");
                return Err(Error::Incompatible { needs: "the rule 'published-draws'".into(), because });
            }
        }
        for (name, tensor) in drawn.iter() {
            network.parameters.insert(name, tensor.to_kind(context.kind).to_device(context.device));
        }
        network.readout.heads = (0..self.heads).collect();
        let inner = context.registry.build(&self.rule, "rule.rule")?.start(network, context, stream)?;
        Ok(Box::new(Drawing { rule: self.clone(), draws, inner, hardest: 0, untested: 0 }))
    }
}

synfire::inventory::submit! { Component::rule::<PublishedDraws>("published-draws") }

const TIME_CONSTANTS: &str = "time_constants";

/// The rule at work.
struct Drawing {
    rule: PublishedDraws,
    draws: Draws,
    inner: Box<dyn Learner>,
    /// The hardest level of the last update.
    hardest: usize,
    /// Updates since the last test.
    untested: u64,
}

impl Drawing {
    /// The trials of the next update.
    fn trials(&mut self, asked: &Asked, network: &Network, given: &Trials, rollout: &Rollout) -> Result<Trials> {
        let levels = asked.levels(rollout.lesson)?;
        let hardest = levels.iter().map(|level| level.level).max().unwrap_or_default();
        let Form::Rate(form) = network.dynamics.form(&rollout.setting) else {
            let because = "the cell has no state of rates under these conditions".into();
            return Err(Error::Incompatible { needs: "the rule 'published-draws'".into(), because });
        };
        let (trials, units) = (given.batch(), network.dynamics.units());
        let sizes = |hardest| BatchSizes { hardest, trials, units, rate: asked.rate() };
        if self.untested == self.rule.updates_per_test {
            (0..self.rule.test_batches).for_each(|_| self.draws.skip(sizes(self.hardest)));
            self.untested = 0;
        }
        let (bits, states) = self.draws.batch(sizes(hardest));
        (self.hardest, self.untested) = (hardest, self.untested + 1);
        let initial = Some(Tensors::from([(form.state.as_str(), states)]));
        let drawn = Trials { initial, ..asked.trials(&bits, &levels) };
        Ok(drawn.to(given.inputs.device(), given.inputs.kind()))
    }
}

/// Before the names of what the rule inside keeps.
const INNER: &str = "rule/";
const COUNTS: &str = "draws/counts";

impl Learner for Drawing {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        let trials = match Asked::of(rollout.task)? {
            Some(asked) => self.trials(&asked, network, &trials, rollout)?,
            None => trials,
        };
        self.inner.update(network, trials, rollout)
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        self.inner.refit(network)
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = self.draws.state();
        state.insert(COUNTS, Tensor::from_slice(&[self.hardest as i64, self.untested as i64]));
        for (name, tensor) in self.inner.state()?.iter() {
            state.insert(format!("{INNER}{name}"), tensor.shallow_clone());
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        self.draws = Draws::restore(&state)?;
        let counts = Vec::<i64>::try_from(state.get(COUNTS)?)?;
        let [hardest, untested] = counts[..] else {
            return Err(Error::Failed(format!("'{COUNTS}' of the learner has {} numbers, not 2", counts.len())));
        };
        (self.hardest, self.untested) = (hardest.max(0) as usize, untested.max(0) as u64);
        let inner = state
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(INNER)?.to_string(), tensor.shallow_clone())));
        self.inner.restore(inner.collect())
    }
}
