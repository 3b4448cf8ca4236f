//! Where saddles lead: the network followed along the directions that leave them.

use super::{Surveyed, under};
use crate::fixed_points::{Stability, System, unstable_directions};
use synfire::Result;
use synfire::tch::{Tensor, no_grad};
use synfire::tensors::values_f64;

/// Steps between two looks at where the network is.
const LOOK: usize = 20;
/// Distance from the saddle at which the network is let go, in units of the distance that tells points apart.
const PUSH: f64 = 10.0;

/// A fixed point that is left in some directions.
pub(super) struct Connection {
    /// Number of the input.
    pub input: usize,
    /// Number of the point over all inputs.
    pub point: usize,
    /// Unit vectors of the map's state, the fastest first.
    pub directions: Vec<Vec<f64>>,
    /// For either way along the fastest one: number of the attractor and steps until it was near; `None` if none was reached.
    pub ends: [Option<(usize, usize)>; 2],
}

/// Saddles and repellers of all inputs with their directions and ends.
pub(super) fn connections(
    system: &System,
    surveyed: &[Surveyed],
    distance: f64,
    steps: usize,
) -> Result<Vec<Connection>> {
    let mut all = Vec::new();
    let mut first = 0;
    for (input, one) in surveyed.iter().enumerate() {
        let here = under(system, one)?;
        for (index, point) in one.found.points.iter().enumerate() {
            if point.stability() == Stability::Attractor {
                continue;
            }
            let directions = unstable_directions(&here, point)?;
            let ends = match directions.first() {
                Some(fastest) if steps > 0 => follow(&here, one, &point.state, fastest, distance, steps)?,
                _ => [None, None],
            };
            let ends = ends.map(|end| end.map(|(attractor, steps)| (first + attractor, steps)));
            all.push(Connection { input, point: first + index, directions, ends });
        }
        first += one.found.points.len();
    }
    Ok(all)
}

fn follow(
    system: &System,
    one: &Surveyed,
    saddle: &[f64],
    direction: &[f64],
    distance: f64,
    steps: usize,
) -> Result<[Option<(usize, usize)>; 2]> {
    let pushed = |sign: f64| saddle.iter().zip(direction).map(move |(x, v)| x + sign * PUSH * distance * v);
    let both: Vec<f64> = pushed(1.0).chain(pushed(-1.0)).collect();
    let mut state = Tensor::from_slice(&both).f_reshape([2, saddle.len() as i64])?;
    let mut ends = [None, None];
    let attractors: Vec<(usize, &[f64])> = one
        .found
        .points
        .iter()
        .enumerate()
        .filter(|(_, point)| point.stability() == Stability::Attractor)
        .map(|(index, point)| (index, &point.state[..]))
        .collect();
    for done in (LOOK..=steps).step_by(LOOK) {
        state = no_grad(|| (0..LOOK).try_fold(state, |state, _| system.next(&state)))?;
        let values = values_f64(&state);
        for (end, here) in ends.iter_mut().zip(values.chunks(saddle.len())) {
            if end.is_none() {
                let gap = |other: &[f64]| here.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
                // Half of the push: a node that has just split from this saddle must not count as reached at the start.
                let reached = attractors.iter().find(|(_, other)| gap(other) < 0.5 * PUSH * distance);
                *end = reached.map(|(index, _)| (*index, done));
            }
        }
        if ends.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(ends)
}
