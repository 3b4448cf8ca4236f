//! Trials that ask about the last `N` symbols of a random stream.

use super::bit_stream::{BitStream, Rate, Symbols};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synfire::curriculum::Level;
use synfire::task::{Answer, Difficulty, Objective, Target};
use synfire::tch::Tensor;
use synfire::{Error, Lesson, Problems, Result, Stream, TaskSpec, Trials};

/// Steps for which each symbol is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of steps or a list of them")]
pub enum Repeat {
    /// The same in every batch.
    Steps(#[schemars(range(min = 1, max = 65536))] usize),
    /// One of these in each batch, drawn anew.
    Drawn(#[schemars(length(min = 1), inner(range(min = 1, max = 65536)))] Vec<usize>),
}

/// Most steps for which a symbol can be shown.
const LONGEST: usize = 1 << 16;
/// Most symbols of a trial.
const MOST: usize = 1 << 24;
/// What a lesson schedules to show symbols for other steps than the options say.
const SCHEDULED: &str = "repeat";

impl Repeat {
    /// Report what is out of range.
    pub fn check(&self, problems: &mut Problems) {
        let rule = format!("from 1 to {LONGEST}");
        match self {
            Self::Steps(steps) => problems.require((1..=LONGEST).contains(steps), "repeat", steps, &rule),
            Self::Drawn(choices) => {
                problems.require(!choices.is_empty(), "repeat", "an empty list", "a number, or a list of some");
                for (place, steps) in choices.iter().enumerate() {
                    problems.require((1..=LONGEST).contains(steps), &format!("repeat.{place}"), steps, &rule);
                }
            }
        }
    }

    /// The steps of one batch: what the lesson schedules as `repeat`, else what the options say. Nothing is drawn where there is
    /// no choice.
    ///
    /// # Errors
    /// [`Error::Config`] when the lesson schedules something else than a whole number in range.
    pub fn draw(&self, lesson: &Lesson, stream: &mut Stream) -> Result<usize> {
        if let Some(scheduled) = lesson.schedule.get(SCHEDULED) {
            if scheduled.fract() != 0.0 || !(1.0..=LONGEST as f64).contains(scheduled) {
                let problem =
                    format_args!("schedules repeat = {scheduled}, must be a whole number from 1 to {LONGEST}");
                return Err(Error::config("curriculum", problem, ""));
            }
            return Ok(*scheduled as usize);
        }
        Ok(match self {
            Self::Steps(steps) => *steps,
            Self::Drawn(choices) => choices.get(stream.below(choices.len() as u64) as usize).copied().unwrap_or(1),
        })
    }
}

/// Trials that show a bit stream and ask yes or no about the last `N` symbols.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// How bits are shown.
    pub symbols: Symbols,
    /// The probability of a 1.
    pub rate: Rate,
    /// When heads answer.
    pub answer: Answer,
    /// Number of symbols; `None` to draw it.
    pub length: Option<usize>,
    /// Symbols at the start after which answers count.
    pub warm_up: usize,
}

/// The easiest `N`: with one symbol there is nothing to remember.
const LOWEST: usize = 2;

impl Question {
    /// Report every option that is out of range.
    pub fn check(&self, problems: &mut Problems) {
        if let Rate::Fixed(rate) = self.rate {
            problems.require((0.0..=1.0).contains(&rate), "rate", rate, "\"uniform\" or from 0 to 1");
        }
        if let Some(length) = self.length {
            problems.require((LOWEST..=MOST).contains(&length), "length", length, &format!("from {LOWEST} to {MOST}"));
            let rule = format!("below length = {length}, so that something is asked");
            problems.require(self.warm_up < length, "warm_up", self.warm_up, &rule);
        }
        problems.require(self.warm_up <= MOST, "warm_up", self.warm_up, &format!("at most {MOST}"));
        let asked_once = self.answer == Answer::FinalStep && self.warm_up > 0;
        problems.require(!asked_once, "warm_up", self.warm_up, "0 unless answer = \"every-step\"");
    }

    /// What the trials look like.
    pub fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["symbol".into()],
            outputs: 2,
            objective: Objective::classify(self.answer),
            dt_ms: None,
            difficulty: Some(Difficulty {
                name: "N".into(),
                lowest: LOWEST,
                highest: self.length,
                default: LOWEST,
                several_at_once: true,
            }),
            closed_loop: false,
        }
    }

    /// Draw the bits of a batch, as many in all trials: after those of the warm-up, with `N` the hardest level, from `N + 2` to
    /// `4 N + 1`.
    pub fn draw(&self, levels: &[Level], batch: usize, stream: &mut Stream) -> BitStream {
        let hardest = hardest(levels);
        let drawn = |stream: &mut Stream| self.warm_up + hardest + 2 + stream.below(3 * hardest as u64) as usize;
        let length = self.length.unwrap_or_else(|| drawn(stream));
        BitStream::draw(length, batch, self.rate, stream)
    }

    /// The levels of a lesson.
    ///
    /// # Errors
    /// [`Error::Config`] for a level out of range or longer than the trials, or for a time step: symbols have no duration.
    pub fn levels(&self, lesson: &Lesson) -> Result<Vec<Level>> {
        if let Some(dt_ms) = lesson.dt_ms {
            let remedy = "use a task with times in ms";
            return Err(Error::config("curriculum", format_args!("asks for steps of {dt_ms} ms of symbols"), remedy));
        }
        let spec = self.spec();
        let levels = lesson.levels_of(&spec);
        let hardest = hardest(&levels);
        if let Some(length) = self.length.filter(|length| *length < hardest) {
            let problem =
                format_args!("is {length} symbols, fewer than the N = {hardest} that the curriculum asks about");
            return Err(Error::config("task.length", problem, "raise it, or lower the curriculum's levels"));
        }
        if let Some(difficulty) = &spec.difficulty {
            levels.iter().try_for_each(|l| difficulty.require(l.level))?;
        }
        Ok(levels)
    }

    /// The trials of a bit stream, each symbol shown for `repeat` steps. `class(N, t, b)` is the class of trial `b` after its
    /// first `t` symbols, `N <= t`.
    pub fn trials(
        &self,
        bits: &BitStream,
        repeat: usize,
        levels: &[Level],
        class: impl Fn(usize, usize, usize) -> bool,
    ) -> Trials {
        let targets = levels.iter().map(|level| self.target(bits, repeat, *level, &class)).collect();
        let hardest = vec![hardest(levels) as f64; bits.batch()];
        let conditions = BTreeMap::from([("rate".into(), bits.rates().to_vec()), ("N".into(), hardest)]);
        let inputs = bits.inputs(self.symbols, repeat);
        Trials { inputs, targets, answer: self.answer, substeps: Some(repeat), conditions, ..Trials::default() }
    }

    fn target(
        &self,
        bits: &BitStream,
        repeat: usize,
        level: Level,
        class: &impl Fn(usize, usize, usize) -> bool,
    ) -> Target {
        let (length, batch) = (bits.length(), bits.batch());
        let at = |seen: usize, trial: usize| i64::from(class(level.level, seen, trial));
        if self.answer == Answer::FinalStep {
            let classes: Vec<i64> = (0..batch).map(|trial| at(length, trial)).collect();
            return Target::new(level.head, Some(level.level), self.answer, Tensor::from_slice(&classes), None);
        }
        // The answer is asked for at the last step of each symbol, once N symbols and the warm-up have been seen.
        let steps = length * repeat;
        let (mut classes, mut weight) = (vec![0i64; steps * batch], vec![0f32; steps * batch]);
        for seen in level.level.max(self.warm_up + 1)..=length {
            let row = (seen * repeat - 1) * batch;
            for trial in 0..batch {
                classes[row + trial] = at(seen, trial);
                weight[row + trial] = 1.0;
            }
        }
        let shape = [steps as i64, batch as i64];
        let (classes, weight) = (Tensor::from_slice(&classes).reshape(shape), Tensor::from_slice(&weight));
        Target::new(level.head, Some(level.level), self.answer, classes, Some(weight.reshape(shape)))
    }
}

fn hardest(levels: &[Level]) -> usize {
    levels.iter().map(|l| l.level).max().unwrap_or(LOWEST)
}

#[cfg(test)]
mod tests;
