//! The names of published folders: `single_parity_size_200_network_1`, `sliding_10_5_dms_mod_tanh_T_2.0_network_3`.

use super::super::published_name::PublishedName;
use crate::cells::CONTINUOUS_RNN;
use serde_json::Value;
use std::path::Path;
use synfire::subject::RunView;
use synfire::{Error, Result};

/// Units of networks whose folder does not say their number.
const PUBLISHED_UNITS: u64 = 500;

/// What the name of a folder says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FolderName {
    /// What the names of its files say, too.
    pub published: PublishedName,
    /// Trained on one level without a curriculum.
    pub direct: bool,
    /// Number of units.
    pub units: Option<usize>,
    /// Time constant that the network was made with (`T_2.0`).
    pub tau: Option<f64>,
    /// Mean of the time constants that the network was made with (`tau0.5`).
    pub mean_tau: Option<f64>,
}

impl FolderName {
    pub fn of(folder: &Path) -> Self {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let published = PublishedName::of(&folder.join("network"));
        if published.order.is_none() {
            return Self { published, ..Self::default() };
        }
        let words: Vec<&str> = name.split('_').collect();
        let after = |key: &str| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1));
        let tau = |text: &str| text.parse::<f64>().ok().filter(|tau| tau.is_finite() && *tau > 0.0);
        Self {
            published,
            direct: words.contains(&"nocurr"),
            units: after("size").and_then(|word| word.parse().ok()),
            tau: after("T").and_then(|word| tau(word)),
            mean_tau: words.iter().find_map(|word| tau(word.strip_prefix("tau")?)),
        }
    }

    /// How many numbers of repetitions the network was trained with; 1 where symbols were not repeated.
    pub fn repetitions(&self) -> u64 {
        self.published.steps().map_or(1, |steps| steps.len() as u64)
    }
}

/// Where the files of a run go, and what their names begin with.
#[derive(Debug, PartialEq)]
pub(super) struct Published {
    /// Name of the folder.
    pub folder: String,
    /// `rnn` or `lstm`.
    pub prefix: &'static str,
}

impl Published {
    /// The names for a run and the number of its network.
    ///
    /// # Errors
    /// [`Error::Failed`] for a task, curriculum or cell that the scheme has no name for.
    pub fn of(run: &RunView, number: usize) -> Result<Self> {
        let experiment = &run.experiment;
        Self::named(
            (&experiment.curriculum.name, &experiment.curriculum.options()),
            (&experiment.task.name, &experiment.task.options()),
            (&experiment.cell.name, &experiment.cell.options()),
            number,
        )
    }

    fn named(curriculum: (&str, &Value), task: (&str, &Value), cell: (&str, &Value), number: usize) -> Result<Self> {
        let count = |options: &Value, name: &str| options[name].as_u64();
        let lstm = cell.0 == "lstm";
        let mut words: Vec<String> = Vec::new();
        if lstm {
            words.push("lstm".into());
        }
        words.push(match curriculum.0 {
            "single-level" => "single".into(),
            "cumulative" => "cumulative".into(),
            "sliding-window" => {
                let heads = count(curriculum.1, "init_heads").unwrap_or(10);
                let forget = count(curriculum.1, "forget_heads").unwrap_or(5);
                format!("sliding_{}_{forget}", heads.max(forget))
            }
            "fixed-budget" => "single_nocurr".into(),
            "direct" if curriculum.1["levels"].as_array().is_none_or(|levels| levels.len() <= 1) => {
                "single_nocurr".into()
            }
            "direct" => "cumulative".into(),
            other => {
                return Err(unnamed(
                    "curriculum",
                    other,
                    "single-level, cumulative, sliding-window, direct, fixed-budget",
                ));
            }
        });
        match task.0 {
            "n-parity" if lstm => {}
            "n-parity" => words.push("parity".into()),
            "delayed-match" => words.push("dms".into()),
            other => return Err(unnamed("task", other, "n-parity, delayed-match")),
        }
        let continuous = cell.0 == CONTINUOUS_RNN;
        let repeated = match &task.1["repeat"] {
            Value::Array(steps) => steps.iter().map(Value::to_string).collect::<Vec<_>>(),
            Value::Number(steps) if continuous || steps.as_u64() != Some(1) => vec![steps.to_string()],
            _ => Vec::new(),
        };
        if !repeated.is_empty() {
            words.push(format!("duplicates[{}]", repeated.join(", ")));
        }
        let constants = &cell.1["time_constants"];
        if continuous && let Some(mean) = constants["mean"].as_f64() {
            words.push(format!("tau{mean:?}"));
        }
        if let Some(units) = count(cell.1, "hidden").filter(|units| *units != PUBLISHED_UNITS) {
            words.push(format!("size_{units}"));
        }
        match (
            if continuous { "leaky-rnn" } else { cell.0 },
            cell.1["placement"].as_str(),
            cell.1["activation"].as_str(),
        ) {
            ("leaky-rnn", Some("whole"), Some("leaky-relu")) if !continuous => {}
            ("leaky-rnn", Some("drive"), Some("leaky-relu")) if continuous => {}
            ("leaky-rnn", Some("drive"), Some("leaky-relu")) => words.push("mod_leakyrelu".into()),
            ("leaky-rnn", Some("drive"), Some(activation @ ("relu" | "tanh" | "sigmoid"))) => {
                words.push(format!("mod_{activation}"));
            }
            ("leaky-rnn", placement, activation) => {
                let found = format!("{} {}", placement.unwrap_or_default(), activation.unwrap_or_default());
                let known = "whole leaky-relu, and drive with leaky-relu, relu, tanh or sigmoid";
                return Err(unnamed("cell's placement and activation", &found, known));
            }
            ("lstm", ..) => {}
            (other, ..) => return Err(unnamed("cell", other, "leaky-rnn, continuous-rnn, lstm")),
        }
        let low = constants["low"].as_f64();
        if let Some(tau) = low.filter(|tau| *tau != 1.0 || constants["trainable"] == false) {
            words.push(format!("T_{tau:?}"));
        }
        words.push(format!("network_{number}"));
        Ok(Self { folder: words.join("_"), prefix: if lstm { "lstm" } else { "rnn" } })
    }
}

fn unnamed(what: &str, found: &str, known: &str) -> Error {
    Error::Failed(format!(
        "published folders have no name for the {what} '{found}', only for: {known}; export single networks with \
         timescales-checkpoint or state-dict"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::published_name::Order;
    use super::*;
    use serde_json::json;

    fn of(name: &str) -> FolderName {
        FolderName::of(&Path::new("models").join(name))
    }

    #[test]
    fn affixes_are_read() {
        let plain = of("single_parity_network_1");
        assert_eq!((plain.published.order, plain.direct, plain.units), (Some(Order::Single), false, None));
        let modified = of("sliding_10_5_dms_size_200_mod_tanh_T_2.0_network_3");
        assert_eq!(modified.published.order, Some(Order::Sliding { heads: 10, forget: 5 }));
        assert_eq!(
            (modified.units, modified.tau, modified.published.task.as_deref()),
            (Some(200), Some(2.0), Some("dms"))
        );
        let continuous = of("cumulative_parity_duplicates[7, 8, 9, 10]_tau0.5_network_99");
        assert_eq!((continuous.repetitions(), continuous.mean_tau), (4, Some(0.5)));
        assert!(of("single_nocurr_parity_network_1").direct);
        assert_eq!(of("downloads_size_3"), FolderName::default());
    }

    #[test]
    fn names_written_are_the_published_ones_and_read_back() {
        let cell = |placement: &str, activation: &str, hidden: usize, low: f64, trainable: bool| {
            json!({ "hidden": hidden, "placement": placement, "activation": activation,
                    "time_constants": { "low": low, "trainable": trainable } })
        };
        let named = |curriculum: (&str, Value), task: &str, cell: (&str, Value)| {
            let published = Published::named((curriculum.0, &curriculum.1), (task, &json!({})), (cell.0, &cell.1), 2);
            published.map(|published| published.folder)
        };
        let plain = cell("whole", "leaky-relu", 500, 1.0, true);
        assert_eq!(
            named(("single-level", json!({})), "n-parity", ("leaky-rnn", plain)).unwrap(),
            "single_parity_network_2"
        );
        let small = cell("drive", "tanh", 64, 3.0, false);
        let sliding = ("sliding-window", json!({ "init_heads": 4, "forget_heads": 2 }));
        let name = named(sliding, "delayed-match", ("leaky-rnn", small)).unwrap();
        assert_eq!(name, "sliding_4_2_dms_size_64_mod_tanh_T_3.0_network_2");
        let read = of(&name);
        assert_eq!((read.units, read.tau, read.published.modified.as_deref()), (Some(64), Some(3.0), Some("tanh")));
        let lstm = named(("cumulative", json!({})), "n-parity", ("lstm", json!({ "hidden": 500 }))).unwrap();
        assert_eq!(lstm, "lstm_cumulative_network_2");
        let continuous = json!({ "hidden": 500, "placement": "drive", "activation": "tanh",
                                 "time_constants": { "low": 1.0, "mean": 0.5, "trainable": true } });
        let name = Published::named(
            ("cumulative", &json!({})),
            ("n-parity", &json!({ "repeat": [7, 8] })),
            ("continuous-rnn", &continuous),
            99,
        );
        let name = name.unwrap().folder;
        assert_eq!(name, "cumulative_parity_duplicates[7, 8]_tau0.5_mod_tanh_network_99");
        let read = of(&name);
        assert_eq!((read.published.steps(), read.mean_tau), (Some(vec![7, 8]), Some(0.5)));
        let other = named(("cumulative", json!({})), "flip-flop", ("lstm", json!({}))).unwrap_err().to_string();
        assert!(other.contains("'flip-flop'"), "{other}");
    }
}
