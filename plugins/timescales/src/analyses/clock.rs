//! The time constants of a cell: where they are, and what they are counted in.

use crate::cells::CONTINUOUS_RNN;
use synfire::subject::RunView;
use synfire::{Result, Stream};

/// Name of the parameter that holds the time constants, one for each unit or one for all.
pub(super) const PARAMETER: &str = "time_constants";

/// Batches that are drawn to see in how many steps symbols are shown.
const DRAWS: u64 = 32;

/// What time constants are counted in, and which are too short to act: read from the options of the cell.
pub(super) struct Clock {
    /// `steps`, `ms` or `symbols`.
    pub unit: &'static str,
    /// Duration of a step in the unit.
    pub step: f64,
    /// The least value that acts.
    pub bound: f64,
}

impl Clock {
    /// In trials that show each symbol for so many steps.
    pub fn of(run: &RunView, substeps: Option<usize>) -> Self {
        let (mut name, mut options) = (run.experiment.cell.name.clone(), run.experiment.cell.options());
        // A wrapper has its cell inside.
        while options.get("time_constants").is_none() {
            match options.get("inner").cloned() {
                Some(inner) => {
                    name = inner["type"].as_str().unwrap_or_default().to_string();
                    options = inner;
                }
                None => break,
            }
        }
        let continuous = name == CONTINUOUS_RNN;
        let constants = &options["time_constants"];
        let (unit, step) = match constants["unit"].as_str() {
            Some("ms") => ("ms", run.lesson().dt_ms.or(run.parts.spec.dt_ms).unwrap_or(1.0)),
            Some("symbols") => ("symbols", 1.0 / substeps.unwrap_or(1) as f64),
            None if continuous => ("symbols", 1.0 / substeps.unwrap_or(1) as f64),
            _ => ("steps", 1.0),
        };
        let least = constants["least"].as_f64().unwrap_or(if continuous { 0.0 } else { 1.0 });
        // A forward step is unstable below one step, an exact one is not.
        let bound = if options["integration"] == "exact" { least } else { least.max(step) };
        Self { unit, step, bound }
    }

    /// In the trials of the run's last lesson; where batches differ in the steps of a symbol, in those with the shortest steps.
    pub fn of_lesson(run: &RunView) -> Result<Self> {
        let lesson = run.lesson();
        let mut most = None;
        for index in 0..DRAWS {
            most = most.max(run.trials(&lesson, 1, &Stream::new(0).at(index))?.substeps);
        }
        Ok(Self::of(run, most))
    }
}
