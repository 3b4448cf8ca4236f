//! Training that goes on from a network of a run, aside from the run.

use super::RunDir;
use crate::network::Network;
use crate::observer::Silent;
use crate::trainer::Session;
use crate::{Error, Experiment, History, Registry, Result};
use std::sync::atomic::AtomicBool;

/// A network after further training.
#[derive(Debug)]
pub struct Further {
    /// What happened since it was handed over, counted from 0.
    pub history: History,
    /// The network as it became.
    pub network: Network,
}

/// Train a copy of a network under an experiment, from its first update to its end, and leave nothing behind.
///
/// It is the training of a run, in a temporary directory: the rule starts on the network, lessons add the heads that it lacks, and
/// all that is drawn depends on the experiment's seed alone, not on the number of threads.
///
/// # Errors
/// When the experiment has several members or does not fit the network, when training fails, and when the system has no room for a
/// temporary directory.
pub fn train_further(
    experiment: &Experiment,
    network: Network,
    registry: &Registry,
    threads: usize,
) -> Result<Further> {
    let temporary = std::env::temp_dir();
    let folder = tempfile::tempdir().map_err(Error::io(&temporary))?;
    let dir = RunDir::begin_from(folder.path().join("run"), experiment, network, registry)?;
    let stop = AtomicBool::new(false);
    Session { experiment, registry, dir: &dir, threads, observer: &Silent, stop: &stop }.train()?;
    let parts = experiment.parts(registry)?;
    let context = parts.context(experiment, registry)?;
    let last = dir.load_last_checkpoint(context.device)?;
    let network = parts.network_from(&context, last.parameters, last.state.readout)?;
    Ok(Further { history: last.state.history, network })
}
