//! A rate that is seen, heard or both.

use super::decision::{Judged, Window};
use super::trial::{Sheet, in_steps, require_finite, require_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::{Answer, Period, Scores};
use synfire::tch::Tensor;
use synfire::{Component, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Say whether a rate that is heard, seen or both lies above a threshold.
///
/// In each trial a rate uniform from `lowest_rate` to `highest_rate` and one of three modalities are drawn. With standard normal noise
/// `xi`, drawn afresh at every step and on both channels,
///
/// inputs  `[steps, batch, 2]`  `rate / highest_rate` from step `onset` on, heard (channel 0), seen (channel 1) or both, plus
///                              `noise_std / highest_rate xi` at all steps
/// targets `[steps, batch, 1]`  0 before the onset, then 1 for rates of at least `threshold` and -1 below
/// weight  `[steps, batch]`     1
///
/// An answer is correct when the last output has the sign of the target, unless `judged` says otherwise. For psychometric curves
/// `rate` and `modality` fix what else is drawn.
///
/// Conditions: `rate`, `modality` (0 heard, 1 seen, 2 both), `choice` (the target), `trial_type` (2 modality, plus 1 where the target
/// is 1).
///
/// Source: Song, Yang & Wang 2016, "Training excitatory-inhibitory recurrent neural networks for cognitive tasks",
/// doi:10.1371/journal.pcbi.1004792, in the form of McMahan, Kleinman & Kao 2021, NeurIPS,
/// <https://openreview.net/forum?id=Bix4uw5GcbE>.
/// Differs: losses are means over trials and steps, two thirds of the published sum over 500.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Multisensory {
    /// Steps of a trial.
    #[schemars(range(min = 2))]
    pub steps: usize,
    /// The first step of the stimulus.
    pub onset: usize,
    /// Lowest rate.
    #[schemars(range(min = 0.0))]
    pub lowest_rate: f64,
    /// Highest rate; an input of 1 stands for it.
    #[schemars(range(min = 0.0))]
    pub highest_rate: f64,
    /// Rates from here on are high.
    pub threshold: f64,
    /// Standard deviation of the noise of each step, as a rate.
    #[schemars(range(min = 0.0))]
    pub noise_std: f64,
    /// The rate of every trial; left out, it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The modality of every trial; left out, it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// How answers are judged.
    pub judged: Judged,
}

/// By which sense a rate is perceived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// It is heard.
    Auditory,
    /// It is seen.
    Visual,
    /// It is heard and seen.
    Both,
}

impl Modality {
    const ALL: [Self; 3] = [Self::Auditory, Self::Visual, Self::Both];
}

impl Default for Multisensory {
    fn default() -> Self {
        Self {
            steps: 750,
            onset: 200,
            lowest_rate: 9.0,
            highest_rate: 16.0,
            threshold: 12.5,
            noise_std: 0.05,
            rate: None,
            modality: None,
            judged: Judged::default(),
        }
    }
}

#[typetag::serde(name = "multisensory")]
impl Task for Multisensory {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.steps >= 2, "steps", self.steps, "at least 2");
        problems.require(self.onset < self.steps, "onset", self.onset, "below steps");
        require_size(problems, "lowest_rate", self.lowest_rate);
        let above = self.highest_rate.is_finite() && self.highest_rate > self.lowest_rate;
        problems.require(above, "highest_rate", self.highest_rate, "above lowest_rate");
        problems.require(self.threshold.is_finite(), "threshold", self.threshold, "a finite number");
        require_size(problems, "noise_std", self.noise_std);
        require_finite(problems, "rate", self.rate);
        self.judged.check(problems);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["auditory".into(), "visual".into()],
            outputs: 1,
            objective: Judged::objective(),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "multisensory")?;
        let mut inputs = Sheet::new(self.steps, batch, 2);
        let (mut rates, mut modalities, mut choice) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            let (drawn, uniform) = (stream.below(3) as usize, stream.uniform());
            let modality = self.modality.unwrap_or(Modality::ALL[drawn]);
            let rate = self.rate.unwrap_or(self.lowest_rate + (self.highest_rate - self.lowest_rate) * uniform);
            let level = rate / self.highest_rate;
            let felt = match modality {
                Modality::Auditory => [level, 0.0],
                Modality::Visual => [0.0, level],
                Modality::Both => [level, level],
            };
            for step in 0..self.steps {
                for (channel, level) in felt.iter().enumerate() {
                    let signal = if step < self.onset { 0.0 } else { *level };
                    inputs.set(step, row, channel, signal + self.noise_std / self.highest_rate * stream.normal());
                }
            }
            rates.push(rate);
            modalities.push(modality as usize as f64);
            choice.push(if rate >= self.threshold { 1.0 } else { -1.0 });
        }
        let window = Window { time: self.steps, answer: self.steps - self.onset, silent: self.onset };
        let target = window.target(&choice);
        let trial_type = modalities.iter().zip(&choice).map(|(m, s)| 2.0 * m + f64::from(u8::from(*s > 0.0))).collect();
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![target],
            answer: Answer::EveryStep,
            periods: vec![Period::new("fixation", 0, self.onset), Period::new("stimulus", self.onset, self.steps)],
            conditions: [
                ("rate".into(), rates),
                ("modality".into(), modalities),
                ("choice".into(), choice),
                ("trial_type".into(), trial_type),
            ]
            .into(),
            ..Trials::default()
        })
    }

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        self.judged.score(trials, outputs)
    }

    fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        self.judged.errors(trials, outputs)
    }
}

synfire::inventory::submit! { Component::task::<Multisensory>("multisensory") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tensors::values_f64;

    #[test]
    fn each_modality_shows_the_rate_on_its_channels_after_the_onset() {
        let task = Multisensory { noise_std: 0.0, ..Multisensory::default() };
        let trials = task.trials(&Lesson::default(), 300, &mut Stream::new(1)).expect("in range");
        let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        let mut counts = [0; 3];
        for row in 0..300 {
            let rate = trials.conditions["rate"][row];
            let modality = trials.conditions["modality"][row] as usize;
            counts[modality] += 1;
            let at = |step: usize| &inputs[(step * 300 + row) * 2..][..2];
            assert_eq!(at(199), [0.0, 0.0]);
            let expected = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]][modality].map(|on: f64| on * rate / 16.0);
            assert!(at(200).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7));
            let class = if rate >= 12.5 { 1.0 } else { -1.0 };
            assert_eq!((targets[199 * 300 + row], targets[200 * 300 + row]), (0.0, class));
        }
        // 100 of each expected, five standard deviations are 41
        assert!(counts.iter().all(|n| (59..=141).contains(n)), "{counts:?}");
        assert_eq!(trials.targets[0].total, 300.0 * 750.0);
    }

    #[test]
    fn rate_and_modality_can_be_fixed_and_nonsense_is_refused() {
        let task = Multisensory { rate: Some(12.5), modality: Some(Modality::Visual), ..Multisensory::default() };
        let trials = task.trials(&Lesson::default(), 10, &mut Stream::new(1)).expect("in range");
        assert!(trials.conditions["choice"].iter().all(|s| *s == 1.0));
        assert!(trials.conditions["trial_type"].iter().all(|t| *t == 3.0));
        let mut problems = Problems::under("task");
        Multisensory { onset: 750, highest_rate: 9.0, ..Multisensory::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        let message = problems.into_result().expect_err("two").to_string();
        assert!(message.contains("task.onset is 750") && message.contains("task.highest_rate is 9"), "{message}");
    }
}
