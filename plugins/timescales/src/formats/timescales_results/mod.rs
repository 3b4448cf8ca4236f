//! Tables of results as the code of the timescales paper keeps them.

mod autocorrelations;
mod rows;
mod saved;
mod table;

use saved::all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use synfire::format::Imported;
use synfire::storage::atomic;
use synfire::subject::{At, RunView};
use synfire::{Component, Error, Format, Network, Result};

/// The results of a run's analyses in the tables of the timescales paper, for its plotting code and for statistics elsewhere.
///
/// | file | from the analysis | columns after `network_type`, `network`, `N` |
/// |---|---|---|
/// | `df_ablate_tau.csv` | `ablation`, units one by one | `baseline_accuracy`, `ids_ablated`, `tau_ablated`, `accuracies` |
/// | `df_perturb_rnn_normalized.csv` | `perturbation` of kind `recurrent-normalized` | `perturbation`, `accuracy` |
/// | `df_perturb_tau_normalized_abs.csv` | `perturbation` of kind `time-constants-absolute` | `perturbation`, `accuracy` |
/// | `df_retrained.csv` | `retraining` | `N_retrained`, `accuracy` (in percent, one an evaluation) |
/// | `{type}_network_{network}_N{N}_acs_taus.npz` | `timescales` | see below |
///
/// Other kinds of perturbation get files of their own names. Lists in a cell are JSON. `network_type` is `single`, `cumulative` or
/// `sliding`, `network` a number, in every file. The archive holds `taus_net`, `selected_models` (1, 2 or NaN) and `taus_trained`
/// `[unit]`, `ac_all` `[unit, lag]`, `ac_pop` `[lag]`, `max_fit_lag`, `duration` and `trials`.
///
/// The given place is a folder. Rows of other networks that are in its tables already stay, so that runs can be exported one after
/// the other; rows of the same network and level are replaced. What the run's analyses lack for a table is left out and said in
/// `left-out.txt`. There is nothing to import.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina 2024, "Emergent mechanisms for long timescales depend
/// on training curriculum and affect performance in memory tasks", ICLR, arXiv:2309.12927; result files of its published code.
/// Differs: CSV and npz instead of pickles; one set of labels, where the published files and scripts disagree; autocorrelations are
/// not divided by the number of trials a second time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimescalesResults {
    /// Number of the network in the tables; left out, that of the member, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<usize>,
}

/// Where what was left out is said.
const LEFT_OUT: &str = "left-out.txt";

#[typetag::serde(name = "timescales-results")]
impl Format for TimescalesResults {
    fn import(&self, path: &Path) -> Result<Imported> {
        Err(Error::file(
            path,
            "is of a format that holds results, not networks",
            "import networks with timescales-folder",
        ))
    }

    fn export(&self, _: &Network, path: &Path) -> Result<()> {
        Err(Error::file(
            path,
            "is for the results of a run, not for a network",
            "use timescales-checkpoint for networks",
        ))
    }

    fn export_run(&self, run: &RunView, at: At, path: &Path) -> Result<Vec<PathBuf>> {
        if at != At::Last {
            let remedy = "leave it out; each analysis says of which network it is";
            return Err(Error::config("--at", "is set, but the format writes the results of a run", remedy));
        }
        if path.is_file() {
            return Err(Error::file(path, "is a file", "name a folder with -o"));
        }
        let number = self.network.unwrap_or(run.member + 1);
        let (mut tables, mut archives, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for saved in all(run)? {
            let made = match &saved.spec.name[..] {
                "ablation" => rows::ablation(&saved).map(|table| tables.push(table)),
                "perturbation" => rows::perturbation(&saved).map(|made| tables.extend(made)),
                "retraining" => rows::retraining(&saved).map(|table| tables.push(table)),
                "timescales" => autocorrelations::archive(&saved).map(|archive| archives.push(archive)),
                _ => continue,
            };
            if let Err(problem) = made {
                left_out.push(format!("{}: {problem}", saved.folder));
            }
        }
        if tables.is_empty() && archives.is_empty() {
            let problem = match left_out.is_empty() {
                true => "has no ablation, perturbation, retraining or timescales among its analyses".to_string(),
                false => format!("has nothing that fits the tables: {}", left_out.join("; ")),
            };
            return Err(Error::file(run.dir.path(), problem, "make them with `synfire analyze`, with a level"));
        }
        std::fs::create_dir_all(path).map_err(Error::io(path))?;
        let network = table::Network { kind: network_type(&run.experiment.curriculum.name), number };
        let mut files = table::merge(path, &network, tables)?;
        for archive in archives {
            files.push(archive.write(path, &network)?);
        }
        if !left_out.is_empty() {
            let file = path.join(LEFT_OUT);
            let lines: String =
                left_out.iter().map(|line| format!("{} network {number}: {line}\n", network.kind)).collect();
            atomic::write(&file, lines.as_bytes())?;
            files.push(file);
        }
        Ok(files)
    }
}

synfire::inventory::submit! { Component::format::<TimescalesResults>("timescales-results") }

/// A curriculum as the published tables call it.
fn network_type(curriculum: &str) -> &str {
    match curriculum {
        "single-level" | "direct" | "fixed-budget" => "single",
        "sliding-window" => "sliding",
        other => other,
    }
}

#[cfg(test)]
mod tests;
