//! Recurrent weights of units against their trained time constants.

use super::group::{Comparison, titled};
use synfire::Tensors;
use synfire::figure::{Axis, Colour, Figure, Line, Panel, Scatter};
use synfire::statistics::{mean, regression};
use synfire::tensors::values_f64;

/// The recurrent weights of each unit and its time constant, at the last checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Connectivity {
    /// Trained time constant of each unit.
    pub tau: Vec<f64>,
    /// Mean weight from other units.
    pub incoming: Vec<f64>,
    /// Mean weight onto other units.
    pub outgoing: Vec<f64>,
}

impl Connectivity {
    /// Of a network whose units have time constants and weights `recurrent.weight` `[target, source]`.
    pub fn of(parameters: &Tensors, taus: &[f64]) -> Option<Self> {
        let units = taus.len();
        let weights = parameters.find("recurrent.weight").filter(|weights| weights.size() == [units as i64; 2])?;
        if units < 2 {
            return None;
        }
        let weights = values_f64(weights);
        let others = |unit: usize| (0..units).filter(move |other| *other != unit);
        let average = |at: &dyn Fn(usize, usize) -> usize| -> Vec<f64> {
            (0..units)
                .map(|unit| mean(&others(unit).map(|other| weights[at(unit, other)]).collect::<Vec<_>>()))
                .collect()
        };
        let incoming = average(&|unit, other| unit * units + other);
        let outgoing = average(&|unit, other| other * units + unit);
        Some(Self { tau: taus.to_vec(), incoming, outgoing })
    }
}

/// The weights of each unit on one side.
type Side = fn(&Connectivity) -> &[f64];

/// Mean weights against time constants, a point for each unit and a line of regression for each group.
pub(super) fn figure(comparison: &Comparison) -> Option<Figure> {
    let has = |network: &super::network::Network| network.has_trained_taus() && network.connectivity.is_some();
    let facets = comparison.facets(has);
    let mut panels = Vec::new();
    for (facet, groups) in &facets {
        let sides: [(&str, Side); 2] = [("from other units", |c| &c.incoming), ("onto other units", |c| &c.outgoing)];
        for (title, pick) in sides {
            let title = titled(title, facet, facets.len());
            let mut panel = Panel::new(title).x("trained τ");
            let (mut lines, mut ends) = (Vec::new(), (f64::INFINITY, f64::NEG_INFINITY));
            for group in groups {
                let all: Vec<&Connectivity> =
                    comparison.members(group).filter(|n| has(n)).filter_map(|n| n.connectivity.as_ref()).collect();
                let x: Vec<f64> = all.iter().flat_map(|network| network.tau.iter().copied()).collect();
                let y: Vec<f64> = all.iter().flat_map(|network| pick(network).iter().copied()).collect();
                let fit = regression(&x, &y);
                let label = match fit {
                    Some(fit) => format!("{}: r = {:.2}, p = {:.1e}", group.legend, fit.r, fit.p),
                    None => group.legend.clone(),
                };
                if let Some(fit) = fit {
                    let (low, high) = x.iter().fold((f64::INFINITY, 0.0f64), |e, x| (e.0.min(*x), e.1.max(*x)));
                    lines.push(
                        Line::new([low, high], [fit.at(low), fit.at(high)])
                            .colour(group.colour.mix(Colour::BLACK, 0.45)),
                    );
                }
                ends = y.iter().fold(ends, |ends, y| (ends.0.min(*y), ends.1.max(*y)));
                panel = panel.mark(Scatter::new(x, y).colour(group.colour).label(label));
            }
            // Room above the points for the legend.
            let (low, high) = ends;
            let axis = Axis::new("mean recurrent weight");
            let axis =
                if high > low { axis.limits(low - 0.05 * (high - low), high + 0.4 * (high - low)) } else { axis };
            panels.push(panel.y(axis).marks(lines));
        }
    }
    let figure = Figure::new("connectivity-by-time-constant", "Recurrent weights and time constants").columns(2).caption(
        "Mean recurrent weight of each unit, itself left out, against its trained time constant at the last checkpoint; all networks of a \
         group together, with a line of regression. Units of one network are not independent, so p overstates.",
    );
    (!panels.is_empty()).then(|| figure.panels(panels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Tensor;

    #[test]
    fn means_leave_out_the_unit_itself() {
        let weights = Tensor::from_slice(&[9.0f32, 1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0, 9.0]).reshape([3, 3]);
        let parameters = Tensors::from([("recurrent.weight", weights)]);
        let found = Connectivity::of(&parameters, &[1.0, 2.0, 3.0]).expect("fits");
        assert_eq!((found.incoming, found.outgoing), (vec![1.5, 3.5, 5.5], vec![4.0, 3.5, 3.0]));
        assert_eq!(Connectivity::of(&parameters, &[1.0]), None);
        assert_eq!(Connectivity::of(&Tensors::new(), &[1.0, 2.0]), None);
    }
}
