//! Zeros of a map by damped least squares from many starts at once.

use super::System;
use synfire::Result;
use synfire::tch::{Kind, Tensor, no_grad};
use synfire::tensors::values_f64;

/// When a start is done with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// Largest absolute change in a step that a fixed point may have.
    pub tolerance: f64,
    /// Most steps of the search from each start.
    pub iterations: usize,
}

impl Default for Descent {
    fn default() -> Self {
        Self { tolerance: 1e-10, iterations: 300 }
    }
}

/// Why the search from a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The residual is below the tolerance.
    Zero,
    /// A minimum of the speed that is no zero.
    Minimum,
    /// Out of steps.
    Limit,
}

/// Where a start led.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The state of the map.
    pub state: Vec<f64>,
    /// Largest absolute change in one step.
    pub residual: f64,
    /// Length of the change in one step.
    pub speed: f64,
    /// Why it ended here.
    pub stop: Stop,
    /// Steps of the search.
    pub iterations: usize,
}

/// Damping of the first step, and beyond which nothing is gained any more.
const DAMPING: f64 = 1e-2;
const HOPELESS: f64 = 1e12;
/// Share of the speed by which five good steps must lower it.
const PROGRESS: f64 = 1e-8;
/// Cosine between the change and what the Jacobian can reach, below which a state is a minimum of the speed.
const LEVEL: f64 = 1e-8;
/// Residual below which plain Newton steps are tried at the end, and their number.
const NEAR: f64 = 1e-3;
const POLISH: usize = 12;

/// What is known of the starts that are still searched, row by row.
struct Active {
    places: Vec<usize>,
    states: Tensor,
    residuals: Tensor,
    jacobians: Tensor,
    squares: Vec<f64>,
    damping: Vec<f64>,
    /// Good steps in a row that gained next to nothing.
    idle: Vec<usize>,
}

/// Least squares of `next(x) - x` by Levenberg-Marquardt from every row of `starts` `[start, size]`, each with its own damping and
/// its own end, then Newton steps for those that came near a zero.
///
/// The damping is proportional to the length of the residual, which keeps the convergence quadratic at regular zeros (Yamashita &
/// Fukushima 2001, doi:10.1007/978-3-7091-6217-0_18). A minimum that is no zero is reported as such.
///
/// # Errors
/// When the cell fails.
pub fn descend(system: &System, starts: &Tensor, options: Descent) -> Result<Vec<End>> {
    let count = starts.size()[0] as usize;
    let mut ends: Vec<Option<(Tensor, Stop, usize)>> = (0..count).map(|_| None).collect();
    let (residuals, jacobians) = evaluate(system, starts)?;
    let mut active = Active {
        places: (0..count).collect(),
        states: starts.copy(),
        squares: squares(&residuals),
        residuals,
        jacobians,
        damping: vec![DAMPING; count],
        idle: vec![0; count],
    };
    for iteration in 0..=options.iterations {
        let stops = no_grad(|| active.stops(options, iteration))?;
        for (row, stop) in stops.iter().enumerate() {
            if let Some(stop) = stop {
                ends[active.places[row]] = Some((active.states.get(row as i64), *stop, iteration));
            }
        }
        let rest: Vec<usize> = (0..stops.len()).filter(|row| stops[*row].is_none()).collect();
        if rest.is_empty() {
            break;
        }
        if rest.len() < stops.len() {
            active = active.only(&rest)?;
        }
        active.improve(system)?;
    }
    polish(system, ends.into_iter().flatten().collect(), options)
}

/// `next(x) - x` and its derivative.
fn evaluate(system: &System, states: &Tensor) -> Result<(Tensor, Tensor)> {
    let residuals = system.residual(states)?;
    let jacobians = system.jacobian(states)?;
    let ones = Tensor::f_eye(system.size() as i64, (Kind::Double, states.device()))?;
    Ok((residuals, jacobians.f_sub(&ones)?))
}

fn squares(residuals: &Tensor) -> Vec<f64> {
    values_f64(&residuals.square().sum_dim_intlist(-1i64, false, Kind::Double))
}

fn largest(residuals: &Tensor) -> Vec<f64> {
    values_f64(&residuals.abs().amax(-1i64, false))
}

/// Rows of a tensor.
fn rows(tensor: &Tensor, which: &[usize]) -> Result<Tensor> {
    let which: Vec<i64> = which.iter().map(|row| *row as i64).collect();
    Ok(tensor.f_index_select(0, &Tensor::from_slice(&which))?)
}

impl Active {
    /// Which rows are done.
    fn stops(&self, options: Descent, iteration: usize) -> Result<Vec<Option<Stop>>> {
        let residual = largest(&self.residuals);
        let uphill = self.uphill()?;
        let slope = values_f64(&uphill.square().sum_dim_intlist(-1i64, false, Kind::Double).sqrt());
        let steepness =
            values_f64(&self.jacobians.square().sum_dim_intlist(&[1i64, 2][..], false, Kind::Double).sqrt());
        let stop = |row: usize| {
            let level = slope[row] <= LEVEL * steepness[row] * self.squares[row].sqrt();
            if residual[row] <= options.tolerance {
                Some(Stop::Zero)
            } else if level || self.damping[row] > HOPELESS || self.idle[row] >= 5 || !residual[row].is_finite() {
                Some(Stop::Minimum)
            } else if iteration == options.iterations {
                Some(Stop::Limit)
            } else {
                None
            }
        };
        Ok((0..residual.len()).map(stop).collect())
    }

    fn only(&self, which: &[usize]) -> Result<Self> {
        let of = |values: &[f64]| which.iter().map(|row| values[*row]).collect();
        Ok(Self {
            places: which.iter().map(|row| self.places[*row]).collect(),
            states: rows(&self.states, which)?,
            residuals: rows(&self.residuals, which)?,
            jacobians: rows(&self.jacobians, which)?,
            squares: of(&self.squares),
            damping: of(&self.damping),
            idle: which.iter().map(|row| self.idle[*row]).collect(),
        })
    }

    /// Gradient of half the squared speed, `[row, size]`.
    fn uphill(&self) -> Result<Tensor> {
        Ok(self.residuals.f_unsqueeze(1)?.f_bmm(&self.jacobians)?.f_squeeze_dim(1)?)
    }

    /// One step of every row, kept where it helps.
    fn improve(&mut self, system: &System) -> Result<()> {
        let (trial, predicted) = no_grad(|| self.trial())?;
        let residuals = system.residual(&trial)?;
        let tried = squares(&residuals);
        let mut better = Vec::new();
        for (row, after) in tried.iter().enumerate() {
            let gained = self.squares[row] - after;
            let ratio = gained / predicted[row];
            // NaN is no gain.
            if gained > 0.0 && ratio > 1e-4 {
                better.push(row);
                self.idle[row] = if gained <= PROGRESS * self.squares[row] { self.idle[row] + 1 } else { 0 };
                if ratio > 0.75 {
                    self.damping[row] = (self.damping[row] / 8.0).max(1e-14);
                }
            }
            if gained.is_nan() || ratio <= 0.25 {
                self.damping[row] *= if gained > 0.0 { 2.0 } else { 8.0 };
            }
        }
        if better.is_empty() {
            return Ok(());
        }
        let states = rows(&trial, &better)?;
        let jacobians = evaluate(system, &states)?.1;
        let places = Tensor::from_slice(&better.iter().map(|row| *row as i64).collect::<Vec<_>>());
        no_grad(|| -> Result<()> {
            self.states = self.states.f_index_copy(0, &places, &states)?;
            self.residuals = self.residuals.f_index_copy(0, &places, &rows(&residuals, &better)?)?;
            self.jacobians = self.jacobians.f_index_copy(0, &places, &jacobians)?;
            Ok(())
        })?;
        better.iter().for_each(|row| self.squares[*row] = tried[*row]);
        Ok(())
    }

    /// Where the next step would lead, and by how much it should lower the squared speed.
    fn trial(&self) -> Result<(Tensor, Vec<f64>)> {
        let uphill = self.uphill()?;
        let strengths: Vec<f64> = self.damping.iter().zip(&self.squares).map(|(d, s)| d * s.sqrt()).collect();
        let damping = Tensor::from_slice(&strengths);
        let ridge = damping.f_unsqueeze(-1)?.f_expand_as(&uphill)?.f_diag_embed(0, -2, -1)?;
        let normal = self.jacobians.f_transpose(1, 2)?.f_bmm(&self.jacobians)?.f_add(&ridge)?;
        let (step, _) = Tensor::f_linalg_solve_ex(&normal, &uphill.f_neg()?.f_unsqueeze(-1)?, true, false)?;
        let step = step.f_squeeze_dim(-1)?;
        let along = step.f_mul(&(step.f_mul(&damping.f_unsqueeze(-1)?)?.f_sub(&uphill)?))?;
        Ok((self.states.f_add(&step)?, values_f64(&along.sum_dim_intlist(-1i64, false, Kind::Double))))
    }
}

/// Newton steps while they halve the residual.
fn polish(system: &System, ends: Vec<(Tensor, Stop, usize)>, options: Descent) -> Result<Vec<End>> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let states: Vec<&Tensor> = ends.iter().map(|(state, _, _)| state).collect();
    let mut states = Tensor::f_stack(&states, 0)?;
    let mut residuals = system.residual(&states)?;
    let mut size = largest(&residuals);
    let mut near: Vec<usize> = (0..size.len()).filter(|row| size[*row] < NEAR && size[*row] > 0.0).collect();
    for _ in 0..POLISH {
        if near.is_empty() {
            break;
        }
        let here = rows(&states, &near)?;
        let (change, jacobians) = evaluate(system, &here)?;
        let trial = no_grad(|| -> Result<Tensor> {
            let (step, _) = Tensor::f_linalg_solve_ex(&jacobians, &change.f_unsqueeze(-1)?, true, false)?;
            Ok(here.f_sub(&step.f_squeeze_dim(-1)?)?)
        })?;
        let after = system.residual(&trial)?;
        let tried = largest(&after);
        let kept: Vec<usize> = (0..near.len()).filter(|at| tried[*at] <= 0.5 * size[near[*at]]).collect();
        let places: Vec<usize> = kept.iter().map(|at| near[*at]).collect();
        if !kept.is_empty() {
            let index = Tensor::from_slice(&places.iter().map(|row| *row as i64).collect::<Vec<_>>());
            states = states.f_index_copy(0, &index, &rows(&trial, &kept)?)?;
            residuals = residuals.f_index_copy(0, &index, &rows(&after, &kept)?)?;
            kept.iter().for_each(|at| size[near[*at]] = tried[*at]);
        }
        near = places.into_iter().filter(|row| size[*row] > 0.0).collect();
    }
    let speeds = squares(&residuals);
    let flat = values_f64(&states);
    let width = system.size();
    Ok(ends
        .iter()
        .enumerate()
        .map(|(row, (_, stop, iterations))| End {
            state: flat[row * width..(row + 1) * width].to_vec(),
            residual: size[row],
            speed: speeds[row].sqrt(),
            stop: if size[row] <= options.tolerance { Stop::Zero } else { *stop },
            iterations: *iterations,
        })
        .collect())
}
