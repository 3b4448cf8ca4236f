//! From what was drawn to inputs, targets and weights.

use super::bump::{FLOOR, UNITS, bump};
use super::draw::{Drawn, Stimulus};
use super::epochs::{Epochs, steps};
use super::rule::{RULES, Rule};
use super::{NonMatch, RESPONSE_START, RULE, SilentRing, Timing};
use std::collections::BTreeMap;
use synfire::task::{Answer, Loss, Objective, Target};
use synfire::tch::Tensor;
use synfire::{Error, Lesson, Problems, Result, Stream, TaskSpec, Trials};

const INPUTS: usize = 1 + 2 * UNITS + RULES.len();
const OUTPUTS: usize = 1 + UNITS;
/// What an output that is on should say; off is [`FLOOR`].
const ON: f64 = 0.85;

/// What trials of ring tasks look like.
pub fn spec(dt_ms: Option<f64>) -> TaskSpec {
    let mut inputs = vec!["fixation".to_string()];
    for modality in 1..=2 {
        inputs.extend((0..UNITS).map(|unit| format!("ring {modality} unit {unit}")));
    }
    inputs.extend(RULES.iter().map(|rule| format!("rule {}", rule.name)));
    TaskSpec {
        inputs,
        outputs: OUTPUTS,
        objective: Objective { loss: Loss::LogisticSquaredError, answer: Answer::EveryStep, tolerance: None },
        dt_ms,
        difficulty: None,
        closed_loop: false,
    }
}

/// One rule with its times: the generator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ring {
    pub rule: &'static Rule,
    pub dt_ms: f64,
    pub timing: Timing,
    pub non_match: NonMatch,
}

impl Ring {
    /// A rule with the published times.
    pub fn of(rule: &'static Rule) -> Self {
        Self { rule, dt_ms: 5.0, timing: Timing::default(), non_match: NonMatch::default() }
    }

    pub fn check(&self, problems: &mut Problems) {
        let positive = self.dt_ms.is_finite() && self.dt_ms > 0.0;
        problems.require(positive, "dt_ms", self.dt_ms, "above 0");
        if positive {
            problems.inside("timing", |p| self.timing.check(self.dt_ms, p));
        }
    }

    /// The time step under a lesson; refuses levels.
    pub fn dt(&self, lesson: &Lesson, task: &str) -> Result<f64> {
        if let Some(level) = lesson.levels.first() {
            return Err(Error::config(
                "curriculum",
                format_args!("asks for level {}; the task '{task}' has no difficulty", level.level),
                "leave out the curriculum's levels",
            ));
        }
        let dt = lesson.dt_ms.unwrap_or(self.dt_ms);
        let fits = dt.is_finite() && dt > 0.0 && steps(self.timing.response_ms, dt) > steps(self.timing.free_ms, dt);
        if fits && steps(self.timing.fixation_ms, dt).min(steps(self.timing.stimulus_ms, dt)) >= 1 {
            return Ok(dt);
        }
        let problem = format!("sets the time step to {dt} ms, with which an epoch of '{task}' has no step that counts");
        Err(Error::config("curriculum", problem, "use smaller steps"))
    }

    /// Trials of this rule alone.
    pub fn trials(&self, lesson: &Lesson, batch: usize, stream: &Stream, task: &str) -> Result<Trials> {
        let epochs = self.epochs(self.dt(lesson, task)?, lesson.mode, stream);
        let rows: Vec<Row> = (0..batch).map(|row| self.row(stream, row)).collect();
        trials(&rows, &epochs)
    }

    /// One trial.
    pub fn row(&self, stream: &Stream, row: usize) -> Row {
        Row { ring: *self, drawn: Drawn::draw(self.rule, &self.non_match, &mut stream.at(row as u64)) }
    }
}

/// A trial and its rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    ring: Ring,
    drawn: Drawn,
}

impl Row {
    /// The input in one epoch, `[85]`.
    fn input(&self, epoch: &str) -> [f32; INPUTS] {
        let rule = self.ring.rule;
        let mut channels = [0f32; INPUTS];
        channels[1 + 2 * UNITS + rule.index] = 1.0;
        if epoch == "settling" {
            return channels;
        }
        if epoch != "response" || rule.reaction {
            channels[0] = 1.0;
        }
        let at_once = self.drawn.first.iter().chain(&self.drawn.second);
        let shown: Vec<&Stimulus> = match epoch {
            "stimulus" if !rule.reaction => at_once.collect(),
            "response" if rule.reaction => at_once.collect(),
            "first-stimulus" => self.drawn.first.iter().collect(),
            "second-stimulus" => self.drawn.second.iter().collect(),
            _ => Vec::new(),
        };
        for stimulus in shown {
            let ring = &mut channels[1 + stimulus.modality * UNITS..][..UNITS];
            for (channel, height) in ring.iter_mut().zip(bump(stimulus.angle)) {
                *channel += (stimulus.strength * height) as f32;
            }
        }
        channels
    }

    /// The target before and in the response, `[33]`.
    fn target(&self, in_response: bool) -> [f32; OUTPUTS] {
        let mut values = [FLOOR as f32; OUTPUTS];
        values[0] = ON as f32;
        match self.drawn.response.filter(|_| in_response) {
            Some(angle) => {
                values[0] = FLOOR as f32;
                for (value, height) in values[1..].iter_mut().zip(bump(angle)) {
                    *value = (height + FLOOR) as f32;
                }
            }
            None if in_response && self.ring.non_match.ring == SilentRing::Zero => values[1..].fill(0.0),
            None => {}
        }
        values
    }
}

/// The same rows for some steps, `[steps, batch, width]`.
fn held<const W: usize>(rows: &[[f32; W]], steps: usize) -> Tensor {
    let flat: Vec<f32> = rows.iter().flatten().copied().collect();
    let shape = [steps as i64, rows.len() as i64, W as i64];
    Tensor::from_slice(&flat).reshape([1, shape[1], shape[2]]).expand(shape, false)
}

/// The trials of rows that share their epochs.
pub fn trials(rows: &[Row], epochs: &Epochs) -> Result<Trials> {
    let inputs_in = |name: &str, steps: usize| held(&rows.iter().map(|row| row.input(name)).collect::<Vec<_>>(), steps);
    let targets_in =
        |late: bool, steps: usize| held(&rows.iter().map(|row| row.target(late)).collect::<Vec<_>>(), steps);
    let start = epochs.response_start();
    let inputs: Vec<Tensor> = epochs.epochs.iter().map(|(name, steps)| inputs_in(name, *steps)).collect();
    let values = [targets_in(false, start), targets_in(true, epochs.total() - start)];
    let (before, after) = epochs.windows();
    let mut weight = vec![0f32; epochs.total()];
    weight[epochs.free.min(start)..start].fill(1.0 / before.max(1) as f32);
    weight[(start + epochs.free).min(epochs.total())..].fill(1.0 / after.max(1) as f32);
    let shape = [epochs.total() as i64, rows.len() as i64];
    let weight = Tensor::from_slice(&weight).unsqueeze(1).expand(shape, false).contiguous();
    let mut target = Target::new(0, None, Answer::EveryStep, Tensor::f_cat(&values, 0)?, Some(weight));
    // Each trial's weights add up to one in each window, and the errors of the windows are added.
    target.total = rows.len() as f64;
    let settle = (epochs.settle > 0).then(|| inputs_in("settling", epochs.settle).contiguous());
    Ok(Trials {
        inputs: Tensor::f_cat(&inputs, 0)?,
        targets: vec![target],
        answer: Answer::EveryStep,
        periods: epochs.periods(),
        settle,
        conditions: conditions(rows, start),
        ..Trials::default()
    })
}

/// What is known of each trial.
pub fn conditions(rows: &[Row], response_start: usize) -> BTreeMap<String, Vec<f64>> {
    let column = |value: &dyn Fn(&Row) -> f64| rows.iter().map(value).collect::<Vec<f64>>();
    let last = |row: &Row| {
        let shown = row.drawn.second.first().or(row.drawn.first.first());
        row.drawn.response.or(shown.map(|stimulus| stimulus.angle)).unwrap_or_default()
    };
    BTreeMap::from([
        (RULE.to_string(), column(&|row| row.ring.rule.index as f64)),
        (RESPONSE_START.to_string(), column(&|_| response_start as f64)),
        ("responds".to_string(), column(&|row| f64::from(u8::from(row.drawn.response.is_some())))),
        ("angle".to_string(), column(&last)),
        ("difference".to_string(), column(&|row| row.drawn.difference)),
    ])
}
