//! Twenty tasks about angles on a ring, drawn by one generator.

mod bump;
mod draw;
mod epochs;
mod padded;
mod performance;
mod rule;
#[cfg(test)]
mod tests;
mod trials;

pub use bump::{bump, decode, distance};
pub(super) use epochs::steps;
pub(super) use padded::padded;
pub use performance::{ByRule, Performance, by_rule};
pub use rule::{Content, RULES, Rule, Structure};
pub(super) use trials::{Ring, Row, spec, trials};

use performance::share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::task::Scores;
use synfire::tch::{Kind, Tensor};
use synfire::{Component, Lesson, Problems, Properties, Property, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Condition: the place of the trial's rule in [`RULES`].
pub const RULE: &str = "rule";
/// Condition: the first step of the response epoch.
pub const RESPONSE_START: &str = "response_start";

/// Durations of the epochs of a trial, in ms.
///
/// Steps are quotients by the time step, rounded down. In training every epoch but the response is longer or shorter by up to
/// `jitter_ms`, one draw for all trials of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Before the trial, with the rule input alone and outside the gradient.
    #[schemars(range(min = 0.0))]
    pub settle_ms: f64,
    /// Fixation before the first stimulus.
    #[schemars(range(min = 0.0))]
    pub fixation_ms: f64,
    /// Each stimulus; without a stimulus in the reaction-time tasks.
    #[schemars(range(min = 0.0))]
    pub stimulus_ms: f64,
    /// Between stimulus and response, or between two stimuli, in the tasks that have a delay.
    #[schemars(range(min = 0.0))]
    pub delay_ms: f64,
    /// The response.
    #[schemars(range(min = 0.0))]
    pub response_ms: f64,
    /// Largest change of an epoch in training.
    #[schemars(range(min = 0.0))]
    pub jitter_ms: f64,
    /// At the start of the trial and of the response, where outputs do not count.
    #[schemars(range(min = 0.0))]
    pub free_ms: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            settle_ms: 1000.0,
            fixation_ms: 500.0,
            stimulus_ms: 500.0,
            delay_ms: 1000.0,
            response_ms: 500.0,
            jitter_ms: 100.0,
            free_ms: 200.0,
        }
    }
}

/// How trials are drawn in which two stimuli do not match; with other than the defaults, as in the published code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NonMatch {
    /// When the tasks of non-matching, `dnms` and `dnmc`, ask for a response.
    pub answer: Answered,
    /// In which order the categories come, in `dmc` and `dnmc`.
    pub order: NonMatchOrder,
    /// What the ring should say where fixation is to be kept.
    pub ring: SilentRing,
}

/// When the tasks of non-matching ask for a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// Where the stimuli do not match.
    #[default]
    Opposite,
    /// Where they match, as in the tasks of matching, from which only the rule input tells them apart: the published code.
    AsMatch,
}

/// The order of two categories that do not match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NonMatchOrder {
    /// Either.
    #[default]
    Both,
    /// Always that of the first quarter of the ring before that of the third, so that the first stimulus may give the answer away:
    /// the published code.
    FirstCategoryFirst,
}

/// What the ring should say where fixation is to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SilentRing {
    /// 0.05, as before the response.
    #[default]
    Floor,
    /// 0: the published code.
    Zero,
}

/// Judge outputs by the summed squared error of both windows and by the published performance.
pub(super) fn score(trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
    let mut scores = spec(None).objective.score(trials, outputs)?;
    if let (Some(head), Some(output)) = (scores.heads.first_mut(), outputs.first()) {
        head.accuracy = Some(Tensor::from(share(trials, output)?).to_kind(Kind::Double));
    }
    Ok(scores)
}

/// A ring task's accuracy is the published performance.
pub(super) fn provides(spec: &TaskSpec) -> Properties {
    let mut properties = spec.properties();
    properties.insert(Property::Accuracy);
    properties
}

macro_rules! ring_task {
    ($(#[doc = $doc:literal])+ $name:ident, $tag:tt, $place:literal $(, $(#[doc = $extra_doc:literal])+ $extra:ident: $kind:ty)?) => {
        $(#[doc = $doc])+
        ///
        /// inputs  `[time, batch, 85]`  fixation; two rings of 32 units, one for each modality; 20 rule inputs, of which one is on
        /// targets `[time, batch, 33]`  fixation (0.85, in the response 0.05); a ring (0.05, in the response a bump at its angle)
        /// weight  `[time, batch]`      the same in all steps of each of two windows, which count alike: trial and response, each
        ///                              without its first `timing.free_ms`
        ///
        /// The targets are compared with the logistic of the outputs; the loss is the sum of the mean squared errors of the windows.
        /// A bump at an angle is `0.8 exp(-d^2 / 2)` with `d` the distance in units of pi/8. Every trial is preceded by
        /// `timing.settle_ms` with the rule input alone, outside the gradient.
        ///
        /// The accuracy is the published performance `w F + (1 - w)(K + L R)`: `F` the share of steps with a fixation output above
        /// 0.5 before the response; of the response `K` the share of steps with fixation kept where that is asked, `L` the share of
        /// those with fixation let go where a response is asked, and `R` the share of angles within a tenth of a turn of the right
        /// one among these; `w` is 2/3 with one stimulus and no delay, 4/5 with a delay, 5/6 with two stimuli. It is a mean of
        /// products of shares of a batch, so that batches should be large.
        ///
        /// Conditions: `rule`, `response_start` (step), `responds` (1 or 0), `angle` (of the response, or of the last stimulus; rad),
        /// `difference` (of the strengths of two stimuli).
        ///
        /// Source: Yang, Joglekar, Song, Newsome & Wang 2019, doi:10.1038/s41593-018-0310-2, for the twenty rules; Soo, Goudar &
        /// Wang 2023, doi:10.1101/2023.10.10.561588, for these trials. Differs: where the published code is at odds with the
        /// meaning of a task, the default is the meaning.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Duration of a step in ms, where the lesson sets none.
            #[schemars(extend("exclusiveMinimum" = 0.0))]
            pub dt_ms: f64,
            /// Durations of the epochs.
            pub timing: Timing,
            $($(#[doc = $extra_doc])+ pub $extra: $kind,)?
        }

        impl Default for $name {
            fn default() -> Self {
                let Ring { dt_ms, timing, .. } = Ring::of(&RULES[$place]);
                Self { dt_ms, timing, $($extra: <$kind>::default())? }
            }
        }

        impl $name {
            fn ring(&self) -> Ring {
                Ring { dt_ms: self.dt_ms, timing: self.timing, $($extra: self.$extra,)? ..Ring::of(&RULES[$place]) }
            }
        }

        #[typetag::serde(name = $tag)]
        impl Task for $name {
            fn check(&self, _: &Registry, problems: &mut Problems) {
                self.ring().check(problems);
            }

            fn spec(&self) -> TaskSpec {
                spec(Some(self.dt_ms))
            }

            fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
                self.ring().trials(lesson, batch, stream, $tag)
            }

            fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
                score(trials, outputs)
            }

            fn provides(&self, _: &Registry) -> Properties {
                provides(&self.spec())
            }
        }

        synfire::inventory::submit! { Component::task::<$name>($tag) }
    };
}

ring_task! {
    /// Go to the angle of a stimulus when fixation ends.
    RingGo, "ring-go", 0
}
ring_task! {
    /// Go to the angle of a stimulus as soon as it appears; the fixation input stays on.
    RingRtgo, "ring-rtgo", 1
}
ring_task! {
    /// Go to the angle of a stimulus that was shown before a delay.
    RingDlygo, "ring-dlygo", 2
}
ring_task! {
    /// Go to the angle opposite a stimulus when fixation ends.
    RingAnti, "ring-anti", 3
}
ring_task! {
    /// Go to the angle opposite a stimulus as soon as it appears; the fixation input stays on.
    RingRtanti, "ring-rtanti", 4
}
ring_task! {
    /// Go to the angle opposite a stimulus that was shown before a delay.
    RingDlyanti, "ring-dlyanti", 5
}
ring_task! {
    /// Go to the stronger of two stimuli, both of the first modality.
    RingDm1, "ring-dm1", 6
}
ring_task! {
    /// Go to the stronger of two stimuli, both of the second modality.
    RingDm2, "ring-dm2", 7
}
ring_task! {
    /// Go to the stronger of two stimuli in the first modality, whatever the second shows.
    RingCtxdm1, "ring-ctxdm1", 8
}
ring_task! {
    /// Go to the stronger of two stimuli in the second modality, whatever the first shows.
    RingCtxdm2, "ring-ctxdm2", 9
}
ring_task! {
    /// Go to the stronger of two stimuli that both modalities show, one of them more faintly.
    RingMultsendm, "ring-multsendm", 10
}
ring_task! {
    /// Go to the stronger of two stimuli with a delay between them, both of the first modality.
    RingDlydm1, "ring-dlydm1", 11
}
ring_task! {
    /// Go to the stronger of two stimuli with a delay between them, both of the second modality.
    RingDlydm2, "ring-dlydm2", 12
}
ring_task! {
    /// Go to the stronger of two stimuli with a delay between them in the first modality, whatever the second shows.
    RingCtxdlydm1, "ring-ctxdlydm1", 13
}
ring_task! {
    /// Go to the stronger of two stimuli with a delay between them in the second modality, whatever the first shows.
    RingCtxdlydm2, "ring-ctxdlydm2", 14
}
ring_task! {
    /// Go to the stronger of two stimuli with a delay between them that both modalities show, one of them more faintly.
    RingMultsendlydm, "ring-multsendlydm", 15
}
ring_task! {
    /// Go to the second of two stimuli if it is at the angle of the first, else keep fixating.
    RingDms, "ring-dms", 16,
    /// What the published code does otherwise in trials without a match.
    non_match: NonMatch
}
ring_task! {
    /// Go to the second of two stimuli if it is not at the angle of the first, else keep fixating.
    RingDnms, "ring-dnms", 17,
    /// What the published code does otherwise in trials without a match.
    non_match: NonMatch
}
ring_task! {
    /// Go to the second of two stimuli if it is in the same quarter of the ring as the first, else keep fixating.
    RingDmc, "ring-dmc", 18,
    /// What the published code does otherwise in trials without a match.
    non_match: NonMatch
}
ring_task! {
    /// Go to the second of two stimuli if it is not in the same quarter of the ring as the first, else keep fixating.
    RingDnmc, "ring-dnmc", 19,
    /// What the published code does otherwise in trials without a match.
    non_match: NonMatch
}
