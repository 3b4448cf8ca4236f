//! Items in groups and the distances between them: numbers and pictures that several analyses share.

use super::grouping::Grouping;
use crate::clustering::{
    between, centroid_ratios, euclidean, gaussian_mixture, k_means, metric_scaling, purity, rows, silhouettes,
    within_ratios,
};
use synfire::analysis::Findings;
use synfire::figure::{Axis, Colour, Figure, HeatMap, Panel, Scatter};
use synfire::statistics::mean;
use synfire::storage::array::Array;
use synfire::table::Table;
use synfire::{Result, Stream, Subject};

/// Random beginnings of the scaling and of the clusters.
const BEGINNINGS: usize = 8;

/// Items with distances and groups.
pub(super) struct Apart<'a> {
    /// Names of the items.
    pub labels: Vec<String>,
    /// Their groups.
    pub grouping: &'a Grouping,
    /// `[item, item]`.
    pub distances: &'a [f64],
    /// What the distances are, for titles: `SVCCA distance`.
    pub what: &'a str,
    /// Values at the ends of the colour bar, if not by the data.
    pub limits: Option<(f64, f64)>,
}

impl Apart<'_> {
    /// Everything that is said about groups in a matrix of distances.
    ///
    /// # Errors
    /// When it is no matrix of distances.
    pub fn report(&self, findings: &mut Findings, stream: &Stream) -> Result<()> {
        let (count, groups) = (self.labels.len(), self.grouping.names.len());
        findings.value("items", count);
        findings.value("groups", groups);
        let as_rows = rows(self.distances, count);
        let from_rows = euclidean(&as_rows);
        let mut title = String::new();
        let mut each = vec![f64::NAN; count];
        if groups > 1 && count > groups {
            each = silhouettes(self.distances, &self.grouping.labels)?;
            let silhouette = mean(&each);
            title = format!("silhouette {silhouette:.3}");
            findings.value("silhouette", silhouette);
            findings.value("silhouette of rows", mean(&silhouettes(&from_rows, &self.grouping.labels)?));
            let clusters = k_means(&as_rows, groups, BEGINNINGS, stream);
            findings.value("purity of k-means", purity(&clusters, &self.grouping.labels));
            let mixture = gaussian_mixture(&as_rows, groups, BEGINNINGS, stream);
            findings.value("purity of a mixture", purity(&mixture, &self.grouping.labels));
            findings.array("k_means", Array::from(clusters.iter().map(|c| *c as i64).collect::<Vec<_>>()));
            findings.array("mixture", Array::from(mixture.iter().map(|c| *c as i64).collect::<Vec<_>>()));
            self.report_groups(findings, &as_rows, &from_rows, &each);
        } else {
            findings.note("there is one group, or no group with two members: distances are shown, but groups cannot be told apart");
        }
        findings.tables.push(self.pairs());
        findings.array("distances", Array::new([count, count], self.distances.to_vec())?);
        findings.array("labels", Array::from(self.grouping.labels.iter().map(|l| *l as i64).collect::<Vec<_>>()));
        findings.array("silhouettes", Array::from(each));
        let scaled = metric_scaling(self.distances, count, 2, BEGINNINGS, stream)?;
        let total: f64 = self.distances.iter().map(|d| d * d).sum::<f64>() / 2.0;
        findings.value("stress of the scaling", if total > 0.0 { (scaled.stress / total).sqrt() } else { 0.0 });
        findings.array("scaling", Array::from_rows(&scaled.places)?);
        findings.figures.push(self.plane(&scaled.places, &title));
        findings.figures.push(self.map());
        Ok(())
    }

    fn report_groups(&self, findings: &mut Findings, as_rows: &[Vec<f64>], from_rows: &[f64], each: &[f64]) {
        let groups = self.grouping.names.len();
        let columns = [
            "group",
            "items",
            "silhouette",
            "mean distance within",
            "mean distance to others",
            "centroid ratio",
            "within ratio",
        ];
        let mut table = Table::new("groups", format!("Groups by {}", self.what), &columns);
        let centroids = centroid_ratios(as_rows, &self.grouping.labels, groups);
        let within = within_ratios(from_rows, &self.grouping.labels, groups);
        let finite = |x: f64| x.is_finite().then_some(x);
        for (group, name) in self.grouping.names.iter().enumerate() {
            let own: Vec<f64> = self.grouping.members(group).map(|item| each[item]).collect();
            let others: Vec<f64> = (0..groups)
                .filter(|other| *other != group)
                .flat_map(|other| {
                    let spread = between(self.distances, &self.grouping.labels, group, other);
                    std::iter::repeat_n(spread.mean, spread.pairs)
                })
                .collect();
            let inside = between(self.distances, &self.grouping.labels, group, group).mean;
            table.push((
                name,
                own.len(),
                mean(&own),
                finite(inside),
                mean(&others),
                finite(centroids[group]),
                finite(within[group]),
            ));
        }
        findings.tables.push(table);
    }

    fn pairs(&self) -> Table {
        let columns = ["group", "and", "pairs", "mean distance", "standard deviation"];
        let mut table = Table::new("pairs", format!("{} within and between groups", self.what), &columns);
        for (a, first) in self.grouping.names.iter().enumerate() {
            for (b, second) in self.grouping.names.iter().enumerate().skip(a) {
                let spread = between(self.distances, &self.grouping.labels, a, b);
                let (centre, std) = match spread.pairs {
                    0 => (None, None),
                    _ => (Some(spread.mean), Some(spread.std)),
                };
                table.push((first, second, spread.pairs, centre, std));
            }
        }
        table
    }

    fn plane(&self, places: &[Vec<f64>], title: &str) -> Figure {
        let mut panel = Panel::new(title).x("first axis of the scaling").y("second axis of the scaling").equal_units();
        for (group, name) in self.grouping.names.iter().enumerate() {
            let (x, y): (Vec<f64>, Vec<f64>) =
                self.grouping.members(group).map(|item| (places[item][0], places[item][1])).unzip();
            panel = panel.mark(Scatter::new(x, y).label(name).colour(Colour::palette(group)));
        }
        Figure::new("scaling", format!("{} in the plane", self.what)).panel(panel).caption(
            "Metric multidimensional scaling: places whose distances are as near as possible to those measured.",
        )
    }

    /// The matrix with the groups one after the other.
    fn map(&self) -> Figure {
        let count = self.labels.len();
        let order: Vec<usize> = (0..self.grouping.names.len()).flat_map(|group| self.grouping.members(group)).collect();
        let row = |i: &usize| order.iter().map(|j| self.distances[i * count + j]).collect::<Vec<f64>>();
        let mut map = HeatMap::new(order.iter().map(row).collect::<Vec<_>>());
        if let Some((lower, upper)) = self.limits {
            map = map.limits(lower, upper);
        }
        // More names than this run into each other.
        let named = count <= 24;
        let axis = || {
            let axis = Axis::new("");
            if named {
                axis.categories(order.iter().map(|item| self.labels[*item].clone()))
            } else {
                Axis::new("network, group by group")
            }
        };
        let panel = Panel::new("").x(axis()).y(axis().reversed()).colour_label(self.what).mark(map).equal_units();
        Figure::new("distances", format!("{} between networks", self.what))
            .panel(panel)
            .caption(format!("Groups in the order {}.", self.grouping.names.join(", ")))
    }
}

/// A matrix of distances with labels from a data file: arrays `distances` `[item, item]` and `labels` `[item]`.
pub(super) fn recorded(subject: &Subject) -> Option<Result<(Vec<f64>, Grouping)>> {
    let distances = subject.data.get("distances")?;
    let labels = subject.data.get("labels")?.to_f64();
    let shape = distances.shape();
    if shape != [labels.len(), labels.len()] {
        let (expected, found) = (format!("[{0}, {0}] for {0} labels", labels.len()), format!("{shape:?}"));
        return Some(Err(synfire::Error::Shape { what: "distances".into(), expected, found }));
    }
    let kinds: Vec<String> = labels.iter().map(|label| format!("group {label}")).collect();
    Some(Ok((distances.to_f64(), Grouping::by_name(&kinds))))
}
