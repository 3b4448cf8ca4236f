//! Pictures of further training.

use super::source::Source;
use super::training::Course;
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Panel, Rule};

/// Lines beyond this many get a name at the ends alone.
const NAMED_LINES: usize = 8;

/// What each level came to, and how.
pub(super) fn retraining(
    source: &Source,
    courses: &[Course],
    level_name: &str,
    updates_per_evaluation: u64,
    relative: &[f64],
    (base, chance): (f64, f64),
) -> Figure {
    let mut ordered: Vec<(usize, f64)> =
        courses.iter().map(|course| course.level).zip(relative.iter().copied()).collect();
    ordered.sort_by_key(|(level, _)| *level);
    let (levels, shares): (Vec<usize>, Vec<f64>) = ordered.into_iter().unzip();
    let finite = || shares.iter().copied().filter(|share| share.is_finite());
    let (lower, upper) = (finite().fold(0.0, f64::min), finite().fold(1.0, f64::max));
    let outcome = Panel::new("")
        .x(Axis::new(level_name).whole())
        .y(Axis::new("relative accuracy").limits(lower - 0.05, upper + 0.05))
        .mark(Rule::horizontal(1.0))
        .mark(Rule::horizontal(0.0))
        .mark(Line::new(&levels, &shares).dots().colour(Colour::palette(0)));
    let lines = courses.iter().enumerate().map(|(index, course)| {
        let updates: Vec<u64> = (1..=course.accuracies.len() as u64).map(|k| k * updates_per_evaluation).collect();
        // The very light end of the map vanishes on white.
        let share = 0.1 + 0.9 * index as f64 / (courses.len() - 1).max(1) as f64;
        let line = Line::new(updates, &course.accuracies).colour(ColourMap::SequentialReversed.at(share));
        let named = courses.len() <= NAMED_LINES || index == 0 || index == courses.len() - 1;
        if named { line.label(format!("{level_name} = {}", course.level)) } else { line }
    });
    let progress = Panel::new("").x("update").y(Axis::new("accuracy")).marks(lines.collect::<Vec<_>>());
    let title = format!("Further training of {} from {level_name} = {}", source.label, source.level);
    Figure::new("retraining", title).columns(2).panel(outcome).panel(progress).caption(format!(
        "Left: accuracy after further training on one level, relative to that of the network on its own level ({base:.3}, upper \
         line) and chance ({chance:.3}, lower line). Right: accuracy at each evaluation. A fresh copy of the network for each level."
    ))
}
