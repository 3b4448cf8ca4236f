//! From what was drawn to inputs, targets and weights.

use super::bump::{FLOOR, UNITS, bump};
use super::draw::{Drawn, Stimulus};
use super::rule::{RULES, Rule, Structure};
use super::{NonMatch, RESPONSE_START, RULE, SilentRing, Timing};
use std::collections::BTreeMap;
use synfire::cell::Mode;
use synfire::task::{Answer, Loss, Objective, Period, Target};
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

/// The epochs of trials that are drawn together, in steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Epochs {
    /// Names and lengths; the last is the response.
    pub epochs: Vec<(&'static str, usize)>,
    pub settle: usize,
    pub free: usize,
}

impl Epochs {
    /// First step of the response.
    pub fn response_start(&self) -> usize {
        self.epochs.iter().rev().skip(1).map(|(_, steps)| steps).sum()
    }

    pub fn total(&self) -> usize {
        self.epochs.iter().map(|(_, steps)| steps).sum()
    }

    /// Number of steps that count before the response, and in it.
    fn windows(&self) -> (usize, usize) {
        let start = self.response_start();
        (start.saturating_sub(self.free), (self.total() - start).saturating_sub(self.free))
    }

    pub fn periods(&self) -> Vec<Period> {
        let mut from = 0;
        let period = |(name, steps): &(&str, usize)| {
            from += steps;
            Period::new(*name, from - steps, from)
        };
        self.epochs.iter().map(period).collect()
    }
}

/// A duration in whole steps, rounded down; the addition makes up for quotients like 0.3 / 0.1.
pub fn steps(duration_ms: f64, dt_ms: f64) -> usize {
    (duration_ms / dt_ms + 1e-6).floor().max(0.0) as usize
}

impl Timing {
    /// Report what is out of range.
    pub fn check(&self, dt_ms: f64, problems: &mut Problems) {
        let all = [
            ("settle_ms", self.settle_ms),
            ("fixation_ms", self.fixation_ms),
            ("stimulus_ms", self.stimulus_ms),
            ("delay_ms", self.delay_ms),
            ("response_ms", self.response_ms),
            ("jitter_ms", self.jitter_ms),
            ("free_ms", self.free_ms),
        ];
        for (field, value) in all {
            let fits = (0.0..1e9).contains(&value) && value / dt_ms < 1e7;
            problems.require(fits, field, value, "0 or more, and below 10 million steps");
        }
        for (field, value) in [("fixation_ms", self.fixation_ms), ("stimulus_ms", self.stimulus_ms)] {
            let fits = steps(value, dt_ms) > steps(self.jitter_ms, dt_ms);
            problems.require(fits, field, value, &format!("more than jitter_ms = {} by a step", self.jitter_ms));
        }
        let fits = steps(self.response_ms, dt_ms) > steps(self.free_ms, dt_ms);
        problems.require(
            fits,
            "response_ms",
            self.response_ms,
            &format!("more than free_ms = {} by a step", self.free_ms),
        );
    }
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

    /// The epochs of one batch.
    pub fn epochs(&self, dt_ms: f64, mode: Mode, stream: &Stream) -> Epochs {
        let timing = &self.timing;
        let named: &[(&'static str, f64)] = match self.rule.structure {
            Structure::Immediate => &[("fixation", timing.fixation_ms), ("stimulus", timing.stimulus_ms)],
            Structure::Delayed => {
                &[("fixation", timing.fixation_ms), ("stimulus", timing.stimulus_ms), ("delay", timing.delay_ms)]
            }
            Structure::TwoStimuli => &[
                ("fixation", timing.fixation_ms),
                ("first-stimulus", timing.stimulus_ms),
                ("delay", timing.delay_ms),
                ("second-stimulus", timing.stimulus_ms),
            ],
        };
        let jitter = if mode == Mode::Training { steps(timing.jitter_ms, dt_ms) } else { 0 };
        let mut stream = stream.child("jitter");
        let mut epochs: Vec<(&'static str, usize)> = Vec::new();
        for (name, duration) in named {
            let length = steps(*duration, dt_ms);
            let shift = if jitter > 0 { stream.below(2 * jitter as u64) as usize } else { jitter };
            let least = usize::from(*duration > 0.0);
            epochs.push((name, (length + shift).saturating_sub(jitter).max(least)));
        }
        epochs.push(("response", steps(timing.response_ms, dt_ms)));
        Epochs { epochs, settle: steps(timing.settle_ms, dt_ms), free: steps(timing.free_ms, dt_ms) }
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

/// Trials of different lengths as one batch, each part with the places of its rows: shorter ones are followed by silence that does
/// not count. Periods are kept where all rows share them.
pub fn padded(mut parts: Vec<(Vec<usize>, Trials)>, batch: usize) -> Result<Trials> {
    if let [(places, _)] = &parts[..]
        && places.iter().copied().eq(0..batch)
        && let Some((_, only)) = parts.pop()
    {
        return Ok(only);
    }
    let time = parts.iter().map(|(_, trials)| trials.time()).max().unwrap_or(0);
    let mut order = vec![0i64; batch];
    let places = parts.iter().flat_map(|(places, _)| places);
    for (index, place) in places.enumerate() {
        order[*place] = index as i64;
    }
    let order = Tensor::from_slice(&order);
    let joined = |pick: &dyn Fn(&Trials) -> Option<Tensor>| -> Result<Tensor> {
        let mut padded = Vec::new();
        for (_, trials) in &parts {
            let own = pick(trials).ok_or_else(|| Error::Failed("trials of a ring task lack a target".into()))?;
            let mut shape = own.size();
            shape[0] = time as i64 - shape[0];
            padded.push(Tensor::f_cat(&[&own, &Tensor::f_zeros(&shape, (own.kind(), own.device()))?], 0)?);
        }
        Ok(Tensor::f_cat(&padded, 1)?.f_index_select(1, &order)?)
    };
    let target = |t: &Trials| t.targets.first().map(|target| target.values.shallow_clone());
    let weight = |t: &Trials| t.targets.first().and_then(|target| target.weight.as_ref()).map(Tensor::shallow_clone);
    let mut all = Target::new(0, None, Answer::EveryStep, joined(&target)?, Some(joined(&weight)?));
    all.total = batch as f64;
    let settle = match parts.iter().map(|(_, t)| t.settle.as_ref()).collect::<Option<Vec<_>>>() {
        Some(settling) => Some(Tensor::f_cat(&settling, 1)?.f_index_select(1, &order)?),
        None => None,
    };
    let mut conditions: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (places, trials) in &parts {
        for (name, column) in &trials.conditions {
            let all = conditions.entry(name.clone()).or_insert_with(|| vec![0.0; batch]);
            places.iter().zip(column).for_each(|(place, value)| all[*place] = *value);
        }
    }
    let inputs = joined(&|t: &Trials| Some(t.inputs.shallow_clone()))?;
    Ok(Trials { inputs, targets: vec![all], answer: Answer::EveryStep, settle, conditions, ..Trials::default() })
}
