//! `synfire evaluate`: the networks of a run on fresh trials.

use crate::choice::overridden;
use crate::commands::run::threads;
use crate::levels::Levels;
use crate::output::{Answer, Program};
use serde_json::{Value, json};
use std::path::PathBuf;
use synfire::cell::Mode;
use synfire::evaluate::Evaluator;
use synfire::run::RunDir;
use synfire::storage::float::to_value;
use synfire::subject::{At, RunView};
use synfire::table::Table;
use synfire::workers::Workers;
use synfire::{Error, Lesson, Result, Stream, Tensors};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire evaluate runs/parity
  synfire evaluate runs/parity --level 2 --trials 2000 --json";

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Levels to test one by one: 5, 2..10 (both ends included) or 2,4,7; the lesson trained last unless given
    #[arg(long, value_name = "N|A..B")]
    level: Option<Levels>,
    /// Trials of each test; as in training unless given
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Take the checkpoint after this many updates; the last one unless given
    #[arg(long, value_name = "UPDATE")]
    at: Option<u64>,
    /// State in which trials begin
    #[arg(long, value_enum, default_value_t = From::Fresh)]
    from: From,
    /// Change an option of the run for this test, for example training.evaluation_batch=100
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// auto, cpu or cuda:N; as in training unless given
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Threads; as many as the machine has cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// State in which trials begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// A fresh one, as in training.
    Fresh,
    /// The one in which training ended, for rules that train one long trajectory.
    LastState,
}

/// One line of the result.
struct Row {
    member: usize,
    level: Option<usize>,
    head: usize,
    trials: usize,
    loss: f64,
    accuracy: Option<f64>,
}

/// Do it.
///
/// # Errors
/// When the run cannot be read, or a level was never learned.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let dir = RunDir::open(&args.run)?;
    let experiment = overridden(&dir.experiment()?, &args.set, args.device.as_deref())?;
    let workers = Workers::new(threads(args.threads))?;
    let views = RunView::open_as(&dir, experiment, &program.registry, &workers)?;
    let mut rows = Vec::new();
    for view in &views {
        member(args, view, &workers, &mut rows)?;
    }
    let unit = views.first().and_then(|view| view.parts.spec.difficulty.as_ref());
    let unit = unit.map_or("level", |difficulty| difficulty.name.as_str());
    Ok(Answer::new(table(&rows, unit, views.len()).to_text(), json!({ "run": dir.path(), "results": values(&rows) })))
}

/// Test one network: the lesson trained last, or level by level.
fn member(args: &Args, view: &RunView, workers: &Workers, rows: &mut Vec<Row>) -> Result<()> {
    let at = args.at.map_or(At::Last, At::Update);
    let checkpoint = view.checkpoint(at)?;
    let from = (args.from == From::LastState).then(|| last_state(&checkpoint.learner)).transpose()?;
    let network = view.parts.network_from(&view.context()?, checkpoint.parameters, checkpoint.state.readout)?;
    let lessons: Vec<Lesson> = match &args.level {
        None => vec![view.lesson()],
        Some(levels) => levels.iter().map(|level| lesson_at(view, level)).collect::<Result<_>>()?,
    };
    let training = &view.experiment.training;
    let evaluator = Evaluator { parts: &view.parts, training, workers, mode: Mode::Evaluation, from };
    let stream = Stream::new(view.experiment.member_seed(view.member)).child("evaluate");
    for lesson in &lessons {
        // The trials of a level do not depend on the other levels that are asked for.
        let stream = match (&args.level, lesson.levels.first()) {
            (Some(_), Some(level)) => stream.child("level").at(level.level as u64),
            _ => stream.child("lesson"),
        };
        let results = evaluator.run(&network, lesson, args.trials.unwrap_or(training.evaluation_trials), &stream)?;
        rows.extend(results.heads.iter().map(|head| Row {
            member: view.member,
            level: head.level,
            head: head.head,
            trials: results.trials,
            loss: head.loss,
            accuracy: head.accuracy,
        }));
    }
    Ok(())
}

/// The lesson with one level, refused where the task does not have it.
fn lesson_at(view: &RunView, level: usize) -> Result<Lesson> {
    let Some(difficulty) = &view.parts.spec.difficulty else {
        let problem = format!("is {level}, but the task '{}' has no levels", view.experiment.task.name);
        return Err(Error::config("--level", problem, "leave it out"));
    };
    if level < difficulty.lowest || difficulty.highest.is_some_and(|highest| level > highest) {
        let highest = difficulty.highest.map_or("without limit".to_string(), |highest| format!("to {highest}"));
        let problem = format!("is {level}; the task has {} from {} {highest}", difficulty.name, difficulty.lowest);
        return Err(Error::config("--level", problem, ""));
    }
    view.lesson_at(level)
}

/// The state in which training ended: a learner that has one keeps it as `last_state/<tensor of the state>`.
fn last_state(learner: &Tensors) -> Result<Tensors> {
    let state: Tensors = learner
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("last_state/")?.to_string(), tensor.shallow_clone())))
        .collect();
    if state.is_empty() {
        let remedy = "only rules that train one long trajectory do, such as force; leave --from out";
        return Err(Error::config("--from", "is last-state, but the rule of this run keeps no state", remedy));
    }
    Ok(state)
}

fn table(rows: &[Row], unit: &str, members: usize) -> Table {
    let mut columns = vec!["member", unit, "head", "trials", "loss", "accuracy"];
    if members == 1 {
        columns.remove(0);
    }
    let mut table = Table::new("evaluation", "", &columns);
    for row in rows {
        let mut cells = vec![
            row.member.into(),
            row.level.into(),
            row.head.into(),
            row.trials.into(),
            row.loss.into(),
            row.accuracy.into(),
        ];
        if members == 1 {
            cells.remove(0);
        }
        table.rows.push(cells);
    }
    table
}

fn values(rows: &[Row]) -> Vec<Value> {
    rows.iter()
        .map(|row| {
            json!({
                "member": row.member, "level": row.level, "head": row.head, "trials": row.trials,
                "loss": to_value(row.loss), "accuracy": row.accuracy.map(to_value),
            })
        })
        .collect()
}
