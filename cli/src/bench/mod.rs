//! Benchmarks: ours and an alternative in turn, in one process, so that their ratio means something on a noisy machine.

mod baseline;
mod cases;
mod fixed_points;
mod network;

pub use cases::all;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use synfire::storage::float::to_value;
use synfire::workers::Workers;
use synfire::{Registry, Result};

/// What every benchmark is handed.
pub struct Bench<'a> {
    /// All components.
    pub registry: &'a Registry,
    /// Threads of ours.
    pub workers: &'a Workers,
    /// How long each comparison may take.
    pub budget: Duration,
}

/// A comparison.
pub struct Measured {
    /// Which benchmark.
    pub name: &'static str,
    /// Of what size.
    pub shape: String,
    /// Median of ours.
    pub ours_ms: f64,
    /// What it is compared with, and its median; `None` for a plain measurement.
    pub alternative: Option<(String, f64)>,
    /// Rate of the products of ours, where these are the work.
    pub gflops: Option<f64>,
    /// That rate as a share of what the same threads reach when they do nothing but such products.
    pub share: Option<f64>,
    /// A rate in words, where milliseconds say little.
    pub rate: Option<(f64, &'static str)>,
    /// Pairs that were timed.
    pub pairs: usize,
}

impl Measured {
    /// How many times faster ours is.
    pub fn ratio(&self) -> Option<f64> {
        self.alternative.as_ref().map(|(_, theirs)| theirs / self.ours_ms)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let number = |x: Option<f64>| x.map(to_value);
        json!({
            "name": self.name,
            "shape": self.shape,
            "ours_ms": to_value(self.ours_ms),
            "alternative": self.alternative.as_ref().map(|(name, _)| name),
            "alternative_ms": number(self.alternative.as_ref().map(|(_, ms)| *ms)),
            "ratio": number(self.ratio()),
            "gflops": number(self.gflops),
            "share_of_gemm": number(self.share),
            "rate": self.rate.map(|(value, unit)| json!({ "value": to_value(value), "unit": unit })),
            "pairs": self.pairs,
        })
    }
}

/// Work that is timed.
pub type Work<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// The median times of two pieces of work in milliseconds, done in turn until the budget is spent, and the number of pairs.
///
/// # Errors
/// What the work reports.
pub fn in_turn(budget: Duration, ours: &mut Work, theirs: &mut Work) -> Result<(f64, f64, usize)> {
    let began = Instant::now();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    while a.len() < 5 || began.elapsed() < budget && a.len() < 1000 {
        a.push(timed(ours)?);
        b.push(timed(theirs)?);
    }
    Ok((median(&mut a), median(&mut b), a.len()))
}

/// The median time of one piece of work in milliseconds, and how often it was done.
///
/// # Errors
/// What the work reports.
pub fn alone(budget: Duration, work: &mut Work) -> Result<(f64, usize)> {
    let began = Instant::now();
    let mut all = Vec::new();
    while all.len() < 5 || began.elapsed() < budget && all.len() < 1000 {
        all.push(timed(work)?);
    }
    Ok((median(&mut all), all.len()))
}

/// How long nothing is done between two pieces of work: the threads of libtorch's own pool keep a core busy for some milliseconds
/// after they have finished.
const PAUSE: Duration = Duration::from_millis(10);

/// The time of one piece of work in milliseconds, as it is in a training, where the same has just been done before.
fn timed(work: &mut Work) -> Result<f64> {
    std::thread::sleep(PAUSE);
    work()?;
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_medians_of_work_done_in_turn() {
        let order = std::cell::RefCell::new(Vec::new());
        let mut ours: Work = Box::new(|| {
            order.borrow_mut().push('a');
            Ok(())
        });
        let mut theirs: Work = Box::new(|| {
            order.borrow_mut().push('b');
            Ok(())
        });
        let (a, b, pairs) = in_turn(Duration::ZERO, &mut ours, &mut theirs).unwrap();
        assert!(pairs == 5 && a >= 0.0 && b >= 0.0);
        assert_eq!(order.borrow().iter().collect::<String>(), "aabb".repeat(5));
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    }
}
