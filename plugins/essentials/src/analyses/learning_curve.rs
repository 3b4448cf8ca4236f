//! How a network learned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synfire::analysis::{Findings, Scope};
use synfire::curriculum::{Evaluation, HeadResult, LessonRecord};
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Panel, Rule};
use synfire::storage::array::Array;
use synfire::storage::float::from_value;
use synfire::subject::RunView;
use synfire::table::Table;
use synfire::{Analysis, Component, Problems, Registry, Result, Subject};

/// Loss, accuracy and level over the updates of a run, and how long each level took.
///
/// Everything comes from the run's history and its metrics; no network is played, so it works for every run. A lesson counts as
/// passed when the curriculum went on, to another one or to the end. Seconds are those of the training itself, read at the evaluation that ended
/// the lesson; they are missing where the run has no metrics, for example after an import.
///
/// figures `learning`: loss, accuracy and, where the task has one, the level against updates; `heads`: the accuracy (or loss) of
/// every head
/// tables  `evaluations`: one row an evaluation; `lessons`: updates and seconds of each lesson
/// arrays  `update`, `loss`, `accuracy`, `training_loss` `[evaluation]`
///
/// Source: the usual display of training. Differs: nothing is smoothed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LearningCurve {
    /// A line across the accuracies, such as the threshold of the curriculum.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether the loss is drawn on a logarithmic axis.
    pub log_loss: bool,
}

impl Default for LearningCurve {
    fn default() -> Self {
        Self { threshold: None, log_loss: true }
    }
}

/// One evaluation with what the metrics add to it.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    update: u64,
    lesson: usize,
    loss: f64,
    accuracy: Option<f64>,
    training_loss: Option<f64>,
    gradient_norm: Option<f64>,
    seconds: Option<f64>,
    heads: Vec<HeadResult>,
}

#[typetag::serde(name = "learning-curve")]
impl Analysis for LearningCurve {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        if let Some(threshold) = self.threshold {
            problems.require((0.0..=1.0).contains(&threshold), "threshold", threshold, "between 0 and 1");
        }
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        let view = subject.run()?;
        let history = view.history();
        let points = points(&history.evaluations, &view.dir.metrics()?);
        let lessons = lessons(&history.lessons, &points, history.updates, view.lesson_is_over()?);
        let mut findings = Findings::new();
        findings.value("updates", history.updates);
        findings.value("evaluations", points.len());
        if history.restarts > 0 {
            findings.value("restarts", history.restarts);
        }
        if let Some(last) = points.last() {
            findings.value("loss", last.loss);
            findings.value("accuracy", last.accuracy);
            findings.value("seconds", last.seconds);
        } else {
            findings.note("the run was never evaluated, so there is nothing to draw");
        }
        if let Some(level_name) = level_name(view) {
            let passed = lessons.iter().filter(|lesson| lesson.passed).filter_map(|lesson| lesson.hardest).max();
            findings.value(format!("largest {level_name} passed"), passed);
            findings.value(format!("largest {level_name} trained"), lessons.iter().filter_map(|l| l.hardest).max());
        }
        findings.tables = vec![evaluation_table(&points, &lessons), lesson_table(&lessons, level_name(view))];
        if !points.is_empty() {
            findings.figures.push(self.learning(view, &points, &lessons));
            findings.figures.extend(self.heads(view, &points));
            let column =
                |of: &dyn Fn(&Point) -> f64| Array::new([points.len()], points.iter().map(of).collect::<Vec<_>>());
            findings.array("update", column(&|p| p.update as f64)?);
            findings.array("loss", column(&|p| p.loss)?);
            findings.array("accuracy", column(&|p| p.accuracy.unwrap_or(f64::NAN))?);
            findings.array("training_loss", column(&|p| p.training_loss.unwrap_or(f64::NAN))?);
        }
        Ok(findings)
    }
}

fn level_name<'a>(view: &'a RunView) -> Option<&'a str> {
    view.parts.spec.difficulty.as_ref().map(|difficulty| difficulty.name.as_str())
}

/// The evaluations of the history, with training loss and seconds from the metrics of the same update.
fn points(evaluations: &[Evaluation], metrics: &[Value]) -> Vec<Point> {
    evaluations
        .iter()
        .map(|evaluation| {
            let same = |line: &&Value| {
                line["update"].as_u64() == Some(evaluation.update)
                    && line["lesson"].as_u64().is_none_or(|lesson| lesson == evaluation.lesson as u64)
            };
            let line = metrics.iter().find(same);
            let number = |name: &str| line.and_then(|line| from_value(&line[name]));
            Point {
                update: evaluation.update,
                lesson: evaluation.lesson,
                loss: evaluation.loss,
                accuracy: evaluation.accuracy,
                training_loss: number("training_loss"),
                gradient_norm: number("gradient_norm"),
                seconds: number("seconds"),
                heads: evaluation.heads.clone(),
            }
        })
        .collect()
}

/// How one lesson went.
#[derive(Clone, Debug, PartialEq)]
struct LessonSummary {
    levels: Vec<usize>,
    hardest: Option<usize>,
    from: u64,
    until: u64,
    passed: bool,
    seconds: Option<f64>,
    loss: Option<f64>,
    accuracy: Option<f64>,
}

fn lessons(records: &[LessonRecord], points: &[Point], updates: u64, over: bool) -> Vec<LessonSummary> {
    let mut began = 0.0;
    let mut summaries = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let next = records.get(index + 1);
        let last = points.iter().rev().find(|point| point.lesson == index);
        let ended = last.and_then(|point| point.seconds);
        let levels: Vec<usize> = record.lesson.levels.iter().map(|level| level.level).collect();
        summaries.push(LessonSummary {
            hardest: levels.iter().copied().max(),
            levels,
            from: record.from,
            until: next.map_or(updates, |next| next.from),
            // A restart repeats the same lesson with a new network: it was not passed.
            passed: next.map_or(over, |next| next.lesson != record.lesson),
            seconds: ended.map(|ended| ended - began),
            loss: last.map(|point| point.loss),
            accuracy: last.and_then(|point| point.accuracy),
        });
        began = ended.unwrap_or(began);
    }
    summaries
}

fn evaluation_table(points: &[Point], lessons: &[LessonSummary]) -> Table {
    let columns =
        ["update", "level", "loss", "accuracy", "training loss", "gradient norm", "heads", "least accuracy", "seconds"];
    let mut table = Table::new("evaluations", "Evaluations", &columns);
    for point in points {
        let level = lessons.get(point.lesson).and_then(|lesson| lesson.hardest);
        let least = point.heads.iter().filter_map(|head| head.accuracy).reduce(f64::min);
        table.push((
            point.update,
            level,
            point.loss,
            point.accuracy,
            point.training_loss,
            point.gradient_norm,
            point.heads.len(),
            least,
            point.seconds,
        ));
    }
    table
}

fn lesson_table(lessons: &[LessonSummary], level_name: Option<&str>) -> Table {
    let level = level_name.unwrap_or("level");
    let columns = [level, "levels", "first update", "updates", "seconds", "passed", "last loss", "last accuracy"]
        .map(String::from);
    let mut table = Table::new("lessons", "Lessons, in their order", &columns);
    for lesson in lessons {
        table.push((
            lesson.hardest,
            lesson.levels.len(),
            lesson.from,
            lesson.until - lesson.from,
            lesson.seconds,
            lesson.passed,
            lesson.loss,
            lesson.accuracy,
        ));
    }
    table
}

/// Lessons beyond this many are not marked one by one in the curves.
const MARKED_LESSONS: usize = 12;

impl LearningCurve {
    fn learning(&self, view: &RunView, points: &[Point], lessons: &[LessonSummary]) -> Figure {
        let updates: Vec<u64> = points.iter().map(|point| point.update).collect();
        let mut loss_axis = Axis::new("loss");
        if self.log_loss && points.iter().any(|point| point.loss > 0.0) {
            loss_axis = loss_axis.log();
        }
        let updates_axis = || Axis::new("update").limits(0.0, view.history().updates.max(1) as f64);
        let mut loss = Panel::new("").x(updates_axis()).y(loss_axis).marks(borders(lessons));
        let trained: Vec<f64> = points.iter().map(|point| point.training_loss.unwrap_or(f64::NAN)).collect();
        if trained.iter().any(|value| value.is_finite()) {
            loss = loss.mark(Line::new(&updates, trained).label("training").colour(Colour::GREY));
        }
        let tested: Vec<f64> = points.iter().map(|point| point.loss).collect();
        let mut panels = vec![loss.mark(Line::new(&updates, tested).label("evaluation").colour(Colour::palette(0)))];
        if points.iter().any(|point| point.accuracy.is_some()) {
            let mean: Vec<f64> = points.iter().map(|point| point.accuracy.unwrap_or(f64::NAN)).collect();
            let mut panel = Panel::new("").x(updates_axis()).y(accuracy_axis(&mean)).marks(borders(lessons));
            let several = points.iter().any(|point| point.heads.len() > 1);
            if several {
                let least = |point: &Point| point.heads.iter().filter_map(|h| h.accuracy).reduce(f64::min);
                let least: Vec<f64> = points.iter().map(|point| least(point).unwrap_or(f64::NAN)).collect();
                panel = panel.mark(Line::new(&updates, least).label("worst head").colour(Colour::palette(1)).thin());
            }
            let mut line = Line::new(&updates, mean).colour(Colour::palette(0));
            line = if several { line.label("mean over heads") } else { line };
            panel = panel.mark(line);
            if let Some(threshold) = self.threshold {
                panel = panel.mark(Rule::horizontal(threshold).label("threshold"));
            }
            panels.push(panel);
        }
        if let Some(name) = level_name(view).filter(|_| lessons.iter().any(|lesson| lesson.hardest.is_some())) {
            panels.push(Panel::new("").x(updates_axis()).y(level_axis(name, lessons)).mark(staircase(lessons)));
        }
        let title = format!("Training of {}", view.label);
        let marks = if borders(lessons).is_empty() { "" } else { " Dashed lines: a new lesson begins." };
        Figure::new("learning", title).columns(panels.len().min(3)).panels(panels).caption(format!(
            "Loss and accuracy on fresh trials of the lesson of the moment, and the mean loss of the updates before.{marks}"
        ))
    }

    /// One line per head, dark for the first, light for the last.
    fn heads(&self, view: &RunView, points: &[Point]) -> Option<Figure> {
        let mut heads: Vec<(usize, Option<usize>)> = Vec::new();
        for head in points.iter().flat_map(|point| &point.heads) {
            if !heads.contains(&(head.head, head.level)) {
                heads.push((head.head, head.level));
            }
        }
        if heads.len() < 2 {
            return None;
        }
        let with_accuracy = points.iter().flat_map(|point| &point.heads).any(|head| head.accuracy.is_some());
        let measured = |head: &HeadResult| if with_accuracy { head.accuracy.unwrap_or(f64::NAN) } else { head.loss };
        let mut all = Vec::new();
        let mut lines = Vec::new();
        let name = level_name(view).unwrap_or("level");
        for (index, (head, level)) in heads.iter().enumerate() {
            let own = points.iter().filter_map(|point| {
                let found = point.heads.iter().find(|h| h.head == *head && h.level == *level)?;
                Some((point.update as f64, measured(found)))
            });
            let (x, y): (Vec<f64>, Vec<f64>) = own.unzip();
            all.extend_from_slice(&y);
            // The very light end of the map vanishes on white.
            let share = 0.9 * index as f64 / (heads.len() - 1) as f64;
            let mut line = Line::new(x, y).colour(ColourMap::Sequential.at(share));
            let shown = heads.len() <= 8 || index == 0 || index == heads.len() - 1;
            if shown {
                line = line.label(level.map_or(format!("head {head}"), |level| format!("{name} = {level}")));
            }
            lines.push(line);
        }
        let axis = if with_accuracy { accuracy_axis(&all) } else { Axis::new("loss").log() };
        let panel = Panel::new("").x("update").y(axis).marks(lines);
        let caption = "Every head on fresh trials of its level, from the update at which it was added; dark for the first, light for the last.";
        Some(Figure::new("heads", "Head by head").panel(panel).caption(caption))
    }
}

/// From a little below the least accuracy to 1.
fn accuracy_axis(values: &[f64]) -> Axis {
    let least = values.iter().copied().filter(|v| v.is_finite()).fold(1.0, f64::min);
    let lower = if least >= 0.5 { 0.45 } else { 0.0 };
    Axis::new("accuracy").limits(lower, 1.02)
}

/// Whole numbers from a little below the lowest to a little above the highest level.
fn level_axis(name: &str, lessons: &[LessonSummary]) -> Axis {
    let levels = || lessons.iter().filter_map(|lesson| lesson.hardest);
    let (low, high) = (levels().min().unwrap_or(0), levels().max().unwrap_or(0));
    let step = ((high - low) / 6).max(1);
    let margin = 0.04 * (high - low).max(1) as f64;
    let ticks: Vec<usize> = (low..=high).step_by(step).collect();
    Axis::new(name).limits(low as f64 - margin, high as f64 + margin).ticks(ticks)
}

fn borders(lessons: &[LessonSummary]) -> Vec<Rule> {
    if lessons.len() > MARKED_LESSONS {
        return Vec::new();
    }
    lessons.iter().skip(1).map(|lesson| Rule::vertical(lesson.from as f64)).collect()
}

/// The hardest level over time, flat within a lesson.
fn staircase(lessons: &[LessonSummary]) -> Line {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for lesson in lessons {
        let level = lesson.hardest.map_or(f64::NAN, |level| level as f64);
        x.extend([lesson.from as f64, lesson.until as f64]);
        y.extend([level, level]);
    }
    Line::new(x, y).colour(Colour::palette(2))
}

synfire::inventory::submit! { Component::analysis::<LearningCurve>("learning-curve") }

#[cfg(test)]
mod tests;
