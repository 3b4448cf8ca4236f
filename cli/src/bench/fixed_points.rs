//! How fast fixed points are found.

use super::network::Ours;
use super::{Bench, Measured, Work, alone};
use serde_json::json;
use synfire::cell::Setting;
use synfire::tch::{Device, Kind};
use synfire::{Result, Stream};
use synfire_learning_rules::fixed_points::{Search, System};

/// Starts, and the units of the network.
const STARTS: usize = 1024;
const UNITS: usize = 16;

/// The search from 1024 random starts in a random network of 16 units and gain 2.5, eigenvalues included.
///
/// # Errors
/// When the network cannot be built, or the search fails.
pub fn searches(bench: &Bench) -> Result<Vec<Measured>> {
    Ok(vec![search(bench, UNITS)?])
}

fn search(bench: &Bench, units: usize) -> Result<Measured> {
    let cell = json!({
        "type": "leaky-rnn", "hidden": units, "placement": "current", "recurrent": { "start": "normal", "gain": 2.5 },
        "time_constants": { "low": 10.0, "high": 10.0 }, "input_bias": false,
    });
    let ours = Ours::parity(bench.registry, bench.workers, cell, (1, units, 2))?;
    let setting = Setting::default();
    let system = System::new(&ours.network, &setting, 1)?;
    let shape = [STARTS as i64, system.size() as i64];
    let starts = Stream::new(1).uniform_tensor(&shape, -5.0, 5.0, Kind::Double, Device::Cpu);
    let mut found = 0;
    let mut work: Work = Box::new(|| {
        found = Search::default().run(&system, &starts, bench.workers)?.points.len();
        Ok(())
    });
    let (ours_ms, pairs) = alone(bench.budget, &mut work)?;
    drop(work);
    Ok(Measured {
        name: "fixed-points",
        shape: format!("{units} units, {STARTS} starts, {found} points"),
        ours_ms,
        alternative: None,
        gflops: None,
        share: None,
        rate: Some((STARTS as f64 / ours_ms * 1e3, "starts/s")),
        pairs,
    })
}
