//! The published results that figures show beside ours.

use super::group::Group;
use super::kind::{CUMULATIVE, DEFAULT, Kind, MODIFIED, PARITY, SINGLE};
use synfire::figure::{Colour, Line, Mark, Scatter};
use synfire::table::Table;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Quantity {
    /// Largest solved N of each network; x is the fixed time constant, 0 where they were trained.
    Reached,
    /// Mean and deviation over units of the time constants, against N.
    MeanTau,
    StdTau,
    /// The same of the network timescales above one step.
    MeanTauNet,
    StdTauNet,
    /// Accuracy of whole networks, and with single units of the shortest or longest time constants silenced, against N.
    Whole,
    Shortest,
    Longest,
    /// Accuracy at N = 30 with normalised noise on recurrent weights or on time constants, against its strength.
    NoiseOnWeights,
    NoiseOnTaus,
}

/// One published series of numbers on parity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Published {
    pub quantity: Quantity,
    pub order: &'static str,
    pub cell: &'static str,
    /// Read off a stored figure by eye: good to some 2 % of its axis.
    pub read_off: bool,
    pub source: &'static str,
    pub points: &'static [(f64, f64)],
}

const NOTEBOOK: &str = "arrays of the published notebook Fig_trained_tau_comparison";
const TRAINED: &str = "figure of trained time constants";
const NETWORK: &str = "figure of network timescales";
const MODEL: &str = "figure of the modified model";
const ABLATION: &str = "published results df_ablate_tau";
const WEIGHTS: &str = "published results df_perturb_rnn_normalized";
const TAUS: &str = "published results df_perturb_tau_normalized_abs";

const fn series(
    quantity: Quantity,
    (order, cell): (&'static str, &'static str),
    source: &'static str,
    read_off: bool,
    points: &'static [(f64, f64)],
) -> Published {
    Published { quantity, order, cell, read_off, source, points }
}

const SINGLE_DEFAULT: (&str, &str) = (SINGLE, DEFAULT);
const MULTI_DEFAULT: (&str, &str) = (CUMULATIVE, DEFAULT);
const SINGLE_MODIFIED: (&str, &str) = (SINGLE, MODIFIED);
const MULTI_MODIFIED: (&str, &str) = (CUMULATIVE, MODIFIED);

/// Everything that is known.
#[rustfmt::skip]
pub(super) const PUBLISHED: &[Published] = &[
    series(Quantity::Reached, SINGLE_DEFAULT, NOTEBOOK, false, &[
        (0.0, 37.0), (0.0, 33.0), (0.0, 35.0), (0.0, 35.0), (1.0, 24.0), (1.0, 25.0), (1.0, 24.0), (1.0, 26.0),
        (2.0, 26.0), (2.0, 25.0), (2.0, 26.0), (2.0, 26.0), (3.0, 25.0), (3.0, 24.0), (3.0, 24.0), (3.0, 24.0),
        (4.0, 24.0), (4.0, 23.0), (4.0, 23.0), (4.0, 23.0),
    ]),
    series(Quantity::Reached, MULTI_DEFAULT, NOTEBOOK, false, &[
        (0.0, 100.0), (0.0, 101.0), (0.0, 100.0), (0.0, 101.0), (1.0, 101.0), (1.0, 101.0), (1.0, 101.0), (1.0, 101.0),
        (2.0, 87.0), (2.0, 88.0), (2.0, 87.0), (2.0, 87.0), (3.0, 66.0), (3.0, 70.0), (3.0, 70.0), (3.0, 72.0), (5.0, 50.0),
    ]),
    series(Quantity::MeanTau, SINGLE_DEFAULT, TRAINED, true, &[(2.0, 1.50), (14.5, 1.435), (32.0, 1.69)]),
    series(Quantity::MeanTau, MULTI_DEFAULT, TRAINED, true, &[(2.0, 1.50), (99.0, 1.18)]),
    series(Quantity::StdTau, SINGLE_DEFAULT, TRAINED, true, &[(2.0, 0.30), (32.0, 1.10)]),
    series(Quantity::StdTau, MULTI_DEFAULT, TRAINED, true, &[(2.0, 0.295), (20.0, 0.332), (99.0, 0.302)]),
    series(Quantity::MeanTau, SINGLE_MODIFIED, MODEL, true, &[(15.0, 1.43), (32.0, 1.62), (42.0, 1.77)]),
    series(Quantity::StdTau, SINGLE_MODIFIED, MODEL, true, &[(32.0, 0.80), (42.0, 1.1)]),
    series(Quantity::MeanTau, MULTI_MODIFIED, MODEL, true, &[(100.0, 1.17)]),
    series(Quantity::StdTau, MULTI_MODIFIED, MODEL, true, &[(100.0, 0.296)]),
    series(Quantity::MeanTauNet, SINGLE_DEFAULT, NETWORK, true, &[
        (5.0, 2.5), (10.0, 3.3), (15.0, 3.4), (20.0, 4.4), (25.0, 5.6), (30.0, 7.1),
    ]),
    series(Quantity::MeanTauNet, MULTI_DEFAULT, NETWORK, true, &[(5.0, 2.5), (30.0, 6.5)]),
    series(Quantity::MeanTauNet, SINGLE_MODIFIED, MODEL, true, &[(2.0, 2.2), (13.0, 3.3), (30.0, 6.5), (42.0, 13.0)]),
    series(Quantity::MeanTauNet, MULTI_MODIFIED, MODEL, true, &[(2.0, 2.2), (13.0, 3.3), (30.0, 6.5)]),
    series(Quantity::StdTauNet, SINGLE_MODIFIED, MODEL, true, &[(42.0, 16.0)]),
    series(Quantity::Whole, SINGLE_DEFAULT, ABLATION, false, &[(5.0, 0.993), (30.0, 0.959)]),
    series(Quantity::Shortest, SINGLE_DEFAULT, ABLATION, false, &[(5.0, 0.976), (30.0, 0.925)]),
    series(Quantity::Longest, SINGLE_DEFAULT, ABLATION, false, &[(5.0, 0.993), (30.0, 0.708)]),
    series(Quantity::Whole, MULTI_DEFAULT, ABLATION, false, &[(5.0, 0.997), (30.0, 0.993)]),
    series(Quantity::Shortest, MULTI_DEFAULT, ABLATION, false, &[(5.0, 0.990), (30.0, 0.891)]),
    series(Quantity::Longest, MULTI_DEFAULT, ABLATION, false, &[(5.0, 0.997), (30.0, 0.993)]),
    series(Quantity::NoiseOnWeights, SINGLE_DEFAULT, WEIGHTS, false, &[
        (0.0, 0.960), (0.01, 0.963), (0.0464, 0.960), (0.1, 0.944), (0.215, 0.845), (0.464, 0.575), (1.0, 0.497), (2.15, 0.50),
    ]),
    series(Quantity::NoiseOnWeights, MULTI_DEFAULT, WEIGHTS, false, &[
        (0.0, 0.994), (0.01, 0.994), (0.0464, 0.994), (0.1, 0.992), (0.215, 0.976), (0.464, 0.819), (1.0, 0.508), (2.15, 0.50),
    ]),
    series(Quantity::NoiseOnTaus, SINGLE_DEFAULT, TAUS, false, &[
        (0.0, 0.960), (0.01, 0.957), (0.0215, 0.929), (0.0464, 0.829), (0.1, 0.675), (0.215, 0.521), (0.464, 0.503), (1.0, 0.50),
    ]),
    series(Quantity::NoiseOnTaus, MULTI_DEFAULT, TAUS, false, &[
        (0.0, 0.993), (0.01, 0.993), (0.0215, 0.992), (0.0464, 0.986), (0.1, 0.941), (0.215, 0.705), (0.464, 0.506), (1.0, 0.50),
    ]),
];

/// The published numbers of a quantity for networks of a kind.
pub(super) fn of(kind: &Kind, quantity: Quantity) -> Option<&'static Published> {
    if kind.task != PARITY {
        return None;
    }
    PUBLISHED
        .iter()
        .find(|series| series.quantity == quantity && series.order == kind.order && series.cell == kind.cell)
}

/// One number of those of a kind.
pub(super) fn at(kind: &Kind, quantity: Quantity, x: f64) -> Option<f64> {
    of(kind, quantity)?.points.iter().find(|point| point.0 == x).map(|point| point.1)
}

/// Accuracy relative to that of the whole network, over guessing.
pub(super) fn relative(accuracy: f64, whole: f64) -> f64 {
    (accuracy - 0.5) / (whole - 0.5)
}

/// The published numbers of a group against N, up to some N, as rings joined by dashes.
pub(super) fn marks(group: &Group, quantity: Quantity, up_to: f64) -> Vec<Mark> {
    let series = group.kind.as_ref().filter(|kind| kind.fixed.is_none()).and_then(|kind| of(kind, quantity));
    let Some(series) = series else { return Vec::new() };
    let shown: Vec<_> = series.points.iter().copied().filter(|point| point.0 <= up_to).collect();
    if shown.is_empty() { Vec::new() } else { points(shown, group) }
}

/// Points in the style of published numbers, in a darker shade of the colour of a group.
pub(super) fn points(points: Vec<(f64, f64)>, group: &Group) -> Vec<Mark> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    let colour = group.colour.mix(Colour::BLACK, 0.35);
    let rings = Scatter::new(&x, &y).hollow().large().colour(colour).label(format!("published, {}", group.legend));
    vec![Line::new(x, y).dashed().colour(colour).into(), rings.into()]
}

/// All published numbers that belong to some group.
pub(super) fn table(groups: &[Group]) -> Table {
    let columns = ["quantity", "curriculum", "cell", "x", "value", "read off a figure", "source"];
    let mut table = Table::new("published", "Published results on parity that figures show beside ours", &columns);
    let kinds: Vec<&Kind> = groups.iter().filter_map(|group| group.kind.as_ref()).collect();
    for series in PUBLISHED {
        if kinds.iter().any(|kind| of(kind, series.quantity) == Some(series)) {
            for (x, value) in series.points {
                let name = format!("{:?}", series.quantity);
                table.push((name, series.order, series.cell, *x, *value, series.read_off, series.source));
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(series: &Published, x: f64) -> f64 {
        let values: Vec<f64> = series.points.iter().filter(|point| point.0 == x).map(|point| point.1).collect();
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn the_numbers_have_the_means_and_orders_that_the_paper_reports() {
        let kind = |order: &str, cell: &str| Kind {
            order: order.into(),
            task: PARITY.into(),
            cell: cell.into(),
            fixed: None,
            units: vec![500],
            repeat: vec![1],
        };
        let (single, multi) = (kind(SINGLE, DEFAULT), kind(CUMULATIVE, DEFAULT));
        let reached = of(&single, Quantity::Reached).expect("there");
        let means = [0.0, 1.0, 2.0, 3.0, 4.0].map(|tau| mean(reached, tau));
        assert_eq!(means, [35.0, 24.75, 25.75, 24.25, 23.25]);
        let reached = of(&multi, Quantity::Reached).expect("there");
        assert_eq!([1.0, 2.0, 3.0, 5.0].map(|tau| mean(reached, tau)), [101.0, 87.25, 69.5, 50.0]);
        // Crossed: single-level networks need their longest, cumulative ones their shortest time constants.
        let effect = |kind: &Kind, quantity| at(kind, quantity, 30.0).expect("there");
        assert!(effect(&single, Quantity::Longest) < effect(&single, Quantity::Shortest));
        assert!(effect(&multi, Quantity::Shortest) < effect(&multi, Quantity::Longest));
        for quantity in [Quantity::NoiseOnWeights, Quantity::NoiseOnTaus] {
            let (a, b) = (of(&single, quantity).expect("there"), of(&multi, quantity).expect("there"));
            assert!(a.points.iter().zip(b.points).all(|(a, b)| a.0 == b.0 && a.1 <= b.1));
        }
        let other = Kind { task: "DMS".into(), ..single };
        assert_eq!(of(&other, Quantity::Reached), None);
        assert!((relative(0.708, 0.959) - 0.4532).abs() < 1e-4);
    }

    #[test]
    fn each_series_is_there_once() {
        for (index, series) in PUBLISHED.iter().enumerate() {
            let same = |other: &Published| {
                (other.quantity, other.order, other.cell) == (series.quantity, series.order, series.cell)
            };
            assert!(PUBLISHED[..index].iter().all(|other| !same(other)), "{series:?}");
            assert!(!series.points.is_empty());
        }
    }
}
