//! Signals: the first ends a run at the next update, the second ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use synfire::{Error, Result};

/// A flag that Ctrl-C, SIGTERM and SIGUSR1 (with which Slurm warns of the time limit) set.
///
/// # Errors
/// When the system refuses the handlers.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        let register = || {
            // In this order the first signal finds the flag unset and only sets it.
            flag::register_conditional_shutdown(signal, 1, stop.clone())?;
            flag::register(signal, stop.clone())
        };
        register().map_err(|error| Error::Failed(format!("cannot handle signal {signal}: {error}")))?;
    }
    Ok(stop)
}
