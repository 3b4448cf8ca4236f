//! What the directory and file names of published networks say: `sliding_10_5_parity_network_1/rnn_N2_N11`.

use std::path::Path;
use synfire::Lesson;

/// The order in which a network was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One level at a time, one head.
    Single,
    /// All levels so far, a head each.
    Cumulative,
    /// A window of levels, heads by place.
    Sliding {
        /// Levels of the window.
        heads: usize,
        /// Levels by which it slides.
        forget: usize,
    },
}

/// What the names say; `None` where they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedName {
    /// Curriculum.
    pub order: Option<Order>,
    /// `parity` or `dms`.
    pub task: Option<String>,
    /// For the modified cell, the name of its non-linearity.
    pub modified: Option<String>,
    /// The list of repetitions of a network that was trained with repeated symbols, as written.
    pub repetitions: Option<String>,
    /// Easiest and hardest of the levels last trained; `None` for an untrained network.
    pub levels: Option<(usize, usize)>,
}

impl PublishedName {
    /// Read the last two parts of a path.
    pub fn of(path: &Path) -> Self {
        let part = |path: Option<&Path>| {
            path.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default().to_string()
        };
        let (folder, file) = (part(path.parent()), part(Some(path)));
        Self { levels: levels(&file), ..of_folder(&folder) }
    }

    /// The steps for which each symbol was shown, where the list of repetitions is one.
    pub fn steps(&self) -> Option<Vec<usize>> {
        let steps: Vec<usize> = serde_json::from_str(self.repetitions.as_deref()?).ok()?;
        (!steps.is_empty() && steps.iter().all(|steps| (1..=1 << 16).contains(steps))).then_some(steps)
    }

    /// The lesson last trained: single networks answer with head 0, the others with the head at the level's place.
    pub fn lesson(&self) -> Option<Lesson> {
        let (easiest, hardest) = self.levels?;
        Some(match self.order {
            Some(Order::Single) => Lesson::with_levels([(hardest, 0)]),
            _ => Lesson::with_levels((easiest..=hardest).map(|level| (level, level - easiest))),
        })
    }
}

fn of_folder(folder: &str) -> PublishedName {
    let mut name = PublishedName::default();
    let words: Vec<&str> = folder.split('_').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok());
    let start = usize::from(words.first() == Some(&"lstm"));
    name.order = match (words.get(start), number(start + 1), number(start + 2)) {
        (Some(&"single"), ..) => Some(Order::Single),
        (Some(&"cumulative"), ..) => Some(Order::Cumulative),
        (Some(&"sliding"), Some(heads), Some(forget)) if heads > 0 && forget > 0 => {
            Some(Order::Sliding { heads, forget })
        }
        _ => None,
    };
    if name.order.is_none() {
        return name;
    }
    let among = |tasks: [&str; 2]| words.iter().find(|word| tasks.contains(word)).map(|word| (*word).to_string());
    // The published LSTMs were trained on parity alone, and their folders do not say so.
    name.task = among(["parity", "dms"]).or_else(|| (start == 1).then(|| "parity".into()));
    let after = |key: &str| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1));
    name.modified = after("mod").map(|word| (*word).to_string());
    name.repetitions = words.iter().find_map(|word| word.strip_prefix("duplicates")).map(str::to_string);
    name
}

/// `rnn_N2_N11` or `lstm_N2_N11`.
fn levels(file: &str) -> Option<(usize, usize)> {
    let mut words = file.split('_');
    let kind = words.next()?;
    let mut level = || words.next()?.strip_prefix('N')?.parse::<usize>().ok();
    let (easiest, hardest) = (level()?, level()?);
    // A span beyond any head that a file could hold is not a pair of levels.
    let sensible = easiest >= 2 && hardest >= easiest && hardest - easiest < 1 << 16;
    (["rnn", "lstm"].contains(&kind) && sensible && words.next().is_none()).then_some((easiest, hardest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> PublishedName {
        PublishedName::of(Path::new(path))
    }

    #[test]
    fn published_names_are_understood() {
        let single = of("models/single_parity_network_1/rnn_N5_N5");
        assert_eq!((single.order, single.task.as_deref()), (Some(Order::Single), Some("parity")));
        assert_eq!(single.lesson(), Some(Lesson::with_levels([(5, 0)])));
        let cumulative = of("cumulative_dms_mod_tanh_T_2.0_network_3/rnn_N2_N4");
        assert_eq!((cumulative.task.as_deref(), cumulative.modified.as_deref()), (Some("dms"), Some("tanh")));
        assert_eq!(cumulative.lesson(), Some(Lesson::with_levels([(2, 0), (3, 1), (4, 2)])));
        let sliding = of("sliding_10_5_parity_network_1/rnn_N7_N16");
        assert_eq!(sliding.order, Some(Order::Sliding { heads: 10, forget: 5 }));
        assert_eq!(sliding.lesson().map(|lesson| lesson.levels[0].head), Some(0));
        let continuous = of("single_parity_duplicates[7, 8]_tau0.5_network_99/rnn_N3_N3");
        assert_eq!(continuous.repetitions.as_deref(), Some("[7, 8]"));
        assert_eq!((continuous.steps(), continuous.modified), (Some(vec![7, 8]), None));
        assert_eq!(of("single_parity_duplicates[0]_network_99/rnn_N3_N3").steps(), None);
        let lstm = of("lstm_single_network_51/lstm_N2_N9");
        assert_eq!((lstm.task.as_deref(), lstm.lesson()), (Some("parity"), Some(Lesson::with_levels([(9, 0)]))));
    }

    #[test]
    fn other_names_say_nothing() {
        assert_eq!(of("single_parity_network_1/rnn_init").lesson(), None);
        assert_eq!(of("rnn.pt"), PublishedName::default());
        assert_eq!(of("downloads/rnn_N3_N2").lesson(), None);
        assert_eq!(of("downloads/rnn_N2_N99999999999").lesson(), None);
        assert_eq!(of("sliding_parity/rnn_N2_N3").order, None);
    }
}
