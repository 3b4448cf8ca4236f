//! The time constants of a cell: where they are, and what they are counted in.

use synfire::subject::RunView;

/// Name of the parameter that holds the time constants, one for each unit or one for all.
pub(super) const PARAMETER: &str = "time_constants";

/// What time constants are counted in, and which are too short to act: read from the options of the cell.
pub(super) struct Clock {
    /// `steps` or `ms`.
    pub unit: &'static str,
    /// Duration of a step in the unit.
    pub step: f64,
    /// The least value that acts.
    pub bound: f64,
}

impl Clock {
    pub fn of(run: &RunView) -> Self {
        let mut options = run.experiment.cell.options();
        // A wrapper has its cell inside.
        while options.get("time_constants").is_none() {
            match options.get("inner").cloned() {
                Some(inner) => options = inner,
                None => break,
            }
        }
        let in_ms = options["time_constants"]["unit"] == "ms";
        let dt_ms = run.lesson().dt_ms.or(run.parts.spec.dt_ms).unwrap_or(1.0);
        let step = if in_ms { dt_ms } else { 1.0 };
        let least = options["time_constants"]["least"].as_f64().unwrap_or(1.0);
        // A forward step is unstable below one step, an exact one is not.
        let bound = if options["integration"] == "exact" { least } else { least.max(step) };
        Self { unit: if in_ms { "ms" } else { "steps" }, step, bound }
    }
}
