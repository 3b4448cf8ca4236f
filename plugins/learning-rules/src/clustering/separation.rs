//! How far groups lie apart, in numbers.

use synfire::statistics::mean;

/// Distances between the members of two groups, each pair once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Their mean; NaN without a pair.
    pub mean: f64,
    /// Their standard deviation over pairs, divided by their number.
    pub std: f64,
    /// How many pairs.
    pub pairs: usize,
}

/// Distances between the members of groups `a` and `b`; within the group where they are the same.
pub fn between(distances: &[f64], labels: &[usize], a: usize, b: usize) -> Spread {
    let count = labels.len();
    let mut all = Vec::new();
    for i in 0..count {
        for j in 0..i {
            if (labels[i] == a && labels[j] == b) || (labels[i] == b && labels[j] == a) {
                all.push(distances[i * count + j]);
            }
        }
    }
    let centre = mean(&all);
    let variance = mean(&all.iter().map(|x| (x - centre).powi(2)).collect::<Vec<_>>());
    Spread { mean: centre, std: variance.sqrt(), pairs: all.len() }
}

/// For each group: mean Euclidean distance of its rows to their centroid, over that of all other rows. Small for a group apart.
pub fn centroid_ratios(rows: &[Vec<f64>], labels: &[usize], groups: usize) -> Vec<f64> {
    let ratio = |group: usize| {
        let (own, others): (Vec<_>, Vec<_>) = rows.iter().zip(labels).partition(|(_, label)| **label == group);
        let width = rows.first().map_or(0, Vec::len);
        let centroid: Vec<f64> =
            (0..width).map(|at| mean(&own.iter().map(|(row, _)| row[at]).collect::<Vec<_>>())).collect();
        let gap = |row: &[f64]| row.iter().zip(&centroid).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        let mean_gap = |rows: &[(&Vec<f64>, &usize)]| mean(&rows.iter().map(|(row, _)| gap(row)).collect::<Vec<_>>());
        mean_gap(&own) / mean_gap(&others)
    };
    (0..groups).map(ratio).collect()
}

/// For each group: mean distance between its members over the mean distance from them to the members of other groups.
pub fn within_ratios(distances: &[f64], labels: &[usize], groups: usize) -> Vec<f64> {
    let count = labels.len();
    let ratio = |group: usize| {
        let own = (0..count).filter(|i| labels[*i] == group);
        let outside: Vec<f64> = own
            .flat_map(|i| (0..count).filter(|j| labels[*j] != group).map(move |j| (i, j)))
            .map(|(i, j)| distances[i * count + j])
            .collect();
        between(distances, labels, group, group).mean / mean(&outside)
    };
    (0..groups).map(ratio).collect()
}

/// Share of items that belong to the most frequent group of their cluster: 1 when every cluster holds one group only.
pub fn purity(clusters: &[usize], labels: &[usize]) -> f64 {
    let (k, groups) = (size(clusters), size(labels));
    let mut counts = vec![0usize; k * groups];
    clusters.iter().zip(labels).for_each(|(cluster, label)| counts[cluster * groups + label] += 1);
    let largest = counts.chunks(groups.max(1)).map(|row| row.iter().max().copied().unwrap_or(0));
    largest.sum::<usize>() as f64 / labels.len() as f64
}

fn size(labels: &[usize]) -> usize {
    labels.iter().max().map_or(0, |largest| largest + 1)
}
