//! Fixed points of a network under a constant input: all that a search from many starts finds, with their stability.
//!
//! [`System`] is one step of the network as a map of flat states, [`descend`] looks for zeros of `next(x) - x`, and [`search`] tells
//! zeros from mere minima of the speed, joins those that are the same, and reads stability off the eigenvalues of the Jacobian.
//!
//! Source: Sussillo & Barak 2013, doi:10.1162/NECO_a_00409, for fixed and slow points of trained networks; Golub & Sussillo 2018,
//! doi:10.21105/joss.01003. Differs: zeros are solved for and tested, a minimum of the speed is never called a fixed point.

mod descent;
mod search;
mod system;
#[cfg(test)]
mod tests;

pub use descent::{Descent, End, Stop, descend};
pub use search::{FixedPoint, Found, Search, SlowPoint, Stability, unstable_directions};
pub use system::System;
