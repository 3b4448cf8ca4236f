//! Silhouettes.

use synfire::{Error, Result};

/// The silhouette of every item: `(b - a) / max(a, b)` with its mean distance `a` to the others of its group and `b` to the nearest
/// other group; 0 for an item that is alone in its group.
///
/// Source: Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7.
///
/// # Errors
/// [`Error::Failed`] with fewer than two groups, and when labels and distances do not fit.
pub fn silhouettes(distances: &[f64], labels: &[usize]) -> Result<Vec<f64>> {
    let count = labels.len();
    super::check_distances(distances, count)?;
    let groups = labels.iter().max().map_or(0, |largest| largest + 1);
    let mut sizes = vec![0usize; groups];
    labels.iter().for_each(|label| sizes[*label] += 1);
    if sizes.iter().filter(|size| **size > 0).count() < 2 {
        return Err(Error::Failed(
            "silhouettes need at least two groups; name groups, or analyse runs of several rules".into(),
        ));
    }
    let of = |item: usize| {
        let mut sums = vec![0.0; groups];
        for other in 0..count {
            sums[labels[other]] += distances[item * count + other];
        }
        let own = labels[item];
        if sizes[own] < 2 {
            return 0.0;
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..groups).filter(|group| *group != own && sizes[*group] > 0);
        let nearest = others.map(|group| sums[group] / sizes[group] as f64).fold(f64::INFINITY, f64::min);
        let larger = inside.max(nearest);
        if larger > 0.0 { (nearest - inside) / larger } else { 0.0 }
    };
    Ok((0..count).map(of).collect())
}
