//! Marks for trees and for persistent homology.

use serde::{Deserialize, Serialize};

/// A tree of hierarchical clustering; leaves along the horizontal axis, distance upwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dendrogram {
    /// Merges in order: clusters 0..n are the leaves, merge k makes cluster n + k (SciPy's convention).
    pub merges: Vec<Merge>,
    /// Names of the leaves; their number is one more than that of the merges.
    pub leaves: Vec<String>,
}

/// One merge of two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// One cluster.
    pub first: usize,
    /// The other cluster.
    pub second: usize,
    /// Distance at which they merge.
    #[serde(with = "crate::figure::numbers::stored")]
    pub height: f64,
}

impl Dendrogram {
    /// A tree from its merges (first, second, height) and the names of its leaves.
    pub fn new(
        merges: impl IntoIterator<Item = (usize, usize, f64)>,
        leaves: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let merges = merges.into_iter().map(|(first, second, height)| Merge { first, second, height }).collect();
        Self { merges, leaves: leaves.into_iter().map(Into::into).collect() }
    }

    /// The leaves from left to right, so that no branches cross; leaves in no merge come last.
    pub fn order(&self) -> Vec<usize> {
        let count = self.leaves.len();
        let mut inside: Vec<Vec<usize>> = (0..count).map(|leaf| vec![leaf]).collect();
        for merge in &self.merges {
            let mut take = |cluster: usize| inside.get_mut(cluster).map(std::mem::take).unwrap_or_default();
            let mut joined = take(merge.first);
            joined.extend(take(merge.second));
            inside.push(joined);
        }
        inside.into_iter().rev().flatten().collect()
    }
}

/// Bars of persistent homology: one horizontal bar from birth to death for each class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Barcode {
    /// The classes, drawn by dimension and length.
    pub bars: Vec<Bar>,
}

/// One class of homology.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Dimension: 0 components, 1 loops, 2 voids.
    pub dimension: usize,
    /// Scale at which the class appears.
    #[serde(with = "crate::figure::numbers::stored")]
    pub birth: f64,
    /// Scale at which it vanishes; infinite for one that never does, drawn to the edge with an arrow.
    #[serde(with = "crate::figure::numbers::stored")]
    pub death: f64,
}

impl Barcode {
    /// Bars given as (dimension, birth, death).
    pub fn new(bars: impl IntoIterator<Item = (usize, f64, f64)>) -> Self {
        Self { bars: bars.into_iter().map(|(dimension, birth, death)| Bar { dimension, birth, death }).collect() }
    }

    /// Bars in drawing order, from the bottom: by dimension, then the longest first.
    pub(crate) fn ordered(&self) -> Vec<Bar> {
        let mut bars: Vec<Bar> =
            self.bars.iter().copied().filter(|bar| bar.birth.is_finite() && !bar.death.is_nan()).collect();
        bars.sort_by(|a, b| a.dimension.cmp(&b.dimension).then((b.death - b.birth).total_cmp(&(a.death - a.birth))));
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_ordered_without_crossings() {
        // 1 and 3 merge first, then 0 and 2, then both: scipy.cluster.hierarchy.dendrogram keeps pairs together too.
        let tree = Dendrogram::new([(1, 3, 0.5), (0, 2, 1.0), (5, 4, 2.0)], ["a", "b", "c", "d"]);
        assert_eq!(tree.order(), [0, 2, 1, 3]);
        let broken = Dendrogram::new([(9, 9, 1.0)], ["a", "b"]);
        assert_eq!(broken.order().len(), 2, "every leaf appears although the merge is nonsense");
    }

    #[test]
    fn bars_without_a_place_are_left_out() {
        let bars = Barcode::new([(1, 0.0, f64::INFINITY), (0, 0.0, 1.0), (0, 0.0, 2.0), (0, f64::NAN, 1.0)]).ordered();
        let places: Vec<_> = bars.iter().map(|bar| (bar.dimension, bar.death)).collect();
        assert_eq!(places, [(0, 2.0), (0, 1.0), (1, f64::INFINITY)]);
    }
}
