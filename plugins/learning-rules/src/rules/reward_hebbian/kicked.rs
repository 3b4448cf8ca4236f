//! The rule at work.

use super::super::rate_network::{carry_back, rate_form, sent, setting_of};
use super::{Eligibility, Reward, RewardHebbian};
use std::collections::BTreeMap;
use synfire::recurrence::{RECURRENT, RateForm};
use synfire::rollout::{Rollout, Traced};
use synfire::task::Answer;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Error, Learner, Network, Result, StepReport, Tensors, Trials};

/// Names of what is saved.
pub(super) const MEAN: &str = "mean_excitation";
pub(super) const ERRORS: &str = "mean_errors";
const KINDS: &str = "kinds";
const TRIALS: &str = "trials";

/// The rule at work.
pub(super) struct Kicked {
    pub(super) rule: RewardHebbian,
    /// Heads that are known to say the rates of their units.
    pub(super) heads: Vec<usize>,
    /// Running mean of the excitation, `[unit]`.
    pub(super) mean: Option<Vec<f64>>,
    /// Running mean of the error by kind of trial; the kind is kept as the bits of its number.
    pub(super) errors: BTreeMap<i64, f64>,
    pub(super) trials: i64,
}

impl Kicked {
    /// What the synapses remember of one trial, `[target, source]`.
    fn eligibility(
        &mut self,
        traced: &Traced,
        form: &RateForm,
        row: usize,
        kicks: &[f64],
        rewards: Option<&[f64]>,
    ) -> Result<Tensor> {
        let rule = &self.rule;
        let state = traced.states.get(&form.state)?.f_select(1, row as i64)?;
        let (time, units) = ((state.size()[0] - 1) as usize, state.size()[1] as usize);
        let batch = traced.trials.batch();
        let excitation = values_f64(&state.f_narrow(0, 1, time as i64)?);
        let mut mean = self.mean.take().filter(|mean| mean.len() == units).unwrap_or_else(|| vec![0.0; units]);
        let (a, perturbed) = (rule.excitation_trace, rule.eligibility == Eligibility::NodePerturbation);
        let mut fluctuations = vec![0f32; time * units];
        for step in 0..time {
            let remembered = step >= rule.quiet_steps;
            let reward = rewards.map_or(1.0, |rewards| rewards[step]);
            for unit in 0..units {
                let x = excitation[step * units + unit];
                let delta = if perturbed { kicks[(step * batch + row) * units + unit] } else { x - mean[unit] };
                mean[unit] = a * mean[unit] + (1.0 - a) * x;
                if remembered {
                    fluctuations[step * units + unit] = (reward * rule.eligibility.of_fluctuation(delta)) as f32;
                }
            }
        }
        self.mean = Some(mean);
        let rates = sent(form, &state.f_narrow(0, 0, time as i64)?);
        let fluctuations =
            Tensor::from_slice(&fluctuations).f_reshape([time as i64, units as i64])?.f_to_kind(rates.kind())?;
        let fluctuations = fluctuations.f_to_device(rates.device())?;
        Ok(fluctuations.f_transpose(0, 1)?.f_mm(&self.rule.eligibility.of_rate(&rates))?)
    }

    /// Fluctuation of the reward at every step of one trial around its running mean.
    fn rewards(&self, traced: &Traced, rollout: &Rollout, outputs: usize) -> Result<Vec<Vec<f64>>> {
        let (time, batch) = (traced.trials.time(), traced.trials.batch());
        let objective = rollout.task.spec().objective;
        let mut distances = vec![0.0; time * batch];
        let mut weights = vec![0.0; time * batch];
        for (target, output) in traced.trials.targets.iter().zip(&traced.outputs) {
            let (values, weight) = objective.signal(&traced.trials, target, outputs);
            let output = match traced.trials.answer {
                Answer::EveryStep => output.shallow_clone(),
                Answer::FinalStep => output.f_unsqueeze(0)?.f_expand(values.size(), false)?,
            };
            let distance = values_f64(&output.f_sub(&values)?.f_abs()?.f_mean_dim(-1i64, false, None::<Kind>)?);
            for (i, weight) in values_f64(&weight).into_iter().enumerate() {
                distances[i] += weight * distance[i];
                weights[i] += weight;
            }
        }
        let a = self.rule.excitation_trace;
        let of_row = |row: usize| -> Vec<f64> {
            // The mean starts at the first reward: before it there was none to compare with.
            let mut mean: Option<f64> = None;
            let step = |t: usize| {
                let i = t * batch + row;
                if weights[i] == 0.0 {
                    return 0.0;
                }
                let reward = -distances[i] / weights[i];
                let before = mean.unwrap_or(reward);
                mean = Some(a * before + (1.0 - a) * reward);
                reward - before
            };
            (0..time).map(step).collect()
        };
        Ok((0..batch).map(of_row).collect())
    }
}

impl Learner for Kicked {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        if self.rule.output_units {
            for target in &trials.targets {
                if !self.heads.contains(&target.head) {
                    self.rule.read_units(network, target.head)?;
                    self.heads.push(target.head);
                }
            }
        }
        let setting = setting_of(rollout, &trials);
        let form = rate_form(network, &setting, "reward-hebbian")?;
        let shape = [trials.time() as i64, trials.batch() as i64, network.dynamics.units() as i64];
        let kicks = self.rule.kicks(shape, &rollout.stream.child("perturbation"));
        let like = (trials.inputs.kind(), trials.inputs.device());
        let drive = Tensor::from_slice(&kicks).f_reshape(shape)?.f_to_kind(like.0)?.f_to_device(like.1)?;
        let traced = rollout.trace(network, &trials, Some(&drive))?;
        let errors = values_f64(&rollout.task.errors(&traced.trials, &traced.outputs)?);
        let (loss, accuracy) = rollout.task.score(&traced.trials, &traced.outputs)?.summary();
        if errors.iter().any(|error| !error.is_finite()) {
            return Err(Error::NotFinite { what: "the error of a trial".into(), update: 0, caution: None });
        }
        let rewards = match self.rule.reward {
            Reward::RealTime => Some(self.rewards(&traced, rollout, network.readout.outputs)?),
            Reward::EndOfTrial => None,
        };
        let kinds = trials.conditions.get(&self.rule.condition);
        let mut wanted: Option<Tensor> = None;
        for (row, error) in errors.iter().enumerate() {
            let own = rewards.as_ref().map(|rewards| &rewards[row][..]);
            let eligibility = self.eligibility(&traced, &form, row, &kicks, own)?;
            let kind = kinds.and_then(|kinds| kinds.get(row)).map_or(0, |kind| kind.to_bits() as i64);
            let mean = self.errors.entry(kind).or_insert(0.0);
            let factor = match self.rule.reward {
                Reward::EndOfTrial => -self.rule.learning_rate * *mean * (error - *mean),
                Reward::RealTime => self.rule.learning_rate,
            };
            *mean = self.rule.error_trace * *mean + (1.0 - self.rule.error_trace) * error;
            if self.trials > self.rule.warm_up as i64 {
                let largest = self.rule.largest_change;
                let change = eligibility.f_mul_scalar(factor)?.f_clamp(-largest, largest)?;
                wanted = Some(wanted.map_or(Ok(change.shallow_clone()), |sum| sum.f_add(&change))?);
            }
            self.trials += 1;
        }
        if let Some(wanted) = wanted {
            let mut names = network.trained(rollout.lesson);
            names.retain(|name| !name.starts_with("head."));
            let changes = Tensors::from([(RECURRENT, wanted)]);
            for (name, change) in carry_back(network, &setting, &names, &changes, None)?.iter() {
                let changed = network.parameters.get(name)?.f_add(change)?;
                network.parameters.insert(name, changed);
            }
        }
        Ok(StepReport { loss, accuracy, gradient_norm: None })
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        self.heads.retain(|head| network.readout.heads.contains(head));
        Ok(())
    }

    fn state(&self) -> Result<Tensors> {
        let (kinds, errors): (Vec<i64>, Vec<f64>) = self.errors.iter().map(|(kind, error)| (*kind, *error)).unzip();
        let mut state = Tensors::from([(TRIALS, Tensor::from(self.trials))]);
        if !kinds.is_empty() {
            state.insert(KINDS, Tensor::from_slice(&kinds));
            state.insert(ERRORS, Tensor::from_slice(&errors));
        }
        if let Some(mean) = &self.mean {
            state.insert(MEAN, Tensor::from_slice(mean));
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        if let Some(name) = state.names().find(|name| ![TRIALS, KINDS, ERRORS, MEAN].contains(name)) {
            let problem = format!("the saved state of 'reward-hebbian' has '{name}', which it does not keep");
            return Err(Error::Failed(problem));
        }
        let errors = state.find(ERRORS).map(values_f64).unwrap_or_default();
        let kinds: Vec<i64> = state
            .find(KINDS)
            .map(|kinds| {
                (0..kinds.numel() as i64)
                    .map(|i| kinds.f_int64_value(&[i]))
                    .collect::<std::result::Result<Vec<i64>, _>>()
            })
            .transpose()?
            .unwrap_or_default();
        if kinds.len() != errors.len() {
            return Err(Error::Shape {
                what: "the mean errors of a saved 'reward-hebbian'".into(),
                expected: format!("{} numbers", kinds.len()),
                found: format!("{}", errors.len()),
            });
        }
        self.trials = state.get(TRIALS)?.f_reshape([1])?.f_int64_value(&[0])?;
        self.errors = kinds.into_iter().zip(errors).collect();
        self.mean = state.find(MEAN).map(values_f64);
        Ok(())
    }
}
