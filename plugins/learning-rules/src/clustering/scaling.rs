//! Places in a low-dimensional space whose distances are like the given ones.

use super::check_distances;
use synfire::tch::{Device, Kind};
use synfire::{Result, Stream};
use synfire_essentials::eigen;

/// Items in a space of few dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Places `[item][dimension]`, centred, along the principal axes of the cloud.
    pub places: Vec<Vec<f64>>,
    /// Sum over pairs of the squared difference of the two distances.
    pub stress: f64,
}

/// Most rounds from one beginning, and the share of the stress that ends them.
const ROUNDS: usize = 1000;
const GAIN: f64 = 1e-8;

/// Classical scaling: exact for Euclidean distances in so many dimensions. Source: Torgerson 1952, doi:10.1007/BF02288916.
///
/// # Errors
/// When the matrix is no matrix of distances.
pub fn classical_scaling(distances: &[f64], count: usize, dimensions: usize) -> Result<Embedding> {
    check_distances(distances, count)?;
    let squares: Vec<f64> = distances.iter().map(|d| d * d).collect();
    let row_mean: Vec<f64> = squares.chunks(count.max(1)).map(synfire::statistics::mean).collect();
    let whole = synfire::statistics::mean(&row_mean);
    let centred = |(at, square): (usize, &f64)| -0.5 * (square - row_mean[at / count] - row_mean[at % count] + whole);
    let products: Vec<f64> = squares.iter().enumerate().map(centred).collect();
    let found = eigen::symmetric(&products, count)?;
    let along = |item: usize, axis: usize| {
        let scale = found.values.get(axis).copied().unwrap_or(0.0).max(0.0).sqrt();
        found.vectors.get(axis).map_or(0.0, |vector| scale * vector[item])
    };
    let places: Vec<Vec<f64>> =
        (0..count).map(|item| (0..dimensions).map(|axis| along(item, axis)).collect()).collect();
    let stress = stress(&places, distances);
    Ok(Embedding { places, stress })
}

/// Metric scaling by majorisation of the stress (SMACOF), from the classical solution and from `beginnings` random ones; the best.
///
/// Source: de Leeuw 1977; Borg & Groenen 2005, doi:10.1007/0-387-28981-X, chapter 8.
///
/// # Errors
/// When the matrix is no matrix of distances.
pub fn metric_scaling(
    distances: &[f64],
    count: usize,
    dimensions: usize,
    beginnings: usize,
    stream: &Stream,
) -> Result<Embedding> {
    let classical = classical_scaling(distances, count, dimensions)?;
    let largest = distances.iter().copied().fold(0.0, f64::max);
    let mut best = majorise(classical.places, distances);
    for index in 0..beginnings {
        let mut draw = stream.child("scaling").at(index as u64);
        let flat = draw.uniform_tensor(&[(count * dimensions) as i64], -largest, largest, Kind::Double, Device::Cpu);
        let flat = synfire::tensors::values_f64(&flat);
        let found = majorise(flat.chunks(dimensions.max(1)).map(<[f64]>::to_vec).collect(), distances);
        if found.stress < best.stress {
            best = found;
        }
    }
    upright(best)
}

fn length(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn stress(places: &[Vec<f64>], distances: &[f64]) -> f64 {
    let count = places.len();
    let pairs = (0..count).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs.map(|(i, j)| (length(&places[i], &places[j]) - distances[i * count + j]).powi(2)).sum()
}

/// Guttman's transform until the stress stays.
fn majorise(mut places: Vec<Vec<f64>>, distances: &[f64]) -> Embedding {
    let count = places.len();
    let mut last = stress(&places, distances);
    for _ in 0..ROUNDS {
        let moved = (0..count).map(|i| {
            let mut place = vec![0.0; places[i].len()];
            for j in (0..count).filter(|j| *j != i) {
                let gap = length(&places[i], &places[j]);
                // Where two items coincide the direction is free; none is taken.
                let ratio = if gap > 0.0 { distances[i * count + j] / gap } else { 0.0 };
                for (axis, value) in place.iter_mut().enumerate() {
                    *value += ratio * (places[i][axis] - places[j][axis]);
                }
            }
            place.into_iter().map(|value| value / count as f64).collect()
        });
        places = moved.collect();
        let now = stress(&places, distances);
        if last - now <= GAIN * last {
            last = now;
            break;
        }
        last = now;
    }
    Embedding { places, stress: last }
}

/// Centred, with the largest variance along the first axis, so that the same distances look the same.
fn upright(found: Embedding) -> Result<Embedding> {
    let Embedding { places, stress } = found;
    let (count, dimensions) = (places.len(), places.first().map_or(0, Vec::len));
    if count == 0 || dimensions == 0 {
        return Ok(Embedding { places, stress });
    }
    let centre: Vec<f64> =
        (0..dimensions).map(|axis| places.iter().map(|place| place[axis]).sum::<f64>() / count as f64).collect();
    let centred: Vec<Vec<f64>> =
        places.iter().map(|place| place.iter().zip(&centre).map(|(x, c)| x - c).collect()).collect();
    let mut scatter = vec![0.0; dimensions * dimensions];
    for place in &centred {
        for (i, a) in place.iter().enumerate() {
            place.iter().enumerate().for_each(|(j, b)| scatter[i * dimensions + j] += a * b);
        }
    }
    let axes = eigen::symmetric(&scatter, dimensions)?.vectors;
    let turned = |place: &Vec<f64>| axes.iter().map(|axis| axis.iter().zip(place).map(|(a, x)| a * x).sum()).collect();
    Ok(Embedding { places: centred.iter().map(turned).collect(), stress })
}
