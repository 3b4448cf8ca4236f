//! What a network is driven with in long simulations: random symbols as its task shows them, its trials, or silence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::subject::RunView;
use synfire::task::{Answer, Target};
use synfire::tch::{Device, Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::workers::guarded;
use synfire::{Error, Lesson, Problems, Result, Stream, Task, Trials};

/// What drives the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Bits where the task has one input channel of two values, else the task's own trials.
    #[default]
    Auto,
    /// Independent random values of the two that the task's only input channel takes.
    Bits,
    /// Trials of the task, one after the other without a pause or a new initial state.
    Task,
    /// Nothing: for networks with noise of their own.
    Silence,
}

/// The probability of a 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"uniform\" or a number from 0 to 1")]
pub enum Rate {
    /// Drawn for each trial.
    Drawn(Drawn),
    /// The same in every trial.
    Fixed(f64),
}

/// The distribution that the rate of a trial is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drawn {
    /// Uniform in `[0, 1)`.
    Uniform,
}

impl Rate {
    /// A rate of its own for each trial, uniform in `[0, 1)`.
    pub const UNIFORM: Self = Self::Drawn(Drawn::Uniform);

    /// Report a rate that is no probability.
    pub fn check(self, problems: &mut Problems) {
        if let Self::Fixed(rate) = self {
            problems.require((0.0..=1.0).contains(&rate), "rate", rate, "\"uniform\" or from 0 to 1");
        }
    }
}

/// Trials drawn to see which values the input of a task takes.
const SAMPLE: usize = 64;

/// Where the inputs of all trials come from.
pub struct Plan<'a> {
    task: &'a dyn Task,
    lesson: &'a Lesson,
    channels: i64,
    /// A head to read; what it says is not looked at.
    head: usize,
    kind: Kind,
    device: Device,
    source: Source,
    /// Steps in which the task shows each symbol.
    pub substeps: Option<usize>,
}

/// Where inputs come from.
#[derive(Clone, Copy)]
enum Source {
    /// Two values of one channel, the second with the given rate, each for `repeat` steps.
    Bits {
        values: [f64; 2],
        repeat: usize,
        rate: Rate,
    },
    Task,
    Silence,
}

impl<'a> Plan<'a> {
    /// Prepare the input `input` for the networks of a run.
    ///
    /// # Errors
    /// [`Error::Config`] when bits are asked for and the task has another input; what the task reports.
    pub fn new(
        run: &'a RunView,
        lesson: &'a Lesson,
        heads: &[usize],
        input: Input,
        rate: Rate,
        stream: &Stream,
    ) -> Result<Self> {
        let sample = run.trials(lesson, SAMPLE, &stream.child("sample"))?;
        let source = match input {
            Input::Bits => {
                let (values, repeat) = symbols(run, &sample)?;
                Source::Bits { values, repeat, rate }
            }
            Input::Auto => match symbols(run, &sample) {
                Ok((values, repeat)) => Source::Bits { values, repeat, rate },
                // The task's input is no stream of two values.
                Err(Error::Config(_)) => Source::Task,
                Err(error) => return Err(error),
            },
            Input::Task => Source::Task,
            Input::Silence => Source::Silence,
        };
        let head = heads.first().copied().ok_or_else(|| Error::Failed(format!("{} has no heads", run.label)))?;
        let channels = run.parts.spec.inputs.len() as i64;
        let kind = run.experiment.training.precision.kind();
        let (task, device, substeps) = (&*run.parts.task, run.device()?, sample.substeps);
        Ok(Self { task, lesson, channels, head, kind, device, source, substeps })
    }

    /// The input of `rows` trials whose streams are the children of `stream` from `first` on.
    pub fn drive(&'a self, first: usize, rows: usize, stream: &Stream) -> Drive<'a> {
        let rows = (first..first + rows).map(|row| {
            let mut stream = stream.child("input").at(row as u64);
            let ones = match self.source {
                Source::Bits { rate: Rate::Drawn(Drawn::Uniform), .. } => Some(stream.uniform()),
                Source::Bits { rate: Rate::Fixed(rate), .. } => Some(rate),
                Source::Task | Source::Silence => None,
            };
            Row { stream: stream.child("symbols"), ones, last: 0.0 }
        });
        Drive { plan: self, rows: rows.collect(), position: 0, trials: stream.child("trials").at(first as u64) }
    }
}

/// The input of some trials, stretch by stretch.
pub struct Drive<'a> {
    plan: &'a Plan<'a>,
    rows: Vec<Row>,
    /// Steps handed out.
    position: usize,
    trials: Stream,
}

struct Row {
    stream: Stream,
    /// Probability of the second value.
    ones: Option<f64>,
    last: f64,
}

impl Drive<'_> {
    /// Number of trials.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The probability of ones in each trial, where bits are drawn.
    pub fn ones(&self) -> Vec<f64> {
        self.rows.iter().filter_map(|row| row.ones).collect()
    }

    /// The next stretch, number `index`, of `steps` steps; a task's trials are as long as they are.
    ///
    /// # Errors
    /// What the task reports.
    pub fn next(&mut self, index: u64, steps: usize) -> Result<Trials> {
        let plan = self.plan;
        let (time, rows) = (steps as i64, self.rows.len() as i64);
        let inputs = match plan.source {
            Source::Task => {
                let mut stream = self.trials.at(index);
                let trials = guarded("task", || plan.task.trials(plan.lesson, self.rows.len(), &mut stream))?;
                return Ok(trials.to(plan.device, plan.kind));
            }
            Source::Silence => Tensor::f_zeros([time, rows, plan.channels], (plan.kind, plan.device))?,
            Source::Bits { values, repeat, .. } => {
                let mut bits = Vec::with_capacity(steps * self.rows.len());
                for t in self.position..self.position + steps {
                    for row in &mut self.rows {
                        if t % repeat == 0 {
                            let one = row.ones.is_some_and(|rate| row.stream.bernoulli(rate));
                            row.last = values[usize::from(one)];
                        }
                        bits.push(row.last);
                    }
                }
                Tensor::f_from_slice(&bits)?.f_reshape([time, rows, 1])?.f_to_kind(plan.kind)?.f_to(plan.device)?
            }
        };
        self.position += steps;
        let nothing = Tensor::f_zeros([rows], (Kind::Int64, plan.device))?;
        let target = Target::new(plan.head, None, Answer::FinalStep, nothing, None);
        let substeps = plan.substeps;
        Ok(Trials { inputs, targets: vec![target], answer: Answer::FinalStep, substeps, ..Trials::default() })
    }
}

/// The two values that the only input channel of a task takes, ascending, and the steps for which it shows each: the values
/// change at multiples of it alone.
fn symbols(run: &RunView, sample: &Trials) -> Result<([f64; 2], usize)> {
    let refuse = |found: String| {
        let remedy = "use input = \"task\" for the task's own trials, or input = \"silence\"";
        Err(Error::config("analysis.input", format_args!("is bits, but {found}"), remedy))
    };
    if run.parts.spec.inputs.len() != 1 {
        return refuse(format!("the task has {} input channels", run.parts.spec.inputs.len()));
    }
    let inputs = values_f64(&sample.inputs);
    let mut values = inputs.clone();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let [zero, one] = values[..] else {
        return refuse(format!("the task's input takes {} values", values.len()));
    };
    let steps: Vec<&[f64]> = inputs.chunks(SAMPLE).collect();
    let changes = (1..steps.len()).filter(|t| steps[*t] != steps[t - 1]);
    Ok(([zero, one], changes.fold(0, greatest_common_divisor).max(1)))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
