//! A population of networks, of which the best have children.

use super::rate_network::chosen;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::rollout::Rollout;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{
    BuildContext, Component, Error, Learner, LearningRule, Network, Problems, Properties, Registry, Result, StepReport,
    Stream, Tensors, Trials,
};

/// What the members of the first generation are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirstGeneration {
    /// The network as it was drawn, and copies of it in which the numbers of each parameter are put in a random order: where they were
    /// drawn independently, that is a new draw.
    #[default]
    Shuffled,
    /// The network as it was drawn, and mutated copies of it.
    Mutated,
}

/// Genetic algorithm: networks with the lowest loss have mutated children; no gradient, no crossover.
///
/// A generation is one update. All `population` members play the same fresh trials with the same initial states and noise, so that they
/// are judged alike, and are sorted by their loss. In the next generation member 0 is the best one unchanged (elitism), every other a
/// copy of one of the best `parents`, drawn uniformly, with `mutation xi` added to each of its numbers, `xi` standard normal. The best
/// member is the network that evaluations, checkpoints and analyses see; the reported loss is its own.
///
/// Which parameters are the genome: those that match `trainable` (all where it is empty) and do not match `frozen`, as far as the lesson
/// lets them. A member whose loss is not finite comes last. The rule runs forward alone and takes any cell and task; members are played
/// side by side.
///
/// Source: McMahan, Kleinman & Kao 2021, "Learning rule influences recurrent network representations but not attractor structure in
/// decision-making tasks", NeurIPS, <https://openreview.net/forum?id=Bix4uw5GcbE>, with a population of 50 for `random-dots` and 20 for
/// `context-integration`; mutation after Such et al. 2017, arXiv:1712.06567.
/// Differs: each trial has an initial state of its own, where published code drew one for a generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Genetic {
    /// Number of members.
    #[schemars(range(min = 2))]
    pub population: usize,
    /// How many of the best have children.
    #[schemars(range(min = 1))]
    pub parents: usize,
    /// Standard deviation of what is added to each number of a child.
    #[schemars(range(min = 0.0))]
    pub mutation: f64,
    /// What the first members are.
    pub first_generation: FirstGeneration,
    /// Patterns of the parameters that are the genome, for example `*.weight`; empty for all.
    pub trainable: Vec<String>,
    /// Patterns of the parameters that all members share.
    pub frozen: Vec<String>,
}

impl Default for Genetic {
    fn default() -> Self {
        Self {
            population: 50,
            parents: 5,
            mutation: 0.005,
            first_generation: FirstGeneration::Shuffled,
            trainable: Vec::new(),
            frozen: Vec::new(),
        }
    }
}

#[typetag::serde(name = "genetic")]
impl LearningRule for Genetic {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.population >= 2, "population", self.population, "at least 2");
        let parents = (1..=self.population).contains(&self.parents);
        problems.require(parents, "parents", self.parents, "between 1 and population");
        let mutation = self.mutation;
        problems.require(mutation.is_finite() && mutation > 0.0, "mutation", mutation, "greater than 0");
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::new()
    }

    fn start(&self, _: &mut Network, _: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        let (rule, stream) = (self.clone(), stream.child("population"));
        Ok(Box::new(Population { rule, members: Tensors::new(), generation: 0, stream }))
    }
}

synfire::inventory::submit! { Component::rule::<Genetic>("genetic") }

/// Prefix of a parameter of all members in a saved state.
const MEMBERS: &str = "members/";
/// Name of the number of generations so far in a saved state.
const GENERATION: &str = "generation";
/// The rule at work.
struct Population {
    rule: Genetic,
    /// The genome of all members, `[member, ..]` by the name of the parameter.
    members: Tensors,
    generation: i64,
    stream: Stream,
}

impl Population {
    /// Follow the network and the lesson: parameters that joined the genome get members, those that left it are forgotten.
    fn follow(&mut self, network: &Network, rollout: &Rollout) -> Result<()> {
        let rule = &self.rule;
        let mut names = network.trained(rollout.lesson);
        names.retain(|name| chosen(&rule.trainable, &rule.frozen, name));
        if names.is_empty() {
            return Err(Error::config(
                "rule.trainable",
                "and the lesson leave no parameter to change",
                format_args!("the parameters are: {}", network.names().join(", ")),
            ));
        }
        let mut members = Tensors::new();
        for name in names {
            let drawn = network.parameters.get(&name)?;
            let mut shape = vec![rule.population as i64];
            shape.extend(drawn.size());
            let all = match self.members.find(&name) {
                Some(all) if all.size() == shape => all.f_to_device(drawn.device())?,
                Some(all) => {
                    return Err(Error::Shape {
                        what: format!("'{name}' of the saved population"),
                        expected: format!("{shape:?}"),
                        found: format!("{:?}", all.size()),
                    });
                }
                None => self.first(&name, drawn)?,
            };
            members.insert(name, all);
        }
        self.members = members;
        Ok(())
    }

    /// A parameter of all members of the first generation.
    fn first(&self, name: &str, drawn: &Tensor) -> Result<Tensor> {
        let stream = self.stream.child("first").child(name);
        let values = values_f64(drawn);
        let member = |k: usize| -> Result<Tensor> {
            let mut stream = stream.at(k as u64);
            match (k, self.rule.first_generation) {
                (0, _) => Ok(drawn.copy()),
                (_, FirstGeneration::Shuffled) => {
                    let shuffled: Vec<f64> = stream.permutation(values.len()).into_iter().map(|i| values[i]).collect();
                    let like = (drawn.kind(), drawn.device());
                    Ok(Tensor::from_slice(&shuffled).f_reshape(drawn.size())?.f_to_kind(like.0)?.f_to_device(like.1)?)
                }
                (_, FirstGeneration::Mutated) => self.mutated(drawn, &mut stream),
            }
        };
        let all = (0..self.rule.population).map(member).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::f_stack(&all, 0)?)
    }

    fn mutated(&self, parent: &Tensor, stream: &mut Stream) -> Result<Tensor> {
        let noise = stream.normal_tensor(&parent.size(), Kind::Double, parent.device());
        Ok(parent.f_add(&noise.f_mul_scalar(self.rule.mutation)?.f_to_kind(parent.kind())?)?)
    }

    /// The parameters of each member.
    fn parameters(&self, network: &Network) -> Result<Vec<Tensors>> {
        let one = |k: usize| -> Result<Tensors> {
            let mut parameters = network.parameters.shallow_clone();
            for (name, all) in self.members.iter() {
                parameters.insert(name, all.f_get(k as i64)?.f_contiguous()?);
            }
            Ok(parameters)
        };
        (0..self.rule.population).map(one).collect()
    }

    /// The next generation, from the members in the order of their loss.
    fn children(&self, order: &[usize]) -> Result<Tensors> {
        let rule = &self.rule;
        let stream = self.stream.at(self.generation as u64);
        let mut parents = stream.child("parents");
        let parents: Vec<usize> =
            (1..rule.population).map(|_| order[parents.below(rule.parents as u64) as usize]).collect();
        let mut next = Tensors::new();
        for (name, all) in self.members.iter() {
            let mut children = vec![all.f_get(order[0] as i64)?];
            for (k, parent) in parents.iter().enumerate() {
                let mut noise = stream.child(name).at(k as u64);
                children.push(self.mutated(&all.f_get(*parent as i64)?, &mut noise)?);
            }
            next.insert(name, Tensor::f_stack(&children, 0)?);
        }
        Ok(next)
    }
}

impl Learner for Population {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        self.follow(network, rollout)?;
        let judgements = rollout.judge_each(network, &self.parameters(network)?, &trials)?;
        let loss = |member: usize| Some(judgements[member].0).filter(|loss| loss.is_finite()).unwrap_or(f64::INFINITY);
        let mut order: Vec<usize> = (0..judgements.len()).collect();
        order.sort_by(|a, b| loss(*a).total_cmp(&loss(*b)));
        let best = order[0];
        if loss(best).is_infinite() {
            return Err(Error::NotFinite { what: "the loss of every member".into(), update: 0, caution: None });
        }
        for (name, all) in self.members.iter() {
            network.parameters.insert(name, all.f_get(best as i64)?.copy());
        }
        self.members = self.children(&order)?;
        self.generation += 1;
        let (loss, accuracy) = judgements[best];
        Ok(StepReport { loss, accuracy, gradient_norm: None })
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::from([(GENERATION, Tensor::from(self.generation))]);
        for (name, all) in self.members.iter() {
            state.insert(format!("{MEMBERS}{name}"), all.copy());
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let mut members = Tensors::new();
        for (name, all) in state.iter() {
            match name.strip_prefix(MEMBERS) {
                Some(name) => members.insert(name, all.copy()),
                None if name == GENERATION => {}
                None => {
                    let problem = format!("the saved state of 'genetic' has '{name}', which it does not keep");
                    return Err(Error::Failed(problem));
                }
            }
        }
        self.generation = state.get(GENERATION)?.f_reshape([1])?.f_int64_value(&[0])?;
        self.members = members;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
