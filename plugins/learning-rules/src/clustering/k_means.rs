//! Clusters around means.

use synfire::Stream;

const ROUNDS: usize = 300;

fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// A cluster (from 0) for each row: Lloyd's rounds from seeds drawn with probability proportional to the squared distance from those
/// before, the best of `beginnings`. Fewer clusters when there are fewer rows than `k`.
///
/// Source: Lloyd 1982, doi:10.1109/TIT.1982.1056489; seeds as in Arthur & Vassilvitskii 2007.
pub fn k_means(rows: &[Vec<f64>], k: usize, beginnings: usize, stream: &Stream) -> Vec<usize> {
    let k = k.min(rows.len());
    if k == 0 {
        return vec![0; rows.len()];
    }
    let mut best: Option<(f64, Vec<usize>)> = None;
    for index in 0..beginnings.max(1) {
        let found = lloyd(rows, seeds(rows, k, &mut stream.child("k-means").at(index as u64)));
        if best.as_ref().is_none_or(|(cost, _)| found.0 < *cost) {
            best = Some(found);
        }
    }
    best.map(|(_, labels)| labels).unwrap_or_default()
}

fn seeds(rows: &[Vec<f64>], k: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let mut centres = vec![rows[stream.below(rows.len() as u64) as usize].clone()];
    while centres.len() < k {
        let nearest = |row: &Vec<f64>| centres.iter().map(|centre| square(row, centre)).fold(f64::INFINITY, f64::min);
        let gaps: Vec<f64> = rows.iter().map(nearest).collect();
        let mut left = stream.uniform() * gaps.iter().sum::<f64>();
        let chosen = gaps.iter().position(|gap| {
            left -= gap;
            left < 0.0
        });
        centres.push(rows[chosen.unwrap_or(rows.len() - 1)].clone());
    }
    centres
}

fn lloyd(rows: &[Vec<f64>], mut centres: Vec<Vec<f64>>) -> (f64, Vec<usize>) {
    let mut labels = vec![usize::MAX; rows.len()];
    for _ in 0..ROUNDS {
        let nearest = |row: &Vec<f64>| {
            let gaps = centres.iter().map(|centre| square(row, centre)).enumerate();
            gaps.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
        };
        let next: Vec<usize> = rows.iter().map(nearest).collect();
        if next == labels {
            break;
        }
        labels = next;
        for (index, centre) in centres.iter_mut().enumerate() {
            let own: Vec<&Vec<f64>> =
                rows.iter().zip(&labels).filter(|(_, label)| **label == index).map(|(r, _)| r).collect();
            // A cluster that lost all rows keeps its place.
            if !own.is_empty() {
                for (at, value) in centre.iter_mut().enumerate() {
                    *value = own.iter().map(|row| row[at]).sum::<f64>() / own.len() as f64;
                }
            }
        }
    }
    let cost = rows.iter().zip(&labels).map(|(row, label)| square(row, &centres[*label])).sum();
    (cost, labels)
}
