//! How far a network unrolled as in training is from the bare one.

use super::attenuation::Scheme;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::{Findings, Scope};
use synfire::cell::Mode;
use synfire::curriculum::HeadResult;
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Rule};
use synfire::rollout::{Played, Record, Rollout};
use synfire::subject::{At, RunView};
use synfire::table::Table;
use synfire::task::{Period, Trials};
use synfire::tch::{Kind, Tensor, no_grad};
use synfire::workers::guarded;
use synfire::{Analysis, Component, Error, Lesson, Network, Problems, Properties, Registry, Result, Stream, Subject};

/// Performance and trajectories of one network under several unrollings: step by step, with shortcuts, with coarse steps.
///
/// For each `theta` the network is played with the shortcuts of its cell at that `theta` and `beta`, and for each factor of `coarse`
/// with steps that many times as long (for tasks with times in ms). Beside its accuracy and loss stands the mean squared difference
/// of its rates from those of the bare network in the same trials, as a mean over periods of their means; coarse rates are compared
/// with those of the bare network at the same times, counted from the end of each period. Noise is that of the same streams where
/// steps are equally long, and another where they are not. A network that was trained with one of these unrollings shows by it what
/// it must still learn when the shortcuts are gone.
///
/// figures `mismatch`: accuracy (or loss) and squared difference against `theta`
/// tables  `unrollings`: one row an unrolling
///
/// Source: Soo, Goudar & Wang 2023, doi:10.1101/2023.10.10.561588, whose code compares `theta` of 5 to 40 at a `beta` of 0.5, and
/// steps of 25 to 200 ms with those of 5 ms, over 200 trials of each network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnrollingMismatch {
    /// Segments of the shortcuts, in steps.
    pub theta: Vec<usize>,
    /// Share of the stepwise path.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
    /// Factors of the task's time step.
    pub coarse: Vec<usize>,
    /// Number of trials.
    #[schemars(range(min = 1))]
    pub trials: usize,
    /// Updates after which the network is taken; left out, the end of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
}

impl Default for UnrollingMismatch {
    fn default() -> Self {
        Self { theta: vec![5, 10, 20, 30, 40], beta: 0.5, coarse: vec![5, 10, 20, 30, 40], trials: 200, update: None }
    }
}

/// What was found of one unrolling.
struct Row {
    kind: &'static str,
    theta: usize,
    loss: f64,
    accuracy: Option<f64>,
    difference: Option<f64>,
}

#[typetag::serde(name = "unrolling-mismatch")]
impl Analysis for UnrollingMismatch {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.trials >= 1, "trials", self.trials, "at least 1");
        problems.require((0.0..=1.0).contains(&self.beta), "beta", self.beta, "between 0 and 1");
        problems.require(!self.coarse.contains(&0), "coarse", "0 for one of them", "at least 1");
    }

    fn needs(&self, _: &Registry) -> Properties {
        Properties::new()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let run = subject.run()?;
        let network = run.network(self.update.map_or(At::Last, At::Update))?;
        let stream = subject.stream.child("mismatch");
        let base = self.play(run, &network, &stream, Scheme::Base)?;
        let mut rows = vec![judge(run, "base", 1, &base, None)?];
        for theta in &self.theta {
            let played = self.play(run, &network, &stream, Scheme::Skip { theta: *theta, beta: self.beta })?;
            rows.push(judge(run, "shortcuts", *theta, &played, difference(&base, &played)?)?);
        }
        let mut findings = Findings::new();
        let timed = run.parts.spec.dt_ms.is_some();
        for theta in self.coarse.iter().filter(|_| timed) {
            match self.play(run, &network, &stream, Scheme::Coarse { theta: *theta }) {
                Ok(played) => rows.push(judge(run, "coarse", *theta, &played, difference(&base, &played)?)?),
                // The task has no trials with steps that long.
                Err(Error::Config(problems)) => {
                    let said = problems.first().map(|problem| problem.problem.clone()).unwrap_or_default();
                    findings.note(format!("no steps {theta} times as long: the lesson {said}"));
                }
                Err(error) => return Err(error),
            }
        }
        if !timed && !self.coarse.is_empty() {
            findings.note("the steps of the task are symbols, so there are no coarse ones");
        }
        let shortcut = |row: &Row| row.kind == "shortcuts";
        if !self.theta.is_empty() && !rows.iter().any(|row| shortcut(row) && row.difference != Some(0.0)) {
            findings.note("the cell has no shortcuts; use skip or dynamics-aligned around it");
            rows.retain(|row| !shortcut(row));
        }
        findings.value("accuracy of the bare network", rows[0].accuracy);
        findings.value("loss of the bare network", rows[0].loss);
        findings.value("trials", self.trials);
        let columns = ["unrolling", "theta", "beta", "accuracy", "loss", "squared difference"];
        let mut table = Table::new("unrollings", "The same network, unrolled in other ways", &columns);
        for row in &rows {
            let beta = (row.kind == "shortcuts").then_some(self.beta);
            table.push((row.kind, row.theta, beta, row.accuracy, row.loss, row.difference));
        }
        findings.tables.push(table);
        findings.figures.push(figure(&rows, &run.label));
        Ok(findings)
    }
}

impl UnrollingMismatch {
    /// Play fresh trials, the same for every scheme with steps of the same length.
    fn play(&self, run: &RunView, network: &Network, stream: &Stream, scheme: Scheme) -> Result<Played> {
        let mut lesson = Lesson { dt_ms: None, mode: Mode::Evaluation, ..run.lesson() };
        let mut mode = Mode::Evaluation;
        match scheme {
            Scheme::Coarse { theta } => lesson.dt_ms = run.parts.spec.dt_ms.map(|dt| dt * theta as f64),
            Scheme::Skip { theta, beta } => {
                lesson.schedule.insert("theta".into(), theta as f64);
                lesson.schedule.insert("beta".into(), beta);
                mode = Mode::Training;
            }
            _ => {}
        }
        let trials = run.trials(&lesson, self.trials, stream)?;
        let rollout = Rollout {
            task: &*run.parts.task,
            lesson: &lesson,
            setting: run.parts.setting(&lesson, mode),
            stream: stream.child("network"),
            workers: run.workers,
            fast: run.experiment.training.fast,
            settle: run.experiment.training.settle_steps,
        };
        guarded("cell", || rollout.play(network, &trials, Record::Rates))
    }
}

fn judge(run: &RunView, kind: &'static str, theta: usize, played: &Played, difference: Option<f64>) -> Result<Row> {
    let scores = guarded("task", || run.parts.task.score(&played.trials, &played.outputs))?;
    let heads: Vec<HeadResult> = scores
        .heads
        .iter()
        .map(|head| HeadResult {
            head: head.head,
            level: head.level,
            loss: head.loss.double_value(&[]),
            accuracy: head.accuracy.as_ref().map(|a| a.double_value(&[])),
        })
        .collect();
    let accuracies: Option<Vec<f64>> = heads.iter().map(|head| head.accuracy).collect();
    let accuracy = accuracies.filter(|a| !a.is_empty()).map(|a| a.iter().sum::<f64>() / a.len() as f64);
    Ok(Row { kind, theta, loss: scores.loss.double_value(&[]), accuracy, difference })
}

/// The periods of trials, or all their steps as one.
fn periods(trials: &Trials) -> Vec<Period> {
    match trials.periods.is_empty() {
        true => vec![Period::new("trial", 0, trials.time())],
        false => trials.periods.clone(),
    }
}

/// The mean over periods of the mean squared difference of rates; `None` where the trials have other periods.
fn difference(base: &Played, other: &Played) -> Result<Option<f64>> {
    let (Some(a), Some(b)) = (&base.rates, &other.rates) else { return Ok(None) };
    let (own, others) = (periods(&base.trials), periods(&other.trials));
    if own.len() != others.len() || a.size()[1..] != b.size()[1..] {
        return Ok(None);
    }
    no_grad(|| {
        let mut sum = 0.0;
        for (fine, coarse) in own.iter().zip(&others) {
            let (fine_steps, steps) = (fine.steps.len(), coarse.steps.len());
            if steps == 0 || fine_steps < steps {
                return Ok(None);
            }
            // The coarse step k from the end stands at the same time as the fine step k times as far from it.
            let factor = fine_steps / steps;
            let places: Vec<i64> =
                (0..steps).rev().map(|k| (fine.steps.end - 1).saturating_sub(k * factor) as i64).collect();
            let fine = a.f_index_select(0, &Tensor::from_slice(&places).to_device(a.device()))?;
            let coarse = b.f_narrow(0, coarse.steps.start as i64, steps as i64)?;
            sum += (fine - coarse).square().mean(Kind::Double).double_value(&[]);
        }
        Ok(Some(sum / own.len().max(1) as f64))
    })
}

fn figure(rows: &[Row], label: &str) -> Figure {
    let with_accuracy = rows[0].accuracy.is_some();
    let judged = |row: &Row| if with_accuracy { row.accuracy.unwrap_or(f64::NAN) } else { row.loss };
    let mut performance = Panel::new("").x("theta").y(if with_accuracy { "accuracy" } else { "loss" });
    let mut apart = Panel::new("").x("theta").y(Axis::new("squared difference of rates").log());
    performance = performance.mark(Rule::horizontal(judged(&rows[0])).label("bare network"));
    for (index, kind) in ["shortcuts", "coarse"].iter().enumerate() {
        let own: Vec<&Row> = rows.iter().filter(|row| row.kind == *kind).collect();
        if own.is_empty() {
            continue;
        }
        let theta: Vec<usize> = own.iter().map(|row| row.theta).collect();
        let line = |y: Vec<f64>| Line::new(&theta, y).dots().label(*kind).colour(Colour::palette(index));
        performance = performance.mark(line(own.iter().map(|row| judged(row)).collect()));
        apart = apart.mark(line(own.iter().map(|row| row.difference.unwrap_or(f64::NAN)).collect()));
    }
    Figure::new("mismatch", format!("Unrolled otherwise: {label}")).panels([performance, apart]).caption(
        "Left: the network under other unrollings; dashed: step by step. Right: how far its rates are from those of the bare network.",
    )
}

synfire::inventory::submit! { Component::analysis::<UnrollingMismatch>("unrolling-mismatch") }
