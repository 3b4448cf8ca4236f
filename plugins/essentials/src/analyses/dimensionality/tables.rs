//! Tables of dimensions.

use super::measured::Measured;
use synfire::table::{Table, Value};

/// Mean and deviation over trials, one row a network.
pub(super) fn networks(networks: &[Measured], level: &str) -> Table {
    let columns = [
        "update",
        level,
        "dimension",
        "deviation",
        "published_index",
        "participation ratio",
        "deviation of the ratio",
        "mean rate of ones",
        "trials",
    ];
    let mut table = Table::new("networks", "Dimension of each network, over trials", &columns);
    for network in networks {
        let (dimension, ratio) = (network.dimension(), network.ratio());
        table.push(vec![
            Value::from(network.update),
            network.level.into(),
            dimension.mean.into(),
            dimension.deviation.into(),
            (dimension.mean - 1.0).into(),
            ratio.mean.into(),
            ratio.deviation.into(),
            network.rate().map(|rate| rate.mean).into(),
            network.trials.len().into(),
        ]);
    }
    table
}

/// One row a network and trial.
pub(super) fn trials(networks: &[Measured], level: &str) -> Table {
    let columns = [
        "update",
        level,
        "trial",
        "rate of ones",
        "dimension",
        "published_index",
        "participation ratio",
        "variance",
        "samples",
    ];
    let mut table = Table::new("trials", "Dimension in each trial", &columns);
    for network in networks {
        for (index, trial) in network.trials.iter().enumerate() {
            table.push(vec![
                Value::from(network.update),
                network.level.into(),
                index.into(),
                trial.rate.into(),
                trial.dimension.into(),
                trial.published_index().into(),
                trial.participation_ratio.into(),
                trial.variances.iter().sum::<f64>().into(),
                trial.samples.into(),
            ]);
        }
    }
    table
}
