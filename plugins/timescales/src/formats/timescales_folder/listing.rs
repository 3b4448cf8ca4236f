//! Which files lie in a published folder.

use super::super::published_name::{Order, PublishedName};
use super::name::FolderName;
use std::path::{Path, PathBuf};
use synfire::{Error, Result};

/// The file of a network that solved its levels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Solved {
    pub path: PathBuf,
    pub easiest: usize,
    pub hardest: usize,
}

/// The files of a folder.
#[derive(Debug, PartialEq)]
pub(super) struct Listing {
    /// The network before training.
    pub untrained: Option<PathBuf>,
    /// The networks that solved levels, in the order of training.
    pub solved: Vec<Solved>,
    /// What training recorded.
    pub statistics: Option<PathBuf>,
}

/// What is to be done about a file that does not belong.
const FOREIGN: &str = "a published folder holds rnn_init, rnn_N2_N2 and so on, and stats.npy; move other files away";

impl Listing {
    /// List a folder.
    ///
    /// # Errors
    /// [`Error::File`] naming the file that does not belong, that contradicts another or the folder's name.
    pub fn of(folder: &Path, name: &FolderName) -> Result<Self> {
        let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(Error::io(folder)))
            .collect::<Result<Vec<_>>>()?;
        paths.sort();
        let mut listing = Self { untrained: None, solved: Vec::new(), statistics: None };
        let mut prefixes: Vec<(String, PathBuf)> = Vec::new();
        for path in paths {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_string();
            match &file[..] {
                // What file managers and version control leave.
                hidden if hidden.starts_with('.') => continue,
                "stats.npy" => listing.statistics = Some(path),
                // Written beside each other by an export; one says it all.
                "stats.json" => listing.statistics = listing.statistics.or(Some(path)),
                "stats.csv" => {}
                "rnn_init" | "lstm_init" if path.is_file() => {
                    prefixes.push((file, path.clone()));
                    listing.untrained = Some(path);
                }
                _ => {
                    let levels = PublishedName::of(&path).levels.filter(|_| path.is_file());
                    let Some((easiest, hardest)) = levels else {
                        return Err(Error::file(&path, "is no part of a published folder", FOREIGN));
                    };
                    prefixes.push((file, path.clone()));
                    listing.solved.push(Solved { path, easiest, hardest });
                }
            }
        }
        let prefix = |name: &str| name.split('_').next().unwrap_or_default().to_string();
        if let Some((first, _)) = prefixes.first()
            && let Some((_, other)) = prefixes.iter().find(|(name, _)| prefix(name) != prefix(first))
        {
            return Err(Error::file(other, format_args!("lies beside '{first}', of another kind"), FOREIGN));
        }
        if prefixes.is_empty() {
            return Err(Error::file(folder, "holds no network", FOREIGN));
        }
        listing.solved.sort_by_key(|solved| (solved.hardest, solved.easiest));
        let lstm = prefixes.iter().any(|(name, _)| name.starts_with("lstm"));
        listing.check(name, lstm)?;
        Ok(listing)
    }

    /// The order in which the levels were trained, as the files tell it where the folder's name does not.
    pub fn order(&self, name: &FolderName) -> Order {
        let several = self.solved.iter().any(|solved| solved.hardest > solved.easiest);
        name.published.order.unwrap_or(if several { Order::Cumulative } else { Order::Single })
    }

    /// Refuse names that cannot be those of one training.
    fn check(&self, name: &FolderName, lstm: bool) -> Result<()> {
        let order = self.order(name);
        for solved in &self.solved {
            // The published LSTMs of one level at a time are misnamed so.
            let misnamed = lstm && solved.easiest == 2;
            if order == Order::Single && solved.easiest != solved.hardest && !misnamed {
                let remedy = format!("it would be called ..._N{0}_N{0}", solved.hardest);
                return Err(Error::file(
                    &solved.path,
                    "names several levels in a folder of one level at a time",
                    remedy,
                ));
            }
        }
        for pair in self.solved.windows(2) {
            let (earlier, later) = (&pair[0], &pair[1]);
            let contradicts = |problem: &str| {
                let file = earlier.path.file_name().unwrap_or_default().to_string_lossy();
                Error::file(&later.path, format_args!("{problem} '{file}'"), FOREIGN)
            };
            if earlier.hardest == later.hardest {
                return Err(contradicts("has the same hardest level as"));
            }
            let moved = earlier.easiest != later.easiest;
            if order == Order::Cumulative && moved {
                return Err(contradicts("begins with another level than"));
            }
            if matches!(order, Order::Sliding { .. }) && later.easiest < earlier.easiest {
                return Err(contradicts("begins with an easier level than"));
            }
        }
        if name.direct && self.solved.len() > 1 {
            let problem = "is one of several networks in a folder of one level without a curriculum";
            return Err(Error::file(&self.solved[1].path, problem, FOREIGN));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(folder: &str, files: &[&str]) -> Result<Listing> {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        files.iter().for_each(|file| std::fs::write(folder.join(file), "").unwrap());
        Listing::of(&folder, &FolderName::of(&folder))
    }

    fn refusal(folder: &str, files: &[&str]) -> String {
        listed(folder, files).unwrap_err().to_string()
    }

    #[test]
    fn networks_are_put_in_the_order_of_training() {
        let files = ["rnn_N2_N10", "rnn_init", "rnn_N2_N9", "stats.npy", "stats.json", "stats.csv", ".DS_Store"];
        let listing = listed("cumulative_parity_network_1", &files).unwrap();
        assert_eq!(listing.solved.iter().map(|s| s.hardest).collect::<Vec<_>>(), [9, 10]);
        assert!(listing.untrained.is_some() && listing.statistics.unwrap().ends_with("stats.npy"));
        let lstm = listed("lstm_single_network_51", &["lstm_N2_N9", "lstm_N2_N3"]).unwrap();
        assert_eq!(lstm.solved[0].hardest, 3);
    }

    #[test]
    fn what_does_not_belong_is_named() {
        let foreign = refusal("single_parity_network_1", &["rnn_N2_N2", "notes.txt"]);
        assert!(foreign.contains("notes.txt"), "{foreign}");
        let several = refusal("single_parity_network_1", &["rnn_N2_N5"]);
        assert!(several.contains("rnn_N2_N5") && several.contains("_N5_N5"), "{several}");
        let start = refusal("cumulative_parity_network_1", &["rnn_N2_N5", "rnn_N3_N6"]);
        assert!(start.contains("rnn_N3_N6: begins with another level than 'rnn_N2_N5'"), "{start}");
        let twice = refusal("sliding_3_1_parity_network_1", &["rnn_N2_N5", "rnn_N3_N5"]);
        assert!(twice.contains("same hardest level"), "{twice}");
        let kinds = refusal("cumulative_parity_network_1", &["rnn_N2_N5", "lstm_N2_N6"]);
        assert!(kinds.contains("of another kind"), "{kinds}");
        assert!(refusal("cumulative_parity_network_1", &["stats.npy"]).contains("holds no network"));
    }
}
