//! Checkpoints: everything a run needs to go on, with checksums, published in one step.

use super::RunDir;
use crate::network::{Network, Readout};
use crate::plugin::Origin;
use crate::storage::{atomic, checksum, tensor_file};
use crate::{Error, History, Result, Tensors};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tch::Device;

/// The part of a checkpoint that is no tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Format of the checkpoint.
    pub version: u32,
    /// What happened so far.
    pub history: History,
    /// The network's heads.
    pub readout: Readout,
    /// The external plugins that were loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Origin>,
}

impl State {
    /// The state of a training at present.
    pub fn new(history: &History, network: &Network) -> Self {
        Self { version: 1, history: history.clone(), readout: network.readout.clone(), plugins: Vec::new() }
    }
}

/// A checkpoint, read.
#[derive(Debug)]
pub struct Checkpoint {
    /// Every parameter of the network.
    pub parameters: Tensors,
    /// Everything the learner keeps.
    pub learner: Tensors,
    /// History and heads.
    pub state: State,
}

impl RunDir {
    fn checkpoint_path(&self, update: u64) -> PathBuf {
        self.path.join("checkpoints").join(update.to_string())
    }

    /// Updates at which there are checkpoints, ascending.
    pub fn checkpoints(&self) -> Vec<u64> {
        let entries = std::fs::read_dir(self.path.join("checkpoints")).into_iter().flatten().flatten();
        let mut updates: Vec<u64> =
            entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
        updates.sort_unstable();
        updates
    }

    /// The newest checkpoint's history, heads and plugins, without its tensors.
    ///
    /// # Errors
    /// [`Error::File`] when there is none, or it is damaged.
    pub fn last_state(&self) -> Result<State> {
        let last = self.checkpoints().into_iter().next_back();
        let update = last.ok_or_else(|| Error::file(&self.path, "has no checkpoint", ""))?;
        atomic::read_json(self.checkpoint_path(update).join("state.json"))
    }

    /// Whether the last checkpoint is as it was written.
    pub fn last_is_intact(&self) -> bool {
        self.checkpoints().last().is_some_and(|update| checksum::verify(self.checkpoint_path(*update)).is_ok())
    }

    /// Save a checkpoint and remove those that need not be kept: of the periodic ones all but the last two.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses; older checkpoints are then untouched.
    pub fn save_checkpoint(&self, network: &Network, learner: &Tensors, history: &History) -> Result<()> {
        self.save_checkpoint_with(network, learner, history, Vec::new())
    }

    /// As [`RunDir::save_checkpoint`], with a record of the plugins that were loaded.
    ///
    /// # Errors
    /// As [`RunDir::save_checkpoint`].
    pub fn save_checkpoint_with(
        &self,
        network: &Network,
        learner: &Tensors,
        history: &History,
        plugins: Vec<Origin>,
    ) -> Result<()> {
        let target = self.checkpoint_path(history.updates);
        if target.is_dir() && checksum::verify(&target).is_ok() {
            return Ok(());
        }
        let parent = self.path.join("checkpoints");
        std::fs::create_dir_all(&parent).map_err(Error::io(&parent))?;
        let folder = atomic::temporary_dir(&target)?;
        let fill = || -> Result<()> {
            let none = BTreeMap::new();
            tensor_file::save(folder.join("network.safetensors"), &network.parameters, &none)?;
            tensor_file::save(folder.join("learner.safetensors"), learner, &none)?;
            atomic::write_json(folder.join("state.json"), &State { plugins, ..State::new(history, network) })?;
            checksum::write(&folder)?;
            atomic::replace_dir(&folder, &target)
        };
        fill().inspect_err(|_| drop(std::fs::remove_dir_all(&folder)))?;
        self.prune(history);
        Ok(())
    }

    /// Remove periodic checkpoints but the last two; the first, and those at the end of a lesson, stay.
    fn prune(&self, history: &History) {
        let milestones: BTreeSet<u64> =
            history.lessons.iter().map(|record| record.from).chain([0, history.updates]).collect();
        let all = self.checkpoints();
        let keep_from = all.len().saturating_sub(2);
        for update in all[..keep_from].iter().filter(|update| !milestones.contains(update)) {
            let path = self.checkpoint_path(*update);
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(checkpoint = update, %error, "could not remove an old checkpoint");
            }
        }
    }

    /// Read the checkpoint after `update` updates.
    ///
    /// # Errors
    /// [`Error::File`] when it is missing or damaged.
    pub fn load_checkpoint(&self, update: u64, device: Device) -> Result<Checkpoint> {
        let folder = self.checkpoint_path(update);
        if !folder.is_dir() {
            let there = self.checkpoints().iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::file(
                &self.path,
                format!("has no checkpoint after {update} updates"),
                format!("there are: {there}"),
            ));
        }
        checksum::verify(&folder)?;
        let state: State = atomic::read_json(folder.join("state.json"))?;
        if state.version != 1 {
            let problem = format!("has format {}, this program reads 1", state.version);
            return Err(Error::file(&folder, problem, "use the version of synfire that wrote it"));
        }
        let (parameters, _) = tensor_file::load(folder.join("network.safetensors"), device)?;
        let (learner, _) = tensor_file::load(folder.join("learner.safetensors"), device)?;
        Ok(Checkpoint { parameters, learner, state })
    }

    /// Read the newest checkpoint that is intact; damaged ones are skipped with a warning.
    ///
    /// # Errors
    /// [`Error::File`] when none is intact.
    pub fn load_last_checkpoint(&self, device: Device) -> Result<Checkpoint> {
        let mut first_error = None;
        for update in self.checkpoints().into_iter().rev() {
            match self.load_checkpoint(update, device) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => {
                    tracing::warn!(checkpoint = update, %error, "skipping a damaged checkpoint");
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| {
            Error::file(&self.path, "has no checkpoint", "training did not get that far; run it again")
        }))
    }
}
