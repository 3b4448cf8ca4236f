//! What kind of network a run trained: its curriculum, its task and its cell, read from the experiment.

use serde_json::Value;
use synfire::Experiment;
use synfire::figure::Colour;

/// One level at a time.
pub(super) const SINGLE: &str = "single";
/// All levels so far.
pub(super) const CUMULATIVE: &str = "cumulative";
/// Parity of the last N bits.
pub(super) const PARITY: &str = "parity";
/// The cell of the paper: the non-linearity around everything.
pub(super) const DEFAULT: &str = "default";
/// Its modified cell: the non-linearity on the drive only.
pub(super) const MODIFIED: &str = "modified";

/// Curriculum, task and cell in the words of the paper, where it has words for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// `single`, `cumulative`, `sliding`, or the name of another curriculum.
    pub order: String,
    /// `parity`, `DMS`, or the name of another task.
    pub task: String,
    /// `default`, `modified`, `LSTM`, `GRU`, or the name of another cell.
    pub cell: String,
    /// Where time constants are not trained, what they are: `τ = 2`.
    pub fixed: Option<String>,
    /// Units of each layer; empty where the cell does not say.
    pub units: Vec<u64>,
    /// Steps that each symbol is shown for in training; empty where the task does not say.
    pub repeat: Vec<u64>,
}

impl Kind {
    pub fn of(experiment: &Experiment) -> Self {
        let order = match experiment.curriculum.name.as_str() {
            "single-level" => SINGLE.into(),
            "sliding-window" => "sliding".into(),
            other => other.to_string(),
        };
        let (task, options) = (&experiment.task.name, experiment.cell.options());
        let (cell, fixed) = cell(&experiment.cell.name, &options);
        let repeat = numbers(&experiment.task.options()["repeat"]);
        Self { order, task: name_of(task, &repeat), cell, fixed, units: units(&options), repeat }
    }

    /// Cell and fixed time constants: what groups in one panel have in common.
    pub fn variant(&self) -> String {
        match &self.fixed {
            Some(fixed) => format!("{}, {fixed}", self.cell),
            None => self.cell.clone(),
        }
    }

    /// How many units there are: `128 units`, or layer by layer `64 + 64 units`.
    pub fn size(&self) -> Option<String> {
        let layers: Vec<String> = self.units.iter().map(u64::to_string).collect();
        (!layers.is_empty()).then(|| format!("{} units", layers.join(" + ")))
    }

    /// The colour of the paper for a curriculum and task, where it has one.
    pub fn colour(&self) -> Option<Colour> {
        Some(Colour::hex(match (self.order.as_str(), self.task.as_str()) {
            (SINGLE, "DMS") => 0x80_35_15,
            (CUMULATIVE, "DMS") => 0x0e_57_3a,
            (SINGLE, _) => 0xd4_8a_6a,
            (CUMULATIVE, _) => 0x48_91_74,
            ("sliding", _) => 0x00_8f_c4,
            _ => return None,
        }))
    }
}

/// A number, or a list of numbers.
fn numbers(option: &Value) -> Vec<u64> {
    let list = option.as_array().map_or(std::slice::from_ref(option), Vec::as_slice);
    list.iter().filter_map(Value::as_u64).collect()
}

/// Of the cell itself, of that in a wrapper, or of each layer.
fn units(options: &Value) -> Vec<u64> {
    match (options["hidden"].as_u64(), options.get("inner"), options["layers"].as_array()) {
        (Some(units), _, _) => vec![units],
        (None, Some(inner), _) => units(inner),
        (None, None, Some(layers)) => layers.iter().flat_map(units).collect(),
        (None, None, None) => Vec::new(),
    }
}

fn name_of(name: &str, repeat: &[u64]) -> String {
    let short = match name {
        "n-parity" => PARITY,
        "delayed-match" => "DMS",
        other => other,
    };
    match repeat {
        [] | [1] => short.to_string(),
        times => format!("{short} × {}", times.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn cell(name: &str, options: &Value) -> (String, Option<String>) {
    // A wrapper has its cell inside.
    if let (None, Some(inner)) = (options.get("time_constants"), options.get("inner")) {
        let (within, fixed) = cell(inner["type"].as_str().unwrap_or("cell"), inner);
        return (format!("{name} {within}"), fixed);
    }
    let placement = match options["placement"].as_str() {
        Some("whole") => DEFAULT,
        Some("drive") => MODIFIED,
        Some(other) => other,
        None => "",
    };
    let cell = match (name, options["activation"].as_str().unwrap_or("leaky-relu")) {
        ("leaky-rnn", _) if options["time_constants"]["unit"] == "symbols" => "continuous".into(),
        ("leaky-rnn", "leaky-relu") => placement.to_string(),
        ("leaky-rnn", activation) => format!("{placement} {activation}"),
        ("continuous-rnn", _) => "continuous".into(),
        ("lstm", _) => "LSTM".into(),
        ("gru", _) => "GRU".into(),
        _ => name.to_string(),
    };
    let times = &options["time_constants"];
    let fixed = (times["trainable"] == false).then(|| match (times["low"].as_f64(), times["high"].as_f64()) {
        (Some(low), Some(high)) if low == high => format!("τ = {low}"),
        _ => "τ fixed".into(),
    });
    (cell, fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use synfire::Spec;

    #[test]
    fn experiments_are_put_into_the_words_of_the_paper() {
        let of = |curriculum: &str, task: Value, cell: Value| {
            let experiment = Experiment {
                curriculum: Spec::new(curriculum),
                task: Spec::with(task["type"].as_str().expect("a name"), &task),
                cell: Spec::with(cell["type"].as_str().expect("a name"), &cell),
                ..Experiment::default()
            };
            let kind = Kind::of(&experiment);
            format!("{} {} {}", kind.order, kind.task, kind.variant())
        };
        let parity = json!({ "type": "n-parity", "repeat": 1 });
        let leaky = |placement: &str, activation: &str, trainable: bool| {
            let times = json!({ "low": 2.0, "high": 2.0, "trainable": trainable });
            json!({ "type": "leaky-rnn", "placement": placement, "activation": activation, "time_constants": times })
        };
        assert_eq!(of("single-level", parity.clone(), leaky("whole", "leaky-relu", true)), "single parity default");
        assert_eq!(
            of("cumulative", parity.clone(), leaky("drive", "tanh", false)),
            "cumulative parity modified tanh, τ = 2"
        );
        let dms = json!({ "type": "delayed-match", "repeat": 5 });
        assert_eq!(of("sliding-window", dms, json!({ "type": "gru" })), "sliding DMS × 5 GRU");
        let many = json!({ "type": "n-parity", "repeat": [7, 8] });
        assert_eq!(of("cumulative", many, json!({ "type": "continuous-rnn" })), "cumulative parity × 7, 8 continuous");
        let skip = json!({ "type": "skip", "inner": { "type": "lstm" } });
        assert_eq!(of("direct", parity, skip), "direct parity skip LSTM");
    }

    #[test]
    fn units_are_those_of_the_cell_inside_or_of_each_layer() {
        let wrapped = json!({ "inner": { "type": "lstm", "hidden": 64 } });
        let stacked =
            json!({ "layers": [{ "type": "gru", "hidden": 32 }, { "type": "skip", "inner": { "hidden": 16 } }] });
        assert_eq!(units(&json!({ "hidden": 128 })), [128]);
        assert_eq!((units(&wrapped), units(&stacked)), (vec![64], vec![32, 16]));
        let kind = Kind { units: units(&stacked), ..Kind::of(&Experiment::default()) };
        assert_eq!(kind.size().as_deref(), Some("32 + 16 units"));
        assert_eq!(Kind { units: units(&Value::Null), ..kind }.size(), None);
    }
}
