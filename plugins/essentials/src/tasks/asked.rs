//! What a lesson asks of a task, and refusals of what the task does not have.

use synfire::{Error, Lesson, Result};

/// Refuse levels on behalf of a task without difficulty.
///
/// # Errors
/// [`Error::Config`] for a lesson with levels.
pub fn no_levels(lesson: &Lesson, task: &str) -> Result<()> {
    match lesson.levels.first() {
        None => Ok(()),
        Some(level) => Err(Error::config(
            "curriculum",
            format_args!("asks for level {}; the task '{task}' has no difficulty", level.level),
            "leave out the curriculum's levels",
        )),
    }
}

/// Refuse a time step on behalf of a task whose steps are symbols.
pub(super) fn no_time_step(lesson: &Lesson, task: &str) -> Result<()> {
    match lesson.dt_ms {
        None => Ok(()),
        Some(dt) => Err(Error::config(
            "curriculum",
            format_args!("sets the time step to {dt} ms; the steps of '{task}' are symbols without duration"),
            "use a task with times in milliseconds",
        )),
    }
}

/// The lesson's time step, or the task's own, in milliseconds.
///
/// # Errors
/// [`Error::Config`] for a step that is not greater than 0.
pub fn time_step(lesson: &Lesson, own_ms: f64) -> Result<f64> {
    let dt = lesson.dt_ms.unwrap_or(own_ms);
    if dt.is_finite() && dt > 0.0 {
        return Ok(dt);
    }
    Err(Error::config("curriculum", format_args!("sets the time step to {dt} ms, must be greater than 0"), ""))
}

/// A duration in steps, rounded.
pub fn steps(duration_ms: f64, dt_ms: f64) -> usize {
    (duration_ms / dt_ms).round().max(0.0) as usize
}
