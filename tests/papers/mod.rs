//! What the papers claim, as far as it can be checked in minutes.

mod oracles;
mod temporal_skip;
mod timescales;
