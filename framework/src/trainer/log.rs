//! The metrics of a member: one JSON line an evaluation, and the same as TensorBoard events.

use crate::Result;
use crate::curriculum::{Evaluation, Lesson, Tally};
use crate::format::Judged;
use crate::run::RunDir;
use crate::storage::JsonLines;
use crate::storage::float::to_value;
use crate::storage::tensorboard::EventWriter;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes metrics; what a resumed run had written beyond its checkpoint is dropped and written again.
pub(super) struct Log {
    lines: JsonLines,
    events: EventWriter,
    /// Time that updates took, without evaluations and without waiting for other members.
    seconds: f64,
}

impl Log {
    /// Open the log of a member that stands after `updates` updates.
    pub fn open(dir: &RunDir, updates: u64) -> Result<Self> {
        let kept = |line: &Value| line["update"].as_u64().is_some_and(|update| update <= updates);
        let lines = JsonLines::open(dir.metrics_path(), kept)?;
        let seconds = dir.metrics()?.last().and_then(|line| line["seconds"].as_f64()).unwrap_or(0.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let events = EventWriter::create(dir.path(), now)?;
        Ok(Self { lines, events, seconds })
    }

    /// Add the time that an update took.
    pub fn spend(&mut self, time: Duration) {
        self.seconds += time.as_secs_f64();
    }

    /// Write an evaluation that was made now.
    pub fn evaluation(&mut self, evaluation: &Evaluation, lesson: &Lesson, tally: &Tally) -> Result<()> {
        self.write(evaluation, lesson, tally, Some(self.seconds))
    }

    fn write(&mut self, evaluation: &Evaluation, lesson: &Lesson, tally: &Tally, seconds: Option<f64>) -> Result<()> {
        let mean = |sum: f64| tally.mean(sum);
        let mut line = Map::new();
        let mut put = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                line.insert(name.into(), to_value(value));
            }
        };
        put("loss", Some(evaluation.loss));
        put("accuracy", evaluation.accuracy);
        put("training_loss", (tally.updates > 0).then(|| mean(tally.loss)));
        put("training_accuracy", tally.accuracy.map(mean));
        put("gradient_norm", tally.gradient_norm.map(mean));
        for (name, value) in &lesson.schedule {
            put(name, Some(*value));
        }
        for (name, value) in &line {
            if let Some(value) = value.as_f64() {
                self.events.scalar(name, evaluation.update, value)?;
            }
        }
        if let Some(hardest) = lesson.levels.iter().map(|l| l.level).max() {
            self.events.scalar("level", evaluation.update, hardest as f64)?;
        }
        let heads: Vec<Value> = evaluation
            .heads
            .iter()
            .map(|head| {
                json!({
                    "head": head.head, "level": head.level,
                    "loss": to_value(head.loss), "accuracy": head.accuracy.map(to_value),
                })
            })
            .collect();
        let mut whole = Map::new();
        whole.insert("update".into(), evaluation.update.into());
        whole.insert("lesson".into(), evaluation.lesson.into());
        whole.insert("levels".into(), lesson.levels.iter().map(|l| l.level).collect::<Vec<_>>().into());
        whole.insert("trials".into(), evaluation.trials.into());
        whole.extend(line);
        whole.insert("heads".into(), heads.into());
        if let Some(seconds) = seconds {
            whole.insert("seconds".into(), to_value(seconds));
        }
        self.lines.append(&whole)?;
        Ok(())
    }

    /// Make sure that what was written is on disk.
    pub fn flush(&mut self) -> Result<()> {
        self.events.flush()
    }
}

/// Write the evaluations that another program made into a run that has none of its own. How long they took is not known.
pub(crate) fn write_past(dir: &RunDir, evaluations: &[Judged]) -> Result<()> {
    if evaluations.is_empty() {
        return Ok(());
    }
    let mut log = Log::open(dir, 0)?;
    for Judged { evaluation, lesson, training_loss } in evaluations {
        let mut tally = Tally::default();
        if let Some(loss) = training_loss {
            tally.add(*loss, None, None);
        }
        log.write(evaluation, lesson, &tally, None)?;
    }
    log.flush()
}
