//! Fixed points in pictures.

use super::flow::Connection;
use super::{Stability, Surveyed, System};
use crate::fixed_points::FixedPoint;
use synfire::Result;
use synfire::figure::{Axis, Colour, ColourMap, Figure, Line, Panel, Rule, Scatter};
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire_essentials::principal_components::PrincipalComponents;

/// Length of the drawn unstable directions, as a share of the spread of the activity.
const ARM: f64 = 0.35;

/// What the figures show.
pub(super) struct Picture<'a> {
    pub components: PrincipalComponents,
    pub system: &'a System<'a>,
    pub surveyed: &'a [Surveyed],
    pub leak: f64,
    pub head: Option<usize>,
    pub label: &'a str,
}

/// A point with its input and its place in the plane of the components.
struct Placed<'a> {
    surveyed: &'a Surveyed,
    point: &'a FixedPoint,
    number: usize,
    place: (f64, f64),
}

impl Picture<'_> {
    fn axis(&self, component: usize) -> String {
        let share = self.components.shares().get(component).copied().unwrap_or(0.0);
        format!("PC {} ({:.0} %)", component + 1, 100.0 * share)
    }

    /// A state in the plane of the first two components of the rates.
    fn place(&self, state: &[f64]) -> Result<(f64, f64)> {
        let rates = self.system.rates(&self.whole(state)?)?;
        let found = values_f64(&self.components.project(&rates, 2)?);
        Ok((found.first().copied().unwrap_or(0.0), found.get(1).copied().unwrap_or(0.0)))
    }

    fn placed(&self) -> Result<Vec<Placed<'_>>> {
        let mut all = Vec::new();
        for surveyed in self.surveyed {
            for point in &surveyed.found.points {
                all.push(Placed { surveyed, point, number: all.len(), place: self.place(&point.state)? });
            }
        }
        Ok(all)
    }

    fn coloured(&self) -> bool {
        self.surveyed.windows(2).any(|pair| pair[0].input.value != pair[1].input.value)
    }

    /// Trajectories `[time, trial, 2]`, points, and the directions that leave saddles; one panel a context.
    pub fn plane(&self, trajectories: &Tensor, connections: &[Connection]) -> Result<Figure> {
        let placed = self.placed()?;
        let mut figure = Figure::new("points", format!("Fixed points of {}", self.label)).caption(
            "Rates of single trials (grey) in their first two principal components, with the fixed points under constant inputs: discs \
             attract, rings are left in some direction (short lines), crosses in grey are slow points that are no fixed points.",
        );
        for (context, name) in self.contexts() {
            let mut panel = Panel::new(name).x(self.axis(0)).y(self.axis(1));
            for trial in 0..trajectories.size()[1] {
                let along = |axis: i64| values_f64(&trajectories.select(1, trial).select(1, axis));
                let second =
                    if trajectories.size()[2] > 1 { along(1) } else { vec![0.0; trajectories.size()[0] as usize] };
                panel = panel.mark(Line::new(along(0), second).colour(Colour::GREY).thin());
            }
            let slow = self.slow_places(context)?;
            if !slow.is_empty() {
                let (x, y): (Vec<f64>, Vec<f64>) = slow.into_iter().unzip();
                panel = panel.mark(Scatter::new(x, y).colour(Colour::GREY).label("slow point"));
            }
            let here: Vec<&Placed> = placed.iter().filter(|p| p.surveyed.input.context == context).collect();
            panel = panel.marks(self.arms(&here, connections)?);
            figure = figure.panel(self.points(panel, &here, |p| p.place));
        }
        Ok(figure)
    }

    /// Marks for points: discs for attractors, rings for the others.
    fn points(&self, mut panel: Panel, placed: &[&Placed], at: impl Fn(&Placed) -> (f64, f64)) -> Panel {
        for (index, name) in ["attractor", "saddle or repeller"].into_iter().enumerate() {
            let is = |stability: Stability| (stability == Stability::Attractor) == (index == 0);
            let own: Vec<&&Placed> = placed.iter().filter(|p| is(p.point.stability())).collect();
            if own.is_empty() {
                continue;
            }
            let (x, y): (Vec<f64>, Vec<f64>) = own.iter().map(|p| at(p)).unzip();
            let mut mark = Scatter::new(x, y).large().label(name);
            mark = match self.coloured() {
                true => mark
                    .values(own.iter().map(|p| p.surveyed.input.value).collect::<Vec<_>>())
                    .map(ColourMap::Diverging),
                false => mark.colour(Colour::palette(index)),
            };
            panel = panel.mark(if index == 1 { mark.hollow() } else { mark });
        }
        if self.coloured() { panel.colour_label("evidence") } else { panel }
    }

    fn slow_places(&self, context: usize) -> Result<Vec<(f64, f64)>> {
        let own = self.surveyed.iter().filter(|one| one.input.context == context);
        own.flat_map(|one| &one.found.slow).map(|slow| self.place(&slow.state)).collect()
    }

    /// Short lines through saddles, along what the unstable directions do to the rates.
    fn arms(&self, placed: &[&Placed], connections: &[Connection]) -> Result<Vec<Line>> {
        let reach = ARM * self.components.variances.first().copied().unwrap_or(1.0).sqrt();
        let mut arms = Vec::new();
        for connection in connections {
            let Some(saddle) = placed.iter().find(|p| p.number == connection.point) else { continue };
            for direction in &connection.directions {
                let moved = |step: f64| -> Vec<f64> {
                    saddle.point.state.iter().zip(direction).map(|(x, v)| x + step * v).collect()
                };
                let (ahead, behind) = (self.place(&moved(1e-4))?, self.place(&moved(-1e-4))?);
                let (dx, dy) = (ahead.0 - behind.0, ahead.1 - behind.1);
                let length = dx.hypot(dy);
                if length <= 0.0 {
                    continue;
                }
                let (dx, dy) = (reach * dx / length, reach * dy / length);
                let (x, y) = saddle.place;
                arms.push(Line::new([x - dx, x + dx], [y - dy, y + dy]).colour(Colour::palette(1)));
            }
        }
        Ok(arms)
    }

    fn contexts(&self) -> Vec<(usize, String)> {
        let mut contexts: Vec<(usize, String)> = Vec::new();
        for one in self.surveyed {
            if contexts.iter().all(|(context, _)| *context != one.input.context) {
                contexts.push((one.input.context, one.input.name.clone()));
            }
        }
        contexts
    }

    /// First component and leading rate of each point against the evidence; nothing where it is not varied.
    pub fn branches(&self) -> Result<Option<Figure>> {
        if !self.coloured() {
            return Ok(None);
        }
        let placed = self.placed()?;
        let contexts = self.contexts();
        let mut figure = Figure::new("branches", format!("Fixed points of {} against the evidence", self.label))
            .columns(contexts.len())
            .caption(
                "Every fixed point under every input: its place along the first principal component of the rates, and its leading rate, \
                 which is negative for attractors (discs) and positive for saddles (rings).",
            );
        let rate =
            if self.system.leak().is_some() { "leading rate (1 / time constant)" } else { "leading rate (1 / step)" };
        for (context, name) in &contexts {
            let here: Vec<&Placed> = placed.iter().filter(|p| p.surveyed.input.context == *context).collect();
            let panel = Panel::new(name.clone()).x("evidence").y(self.axis(0)).without_colour_bar();
            figure.panels.push(self.points(panel, &here, |p| (p.surveyed.input.value, p.place.0)));
        }
        for (context, _) in &contexts {
            let here: Vec<&Placed> = placed.iter().filter(|p| p.surveyed.input.context == *context).collect();
            let panel =
                Panel::new("").x("evidence").y(rate).without_colour_bar().without_legend().mark(Rule::horizontal(0.0));
            figure.panels.push(self.points(panel, &here, |p| (p.surveyed.input.value, p.point.growth(self.leak))));
        }
        Ok(Some(figure))
    }

    /// Rates of all points in the complex plane.
    pub fn eigenvalues(&self) -> Figure {
        let mut panel = Panel::new("")
            .x(Axis::new(if self.system.leak().is_some() {
                "real part (1 / time constant)"
            } else {
                "real part (1 / step)"
            }))
            .y("imaginary part")
            .mark(Rule::vertical(0.0));
        for (index, name) in ["attractors", "saddles and repellers"].into_iter().enumerate() {
            let is = |stability: Stability| (stability == Stability::Attractor) == (index == 0);
            let points = self.surveyed.iter().flat_map(|one| &one.found.points).filter(|point| is(point.stability()));
            let (x, y): (Vec<f64>, Vec<f64>) = points.flat_map(|point| point.rates(self.leak)).unzip();
            if !x.is_empty() {
                let mark = Scatter::new(x, y).colour(Colour::palette(index)).label(name);
                panel = panel.mark(if index == 1 { mark.hollow() } else { mark });
            }
        }
        Figure::new("eigenvalues", format!("Eigenvalues at the fixed points of {}", self.label)).panel(panel).caption(
            "(eigenvalue of the step's Jacobian - 1) / leak for every fixed point; right of the dashed line a direction leads away.",
        )
    }
}
