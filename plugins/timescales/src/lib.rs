//! Components to study how the timescales of recurrent networks depend on the curriculum they are trained with.
//!
//! Paper: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina, "Emergent mechanisms for long timescales depend on
//! training curriculum and affect performance in memory tasks", ICLR 2024, <https://openreview.net/forum?id=xwKt6bUkXj>,
//! arXiv:2309.12927. A network can remember `N` steps because its units are slow (the trained leak constant `tau` of each unit) or
//! because its recurrent loop is slow (the timescale `tau_net` at which each unit's autocorrelation decays). Training on one `N` at
//! a time lengthens both, training on all `N` so far lengthens `tau_net` alone.
//!
//! - [`tasks`]: parity and delayed match over the last `N` symbols of a random stream.
//! - [`cells`]: networks in continuous time, played at any number of steps per symbol.
//! - [`curricula`]: one `N` at a time, all so far, or a sliding window of them.
//! - [`analyses`]: trained time constants, and timescales of units in the running network.
//! - [`rules`]: learning from the random numbers of the published program.
//! - [`mersenne_twister`]: the generator that it draws from.
//! - [`formats`]: the files that the published networks come in.
//! - [`autocorrelation`]: autocovariance of many units, block by block over time.
//! - [`exponential_fit`]: `tau_net` from it, by fits of one and two exponentials.

pub mod analyses;
pub mod autocorrelation;
pub mod cells;
pub mod curricula;
pub mod exponential_fit;
pub mod formats;
pub mod mersenne_twister;
pub mod rules;
pub mod tasks;
