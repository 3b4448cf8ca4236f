//! The time constants of a cell: where they are, and what they are counted in.

use crate::cells::CONTINUOUS_RNN;
use serde_json::Value;
use synfire::subject::RunView;
use synfire::tensors::values_f64;
use synfire::{Result, Stream, Tensors};

/// Name of the parameter that holds the time constants, one for each unit or one for all; in networks of several layers it stands
/// behind the name of the layer.
pub(super) const PARAMETER: &str = "time_constants";

/// Batches that are drawn to see in how many steps symbols are shown.
const DRAWS: u64 = 32;

/// What time constants are counted in, and which are too short to act: read from the options of the cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    /// `steps`, `ms` or `symbols`.
    pub unit: &'static str,
    /// Duration of a step in the unit.
    pub step: f64,
    /// The least value that acts.
    pub bound: f64,
}

impl Clock {
    /// Of the time constants that are the parameter `name`, in trials that show each symbol for so many steps.
    fn of(run: &RunView, name: &str, substeps: Option<usize>) -> Self {
        let (cell, options) = within(run.experiment.cell.name.clone(), run.experiment.cell.options(), name);
        let continuous = cell == CONTINUOUS_RNN;
        let constants = &options[PARAMETER];
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
}

/// The cell that has the parameter `name`, inside of wrappers and layers: what it is called, and its options.
fn within(mut cell: String, mut options: Value, mut name: &str) -> (String, Value) {
    while options.get(PARAMETER).is_none() {
        let inner = match (options.get("inner"), options.get("layers")) {
            (Some(inner), _) => Some(inner.clone()),
            (None, Some(layers)) => {
                let place = name.strip_prefix("layer.").and_then(|rest| rest.split_once('.'));
                place.and_then(|(number, rest)| {
                    name = rest;
                    layers.get(number.parse::<usize>().ok()?.checked_sub(1)?).cloned()
                })
            }
            (None, None) => None,
        };
        let Some(inner) = inner else { break };
        cell = inner["type"].as_str().unwrap_or_default().to_string();
        options = inner;
    }
    (cell, options)
}

/// The time constants of a network as they are, layer by layer where it has several, in trials that show each symbol for so many
/// steps; empty where there are none.
pub(super) fn time_constants(run: &RunView, parameters: &Tensors, substeps: Option<usize>) -> Vec<(Clock, Vec<f64>)> {
    let own =
        |name: &str| name.strip_suffix(PARAMETER).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'));
    let found = parameters.iter().filter(|(name, _)| own(name));
    found.map(|(name, tensor)| (Clock::of(run, name, substeps), values_f64(tensor))).collect()
}

/// For how many steps the trials of the run's last lesson show each symbol; where batches differ, the most.
///
/// # Errors
/// When the task refuses the lesson.
pub(super) fn most_substeps(run: &RunView) -> Result<Option<usize>> {
    let lesson = run.lesson();
    let mut most = None;
    for index in 0..DRAWS {
        most = most.max(run.trials(&lesson, 1, &Stream::new(0).at(index))?.substeps);
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_are_found_inside_wrappers_and_layers() {
        let leaky = json!({ "type": "leaky-rnn", "time_constants": { "least": 2.0 } });
        let plain = json!({ "type": "continuous-rnn" });
        let stacked = json!({ "type": "stacked", "layers": [plain, { "type": "skip", "inner": leaky }] });
        let found = |options: &Value, name| {
            let (cell, options) = within("outer".into(), options.clone(), name);
            (cell, options[PARAMETER]["least"].as_f64())
        };
        assert_eq!(found(&leaky, "time_constants"), ("outer".into(), Some(2.0)));
        assert_eq!(found(&stacked, "layer.2.time_constants"), ("leaky-rnn".into(), Some(2.0)));
        assert_eq!(found(&stacked, "layer.1.time_constants"), ("continuous-rnn".into(), None));
        let wrapped = json!({ "type": "skip", "inner": stacked });
        assert_eq!(found(&wrapped, "layer.2.time_constants"), ("leaky-rnn".into(), Some(2.0)));
        assert_eq!(found(&stacked, "layer.7.time_constants"), ("outer".into(), None));
    }
}
