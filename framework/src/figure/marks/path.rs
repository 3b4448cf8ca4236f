//! Marks for movement: trajectories and vector fields.

use super::super::{Colour, ColourMap, Numbers};
use serde::{Deserialize, Serialize};

/// One path through the plane or space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Path {
    /// First coordinate at each time.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub x: Vec<f64>,
    /// Second coordinate at each time.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub y: Vec<f64>,
    /// Third coordinate at each time; empty in the plane.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub z: Vec<f64>,
    /// Colour value at each time, such as the time itself; empty for one colour.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub values: Vec<f64>,
}

/// Paths in the plane that belong together, such as the trials of one condition; a dot marks each start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trajectory2 {
    /// Text in the legend.
    pub label: String,
    /// The paths.
    pub paths: Vec<Path>,
    /// How colour values become colours.
    pub map: ColourMap,
    /// Colour; by default the next of the palette.
    pub colour: Option<Colour>,
}

impl Trajectory2 {
    /// No path yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The trajectory with one more path.
    #[must_use]
    pub fn path(mut self, x: impl Numbers, y: impl Numbers) -> Self {
        self.paths.push(Path { x: x.numbers(), y: y.numbers(), ..Path::default() });
        self
    }
}

/// Paths in space that belong together, such as the trials of one condition; a dot marks each start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trajectory3 {
    /// Text in the legend.
    pub label: String,
    /// The paths.
    pub paths: Vec<Path>,
    /// How colour values become colours.
    pub map: ColourMap,
    /// Colour; by default the next of the palette.
    pub colour: Option<Colour>,
}

impl Trajectory3 {
    /// No path yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The trajectory with one more path.
    #[must_use]
    pub fn path(mut self, x: impl Numbers, y: impl Numbers, z: impl Numbers) -> Self {
        self.paths.push(Path { x: x.numbers(), y: y.numbers(), z: z.numbers(), ..Path::default() });
        self
    }
}

macro_rules! trajectories {
    ($($name:ident)*) => {$(
        impl $name {
            /// The trajectory with an entry in the legend.
            #[must_use]
            pub fn label(mut self, label: impl Into<String>) -> Self {
                self.label = label.into();
                self
            }

            /// The paths so far, coloured by these values, one a time step.
            #[must_use]
            pub fn coloured_by(mut self, values: impl Numbers) -> Self {
                let values = values.numbers();
                for path in &mut self.paths {
                    path.values.clone_from(&values);
                }
                self
            }

            /// The trajectory coloured by this map.
            #[must_use]
            pub fn map(mut self, map: ColourMap) -> Self {
                self.map = map;
                self
            }

            /// The trajectory in this colour.
            #[must_use]
            pub fn colour(mut self, colour: Colour) -> Self {
                self.colour = Some(colour);
                self
            }
        }
    )*};
}
trajectories!(Trajectory2 Trajectory3);

/// A vector field: an arrow at each place; the longest is as long as the places are apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quiver {
    /// Text in the legend.
    pub label: String,
    /// Places along the horizontal axis.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub x: Vec<f64>,
    /// Places along the vertical axis.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub y: Vec<f64>,
    /// Horizontal parts of the vectors.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub u: Vec<f64>,
    /// Vertical parts of the vectors.
    #[serde(with = "crate::figure::numbers::stored::list")]
    pub v: Vec<f64>,
    /// Colour of the arrows.
    pub colour: Colour,
}

impl Default for Quiver {
    fn default() -> Self {
        let empty = Vec::new;
        Self { label: String::new(), x: empty(), y: empty(), u: empty(), v: empty(), colour: Colour::GREY }
    }
}

impl Quiver {
    /// Arrows (u, v) at the places (x, y).
    pub fn new(x: impl Numbers, y: impl Numbers, u: impl Numbers, v: impl Numbers) -> Self {
        Self { x: x.numbers(), y: y.numbers(), u: u.numbers(), v: v.numbers(), ..Self::default() }
    }

    /// The field with an entry in the legend.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The arrows in this colour.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }

    /// Arrows in data units as (x, y, end x, end y), scaled so that the longest spans the mean distance of places.
    pub(crate) fn arrows(&self) -> Vec<[f64; 4]> {
        let places = self.x.iter().zip(&self.y).zip(self.u.iter().zip(&self.v));
        let finite: Vec<[f64; 4]> = places
            .map(|((x, y), (u, v))| [*x, *y, *u, *v])
            .filter(|arrow| arrow.iter().all(|part| part.is_finite()))
            .collect();
        let spread = |part: usize| {
            let low = finite.iter().map(|arrow| arrow[part]).fold(f64::INFINITY, f64::min);
            let high = finite.iter().map(|arrow| arrow[part]).fold(f64::NEG_INFINITY, f64::max);
            if high > low { high - low } else { 1.0 }
        };
        let per_side = (finite.len() as f64).sqrt().max(2.0) - 1.0;
        let (step_x, step_y) = (spread(0) / per_side, spread(1) / per_side);
        let longest = finite.iter().map(|[_, _, u, v]| (u / step_x).hypot(v / step_y)).fold(0.0, f64::max);
        if longest <= 0.0 {
            return Vec::new();
        }
        finite.into_iter().map(|[x, y, u, v]| [x, y, x + u / longest, y + v / longest]).collect()
    }
}
