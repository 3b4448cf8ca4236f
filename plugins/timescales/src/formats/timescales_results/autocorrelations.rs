//! The archive of autocorrelations and timescales of one network.

use super::saved::Saved;
use super::table::Network;
use std::path::{Path, PathBuf};
use synfire::Result;
use synfire::storage::{Array, write_npz};

/// The arrays of one network.
pub(super) struct Archive {
    level: usize,
    arrays: Vec<(&'static str, Array)>,
}

/// The last network that an analysis of timescales looked at; `Err` says what is missing.
pub(super) fn archive(saved: &Saved) -> Result<Archive, String> {
    let taus = saved.array("tau_net")?;
    let units = taus.len();
    // The table of units has all networks, the last one at its end.
    let last = |column: &str| -> Result<Vec<f64>, String> {
        let all = saved.column("units", column)?;
        let from =
            all.len().checked_sub(units).ok_or_else(|| format!("it has fewer than {units} rows of '{column}'"))?;
        Ok(all[from..].to_vec())
    };
    let level = saved.level()?;
    let lags = |name: &str| -> Result<Array, String> {
        let array = saved.array(name)?;
        let wrong = || format!("its array '{name}' has shape {:?}", array.shape());
        let (count, rows) = match *array.shape() {
            [count] => (count, None),
            [rows, count] => (count, Some(rows)),
            _ => return Err(wrong()),
        };
        // Published arrays hold lags 0 to max_lag - 1.
        let kept = count.saturating_sub(1);
        let values = array.to_f64();
        let cut: Vec<f64> = values.chunks(count.max(1)).flat_map(|row| &row[..kept.min(row.len())]).copied().collect();
        let shape = rows.map_or_else(|| vec![kept], |rows| vec![rows, kept]);
        Array::new(shape, cut).map_err(|_| wrong())
    };
    let number = |value: u64| Array::from(value as i64);
    Ok(Archive {
        level,
        arrays: vec![
            ("ac_pop", lags("population_autocorrelation")?),
            ("ac_all", lags("autocorrelation")?),
            ("taus_net", taus.clone()),
            ("selected_models", Array::from(last("exponentials")?)),
            ("taus_trained", Array::from(last("trained_tau")?)),
            ("max_fit_lag", number(saved.option("fit_lag")?)),
            ("duration", number(saved.option("steps")?)),
            ("trials", number(saved.option("trials")?)),
        ],
    })
}

impl Archive {
    /// Write it into a folder under the name of its network.
    ///
    /// # Errors
    /// [`synfire::Error::Io`] when the system refuses.
    pub fn write(&self, folder: &Path, network: &Network) -> Result<PathBuf> {
        let name = format!("{}_network_{}_N{}_acs_taus.npz", network.kind, network.number, self.level);
        let path = folder.join(name);
        write_npz(&path, &self.arrays)?;
        Ok(path)
    }
}
