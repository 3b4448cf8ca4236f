//! Episodes on their way through their trials.

use std::ops::Range;
use std::sync::Arc;
use synfire::task::{Answer, ClosedLoop, Period, Segment, Target};
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Error, Result};

/// Input channels.
pub const CHANNELS: usize = 4;

/// What chance decides about one episode.
#[derive(Debug)]
pub struct Fate {
    /// Rule of each trial, 0 or 1.
    pub rules: Vec<usize>,
    /// Stimulus of each trial, 0 or 1.
    pub stimuli: Vec<usize>,
}

impl Fate {
    /// The response that a rule asks for.
    pub fn asked(rule: usize, stimulus: usize) -> usize {
        if rule == 0 { 1 - stimulus } else { stimulus }
    }

    /// What is right by the rule that holds.
    fn target(&self, trial: usize) -> usize {
        Self::asked(self.rules[trial], self.stimuli[trial])
    }

    /// What an observer would say who knows the rule of the trial before.
    fn ideal(&self, trial: usize) -> usize {
        let known = trial.checked_sub(1).map_or(0, |before| self.rules[before]);
        Self::asked(known, self.stimuli[trial])
    }
}

/// Steps of the four epochs of each trial: stimulus, response, feedback, wait.
pub type Lengths = Vec<[usize; 4]>;

/// The episodes of a batch on their way through their trials.
#[derive(Debug)]
pub struct Episodes {
    pub lengths: Arc<Lengths>,
    /// Steps at the start of a response that do not count.
    pub free: usize,
    pub rows: Vec<Arc<Fate>>,
    /// The trial whose response comes next.
    pub trial: usize,
}

impl Episodes {
    /// One trial up to its response; with responses, the feedback and the wait of the trial before come first.
    pub fn segment(&self, responses: Option<&[i64]>) -> Segment {
        let batch = self.rows.len();
        let [stimulus, response, ..] = self.lengths[self.trial];
        let (feedback, wait) = match responses {
            Some(_) => (self.lengths[self.trial - 1][2], self.lengths[self.trial - 1][3]),
            None => (0, 0),
        };
        let borders = [0, feedback, feedback + wait, feedback + wait + stimulus, feedback + wait + stimulus + response];
        let time = borders[4];
        let mut inputs = vec![0f32; time * batch * CHANNELS];
        for (row, fate) in self.rows.iter().enumerate() {
            let mut show = |channel: usize, range: Range<usize>| {
                range.for_each(|t| inputs[(t * batch + row) * CHANNELS + channel] = 1.0);
            };
            if let Some(responses) = responses {
                let right = responses[row] == fate.target(self.trial - 1) as i64;
                show(if right { 2 } else { 3 }, 0..borders[1]);
            }
            show(fate.stimuli[self.trial], borders[2]..borders[3]);
        }
        let classes: Vec<i64> = self.rows.iter().map(|fate| fate.ideal(self.trial) as i64).collect();
        let classes = Tensor::from_slice(&classes).unsqueeze(0).repeat([time as i64, 1]);
        let counting = (response - self.free) as i64;
        let weight = Tensor::zeros([time as i64, batch as i64], (Kind::Float, Device::Cpu));
        drop(weight.narrow(0, time as i64 - counting, counting).fill_(1.0 / counting as f64));
        let mut target = Target::new(0, None, Answer::EveryStep, classes, Some(weight));
        // The steps of a trial add up to one, however many there are.
        target.total = batch as f64;
        let names = ["feedback", "wait", "stimulus", "response"];
        let periods = names.iter().zip(borders.windows(2)).filter(|(_, ends)| ends[1] > ends[0]);
        Segment {
            inputs: Tensor::from_slice(&inputs).reshape([time as i64, batch as i64, CHANNELS as i64]),
            targets: vec![target],
            periods: periods.map(|(name, ends)| Period::new(*name, ends[0], ends[1])).collect(),
        }
    }
}

impl ClosedLoop for Episodes {
    fn begin(&self, rows: Range<usize>) -> Box<dyn ClosedLoop> {
        let (lengths, rows) = (self.lengths.clone(), self.rows[rows].to_vec());
        Box::new(Self { lengths, free: self.free, rows, trial: 0 })
    }

    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>> {
        let output = outputs.first().filter(|output| {
            let size = output.size();
            size.len() == 3 && size[0] > 0 && size[1..] == [self.rows.len() as i64, 2]
        });
        let output = output.ok_or_else(|| Error::Shape {
            what: "the outputs of a trial".into(),
            expected: format!("[time, {}, 2]", self.rows.len()),
            found: format!("{:?}", outputs.iter().map(Tensor::size).collect::<Vec<_>>()),
        })?;
        if self.trial + 1 >= self.lengths.len() {
            return Ok(None);
        }
        let last = output.f_select(0, output.size()[0] - 1)?;
        let responses = Vec::<i64>::try_from(last.f_argmax(-1, false)?.to_device(Device::Cpu))?;
        self.trial += 1;
        let mut segment = self.segment(Some(&responses));
        let (kind, device) = (output.kind(), output.device());
        segment.inputs = segment.inputs.f_to_device(device)?.f_to_kind(kind)?;
        for target in &mut segment.targets {
            target.values = target.values.f_to_device(device)?;
            if let Some(weight) = &mut target.weight {
                *weight = weight.f_to_device(device)?.f_to_kind(kind)?;
            }
        }
        Ok(Some(segment))
    }
}
