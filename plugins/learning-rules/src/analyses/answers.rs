//! What a network says over the course of its trials, and when it changes its mind.

use synfire::network;
use synfire::rollout::{Played, Record};
use synfire::subject::RunView;
use synfire::tch::no_grad;
use synfire::tensors::values_f64;
use synfire::{Error, Lesson, Network, Result, Stream};

/// The first output of the first head at every step.
pub(super) struct Answers {
    /// `[trial][time]`.
    pub courses: Vec<Vec<f64>>,
}

impl Answers {
    /// Of fresh trials.
    pub fn play(view: &RunView, network: &Network, lesson: &Lesson, batch: usize, stream: &Stream) -> Result<Self> {
        Self::of(network, &view.play(network, lesson, batch, Record::Rates, stream)?)
    }

    /// Of trials that were played with their rates.
    pub fn of(network: &Network, played: &Played) -> Result<Self> {
        let silent = || Error::Failed("the trials ask no head, so there is no answer".into());
        let output = played.outputs.first().ok_or_else(silent)?;
        let over_time = match output.dim() {
            3 => output.shallow_clone(),
            // Heads that answer at the end alone are read at every step.
            _ => {
                let head = played.trials.targets.first().ok_or_else(silent)?.head;
                let rates = played.rates.as_ref().ok_or_else(|| Error::Failed("the rollout kept no rates".into()))?;
                let weight = network.parameters.get(&network::head_weight(head))?;
                let rates = rates.f_to_device(weight.device())?.f_to_kind(weight.kind())?;
                let mut said = no_grad(|| network::read(&network.parameters, &network.readout, &[head], &rates))?;
                said.pop().ok_or_else(silent)?
            }
        };
        let steps = over_time.size()[0] as usize;
        let flat = values_f64(&over_time.select(-1, 0).f_transpose(0, 1)?);
        Ok(Self { courses: flat.chunks(steps.max(1)).map(<[f64]>::to_vec).collect() })
    }
}

/// Steps at which the sign differs from that before; zeros keep the sign they follow.
pub(super) fn sign_changes(course: &[f64]) -> Vec<usize> {
    let mut changes = Vec::new();
    let mut sign = 0.0;
    for (step, value) in course.iter().enumerate().filter(|(_, value)| **value != 0.0) {
        if sign != 0.0 && value.signum() != sign {
            changes.push(step);
        }
        sign = value.signum();
    }
    changes
}

/// When a change of sign is a change of mind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Watch {
    /// Changes before this step do not count.
    pub from: usize,
    /// Steps without another change before and after it, and until the end.
    pub stable: usize,
    /// What the answer must reach between this change and its neighbours, on both sides.
    pub amplitude: f64,
}

/// The changes of mind among the changes of sign.
pub(super) fn changes_of_mind(course: &[f64], watch: Watch) -> Vec<usize> {
    let all = sign_changes(course);
    let reaches = |steps: std::ops::Range<usize>| course[steps].iter().any(|value| value.abs() > watch.amplitude);
    let counts = |at: usize| {
        let step = all[at];
        let before = if at == 0 { 0 } else { all[at - 1] };
        let after = all.get(at + 1).copied().unwrap_or(course.len());
        let stable = step - before >= watch.stable && after - step >= watch.stable;
        step >= watch.from && stable && reaches(before..step) && reaches(step..after)
    };
    (0..all.len()).filter(|at| counts(*at)).map(|at| all[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_keep_the_sign_they_follow() {
        assert_eq!(sign_changes(&[0.0, 1.0, 0.0, 2.0, -1.0, 0.0, 1.0]), [4, 6]);
        assert!(sign_changes(&[0.0; 4]).is_empty());
    }

    #[test]
    fn a_change_of_mind_is_late_lasting_and_strong() {
        let watch = Watch { from: 10, stable: 5, amplitude: 0.5 };
        let course =
            |parts: &[(usize, f64)]| parts.iter().flat_map(|(n, x)| std::iter::repeat_n(*x, *n)).collect::<Vec<f64>>();
        assert_eq!(changes_of_mind(&course(&[(12, 1.0), (8, -1.0)]), watch), [12]);
        assert!(changes_of_mind(&course(&[(8, 1.0), (12, -1.0)]), watch).is_empty(), "too early");
        assert!(changes_of_mind(&course(&[(12, 1.0), (4, -1.0)]), watch).is_empty(), "too late");
        assert!(changes_of_mind(&course(&[(12, 0.4), (8, -1.0)]), watch).is_empty(), "undecided before");
        assert!(changes_of_mind(&course(&[(12, 1.0), (8, -0.4)]), watch).is_empty(), "undecided after");
        assert!(changes_of_mind(&course(&[(12, 1.0), (3, -1.0), (10, 1.0)]), watch).is_empty(), "it swings back");
    }
}
