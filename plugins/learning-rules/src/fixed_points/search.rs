//! From where the searches ended to fixed points: residual test, de-duplication, stability.

use super::{Descent, End, Stop, System, descend};
use synfire::Result;
use synfire::tch::{Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire_essentials::eigen::{self, Complex, modulus};

/// Starts that are searched from at once; does not depend on the number of threads.
const BATCH: usize = 128;
/// Rounds in which the search goes on from between the points that were found, and most pairs in each.
const ROUNDS: usize = 4;
const PAIRS: usize = 512;

/// How zeros are looked for and told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// When a start is done with.
    pub descent: Descent,
    /// Zeros nearer to each other (Euclidean distance) are one.
    pub distance: f64,
    /// A minimum of the speed is a slow point when its state changes by no more than this in a step.
    pub slow_speed: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self { descent: Descent::default(), distance: 1e-3, slow_speed: 0.02 }
    }
}

/// What a fixed point does to states near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stability {
    /// All of them come back.
    Attractor,
    /// Some directions lead away.
    Saddle,
    /// All directions lead away.
    Repeller,
}

impl Stability {
    /// For tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attractor => "attractor",
            Self::Saddle => "saddle",
            Self::Repeller => "repeller",
        }
    }
}

/// A state that the network stays in.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPoint {
    /// The state of the map: without clamped units.
    pub state: Vec<f64>,
    /// Largest absolute change in one step.
    pub residual: f64,
    /// Eigenvalues of the step's Jacobian, the largest modulus first.
    pub multipliers: Vec<Complex>,
    /// How many starts led here.
    pub starts: usize,
}

impl FixedPoint {
    /// Number of directions that lead away: eigenvalues outside the unit circle.
    pub fn unstable(&self) -> usize {
        self.multipliers.iter().filter(|value| modulus(**value) > 1.0).count()
    }

    /// What it is.
    pub fn stability(&self) -> Stability {
        match self.unstable() {
            0 => Stability::Attractor,
            all if all == self.multipliers.len() => Stability::Repeller,
            _ => Stability::Saddle,
        }
    }

    /// Eigenvalues of the flow, `(multiplier - 1) / leak`: in units of the time constant where `leak` is that of the units, per step
    /// with a leak of 1.
    pub fn rates(&self, leak: f64) -> Vec<Complex> {
        self.multipliers.iter().map(|(real, imaginary)| ((real - 1.0) / leak, imaginary / leak)).collect()
    }

    /// The largest real part of [`FixedPoint::rates`].
    pub fn growth(&self, leak: f64) -> f64 {
        self.rates(leak).into_iter().map(|value| value.0).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// A state at which the network is slower than anywhere near, without standing still.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowPoint {
    /// The state of the map.
    pub state: Vec<f64>,
    /// Length of its change in one step.
    pub speed: f64,
    /// How many starts led here.
    pub starts: usize,
}

/// What a search found under one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Fixed points: by number of unstable directions, then by their states.
    pub points: Vec<FixedPoint>,
    /// Slow points, the slowest first.
    pub slow: Vec<SlowPoint>,
    /// Starts that led to neither.
    pub lost: usize,
}

impl Found {
    /// The fixed points of one kind.
    pub fn of(&self, stability: Stability) -> impl Iterator<Item = &FixedPoint> {
        self.points.iter().filter(move |point| point.stability() == stability)
    }
}

impl Search {
    /// Look for fixed points from every row of `starts` `[start, size]`, then from half way between any two that were found, the nearest
    /// pairs first, until nothing new comes up: between two attractors lies a border with a point that is left in some direction, of
    /// which few starts know.
    ///
    /// # Errors
    /// When the cell fails or eigenvalues do not converge.
    pub fn run(&self, system: &System, starts: &Tensor, workers: &Workers) -> Result<Found> {
        let mut ends = self.ends(system, starts, workers)?;
        let mut known = 0;
        for _ in 0..ROUNDS {
            let zeros: Vec<End> = ends.iter().filter(|end| end.stop == Stop::Zero).cloned().collect();
            let points: Vec<Vec<f64>> = self.distinct(zeros).into_iter().map(|(end, _)| end.state).collect();
            if points.len() < 2 || points.len() == known {
                break;
            }
            known = points.len();
            let between = half_way(&points);
            let between =
                Tensor::from_slice(&between.concat()).f_reshape([between.len() as i64, system.size() as i64])?;
            ends.extend(self.ends(system, &between, workers)?);
        }
        self.sort(system, ends)
    }

    /// Where each start leads.
    fn ends(&self, system: &System, starts: &Tensor, workers: &Workers) -> Result<Vec<End>> {
        let count = starts.size()[0] as usize;
        let blocks: Vec<(System, Tensor)> = (0..count)
            .step_by(BATCH)
            .map(|first| {
                let rows = BATCH.min(count - first);
                (system.handle(), starts.narrow(0, first as i64, rows as i64).copy())
            })
            .collect();
        let ends = workers.map(blocks, |(system, starts)| descend(&system, &starts, self.descent));
        Ok(ends.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    fn sort(&self, system: &System, ends: Vec<End>) -> Result<Found> {
        let (zeros, others): (Vec<End>, Vec<End>) = ends.into_iter().partition(|end| end.stop == Stop::Zero);
        let (slow, lost): (Vec<End>, Vec<End>) =
            others.into_iter().partition(|end| end.stop == Stop::Minimum && end.speed <= self.slow_speed);
        let mut points = Vec::new();
        for (end, starts) in self.distinct(zeros) {
            let multipliers = multipliers(system, &end.state)?;
            points.push(FixedPoint { state: end.state, residual: end.residual, multipliers, starts });
        }
        let by_state = |a: &[f64], b: &[f64]| {
            // Rounding must not decide: states are compared in units of the distance that tells them apart.
            let coarse = |x: f64| (x / self.distance).round();
            a.iter().zip(b).map(|(a, b)| coarse(*a).total_cmp(&coarse(*b))).find(|order| order.is_ne())
        };
        points.sort_by(|a: &FixedPoint, b: &FixedPoint| {
            let order = by_state(&a.state, &b.state).unwrap_or(std::cmp::Ordering::Equal);
            a.unstable().cmp(&b.unstable()).then(order)
        });
        let mut slow: Vec<SlowPoint> = self
            .distinct(slow)
            .into_iter()
            // A minimum beside a zero is that zero's own neighbourhood, reached with too few digits.
            .filter(|(end, _)| points.iter().all(|point| distance(&point.state, &end.state) > self.distance))
            .map(|(end, starts)| SlowPoint { state: end.state, speed: end.speed, starts })
            .collect();
        slow.sort_by(|a, b| a.speed.total_cmp(&b.speed));
        Ok(Found { points, slow, lost: lost.len() })
    }

    /// One of each kind, the one with the smallest residual, and how many there were.
    fn distinct(&self, mut ends: Vec<End>) -> Vec<(End, usize)> {
        ends.sort_by(|a, b| a.residual.total_cmp(&b.residual));
        let mut kept: Vec<(End, usize)> = Vec::new();
        for end in ends {
            match kept.iter_mut().find(|(other, _)| distance(&other.state, &end.state) <= self.distance) {
                Some((_, starts)) => *starts += 1,
                None => kept.push((end, 1)),
            }
        }
        kept
    }
}

/// States half way between two of the points, the nearest pairs first.
fn half_way(points: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let pairs = (0..points.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut pairs: Vec<(f64, usize, usize)> = pairs.map(|(i, j)| (distance(&points[i], &points[j]), i, j)).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs.truncate(PAIRS);
    let middle =
        |(_, i, j): (f64, usize, usize)| points[i].iter().zip(&points[j]).map(|(a, b)| 0.5 * (a + b)).collect();
    pairs.into_iter().map(middle).collect()
}

/// Euclidean distance of two states.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// A state as a batch of one row.
fn row(state: &[f64]) -> Result<Tensor> {
    Ok(Tensor::from_slice(state).f_reshape([1, state.len() as i64])?)
}

fn multipliers(system: &System, state: &[f64]) -> Result<Vec<Complex>> {
    let jacobian = system.jacobian(&row(state)?)?;
    eigen::eigenvalues(&no_grad(|| values_f64(&jacobian)), state.len())
}

/// Directions in which a fixed point is left, unit vectors of the map's state, the fastest first; of a spiral the two that span its
/// plane.
///
/// # Errors
/// When the cell fails or eigenvectors do not converge.
pub fn unstable_directions(system: &System, point: &FixedPoint) -> Result<Vec<Vec<f64>>> {
    let jacobian = system.jacobian(&row(&point.state)?)?;
    let found = eigen::general(&values_f64(&jacobian), point.state.len())?;
    let mut directions = Vec::new();
    for (value, vector) in found.values.iter().zip(&found.vectors) {
        // The second of a conjugate pair spans the same plane.
        if modulus(*value) <= 1.0 || value.1 < 0.0 {
            continue;
        }
        let part = |pick: fn(&Complex) -> f64| vector.iter().map(pick).collect::<Vec<f64>>();
        directions.push(unit(part(|entry| entry.0)));
        if value.1 > 0.0 {
            directions.push(unit(part(|entry| entry.1)));
        }
    }
    Ok(directions)
}

fn unit(vector: Vec<f64>) -> Vec<f64> {
    let length = eigen::frobenius(&vector);
    if length > 0.0 { vector.into_iter().map(|x| x / length).collect() } else { vector }
}
